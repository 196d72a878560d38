//! The rules file as it is written, key by key. Its documentation comments are the reference people read.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::document::At;
use crate::policy::Verdict;

/// Access rules of Portcullis. The first rule whose conditions all hold decides; without one the request is blocked.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Rules {
    /// The rules, in order.
    #[serde(default)]
    pub(super) rule: Vec<Entry>,
}

/// One rule. It says whom it is about by `who`, or by `users` and `groups`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    /// Unique name; appears in logs, metrics and `explain`.
    pub(super) name: At<String>,
    /// Names of the apps the rule is about. Left out: every app.
    pub(super) apps: Option<At<Vec<At<String>>>>,
    /// People in general; not together with `users` or `groups`.
    pub(super) who: Option<At<People>>,
    /// People by identity, each written `tenant id:object id`.
    pub(super) users: Option<At<Vec<At<String>>>>,
    /// Groups by object id. A member of any of them, or any of `users`, is meant.
    pub(super) groups: Option<At<Vec<At<String>>>>,
    /// Methods in upper case. Left out: any.
    pub(super) methods: Option<At<Vec<At<String>>>>,
    /// Path prefixes on whole segments: `/docs` covers `/docs` and `/docs/a`, not `/documents`. Left out: any.
    pub(super) paths: Option<At<Vec<At<String>>>>,
    /// What happens when the rule matches.
    pub(super) verdict: At<Word>,
}

/// People in general.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum People {
    /// Everybody who is signed in.
    SignedIn,
    /// Everybody, signed in or not. Give the rule narrow `paths`.
    Anyone,
}

/// A verdict as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Word {
    /// Let the request through.
    Allow,
    /// Refuse it.
    Block,
}

impl From<Word> for Verdict {
    fn from(word: Word) -> Self {
        match word {
            Word::Allow => Self::Allow,
            Word::Block => Self::Block,
        }
    }
}
