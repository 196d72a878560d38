//! `portcullis demo`: the gateway, the simulator and two sample apps in one process on loopback.
//!
//! It writes an ordinary configuration into its folder and runs from it, so what one sees can be changed and reloaded.

mod apps;
mod certificates;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use clap::Args;

use super::run::{chain, serve_here};
use super::{Exit, Output};
use crate::app::App;
use crate::config::Config;
use crate::facts::{Clock, SystemClock};
use crate::simulator::{self as people, ContextPolicy, Options, Running, Simulator, World};

/// Run gateway, simulated Entra and two sample apps on this machine.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Port of the gateway.
    #[arg(long, default_value_t = 8443)]
    port: u16,
    /// Port of the admin listener.
    #[arg(long, default_value_t = 9090)]
    admin_port: u16,
    /// Port of the simulated Entra.
    #[arg(long, default_value_t = 9444)]
    simulator_port: u16,
    /// Take any free ports instead.
    #[arg(long, conflicts_with_all = ["port", "admin_port", "simulator_port"])]
    any_port: bool,
    /// Folder for configuration, certificates and state; a fresh temporary one if left out.
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Print one line of JSON instead of text.
    #[arg(long)]
    json: bool,
}

const PORTAL: &str = "portal.localhost";
const CONSOLE: &str = "console.localhost";
const WIKI: &str = "wiki.localhost";
const PAYROLL: &str = "payroll.localhost";

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Exit {
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output.complain(&format!("the runtime cannot be started: {error}"));
            return Exit::Invalid;
        }
    };
    match runtime.block_on(serve(arguments, output)) {
        Ok(()) => Exit::Done,
        Err(problem) => {
            output.complain(&problem);
            Exit::Invalid
        }
    }
}

/// Where the parts of one demo are.
struct Place {
    folder: PathBuf,
    port: u16,
    admin_port: u16,
    authority: PathBuf,
    leaf: PathBuf,
    simulator: String,
}

async fn serve(arguments: &Arguments, output: &mut Output) -> Result<(), String> {
    let folder =
        folder(arguments.state.as_deref()).map_err(|error| format!("the demo's folder cannot be made: {error}"))?;
    // Held until the gateway listens, or the simulator and the apps might be given the same ones.
    let held = if arguments.any_port { Some((free_port()?, free_port()?)) } else { None };
    let (port, admin_port) =
        held.as_ref().map_or((arguments.port, arguments.admin_port), |((_, port), (_, admin))| (*port, *admin));
    let simulator =
        simulator((port, admin_port), if arguments.any_port { 0 } else { arguments.simulator_port }).await?;
    let (wiki, wiki_at) = apps::bind().await.map_err(|error| error.to_string())?;
    let (payroll, payroll_at) = apps::bind().await.map_err(|error| error.to_string())?;
    let names: Vec<String> = [PORTAL, CONSOLE, WIKI, PAYROLL, "*.localhost", "localhost"].map(str::to_owned).to_vec();
    let made = certificates::make(&folder, &names, SystemClock::new().now())
        .map_err(|error| format!("the certificates cannot be made: {error:#}"))?;
    let place = Place {
        port,
        admin_port,
        authority: made.authority,
        leaf: made.leaf.certificate,
        simulator: simulator.base().as_str().trim_end_matches('/').to_owned(),
        folder,
    };
    let config = write_configuration(&place, wiki_at, payroll_at)?;
    let apps = [
        tokio::spawn(apps::serve(wiki, apps::Sample::Wiki)),
        tokio::spawn(apps::serve(payroll, apps::Sample::Payroll)),
    ];
    let json = arguments.json;
    drop(held);
    let outcome = serve_here(config, output, |app, output| announce(app, &place, json, output)).await;
    for app in apps {
        app.abort();
    }
    simulator.shutdown().await;
    outcome
}

async fn simulator((gateway_port, admin_port): (u16, u16), port: u16) -> Result<Running, String> {
    let origin = format!("https://{PORTAL}:{gateway_port}/.portcullis");
    let consents = [format!("https://{CONSOLE}:{gateway_port}"), format!("http://localhost:{admin_port}")]
        .map(|origin| format!("{origin}{}", crate::admin::console::CALLBACK));
    let mut world =
        World::demo([format!("{origin}/callback"), format!("{origin}/signed-out")].into_iter().chain(consents));
    // Without a policy the context would be issued without a question, and bob's challenge would be none.
    for tenant in &mut world.tenants {
        tenant.auth_contexts.insert("c1".to_owned(), ContextPolicy::Mfa);
    }
    for app in &mut world.apps {
        app.logout_url = Some(format!("{origin}/frontchannel-logout"));
    }
    let mut options = Options::new(world);
    options.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    Simulator::start(options).await.map_err(|error| {
        format!(
            "the simulated Entra does not start ({}); choose another port with --simulator-port or --any-port",
            chain(&error)
        )
    })
}

/// A fresh folder, or the one asked for; private, because it holds keys.
fn folder(asked: Option<&Path>) -> io::Result<PathBuf> {
    use std::os::unix::fs::DirBuilderExt;
    let folder = asked
        .map_or_else(|| std::env::temp_dir().join(format!("portcullis-demo-{}", std::process::id())), Path::to_owned);
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
    folder.canonicalize()
}

/// A free port, and what keeps it free for us. Let go a moment before it is used: good enough for a demo, and a taken one
/// is said clearly.
fn free_port() -> Result<(TcpListener, u16), String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| error.to_string())?;
    let port = listener.local_addr().map_err(|error| error.to_string())?.port();
    Ok((listener, port))
}

fn write_configuration(place: &Place, wiki: SocketAddr, payroll: SocketAddr) -> Result<Config, String> {
    let Place { port, admin_port, simulator, .. } = place;
    let (tenant, client, admins) = (people::CONTOSO, people::APP_ID, people::ADMINS);
    let config = format!(
        r#"# Written by `portcullis demo`. Change it while the demo runs: it is read again at once.
state_dir = "state"
rules = "rules.toml"

[listen]
https = ["127.0.0.1:{port}"]
redirect = []
hsts = "0s"
announce = "0s"

[[tls.certificate]]
certificate = "leaf.pem"
key = "leaf.key"

[sign_in]
host = "{PORTAL}"

[entra]
authority = "{simulator}/"
tenants = ["{tenant}"]
client_id = "{client}"
client_secret = "file:client-secret"

[directory]
graph = "{simulator}/"
data_upload = true
# As fast as Graph allows for one tenant, so that a change shows at once. The default is 10s.
risk_every = "1s"

[[app]]
name = "wiki"
host = "{WIKI}"
upstream = ["http://{wiki}"]

[[app]]
name = "payroll"
host = "{PAYROLL}"
upstream = ["http://{payroll}"]

[decision_log]
path = "decisions.jsonl"

[admin]
listen = "127.0.0.1:{admin_port}"
host = "{CONSOLE}"
groups = ["{tenant}:{admins}"]

[log]
level = "warn"
"#
    );
    let file = place.folder.join("portcullis.toml");
    let write = |name: &str, text: &str| certificates::write(&place.folder.join(name), text);
    write("portcullis.toml", &config)
        .and_then(|()| write("rules.toml", &rules()))
        .and_then(|()| write("client-secret", people::APP_SECRET))
        .map_err(|error| format!("the configuration cannot be written: {error}"))?;
    Config::load(&file).map_err(|error| chain(&error))
}

/// Staff reach the wiki, the payroll group the payroll.
fn rules() -> String {
    let (staff, payroll_group) = (people::STAFF, people::PAYROLL);
    format!(
        r#"# Written by `portcullis demo`. Risk rules come first, the strictest that matches counts.
[[risk_rule]]
name = "high-risk-is-closed"
levels = ["high"]
verdict = "block"
# Only written down, until `actions.dry_run` is turned off: see `portcullis action ls`.
actions = ["disable"]

[[risk_rule]]
name = "medium-risk-proves-itself"
levels = ["medium"]
verdict = "challenge"
context = "c1"

[risk]
context = "c1"
# The first second of the demo. In earnest leave it out: people then prove themselves until the risk is known.
on_never_synced = "low"

# Access rules: first match wins; what no rule allows is blocked.
[[rule]]
name = "staff-wiki"
apps = ["wiki"]
groups = ["{staff}"]
verdict = "allow"

[[rule]]
name = "payroll-people"
apps = ["payroll"]
groups = ["{payroll_group}"]
verdict = "allow"
"#
    )
}

fn announce(app: &App, place: &Place, json: bool, output: &mut Output) -> Result<(), String> {
    let Place { port, simulator, .. } = place;
    let https = app.addresses().https.first().ok_or("the gateway does not listen")?;
    let admin = app.addresses().admin.first().ok_or("the admin listener does not listen")?;
    let url = |host: &str| format!("https://{host}:{port}");
    if json {
        output.compact(&serde_json::json!({
            "wiki": url(WIKI),
            "payroll": url(PAYROLL),
            "portal": url(PORTAL),
            "console": url(CONSOLE),
            "admin_token": place.folder.join("state/admin-token"),
            "admin": format!("http://{admin}"),
            "simulator": simulator,
            "certificate": place.leaf,
            "authority": place.authority,
            "state": place.folder,
        }));
        return Ok(());
    }
    for line in words(place, https.ip(), admin) {
        output.line(&line);
    }
    Ok(())
}

/// How this program was called, so that the commands below can be typed as they stand.
fn program() -> String {
    std::env::args().next().unwrap_or_else(|| "portcullis".to_owned())
}

/// What there is and what to try, line by line.
fn words(place: &Place, ip: std::net::IpAddr, admin: &SocketAddr) -> Vec<String> {
    let Place { port, simulator, .. } = place;
    let url = |host: &str| format!("https://{host}:{port}");
    let (program, config) = (program(), place.folder.join("portcullis.toml"));
    let (config, mallory) = (config.display(), format!("{}:{}", people::CONTOSO, people::MALLORY));
    let simulator_at = simulator.trim_start_matches("http://");
    // The command's own default need not be typed.
    let at = if simulator_at.ends_with(":9444") { String::new() } else { format!(" --simulator {simulator_at}") };
    vec![
        String::new(),
        "Portcullis demo. Everything runs on this machine and stops with Ctrl-C.".to_owned(),
        String::new(),
        format!("  wiki      {}      for everybody on the staff", url(WIKI)),
        format!("  payroll   {}   for the payroll group", url(PAYROLL)),
        format!("  portal    {}", url(PORTAL)),
        format!("  console   {}   for alice; or http://localhost:{} with the admin token", url(CONSOLE), admin.port()),
        format!("  admin     http://{admin}/metrics, /ready"),
        format!("  Entra     {simulator} (simulated)"),
        format!("  folder    {}", place.folder.display()),
        String::new(),
        "Open the wiki in a browser (it does not know the demo's authority and warns once), sign in as".to_owned(),
        "  alice    staff and payroll, no risk".to_owned(),
        "  bob      staff and payroll, medium risk: has to approve a second factor first".to_owned(),
        "  mallory  staff only, high risk: is let in nowhere".to_owned(),
        "with the password: demo".to_owned(),
        String::new(),
        "Make mallory harmless, open the wiki as mallory, and then say high again: page, WebSocket and download stop."
            .to_owned(),
        format!("  {program} simulate risk set mallory none{at}"),
        format!("  {program} simulate risk set mallory high{at}"),
        String::new(),
        "Without a browser, this says where to sign in:".to_owned(),
        format!("  curl --cacert {} --resolve {WIKI}:{port}:{} {}/", place.authority.display(), ip, url(WIKI)),
        String::new(),
        "See sessions, a person and what rules would do to accounts, and ask why something is refused:".to_owned(),
        format!("  {program} session ls --config {config}"),
        format!("  {program} user show {mallory} --config {config}"),
        format!("  {program} action ls --config {config}"),
        format!(
            "  {program} explain --config {config} --app wiki --user {mallory} --group {} --risk high",
            people::STAFF
        ),
        String::new(),
    ]
}
