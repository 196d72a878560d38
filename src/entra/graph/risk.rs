//! Risky users and detections of risk.
//!
//! Source: <https://learn.microsoft.com/graph/api/riskyuser-list> and
//! <https://learn.microsoft.com/graph/api/riskdetection-list>; values of the enumerations from the v1.0 metadata of
//! 2026-08-20. There is no delta for risk, so these are polled.

use serde::Deserialize;

use super::{Capability, Graph, GraphError, Link, Page, page};
use crate::facts::{ObjectId, RiskLevel, RiskReading, RiskState, UnixTime};

/// One detection of risk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detection {
    /// Microsoft's id, for people to look it up.
    pub id: String,
    /// Whose account.
    pub user: ObjectId,
    /// What was detected: `riskEventType`, an open list of words.
    pub kind: Option<String>,
    /// How high.
    pub level: RiskLevel,
    /// What has become of it.
    pub state: RiskState,
    /// When it was detected, by Microsoft's clock.
    pub detected: Option<UnixTime>,
}

impl Graph {
    /// The first page of risky users; with `since` only those whose risk changed after it. Whether Graph filters by
    /// that time is not documented, so a full sweep must follow now and then.
    ///
    /// # Errors
    /// See [`GraphError`].
    pub async fn risky_users(&self, since: Option<UnixTime>) -> Result<Page<(ObjectId, RiskReading)>, GraphError> {
        let url = self.at(&listing("riskyUsers", "riskLastUpdatedDateTime", since))?;
        self.risky_users_at(&Link(url)).await
    }

    /// A further page of risky users.
    ///
    /// # Errors
    /// See [`GraphError`].
    pub async fn risky_users_at(&self, link: &Link) -> Result<Page<(ObjectId, RiskReading)>, GraphError> {
        let answer = self.get(&link.0, Capability::ReadRiskyUsers).await?;
        let now = self.now();
        page::read(&self.root, &answer.body, |text| Some((serde_json::from_str::<RiskyUser>(text).ok()?.read(now), 0)))
    }

    /// The first page of detections; with `since` only those detected after it.
    ///
    /// # Errors
    /// See [`GraphError`].
    pub async fn risk_detections(&self, since: Option<UnixTime>) -> Result<Page<Detection>, GraphError> {
        let url = self.at(&listing("riskDetections", "detectedDateTime", since))?;
        self.risk_detections_at(&Link(url)).await
    }

    /// A further page of detections.
    ///
    /// # Errors
    /// See [`GraphError`].
    pub async fn risk_detections_at(&self, link: &Link) -> Result<Page<Detection>, GraphError> {
        let answer = self.get(&link.0, Capability::ReadDetections).await?;
        page::read(&self.root, &answer.body, |text| Some((serde_json::from_str::<RawDetection>(text).ok()?.read(), 0)))
    }
}

/// 500 is the most that Graph gives at once.
fn listing(what: &str, property: &str, since: Option<UnixTime>) -> String {
    let mut path = format!("identityProtection/{what}?$top=500");
    let since = since.and_then(|since| chrono::DateTime::from_timestamp(i64::try_from(since.0).ok()?, 0));
    if let Some(since) = since {
        path.push_str(&format!("&$filter={property}%20gt%20{}", since.format("%Y-%m-%dT%H:%M:%SZ")));
    }
    path
}

/// `2026-09-14T10:22:31.5540129Z`, down to the second.
pub(super) fn time(text: &str) -> Option<UnixTime> {
    let time = chrono::DateTime::parse_from_rfc3339(text).ok()?;
    u64::try_from(time.timestamp()).ok().map(UnixTime)
}

fn level(word: Option<&str>) -> RiskLevel {
    match word {
        Some("none") => RiskLevel::None,
        Some("low") => RiskLevel::Low,
        Some("medium") => RiskLevel::Medium,
        Some("high") => RiskLevel::High,
        Some("hidden") => RiskLevel::Hidden,
        _ => RiskLevel::Unknown,
    }
}

fn state(word: Option<&str>) -> RiskState {
    match word {
        Some("none") => RiskState::None,
        Some("confirmedSafe") => RiskState::ConfirmedSafe,
        Some("remediated") => RiskState::Remediated,
        Some("dismissed") => RiskState::Dismissed,
        Some("atRisk") => RiskState::AtRisk,
        Some("confirmedCompromised") => RiskState::ConfirmedCompromised,
        _ => RiskState::Unknown,
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RiskyUser {
    id: ObjectId,
    is_deleted: Option<bool>,
    is_processing: Option<bool>,
    risk_level: Option<String>,
    risk_state: Option<String>,
    risk_last_updated_date_time: Option<String>,
}

impl RiskyUser {
    fn read(self, now: UnixTime) -> (ObjectId, RiskReading) {
        let reading = RiskReading {
            level: level(self.risk_level.as_deref()),
            state: state(self.risk_state.as_deref()),
            updated: self.risk_last_updated_date_time.as_deref().and_then(time).unwrap_or(UnixTime(0)),
            read: now,
            deleted: self.is_deleted.unwrap_or(false),
            processing: self.is_processing.unwrap_or(false),
        };
        (self.id, reading)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDetection {
    id: String,
    user_id: ObjectId,
    risk_event_type: Option<String>,
    risk_level: Option<String>,
    risk_state: Option<String>,
    detected_date_time: Option<String>,
}

impl RawDetection {
    fn read(self) -> Detection {
        Detection {
            id: self.id,
            user: self.user_id,
            kind: self.risk_event_type,
            level: level(self.risk_level.as_deref()),
            state: state(self.risk_state.as_deref()),
            detected: self.detected_date_time.as_deref().and_then(time),
        }
    }
}
