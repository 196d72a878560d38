//! `portcullis simulate`: the Entra look-alike on its own, for development and tests.

mod risk;

use std::net::SocketAddr;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::run::chain;
use super::{Exit, Output};
use crate::simulator::{self as demo, Options, Simulator, World};

/// Run a Microsoft Entra ID look-alike on this machine.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Address to listen on; loopback only. Port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9444")]
    listen: SocketAddr,
    /// Redirect address to register with the simulated app; may be given several times.
    #[arg(
        long = "redirect-uri",
        value_name = "URL",
        default_value = "https://portal.localhost:8443/.portcullis/callback"
    )]
    redirect_uris: Vec<String>,
    /// Front-channel logout address to register.
    #[arg(long, value_name = "URL")]
    logout_url: Option<String>,
    /// Print one line of JSON instead of text.
    #[arg(long)]
    json: bool,
    /// Move a lever of a simulator that runs already.
    #[command(subcommand)]
    lever: Option<risk::Lever>,
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Exit {
    if !arguments.listen.ip().is_loopback() {
        output.complain("--listen: the simulator gives tokens to anybody who asks, so it listens on loopback only");
        return Exit::Usage;
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output.complain(&format!("the runtime cannot be started: {error}"));
            return Exit::Invalid;
        }
    };
    if let Some(lever) = &arguments.lever {
        return runtime.block_on(risk::run(lever, arguments.json, output));
    }
    match runtime.block_on(serve(arguments, output)) {
        Ok(()) => Exit::Done,
        Err(problem) => {
            output.complain(&problem);
            Exit::Invalid
        }
    }
}

async fn serve(arguments: &Arguments, output: &mut Output) -> Result<(), String> {
    let mut world = World::demo(arguments.redirect_uris.clone());
    for app in &mut world.apps {
        app.logout_url.clone_from(&arguments.logout_url);
    }
    let mut options = Options::new(world);
    options.listen = arguments.listen;
    let running = Simulator::start(options).await.map_err(|error| chain(&error))?;
    let authority = running.base().as_str().to_owned();
    if arguments.json {
        output.compact(&serde_json::json!({
            "authority": authority,
            "tenant": demo::CONTOSO,
            "client_id": demo::APP_ID,
            "client_secret": demo::APP_SECRET,
        }));
    } else {
        output.line(&format!("authority      {authority}"));
        output.line(&format!("tenant         {} (Contoso)", demo::CONTOSO));
        output.line(&format!("client id      {}", demo::APP_ID));
        output.line(&format!("client secret  {}", demo::APP_SECRET));
        output.line("people         alice, bob, mallory, dora, gus, nora, dan; password demo");
        output.line(&format!("levers         {authority}sim/v1/"));
        output.line("stop with Ctrl-C");
    }
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    tokio::select! {
        _ = terminate.recv() => {}
        interrupted = tokio::signal::ctrl_c() => interrupted.map_err(|error| error.to_string())?,
    }
    running.shutdown().await;
    Ok(())
}
