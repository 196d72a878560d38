//! Layer 1: rules in, decision out. Pure: no async, no I/O, no clock; the same facts always give the same decision.

mod explain;
mod path;
mod people;
mod rule;
pub mod text;
mod verdict;
mod walk;

pub use explain::{Considered, Explanation, Outcome};
pub use path::{PathFault, check_path};
pub use rule::{Condition, Rule, Who};
pub use verdict::{Decision, Reason, Step, Verdict};

use std::sync::Arc;

use crate::facts::{AppId, Destination, Facts};

/// A compiled set of rules: one generation, immutable.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    version: u64,
    /// Every rule in the order written, for [`Policy::explain`].
    rules: Box<[Arc<Rule>]>,
    /// For each app that a rule names (by [`AppId`]), the rules that may concern it, in order.
    by_app: Box<[Box<[Arc<Rule>]>]>,
    /// The rules that name no app, in order: those of every app beyond `by_app`.
    everywhere: Box<[Arc<Rule>]>,
}

impl Policy {
    /// Compiles rules, in order, into per-app lists. `version` names this generation in logs.
    ///
    /// App ids are expected to be dense, as the configuration numbers them: memory grows with the largest one.
    #[must_use]
    pub fn new(rules: Vec<Rule>, version: u64) -> Self {
        let rules: Box<[Arc<Rule>]> = rules.into_iter().map(Arc::new).collect();
        let named = rules.iter().flat_map(|rule| &rule.apps).map(|app| app.0.saturating_add(1)).max().unwrap_or(0);
        let concerning = |app: AppId| rules.iter().filter(|rule| rule.concerns(app)).cloned().collect();
        let by_app = (0..named).map(|app| concerning(AppId(app))).collect();
        let everywhere = rules.iter().filter(|rule| rule.apps.is_empty()).cloned().collect();
        Self { version, rules, by_app, everywhere }
    }

    /// The generation this policy was built for.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// Whether a decision may change with the clock alone.
    #[must_use]
    pub const fn depends_on_time(&self) -> bool {
        true
    }

    /// Decides one request: the first rule that matches wins, and without one the request is blocked.
    /// Allocates nothing.
    ///
    /// While nobody is signed in, the answer is [`Reason::SignInRequired`] wherever it depends on who asks; the module
    /// `walk` says exactly when that is.
    #[must_use]
    pub fn decide(&self, facts: &Facts<'_>) -> Decision {
        let Destination::App { app, .. } = facts.destination;
        let index = usize::try_from(app.0).unwrap_or(usize::MAX);
        walk::walk(self.by_app.get(index).unwrap_or(&self.everywhere), facts, |_, _| ())
    }

    /// Decides like [`Policy::decide`], by the same code over all rules, and tells what became of each rule.
    #[must_use]
    pub fn explain(&self, facts: &Facts<'_>) -> Explanation {
        explain::explain(&self.rules, facts)
    }
}

#[cfg(test)]
mod tests;
