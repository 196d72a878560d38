//! What several rules ask for at once, held against what the session has passed already.
//!
//! **Why nobody is challenged for ever.** A step-up counts when it is no older than the rule's lifetime and not older
//! than the last change of the risk itself. That moment is the provider's ([`RiskReading::updated`]), on the provider's
//! clock; but a change cannot have happened after this gateway read of it, so the earlier of "updated" and "read" is
//! taken. Whoever passes a step-up passes it after the gateway knew of the risk, so it counts. A reading may be stamped
//! anew with every look, though, and then says nothing about when the change was read; so while the provider's moment
//! lies ahead of our clock, it is taken back by [`LEEWAY`]. A moment that is missing or lies farther ahead than honest
//! clocks are apart is none at all, and the lifetime alone counts.

use std::sync::Arc;
use std::time::Duration;

use crate::facts::{AuthContext, Facts, RiskReading, UnixTime};

use super::{Decision, Reason, Step, Verdict};

/// How far two honest clocks may be apart.
pub(super) const LEEWAY: Duration = Duration::from_secs(300);

/// How long a warning that was gone on from is not shown again.
pub const WARNED_FOR: Duration = Duration::from_secs(24 * 3600);

/// The step-up that a challenge asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepUp {
    /// The authentication context that the provider has to vouch for.
    pub context: AuthContext,
    /// How long a step-up counts.
    pub lifetime: Duration,
}

/// One thing asked for, and by what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ask<'p> {
    pub(super) verdict: Verdict,
    pub(super) reason: Reason,
    pub(super) step: Step,
    pub(super) rule: Option<&'p Arc<str>>,
    pub(super) step_up: Option<StepUp>,
}

impl Ask<'_> {
    pub(super) fn decision(&self, verdict: Verdict) -> Decision {
        let needs = self.step_up.filter(|_| verdict == Verdict::Challenge).map(|step_up| step_up.context);
        Decision { verdict, reason: self.reason, step: self.step, rule: self.rule.cloned(), needs }
    }

    /// What is left of the verdict after what the session has passed. `risk` is the reading it is about, if any.
    pub(super) fn remains(&self, risk: Option<&RiskReading>, facts: &Facts<'_>) -> Verdict {
        match (self.verdict, self.step_up) {
            (Verdict::Challenge, Some(step_up)) if is_proven(step_up, risk, facts) => Verdict::Monitor,
            // Nothing could ever satisfy it.
            (Verdict::Challenge, None) => Verdict::Block,
            (Verdict::Warn, _) if self.rule.is_some_and(|rule| is_acknowledged(rule, facts)) => Verdict::Monitor,
            (verdict, _) => verdict,
        }
    }
}

/// Everything asked for: of each verdict the first.
#[derive(Debug, Default)]
pub(super) struct Asks<'p> {
    block: Option<Ask<'p>>,
    challenge: Option<Ask<'p>>,
    warn: Option<Ask<'p>>,
    monitor: Option<Ask<'p>>,
}

impl<'p> Asks<'p> {
    /// Adds one and says what is left of its verdict.
    pub(super) fn add(&mut self, ask: Ask<'p>, risk: Option<&RiskReading>, facts: &Facts<'_>) -> Verdict {
        let left = ask.remains(risk, facts);
        let place = match left {
            Verdict::Block => &mut self.block,
            Verdict::Challenge => &mut self.challenge,
            Verdict::Warn => &mut self.warn,
            Verdict::Monitor => &mut self.monitor,
            Verdict::Allow => return left,
        };
        place.get_or_insert(ask);
        left
    }

    /// The refusal, if any of them is one.
    pub(super) fn refusal(&self) -> Option<Decision> {
        self.block.map(|ask| ask.decision(Verdict::Block))
    }

    /// The strictest, if anything was asked for.
    pub(super) fn strictest(&self) -> Option<Decision> {
        let of = |ask: Option<Ask<'p>>, verdict| ask.map(|ask| ask.decision(verdict));
        self.refusal()
            .or_else(|| of(self.challenge, Verdict::Challenge))
            .or_else(|| of(self.warn, Verdict::Warn))
            .or_else(|| of(self.monitor, Verdict::Monitor))
    }
}

/// Whether the session has passed this step-up lately enough.
fn is_proven(step_up: StepUp, risk: Option<&RiskReading>, facts: &Facts<'_>) -> bool {
    let changed = risk.map_or(UnixTime(0), |reading| change(reading, facts.now));
    facts.passed.proofs.iter().any(|proof| {
        proof.context == step_up.context && is_recent(proof.at, step_up.lifetime, facts.now) && proof.at >= changed
    })
}

fn is_acknowledged(rule: &Arc<str>, facts: &Facts<'_>) -> bool {
    let mut all = facts.passed.acknowledged.iter();
    all.any(|warning| warning.rule == *rule && is_recent(warning.at, WARNED_FOR, facts.now))
}

/// Whether `at` is at most `span` ago. A moment ahead of the clock, which was put back then, is not recent.
fn is_recent(at: UnixTime, span: Duration, now: UnixTime) -> bool {
    at <= now.plus(LEEWAY) && now.since(at) <= span
}

/// The moment before which a step-up says nothing about this risk; see the module.
fn change(reading: &RiskReading, now: UnixTime) -> UnixTime {
    let updated = reading.updated;
    if updated > now.plus(LEEWAY) {
        return UnixTime(0);
    }
    let updated = if updated > now { UnixTime(updated.0.saturating_sub(LEEWAY.as_secs())) } else { updated };
    updated.min(reading.read)
}
