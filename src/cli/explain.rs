//! `portcullis explain`: which step and rule decide, and what became of the others. Decides with the code that serves
//! requests, on what the command line says about the person.

mod print;
mod standing;

use clap::Args;
use http::Method;
use url::Url;

use crate::access::AppConfig;
use crate::config::Config;
use crate::facts::{AppId, Clock, Destination, Facts, Groups, ObjectId, Standing, Subject, SystemClock, UserKey};
use crate::policy::{Policy, check_path};

use super::{ConfigArguments, Exit, Output};

/// Show which rule decides a request, and why the others do not.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("place").required(true).args(["app", "url"]))]
#[command(group = clap::ArgGroup::new("person").required(true).args(["user", "anonymous"]))]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// App by name.
    #[arg(long)]
    app: Option<String>,
    /// Path within the app's host, with `--app`.
    #[arg(long, requires = "app")]
    path: Option<String>,
    /// Full address, such as `https://wiki.example.com/docs`.
    #[arg(long, value_parser = address)]
    url: Option<Address>,
    /// Method.
    #[arg(long, default_value = "GET")]
    method: Method,
    /// Person as `tenant id:object id`.
    #[arg(long)]
    user: Option<UserKey>,
    /// Group the person is in, by object id; may be repeated.
    #[arg(long, requires = "user", conflicts_with = "anonymous")]
    group: Vec<ObjectId>,
    /// The person's groups are not known (token overage).
    #[arg(long, requires = "user", conflicts_with_all = ["group", "anonymous"])]
    groups_unknown: bool,
    /// Nobody is signed in.
    #[arg(long)]
    anonymous: bool,
    #[command(flatten)]
    circumstances: standing::Circumstances,
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Exit {
    let config = match super::load(&arguments.config.config, arguments.config.json, output) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let place = match place(arguments, &config) {
        Ok(place) => place,
        Err(message) => {
            output.complain(&message);
            return Exit::Usage;
        }
    };
    let subject = arguments.user.map(|user| Subject {
        user,
        name: "".into(),
        email: "".into(),
        groups: if arguments.groups_unknown { Groups::Unknown } else { Groups::known(arguments.group.clone()) },
    });
    let circumstances = &arguments.circumstances;
    let now = circumstances.now(SystemClock::new().now());
    let standing = subject.as_ref().map_or(Standing::unknown(), |subject| circumstances.standing(subject, now));
    let passed = circumstances.passed(now);
    let facts = Facts {
        subject: subject.as_ref(),
        standing: &standing,
        feed: circumstances.feed(now),
        authenticated: circumstances.authenticated(now),
        passed: &passed,
        destination: Destination::App {
            app: place.id,
            name: &place.app.name,
            method: &arguments.method,
            path: &place.path,
        },
        client: circumstances.client(),
        now,
    };
    let policy = Policy::new(config.rules.clone(), 0).with_risk(config.risk.clone());
    let explanation = policy.explain(&facts);
    let note = note(&place.path);
    if arguments.config.json {
        output.json(&print::in_json(arguments, &place, &explanation, note.as_deref()));
    } else {
        output.line(print::in_words(arguments, &place, &explanation, note.as_deref()).trim_end());
    }
    Exit::Done
}

/// The app and path that are meant.
struct Place<'a> {
    id: AppId,
    app: &'a AppConfig,
    path: String,
}

fn place<'a>(arguments: &Arguments, config: &'a Config) -> Result<Place<'a>, String> {
    let numbered = || (0u32..).map(AppId).zip(&config.apps);
    if let Some(url) = &arguments.url {
        let Address { host, path } = url;
        let covers = |app: &AppConfig| {
            let rest = path.strip_prefix(app.path.trim_end_matches('/'));
            app.host == *host && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let longest = numbered().filter(|(_, app)| covers(app)).max_by_key(|(_, app)| app.path.len());
        let (id, app) = longest.ok_or_else(|| format!("no app answers at {host}{path}"))?;
        return Ok(Place { id, app, path: path.clone() });
    }
    let name = arguments.app.as_deref().unwrap_or_default();
    let (id, app) = numbered().find(|(_, app)| app.name == name).ok_or_else(|| {
        let names: Vec<&str> = config.apps.iter().map(|app| app.name.as_str()).collect();
        format!("no app is called \"{name}\", the apps are {}", names.join(", "))
    })?;
    Ok(Place { id, app, path: arguments.path.clone().unwrap_or_else(|| app.path.clone()) })
}

/// Host and path of a full address.
#[derive(Debug, Clone)]
struct Address {
    host: String,
    path: String,
}

/// Takes an address apart. The path stays as it is written: a browser would resolve `..` before it asks, but the point
/// is to see what happens when somebody else does not.
fn address(text: &str) -> Result<Address, String> {
    let expected = "expected an address such as https://wiki.example.com/docs";
    let url = Url::parse(text).map_err(|error| format!("{expected}: {error}"))?;
    let (_, rest) = text.split_once("://").ok_or(expected)?;
    let host = url.host_str().filter(|_| url.scheme() == "https").ok_or(expected)?.to_owned();
    let path = rest.find('/').and_then(|slash| rest.get(slash..)).unwrap_or("/");
    let path = path.split(['?', '#']).next().unwrap_or("/").to_owned();
    Ok(Address { host, path })
}

/// What happens to a path before any rule is asked.
fn note(path: &str) -> Option<String> {
    if path == "/.portcullis" || path.starts_with("/.portcullis/") {
        return Some("paths under /.portcullis/ are the gateway's own, no rule is asked".to_owned());
    }
    let trimmed = if path.len() > 1 { path.strip_suffix('/').unwrap_or(path) } else { path };
    let fault = check_path(trimmed).err()?;
    Some(format!("a request for this path may be refused before any rule is asked: {fault}"))
}
