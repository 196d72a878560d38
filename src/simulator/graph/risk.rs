//! Identity Protection: risky users, their history, detections and what an administrator does (reference section 4).

use http::StatusCode;
use serde_json::{Value, json};

use super::Ask;
use super::answer::{Answer, Trouble};
use super::query::{Page, project, walk};
use crate::simulator::json::put;
use crate::simulator::state::State;
use crate::simulator::time::Moment;
use crate::simulator::world::{Person, RiskLevel, RiskStep, Tenant};

/// Everything under `/identityProtection`.
pub(super) fn dispatch(state: &State, ask: &Ask, segments: &[&str]) -> Result<Answer, Trouble> {
    // Reference section 1.1: the China cloud has no such path.
    if state.world().tenant(&ask.caller.tid).is_some_and(|tenant| tenant.china) {
        return Err(Trouble::no_segment("identityProtection"));
    }
    let needed: &[&str] = match (ask.method.as_str(), segments) {
        ("GET", ["riskyUsers"] | ["riskyUsers", _]) => &["IdentityRiskyUser.Read.All"],
        ("GET", ["riskyUsers", _, "history"]) => &["IdentityRiskyUser.Read.All", "IdentityRiskyUser.ReadWrite.All"],
        ("GET", ["riskDetections"] | ["riskDetections", _]) => &["IdentityRiskEvent.Read.All"],
        ("POST", ["riskyUsers", _]) => &["IdentityRiskyUser.ReadWrite.All"],
        _ => return Err(Trouble::no_segment(&ask.path)),
    };
    if !needed.iter().any(|role| ask.caller.has(role)) {
        return Err(Trouble::new(StatusCode::FORBIDDEN, "Authorization_RequestDenied", MISSING_SCOPE));
    }
    let is_free = state.graph().take_quota(&ask.caller.tid, state.now());
    if !is_free {
        // Reference section 4.3: no `Retry-After` here.
        return Err(Trouble::throttled(None));
    }
    match (ask.method.as_str(), segments) {
        ("GET", ["riskyUsers"]) => list(state, ask, USER_PROPERTIES, "identityProtection/riskyUsers", risky_user),
        ("GET", ["riskDetections"]) => {
            list(state, ask, DETECTION_PROPERTIES, "identityProtection/riskDetections", detection)
        }
        ("GET", ["riskyUsers", id]) => one(state, ask, id),
        ("GET", ["riskyUsers", id, "history"]) => history(state, ask, id),
        ("GET", ["riskDetections", id]) => one_detection(state, ask, id),
        ("POST", ["riskyUsers", action]) => act(state, ask, action),
        _ => Err(Trouble::no_segment(&ask.path)),
    }
}

type Describe = fn(&View<'_>, &Person) -> Option<Value>;

/// What an object looks like depends on the licence, the time and the caller's `Prefer`.
struct View<'a> {
    tenant: &'a Tenant,
    now: u64,
    all_values: bool,
}

fn list(state: &State, ask: &Ask, known: &[&str], context: &str, describe: Describe) -> Result<Answer, Trouble> {
    // Reference section 4.2: 20 for detections; the default for risky users is not documented, so it is the same.
    let page = Page::open(state, ask, 20, MAX_TOP)?;
    let select = page.query.selected(known, known, "microsoft.graph.riskyUser")?;
    if let Some(filter) = &page.query.filter {
        filter.only(known)?;
    }
    let (found, next) = {
        let world = state.world();
        let tenant = world.tenant(&ask.caller.tid).ok_or_else(Trouble::denied)?;
        let view = View { tenant, now: state.now().0, all_values: ask.prefers(ALL_VALUES) };
        let stored = u64::try_from(tenant.people.len()).unwrap_or(u64::MAX);
        // Only the first of the crowd have a risk.
        walk(page.at, stored + u64::from(tenant.crowd.risky()), page.size, |place| {
            let object = describe(&view, &super::directory::user_at(tenant, place)?)?;
            let is_meant = page.query.filter.as_ref().is_none_or(|filter| filter.holds(&object));
            is_meant.then(|| project(&object, &select))
        })
    };
    Ok(page.answer(state, ask, context, found, next))
}

fn one(state: &State, ask: &Ask, id: &str) -> Result<Answer, Trouble> {
    let select = ask.query.selected(USER_PROPERTIES, USER_PROPERTIES, "microsoft.graph.riskyUser")?;
    let person = anybody(state, ask, id)?;
    let object = with_view(state, ask, |view| risky_user(view, &person)).ok_or_else(|| Trouble::missing(id))?;
    let mut object = project(&object, &select);
    put(&mut object, "@odata.context", format!("{}/v1.0/$metadata#identityProtection/riskyUsers/$entity", state.base));
    Ok(Answer::json(object))
}

fn one_detection(state: &State, ask: &Ask, id: &str) -> Result<Answer, Trouble> {
    let oid = id.strip_prefix(DETECTION_PREFIX).ok_or_else(|| Trouble::missing(id))?;
    let person = anybody(state, ask, oid)?;
    with_view(state, ask, |view| detection(view, &person)).map(Answer::json).ok_or_else(|| Trouble::missing(id))
}

fn history(state: &State, ask: &Ask, id: &str) -> Result<Answer, Trouble> {
    let person = anybody(state, ask, id)?;
    let items = with_view(state, ask, |view| {
        let steps = person.risk.history(view.now).iter().rev();
        let items = steps.enumerate().map(|(at, step)| {
            let mut item = risk_members(view, &person, step);
            put(&mut item, "id", format!("{}{at}", person.oid));
            put(&mut item, "userId", person.oid.clone());
            put(&mut item, "initiatedBy", step.by.clone());
            let detail = view.detail(&step.detail);
            put(&mut item, "activity", json!({"detail": detail, "riskEventTypes": step.events}));
            item
        });
        Some(items.collect::<Vec<_>>())
    });
    let items = items.unwrap_or_default();
    if items.is_empty() {
        return Err(Trouble::missing(id));
    }
    let context = format!("{}/v1.0/$metadata#identityProtection/riskyUsers('{}')/history", state.base, person.oid);
    Ok(Answer::json(json!({"@odata.context": context, "value": items})))
}

/// Reference section 4.6: the new state shows after a short while, `isProcessing` until then.
fn act(state: &State, ask: &Ask, action: &str) -> Result<Answer, Trouble> {
    let action = action.rsplit('.').next().unwrap_or_default();
    let (level, risk_state, detail) = match action {
        "confirmCompromised" => (RiskLevel::High, "confirmedCompromised", "adminConfirmedUserCompromised"),
        "dismiss" => (RiskLevel::None, "dismissed", "adminDismissedAllRiskForUser"),
        "confirmSafe" => (RiskLevel::None, "confirmedSafe", "adminConfirmedAccountSafe"),
        _ => return Err(Trouble::no_segment(&ask.path)),
    };
    let ids = ask.body.as_ref().and_then(|body| body.get("userIds")).and_then(Value::as_array);
    let ids: Vec<&str> = ids.into_iter().flatten().filter_map(Value::as_str).collect();
    if ids.is_empty() {
        return Err(Trouble::bad("The property 'userIds' is missing or empty."));
    }
    let at = state.now().0 + state.graph().processing_seconds * 1_000_000;
    let mut world = state.world();
    let tenant = world.tenant_mut(&ask.caller.tid).ok_or_else(Trouble::denied)?;
    if let Some(id) = ids.iter().find(|id| tenant.account(id).is_none()) {
        return Err(Trouble::missing(id));
    }
    for id in ids {
        if let Some(person) = tenant.account_mut(id) {
            person.risk.push(RiskStep {
                at,
                level,
                state: risk_state.to_owned(),
                detail: detail.to_owned(),
                events: Vec::new(),
                by: Some(ask.caller.principal.clone()),
            });
        }
    }
    Ok(Answer::empty())
}

/// A risky user may be a deleted one (`isDeleted`).
fn anybody(state: &State, ask: &Ask, id: &str) -> Result<Person, Trouble> {
    let world = state.world();
    let tenant = world.tenant(&ask.caller.tid).ok_or_else(Trouble::denied)?;
    let stored = tenant.people.iter().find(|person| person.oid.eq_ignore_ascii_case(id)).cloned();
    stored.or_else(|| tenant.account(id)).ok_or_else(|| Trouble::missing(id))
}

fn with_view<T>(state: &State, ask: &Ask, look: impl FnOnce(&View<'_>) -> Option<T>) -> Option<T> {
    let world = state.world();
    let tenant = world.tenant(&ask.caller.tid)?;
    look(&View { tenant, now: state.now().0, all_values: ask.prefers(ALL_VALUES) })
}

fn risky_user(view: &View<'_>, person: &Person) -> Option<Value> {
    // Never at risk: not in the list, and 404 (reference section 13, line 8).
    let step = person.risk.current(view.now)?;
    Some(risk_members(view, person, step))
}

fn risk_members(view: &View<'_>, person: &Person, step: &RiskStep) -> Value {
    json!({
        "id": person.oid, "isDeleted": person.deleted, "isProcessing": person.risk.is_processing(view.now),
        "riskLevel": view.level(step.level), "riskState": step.state, "riskDetail": view.detail(&step.detail),
        "riskLastUpdatedDateTime": Moment(step.at).ticks(),
        "userDisplayName": person.name, "userPrincipalName": person.upn,
    })
}

/// The newest detection of a person.
fn detection(view: &View<'_>, person: &Person) -> Option<Value> {
    let step = person.risk.history(view.now).iter().rev().find(|step| !step.events.is_empty())?;
    let kind = step.events.first().map(String::as_str).unwrap_or_default();
    let at = Moment(step.at).ticks();
    Some(json!({
        "id": format!("{DETECTION_PREFIX}{}", person.oid),
        // Without P2 the premium detections appear as `generic` (reference section 4.1).
        "riskEventType": if view.tenant.premium { kind } else { "generic" },
        "riskLevel": view.level(step.level), "riskState": step.state, "riskDetail": view.detail(&step.detail),
        "source": "IdentityProtection", "detectionTimingType": "realtime", "activity": "signin",
        "tokenIssuerType": "AzureAD", "ipAddress": "203.0.113.7",
        "activityDateTime": at, "detectedDateTime": at, "lastUpdatedDateTime": at,
        "userId": person.oid, "userDisplayName": person.name, "userPrincipalName": person.upn,
        "additionalInfo": "[{\"Key\":\"userAgent\",\"Value\":\"Mozilla/5.0\"}]",
    }))
}

impl View<'_> {
    /// A tenant without the licence sees `hidden` (reference section 4.1).
    const fn level(&self, level: RiskLevel) -> &'static str {
        if self.tenant.premium { level.name() } else { "hidden" }
    }

    /// Values after the sentinel show only to those who ask (reference section 4.1).
    fn detail<'d>(&self, detail: &'d str) -> &'d str {
        match detail {
            "m365DAdminDismissedDetection"
            | "adminConfirmedServicePrincipalCompromised"
            | "adminDismissedAllRiskForServicePrincipal"
            | "userChangedPasswordOnPremises"
            | "adminDismissedRiskForSignIn"
            | "adminConfirmedAccountSafe"
            | "microsoftRevokedSessions"
                if !self.all_values =>
            {
                "unknownFutureValue"
            }
            other => other,
        }
    }
}

const ALL_VALUES: &str = "include-unknown-enum-members";
/// Reference section 4.2.
const MAX_TOP: usize = 500;
const DETECTION_PREFIX: &str = "e3a9";
/// Reference section 10.2.
const MISSING_SCOPE: &str = "You cannot perform the requested operation, required scopes are missing in the token.";
const USER_PROPERTIES: &[&str] = &[
    "id",
    "isDeleted",
    "isProcessing",
    "riskLevel",
    "riskState",
    "riskDetail",
    "riskLastUpdatedDateTime",
    "userDisplayName",
    "userPrincipalName",
];
const DETECTION_PROPERTIES: &[&str] = &[
    "id",
    "riskEventType",
    "riskLevel",
    "riskState",
    "riskDetail",
    "source",
    "detectionTimingType",
    "activity",
    "tokenIssuerType",
    "ipAddress",
    "activityDateTime",
    "detectedDateTime",
    "lastUpdatedDateTime",
    "userId",
    "userDisplayName",
    "userPrincipalName",
    "additionalInfo",
];
