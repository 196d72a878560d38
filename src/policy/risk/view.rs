//! An account's risk as rules see it.

use std::sync::Arc;

use crate::facts::{AccountRisk, RiskLevel, RiskReading, RiskState, Standing, UnixTime};

/// What rules compare with.
#[derive(Debug, Clone, Copy)]
pub(in crate::policy) struct View<'a> {
    pub(in crate::policy) level: RiskLevel,
    pub(in crate::policy) state: RiskState,
    pub(in crate::policy) detections: &'a [Arc<str>],
    /// The reading behind it, if the provider lists the account.
    pub(in crate::policy) reading: Option<&'a RiskReading>,
    /// Dismissed, remediated or confirmed safe.
    pub(super) is_closed: bool,
}

impl<'a> View<'a> {
    /// What was last read; an account that the provider does not list has no risk.
    pub(in crate::policy) fn of(standing: &'a Standing) -> Self {
        let none =
            Self { level: RiskLevel::None, state: RiskState::None, detections: &[], reading: None, is_closed: false };
        standing.risk.as_ref().map_or(none, |AccountRisk { reading, detections }| Self {
            level: reading.level,
            state: reading.state,
            detections,
            reading: Some(reading),
            is_closed: matches!(reading.state, RiskState::ConfirmedSafe | RiskState::Remediated | RiskState::Dismissed),
        })
    }

    /// Whether the provider's words do not say how much risk there is. What it has closed needs no level.
    pub(in crate::policy) const fn is_unknown(&self) -> bool {
        !self.is_closed && (!self.level.is_known() || matches!(self.state, RiskState::Unknown))
    }

    /// The same, judged as at least level low. What is known to be worse stays.
    pub(in crate::policy) const fn at_least_low(self) -> Self {
        match self.level {
            RiskLevel::Low | RiskLevel::Medium | RiskLevel::High if !self.is_closed => self,
            _ => Self { level: RiskLevel::Low, state: RiskState::AtRisk, is_closed: false, ..self },
        }
    }

    /// The same, with what the provider has closed taken for no risk at all.
    pub(super) const fn without_closed(self) -> Self {
        if self.is_closed {
            return Self { level: RiskLevel::None, state: RiskState::None, detections: &[], ..self };
        }
        self
    }

    /// When the provider last changed its mind, if it said so.
    pub(super) fn updated(&self) -> Option<UnixTime> {
        self.reading.map(|reading| reading.updated).filter(|at| at.0 != 0)
    }
}
