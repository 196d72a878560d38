//! Checks of the network: names and the way to the provider and the apps.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use crate::config::Config;
use crate::entra::{ProbeFinding, ProbeOutcome, RelyingParty};
use crate::facts::SharedClock;

use super::{Finding, Health};

/// Longer than any healthy answer, short enough to wait for.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whether every name resolves: ours for browsers, the provider's and the apps' for us.
pub(super) async fn names(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    let own = format!("redirect address {}", config.entra.redirect_uri);
    findings.push(found_by_browsers("redirect", &config.sign_in.host, &own).await);
    let own_hosts: BTreeMap<&str, &str> =
        config.apps.iter().map(|app| (app.host.as_str(), app.name.as_str())).collect();
    for (host, app) in own_hosts {
        findings.push(found_by_browsers("name", host, &format!("app \"{app}\"")).await);
    }
    let mut hosts: BTreeMap<&str, &str> = BTreeMap::new();
    for app in &config.apps {
        for endpoint in &app.upstream.endpoints {
            let host = endpoint.rsplit_once(':').map_or(endpoint.as_str(), |(host, _)| host);
            hosts.entry(host).or_insert(&app.name);
        }
    }
    let advice = "the app cannot be reached by this name: correct upstream in the configuration, or this machine's DNS";
    for (host, app) in hosts {
        findings.push(resolves("upstream", host, &format!("app \"{app}\""), advice).await);
    }
    findings
}

/// Whether one of the gateway's own names resolves, as far as this machine can tell for browsers elsewhere.
async fn found_by_browsers(check: &'static str, host: &str, what: &str) -> Finding {
    // RFC 6761 section 6.3: browsers take these for their own machine without asking anybody.
    if host.ends_with(".localhost") {
        return Finding::good(check, format!("{host} is the browser's own machine ({what})"));
    }
    resolves(check, host, what, "browsers must find this name at the gateway: add it to the DNS they use").await
}

async fn resolves(check: &'static str, host: &str, what: &str, advice: &str) -> Finding {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if bare.parse::<IpAddr>().is_ok() {
        return Finding::good(check, format!("{host} is an address ({what})"));
    }
    match timeout(PATIENCE, lookup_host((host, 0))).await {
        Ok(Ok(mut addresses)) => match addresses.next() {
            Some(address) => Finding::good(check, format!("{host} is {} ({what})", address.ip())),
            None => Finding::bad(check, format!("{host} has no address ({what})"), advice),
        },
        Ok(Err(error)) => Finding::bad(check, format!("{host} does not resolve: {error} ({what})"), advice),
        Err(_) => Finding::bad(check, format!("{host}: no answer from the DNS in 5s ({what})"), advice),
    }
}

/// Whether the provider can be reached at all.
pub(super) async fn provider(config: &Config, clock: &SharedClock) -> Vec<Finding> {
    let authority = &config.entra.authority;
    let host = authority.host_str().unwrap_or_default();
    let port = authority.port_or_known_default().unwrap_or(443);
    let advice = "allow this machine to resolve and reach the login host; everything about signing in depends on it";
    let finding = match timeout(PATIENCE, TcpStream::connect((host.trim_matches(['[', ']']), port))).await {
        Ok(Ok(_)) => Finding::good("provider", format!("{host}:{port} answers")),
        Ok(Err(error)) => Finding::bad("provider", format!("{host}:{port}: {error}"), advice),
        Err(_) => Finding::bad("provider", format!("{host}:{port}: no connection in 5s"), advice),
    };
    let reached = finding.health == Health::Good;
    let mut findings = vec![finding];
    match RelyingParty::new(config.entra.clone(), Arc::clone(clock)) {
        // Without a connection the probe would only repeat that there is none, slowly.
        Ok(provider) if reached => findings.extend(provider.probe().await.into_iter().map(Finding::from)),
        Ok(_) => {}
        Err(error) => {
            let advice = "correct [entra] in the configuration";
            findings.push(Finding::bad("credential", error.to_string(), advice));
        }
    }
    findings
}

impl From<ProbeFinding> for Finding {
    fn from(probed: ProbeFinding) -> Self {
        let ProbeFinding { check, outcome, found, advice } = probed;
        let health = match outcome {
            ProbeOutcome::Good => Health::Good,
            ProbeOutcome::Doubtful => Health::Doubtful,
            ProbeOutcome::Bad => Health::Bad,
        };
        Self { check, health, found, advice: advice.to_owned() }
    }
}
