//! Layer 1: rules in, decision out. Pure: no async, no I/O, no clock; the same facts always give the same decision.

mod account;
mod ask;
mod explain;
mod index;
mod path;
mod people;
mod place;
mod risk;
mod rule;
mod schedule;
pub mod text;
mod verdict;
mod walk;
mod when;

pub use account::AccountFacts;
pub use ask::{StepUp, WARNED_FOR};
pub use explain::{Considered, Doubted, Explanation, Outcome, RiskLook};
pub use path::{PathFault, check_path};
pub use people::People;
pub use place::Place;
pub use risk::{AppRisk, AutoAction, Doubt, OnDoubt, Plane, RiskControl, RiskIs, RiskRule, RiskSettings};
pub use rule::{Condition, Rule, Who};
pub use schedule::Schedule;
pub use verdict::{Decision, Reason, Step, Verdict};
pub use when::When;

use std::sync::Arc;

use crate::facts::{AppId, Destination, Facts};
use index::Indexed;

/// A compiled set of rules: one generation, immutable.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    version: u64,
    /// Every access rule in the order written, for [`Policy::explain`].
    rules: Box<[Arc<Rule>]>,
    /// Every risk rule in the order written.
    risk_rules: Box<[Arc<RiskRule>]>,
    /// What is configured about risk; its rules are in `risk_rules`.
    risk: RiskControl,
    /// For each app that a rule names (by [`AppId`]), what may concern it.
    by_app: Box<[Concerning]>,
    /// What concerns every app beyond `by_app`.
    everywhere: Concerning,
    depends_on_time: bool,
}

/// The rules that may concern one app, in order, without those that are switched off.
#[derive(Debug, Clone, Default)]
struct Concerning {
    access: Indexed,
    /// Apps that the same risk rules concern share them.
    risk: Arc<risk::Levels>,
    app: AppRisk,
}

impl Concerning {
    /// Whether risk matters for the app.
    fn uses_risk(&self) -> bool {
        !self.risk.all().is_empty() || self.app.max_age.is_some()
    }
}

impl Policy {
    /// Compiles access rules, in order, into per-app lists. `version` names this generation in logs.
    ///
    /// App ids are expected to be dense, as the configuration numbers them: memory grows with the largest one.
    #[must_use]
    pub fn new(rules: Vec<Rule>, version: u64) -> Self {
        let sorted = |mut rule: Rule| {
            rule.who.sort();
            Arc::new(rule)
        };
        let mut policy = Self { version, rules: rules.into_iter().map(sorted).collect(), ..Self::default() };
        policy.compile();
        policy
    }

    /// The same access rules under this risk control.
    #[must_use]
    pub fn with_risk(mut self, mut control: RiskControl) -> Self {
        let sorted = |mut rule: RiskRule| {
            rule.who.sort();
            rule.except.sort();
            Arc::new(rule)
        };
        self.risk_rules = std::mem::take(&mut control.rules).into_iter().map(sorted).collect();
        control.settings.exempt.sort();
        self.risk = control;
        self.compile();
        self
    }

    /// The same policy with rules and names of its own. A decision takes a handle on its rule's name, and workers that
    /// shared one count would wait for each other's cores.
    #[must_use]
    pub fn apart(&self) -> Self {
        let access = |rule: &Arc<Rule>| Arc::new(Rule { name: (*rule.name).into(), ..Rule::clone(rule) });
        let risk = |rule: &Arc<RiskRule>| Arc::new(RiskRule { name: (*rule.name).into(), ..RiskRule::clone(rule) });
        let mut apart = Self {
            version: self.version,
            rules: self.rules.iter().map(access).collect(),
            risk_rules: self.risk_rules.iter().map(risk).collect(),
            risk: self.risk.clone(),
            ..Self::default()
        };
        apart.compile();
        apart
    }

    fn compile(&mut self) {
        let access = self.rules.iter().flat_map(|rule| &rule.apps);
        let risk = self.risk_rules.iter().flat_map(|rule| &rule.apps);
        let named = access.chain(risk).map(|app| app.0.saturating_add(1)).max().unwrap_or(0);
        let named = named.max(u32::try_from(self.risk.apps.len()).unwrap_or(u32::MAX));
        // No rule names this app, so those that concern it are those of every app.
        self.everywhere = self.concerning(AppId(u32::MAX));
        self.by_app = (0..named).map(|app| self.concerning(AppId(app))).collect();
        let apps = || std::iter::once(&self.everywhere).chain(&self.by_app);
        let asks = |rule: &Arc<Rule>| matches!(rule.verdict, Verdict::Warn | Verdict::Challenge);
        self.depends_on_time = apps().any(|app| {
            let ages = app.uses_risk() && app.app.max_age.or(self.risk.settings.max_age).is_some();
            ages || app.access.rules().iter().any(|rule| asks(rule) || rule.when.depends_on_time())
                || app.risk.all().iter().any(|rule| rule.depends_on_time())
                || (app.uses_risk() && self.risk.settings.step_up.is_some())
        });
    }

    fn concerning(&self, app: AppId) -> Concerning {
        let access = self.rules.iter().filter(|rule| rule.enabled && rule.concerns(app)).cloned().collect();
        let risk: Box<[_]> = self.risk_rules.iter().filter(|rule| rule.concerns(app)).cloned().collect();
        let shared = &self.everywhere.risk;
        let same = risk.len() == shared.all().len() && risk.iter().zip(shared.all()).all(|(a, b)| Arc::ptr_eq(a, b));
        let risk = if same { Arc::clone(shared) } else { Arc::new(risk::Levels::new(risk)) };
        Concerning { access: Indexed::new(access), risk, app: self.risk_of(app) }
    }

    fn risk_of(&self, app: AppId) -> AppRisk {
        let index = usize::try_from(app.0).unwrap_or(usize::MAX);
        self.risk.apps.get(index).copied().unwrap_or_default()
    }

    fn of(&self, app: AppId) -> &Concerning {
        let index = usize::try_from(app.0).unwrap_or(usize::MAX);
        self.by_app.get(index).unwrap_or(&self.everywhere)
    }

    /// The generation this policy was built for.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// Decides one request; the module `walk` says in which steps. Allocates nothing.
    ///
    /// While nobody is signed in, the answer is [`Reason::SignInRequired`] wherever it depends on who asks.
    #[must_use]
    pub fn decide(&self, facts: &Facts<'_>) -> Decision {
        let Destination::App { app, .. } = facts.destination;
        let concerning = self.of(app);
        let risk = concerning.uses_risk().then_some(risk::Scope {
            rules: concerning.risk.all(),
            levels: Some(&concerning.risk),
            settings: &self.risk.settings,
            app: concerning.app,
        });
        walk::walk(risk, concerning.access.candidates(facts), facts, &mut ())
    }

    /// Decides like [`Policy::decide`], by the same code over all rules, and tells what became of each rule.
    #[must_use]
    pub fn explain(&self, facts: &Facts<'_>) -> Explanation {
        let Destination::App { app, .. } = facts.destination;
        let (rules, settings) = (&self.risk_rules, &self.risk.settings);
        let risk = risk::Scope { rules, levels: None, settings, app: self.risk_of(app) };
        explain::explain(risk, self.uses_risk(app), &self.rules, facts)
    }

    /// Whether risk matters for requests to `app`: a rule on risk concerns it, or it has a `max_risk_age`.
    #[must_use]
    pub fn uses_risk(&self, app: AppId) -> bool {
        self.of(app).uses_risk()
    }

    /// Every risk rule, in the order written.
    #[must_use]
    pub fn risk_rules(&self) -> &[Arc<RiskRule>] {
        &self.risk_rules
    }

    /// What is configured about risk for all apps.
    #[must_use]
    pub const fn risk_settings(&self) -> &RiskSettings {
        &self.risk.settings
    }

    /// Whether a decision may change with the clock alone: a schedule, a greatest age, or something that was passed and
    /// runs out.
    #[must_use]
    pub const fn depends_on_time(&self) -> bool {
        self.depends_on_time
    }
}

#[cfg(test)]
mod tests;
