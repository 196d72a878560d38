//! `portcullis explain`: which rule decides, and what became of the others. Decides with the code that serves requests.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};

use clap::Args;
use http::Method;
use serde_json::{Value, json};
use url::Url;

use crate::access::AppConfig;
use crate::config::Config;
use crate::facts::{
    AppId, Clock, Destination, Facts, Groups, ObjectId, Passed, RiskFeed, Standing, Subject, SystemClock, UserKey,
};
use crate::policy::{Explanation, Outcome, Policy, check_path};

use super::{ConfigArguments, Exit, Output};

/// Show which access rule decides a request, and why the others do not.
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
    let now = SystemClock::new().now();
    let standing = subject.as_ref().map_or(Standing::unknown(), Standing::of_token);
    let passed = Passed::default();
    let facts = Facts {
        subject: subject.as_ref(),
        standing: &standing,
        feed: RiskFeed::NONE,
        authenticated: now,
        passed: &passed,
        destination: Destination::App {
            app: place.id,
            name: &place.app.name,
            method: &arguments.method,
            path: &place.path,
        },
        client: IpAddr::V4(Ipv4Addr::LOCALHOST),
        now,
    };
    let explanation = Policy::new(config.rules.clone(), 0).explain(&facts);
    let note = note(&place.path);
    if arguments.config.json {
        output.json(&in_json(arguments, &place, &explanation, note.as_deref()));
    } else {
        output.line(in_words(arguments, &place, &explanation, note.as_deref()).trim_end());
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

fn who(arguments: &Arguments) -> String {
    match arguments.user {
        None => "nobody signed in".to_owned(),
        Some(user) if arguments.groups_unknown => format!("{user}, groups not known"),
        Some(user) => format!("{user}, in {} group{}", arguments.group.len(), plural(arguments.group.len())),
    }
}

const fn plural(number: usize) -> &'static str {
    if number == 1 { "" } else { "s" }
}

fn in_words(arguments: &Arguments, place: &Place<'_>, explanation: &Explanation, note: Option<&str>) -> String {
    let mut text = format!("{} https://{}{} (app {})\n", arguments.method, place.app.host, place.path, place.app.name);
    let mut line = |line: String| {
        text.push_str(&line);
        text.push('\n');
    };
    line(format!("by {}\n", who(arguments)));
    if let Some(note) = note {
        line(format!("note: {note}\n"));
    }
    let width = explanation.trail.iter().map(|considered| considered.rule.len()).max().unwrap_or(0).max(4);
    line(format!("      #  {:width$}  verdict  outcome", "rule"));
    for (number, considered) in (1..).zip(&explanation.trail) {
        let mark = if considered.outcome == Outcome::Decides { '>' } else { ' ' };
        let (rule, verdict, outcome) = (&considered.rule, considered.verdict.word(), outcome(considered.outcome));
        line(format!("  {mark} {number:>3}  {rule:width$}  {verdict:7}  {outcome}"));
    }
    let decision = &explanation.decision;
    let (verdict, reason, step) = (decision.verdict.word(), decision.reason.word(), decision.step.word());
    let mut last = format!("\n{verdict}: {reason} (step {step}");
    if let Some(rule) = &decision.rule {
        // Writing to a string cannot fail.
        let _ = write!(last, ", rule \"{rule}\"");
    }
    line(format!("{last})"));
    text
}

fn outcome(outcome: Outcome) -> String {
    match outcome {
        Outcome::Decides => "matches and decides".to_owned(),
        Outcome::Counts => "matches, something stricter or earlier decides".to_owned(),
        Outcome::Passed => "matches, what it asks for is passed".to_owned(),
        Outcome::Overshadowed => "matches, but an earlier rule may say otherwise once it is known who asks".to_owned(),
        Outcome::DependsOnPerson => "depends on who asks".to_owned(),
        Outcome::Misses(condition) => format!("does not match: {}", condition.word()),
        Outcome::NotReached => "not reached".to_owned(),
    }
}

fn in_json(arguments: &Arguments, place: &Place<'_>, explanation: &Explanation, note: Option<&str>) -> Value {
    let word = |outcome: Outcome| match outcome {
        Outcome::Decides => "decides",
        Outcome::Counts => "counts",
        Outcome::Passed => "passed",
        Outcome::Overshadowed => "overshadowed",
        Outcome::DependsOnPerson => "depends_on_person",
        Outcome::Misses(_) => "misses",
        Outcome::NotReached => "not_reached",
    };
    let trail: Vec<Value> = explanation
        .trail
        .iter()
        .map(|considered| {
            let condition = match considered.outcome {
                Outcome::Misses(condition) => Some(condition.word()),
                _ => None,
            };
            json!({
                "rule": considered.rule,
                "verdict": considered.verdict.word(),
                "outcome": word(considered.outcome),
                "condition": condition,
            })
        })
        .collect();
    let decision = &explanation.decision;
    json!({
        "request": {
            "app": place.app.name,
            "method": arguments.method.as_str(),
            "host": place.app.host,
            "path": place.path,
            "user": arguments.user.map(|user| user.to_string()),
        },
        "note": note,
        "decision": {
            "verdict": decision.verdict.word(),
            "reason": decision.reason.word(),
            "step": decision.step.word(),
            "rule": decision.rule,
        },
        "trail": trail,
    })
}
