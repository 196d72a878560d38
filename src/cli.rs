//! Layer 7: the command line. Each command is one file; everything is printed through one [`Output`].

mod action;
mod admin_client;
mod check;
#[cfg(feature = "simulator")]
mod demo;
mod doctor;
mod exchange;
mod explain;
mod init;
mod output;
mod run;
mod session;
#[cfg(feature = "simulator")]
mod simulate;
mod user;

pub use doctor::{Finding, Health};
pub use output::Output;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{Config, ConfigError};

/// Authentication gateway for companies on Microsoft Entra ID.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Check(check::Arguments),
    Explain(Box<explain::Arguments>),
    Doctor(doctor::Arguments),
    Init(init::Arguments),
    Run(run::Arguments),
    /// List and end sessions of a running gateway.
    Session(session::SessionArgs),
    User(user::UserArgs),
    Action(action::ActionArgs),
    #[cfg(feature = "simulator")]
    Demo(demo::Arguments),
    #[cfg(feature = "simulator")]
    Simulate(simulate::Arguments),
}

/// Where the configuration is; shared by the commands that read it.
#[derive(Debug, Args)]
struct ConfigArguments {
    /// Configuration file.
    #[arg(long, short, value_name = "FILE", default_value = "config/portcullis.toml")]
    config: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: done, and all is well.
    Done,
    /// 1: something is invalid or not well; it was said what.
    Invalid,
    /// 2: the command line itself cannot be understood.
    Usage,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Invalid => 1,
            Exit::Usage => 2,
        })
    }
}

/// Runs the command that `arguments` (the program's name first) ask for.
pub fn main(arguments: impl IntoIterator<Item = OsString>, output: &mut Output) -> Exit {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() => {
            output.complain(error.to_string().trim_end());
            return Exit::Usage;
        }
        Err(help) => {
            output.line(help.to_string().trim_end());
            return Exit::Done;
        }
    };
    match cli.command {
        Command::Check(arguments) => check::run(&arguments, output),
        Command::Explain(arguments) => explain::run(&arguments, output),
        Command::Doctor(arguments) => doctor::run(&arguments, output),
        Command::Init(arguments) => init::run(&arguments, output),
        Command::Run(arguments) => run::run(&arguments, output),
        Command::Session(arguments) => session::main(arguments, output),
        Command::User(arguments) => user::main(arguments, output),
        Command::Action(arguments) => action::main(arguments, output),
        #[cfg(feature = "simulator")]
        Command::Demo(arguments) => demo::run(&arguments, output),
        #[cfg(feature = "simulator")]
        Command::Simulate(arguments) => simulate::run(&arguments, output),
    }
}

/// Loads the configuration, or prints everything that is wrong with it.
fn load(path: &Path, json: bool, output: &mut Output) -> Result<Config, Exit> {
    Config::load(path).map_err(|error| {
        if json {
            output.json(&serde_json::json!({ "valid": false, "problems": problems(&error) }));
        } else {
            output.complain(&error.to_string());
        }
        Exit::Invalid
    })
}

fn problems(error: &ConfigError) -> serde_json::Value {
    match error {
        ConfigError::Invalid(problems) => serde_json::json!(problems),
        ConfigError::Read { path, source } => {
            serde_json::json!([{ "file": path.display().to_string(), "message": format!("cannot be read: {source}") }])
        }
    }
}

#[cfg(test)]
mod tests;
