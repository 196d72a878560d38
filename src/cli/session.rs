//! `portcullis session ls | kill`: who is signed in, and ending it, over the admin listener.

use std::io::Write;
use std::path::Path;

use http::Method;

use super::admin_client::{
    Admin, Problem, Target, TargetArguments, connect, exit_code, finish, of_config, print_json, print_rows, rough,
    shown,
};
use super::{Exit, Output};
use crate::admin::{Ended, SessionLine, SessionList};
use crate::facts::UserKey;

/// Sessions of a running gateway.
#[derive(Debug, clap::Args)]
pub(crate) struct SessionArgs {
    #[command(subcommand)]
    command: SessionCommand,
    #[command(flatten)]
    target: TargetArguments,
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

/// The command as `cli` calls it: on a small runtime of its own.
pub(super) fn main(args: SessionArgs, output: &mut Output) -> Exit {
    finish(output, "session", async |answers, complaints| run(args, of_config, answers, complaints).await)
}

/// Runs the command; the process's exit code. `from_config` reads the target out of a configuration file.
pub(crate) async fn run(
    args: SessionArgs,
    from_config: impl FnOnce(&Path) -> Result<Target, String>,
    out: &mut (impl Write + ?Sized),
    problems: &mut (impl Write + ?Sized),
) -> u8 {
    let outcome = match connect(&args.target, from_config) {
        Ok(admin) => execute(args.command, &admin, out).await,
        Err(problem) => Err(problem),
    };
    if let Err(Problem::NothingThere) = outcome {
        // Nobody is left to be told about a broken standard error.
        let _ = writeln!(problems, "portcullis session: no such session");
        return 1;
    }
    exit_code("session", outcome, problems)
}

async fn execute(command: SessionCommand, admin: &Admin, out: &mut (impl Write + ?Sized)) -> Result<(), Problem> {
    match command {
        SessionCommand::Ls { user, json } => {
            let query = user.map(|user| format!("?user={user}")).unwrap_or_default();
            let list: SessionList = admin.ask(Method::GET, &format!("/api/v1/sessions{query}")).await?;
            if json { print_json(out, &list) } else { print_table(out, &list) }
        }
        SessionCommand::Kill { id, user, json } => {
            let path = match (id, user) {
                (Some(id), _) if is_short_id(&id) => format!("/api/v1/sessions/{id}"),
                (Some(_), _) => return Err(Problem::Usage("a session's id has 16 hex digits; see `session ls`")),
                (None, Some(user)) => format!("/api/v1/users/{user}/sessions"),
                (None, None) => return Err(Problem::Usage("give a session's id or --user")),
            };
            let ended: Ended = admin.ask(Method::DELETE, &path).await?;
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

fn is_short_id(id: &str) -> bool {
    id.len() == 16 && id.bytes().all(|b| b.is_ascii_hexdigit())
}

fn print_table(out: &mut (impl Write + ?Sized), list: &SessionList) -> Result<(), Problem> {
    if list.sessions.is_empty() {
        return writeln!(out, "no live sessions").map_err(Problem::Output);
    }
    let header = ["ID", "NAME", "E-MAIL", "USED", "ENDS IN", "STREAMS", "USER"].map(str::to_owned);
    let rows: Vec<_> = std::iter::once(header).chain(list.sessions.iter().map(|s| row(s, list.now))).collect();
    print_rows(out, &rows)
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

#[cfg(test)]
mod tests;
