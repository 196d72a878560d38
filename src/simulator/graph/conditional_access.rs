//! Authentication contexts and the Conditional Access policies that target them (reference section 7.1).
//!
//! Shapes: <https://learn.microsoft.com/graph/api/conditionalaccessroot-list-authenticationcontextclassreferences> and
//! <https://learn.microsoft.com/graph/api/resources/conditionalaccesspolicy>. A context of the world is there whether or
//! not a policy targets it; a context without a policy is issued vacuously.

use serde_json::{Value, json};

use super::Ask;
use super::answer::{Answer, Trouble};
use super::query::{Page, project, walk};
use crate::simulator::state::State;
use crate::simulator::world::ContextPolicy;

/// `GET /identity/conditionalAccess/authenticationContextClassReferences`
pub(super) fn contexts(state: &State, ask: &Ask) -> Result<Answer, Trouble> {
    ask.caller.need(&["AuthenticationContext.Read.All"])?;
    let known = ["id", "displayName", "description", "isAvailable"];
    list(state, ask, "authenticationContextClassReferences", &known, |id, _| {
        Some(json!({
            "id": id, "displayName": format!("Context {id}"), "description": "Simulated", "isAvailable": true,
        }))
    })
}

/// `GET /identity/conditionalAccess/policies`
pub(super) fn policies(state: &State, ask: &Ask) -> Result<Answer, Trouble> {
    ask.caller.need(&["Policy.Read.All"])?;
    let known = ["id", "displayName", "state", "conditions", "grantControls"];
    list(state, ask, "policies", &known, |id, policy| {
        let (mode, control) = match policy {
            ContextPolicy::Absent => return None,
            ContextPolicy::ReportOnly => ("enabledForReportingButNotEnforced", "mfa"),
            ContextPolicy::Mfa => ("enabled", "mfa"),
            ContextPolicy::Blocked => ("enabled", "block"),
        };
        Some(json!({
            "id": format!("policy-for-{id}"), "displayName": format!("Policy for {id}"), "state": mode,
            "conditions": {"applications": {
                "includeApplications": [], "includeAuthenticationContextClassReferences": [id],
            }},
            "grantControls": {"operator": "OR", "builtInControls": [control]},
        }))
    })
}

fn list(
    state: &State,
    ask: &Ask,
    name: &str,
    known: &[&'static str],
    item: impl Fn(&str, ContextPolicy) -> Option<Value>,
) -> Result<Answer, Trouble> {
    let page = Page::open(state, ask, 100, 999)?;
    let select = page.query.selected(known, known, name)?;
    let (found, next) = {
        let world = state.world();
        let tenant = world.tenant(&ask.caller.tid).ok_or_else(Trouble::denied)?;
        let all: Vec<(&String, &ContextPolicy)> = tenant.auth_contexts.iter().collect();
        walk(page.at, all.len() as u64, page.size, |place| {
            let (id, policy) = all.get(usize::try_from(place).ok()?)?;
            item(id, **policy).map(|object| project(&object, &select))
        })
    };
    Ok(page.answer(state, ask, &format!("identity/conditionalAccess/{name}"), found, next))
}
