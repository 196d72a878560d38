//! Account actions as they are written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::document::At;
use crate::risk_control;

use super::{ApprovalWord, Span};

/// What is done to accounts. Everything here but `approval`, `retries`, `retention`, `watch` and `reset_with_mfa` is
/// about what rules do by themselves; a person's order passes the brakes.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Actions {
    /// Rules only write down what they would do. Turn it off once `portcullis action preview` shows what you mean.
    pub(in crate::config) dry_run: bool,
    /// Whose orders need another person: `none`, `automatic` (those of rules) or `all`.
    pub(in crate::config) approval: At<ApprovalWord>,
    /// Automatic actions of one kind that one tenant may see within an hour. One more stops them all, until a person
    /// runs `portcullis action release`.
    #[schemars(range(min = 0, max = 100_000))]
    pub(in crate::config) quota_per_hour: At<u32>,
    /// The same is not done to the same person by itself again before this has passed.
    pub(in crate::config) cool_down: Span,
    /// What a rule did is taken back when nothing new happened for so long; `0s` for never. It is taken back in any case
    /// when the rule does not ask for it any more.
    pub(in crate::config) undo_after: Span,
    /// People whom no rule touches, such as the accounts kept for emergencies; each `tenant id:object id`.
    pub(in crate::config) exempt_users: Vec<At<String>>,
    /// Groups whose members no rule touches, by object id.
    pub(in crate::config) exempt_groups: Vec<At<String>>,
    /// Further tries at Microsoft after the first, each after a longer wait.
    #[schemars(range(min = 0, max = 100))]
    pub(in crate::config) retries: At<u32>,
    /// How long a task is kept after it ended.
    pub(in crate::config) retention: Span,
    /// Whether a forced new password takes a second factor first.
    pub(in crate::config) reset_with_mfa: bool,
    /// How long a person is watched.
    pub(in crate::config) watch: Span,
}

impl Default for Actions {
    fn default() -> Self {
        let settings = risk_control::Settings::default();
        Self {
            dry_run: settings.dry_run,
            approval: ApprovalWord::None.into(),
            quota_per_hour: settings.quota_per_hour.into(),
            cool_down: Span::of(settings.cool_down),
            undo_after: Span::of(settings.undo_after),
            exempt_users: Vec::new(),
            exempt_groups: Vec::new(),
            retries: settings.retries.into(),
            retention: Span::of(settings.retention),
            reset_with_mfa: settings.reset_with_mfa,
            watch: Span::of(settings.watch),
        }
    }
}
