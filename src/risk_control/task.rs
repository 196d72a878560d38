//! A task: one order on its way, from the moment it was given to what became of it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::brakes::Brake;
use super::order::{Cause, Order, Reach};
use crate::entra::graph::{Denied, GraphError};
use crate::facts::UnixTime;

/// Names a task; grows, and is never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TaskId(pub u64);

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for TaskId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// Its name.
    pub id: TaskId,
    /// What is wanted.
    pub order: Order,
    /// How far it is.
    pub state: TaskState,
    /// When it was ordered.
    pub created: UnixTime,
    /// When something last happened.
    pub updated: UnixTime,
    /// When it was let go; every later question about quota and cool-down counts from here.
    pub started: Option<UnixTime>,
    /// How the account's risk was when it was ordered.
    pub cause: Option<Cause>,
    /// Who approved it.
    pub approved_by: Option<Arc<str>>,
    /// Whether everything on this gateway is done; what is left is Microsoft's part.
    pub done_here: bool,
    /// What a block newly blocked. Only that is taken back with it.
    pub newly: Option<Reach>,
    /// The task that took it back.
    pub undone_by: Option<TaskId>,
    /// What happened to it, oldest first.
    pub history: Vec<Mark>,
}

/// One line of a task's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// When.
    pub at: UnixTime,
    /// What happened, for people.
    pub what: String,
}

/// How far a task is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum TaskState {
    /// A rule would do it, were it not for the dry run. A person may let it go.
    Proposed,
    /// A rule would do it, and a brake does not let it.
    Held {
        /// Which one.
        brake: Brake,
    },
    /// Another person has to agree first.
    AwaitingApproval,
    /// It is being done.
    InProgress {
        /// Tries so far.
        attempt: u32,
        /// When the next one begins.
        next: UnixTime,
    },
    /// It is done. What Microsoft does takes effect within minutes.
    Successful {
        /// Since when.
        at: UnixTime,
    },
    /// It could not be done, and is not tried again.
    Unsuccessful {
        /// Why.
        fault: Fault,
    },
    /// A person called it off.
    Cancelled {
        /// Who.
        by: Arc<str>,
    },
}

impl TaskState {
    /// The words of all states, for closed lists.
    pub const WORDS: [&'static str; 7] =
        ["proposed", "held", "awaiting_approval", "in_progress", "successful", "unsuccessful", "cancelled"];

    /// The word in logs, metrics and the admin API.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Proposed => "proposed",
            Self::Held { .. } => "held",
            Self::AwaitingApproval => "awaiting_approval",
            Self::InProgress { .. } => "in_progress",
            Self::Successful { .. } => "successful",
            Self::Unsuccessful { .. } => "unsuccessful",
            Self::Cancelled { .. } => "cancelled",
        }
    }

    /// Whether something is still to come by itself or by approval.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self, Self::InProgress { .. } | Self::AwaitingApproval)
    }

    /// Whether it was only ever an intention of a rule.
    #[must_use]
    pub const fn is_intention(&self) -> bool {
        matches!(self, Self::Proposed | Self::Held { .. })
    }

    /// Why it is held or failed, as a word.
    #[must_use]
    pub const fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Proposed => Some(Brake::DryRun.word()),
            Self::Held { brake } => Some(brake.word()),
            Self::Unsuccessful { fault } => Some(fault.word()),
            _ => None,
        }
    }
}

/// Why a task could not be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The permission was not granted, or has been taken away.
    InsufficientPermission,
    /// The account holds an administrator's role, which this application must not reach.
    PrivilegedTarget,
    /// The tenant has no licence for it.
    MissingLicence,
    /// Microsoft said no and not why.
    Denied,
    /// There is no such account.
    NoSuchAccount,
    /// It was tried as often as allowed.
    GaveUp,
    /// The application cannot sign in at Microsoft.
    NoToken,
    /// Microsoft's answer makes no sense to try again.
    Refused,
    /// This gateway acts on no account of this tenant.
    NotConfigured,
}

impl Fault {
    /// The word in logs, metrics and the admin API.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::InsufficientPermission => "insufficient_permission",
            Self::PrivilegedTarget => "privileged_target",
            Self::MissingLicence => "missing_licence",
            Self::Denied => "denied",
            Self::NoSuchAccount => "no_such_account",
            Self::GaveUp => "gave_up",
            Self::NoToken => "no_token",
            Self::Refused => "refused",
            Self::NotConfigured => "not_configured",
        }
    }

    /// The same as a sentence that says what to do.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::InsufficientPermission => {
                "Microsoft Graph denies it for want of a permission: grant it to the application and order it again."
            }
            Self::PrivilegedTarget => {
                "The account holds an administrator's role, which this application does not reach: an administrator \
                 has to do it. What ends here has ended."
            }
            Self::MissingLicence => "The tenant has no licence for it.",
            Self::Denied => {
                "Microsoft Graph denies it: the permission is missing, or the account holds an administrator's role."
            }
            Self::NoSuchAccount => "Microsoft Graph knows no such account.",
            Self::GaveUp => "Microsoft Graph did not do it however often it was asked: order it again later.",
            Self::NoToken => "The application gets no token for Microsoft Graph: see the gateway's log.",
            Self::Refused => "Microsoft Graph refused it in a way that trying again does not change.",
            Self::NotConfigured => "This gateway does not act on accounts of this tenant.",
        }
    }

    pub(super) const fn of_denied(denied: Denied) -> Self {
        match denied {
            Denied::MissingRole => Self::InsufficientPermission,
            Denied::MissingLicence => Self::MissingLicence,
            Denied::PrivilegedTarget => Self::PrivilegedTarget,
            Denied::Unclear => Self::Denied,
        }
    }

    pub(super) const fn of_error(error: &GraphError) -> Self {
        match error {
            GraphError::NoToken { .. } | GraphError::Unauthorized => Self::NoToken,
            GraphError::Denied(denied) => Self::of_denied(*denied),
            GraphError::NotFound => Self::NoSuchAccount,
            _ => Self::Refused,
        }
    }
}

impl Task {
    /// A task that was just ordered.
    #[must_use]
    pub(super) fn new(id: TaskId, order: Order, cause: Option<Cause>, state: TaskState, now: UnixTime) -> Self {
        let mut task = Self {
            id,
            state,
            created: now,
            updated: now,
            started: None,
            cause,
            approved_by: None,
            done_here: false,
            newly: None,
            undone_by: None,
            history: Vec::new(),
            order,
        };
        task.mark(now, format!("ordered by {}", task.order.by));
        if let Some(reason) = task.state.reason() {
            task.mark(now, format!("{}: {reason}", task.state.word()));
        }
        task
    }

    /// Notes what happened; the middle of a long history is left out.
    pub(super) fn mark(&mut self, now: UnixTime, what: impl Into<String>) {
        self.updated = now;
        if self.history.len() >= MOST_MARKS {
            self.history.remove(MOST_MARKS / 2);
        }
        self.history.push(Mark { at: now, what: what.into() });
    }

    pub(super) fn turn(&mut self, now: UnixTime, state: TaskState) {
        let reason = state.reason().map(|reason| format!(": {reason}")).unwrap_or_default();
        let what = format!("{}{reason}", state.word());
        self.state = state;
        self.mark(now, what);
    }

    /// Whether a person ordered it.
    #[must_use]
    pub const fn is_by_hand(&self) -> bool {
        !self.order.by.is_automatic()
    }
}

const MOST_MARKS: usize = 32;
