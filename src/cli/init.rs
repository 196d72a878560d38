//! `portcullis init --entra`: writes a first configuration and says how to register the gateway with Entra.

mod registration;
mod template;

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::json;
use url::Url;

use crate::facts::Guid;

use super::{Exit, Output};

/// Write a first configuration and rules, and print the steps of the app registration.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Sign people in with Microsoft Entra ID, the one provider there is.
    #[arg(long, required = true)]
    entra: bool,
    /// Folder for the files; made if it is not there.
    #[arg(long, value_name = "FOLDER", default_value = "config")]
    dir: PathBuf,
    /// Tenant id.
    #[arg(long, value_name = "GUID")]
    tenant: Guid,
    /// Application (client) id.
    #[arg(long, value_name = "GUID")]
    client_id: Guid,
    /// Sign-in and portal host.
    #[arg(long, value_name = "HOST", value_parser = host)]
    host: String,
    /// App as `name=address`, such as `wiki=http://10.0.0.5:8080`; may be repeated. It is served at `name.` plus the
    /// domain of the sign-in host.
    #[arg(long, value_name = "NAME=ADDRESS", value_parser = app)]
    app: Vec<App>,
    /// How the gateway proves to Entra who it is.
    #[arg(long, value_enum, default_value = "secret")]
    credential: CredentialKind,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// How the gateway proves to Entra who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum CredentialKind {
    /// A client secret in a file.
    Secret,
    /// A certificate; safer than a secret.
    Certificate,
    /// A token of another issuer (workload identity); nothing to keep secret.
    Federated,
}

/// An app given on the command line.
#[derive(Debug, Clone)]
struct App {
    name: String,
    upstream: String,
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Exit {
    let files = [
        (arguments.dir.join("portcullis.toml"), template::config(arguments)),
        (arguments.dir.join("rules.toml"), template::rules(arguments)),
    ];
    if let Some((taken, _)) = files.iter().find(|(path, _)| path.exists()) {
        output.complain(&format!("{} is already there; nothing was written", taken.display()));
        return Exit::Invalid;
    }
    for (path, text) in &files {
        if let Err(error) = write(path, text) {
            output.complain(&format!("{}: {error}", path.display()));
            return Exit::Invalid;
        }
    }
    let registration = registration::Registration::of(arguments);
    if arguments.json {
        let written: Vec<String> = files.iter().map(|(path, _)| path.display().to_string()).collect();
        output.json(&json!({ "written": written, "registration": registration }));
    } else {
        for (path, _) in &files {
            output.line(&format!("written: {}", path.display()));
        }
        output.line(&format!("\n{}", registration.in_words()));
    }
    Exit::Done
}

/// Writes a new file; one that appeared in the meantime is left alone.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    File::create_new(path)?.write_all(text.as_bytes())
}

impl Arguments {
    /// What follows the first label of the sign-in host, where the apps' hosts are.
    fn domain(&self) -> &str {
        self.host.split_once('.').map_or(self.host.as_str(), |(_, domain)| domain)
    }
}

fn is_label(text: &str) -> bool {
    let inside = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    (1..=63).contains(&text.len()) && inside && !text.starts_with('-') && !text.ends_with('-')
}

fn host(text: &str) -> Result<String, String> {
    if text.contains('.') && text.split('.').all(is_label) {
        return Ok(text.to_owned());
    }
    Err("expected a host name with a domain, in lower case and without a port, such as portal.example.com".to_owned())
}

fn app(text: &str) -> Result<App, String> {
    let expected = "expected name=http://host:port or name=https://host:port, the name fit for a host name";
    let (name, upstream) = text.split_once('=').filter(|(name, _)| is_label(name)).ok_or(expected)?;
    let url = Url::parse(upstream).map_err(|_| expected)?;
    let bare = matches!(url.scheme(), "http" | "https") && url.path() == "/" && url.query().is_none();
    if !bare || !url.username().is_empty() || url.fragment().is_some() {
        return Err(expected.to_owned());
    }
    Ok(App { name: name.to_owned(), upstream: upstream.trim_end_matches('/').to_owned() })
}
