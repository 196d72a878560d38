//! `portcullis doctor`: is the world around the gateway as it needs it? One line per check, and what to do when not.

mod certificates;
mod contexts;
mod graph;
mod machine;
mod network;

use clap::Args;
use serde::Serialize;

use crate::config::Config;
use crate::facts::{SharedClock, SystemClock};

use super::{ConfigArguments, Exit, Output};

/// Check names, addresses, clock, provider, certificates and ports; say what to do about each failure.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigArguments,
}

/// One line of the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was checked.
    pub check: &'static str,
    /// How it went.
    pub health: Health,
    /// What was found.
    pub found: String,
    /// What to do; empty when all is well.
    pub advice: String,
}

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// All is well.
    Good,
    /// Works, but not for long or not for everybody.
    Doubtful,
    /// Does not work.
    Bad,
}

impl Health {
    const fn word(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Doubtful => "warn",
            Self::Bad => "FAIL",
        }
    }
}

impl Finding {
    fn good(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, health: Health::Good, found: found.into(), advice: String::new() }
    }

    fn doubtful(check: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { check, health: Health::Doubtful, found: found.into(), advice: advice.into() }
    }

    fn bad(check: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { check, health: Health::Bad, found: found.into(), advice: advice.into() }
    }
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Exit {
    let json = arguments.config.json;
    let config = match super::load(&arguments.config.config, json, output) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output.complain(&format!("cannot start: {error}"));
            return Exit::Invalid;
        }
    };
    let findings = runtime.block_on(examine(&config, &SystemClock::shared()));
    let healthy = findings.iter().all(|finding| finding.health != Health::Bad);
    if json {
        output.json(&serde_json::json!({ "healthy": healthy, "findings": findings }));
    } else {
        for finding in &findings {
            output.line(&format!("{:5} {:12} {}", finding.health.word(), finding.check, finding.found));
            if !finding.advice.is_empty() {
                output.line(&format!("{:18} -> {}", "", finding.advice));
            }
        }
    }
    if healthy { Exit::Done } else { Exit::Invalid }
}

/// All checks, in the order in which one failure explains the next.
async fn examine(config: &Config, clock: &SharedClock) -> Vec<Finding> {
    let mut findings = machine::configuration(config);
    findings.push(machine::state_dir(&config.state_dir));
    findings.extend(network::names(config).await);
    findings.extend(network::provider(config, clock).await);
    findings.extend(graph::permissions(config, clock).await);
    findings.extend(contexts::check(config, clock).await);
    findings.extend(certificates::check(config, clock.now()));
    findings.extend(machine::ports(config));
    findings
}

#[cfg(test)]
mod tests;
