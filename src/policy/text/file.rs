//! The rules file as it is written, key by key. Its documentation comments are the reference people read.

mod risk;
mod scope;

pub(super) use risk::{Level, LevelWord, Risk, RiskEntry, StateWord};
pub(super) use scope::{Place, Schedule};

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::document::At;
use crate::policy::Verdict;

/// Rules of Portcullis. Among the access rules the first whose conditions all hold decides; without one the request is
/// blocked. Before them come the risk rules, of which every one that matches counts.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Rules {
    /// The access rules, in order.
    #[serde(default)]
    pub(super) rule: Vec<Entry>,
    /// The risk rules.
    #[serde(default)]
    pub(super) risk_rule: Vec<RiskEntry>,
    /// What holds for risk everywhere, above all where it is not known.
    #[serde(default)]
    pub(super) risk: Risk,
    /// Networks with a name.
    #[serde(default)]
    pub(super) place: Vec<Place>,
    /// Weekly windows with a name.
    #[serde(default)]
    pub(super) schedule: Vec<Schedule>,
    /// How long a step-up counts, by authentication context: `c1 = "8h"`. Left out: `1h`.
    #[serde(default)]
    pub(super) lifetimes: BTreeMap<String, At<String>>,
}

/// A list as it is written: left out, or with the place of each element.
pub(super) type List = Option<At<Vec<At<String>>>>;

/// One access rule. It says whom it is about by `who`, or by `users` and `groups`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    /// Unique name, also among the risk rules; appears in logs, metrics and `explain`.
    pub(super) name: At<String>,
    /// `false` switches the rule off.
    #[serde(default = "yes")]
    pub(super) enabled: bool,
    /// Names of the apps the rule is about. Left out: every app.
    pub(super) apps: List,
    /// People in general; not together with `users` or `groups`.
    pub(super) who: Option<At<People>>,
    /// People by identity, each written `tenant id:object id`.
    pub(super) users: List,
    /// Groups by object id. A member of any of them, or any of `users`, is meant.
    pub(super) groups: List,
    /// Methods in upper case. Left out: any.
    pub(super) methods: List,
    /// Path prefixes on whole segments: `/docs` covers `/docs` and `/docs/a`, not `/documents`. Left out: any.
    pub(super) paths: List,
    /// Places of which the request comes from any. Left out: from anywhere.
    pub(super) places: List,
    /// Places of which it comes from none.
    pub(super) not_places: List,
    /// Schedules of which any holds. Left out: always.
    pub(super) schedules: List,
    /// Schedules of which none holds.
    pub(super) not_schedules: List,
    /// What happens when the rule matches.
    pub(super) verdict: At<Word>,
    /// Authentication context, `c1` to `c99`, that a challenge asks for.
    pub(super) context: Option<At<String>>,
    /// How long the step-up of a challenge counts. Left out: as under `[lifetimes]`.
    pub(super) lifetime: Option<At<String>>,
}

pub(super) const fn yes() -> bool {
    true
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
    /// Let it through and write it down whatever the decision log leaves out.
    Monitor,
    /// Show a page first from which the person may go on; then not again for 24 hours.
    Warn,
    /// Ask for a stronger sign-in first.
    Challenge,
    /// Refuse it.
    Block,
}

impl From<Word> for Verdict {
    fn from(word: Word) -> Self {
        match word {
            Word::Allow => Self::Allow,
            Word::Monitor => Self::Monitor,
            Word::Warn => Self::Warn,
            Word::Challenge => Self::Challenge,
            Word::Block => Self::Block,
        }
    }
}
