//! `portcullis session ls | kill`: who is signed in, and ending it, over the admin listener.

use std::fmt;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::Full;

use super::exchange::{Unanswered, exchange};
use super::{Exit, Output};
use crate::admin::token::{TokenError, load};
use crate::admin::{Ended, SessionLine, SessionList};
use crate::config::Config;
use crate::facts::UserKey;
use crate::telemetry::Secret;

/// Sessions of a running gateway.
#[derive(Debug, clap::Args)]
pub(crate) struct SessionArgs {
    #[command(subcommand)]
    command: SessionCommand,
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

#[derive(Debug, clap::Subcommand)]
enum SessionCommand {
    /// List live sessions.
    Ls {
        /// Only this person's, as tid:oid.
        #[arg(long, value_name = "TID:OID")]
        user: Option<UserKey>,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// End one session, or all of a person.
    Kill {
        /// Short id, as listed.
        #[arg(required_unless_present = "user", conflicts_with = "user")]
        id: Option<String>,
        /// All sessions of this person, as tid:oid.
        #[arg(long, value_name = "TID:OID")]
        user: Option<UserKey>,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
}

/// Where the admin listener is and where its token lies.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// Address of the listener.
    pub(crate) admin: String,
    /// The token's file.
    pub(crate) token_file: PathBuf,
}

/// The command as `cli` calls it: on a small runtime of its own.
pub(super) fn main(args: SessionArgs, output: &mut Output) -> Exit {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        output.complain("portcullis session: no runtime can be started");
        return Exit::Invalid;
    };
    let (answers, complaints) = output.streams();
    match runtime.block_on(run(args, of_config, answers, complaints)) {
        0 => Exit::Done,
        2 => Exit::Usage,
        _ => Exit::Invalid,
    }
}

/// Address and token file of the gateway that runs from this configuration file. A port 0 is looked up in the
/// `addresses.json` that the running gateway wrote.
fn of_config(path: &Path) -> Result<Target, String> {
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

/// Runs the command; the process's exit code. `from_config` reads the target out of a configuration file.
pub(crate) async fn run(
    args: SessionArgs,
    from_config: impl FnOnce(&Path) -> Result<Target, String>,
    out: &mut (impl Write + ?Sized),
    problems: &mut (impl Write + ?Sized),
) -> u8 {
    let outcome = match connect(&args, from_config) {
        Ok(admin) => execute(args.command, &admin, out).await,
        Err(problem) => Err(problem),
    };
    match outcome {
        Ok(()) => 0,
        Err(problem) => {
            // Nobody is left to be told about a broken standard error.
            let _ = writeln!(problems, "portcullis session: {problem}");
            match problem {
                Problem::Usage(_) => 2,
                _ => 1,
            }
        }
    }
}

fn connect(args: &SessionArgs, from_config: impl FnOnce(&Path) -> Result<Target, String>) -> Result<Admin, Problem> {
    let configured = args.config.as_deref().map(from_config).transpose().map_err(Problem::Config)?;
    let (address, file) = configured.map_or((None, None), |target| (Some(target.admin), Some(target.token_file)));
    let address = args.admin.clone().or(address).unwrap_or_else(|| DEFAULT_ADMIN.to_owned());
    let Some(file) = args.token_file.clone().or(file) else {
        return Err(Problem::Usage("give --token-file or --config, so that the admin token is known"));
    };
    let token = load(&file).map_err(Problem::Token)?;
    Ok(Admin { address: loopback(&address)?, token })
}

async fn execute(command: SessionCommand, admin: &Admin, out: &mut (impl Write + ?Sized)) -> Result<(), Problem> {
    match command {
        SessionCommand::Ls { user, json } => {
            let query = user.map(|user| format!("?user={user}")).unwrap_or_default();
            let body = admin.ask(Method::GET, &format!("/api/v1/sessions{query}")).await?;
            let list: SessionList = serde_json::from_slice(&body).map_err(|_| Problem::Answer)?;
            if json { print_json(out, &list) } else { print_table(out, &list) }
        }
        SessionCommand::Kill { id, user, json } => {
            let path = match (id, user) {
                (Some(id), _) if is_short_id(&id) => format!("/api/v1/sessions/{id}"),
                (Some(_), _) => return Err(Problem::Usage("a session's id has 16 hex digits; see `session ls`")),
                (None, Some(user)) => format!("/api/v1/users/{user}/sessions"),
                (None, None) => return Err(Problem::Usage("give a session's id or --user")),
            };
            let body = admin.ask(Method::DELETE, &path).await?;
            let ended: Ended = serde_json::from_slice(&body).map_err(|_| Problem::Answer)?;
            if json {
                print_json(out, &ended)?;
            } else {
                let what = if ended.ended == 1 { "session" } else { "sessions" };
                writeln!(out, "ended {} {what}", ended.ended).map_err(Problem::Output)?;
            }
            if ended.ended == 0 { Err(Problem::NothingThere) } else { Ok(()) }
        }
    }
}

/// The admin listener of a gateway on this machine.
struct Admin {
    address: SocketAddr,
    token: Secret<String>,
}

impl Admin {
    async fn ask(&self, method: Method, path: &str) -> Result<Bytes, Problem> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {}", self.token.expose()))
            .body(Full::default())
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
            StatusCode::NOT_FOUND => Err(Problem::NothingThere),
            other => Err(Problem::Refused(other)),
        }
    }
}

/// The token goes over plain HTTP, so it goes to this machine only.
fn loopback(url: &str) -> Result<SocketAddr, Problem> {
    let rest = url.strip_prefix("http://").unwrap_or(url).trim_end_matches('/');
    let rest = rest.strip_prefix("localhost:").map_or_else(|| rest.to_owned(), |port| format!("127.0.0.1:{port}"));
    let address: SocketAddr = rest.parse().map_err(|_| Problem::Usage(NOT_LOOPBACK))?;
    if address.ip().is_loopback() { Ok(address) } else { Err(Problem::Usage(NOT_LOOPBACK)) }
}

fn is_short_id(id: &str) -> bool {
    id.len() == 16 && id.bytes().all(|b| b.is_ascii_hexdigit())
}

fn print_json(out: &mut (impl Write + ?Sized), value: &impl serde::Serialize) -> Result<(), Problem> {
    serde_json::to_writer(&mut *out, value).map_err(|error| Problem::Output(error.into()))?;
    writeln!(out).map_err(Problem::Output)
}

fn print_table(out: &mut (impl Write + ?Sized), list: &SessionList) -> Result<(), Problem> {
    if list.sessions.is_empty() {
        return writeln!(out, "no live sessions").map_err(Problem::Output);
    }
    let header = ["ID", "NAME", "E-MAIL", "USED", "ENDS IN", "STREAMS", "USER"].map(str::to_owned);
    let rows: Vec<_> = std::iter::once(header).chain(list.sessions.iter().map(|s| row(s, list.now))).collect();
    let widths: Vec<_> = (0..7)
        .map(|at| rows.iter().filter_map(|row| row.get(at)).map(|c| c.chars().count()).max().unwrap_or(0))
        .collect();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(&format!("{cell:<width$}  "));
        }
        writeln!(out, "{}", line.trim_end()).map_err(Problem::Output)?;
    }
    Ok(())
}

fn row(session: &SessionLine, now: u64) -> [String; 7] {
    [
        shown(&session.id),
        shown(&session.name),
        shown(&session.email),
        format!("{} ago", rough(now.saturating_sub(session.last_used))),
        rough(session.expires.saturating_sub(now)),
        session.streams.to_string(),
        shown(&session.user),
    ]
}

/// Names come from the directory and must not steer the terminal.
fn shown(text: &str) -> String {
    let clean = |c: char| {
        if c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}') { '?' } else { c }
    };
    text.chars().take(MAX_CELL).map(clean).collect()
}

/// A span in its largest unit.
fn rough(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h{:02}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// Why the command did not succeed, with what to do about it.
#[derive(Debug)]
enum Problem {
    Usage(&'static str),
    Config(String),
    Token(TokenError),
    NotRunning(SocketAddr, io::Error),
    NoAnswer(SocketAddr),
    Http(SocketAddr, hyper::Error),
    Answer,
    WrongToken,
    NothingThere,
    Refused(StatusCode),
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
            Self::NothingThere => f.write_str("no such session"),
            Self::Refused(status) => write!(f, "the gateway answered {status}"),
            Self::Output(error) => write!(f, "the output could not be written ({error})"),
        }
    }
}

const DEFAULT_ADMIN: &str = "http://127.0.0.1:9090";
const NOT_LOOPBACK: &str = "--admin must be a loopback address such as http://127.0.0.1:9090";
const MAX_CELL: usize = 80;

#[cfg(test)]
mod tests;
