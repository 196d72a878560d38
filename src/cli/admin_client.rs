//! The admin listener of a gateway on this machine, as commands see it: where it is, its token, and what it answers.

use std::fmt;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::exchange::{Unanswered, exchange};
use super::{Exit, Output};
use crate::admin::token::{TokenError, load};
use crate::config::Config;
use crate::telemetry::Secret;

/// Where the running gateway is; shared by the commands that talk to it.
#[derive(Debug, clap::Args)]
pub(crate) struct TargetArguments {
    /// Address of the admin listener; loopback only.
    #[arg(long, global = true, value_name = "URL")]
    admin: Option<String>,
    /// File with the admin token.
    #[arg(long, global = true, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Configuration to take address and token file from.
    #[arg(long, short, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Where the admin listener is and where its token lies.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// Address of the listener.
    pub(crate) admin: String,
    /// The token's file.
    pub(crate) token_file: PathBuf,
}

/// Address and token file of the gateway that runs from this configuration file. A port 0 is looked up in the
/// `addresses.json` that the running gateway wrote.
pub(super) fn of_config(path: &Path) -> Result<Target, String> {
    let config = Config::load(path).map_err(|error| error.to_string())?;
    let token_file = config.admin.token_file.clone().unwrap_or_else(|| config.state_dir.join("admin-token"));
    let admin = if config.admin.listen.port() == 0 {
        let file = config.state_dir.join("addresses.json");
        let text =
            std::fs::read(&file).map_err(|error| format!("{}: {error}; is the gateway running?", file.display()))?;
        let addresses: serde_json::Value = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
        addresses.pointer("/admin/0").and_then(|text| text.as_str()).unwrap_or_default().to_owned()
    } else {
        config.admin.listen.to_string()
    };
    Ok(Target { admin, token_file })
}

/// The listener these arguments lead to. `from_config` reads it out of a configuration file.
pub(super) fn connect(
    args: &TargetArguments,
    from_config: impl FnOnce(&Path) -> Result<Target, String>,
) -> Result<Admin, Problem> {
    let configured = args.config.as_deref().map(from_config).transpose().map_err(Problem::Config)?;
    let (address, file) = configured.map_or((None, None), |target| (Some(target.admin), Some(target.token_file)));
    let address = args.admin.clone().or(address).unwrap_or_else(|| DEFAULT_ADMIN.to_owned());
    let Some(file) = args.token_file.clone().or(file) else {
        return Err(Problem::Usage("give --token-file or --config, so that the admin token is known"));
    };
    let token = load(&file).map_err(Problem::Token)?;
    Ok(Admin { address: loopback(&address)?, token })
}

/// The admin listener of a gateway on this machine.
pub(super) struct Admin {
    address: SocketAddr,
    token: Secret<String>,
}

impl Admin {
    /// Sends a request without a body; a good answer.
    pub(super) async fn ask<T: DeserializeOwned>(&self, method: Method, path: &str) -> Result<T, Problem> {
        read(&self.exchange(method, path, None).await?)
    }

    /// Sends a request with a JSON body; a good answer.
    pub(super) async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Problem> {
        let body = serde_json::to_string(body).map_err(|_| Problem::Answer)?;
        read(&self.exchange(method, path, Some(body)).await?)
    }

    async fn exchange(&self, method: Method, path: &str, json: Option<String>) -> Result<Bytes, Problem> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {}", self.token.expose()));
        if json.is_some() {
            request = request.header("content-type", "application/json");
        }
        let request = request
            .body(json.map_or_else(Full::default, |json| Full::from(Bytes::from(json))))
            .map_err(|_| Problem::Answer)?;
        let (status, body) = exchange(self.address, request).await.map_err(|why| match why {
            Unanswered::NotListening(error) => Problem::NotRunning(self.address, error),
            Unanswered::Late => Problem::NoAnswer(self.address),
            Unanswered::Http(error) => Problem::Http(self.address, error),
            Unanswered::Body => Problem::Answer,
        })?;
        match status {
            StatusCode::OK => Ok(body),
            StatusCode::UNAUTHORIZED => Err(Problem::WrongToken),
            other => Err(said(other, &body)),
        }
    }
}

fn read<T: DeserializeOwned>(answer: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(answer).map_err(|_| Problem::Answer)
}

/// The token goes over plain HTTP, so it goes to this machine only.
fn loopback(url: &str) -> Result<SocketAddr, Problem> {
    let rest = url.strip_prefix("http://").unwrap_or(url).trim_end_matches('/');
    let rest = rest.strip_prefix("localhost:").map_or_else(|| rest.to_owned(), |port| format!("127.0.0.1:{port}"));
    let address: SocketAddr = rest.parse().map_err(|_| Problem::Usage(NOT_LOOPBACK))?;
    if address.ip().is_loopback() { Ok(address) } else { Err(Problem::Usage(NOT_LOOPBACK)) }
}

/// What a refusal says, if it says anything.
fn said(status: StatusCode, body: &[u8]) -> Problem {
    let answer: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let member = |name: &str| answer.get(name).and_then(serde_json::Value::as_str).map(shown);
    match (member("message"), status) {
        (Some(message), _) => {
            Problem::Said(member("fix").map_or_else(|| message.clone(), |fix| format!("{message}; {fix}")))
        }
        (None, StatusCode::NOT_FOUND) => Problem::NothingThere,
        (None, _) => Problem::Refused(status, member("error").unwrap_or_default()),
    }
}

/// One line of JSON.
///
/// # Errors
/// When it cannot be written.
pub(super) fn print_json(out: &mut (impl Write + ?Sized), value: &impl Serialize) -> Result<(), Problem> {
    serde_json::to_writer(&mut *out, value).map_err(|error| Problem::Output(error.into()))?;
    writeln!(out).map_err(Problem::Output)
}

/// Words from elsewhere, such as names of the directory, which must not steer the terminal; at the length of a cell.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(MAX_CELL).map(harmless).collect()
}

/// The same at any length, for sentences.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(harmless).collect()
}

fn harmless(c: char) -> char {
    if c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}') { '?' } else { c }
}

/// A span in its largest unit.
pub(super) fn rough(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h{:02}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// Why the command did not succeed, with what to do about it.
#[derive(Debug)]
pub(super) enum Problem {
    Usage(&'static str),
    Config(String),
    Token(TokenError),
    NotRunning(SocketAddr, io::Error),
    NoAnswer(SocketAddr),
    Http(SocketAddr, hyper::Error),
    Answer,
    WrongToken,
    NothingThere,
    /// It was said before what became of it.
    Unsuccessful,
    Said(String),
    Refused(StatusCode, String),
    Output(io::Error),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(text) => f.write_str(text),
            Self::Config(text) => write!(f, "the configuration cannot be used: {text}"),
            Self::Token(error) => {
                write!(f, "{error}")?;
                std::error::Error::source(error).map_or(Ok(()), |source| write!(f, ": {source}"))
            }
            Self::NotRunning(address, error) => {
                write!(f, "no gateway answers at {address} ({error}); is it running, and is this its admin listener?")
            }
            Self::NoAnswer(address) => write!(f, "{address} did not answer in time"),
            Self::Http(address, error) => write!(f, "{address} gave no valid answer ({error})"),
            Self::Answer => f.write_str("the answer was not understood; are both the same version?"),
            Self::WrongToken => {
                f.write_str("the gateway does not accept this token; use the token file it was started with")
            }
            Self::Unsuccessful => f.write_str("it could not be done"),
            Self::NothingThere => f.write_str("there is no such thing at the gateway"),
            Self::Said(text) => f.write_str(text),
            Self::Refused(status, word) => write!(f, "the gateway answered {status} {word}"),
            Self::Output(error) => write!(f, "the output could not be written ({error})"),
        }
    }
}

/// Runs a command on a small runtime of its own.
pub(super) fn finish(
    output: &mut Output,
    name: &str,
    command: impl AsyncFnOnce(&mut (dyn Write + Send), &mut (dyn Write + Send)) -> u8,
) -> Exit {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        output.complain(&format!("portcullis {name}: no runtime can be started"));
        return Exit::Invalid;
    };
    let (answers, complaints) = output.streams();
    match runtime.block_on(command(answers, complaints)) {
        0 => Exit::Done,
        2 => Exit::Usage,
        _ => Exit::Invalid,
    }
}

/// The exit code for this outcome; says what was wrong.
pub(super) fn exit_code(name: &str, outcome: Result<(), Problem>, problems: &mut (impl Write + ?Sized)) -> u8 {
    let Err(problem) = outcome else { return 0 };
    // Nobody is left to be told about a broken standard error.
    let _ = writeln!(problems, "portcullis {name}: {problem}");
    match problem {
        Problem::Usage(_) => 2,
        _ => 1,
    }
}

/// Prints rows in columns; the first one is the header.
///
/// # Errors
/// When it cannot be written.
pub(super) fn print_rows<const N: usize>(out: &mut (impl Write + ?Sized), rows: &[[String; N]]) -> Result<(), Problem> {
    let widths: Vec<_> = (0..N)
        .map(|at| rows.iter().filter_map(|row| row.get(at)).map(|c| c.chars().count()).max().unwrap_or(0))
        .collect();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(&format!("{cell:<width$}  "));
        }
        writeln!(out, "{}", line.trim_end()).map_err(Problem::Output)?;
    }
    Ok(())
}

const DEFAULT_ADMIN: &str = "http://127.0.0.1:9090";
const NOT_LOOPBACK: &str = "--admin must be a loopback address such as http://127.0.0.1:9090";
const MAX_CELL: usize = 80;
