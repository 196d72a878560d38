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
use crate::facts::{AppId, Destination, Facts, Passed, RiskFeed, RiskSource, Standing, TenantId, UnixTime};
use crate::policy::{Considered, Outcome, RiskRule, Rule, Who};

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
    /// Access rules, in order; the first match wins.
    rules: Vec<RuleLine>,
    /// Risk rules, in order; every match counts, the strictest wins.
    risk_rules: Vec<RiskRuleLine>,
    /// Whether the risk that risk rules ask for is known, per tenant; a rule without data is inactive there.
    risk: Vec<RiskData>,
}

/// One risk rule.
#[derive(Serialize, JsonSchema)]
struct RiskRuleLine {
    /// Its name.
    name: String,
    /// Whether it is switched on.
    enabled: bool,
    /// What it does.
    verdict: &'static str,
    /// Levels of risk; empty for any.
    levels: Vec<&'static str>,
    /// Apps by name; empty for every app.
    apps: Vec<String>,
    /// What is done to the account.
    actions: Vec<&'static str>,
}

/// Whether one tenant's risk is known.
#[derive(Serialize, JsonSchema)]
struct RiskData {
    /// Tenant id.
    tenant: String,
    /// `active`, or `inactive: no data`.
    state: &'static str,
    /// `answers`, or why there is none; what then happens is configured, and is never "no risk".
    source: &'static str,
}

/// One rule.
#[derive(Serialize, JsonSchema)]
struct RuleLine {
    /// Its name.
    name: String,
    /// Whether it is switched on.
    enabled: bool,
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
    /// Whether risk control looked at the person, or why not.
    risk: &'static str,
    /// Every risk rule in order with what became of it.
    risk_trail: Vec<Trail>,
    /// Every access rule in order with what became of it.
    trail: Vec<Trail>,
}

#[derive(Serialize, JsonSchema)]
struct Trail {
    rule: String,
    verdict: &'static str,
    /// `decides`, `counts`, `passed`, `overshadowed`, `depends_on_person`, `misses` or `not_reached`.
    outcome: &'static str,
    /// The first condition that did not hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<&'static str>,
}

async fn rules<S: SessionControl>(State(services): State<Services<S>>) -> Json<RuleList> {
    let view = (services.look)();
    let data = |tenant: &TenantId| {
        let source = services.directory.feed(*tenant).now().source;
        let state = if source == RiskSource::Answers { "active" } else { "inactive: no data" };
        RiskData { tenant: tenant.to_string(), state, source: source.word() }
    };
    Json(RuleList {
        generation: view.generation,
        rules: view.rules.iter().map(|rule| line(rule, &view)).collect(),
        risk_rules: view.risk_rules.iter().map(|rule| risk_line(rule, &view)).collect(),
        risk: view.provider.tenants.iter().map(data).collect(),
    })
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
    let trail = |considered: Considered| Trail {
        rule: considered.rule.to_string(),
        verdict: considered.verdict.word(),
        outcome: outcome(considered.outcome),
        condition: if let Outcome::Misses(condition) = considered.outcome { Some(condition.word()) } else { None },
    };
    let decision = explanation.decision;
    Ok(Json(Explained {
        verdict: decision.verdict.word(),
        reason: decision.reason.word(),
        step: decision.step.word(),
        rule: decision.rule.map(|rule| rule.to_string()),
        sentence: decision.reason.sentence(),
        risk: explanation.risk.word(),
        risk_trail: explanation.risk_trail.into_iter().map(trail).collect(),
        trail: explanation.trail.into_iter().map(trail).collect(),
    }))
}

const fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Decides => "decides",
        Outcome::Counts => "counts",
        Outcome::Passed => "passed",
        Outcome::Overshadowed => "overshadowed",
        Outcome::DependsOnPerson => "depends_on_person",
        Outcome::Misses(_) => "misses",
        Outcome::NotReached => "not_reached",
    }
}

fn risk_line(rule: &RiskRule, view: &View) -> RiskRuleLine {
    RiskRuleLine {
        name: rule.name.to_string(),
        enabled: rule.enabled,
        verdict: rule.verdict.word(),
        levels: rule.risk.levels.iter().map(|level| level.word()).collect(),
        apps: app_names(&rule.apps, view),
        actions: rule.actions.iter().map(|action| action.word()).collect(),
    }
}

fn app_names(apps: &[AppId], view: &View) -> Vec<String> {
    let name = |id: &AppId| view.apps.iter().find(|app| app.id == *id).map(|app| app.name.clone());
    apps.iter().filter_map(name).collect()
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
    RuleLine {
        name: rule.name.to_string(),
        enabled: rule.enabled,
        verdict: rule.verdict.word(),
        apps: app_names(&rule.apps, view),
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
