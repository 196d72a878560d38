//! `portcullis user`: how a person stands, and what is done to the account, over the admin listener.

use std::io::Write;
use std::path::Path;

use clap::{Args, Subcommand, ValueEnum};
use http::Method;
use serde_json::Value;

use super::action::{tell, wait_for};
use super::admin_client::{
    Admin, Problem, Target, TargetArguments, connect, exit_code, finish, of_config, print_json, shown,
};
use super::{Exit, Output};
use crate::admin::{OrderBody, TaskLine};
use crate::facts::UserKey;

/// How a person stands, and what is done to the account.
#[derive(Debug, Args)]
pub(crate) struct UserArgs {
    #[command(subcommand)]
    command: UserCommand,
    #[command(flatten)]
    target: TargetArguments,
}

#[derive(Debug, Subcommand)]
enum UserCommand {
    /// Show risk, groups, sessions and what each app would answer now.
    Show {
        /// The person, as tid:oid.
        #[arg(value_name = "TID:OID")]
        user: UserKey,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// End the person's sessions here and at Microsoft; they may sign in again at once.
    SignOut(Order),
    /// End the sessions and let the account sign in nowhere.
    Disable(Order),
    /// Let the account sign in again.
    Enable(Order),
    /// End the sessions and ask for a new password at the next sign-in.
    ResetPassword(Order),
    /// Tell Microsoft that somebody else has the account.
    ConfirmCompromised(Order),
    /// Set the account's risk aside at Microsoft.
    DismissRisk(Order),
    /// Tell Microsoft that the account is safe.
    ConfirmSafe(Order),
    /// Refuse the person here, whatever the rules say.
    Block(Block),
    /// Leave the person to the rules again.
    Unblock(Block),
    /// Log every request of the person for a day.
    Watch(Order),
    /// End that.
    Unwatch(Order),
}

#[derive(Debug, Args)]
struct Order {
    /// The person, as tid:oid.
    #[arg(value_name = "TID:OID")]
    user: UserKey,
    /// Why; kept with the task and in the decision log.
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// The same key is the same order, however often it is given.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Do not wait for Microsoft's answer.
    #[arg(long)]
    no_wait: bool,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Block {
    #[command(flatten)]
    order: Order,
    /// Which access.
    #[arg(long, value_enum, default_value = "both")]
    from: Reach,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Reach {
    /// Private apps.
    Private,
    /// The internet.
    Internet,
    /// Both.
    Both,
}

/// The command as `cli` calls it: on a small runtime of its own.
pub(super) fn main(args: UserArgs, output: &mut Output) -> Exit {
    finish(output, "user", async |answers, complaints| run(args, of_config, answers, complaints).await)
}

/// Runs the command; the process's exit code. `from_config` reads the target out of a configuration file.
pub(crate) async fn run(
    args: UserArgs,
    from_config: impl FnOnce(&Path) -> Result<Target, String>,
    out: &mut (dyn Write + Send),
    problems: &mut (dyn Write + Send),
) -> u8 {
    let outcome = match connect(&args.target, from_config) {
        Ok(admin) => execute(args.command, &admin, out).await,
        Err(problem) => Err(problem),
    };
    exit_code("user", outcome, problems)
}

async fn execute(command: UserCommand, admin: &Admin, out: &mut (dyn Write + Send)) -> Result<(), Problem> {
    let (action, order) = match command {
        UserCommand::Show { user, json } => return show(admin, user, json, out).await,
        UserCommand::SignOut(order) => ("sign_out", order),
        UserCommand::Disable(order) => ("disable", order),
        UserCommand::Enable(order) => ("enable", order),
        UserCommand::ResetPassword(order) => ("reset_password", order),
        UserCommand::ConfirmCompromised(order) => ("confirm_compromised", order),
        UserCommand::DismissRisk(order) => ("dismiss_risk", order),
        UserCommand::ConfirmSafe(order) => ("confirm_safe", order),
        UserCommand::Watch(order) => ("watch", order),
        UserCommand::Unwatch(order) => ("unwatch", order),
        UserCommand::Block(Block { order, from }) => (
            match from {
                Reach::Private => "block_private",
                Reach::Internet => "block_internet",
                Reach::Both => "block",
            },
            order,
        ),
        UserCommand::Unblock(Block { order, from }) => (
            match from {
                Reach::Private => "unblock_private",
                Reach::Internet => "unblock_internet",
                Reach::Both => "unblock",
            },
            order,
        ),
    };
    let body = OrderBody { action: action.to_owned(), note: order.note, key: order.key };
    let path = format!("/api/v1/users/{}/actions", order.user);
    let mut task: TaskLine = admin.send(Method::POST, &path, &body).await?;
    if !order.no_wait {
        task = wait_for(admin, task).await?;
    }
    tell(&task, order.json, out)
}

async fn show(admin: &Admin, user: UserKey, json: bool, out: &mut (dyn Write + Send)) -> Result<(), Problem> {
    let person: Value = admin.ask(Method::GET, &format!("/api/v1/users/{user}")).await?;
    if json { print_json(out, &person) } else { print_value(out, "", &person) }
}

/// One line per value, with the way to it; what the gateway shows of a person grows faster than this command.
fn print_value(out: &mut (dyn Write + Send), path: &str, value: &Value) -> Result<(), Problem> {
    let joined = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match value {
        Value::Object(members) => members.iter().try_for_each(|(name, value)| print_value(out, &joined(name), value)),
        Value::Array(items) => {
            (1..).zip(items).try_for_each(|(at, value)| print_value(out, &joined(&usize::to_string(&at)), value))
        }
        Value::Null => Ok(()),
        Value::String(text) => writeln!(out, "{path}: {}", shown(text)).map_err(Problem::Output),
        other => writeln!(out, "{path}: {other}").map_err(Problem::Output),
    }
}

#[cfg(test)]
mod tests;
