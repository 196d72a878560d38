//! People: who they are, how risky, in which groups, what they would be answered at each app now, and their sessions.

use std::net::{IpAddr, Ipv4Addr};

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::routing::get;
use http::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::people::{self, GroupLine, account_word};
use super::sessions::{self, SessionLine, user_key};
use super::tenants::tenant_id;
use super::{Route, iam};
use crate::admin::problem::Problem;
use crate::admin::{Services, SessionControl, View};
use crate::directory::PersonInfo;
use crate::facts::{AccountRisk, Destination, Facts, Groups, Passed, Standing, Subject, TenantId, UserKey};

pub(super) fn routes<S: SessionControl>() -> Vec<Route<S>> {
    let filter: &[_] = &[
        ("tenant", "tenant id; needed when there are several"),
        ("q", "beginning of a name or address"),
        ("limit", "at most so many, up to 200"),
    ];
    vec![
        Route::new::<PersonList>("get", "/api/v1/users", "People by name, with their risk.", get(users::<S>))
            .with_query(filter)
            .may_say(&[(400, "bad_query"), (400, "bad_tenant")]),
        Route::new::<PersonList>("get", "/api/v1/users/risky", "People at risk, the highest first.", get(risky::<S>))
            .with_query(&[("tenant", "tenant id; left out, every tenant")])
            .may_say(&[(400, "bad_query"), (400, "bad_tenant")]),
        Route::new::<Person>(
            "get",
            "/api/v1/users/{user}",
            "One person: risk, groups, the verdict at each app now with its reason, sessions.",
            get(user::<S>),
        )
        .may_say(&[(400, "bad_user"), (404, "no_such_user")]),
        Route::new::<GroupList>("get", "/api/v1/groups", "Groups by name, for rules.", get(groups::<S>))
            .with_query(filter)
            .may_say(&[(400, "bad_query"), (400, "bad_tenant")]),
    ]
}

/// A person in a list.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(in crate::admin) struct PersonLine {
    /// `tid:oid`.
    pub(in crate::admin) user: String,
    /// Display name.
    pub(in crate::admin) name: String,
    /// User principal name, for display.
    pub(in crate::admin) upn: String,
    /// `enabled`, `disabled`, `deleted` or `unknown`.
    pub(in crate::admin) account: &'static str,
    /// The account's risk; absent when the provider lists none.
    pub(in crate::admin) risk: Option<Risk>,
}

/// An account's risk.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(in crate::admin) struct Risk {
    /// `low`, `medium`, `high`, `hidden`, `unknown` or `none`.
    pub(in crate::admin) level: &'static str,
    /// What has become of it.
    pub(in crate::admin) state: &'static str,
    /// Whether it still stands.
    pub(in crate::admin) open: bool,
    /// What the provider saw.
    pub(in crate::admin) detections: Vec<String>,
    /// When the provider last changed its mind, in seconds since 1970.
    pub(in crate::admin) updated: u64,
    /// When the gateway read it.
    pub(in crate::admin) read: u64,
}

#[derive(Serialize, JsonSchema)]
struct PersonList {
    /// Why the list may be empty or old: how the tenant's directory stands when it is not as it should be.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The people.
    users: Vec<PersonLine>,
}

#[derive(Serialize, JsonSchema)]
struct GroupList {
    /// As in the list of people.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The groups.
    groups: Vec<GroupLine>,
}

/// One person.
#[derive(Debug, Clone, Serialize, JsonSchema)]
struct Person {
    /// Who, and their risk.
    #[serde(flatten)]
    line: PersonLine,
    /// Where the risk of their tenant comes from: `answers`, or why it cannot be known.
    risk_source: &'static str,
    /// Whether every group is known.
    groups_known: bool,
    /// Object ids of their groups, nested ones included.
    groups: Vec<String>,
    /// Blocked by hand from private apps.
    held: bool,
    /// What a `GET` of each app's first page would be answered now.
    apps: Vec<AppVerdict>,
    /// Their sessions, newest first.
    sessions: Vec<SessionLine>,
}

/// What a person would be answered at an app.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(in crate::admin) struct AppVerdict {
    /// The app.
    pub(in crate::admin) app: String,
    /// `allow`, `monitor`, `warn`, `challenge` or `block`.
    pub(in crate::admin) verdict: &'static str,
    /// Why, a word of the closed list that logs and pages use.
    pub(in crate::admin) reason: &'static str,
    /// The step that settled it.
    pub(in crate::admin) step: &'static str,
    /// The rule, if one did.
    pub(in crate::admin) rule: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Filter {
    tenant: Option<String>,
    #[serde(default)]
    q: String,
    limit: Option<usize>,
}

async fn users<S: SessionControl>(
    State(services): State<Services<S>>,
    filter: Result<Query<Filter>, QueryRejection>,
) -> Result<Json<PersonList>, Problem> {
    let (tenant, q, limit) = read(&services, filter)?;
    let found = services.directory.search(tenant, &q, limit);
    Ok(Json(PersonList { reason: reason(&services, tenant), users: found.iter().map(person_line).collect() }))
}

async fn groups<S: SessionControl>(
    State(services): State<Services<S>>,
    filter: Result<Query<Filter>, QueryRejection>,
) -> Result<Json<GroupList>, Problem> {
    let (tenant, q, limit) = read(&services, filter)?;
    let groups = people::groups(&services.directory, tenant, &q, limit);
    Ok(Json(GroupList { reason: reason(&services, tenant), groups }))
}

async fn risky<S: SessionControl>(
    State(services): State<Services<S>>,
    filter: Result<Query<Filter>, QueryRejection>,
) -> Result<Json<PersonList>, Problem> {
    let Query(filter) = filter.map_err(|_| bad_query())?;
    let tenant = filter.tenant.map(|text| tenant_id(&text)).transpose()?;
    let reason = tenant.and_then(|tenant| reason(&services, tenant));
    Ok(Json(PersonList { reason, users: risky_now(&services, tenant) }))
}

/// People at risk, the highest first; of one tenant or all.
pub(in crate::admin) fn risky_now<S>(services: &Services<S>, only: Option<TenantId>) -> Vec<PersonLine> {
    let tenants = services.tenants.status().into_iter().map(|status| status.tenant);
    let mut found: Vec<_> = tenants
        .filter(|tenant| only.is_none_or(|only| only == *tenant))
        .flat_map(|tenant| people::risky(&services.directory, tenant))
        .map(|known| person_line(&known))
        .collect();
    let rank = |line: &PersonLine| match line.risk.as_ref().map(|risk| risk.level) {
        Some("high") => 0,
        Some("medium") => 1,
        Some("low") => 3,
        _ => 2,
    };
    found.sort_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| a.name.cmp(&b.name)));
    found.truncate(MOST);
    found
}

async fn user<S: SessionControl>(
    State(services): State<Services<S>>,
    Path(user): Path<String>,
) -> Result<Json<Person>, Problem> {
    let user = user_key(&user)?;
    let sessions = services.sessions.list(Some(user));
    let known = services.directory.person(user);
    let line = match (&known, sessions.first()) {
        (Some(known), _) => person_line(known),
        (None, Some(session)) => PersonLine {
            user: user.to_string(),
            name: session.name.to_string(),
            upn: session.email.to_string(),
            account: "unknown",
            risk: None,
        },
        (None, None) => {
            let missing = Problem::missing("no_such_user");
            return Err(missing.says("neither the directory nor a session knows this person"));
        }
    };
    let (subject, standing) = people::standing(&services.directory, user);
    let groups = match &standing.groups {
        Groups::Known(groups) => Some(groups.iter().map(ToString::to_string).collect()),
        Groups::Unknown => None,
    };
    let person = Person {
        risk_source: services.directory.feed(user.tenant).now().source.word(),
        groups_known: groups.is_some(),
        groups: groups.unwrap_or_default(),
        held: standing.hold.private,
        apps: apps(&services, &(services.look)(), &subject, &standing),
        sessions: sessions.into_iter().map(sessions::line).collect(),
        line,
    };
    Ok(Json(person))
}

/// What a person would be answered at each app now.
pub(in crate::admin) fn verdicts<S>(services: &Services<S>, user: &str, view: &View) -> Vec<AppVerdict> {
    let Ok(user) = user.parse::<UserKey>() else { return Vec::new() };
    let (subject, standing) = people::standing(&services.directory, user);
    apps(services, view, &subject, &standing)
}

fn apps<S>(services: &Services<S>, view: &View, subject: &Subject, standing: &Standing) -> Vec<AppVerdict> {
    let (now, passed) = (services.clock.now(), Passed::default());
    let feed = services.directory.feed(subject.user.tenant).now();
    let verdict = |app: &crate::admin::AppView| {
        let decision = view.policy.decide(&Facts {
            subject: Some(subject),
            standing,
            feed,
            authenticated: now,
            passed: &passed,
            destination: Destination::App { app: app.id, name: &app.name, method: &Method::GET, path: &app.path },
            client: IpAddr::V4(Ipv4Addr::LOCALHOST),
            now,
        });
        AppVerdict {
            app: app.name.clone(),
            verdict: decision.verdict.word(),
            reason: decision.reason.word(),
            step: decision.step.word(),
            rule: decision.rule.map(|rule| rule.to_string()),
        }
    };
    view.apps.iter().map(verdict).collect()
}

fn person_line(known: &PersonInfo) -> PersonLine {
    PersonLine {
        user: known.user.to_string(),
        name: known.name.clone(),
        upn: known.upn.clone(),
        account: account_word(known.account),
        risk: known.risk.as_ref().map(risk),
    }
}

fn risk(risk: &AccountRisk) -> Risk {
    Risk {
        level: risk.reading.level.word(),
        state: risk.reading.state.word(),
        open: risk.is_open(),
        detections: risk.detections.iter().map(ToString::to_string).collect(),
        updated: risk.reading.updated.0,
        read: risk.reading.read.0,
    }
}

/// The tenant, the text and the limit of a search.
fn read<S>(
    services: &Services<S>,
    filter: Result<Query<Filter>, QueryRejection>,
) -> Result<(TenantId, String, usize), Problem> {
    let Query(filter) = filter.map_err(|_| bad_query())?;
    let tenant = match filter.tenant {
        Some(text) => tenant_id(&text)?,
        None => match (services.look)().provider.tenants.as_slice() {
            [only] => *only,
            _ => return Err(Problem::bad("bad_tenant").fix("send ?tenant=, there are several")),
        },
    };
    Ok((tenant, filter.q, filter.limit.unwrap_or(50).min(MOST)))
}

/// A query that is not what the route takes.
pub(super) fn bad_query() -> Problem {
    Problem::bad("bad_query").fix("GET /api/v1/openapi.json lists what this address takes")
}

/// Why people and groups of this tenant may be missing or old.
fn reason<S>(services: &Services<S>, tenant: TenantId) -> Option<String> {
    let status = services.tenants.status().into_iter().find(|status| status.tenant == tenant);
    let Some(status) = status else { return Some("The gateway reads nothing of this tenant.".to_owned()) };
    let shown = iam::tenant(&status, &(services.look)());
    let wrong = shown.gates.into_iter().find(|gate| gate.gate != "risk" && gate.line.status != "granted")?;
    wrong.line.reason
}

/// People or groups listed at most.
const MOST: usize = 200;
