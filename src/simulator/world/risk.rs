//! How risky an account is, as a list of steps: the newest step that has come counts (reference section 4).

use serde::{Deserialize, Serialize};

/// `riskLevel` (reference section 4.1). `hidden` is no level of its own: a tenant without the licence sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RiskLevel {
    /// No risk.
    None,
    /// Low.
    Low,
    /// Medium.
    Medium,
    /// High.
    High,
}

impl RiskLevel {
    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }

    /// The level with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::None, Self::Low, Self::Medium, Self::High].into_iter().find(|level| level.name() == name)
    }
}

/// One change of an account's risk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RiskStep {
    /// When it takes effect, in microseconds since 1970. A step may lie ahead.
    pub at: u64,
    /// `riskLevel`.
    pub level: RiskLevel,
    /// `riskState` (reference section 4.1).
    pub state: String,
    /// `riskDetail` (reference section 4.1).
    pub detail: String,
    /// The detections behind it (`riskEventTypes`).
    pub events: Vec<String>,
    /// `initiatedBy` of the history: who did it, when it was an administrator.
    pub by: Option<String>,
}

impl RiskStep {
    /// A detection raised (or, with [`RiskLevel::None`], the service itself lowered) the level.
    #[must_use]
    pub fn detected(at: u64, level: RiskLevel) -> Self {
        let (state, detail, events) = match level {
            // Reference section 4.6: the service judges the sign-in safe.
            RiskLevel::None => ("dismissed", "aiConfirmedSigninSafe", Vec::new()),
            _ => ("atRisk", "none", vec!["unfamiliarFeatures".to_owned()]),
        };
        Self { at, level, state: state.to_owned(), detail: detail.to_owned(), events, by: None }
    }
}

/// The steps of one account, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Risk {
    steps: Vec<RiskStep>,
}

impl Risk {
    /// Adds a step; steps stay in the order of their time, at most the newest hundred of them.
    pub fn push(&mut self, step: RiskStep) {
        let place = self.steps.partition_point(|known| known.at <= step.at);
        self.steps.insert(place, step);
        if self.steps.len() > MAX_STEPS {
            self.steps.remove(0);
        }
    }

    /// The steps that have come by `now`, oldest first.
    #[must_use]
    pub fn history(&self, now: u64) -> &[RiskStep] {
        self.steps.get(..self.steps.partition_point(|step| step.at <= now)).unwrap_or_default()
    }

    /// What counts at `now`; `None` for an account that was never at risk.
    #[must_use]
    pub fn current(&self, now: u64) -> Option<&RiskStep> {
        self.history(now).last()
    }

    /// Whether an administrator's step is on its way (`isProcessing`, reference section 4.6).
    #[must_use]
    pub fn is_processing(&self, now: u64) -> bool {
        self.steps.iter().any(|step| step.at > now && step.by.is_some())
    }
}

const MAX_STEPS: usize = 100;
