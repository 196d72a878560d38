//! The claims of ID tokens and access tokens (reference sections 1.6 and 3), and their wrong forms.

mod hostile;

use serde_json::{Map, Value, json};

use super::client_auth::Client;
use super::{discovery, flow};
use crate::simulator::faults::Hostile;
use crate::simulator::json::put;
use crate::simulator::state::{Grant, State};
use crate::simulator::time::Moment;
use crate::simulator::world::{App, GroupClaims, Person, World};
use crate::simulator::{jwt, random};

/// The ID token of a grant, right or in a wrong form.
pub(super) fn id_token(state: &State, grant: &Grant, now: Moment, mode: Option<Hostile>) -> String {
    let claims = id_claims(state, grant, now);
    match mode {
        Some(mode) => hostile::id_token(state, claims, now, mode),
        None => signed(state, &Value::Object(claims).to_string()),
    }
}

/// An access token for Graph. Opaque to the app; its form is v1, as Graph's are.
pub(super) fn access_token(state: &State, grant: &Grant, now: Moment, expires_in: u64) -> String {
    let issued = now.seconds().saturating_sub(BACKDATED);
    let scopes: Vec<&str> = grant.scopes.iter().map(String::as_str).filter(|s| *s != "offline_access").collect();
    let claims = json!({
        "aud": super::token::GRAPH,
        "iss": format!("https://sts.windows.net/{}/", grant.tid),
        "iat": issued, "nbf": issued, "exp": now.seconds() + expires_in,
        "appid": grant.client_id, "oid": grant.oid, "tid": grant.tid, "scp": scopes.join(" "),
        "sub": pairwise(super::token::GRAPH, &grant.tid, &grant.oid), "uti": random::opaque::<16>(), "ver": "1.0",
    });
    signed(state, &claims.to_string())
}

/// An app-only token: `roles`, no `scp`, `oid` = `sub` = the service principal.
pub(super) fn app_token(
    state: &State,
    tid: &str,
    client: &Client,
    resource: &str,
    now: Moment,
    expires_in: u64,
) -> String {
    let app = &client.app;
    let principal = app.principals.get(tid);
    let object_id = principal.map(|p| p.object_id.as_str()).unwrap_or_default();
    let issued = now.seconds().saturating_sub(BACKDATED);
    let mut claims = json!({
        "aud": resource,
        "iss": format!("https://sts.windows.net/{tid}/"),
        "iat": issued, "nbf": issued, "exp": now.seconds() + expires_in,
        "appid": app.client_id, "appidacr": client.acr, "oid": object_id, "sub": object_id, "tid": tid,
        "uti": random::opaque::<16>(), "rh": opaque_handle(), "ver": "1.0",
    });
    // A token can be issued with no roles at all; the claim is then absent (section 3).
    if let Some(principal) = principal.filter(|p| p.consented && !p.roles.is_empty()) {
        put(&mut claims, "roles", principal.roles.clone());
    }
    if app.optional_claims.idtyp {
        put(&mut claims, "idtyp", "app");
    }
    signed(state, &claims.to_string())
}

fn id_claims(state: &State, grant: &Grant, now: Moment) -> Map<String, Value> {
    let issued = now.seconds().saturating_sub(BACKDATED);
    let mut claims = Map::new();
    let mut put = |name: &str, value: Value| claims.insert(name.to_owned(), value);
    put("ver", json!("2.0"));
    put("iss", json!(discovery::issuer(&state.base, &grant.tid)));
    put("sub", json!(pairwise(&grant.client_id, &grant.tid, &grant.oid)));
    put("aud", json!(grant.client_id));
    put("exp", json!(now.seconds() + LIFETIME));
    put("iat", json!(issued));
    put("nbf", json!(issued));
    put("tid", json!(grant.tid));
    put("aio", json!(format!("AXQAi/{}", random::opaque::<48>())));
    put("rh", json!(opaque_handle()));
    put("uti", json!(random::opaque::<16>()));
    if let Some(nonce) = &grant.nonce {
        put("nonce", json!(nonce));
    }
    let world = state.world();
    if let (Some(person), Some(app)) = (world.person(&grant.tid, &grant.oid), world.app(&grant.client_id)) {
        personal(&mut claims, grant, person, app);
        optional(&mut claims, grant, person, app);
        groups(&mut claims, &world, grant, person, app);
    }
    claims
}

/// `oid`, `name` and `preferred_username` only with `profile`.
fn personal(claims: &mut Map<String, Value>, grant: &Grant, person: &Person, app: &App) {
    let has = |scope: &str| grant.scopes.iter().any(|s| s == scope);
    let mut put = |name: &str, value: Value| claims.insert(name.to_owned(), value);
    if has("profile") {
        put("oid", json!(person.oid));
        put("name", json!(person.name));
        put("preferred_username", json!(person.upn));
    }
    if let Some(idp) = &person.guest_of {
        put("idp", json!(idp));
    }
    // Default for guests that have one, else by optional claim or scope.
    let wants_email = person.guest_of.is_some() || app.optional_claims.email || has("email");
    let keeps_email = person.email_verified || !app.remove_unverified_email;
    if let Some(email) = person.email.as_ref().filter(|_| wants_email && keeps_email) {
        put("email", json!(email));
        if app.optional_claims.xms_edov {
            put("xms_edov", json!(person.email_verified));
        }
    }
    if let Some(roles) = person.app_roles.get(&app.client_id).filter(|r| !r.is_empty()) {
        put("roles", json!(roles));
    }
}

fn optional(claims: &mut Map<String, Value>, grant: &Grant, person: &Person, app: &App) {
    let wanted = app.optional_claims;
    let is_guest = u8::from(person.guest_of.is_some());
    let mut put = |is_wanted: bool, name: &str, value: Value| {
        if is_wanted {
            claims.insert(name.to_owned(), value);
        }
    };
    put(wanted.sid, "sid", json!(grant.sid));
    put(wanted.login_hint, "login_hint", json!(flow::opaque_hint(&grant.tid, &grant.oid)));
    put(wanted.auth_time, "auth_time", json!(grant.auth_time.seconds()));
    put(wanted.acct, "acct", json!(is_guest));
    put(wanted.ipaddr, "ipaddr", json!(grant.address));
    put(wanted.upn, "upn", json!(person.upn));
    let acrs: Vec<&str> = std::iter::once("p1").chain(grant.acrs.iter().map(String::as_str)).collect();
    put(!grant.acrs.is_empty(), "acrs", json!(acrs));
}

/// Groups, or above 200 a pointer to a retired API (reference section 1.6, group overage).
fn groups(claims: &mut Map<String, Value>, world: &World, grant: &Grant, person: &Person, app: &App) {
    let wants_groups = matches!(app.group_claims, GroupClaims::SecurityGroup | GroupClaims::All);
    let wants_roles = matches!(app.group_claims, GroupClaims::DirectoryRole | GroupClaims::All);
    if wants_roles && !person.directory_roles.is_empty() {
        claims.insert("wids".to_owned(), json!(person.directory_roles));
    }
    let exists = |id: &&String| world.tenant(&grant.tid).is_some_and(|t| t.groups.iter().any(|g| g.id == **id));
    let groups: Vec<&String> = person.groups.iter().filter(exists).collect();
    if !wants_groups || groups.is_empty() {
        return;
    }
    if groups.len() <= MAX_GROUPS {
        claims.insert("groups".to_owned(), json!(groups));
        return;
    }
    let endpoint = format!("https://graph.windows.net/{}/users/{}/getMemberObjects", grant.tid, person.oid);
    claims.insert("_claim_names".to_owned(), json!({"groups": "src1"}));
    claims.insert("_claim_sources".to_owned(), json!({"src1": {"endpoint": endpoint}}));
}

/// Stable for a person and an app, different for every app.
fn pairwise(client_id: &str, tid: &str, oid: &str) -> String {
    jwt::thumbprint_sha256(format!("{client_id}\n{tid}\n{oid}").as_bytes())
}

fn opaque_handle() -> String {
    format!("1.AXYA{}", random::opaque::<32>())
}

fn signed(state: &State, claims: &str) -> String {
    let Some(key) = state.keys().current() else { return String::new() };
    jwt::sign(&json!({"typ": "JWT", "alg": "RS256", "kid": key.kid}), claims, &key.pair)
}

/// Reference section 11, line 3.
const BACKDATED: u64 = 300;
const LIFETIME: u64 = 3_600;
/// Reference section 1.6.
const MAX_GROUPS: usize = 200;
