//! The rules in order, and which of them decides a request.

use std::net::{IpAddr, Ipv4Addr};

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::routing::{get, post};
use http::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::sessions::user_key;
use super::tenants::bad_body;
use super::{Route, people};
use crate::admin::problem::Problem;
use crate::admin::{Services, SessionControl, View};
use crate::facts::{AppId, Destination, Facts, Passed, RiskFeed, Standing, UnixTime};
use crate::policy::{Outcome, Rule, Who};

pub(super) fn routes<S: SessionControl>() -> Vec<Route<S>> {
    vec![
        Route::new::<RuleList>(
            "get",
            "/api/v1/rules",
            "The access rules, in order; the first match wins.",
            get(rules::<S>),
        ),
        Route::new::<Explained>(
            "post",
            "/api/v1/rules/explain",
            "Which rule decides a request of a person as they stand now, and what became of the others.",
            post(explain::<S>),
        )
        .takes::<Asked>()
        .may_say(&[(400, "bad_body"), (400, "bad_user"), (400, "bad_method"), (404, "no_such_app")]),
    ]
}

#[derive(Serialize, JsonSchema)]
struct RuleList {
    /// The configuration's generation.
    generation: u64,
    /// In order.
    rules: Vec<RuleLine>,
}

/// One rule.
#[derive(Serialize, JsonSchema)]
struct RuleLine {
    /// Its name.
    name: String,
    /// What it does.
    verdict: &'static str,
    /// Apps by name; empty for every app.
    apps: Vec<String>,
    /// Methods; empty for any.
    methods: Vec<String>,
    /// Path prefixes; empty for any.
    paths: Vec<String>,
    /// `anyone`, `signed_in` or `listed`.
    who: &'static str,
    /// People of a list.
    users: Vec<String>,
    /// Groups of a list.
    groups: Vec<String>,
}

/// A request to be explained.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// The person, `tid:oid`; left out, nobody is signed in.
    user: Option<String>,
    /// The app's name.
    app: String,
    /// The path; left out, the app's own.
    path: Option<String>,
    /// The method; left out, `GET`.
    method: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct Explained {
    verdict: &'static str,
    reason: &'static str,
    step: &'static str,
    rule: Option<String>,
    /// What a person would be told.
    sentence: &'static str,
    /// Every rule in order with what became of it.
    trail: Vec<Trail>,
}

#[derive(Serialize, JsonSchema)]
struct Trail {
    rule: String,
    verdict: &'static str,
    /// `decides`, `overshadowed`, `depends_on_person`, `misses` or `not_reached`.
    outcome: &'static str,
    /// The first condition that did not hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<&'static str>,
}

async fn rules<S: SessionControl>(State(services): State<Services<S>>) -> Json<RuleList> {
    let view = (services.look)();
    Json(RuleList { generation: view.generation, rules: view.rules.iter().map(|rule| line(rule, &view)).collect() })
}

async fn explain<S: SessionControl>(
    State(services): State<Services<S>>,
    body: Result<Json<Asked>, JsonRejection>,
) -> Result<Json<Explained>, Problem> {
    let Json(asked) = body.map_err(|error| bad_body(&error))?;
    let view = (services.look)();
    let app = view.apps.iter().find(|app| app.name == asked.app);
    let app = app.ok_or_else(|| Problem::missing("no_such_app").fix(format!("the apps are {}", names(&view))))?;
    let method = asked.method.as_deref().unwrap_or("GET");
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| Problem::bad("bad_method"))?;
    let user = asked.user.as_deref().map(user_key).transpose()?;
    let person = user.map(|user| people::standing(&services.directory, user));
    let (now, passed, nobody) = (services.clock.now(), Passed::default(), Standing::unknown());
    let explanation = view.policy.explain(&Facts {
        subject: person.as_ref().map(|(subject, _)| subject),
        standing: person.as_ref().map_or(&nobody, |(_, standing)| standing),
        feed: user.map_or(RiskFeed::NONE, |user| services.directory.feed(user.tenant).now()),
        authenticated: if user.is_some() { now } else { UnixTime(0) },
        passed: &passed,
        destination: Destination::App {
            app: app.id,
            name: &app.name,
            method: &method,
            path: asked.path.as_deref().unwrap_or(&app.path),
        },
        client: IpAddr::V4(Ipv4Addr::LOCALHOST),
        now,
    });
    let trail = explanation.trail.into_iter().map(|considered| Trail {
        rule: considered.rule.to_string(),
        verdict: considered.verdict.word(),
        outcome: outcome(considered.outcome),
        condition: if let Outcome::Misses(condition) = considered.outcome { Some(condition.word()) } else { None },
    });
    let decision = explanation.decision;
    Ok(Json(Explained {
        verdict: decision.verdict.word(),
        reason: decision.reason.word(),
        step: decision.step.word(),
        rule: decision.rule.map(|rule| rule.to_string()),
        sentence: decision.reason.sentence(),
        trail: trail.collect(),
    }))
}

const fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Decides => "decides",
        Outcome::Overshadowed => "overshadowed",
        Outcome::DependsOnPerson => "depends_on_person",
        Outcome::Misses(_) => "misses",
        Outcome::NotReached => "not_reached",
    }
}

fn line(rule: &Rule, view: &View) -> RuleLine {
    let (who, users, groups) = match &rule.who {
        Who::Anyone => ("anyone", Vec::new(), Vec::new()),
        Who::SignedIn => ("signed_in", Vec::new(), Vec::new()),
        Who::Listed { users, groups } => (
            "listed",
            users.iter().map(ToString::to_string).collect(),
            groups.iter().map(ToString::to_string).collect(),
        ),
    };
    let name = |id: &AppId| view.apps.iter().find(|app| app.id == *id).map(|app| app.name.clone());
    RuleLine {
        name: rule.name.to_string(),
        verdict: rule.verdict.word(),
        apps: rule.apps.iter().filter_map(name).collect(),
        methods: rule.methods.iter().map(ToString::to_string).collect(),
        paths: rule.paths.iter().map(ToString::to_string).collect(),
        who,
        users,
        groups,
    }
}

fn names(view: &View) -> String {
    view.apps.iter().map(|app| app.name.as_str()).collect::<Vec<_>>().join(", ")
}
