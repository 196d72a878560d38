//! The checks behind `doctor`: each says what was found and what to do about it.

use std::time::Duration;

use super::Inner;
use super::discovery::Realm;
use super::error::{BadAnswer, EntraError, Misconfiguration, UnreachableCause};
use super::tenants::RealmCache;
use crate::facts::{UnixTime, format_duration};

/// One line of `doctor`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeFinding {
    /// What was checked, e.g. `discovery`.
    pub check: &'static str,
    /// How it went.
    pub outcome: ProbeOutcome,
    /// What was found.
    pub found: String,
    /// What to do; empty when all is well.
    pub advice: &'static str,
}

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeOutcome {
    /// All is well.
    Good,
    /// Works, but not for long or not for everybody.
    Doubtful,
    /// Nobody can sign in.
    Bad,
}

pub(super) async fn run(inner: &Inner) -> Vec<ProbeFinding> {
    let mut findings = Vec::new();
    for cache in inner.caches() {
        findings.push(documents(cache).await);
    }
    findings.push(clocks(inner).await);
    findings.push(credential(inner).await);
    findings
}

async fn documents(cache: &RealmCache) -> ProbeFinding {
    let realm = match cache.realm() {
        Realm::Tenant(tenant) => tenant.to_string(),
        Realm::Organizations => "organizations".to_owned(),
    };
    match cache.try_fetch().await {
        Ok(known) => {
            let keys = match cache.realm() {
                Realm::Tenant(_) => format!(", {} usable signing keys", known.key_count()),
                Realm::Organizations => String::new(),
            };
            let found = format!("{realm}: issuer {}{keys}", known.discovery.issuer);
            ProbeFinding { check: "discovery", outcome: ProbeOutcome::Good, found, advice: "" }
        }
        Err(error) => {
            let found = format!("{realm}: {}", error.details());
            ProbeFinding { check: "discovery", outcome: ProbeOutcome::Bad, found, advice: advice(&error) }
        }
    }
}

fn advice(error: &EntraError) -> &'static str {
    match error {
        EntraError::Unreachable { cause: UnreachableCause::Tls, .. } => {
            "the certificate of the login host is not trusted: add the root of your TLS-inspecting proxy as extra CA"
        }
        EntraError::Unreachable { cause: UnreachableCause::Connect | UnreachableCause::Timeout, .. } => {
            "allow this machine to resolve and reach the login host on port 443"
        }
        EntraError::Misconfigured { what: Misconfiguration::Tenant, .. } | EntraError::BadAnswer(BadAnswer::Status) => {
            "check the tenant id: the login host does not know this tenant"
        }
        EntraError::BadAnswer(BadAnswer::DiscoveryIssuer | BadAnswer::DiscoveryEndpoint) => {
            "check the authority: it must be the login host of your tenant's cloud, and nothing may rewrite its answers"
        }
        EntraError::BadAnswer(_) => "something between this machine and the login host answers in its place",
        _ => "try again; if it stays, look at the status page of Microsoft Entra",
    }
}

async fn clocks(inner: &Inner) -> ProbeFinding {
    let finding = |outcome, found: String, advice| ProbeFinding { check: "clock", outcome, found, advice };
    let answer = match inner.front().and_then(|cache| inner.authority.discovery_url(cache.realm())) {
        Ok(url) => inner.http.document(&url).await,
        Err(error) => Err(error),
    };
    let Some(theirs) = answer.ok().and_then(|answer| answer.date()) else {
        return finding(ProbeOutcome::Doubtful, "the provider told no time".to_owned(), "check the clock by hand");
    };
    let ours = inner.clock.now();
    let difference = ours.since(theirs).max(theirs.since(ours));
    let found = format!("differs from the provider's by {}", format_duration(difference));
    if difference > inner.config.skew {
        return finding(ProbeOutcome::Bad, found, "set the clock: tokens look expired or not yet valid");
    }
    if difference > CLOCK_WARNING {
        return finding(ProbeOutcome::Doubtful, found, "run a time service on this machine");
    }
    finding(ProbeOutcome::Good, found, "")
}

async fn credential(inner: &Inner) -> ProbeFinding {
    let kind = inner.credential.kind();
    let finding = |outcome, found: String, advice| ProbeFinding { check: "credential", outcome, found, advice };
    let now = inner.clock.now();
    // Made for nobody: shows that the file can be read and the key can sign.
    if let Err(error) = inner.credential.prove(&inner.config.client_id, &inner.config.authority, now).await {
        return finding(ProbeOutcome::Bad, error.details(), "make the file readable and its content valid");
    }
    let Some(expires) = inner.credential.expires() else {
        return finding(ProbeOutcome::Good, format!("{kind} present"), "");
    };
    expiry(expires, now).map_or_else(
        || finding(ProbeOutcome::Good, format!("{kind} good for {} days", days(expires.since(now))), ""),
        |(outcome, found, advice)| finding(outcome, found, advice),
    )
}

fn expiry(expires: UnixTime, now: UnixTime) -> Option<(ProbeOutcome, String, &'static str)> {
    let renew = "upload a new certificate to the app registration and configure it here";
    if now >= expires {
        return Some((ProbeOutcome::Bad, "certificate has expired".to_owned(), renew));
    }
    let left = expires.since(now);
    (left < EXPIRY_WARNING)
        .then(|| (ProbeOutcome::Doubtful, format!("certificate expires in {} days", days(left)), renew))
}

const fn days(span: Duration) -> u64 {
    span.as_secs() / 86_400
}

const CLOCK_WARNING: Duration = Duration::from_secs(30);
const EXPIRY_WARNING: Duration = Duration::from_secs(30 * 86_400);
