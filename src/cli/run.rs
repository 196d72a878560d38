//! `portcullis run`: the gateway, until SIGTERM or SIGINT.

use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{ConfigArguments, Exit, Output};
use crate::app::{App, Reloader};
use crate::config::{Config, LOOK_EVERY, LogFormat, Watcher};
use crate::edge::Shutdown;
use crate::facts::SystemClock;
use crate::telemetry::{LogConfig, LogGuard};

/// Run the gateway.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigArguments,
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Exit {
    let config = match super::load(&arguments.config.config, arguments.config.json, output) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    serve(config, output, |_, _| Ok(()))
}

/// Runs a gateway to its end. `started` is called once everything is bound, with the app on the control runtime.
pub(super) fn serve(
    config: Config,
    output: &mut Output,
    started: impl FnOnce(&App, &mut Output) -> Result<(), String>,
) -> Exit {
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output.complain(&format!("the control runtime cannot be started: {error}"));
            return Exit::Invalid;
        }
    };
    runtime.block_on(async {
        match serve_here(config, output, started).await {
            Ok(()) => Exit::Done,
            Err(problem) => {
                output.complain(&problem);
                Exit::Invalid
            }
        }
    })
}

/// The same on the current runtime.
pub(super) async fn serve_here(
    config: Config,
    output: &mut Output,
    started: impl FnOnce(&App, &mut Output) -> Result<(), String>,
) -> Result<(), String> {
    let signals = Signals::new().map_err(|error| format!("signals cannot be received: {error}"))?;
    let log = LogConfig { level: config.log.level.clone(), format: format(config.log.format), ..LogConfig::default() };
    let warnings: Vec<String> = config.warnings.iter().map(ToString::to_string).collect();
    let app = App::build(config, SystemClock::shared()).await.map_err(|error| chain(&error))?;
    let _log: Option<LogGuard> = match app.log_to(&log) {
        Ok(guard) => Some(guard),
        // A second gateway in one process (tests) shares the first one's log.
        Err(crate::telemetry::LogError::AlreadySet(_)) => None,
        Err(error) => return Err(chain(&error)),
    };
    for warning in warnings {
        tracing::warn!(warning = %warning, "the configuration is allowed but unwise");
    }
    started(&app, output)?;
    let addresses = app.addresses();
    tracing::info!(https = ?addresses.https, redirect = ?addresses.redirect, admin = ?addresses.admin, "listening");
    let shutdown = Shutdown::new();
    let reloader = app.reloader();
    let attend = tokio::spawn(attend(signals, reloader, shutdown.clone()));
    let outcome = app.run(shutdown).await.map_err(|error| chain(&error));
    attend.abort();
    tracing::info!("stopped");
    outcome
}

/// SIGTERM and SIGINT begin the shutdown, a second one is left to the system; SIGHUP and changed files reload.
async fn attend(signals: Signals, reloader: Reloader, shutdown: Shutdown) {
    let Signals { mut terminate, mut interrupt, hangup } = signals;
    let mut watcher = Watcher::new(reloader.files(), LOOK_EVERY, Some(hangup));
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            change = watcher.next_change() => {
                tracing::info!(?change, "reading the configuration again");
                // The outcome is logged, counted and audited where it happens.
                if reloader.reload_from_file().await.is_ok() {
                    watcher.watch(reloader.files());
                }
            }
        }
    }
    tracing::info!("shutting down: running requests may finish, new connections are not accepted");
    shutdown.begin();
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }
}

const fn format(format: LogFormat) -> crate::telemetry::LogFormat {
    match format {
        LogFormat::Text => crate::telemetry::LogFormat::Text,
        LogFormat::Json => crate::telemetry::LogFormat::Json,
    }
}

/// An error with its causes, one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
