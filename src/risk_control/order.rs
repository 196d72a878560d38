//! What can be done to an account, and who wants it.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::TaskId;
use crate::facts::{AccountRisk, Hold, UnixTime, UserKey};

/// One thing that is done to one account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum ActionKind {
    /// Ends the person's sessions here and at Microsoft; they may sign in again at once.
    SignOut,
    /// Ends the sessions here and lets the account sign in nowhere.
    Disable,
    /// Lets the account sign in again.
    Enable,
    /// Ends the sessions here and makes the person choose a new password at the next sign-in.
    ResetPassword,
    /// Ends the sessions here and tells Microsoft that somebody else has the account.
    ConfirmCompromised,
    /// Sets the account's risk aside at Microsoft.
    DismissRisk,
    /// Tells Microsoft that the account is safe.
    ConfirmSafe,
    /// Refuses the person here, whatever the rules say.
    Block(Reach),
    /// Leaves the person to the rules again.
    Unblock(Reach),
    /// Logs every request of the person for a day.
    Watch,
    /// Ends that.
    Unwatch,
}

/// Which of the two kinds of access a block is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// Private apps.
    Private,
    /// The internet.
    Internet,
    /// Both.
    Both,
}

impl Reach {
    /// Private apps are meant.
    #[must_use]
    pub const fn private(self) -> bool {
        matches!(self, Self::Private | Self::Both)
    }

    /// The internet is meant.
    #[must_use]
    pub const fn internet(self) -> bool {
        matches!(self, Self::Internet | Self::Both)
    }

    /// What `hold` blocks; `None` for nothing.
    #[must_use]
    pub const fn of(hold: Hold) -> Option<Self> {
        match (hold.private, hold.internet) {
            (true, true) => Some(Self::Both),
            (true, false) => Some(Self::Private),
            (false, true) => Some(Self::Internet),
            (false, false) => None,
        }
    }

    const fn meets(self, other: Self) -> bool {
        (self.private() && other.private()) || (self.internet() && other.internet())
    }
}

impl ActionKind {
    /// Every kind, for closed lists such as metrics.
    pub const ALL: [Self; 15] = [
        Self::SignOut,
        Self::Disable,
        Self::Enable,
        Self::ResetPassword,
        Self::ConfirmCompromised,
        Self::DismissRisk,
        Self::ConfirmSafe,
        Self::Block(Reach::Private),
        Self::Block(Reach::Internet),
        Self::Block(Reach::Both),
        Self::Unblock(Reach::Private),
        Self::Unblock(Reach::Internet),
        Self::Unblock(Reach::Both),
        Self::Watch,
        Self::Unwatch,
    ];

    /// The word in logs, metrics, rules and the admin API.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::SignOut => "sign_out",
            Self::Disable => "disable",
            Self::Enable => "enable",
            Self::ResetPassword => "reset_password",
            Self::ConfirmCompromised => "confirm_compromised",
            Self::DismissRisk => "dismiss_risk",
            Self::ConfirmSafe => "confirm_safe",
            Self::Block(Reach::Private) => "block_private",
            Self::Block(Reach::Internet) => "block_internet",
            Self::Block(Reach::Both) => "block",
            Self::Unblock(Reach::Private) => "unblock_private",
            Self::Unblock(Reach::Internet) => "unblock_internet",
            Self::Unblock(Reach::Both) => "unblock",
            Self::Watch => "watch",
            Self::Unwatch => "unwatch",
        }
    }

    /// The kind with this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// What takes it back, if anything does.
    #[must_use]
    pub const fn inverse(self) -> Option<Self> {
        match self {
            Self::Disable => Some(Self::Enable),
            Self::Enable => Some(Self::Disable),
            Self::Block(reach) => Some(Self::Unblock(reach)),
            Self::Unblock(reach) => Some(Self::Block(reach)),
            Self::Watch => Some(Self::Unwatch),
            Self::Unwatch => Some(Self::Watch),
            Self::SignOut | Self::ResetPassword | Self::ConfirmCompromised | Self::DismissRisk | Self::ConfirmSafe => {
                None
            }
        }
    }

    /// Whether the gateway takes it back by itself, once the reason is gone.
    #[must_use]
    pub const fn is_undone(self) -> bool {
        matches!(self, Self::Disable | Self::Block(_))
    }

    /// Whether the person's sessions here end with it.
    #[must_use]
    pub const fn ends_sessions(self) -> bool {
        matches!(self, Self::SignOut | Self::Disable | Self::ResetPassword | Self::ConfirmCompromised)
    }

    /// Whether it is in the person's favour: somebody looked and found nothing wrong.
    #[must_use]
    pub const fn is_lenient(self) -> bool {
        matches!(self, Self::Enable | Self::Unblock(_) | Self::DismissRisk | Self::ConfirmSafe)
    }

    /// Whether both change the same thing, in whichever direction.
    #[must_use]
    pub const fn meets(self, other: Self) -> bool {
        match (self, other) {
            (Self::Block(one) | Self::Unblock(one), Self::Block(two) | Self::Unblock(two)) => one.meets(two),
            (Self::Disable | Self::Enable, Self::Disable | Self::Enable)
            | (Self::Watch | Self::Unwatch, Self::Watch | Self::Unwatch) => true,
            _ => false,
        }
    }
}

impl fmt::Display for ActionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl From<ActionKind> for String {
    fn from(kind: ActionKind) -> Self {
        kind.word().to_owned()
    }
}

impl TryFrom<String> for ActionKind {
    type Error = String;

    fn try_from(word: String) -> Result<Self, String> {
        Self::parse(&word).ok_or_else(|| format!("no such action: {word}"))
    }
}

/// Who wants it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", content = "name", rename_all = "snake_case")]
pub enum By {
    /// A person, by the name the admin interface knows them under.
    Person(Arc<str>),
    /// A risk rule, by name.
    Rule(Arc<str>),
    /// The gateway itself, which takes back what a rule did.
    Undo(TaskId),
}

impl By {
    /// The name of whoever shows the token of the admin API. It does not tell people apart.
    pub const TOKEN: &str = "local";

    /// Nobody looks before it is done, hence the brakes.
    #[must_use]
    pub const fn is_automatic(&self) -> bool {
        !matches!(self, Self::Person(_))
    }
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Person(name) => write!(f, "person {name}"),
            Self::Rule(name) => write!(f, "rule {name}"),
            Self::Undo(task) => write!(f, "undo of {task}"),
        }
    }
}

/// What somebody wants done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// What.
    pub kind: ActionKind,
    /// To whom. The key alone; names change and are never looked up for this.
    pub user: UserKey,
    /// By whom.
    pub by: By,
    /// Why, in the words of whoever wants it.
    pub note: Option<Arc<str>>,
    /// The same key is the same order, however often it is given.
    pub key: Option<Arc<str>>,
    /// The task it takes back.
    pub undoes: Option<TaskId>,
}

impl Order {
    /// An order of a person.
    #[must_use]
    pub const fn of_person(kind: ActionKind, user: UserKey, name: Arc<str>) -> Self {
        Self { kind, user, by: By::Person(name), note: None, key: None, undoes: None }
    }

    /// An order of a risk rule. One rule gives one order per kind and person as long as the risk stays as it is.
    #[must_use]
    pub(super) fn of_rule(kind: ActionKind, user: UserKey, rule: &Arc<str>, cause: &Cause) -> Self {
        let key = format!("rule/{rule}/{kind}/{user}/{}/{}/{}", cause.level, cause.state, cause.updated.0);
        Self { kind, user, by: By::Rule(Arc::clone(rule)), note: None, key: Some(key.into()), undoes: None }
    }

    /// The order that takes `task` back by itself; one for each task.
    #[must_use]
    pub(super) fn of_undo(kind: ActionKind, user: UserKey, task: TaskId, why: &str) -> Self {
        let key = Some(format!("undo/{task}").into());
        Self { kind, user, by: By::Undo(task), note: Some(why.into()), key, undoes: Some(task) }
    }
}

/// How the account's risk was when an order was given; while it stays the same, so does the reason to act.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// Level, as in logs.
    pub level: String,
    /// State, as in logs.
    pub state: String,
    /// When the provider last changed its mind.
    pub updated: UnixTime,
}

impl Cause {
    /// Of this risk.
    #[must_use]
    pub fn of(risk: &AccountRisk) -> Self {
        let reading = &risk.reading;
        Self {
            level: reading.level.word().to_owned(),
            state: reading.state.word().to_owned(),
            updated: reading.updated,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_has_a_word_of_its_own_that_is_read_back() {
        for kind in ActionKind::ALL {
            assert_eq!(ActionKind::parse(kind.word()), Some(kind));
            if let Some(inverse) = kind.inverse() {
                assert_eq!(inverse.inverse(), Some(kind));
                assert!(kind.meets(inverse));
            }
        }
        assert_eq!(ActionKind::parse("delete"), None);
    }

    #[test]
    fn a_block_meets_what_shares_a_part_with_it() {
        let (private, internet) = (ActionKind::Block(Reach::Private), ActionKind::Unblock(Reach::Internet));
        assert!(!private.meets(internet));
        assert!(private.meets(ActionKind::Unblock(Reach::Both)) && internet.meets(ActionKind::Block(Reach::Both)));
        assert!(!private.meets(ActionKind::Disable) && !ActionKind::SignOut.meets(ActionKind::SignOut));
    }
}
