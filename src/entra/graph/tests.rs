//! The Graph client against a provider that answers whatever a test tells it to.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::*;
use crate::entra::tests::provider::*;
use crate::facts::{ManualClock, ObjectId, RiskLevel, RiskState};

const TOKEN_PATH: &str = "/3f1c0b9e-6a52-4d0e-9b7a-5d2f8c4e1a77/token";
const USERS: &str = "/v1.0/users/delta?$select=id,displayName,userPrincipalName,mail,accountEnabled,userType,\
signInSessionsValidFromDateTime";

struct Stand {
    provider: Provider,
    graph: Graph,
    clock: Arc<ManualClock>,
}

fn person() -> ObjectId {
    PERSON.parse().unwrap()
}

fn token(roles: &[&str]) -> String {
    format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(json!({ "roles": roles }).to_string()))
}

async fn stand(roles: &[&str]) -> Stand {
    let provider = Provider::with(&Signer::new("k1")).await;
    let (party, clock) = provider.party();
    provider.give_all(&json!({ "token_type": "Bearer", "expires_in": "3599", "access_token": token(roles) }));
    let graph = Graph::new(&party, tenant(TENANT), &provider.base).unwrap();
    Stand { provider, graph, clock }
}

fn refusal(status: u16, code: &str) -> Reply {
    Reply::text(status, "application/json", &json!({ "error": { "code": code, "message": "x" } }).to_string())
}

#[tokio::test]
async fn one_app_token_serves_a_crowd_and_is_renewed_early() {
    let Stand { provider, graph, clock } = stand(&["User.Read.All", "Brand.New"]).await;
    let (a, b) = tokio::join!(graph.roles(), graph.roles());
    assert_eq!(a.unwrap(), Some(vec![Role::UserRead, Role::Unknown]));
    assert!(b.is_ok());
    assert_eq!(provider.hits(TOKEN_PATH), 1);
    let form = provider.last_form(TENANT);
    assert_eq!(form["grant_type"], "client_credentials");
    assert_eq!(form["client_id"], CLIENT);
    assert_eq!(form["client_secret"], "s&cret=ü");
    assert_eq!(form["scope"], format!("{}.default", provider.base));
    assert_eq!(form.len(), 4);
    clock.advance(Duration::from_secs(3000));
    graph.roles().await.unwrap();
    assert_eq!(provider.hits(TOKEN_PATH), 1);
    clock.advance(Duration::from_secs(300));
    graph.roles().await.unwrap();
    assert_eq!(provider.hits(TOKEN_PATH), 2);
}

#[tokio::test]
async fn each_token_failure_has_its_own_fault_and_is_not_asked_for_in_a_loop() {
    let Stand { provider, graph, clock } = stand(&[]).await;
    let rows = [
        ("unauthorized_client", 7_000_112, TokenFault::Disabled),
        ("unauthorized_client", 700_016, TokenFault::Deleted),
        ("invalid_client", 7_000_215, TokenFault::Credential),
    ];
    for (round, (error, code, expected)) in rows.into_iter().enumerate() {
        provider.refuse(400, &json!({ "error": error, "error_codes": [code] }));
        for _ in 0..2 {
            let Err(GraphError::NoToken { fault, .. }) = graph.roles().await else { panic!("{code}") };
            assert_eq!(fault, expected);
        }
        assert_eq!(provider.hits(TOKEN_PATH), round + 1);
        clock.advance(Duration::from_secs(61));
    }
    for (status, expected) in [(429, TokenFault::Throttled), (503, TokenFault::ProviderDown)] {
        provider.refuse(status, &json!({}));
        let Err(GraphError::NoToken { fault, .. }) = graph.roles().await else { panic!("{status}") };
        assert_eq!(fault, expected);
        clock.advance(Duration::from_secs(61));
    }
}

#[tokio::test]
async fn a_broken_user_does_not_cost_the_page() {
    let Stand { provider, graph, .. } = stand(&[]).await;
    let delta = format!("{}v1.0/users/delta?$deltatoken=kJ29", provider.base);
    let body = json!({ "@odata.deltaLink": delta, "unknown": {}, "value": [
        { "id": PERSON, "accountEnabled": false, "userType": "Guest", "mail": null, "new": [1],
          "signInSessionsValidFromDateTime": "2026-08-30T06:11:05Z" },
        { "id": 7 },
        { "id": TENANT, "@removed": { "reason": "changed" } },
        { "id": OTHER_TENANT, "@removed": { "reason": "deleted" } },
        { "id": TENANT, "displayName": "x", "signInSessionsValidFromDateTime": "yesterday" } ] });
    provider.reply(USERS, Reply::json(&body));
    let page = graph.users_delta(None).await.unwrap();
    assert!(provider.last(USERS).contains(&format!("authorization: Bearer {}\r\n", token(&[]))));
    assert_eq!((page.items.len(), page.broken, page.is_complete()), (4, 2, false));
    let UserChange::Seen(user) = &page.items[0] else { panic!("{page:?}") };
    assert_eq!((user.id, user.enabled, user.guest, &user.mail), (person(), Some(false), Some(true), &None));
    assert_eq!(user.sign_in_sessions_valid_from, Some(UnixTime(1_788_070_265)));
    assert_eq!(page.items[1], UserChange::Removed(TENANT.parse().unwrap(), Removal::Changed));
    assert_eq!(page.items[2], UserChange::Removed(OTHER_TENANT.parse().unwrap(), Removal::Deleted));
    let Next::Delta(link) = page.next else { panic!("no delta link") };
    assert_eq!(graph.link(link.as_str()).unwrap().as_str(), delta);
    provider.reply("/v1.0/users/delta?$deltatoken=kJ29", refusal(400, "SyncStateNotFound"));
    assert!(matches!(graph.users_delta(Some(&link)).await, Err(GraphError::Resync)));
}

#[tokio::test]
async fn a_graph_page_that_leads_elsewhere_or_nowhere_is_refused() {
    let Stand { provider, graph, .. } = stand(&[]).await;
    let foreign = json!({ "value": [], "@odata.nextLink": "https://evil.example/v1.0/users" });
    provider.reply(USERS, Reply::json(&foreign));
    assert!(matches!(graph.users_delta(None).await, Err(GraphError::ForeignLink)));
    for body in [json!({ "value": [] }), json!({}), json!([])] {
        provider.reply(USERS, Reply::json(&body));
        assert!(matches!(graph.users_delta(None).await, Err(GraphError::Malformed)), "{body}");
    }
    for reply in [Reply::Half, Reply::Endless] {
        provider.reply(USERS, reply);
        assert!(matches!(graph.users_delta(None).await, Err(GraphError::Transport(_))));
    }
}

#[tokio::test]
async fn members_of_a_graph_group_come_and_go() {
    let Stand { provider, graph, .. } = stand(&[]).await;
    let next = format!("{}v1.0/groups/delta?$skiptoken=a", provider.base);
    let body = json!({ "@odata.nextLink": next, "value": [{ "id": TENANT, "displayName": "Staff", "members@delta": [
        { "@odata.type": "#microsoft.graph.user", "id": PERSON },
        { "@odata.type": "#microsoft.graph.group", "id": OTHER_TENANT, "@removed": { "reason": "deleted" } },
        { "id": null } ] }] });
    provider.reply("/v1.0/groups/delta?$select=displayName,members", Reply::json(&body));
    let page = graph.groups_delta(None).await.unwrap();
    let GroupChange::Seen(group) = &page.items[0] else { panic!("{page:?}") };
    assert_eq!(group.added, [Member { id: person(), kind: MemberKind::User }]);
    assert_eq!(group.removed, [Member { id: OTHER_TENANT.parse().unwrap(), kind: MemberKind::Group }]);
    assert_eq!(page.broken, 1);
    assert!(matches!(page.next, Next::More(_)));
}

#[tokio::test]
async fn hidden_and_unheard_of_risk_is_unknown_and_never_none() {
    let Stand { provider, graph, clock } = stand(&[]).await;
    let user = |level: &str, state: Value| {
        json!({ "id": PERSON, "riskLevel": level, "riskState": state,
        "riskLastUpdatedDateTime": "2026-09-14T10:22:31.5540129Z" })
    };
    let body = json!({ "value": [user("high", json!("atRisk")), user("hidden", json!("none")),
        user("catastrophic", Value::Null), { "id": PERSON }, { "riskLevel": "high" }] });
    let path = "/v1.0/identityProtection/riskyUsers?$top=500";
    provider.reply(path, Reply::json(&body));
    let page = graph.risky_users(None).await.unwrap();
    assert!(provider.last(path).contains("prefer: include-unknown-enum-members\r\n"));
    let seen: Vec<_> = page.items.iter().map(|(_, reading)| (reading.level, reading.state)).collect();
    assert_eq!(
        seen,
        [
            (RiskLevel::High, RiskState::AtRisk),
            (RiskLevel::Hidden, RiskState::None),
            (RiskLevel::Unknown, RiskState::Unknown),
            (RiskLevel::Unknown, RiskState::Unknown),
        ]
    );
    assert_eq!((page.broken, page.next), (1, Next::End));
    let (_, first) = page.items[0];
    assert_eq!((first.updated, first.read), (UnixTime(1_789_381_351), UnixTime(NOW)));
    clock.advance(Duration::from_secs(1));
    let since = format!("{path}&$filter=riskLastUpdatedDateTime%20gt%202026-09-14T10:22:31Z");
    provider.reply(&since, Reply::json(&json!({ "value": [] })));
    assert!(graph.risky_users(Some(UnixTime(1_789_381_351))).await.unwrap().items.is_empty());
    clock.advance(Duration::from_secs(1));
    provider.reply(path, refusal(429, "TooManyRequests"));
    assert!(matches!(graph.risky_users(None).await, Err(GraphError::Throttled(None))));
}

#[tokio::test]
async fn a_refused_graph_token_is_renewed_once() {
    let Stand { provider, graph, .. } = stand(&[]).await;
    provider.reply(USERS, refusal(401, "InvalidAuthenticationToken"));
    assert!(matches!(graph.users_delta(None).await, Err(GraphError::Unauthorized)));
    assert_eq!((provider.hits(TOKEN_PATH), provider.hits(USERS)), (2, 2));
}

#[tokio::test]
async fn graph_account_actions_send_what_microsoft_documents() {
    let Stand { provider, graph, clock } = stand(&["User.RevokeSessions.All"]).await;
    let user = format!("/v1.0/users/{PERSON}");
    let revoke = format!("{user}/revokeSignInSessions");
    provider.reply(&revoke, Reply::text(202, "text/plain", ""));
    assert!(matches!(graph.revoke_sessions(person()).await, Outcome::Done));
    assert!(provider.last(&revoke).starts_with("POST ") && provider.last(&revoke).ends_with("\r\n\r\n"));
    provider.reply(&revoke, refusal(403, "Authorization_RequestDenied"));
    assert!(matches!(graph.revoke_sessions(person()).await, Outcome::Denied(Denied::PrivilegedTarget)));
    provider.reply(&user, refusal(403, "Authorization_RequestDenied"));
    assert!(matches!(graph.set_enabled(person(), false).await, Outcome::Denied(Denied::MissingRole)));
    assert!(
        provider.last(&user).starts_with("PATCH ") && provider.last(&user).ends_with(r#"{"accountEnabled":false}"#)
    );
    provider.reply(&user, refusal(503, ""));
    assert!(matches!(graph.force_password_change(person(), false).await, Outcome::Retry(None)));
    assert!(provider.last(&user).ends_with(r#"{"passwordProfile":{"forceChangePasswordNextSignIn":true}}"#));
    for (verdict, at) in ["confirmCompromised", "confirmSafe", "dismiss"].into_iter().enumerate().map(|(n, v)| (v, n)) {
        clock.advance(Duration::from_secs(1));
        let path = format!("/v1.0/identityProtection/riskyUsers/{verdict}");
        provider.reply(&path, Reply::text(204, "text/plain", ""));
        let outcome = match at {
            0 => graph.confirm_compromised(person()).await,
            1 => graph.confirm_safe(person()).await,
            _ => graph.dismiss_risk(person()).await,
        };
        assert!(matches!(outcome, Outcome::Done), "{verdict}: {outcome:?}");
        assert!(provider.last(&path).ends_with(&format!(r#"{{"userIds":["{PERSON}"]}}"#)));
    }
    provider.reply(&user, refusal(404, "Request_ResourceNotFound"));
    assert!(matches!(graph.set_enabled(person(), true).await, Outcome::NotFound));
}

#[tokio::test]
async fn trying_to_read_graph_tells_present_absent_and_unknown() {
    let Stand { provider, graph, clock } = stand(&["User.RevokeSessions.All"]).await;
    let path = "/v1.0/identityProtection/riskyUsers?$top=1";
    provider.reply(path, Reply::json(&json!({ "value": [] })));
    assert!(graph.try_reading(Capability::ReadRiskyUsers).await.is_ok());
    clock.advance(Duration::from_secs(1));
    provider.reply(path, refusal(403, "Authorization_RequestDenied"));
    let absent = graph.try_reading(Capability::ReadRiskyUsers).await;
    assert!(matches!(absent, Err(GraphError::Denied(Denied::MissingRole))), "{absent:?}");
    clock.advance(Duration::from_secs(1));
    provider.reply(path, refusal(503, ""));
    let unknown = graph.try_reading(Capability::ReadRiskyUsers).await;
    assert!(matches!(unknown, Err(GraphError::ServerError(None))), "{unknown:?}");
}

#[tokio::test]
async fn risk_detections_are_read_one_by_one_and_filtered_by_time() {
    let Stand { provider, graph, clock } = stand(&[]).await;
    let path = "/v1.0/identityProtection/riskDetections?$top=500";
    let filtered = format!("{path}&$filter=detectedDateTime%20gt%202026-09-14T10:22:31Z");
    let next = format!("{}v1.0/identityProtection/riskDetections?$skiptoken=b", provider.base);
    let first = json!({ "@odata.nextLink": next, "value": [
        { "id": "e3a9", "userId": PERSON, "riskEventType": "anomalousToken", "riskLevel": "medium", "riskState": "atRisk",
          "detectedDateTime": "2026-09-14T10:20:02.7Z", "additionalInfo": "[{}]", "tokenIssuerType": "Azure Active Directory" },
        { "id": "e3b0", "userId": PERSON, "riskLevel": "hidden", "detectedDateTime": "yesterday" },
        { "id": "e3b1", "userId": null }, 7] });
    provider.reply(&filtered, Reply::json(&first));
    let page = graph.risk_detections(Some(UnixTime(1_789_381_351))).await.unwrap();
    assert_eq!((page.items.len(), page.broken), (2, 2));
    let found = &page.items[0];
    assert_eq!((found.id.as_str(), found.user, found.kind.as_deref()), ("e3a9", person(), Some("anomalousToken")));
    assert_eq!((found.level, found.state), (RiskLevel::Medium, RiskState::AtRisk));
    assert_eq!(found.detected, Some(UnixTime(1_789_381_202)));
    assert_eq!(
        (page.items[1].level, page.items[1].kind.as_deref(), page.items[1].detected),
        (RiskLevel::Hidden, None, None)
    );
    let Next::More(link) = page.next else { panic!("no next page") };
    clock.advance(Duration::from_secs(1));
    provider.reply("/v1.0/identityProtection/riskDetections?$skiptoken=b", Reply::json(&json!({ "value": [] })));
    assert_eq!(graph.risk_detections_at(&link).await.unwrap().next, Next::End);
    clock.advance(Duration::from_secs(1));
    provider.reply(path, refusal(403, "Authorization_RequestDenied"));
    assert!(matches!(graph.risk_detections(None).await, Err(GraphError::Denied(Denied::MissingRole))));
}

#[tokio::test]
async fn a_graph_page_may_be_larger_than_any_answer_of_the_login_host() {
    let Stand { provider, graph, .. } = stand(&[]).await;
    let members: Vec<Value> = (0..20_000)
        .map(
            |n| json!({ "@odata.type": "#microsoft.graph.user", "id": format!("{n:08x}-6a52-4d0e-9b7a-5d2f8c4e1a77") }),
        )
        .collect();
    let delta = format!("{}v1.0/groups/delta?$deltatoken=a", provider.base);
    let body = json!({ "@odata.deltaLink": delta, "value": [{ "id": TENANT, "members@delta": members }] });
    assert!(body.to_string().len() > 1024 * 1024);
    provider.reply("/v1.0/groups/delta?$select=displayName,members", Reply::json(&body));
    let page = graph.groups_delta(None).await.unwrap();
    let GroupChange::Seen(group) = &page.items[0] else { panic!("not a group") };
    assert_eq!((group.added.len(), page.broken), (20_000, 0));
}

#[tokio::test]
async fn consent_is_asked_for_at_the_tenants_own_address_and_a_token_is_renewed_on_demand() {
    let Stand { provider, graph, .. } = stand(&["User.Read.All"]).await;
    let back = Url::parse("https://portal.example.com/consent?x=1&y").unwrap();
    let url = graph.consent_url("st&te", &back).unwrap();
    assert_eq!((url.origin(), url.path()), (provider.base.origin(), &*format!("/{TENANT}/v2.0/adminconsent")));
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let scope = format!("{}.default", provider.base);
    let expected = [("client_id", CLIENT), ("redirect_uri", back.as_str()), ("scope", &scope), ("state", "st&te")];
    assert_eq!(pairs, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
    graph.roles().await.unwrap();
    graph.renew_token().await;
    provider.refuse(400, &json!({ "error": "unauthorized_client", "error_codes": [700_016] }));
    assert!(graph.roles().await.is_err() && graph.roles().await.is_err());
    assert_eq!(provider.hits(TOKEN_PATH), 2, "a failure is not asked for in a loop");
    graph.renew_token().await;
    assert!(graph.roles().await.is_err());
    assert_eq!(provider.hits(TOKEN_PATH), 3, "unless somebody wants to know now");
}
