//! `portcullis simulate risk set NAME LEVEL`: moves a lever of a running simulator through its control API.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use clap::{Args, Subcommand, ValueEnum};
use http::{Request, StatusCode};
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

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
pub(super) async fn run(lever: &Lever, output: &mut Output) -> Exit {
    let Lever::Risk(RiskCommand::Set(set)) = lever;
    let outcome = tokio::time::timeout(DEADLINE, put(set)).await;
    match outcome.unwrap_or_else(|_| Err(format!("the simulator at {} does not answer", set.simulator))) {
        Ok(()) => {
            output.line(&format!("{} is now at risk level {}", set.name, set.level.name()));
            Exit::Done
        }
        Err(problem) => {
            output.complain(&problem);
            Exit::Invalid
        }
    }
}

async fn put(set: &RiskSet) -> Result<(), String> {
    let address = set.simulator;
    let broken = |error: &dyn std::fmt::Display| format!("no simulator answers at {address}: {error}");
    let stream = TcpStream::connect(address).await.map_err(|error| broken(&error))?;
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|error| broken(&error))?;
    let connection = tokio::spawn(connection);
    let name: String = url::form_urlencoded::byte_serialize(set.name.as_bytes()).collect();
    let body = serde_json::json!({"level": set.level.name(), "after_seconds": set.after}).to_string();
    let request = Request::put(format!("/sim/v1/people/{}/risk", name.replace('+', "%20")))
        .header("host", address.to_string())
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| broken(&error))?;
    let response = sender.send_request(request).await.map_err(|error| broken(&error))?;
    connection.abort();
    match response.status() {
        StatusCode::OK => Ok(()),
        StatusCode::NOT_FOUND => Err(format!("the simulator knows nobody called {}", set.name)),
        status => Err(format!("the simulator at {address} answers {status}")),
    }
}

const DEADLINE: Duration = Duration::from_secs(10);
