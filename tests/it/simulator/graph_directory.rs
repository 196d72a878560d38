//! People, groups and their changes (reference sections 5.1, 5.2 and 6).

use http::{Method, StatusCode};
use portcullis::simulator::{ADMINS, ALICE, BOB, CONTOSO, DORA, DORA_GROUPS, GUS, MALLORY, PAYROLL, STAFF};
use serde_json::{Value, json};

use super::graph::{Client, assert_refused, ids};

const OUTER: &str = "aaaaaaaa-1111-4111-8111-111111111111";

/// Sections 5.2, 7.4 and 10.2: `$select`, guests, unknown people, pages.
#[tokio::test]
async fn people_are_listed_page_by_page() {
    let mut c = Client::demo().await;
    let alice = c.read(&format!("users/{ALICE}")).await;
    assert_eq!(alice["userPrincipalName"], "alice@contoso.example");
    assert!(alice.get("accountEnabled").is_none(), "only on $select");
    let alice = c.read(&format!("users/{ALICE}?$select=id,accountEnabled,signInSessionsValidFromDateTime")).await;
    assert_eq!(alice["accountEnabled"], true);
    assert!(alice["signInSessionsValidFromDateTime"].as_str().unwrap().ends_with('Z'));
    assert_refused(&c.get("users/nobody").await, StatusCode::NOT_FOUND, "Request_ResourceNotFound");
    let (people, _) = c.all("users?$top=2&$select=id,userType").await;
    assert_eq!(people.len(), 7);
    let gus = people.iter().find(|p| p["id"] == GUS).unwrap();
    assert_eq!(gus["userType"], "Guest");
    assert_refused(&c.get("users?$top=1000").await, StatusCode::BAD_REQUEST, "Request_BadRequest");
    assert_refused(&c.get("users?$select=shoeSize").await, StatusCode::BAD_REQUEST, "Request_BadRequest");
    let (disabled, _) = c.all("users?$filter=accountEnabled%20eq%20false").await;
    assert_eq!(disabled.len(), 1);
    let (groups, _) = c.all("groups").await;
    assert_eq!(groups.len(), DORA_GROUPS + 3);
}

/// Section 5.2: nested groups count, and no more than twenty are checked at once.
#[tokio::test]
async fn membership_is_transitive() {
    let mut c = Client::demo().await;
    c.order(Method::POST, "/sim/v1/groups", json!({"tenant": CONTOSO, "id": OUTER, "name": "outer"})).await;
    c.order(Method::PUT, &format!("/sim/v1/groups/{OUTER}/groups/{PAYROLL}"), json!({})).await;
    let (groups, _) = c.all(&format!("users/{BOB}/transitiveMemberOf/microsoft.graph.group?$top=1")).await;
    assert_eq!(groups.len(), 3);
    assert!(ids(&groups).contains(&OUTER));
    let asked = json!({"groupIds": [OUTER, ADMINS, STAFF]});
    let reply = c.post(&format!("users/{BOB}/checkMemberGroups"), asked).await.json();
    assert_eq!(reply["value"], json!([OUTER, STAFF]));
    let many: Vec<&str> = std::iter::repeat_n(STAFF, 21).collect();
    let reply = c.post(&format!("users/{BOB}/checkMemberGroups"), json!({"groupIds": many})).await;
    assert_refused(&reply, StatusCode::BAD_REQUEST, "Request_BadRequest");
    let (all, _) = c.all(&format!("users/{DORA}/transitiveMemberOf?$top=100")).await;
    assert_eq!(all.len(), DORA_GROUPS + 1);
    // Two groups inside each other must not be walked for ever.
    c.order(Method::PUT, &format!("/sim/v1/groups/{PAYROLL}/groups/{OUTER}"), json!({})).await;
    let reply = c.post(&format!("users/{BOB}/getMemberGroups"), json!({"securityEnabledOnly": true})).await.json();
    assert_eq!(reply["value"].as_array().unwrap().len(), 3);
}

/// Section 5.1: everything, then only what changed; soft-deleted is `changed`, gone for good is `deleted`.
#[tokio::test]
async fn changes_of_people_follow_the_link() {
    let mut c = Client::demo().await;
    c.settings(json!({"page_size": 3, "empty_pages": 1})).await;
    let first = c.read("users/delta?$select=accountEnabled,displayName").await;
    assert!(first["value"].as_array().unwrap().is_empty() && first["@odata.nextLink"].is_string(), "an empty page");
    let (people, link) = c.all("users/delta?$select=accountEnabled,displayName").await;
    assert_eq!(people.len(), 7);
    assert!(people[0].get("userPrincipalName").is_none());
    let (nothing, link) = c.all(&link.unwrap()).await;
    assert!(nothing.is_empty());
    c.b.sim.world().change_person("bob", |p| p.enabled = false).unwrap();
    c.b.sim.world().change_person("dora", |p| p.upn = "theodora@contoso.example".to_owned()).unwrap();
    c.b.sim.world().set_deleted("alice", true).unwrap();
    c.order(Method::DELETE, "/sim/v1/people/mallory/account", json!({})).await;
    let link = link.unwrap();
    let (changes, after) = c.all(&link).await;
    let find = |id: &str| changes.iter().find(|item| item["id"] == id).cloned().unwrap();
    assert_eq!(changes.len(), 3, "a property that is not selected is not followed: {changes:?}");
    assert_eq!((&find(BOB)["accountEnabled"], &find(BOB)["displayName"]), (&json!(false), &json!("Bob Berger")));
    assert_eq!(find(ALICE)["@removed"]["reason"], "changed");
    assert_eq!(find(MALLORY)["@removed"]["reason"], "deleted");
    let (again, _) = c.all(&link).await;
    assert_eq!(again.len(), 3, "a link can be followed again");
    let path = link.split_once("/v1.0/").unwrap().1.to_owned();
    let minimal = c.send(Method::GET, &format!("/v1.0/{path}"), &[("prefer", "return=minimal")], "").await.json();
    let bob = minimal["value"].as_array().unwrap().iter().find(|item| item["id"] == BOB).cloned().unwrap();
    assert_eq!(bob, json!({"id": BOB, "accountEnabled": false}));
    assert!(c.all(&after.unwrap()).await.0.is_empty());
}

/// Section 5.1: `members@delta`, and the end of a membership.
#[tokio::test]
async fn changes_of_members_follow_the_link() {
    let mut c = Client::demo().await;
    let (groups, link) = c.all("groups/delta?$select=displayName,members").await;
    let payroll = groups.iter().find(|group| group["id"] == PAYROLL).unwrap();
    assert_eq!(payroll["members@delta"].as_array().unwrap().len(), 2);
    assert_eq!(payroll["members@delta"][0]["@odata.type"], "#microsoft.graph.user");
    c.order(Method::DELETE, &format!("/sim/v1/groups/{PAYROLL}/members/bob"), json!({})).await;
    c.order(Method::PUT, &format!("/sim/v1/groups/{PAYROLL}/members/mallory"), json!({})).await;
    c.order(Method::DELETE, &format!("/sim/v1/groups/{ADMINS}"), json!({})).await;
    let (changes, _) = c.all(&link.unwrap()).await;
    assert_eq!(changes.len(), 2, "{changes:?}");
    let find = |id: &str| changes.iter().find(|item| item["id"] == id).cloned().unwrap();
    assert_eq!(find(ADMINS)["@removed"]["reason"], "deleted");
    let moved = find(PAYROLL)["members@delta"].clone();
    assert_eq!(moved[0]["id"], MALLORY);
    assert_eq!((&moved[1]["id"], &moved[1]["@removed"]["reason"]), (&json!(BOB), &json!("deleted")));
}

/// Section 5.1: seven days, `$deltatoken=latest`, ids as the only filter, the two resets.
#[tokio::test]
async fn links_end() {
    let mut c = Client::demo().await;
    let latest = c.read("users/delta?$deltatoken=latest").await;
    assert_eq!(latest["value"], json!([]));
    let link = latest["@odata.deltaLink"].as_str().unwrap().to_owned();
    let path = link.split_once("/v1.0/").unwrap().1.to_owned();
    c.settings(json!({"resets": 1})).await;
    let reply = c.get(&path).await;
    assert_refused(&reply, StatusCode::GONE, "resyncRequired");
    let location = reply.headers["location"].to_str().unwrap().to_owned();
    assert!(location.ends_with("users/delta?$deltatoken="), "{location}");
    assert_eq!(c.all(&location).await.0.len(), 7, "a full synchronisation");
    assert_eq!(c.get(&path).await.status, StatusCode::OK, "the reset was ordered once");
    c.order(Method::PUT, "/sim/v1/clock", json!({"skew_seconds": 8 * 24 * 3600})).await;
    c.renew().await;
    assert_refused(&c.get(&path).await, StatusCode::GONE, "syncStateNotFound");
    let one = c.all(&format!("users/delta?$filter=id%20eq%20'{ALICE}'%20or%20id%20eq%20'{BOB}'")).await.0;
    assert_eq!(ids(&one), [ALICE, BOB]);
    for query in ["$filter=accountEnabled%20eq%20true", "$top=5", "$orderby=id", "$expand=manager"] {
        assert_eq!(c.get(&format!("users/delta?{query}")).await.status, StatusCode::BAD_REQUEST, "{query}");
    }
}

/// Section 6: revoking makes a refresh 50173, moves the timestamp, and does nothing to a guest.
#[tokio::test]
async fn account_actions_reach_the_account() {
    let mut c = Client::demo().await;
    let tokens = c.b.alice().await;
    let reply = c.post(&format!("users/{ALICE}/revokeSignInSessions"), json!({})).await;
    assert_eq!((reply.status, &reply.json()["value"]), (StatusCode::OK, &json!(true)));
    c.b.refresh(&tokens["refresh_token"]).await.assert_failure(50173, "invalid_grant");
    let alice = c.read(&format!("users/{ALICE}?$select=signInSessionsValidFromDateTime")).await;
    assert!(alice["signInSessionsValidFromDateTime"].as_str().unwrap() > "2026");
    assert_eq!(c.post(&format!("users/{GUS}/revokeSignInSessions"), json!({})).await.status, StatusCode::OK);
    assert_eq!(c.b.sim.world().person("gus_partner.example#EXT#").unwrap().sessions_valid_from, 0);
    let patch = |body: Value| body.to_string();
    let path = format!("/v1.0/users/{BOB}");
    let reply = c.send(Method::PATCH, &path, &[], &patch(json!({"accountEnabled": false}))).await;
    assert_eq!((reply.status, reply.body.len()), (StatusCode::NO_CONTENT, 0));
    assert!(!c.b.sim.world().person("bob").unwrap().enabled);
    let profile = json!({"passwordProfile": {"forceChangePasswordNextSignIn": true}});
    assert_eq!(c.send(Method::PATCH, &path, &[], &patch(profile)).await.status, StatusCode::NO_CONTENT);
    assert!(c.b.sim.world().person("bob").unwrap().must_change_password);
    c.b.sim.world().change_person("bob", |p| p.directory_roles.push("62e90394".to_owned())).unwrap();
    let reply = c.send(Method::PATCH, &path, &[], &patch(json!({"accountEnabled": true}))).await;
    assert_refused(&reply, StatusCode::FORBIDDEN, "Authorization_RequestDenied");
}

/// A tenant far larger than what is stored, whose people can still change.
#[tokio::test]
async fn a_million_people_can_be_served() {
    let mut c = Client::demo().await;
    let crowd = json!({"crowd": {"users": 1_000_000, "groups": 50_000, "risky": 50_000}});
    c.order(Method::PUT, &format!("/sim/v1/tenants/{CONTOSO}"), crowd).await;
    let page = c.read("users?$top=999").await;
    assert_eq!(page["value"].as_array().unwrap().len(), 999);
    let last = c.read("users/user999999@contoso.example").await;
    let (groups, _) = c.all(&format!("users/{}/transitiveMemberOf", last["id"].as_str().unwrap())).await;
    assert_eq!(groups.len(), 1);
    let latest = c.read("users/delta?$deltatoken=latest").await;
    c.b.sim.world().set_disabled("user999999", true).unwrap();
    let (changes, _) = c.all(latest["@odata.deltaLink"].as_str().unwrap()).await;
    assert_eq!(ids(&changes), [last["id"].as_str().unwrap()]);
    let risky = c.read("identityProtection/riskyUsers?$top=500&$filter=riskLevel%20eq%20'high'").await;
    assert_eq!(risky["value"].as_array().unwrap().len(), 500);
    let page = c.read("groups/delta?$select=displayName,members").await;
    assert!(page["@odata.nextLink"].is_string());
}
