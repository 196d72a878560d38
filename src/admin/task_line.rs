//! Account actions as the admin API shows and takes them; the command line reads the same.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::risk_control::{BrakeState, By, Preview, Task, TaskState};

/// One task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TaskLine {
    /// Its number.
    pub id: u64,
    /// What is done: a word such as `disable`.
    pub action: String,
    /// To whom, `tid:oid`.
    pub user: String,
    /// `proposed`, `held`, `awaiting_approval`, `in_progress`, `successful`, `unsuccessful` or `cancelled`.
    pub state: String,
    /// Why it is held or failed: a word from a closed list.
    pub reason: Option<String>,
    /// The same as a sentence.
    pub sentence: Option<String>,
    /// Who wants it: `person`, `rule` or `undo`.
    pub by: String,
    /// The person or the rule, or the number of the task that is taken back.
    pub name: String,
    /// Who approved it.
    pub approved_by: Option<String>,
    /// Why, in the words of whoever wants it.
    pub note: Option<String>,
    /// When it was ordered, in seconds since 1970.
    pub created: u64,
    /// When something last happened, likewise.
    pub updated: u64,
    /// Tries so far, while it is in progress.
    pub attempt: Option<u32>,
    /// When the next try begins, likewise.
    pub next: Option<u64>,
    /// The task it takes back.
    pub undoes: Option<u64>,
    /// The task that took it back.
    pub undone_by: Option<u64>,
    /// What happened to it, oldest first.
    pub history: Vec<MarkLine>,
}

/// One line of a task's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MarkLine {
    /// When, in seconds since 1970.
    pub at: u64,
    /// What happened.
    pub what: String,
}

/// The answer of `GET /api/v1/actions`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TaskList {
    /// The time at the gateway, in seconds since 1970.
    pub now: u64,
    /// Newest first.
    pub tasks: Vec<TaskLine>,
}

/// What is sent to order an action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OrderBody {
    /// What to do: a word such as `sign_out`.
    pub action: String,
    /// Why; kept with the task and in the decision log.
    #[serde(default)]
    pub note: Option<String>,
    /// The same key is the same order, however often it is sent.
    #[serde(default)]
    pub key: Option<String>,
}

/// How the brakes stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BrakesLine {
    /// Rules only propose.
    pub dry_run: bool,
    /// Set while everything automatic is stopped.
    pub stopped: Option<StopLine>,
    /// What one tenant may use of one action within an hour.
    pub quota_per_hour: u32,
    /// What was used of it.
    pub used: Vec<UsedLine>,
}

/// Everything automatic is stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StopLine {
    /// Since when, in seconds since 1970.
    pub since: u64,
    /// Whose quota was used up.
    pub tenant: Option<String>,
    /// With which action.
    pub action: Option<String>,
}

/// What was used of a quota within the hour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UsedLine {
    /// Tenant id.
    pub tenant: String,
    /// What was done.
    pub action: String,
    /// How often.
    pub used: u32,
}

/// The answer of `POST /api/v1/actions/release`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Released {
    /// Whether there was a stop.
    pub released: bool,
}

/// The answer of `GET /api/v1/actions/preview`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PreviewList {
    /// Nothing would be done, because rules only propose.
    pub dry_run: bool,
    /// One line per person and action, whatever the dry run says.
    pub lines: Vec<PreviewLine>,
}

/// What one rule would have done to one person now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PreviewLine {
    /// To whom, `tid:oid`.
    pub user: String,
    /// By which rule.
    pub rule: String,
    /// What.
    pub action: String,
    /// The brake that would hold it; none if it would be done.
    pub brake: Option<String>,
    /// A person would have to approve it.
    pub needs_approval: bool,
    /// The task that has already done it.
    pub task: Option<u64>,
}

impl From<Task> for TaskLine {
    fn from(task: Task) -> Self {
        let (by, name) = match &task.order.by {
            By::Person(name) => ("person", name.to_string()),
            By::Rule(name) => ("rule", name.to_string()),
            By::Undo(task) => ("undo", task.to_string()),
        };
        let (attempt, next) = match task.state {
            TaskState::InProgress { attempt, next } => (Some(attempt), Some(next.0)),
            _ => (None, None),
        };
        let sentence = match &task.state {
            TaskState::Unsuccessful { fault } => Some(fault.sentence().to_owned()),
            _ => None,
        };
        Self {
            id: task.id.0,
            action: task.order.kind.word().to_owned(),
            user: task.order.user.to_string(),
            state: task.state.word().to_owned(),
            reason: task.state.reason().map(str::to_owned),
            sentence,
            by: by.to_owned(),
            name,
            approved_by: task.approved_by.as_deref().map(str::to_owned),
            note: task.order.note.as_deref().map(str::to_owned),
            created: task.created.0,
            updated: task.updated.0,
            attempt,
            next,
            undoes: task.order.undoes.map(|id| id.0),
            undone_by: task.undone_by.map(|id| id.0),
            history: task.history.into_iter().map(|mark| MarkLine { at: mark.at.0, what: mark.what }).collect(),
        }
    }
}

impl From<BrakeState> for BrakesLine {
    fn from(brakes: BrakeState) -> Self {
        let stopped = brakes.stopped.map(|stop| StopLine {
            since: stop.since.0,
            tenant: stop.tenant.map(|tenant| tenant.to_string()),
            action: stop.kind.map(|kind| kind.word().to_owned()),
        });
        let used = brakes.used.into_iter().map(|(tenant, kind, used)| UsedLine {
            tenant: tenant.to_string(),
            action: kind.word().to_owned(),
            used,
        });
        Self { dry_run: brakes.dry_run, stopped, quota_per_hour: brakes.quota, used: used.collect() }
    }
}

impl From<Preview> for PreviewList {
    fn from(preview: Preview) -> Self {
        let lines = preview.lines.into_iter().map(|line| PreviewLine {
            user: line.user.to_string(),
            rule: line.rule.to_string(),
            action: line.kind.word().to_owned(),
            brake: line.brake.map(|brake| brake.word().to_owned()),
            needs_approval: line.needs_approval,
            task: line.task.map(|id| id.0),
        });
        Self { dry_run: preview.dry_run, lines: lines.collect() }
    }
}
