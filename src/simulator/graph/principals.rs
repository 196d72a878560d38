//! Service principals and what was granted to them (reference section 2.1, method B).

use serde_json::{Value, json};

use super::Ask;
use super::answer::{Answer, Trouble};
use super::query::project;
use crate::simulator::state::State;
use crate::simulator::world::{App, ServicePrincipal};

/// `GET /servicePrincipals(appId='..')` and `GET /servicePrincipals/{id}`
pub(super) fn one(state: &State, ask: &Ask, id: &str) -> Result<Answer, Trouble> {
    ask.caller.need(READ)?;
    let known = ["id", "appId", "displayName", "accountEnabled"];
    let select = ask.query.selected(&known, &known, "microsoft.graph.servicePrincipal")?;
    find(state, ask, id, |app, principal| {
        let object = json!({
            "id": principal.object_id, "appId": app.client_id, "displayName": app.name,
            "accountEnabled": !principal.disabled,
        });
        let mut object = project(&object, &select);
        let context = format!("{}/v1.0/$metadata#servicePrincipals/$entity", state.base);
        crate::simulator::json::put(&mut object, "@odata.context", context);
        object
    })
}

/// `GET /servicePrincipals/{id}/appRoleAssignments`
pub(super) fn assignments(state: &State, ask: &Ask, id: &str) -> Result<Answer, Trouble> {
    ask.caller.need(READ)?;
    find(state, ask, id, |app, principal| {
        let granted = principal.roles.iter().filter(|_| principal.consented);
        let known = granted.filter_map(|role| APP_ROLES.iter().find(|(name, _)| name == role));
        let value: Vec<Value> = known
            .map(|(name, role_id)| {
                json!({
                    "id": crate::simulator::jwt::thumbprint_sha256(format!("{}{name}", principal.object_id).as_bytes()),
                    "createdDateTime": "2026-09-01T08:12:44.1029384Z", "appRoleId": role_id,
                    "principalId": principal.object_id, "principalType": "ServicePrincipal",
                    "principalDisplayName": app.name, "resourceId": GRAPH_OBJECT_ID,
                    "resourceDisplayName": "Microsoft Graph",
                })
            })
            .collect();
        json!({"@odata.context": format!("{}/v1.0/$metadata#appRoleAssignments", state.base), "value": value})
    })
}

fn find(
    state: &State,
    ask: &Ask,
    id: &str,
    describe: impl FnOnce(&App, &ServicePrincipal) -> Value,
) -> Result<Answer, Trouble> {
    let app_id = id.strip_prefix("servicePrincipals(appId='").and_then(|rest| rest.strip_suffix("')"));
    let world = state.world();
    let mut all = world.apps.iter().filter_map(|app| Some((app, app.principals.get(&ask.caller.tid)?)));
    let found = all.find(|(app, principal)| match app_id {
        Some(app_id) => app.client_id.eq_ignore_ascii_case(app_id),
        None => principal.object_id.eq_ignore_ascii_case(id),
    });
    found.map(|(app, principal)| Answer::json(describe(app, principal))).ok_or_else(|| Trouble::missing(id))
}

const READ: &[&str] = &["Application.Read.All", "Directory.Read.All"];
/// The tenant's own service principal of Graph; a made-up id (reference section 2.1).
const GRAPH_OBJECT_ID: &str = "d17b5e60-3c94-4a2f-b8e1-7f0a9c6d2345";
/// Application permissions and their ids (reference section 2.1).
const APP_ROLES: [(&str, &str); 16] = [
    ("IdentityRiskyUser.Read.All", "dc5007c0-2d7d-4c42-879c-2dab87571379"),
    ("IdentityRiskyUser.ReadWrite.All", "656f6061-f9fe-4807-9708-6a2e0934df76"),
    ("IdentityRiskEvent.Read.All", "6e472fd1-ad78-48da-a0f0-97ab2c6b769e"),
    ("User.Read.All", "df021288-bdef-4463-88db-98f22de89214"),
    ("User.ReadWrite.All", "741f803b-c850-494e-b5df-cde7c675a1ca"),
    ("User.RevokeSessions.All", "77f3a031-c388-4f99-b373-dc68676a979e"),
    ("User.EnableDisableAccount.All", "3011c876-62b7-4ada-afa2-506cbbecc68c"),
    ("User-PasswordProfile.ReadWrite.All", "cc117bb9-00cf-4eb8-b580-ea2a878fe8f7"),
    ("Group.Read.All", "5b567255-7703-4780-807c-7be8301ae99b"),
    ("GroupMember.Read.All", "98830695-27a2-44f7-8c18-0c3ebc9698f6"),
    ("AuditLog.Read.All", "b0afded3-3588-46d8-8b3d-9842eff778da"),
    ("AuthenticationContext.Read.All", "381f742f-e1f8-4309-b4ab-e3d91ae4c5c1"),
    ("Application.Read.All", "9a5d68dd-52b0-4cc2-bd40-abcf44ac3a30"),
    ("Directory.Read.All", "7ab1d382-f21e-4acd-a863-ba3e13f7da61"),
    ("Policy.Read.All", "246dd0d5-5bd0-4def-940b-0421030a5b68"),
    ("UserAuthenticationMethod.Read.All", "38d9df27-64da-44fd-b7c5-a6fbac20248f"),
];
