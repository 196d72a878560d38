//! What the command line says about the person and the moment.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;

use crate::facts::{
    Account, AccountRisk, Acknowledged, AuthContext, Hold, Passed, Proof, RiskFeed, RiskLevel, RiskReading, RiskSource,
    RiskState, Standing, Subject, UnixTime, parse_duration,
};

/// How the person stands, what the session has passed, from where and when the request comes.
#[derive(Debug, Args)]
pub(super) struct Circumstances {
    /// Level of the account's risk: none, low, medium, high, hidden, unknown. Left out: the provider lists no risk.
    #[arg(long, requires = "user", conflicts_with = "anonymous", value_parser = level)]
    risk: Option<RiskLevel>,
    /// State of the risk: none, `confirmed_safe`, remediated, dismissed, `at_risk`, `confirmed_compromised`, unknown.
    #[arg(long, requires = "risk", value_parser = state)]
    risk_state: Option<RiskState>,
    /// Detection behind the risk, in the provider's words; may be repeated.
    #[arg(long, requires = "risk")]
    detection: Vec<String>,
    /// How long ago the risk last changed.
    #[arg(long, requires = "risk", default_value = "1h", value_parser = span)]
    risk_changed: Duration,
    /// How long ago the provider last confirmed what is known, which is what `max_risk_age` is about.
    #[arg(long, default_value = "0s", value_parser = span)]
    risk_age: Duration,
    /// Where risk comes from: answers, `never_synced`, `no_permission`, `no_licence`, `not_in_cloud`, `upload_off`,
    /// `not_configured`.
    #[arg(long, default_value = "answers", value_parser = source)]
    source: RiskSource,
    /// The account in the directory: enabled, disabled, deleted, unknown.
    #[arg(long, default_value = "unknown", requires = "user", value_parser = account)]
    account: Account,
    /// An administrator has blocked the person by hand: private, internet or both.
    #[arg(long, requires = "user", conflicts_with = "anonymous", value_parser = hold)]
    hold: Option<Hold>,
    /// How long ago the person signed in.
    #[arg(long, default_value = "0s", value_parser = span)]
    signed_in: Duration,
    /// How long ago the provider began to accept new sign-ins only.
    #[arg(long, requires = "user", value_parser = span)]
    revoked: Option<Duration>,
    /// Step-up that the session has passed: a context, and how long ago, as in c1 or c1:10m; may be repeated.
    #[arg(long, requires = "user", value_parser = proof)]
    proof: Vec<(AuthContext, Duration)>,
    /// Rule whose warning the person has gone on from; may be repeated.
    #[arg(long, requires = "user")]
    acknowledged: Vec<String>,
    /// Address the request comes from.
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    from: IpAddr,
    /// Moment of the request, such as 2026-11-27T08:00:00Z. Left out: now.
    #[arg(long, value_parser = moment)]
    at: Option<UnixTime>,
}

impl Circumstances {
    pub(super) fn now(&self, clock: UnixTime) -> UnixTime {
        self.at.unwrap_or(clock)
    }

    pub(super) const fn client(&self) -> IpAddr {
        self.from
    }

    pub(super) const fn authenticated(&self, now: UnixTime) -> UnixTime {
        ago(now, self.signed_in)
    }

    pub(super) fn feed(&self, now: UnixTime) -> RiskFeed {
        let never = matches!(self.source, RiskSource::NeverSynced | RiskSource::NotConfigured);
        RiskFeed { source: self.source, confirmed: if never { UnixTime(0) } else { ago(now, self.risk_age) } }
    }

    pub(super) fn standing(&self, subject: &Subject, now: UnixTime) -> Standing {
        let risk = self.risk.map(|level| {
            let usual = if level == RiskLevel::None { RiskState::None } else { RiskState::AtRisk };
            let changed = ago(now, self.risk_changed);
            AccountRisk {
                reading: RiskReading {
                    level,
                    state: self.risk_state.unwrap_or(usual),
                    updated: changed,
                    read: changed,
                    deleted: false,
                    processing: false,
                },
                detections: self.detection.iter().map(|word| word.as_str().into()).collect(),
            }
        });
        Standing {
            risk,
            account: self.account,
            hold: self.hold.unwrap_or_default(),
            valid_from: self.revoked.map(|span| ago(now, span)),
            ..Standing::of_token(subject)
        }
    }

    pub(super) fn passed(&self, now: UnixTime) -> Passed {
        let proof = |(context, span): &(AuthContext, Duration)| Proof { context: *context, at: ago(now, *span) };
        let acknowledged = |rule: &String| Acknowledged { rule: rule.as_str().into(), at: now };
        Passed {
            proofs: self.proof.iter().map(proof).collect(),
            acknowledged: self.acknowledged.iter().map(acknowledged).collect(),
        }
    }
}

const fn ago(now: UnixTime, span: Duration) -> UnixTime {
    UnixTime(now.0.saturating_sub(span.as_secs()))
}

/// The value whose word is `text`.
fn by_word<T: Copy>(all: &[T], word: impl Fn(T) -> &'static str, text: &str) -> Result<T, String> {
    let found = all.iter().copied().find(|value| word(*value) == text);
    found.ok_or_else(|| {
        format!("expected one of {}", all.iter().map(|value| word(*value)).collect::<Vec<_>>().join(", "))
    })
}

fn level(text: &str) -> Result<RiskLevel, String> {
    use RiskLevel::{Hidden, High, Low, Medium, None, Unknown};
    by_word(&[None, Low, Medium, High, Hidden, Unknown], RiskLevel::word, text)
}

fn state(text: &str) -> Result<RiskState, String> {
    use RiskState::{AtRisk, ConfirmedCompromised, ConfirmedSafe, Dismissed, None, Remediated, Unknown};
    let all = [None, ConfirmedSafe, Remediated, Dismissed, AtRisk, ConfirmedCompromised, Unknown];
    by_word(&all, RiskState::word, text)
}

fn source(text: &str) -> Result<RiskSource, String> {
    by_word(&RiskSource::ALL, RiskSource::word, text)
}

fn account(text: &str) -> Result<Account, String> {
    match text {
        "enabled" => Ok(Account::Enabled),
        "disabled" => Ok(Account::Disabled),
        "deleted" => Ok(Account::Deleted),
        "unknown" => Ok(Account::Unknown),
        _ => Err("expected one of enabled, disabled, deleted, unknown".to_owned()),
    }
}

fn hold(text: &str) -> Result<Hold, String> {
    match text {
        "private" => Ok(Hold { private: true, internet: false }),
        "internet" => Ok(Hold { private: false, internet: true }),
        "both" => Ok(Hold { private: true, internet: true }),
        _ => Err("expected one of private, internet, both".to_owned()),
    }
}

fn span(text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|error| error.to_string())
}

fn proof(text: &str) -> Result<(AuthContext, Duration), String> {
    let (context, age) = text.split_once(':').unwrap_or((text, "0s"));
    let context = AuthContext::parse(context).ok_or("expected a context such as c1, or c1:10m")?;
    Ok((context, span(age)?))
}

fn moment(text: &str) -> Result<UnixTime, String> {
    let moment: Timestamp = text.parse().map_err(|_| "expected a moment such as 2026-11-27T08:00:00Z".to_owned())?;
    u64::try_from(moment.as_second()).map(UnixTime).map_err(|_| "expected a moment after 1970".to_owned())
}
