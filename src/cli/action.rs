//! `portcullis action`: tasks on accounts, and the brakes on automatic ones, over the admin listener.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use clap::{Args, Subcommand};
use http::Method;

use super::admin_client::{
    Admin, Problem, Target, TargetArguments, connect, exit_code, finish, of_config, plain, print_json, print_rows,
    rough, shown,
};
use super::{Exit, Output};
use crate::admin::{BrakesLine, PreviewList, Released, TaskLine, TaskList};
use crate::facts::UserKey;

/// Tasks on accounts, and the brakes on automatic ones.
#[derive(Debug, Args)]
pub(crate) struct ActionArgs {
    #[command(subcommand)]
    command: ActionCommand,
    /// As JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    target: TargetArguments,
}

#[derive(Debug, Subcommand)]
enum ActionCommand {
    /// List tasks, newest first.
    Ls {
        /// Only this person's, as tid:oid.
        #[arg(long, value_name = "TID:OID")]
        user: Option<UserKey>,
        /// Only in this state, such as in_progress.
        #[arg(long, value_name = "STATE")]
        state: Option<String>,
    },
    /// Show one task with its history.
    Show {
        /// Its number.
        id: u64,
    },
    /// Let a task go that waits for another person, or that the dry run proposed.
    Approve {
        /// Its number.
        id: u64,
    },
    /// Call a task off that has not been done yet.
    Cancel {
        /// Its number.
        id: u64,
    },
    /// Take back what a task did.
    Undo {
        /// Its number.
        id: u64,
    },
    /// Show how the brakes stand.
    Brakes,
    /// Lift the stop, after too much was done within an hour.
    Release,
    /// Show whom the rules would hit now, and which brake would hold.
    Preview {
        /// Only this rule.
        rule: Option<String>,
    },
}

/// The command as `cli` calls it: on a small runtime of its own.
pub(super) fn main(args: ActionArgs, output: &mut Output) -> Exit {
    finish(output, "action", async |answers, complaints| run(args, of_config, answers, complaints).await)
}

/// Runs the command; the process's exit code. `from_config` reads the target out of a configuration file.
pub(crate) async fn run(
    args: ActionArgs,
    from_config: impl FnOnce(&Path) -> Result<Target, String>,
    out: &mut (dyn Write + Send),
    problems: &mut (dyn Write + Send),
) -> u8 {
    let outcome = match connect(&args.target, from_config) {
        Ok(admin) => execute(args.command, args.json, &admin, out).await,
        Err(problem) => Err(problem),
    };
    exit_code("action", outcome, problems)
}

async fn execute(
    command: ActionCommand,
    json: bool,
    admin: &Admin,
    out: &mut (dyn Write + Send),
) -> Result<(), Problem> {
    match command {
        ActionCommand::Ls { user, state } => {
            let user = user.map(|user| format!("user={user}"));
            let state = state.map(|state| format!("state={}", encoded(&state)));
            let query: Vec<String> = user.into_iter().chain(state).collect();
            let list: TaskList = admin.ask(Method::GET, &format!("/api/v1/actions?{}", query.join("&"))).await?;
            if json { print_json(out, &list) } else { print_tasks(out, &list) }
        }
        ActionCommand::Show { id } => {
            let task: TaskLine = admin.ask(Method::GET, &format!("/api/v1/actions/{id}")).await?;
            if json { print_json(out, &task) } else { print_history(out, &task) }
        }
        ActionCommand::Approve { id } => change(admin, id, "approve", json, out).await,
        ActionCommand::Cancel { id } => change(admin, id, "cancel", json, out).await,
        ActionCommand::Undo { id } => change(admin, id, "undo", json, out).await,
        ActionCommand::Brakes => {
            let brakes: BrakesLine = admin.ask(Method::GET, "/api/v1/actions/brakes").await?;
            if json { print_json(out, &brakes) } else { print_brakes(out, &brakes) }
        }
        ActionCommand::Release => {
            let released: Released = admin.ask(Method::POST, "/api/v1/actions/release").await?;
            if json {
                return print_json(out, &released);
            }
            let said = if released.released { "automatic actions go on" } else { "nothing was stopped" };
            writeln!(out, "{said}").map_err(Problem::Output)
        }
        ActionCommand::Preview { rule } => {
            let query = rule.map(|rule| format!("?rule={}", encoded(&rule))).unwrap_or_default();
            let preview: PreviewList = admin.ask(Method::GET, &format!("/api/v1/actions/preview{query}")).await?;
            if json { print_json(out, &preview) } else { print_preview(out, &preview) }
        }
    }
}

async fn change(admin: &Admin, id: u64, what: &str, json: bool, out: &mut (dyn Write + Send)) -> Result<(), Problem> {
    let task = admin.ask(Method::POST, &format!("/api/v1/actions/{id}/{what}")).await?;
    tell(&wait_for(admin, task).await?, json, out)
}

/// Says what became of a task.
pub(super) fn tell(task: &TaskLine, json: bool, out: &mut (dyn Write + Send)) -> Result<(), Problem> {
    if json {
        print_json(out, task)?
    } else {
        print_task(out, task)?
    }
    if task.state == "unsuccessful" { Err(Problem::Unsuccessful) } else { Ok(()) }
}

/// Asks until the task is not being done any more, or for a few seconds: longer than a call to Microsoft usually takes.
pub(super) async fn wait_for(admin: &Admin, mut task: TaskLine) -> Result<TaskLine, Problem> {
    for _ in 0..LOOKS {
        // The first try has come back without success: the next one may be hours away.
        if task.state != "in_progress" || task.attempt.is_some_and(|attempt| attempt > 0) {
            break;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
        task = admin.ask(Method::GET, &format!("/api/v1/actions/{}", task.id)).await?;
    }
    Ok(task)
}

/// One line for a task: what became of it.
fn print_task(out: &mut (dyn Write + Send), task: &TaskLine) -> Result<(), Problem> {
    let reason = task.reason.as_ref().map(|reason| format!(" ({})", shown(reason))).unwrap_or_default();
    let TaskLine { id, action, user, state, .. } = task;
    writeln!(out, "task {id}: {action} {user}: {}{reason}", state.replace('_', " ")).map_err(Problem::Output)?;
    let sentence = task.sentence.as_ref().map_or(Ok(()), |sentence| writeln!(out, "  {}", plain(sentence)));
    sentence.map_err(Problem::Output)
}

fn print_history(out: &mut (dyn Write + Send), task: &TaskLine) -> Result<(), Problem> {
    print_task(out, task)?;
    let more = [
        ("by", Some(format!("{} {}", task.by, task.name))),
        ("approved by", task.approved_by.clone()),
        ("note", task.note.clone()),
        ("undoes task", task.undoes.map(|id| id.to_string())),
        ("undone by task", task.undone_by.map(|id| id.to_string())),
    ];
    for (name, value) in more {
        value.map_or(Ok(()), |value| writeln!(out, "  {name}: {}", plain(&value))).map_err(Problem::Output)?;
    }
    for mark in &task.history {
        let after = rough(mark.at.saturating_sub(task.created));
        writeln!(out, "  +{after}  {}", plain(&mark.what)).map_err(Problem::Output)?;
    }
    Ok(())
}

fn print_tasks(out: &mut (dyn Write + Send), list: &TaskList) -> Result<(), Problem> {
    if list.tasks.is_empty() {
        return writeln!(out, "no tasks").map_err(Problem::Output);
    }
    let header = ["ID", "ACTION", "STATE", "REASON", "BY", "CHANGED", "USER"].map(str::to_owned);
    let row = |task: &TaskLine| {
        [
            task.id.to_string(),
            shown(&task.action),
            shown(&task.state),
            shown(task.reason.as_deref().unwrap_or("-")),
            shown(&format!("{} {}", task.by, task.name)),
            format!("{} ago", rough(list.now.saturating_sub(task.updated))),
            shown(&task.user),
        ]
    };
    let rows: Vec<_> = std::iter::once(header).chain(list.tasks.iter().map(row)).collect();
    print_rows(out, &rows)
}

fn print_brakes(out: &mut (dyn Write + Send), brakes: &BrakesLine) -> Result<(), Problem> {
    let on = if brakes.dry_run { "on: rules only propose" } else { "off" };
    let mut text = format!("dry run: {on}\nquota: {} of one action per tenant and hour\n", brakes.quota_per_hour);
    for used in &brakes.used {
        text.push_str(&format!("used: {} {} in {}\n", used.used, shown(&used.action), shown(&used.tenant)));
    }
    text.push_str(match &brakes.stopped {
        Some(_) => "stopped: yes; `portcullis action release` lets automatic actions go on\n",
        None => "stopped: no\n",
    });
    out.write_all(text.as_bytes()).map_err(Problem::Output)
}

fn print_preview(out: &mut (dyn Write + Send), preview: &PreviewList) -> Result<(), Problem> {
    if preview.dry_run {
        writeln!(out, "dry run: nothing of this would be done, only proposed").map_err(Problem::Output)?;
    }
    if preview.lines.is_empty() {
        return writeln!(out, "nobody would be hit").map_err(Problem::Output);
    }
    let header = ["RULE", "ACTION", "OUTCOME", "USER"].map(str::to_owned);
    let rows = preview.lines.iter().map(|line| {
        let outcome = match (&line.task, &line.brake) {
            (Some(task), _) => format!("done, task {task}"),
            (None, Some(brake)) => format!("held: {}", shown(brake)),
            (None, None) if line.needs_approval => "waits for approval".to_owned(),
            (None, None) => "done".to_owned(),
        };
        [shown(&line.rule), shown(&line.action), outcome, shown(&line.user)]
    });
    let rows: Vec<_> = std::iter::once(header).chain(rows).collect();
    print_rows(out, &rows)
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

const LOOKS: u32 = 80;
const LOOK_AGAIN: Duration = Duration::from_millis(100);
