//! `portcullis simulate risk set NAME LEVEL`: moves a lever of a running simulator through its control API.

use std::net::SocketAddr;

use bytes::Bytes;
use clap::{Args, Subcommand, ValueEnum};
use http::{Request, StatusCode};
use http_body_util::Full;
use serde_json::json;

use crate::cli::exchange::{Unanswered, exchange};
use crate::cli::{Exit, Output};

/// What to do to a running simulator.
#[derive(Debug, Subcommand)]
pub(super) enum Lever {
    /// Change how risky somebody is.
    #[command(subcommand)]
    Risk(RiskCommand),
}

/// What to do about risk.
#[derive(Debug, Subcommand)]
pub(super) enum RiskCommand {
    /// Set somebody's risk level, at once or a while ahead.
    Set(RiskSet),
}

/// Whose risk becomes what.
#[derive(Debug, Args)]
pub(super) struct RiskSet {
    /// An object id, a user principal name, or the part of it before the `@`.
    name: String,
    /// The risk level.
    level: Level,
    /// Seconds until it shows.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    after: u64,
    /// Address of the running simulator.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9444")]
    simulator: SocketAddr,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Level {
    None,
    Low,
    Medium,
    High,
}

impl Level {
    const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// Runs the command on this runtime.
pub(super) async fn run(lever: &Lever, json: bool, output: &mut Output) -> Exit {
    let Lever::Risk(RiskCommand::Set(set)) = lever;
    match put(set).await {
        Ok(()) => {
            tell(set, json, output);
            Exit::Done
        }
        Err(problem) => {
            output.complain(&problem);
            Exit::Invalid
        }
    }
}

fn tell(set: &RiskSet, json: bool, output: &mut Output) {
    let RiskSet { name, level, after, .. } = set;
    match (json, after) {
        (true, after) => output.compact(&json!({"name": name, "level": level.name(), "after_seconds": after})),
        (false, 0) => output.line(&format!("{name} is now at risk level {}", level.name())),
        (false, after) => output.line(&format!("{name} will be at risk level {} in {after} s", level.name())),
    }
}

async fn put(set: &RiskSet) -> Result<(), String> {
    let address = set.simulator;
    let name: String = url::form_urlencoded::byte_serialize(set.name.as_bytes()).collect();
    let body = json!({"level": set.level.name(), "after_seconds": set.after}).to_string();
    let request = Request::put(format!("/sim/v1/people/{}/risk", name.replace('+', "%20")))
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| error.to_string())?;
    let (status, _) = exchange(address, request).await.map_err(|why| match why {
        Unanswered::NotListening(error) => format!("no simulator answers at {address}: {error}"),
        Unanswered::Late => format!("the simulator at {address} does not answer"),
        Unanswered::Http(error) => format!("no simulator answers at {address}: {error}"),
        Unanswered::Body => format!("the answer of {address} broke off"),
    })?;
    match status {
        StatusCode::OK => Ok(()),
        StatusCode::NOT_FOUND => Err(format!("the simulator knows nobody called {}", set.name)),
        status => Err(format!("the simulator at {address} answers {status}")),
    }
}
