//! What may be done to an account: revoke its sessions, disable it, make it change its password (reference section 6).

use serde_json::{Value, json};

use super::Ask;
use super::answer::{Answer, Trouble};
use super::directory;
use crate::simulator::state::State;
use crate::simulator::world::Person;

/// `POST /users/{id}/revokeSignInSessions`: moves `signInSessionsValidFromDateTime`, so that a refresh is 50173.
pub(super) fn revoke(state: &State, ask: &Ask, id: &str) -> Result<Answer, Trouble> {
    ask.caller.need(&["User.RevokeSessions.All", "User.ReadWrite.All"])?;
    directory::person(state, ask, id)?;
    let now = state.now();
    change_account(state, ask, id, |person| {
        // A guest's sessions are the home tenant's: the answer is the same, and nothing happens.
        if person.guest_of.is_none() {
            person.sessions_valid_from = now.0;
        }
    })?;
    let context = format!("{}/v1.0/$metadata#Edm.Boolean", state.base);
    Ok(Answer::json(json!({"@odata.context": context, "value": true})))
}

/// `PATCH /users/{id}` with `accountEnabled` or `passwordProfile`.
pub(super) fn change(state: &State, ask: &Ask, id: &str) -> Result<Answer, Trouble> {
    let body = ask.body.as_ref().and_then(Value::as_object).filter(|body| !body.is_empty());
    let body = body.ok_or_else(|| Trouble::bad("Empty Payload. JSON content expected."))?;
    if let Some(name) = body.keys().find(|name| !matches!(name.as_str(), "accountEnabled" | "passwordProfile")) {
        return Err(Trouble::bad(format!("The property '{name}' cannot be changed in this simulator.")));
    }
    let enabled = match body.get("accountEnabled") {
        None => None,
        Some(Value::Bool(enabled)) => Some(*enabled),
        Some(_) => return Err(Trouble::bad("Invalid value specified for property 'accountEnabled'.")),
    };
    let profile = body.get("passwordProfile");
    if enabled.is_some() && !ask.caller.has("User.ReadWrite.All") {
        // Least privilege is these two together (reference section 6).
        ask.caller.need(&["User.EnableDisableAccount.All"])?;
        ask.caller.need(directory::READ_USERS)?;
    }
    if profile.is_some() {
        ask.caller.need(&["User-PasswordProfile.ReadWrite.All"])?;
    }
    if !directory::person(state, ask, id)?.directory_roles.is_empty() {
        // Sensitive actions on an administrator need a directory role, which no app here holds.
        return Err(Trouble::denied());
    }
    let now = state.now();
    change_account(state, ask, id, |person| {
        if let Some(enabled) = enabled {
            person.enabled = enabled;
        }
        if let Some(profile) = profile {
            let is_on = |name: &str| profile.get(name).and_then(Value::as_bool) == Some(true);
            person.must_change_password =
                is_on("forceChangePasswordNextSignIn") || is_on("forceChangePasswordNextSignInWithMfa");
            if let Some(password) = profile.get("password").and_then(Value::as_str) {
                password.clone_into(&mut person.password);
                person.password_changed_at = now.0;
            }
        }
    })?;
    Ok(Answer::empty())
}

fn change_account(state: &State, ask: &Ask, id: &str, change: impl FnOnce(&mut Person)) -> Result<(), Trouble> {
    let mut world = state.world();
    let person = world.tenant_mut(&ask.caller.tid).and_then(|tenant| tenant.account_mut(id));
    change(person.ok_or_else(|| Trouble::missing(id))?);
    Ok(())
}
