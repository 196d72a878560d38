//! Identity Protection (reference section 4).

use http::{Method, StatusCode};
use portcullis::simulator::{ALICE, APP_ID, APP_OBJECT_ID, BOB, CONTOSO, MALLORY};
use serde_json::{Value, json};

use super::graph::{Client, assert_refused, ids};

const RISKY: &str = "identityProtection/riskyUsers";

/// Sections 4 and 4.2: the demo's people, filters, pages.
#[tokio::test]
async fn risky_users_are_listed_and_filtered() {
    let mut c = Client::demo().await;
    let (all, _) = c.all(&format!("{RISKY}?$top=1")).await;
    assert_eq!(ids(&all), [BOB, MALLORY], "alice was never at risk");
    assert_eq!((&all[0]["riskLevel"], &all[1]["riskLevel"]), (&json!("medium"), &json!("high")));
    assert_eq!((&all[1]["riskState"], &all[1]["isProcessing"]), (&json!("atRisk"), &json!(false)));
    for (filter, expected) in [
        ("riskLevel eq 'high'", vec![MALLORY]),
        ("riskLevel eq microsoft.graph.riskLevel'high'", vec![MALLORY]),
        ("riskLevel ne 'high'", vec![BOB]),
        ("(riskLevel eq 'high' or riskLevel eq 'medium') and riskState eq 'atRisk'", vec![BOB, MALLORY]),
        ("riskLastUpdatedDateTime gt 2026-09-14T00:00:00Z", vec![BOB, MALLORY]),
        ("riskLastUpdatedDateTime ge 2026-10-01T00:00:00Z", vec![]),
    ] {
        let filter: String = url::form_urlencoded::byte_serialize(filter.as_bytes()).collect();
        let (found, _) = c.all(&format!("{RISKY}?$filter={filter}")).await;
        assert_eq!(ids(&found), expected, "{filter}");
    }
    for query in ["$top=501", "$filter=riskLevel", "$filter=shoeSize%20eq%20'9'", "$orderby=riskLevel"] {
        assert_refused(&c.get(&format!("{RISKY}?{query}")).await, StatusCode::BAD_REQUEST, "Request_BadRequest");
    }
    assert_eq!(c.read(&format!("{RISKY}/{MALLORY}")).await["riskLevel"], "high");
    assert_refused(&c.get(&format!("{RISKY}/{ALICE}")).await, StatusCode::NOT_FOUND, "Request_ResourceNotFound");
    let detections = c.read("identityProtection/riskDetections").await;
    assert_eq!(detections["value"].as_array().unwrap().len(), 2);
    assert!(detections["value"][0]["additionalInfo"].is_string(), "JSON in a string");
}

/// Section 4.6, after a moment in which `isProcessing` is true.
#[tokio::test]
async fn administrators_actions_change_the_state() {
    let mut c = Client::demo().await;
    let body = json!({"userIds": [BOB]});
    for (action, level, state, detail) in [
        ("confirmCompromised", "high", "confirmedCompromised", "adminConfirmedUserCompromised"),
        ("dismiss", "none", "dismissed", "adminDismissedAllRiskForUser"),
        ("confirmSafe", "none", "confirmedSafe", "unknownFutureValue"),
    ] {
        let reply = c.post(&format!("{RISKY}/{action}"), body.clone()).await;
        assert_eq!(reply.status, StatusCode::NO_CONTENT, "{}", reply.text());
        let bob = c.read(&format!("{RISKY}/{BOB}")).await;
        assert_eq!((&bob["riskLevel"], &bob["riskState"]), (&json!(level), &json!(state)), "{action}");
        assert_eq!(bob["riskDetail"], detail, "{action}");
    }
    let prefer = [("prefer", "include-unknown-enum-members")];
    let bob = c.send(Method::GET, &format!("/v1.0/{RISKY}/{BOB}"), &prefer, "").await.json();
    assert_eq!(bob["riskDetail"], "adminConfirmedAccountSafe");
    let history = c.read(&format!("{RISKY}/{BOB}/history")).await["value"].clone();
    assert_eq!(history.as_array().unwrap().len(), 4);
    assert_eq!((&history[0]["initiatedBy"], &history[0]["userId"]), (&json!(APP_OBJECT_ID), &json!(BOB)));
    assert_eq!(history[3]["activity"]["riskEventTypes"], json!(["unfamiliarFeatures"]));

    c.settings(json!({"processing_seconds": 600})).await;
    c.post(&format!("{RISKY}/dismiss"), json!({"userIds": [MALLORY]})).await;
    let mallory = c.read(&format!("{RISKY}/{MALLORY}")).await;
    assert_eq!((&mallory["riskLevel"], &mallory["isProcessing"]), (&json!("high"), &json!(true)));
    c.order(Method::PUT, "/sim/v1/clock", json!({"skew_seconds": 601})).await;
    let mallory = c.read(&format!("{RISKY}/{MALLORY}")).await;
    assert_eq!((&mallory["riskLevel"], &mallory["isProcessing"]), (&json!("none"), &json!(false)));
    assert_eq!(c.post(&format!("{RISKY}/dismiss"), json!({})).await.status, StatusCode::BAD_REQUEST);
}

/// Section 4: the reading permission does not write, nor the writing one read.
#[tokio::test]
async fn risk_needs_its_own_permissions() {
    let mut c = Client::demo().await;
    let principal = format!("/sim/v1/apps/{APP_ID}/principals/{CONTOSO}");
    c.order(Method::PUT, &principal, json!({"roles": ["IdentityRiskyUser.ReadWrite.All"]})).await;
    c.renew().await;
    assert_refused(&c.get(RISKY).await, StatusCode::FORBIDDEN, "Authorization_RequestDenied");
    assert_eq!(c.get(&format!("{RISKY}/{BOB}/history")).await.status, StatusCode::OK);
    c.order(Method::PUT, &principal, json!({"roles": ["IdentityRiskyUser.Read.All"]})).await;
    c.renew().await;
    assert_eq!(c.get(RISKY).await.status, StatusCode::OK);
    let reply = c.post(&format!("{RISKY}/dismiss"), json!({"userIds": [BOB]})).await;
    assert_refused(&reply, StatusCode::FORBIDDEN, "Authorization_RequestDenied");
    assert_eq!(c.get("identityProtection/riskDetections").await.status, StatusCode::FORBIDDEN);
}

/// Section 4.3: one request a second, shared with a noisy neighbour, and no `Retry-After`.
#[tokio::test]
async fn risk_is_throttled_without_retry_after() {
    let mut c = Client::demo().await;
    c.settings(json!({"limits_risk": true, "neighbour": 60})).await;
    let reply = c.get(RISKY).await;
    assert_refused(&reply, StatusCode::TOO_MANY_REQUESTS, "TooManyRequests");
    assert!(!reply.headers.contains_key("retry-after"));
    assert_eq!(c.get("users").await.status, StatusCode::OK, "the directory has a quota of its own");
    c.settings(json!({"neighbour": 0})).await;
    let mut refused = 0;
    for _ in 0..10 {
        refused += u32::from(c.get(RISKY).await.status == StatusCode::TOO_MANY_REQUESTS);
    }
    assert!(refused > 0, "ten requests take less than ten seconds");
}

/// Sections 1.1 and 4.1: no P2 means `hidden`; China has no such path.
#[tokio::test]
async fn licence_and_cloud_decide_what_is_seen() {
    let mut c = Client::demo().await;
    c.order(Method::PUT, &format!("/sim/v1/tenants/{CONTOSO}"), json!({"premium": false})).await;
    assert_eq!(c.read(RISKY).await["value"][0]["riskLevel"], "hidden");
    assert_eq!(c.read("identityProtection/riskDetections").await["value"][0]["riskEventType"], "generic");
    c.order(Method::PUT, &format!("/sim/v1/tenants/{CONTOSO}"), json!({"china": true})).await;
    assert_refused(&c.get(RISKY).await, StatusCode::BAD_REQUEST, "Request_BadRequest");
    assert_eq!(c.get("users").await.status, StatusCode::OK);
}

/// A risk set by name, at once or ahead; a script is all or nothing.
#[tokio::test]
async fn risk_follows_the_control_api() {
    let mut c = Client::demo().await;
    c.order(Method::PUT, "/sim/v1/people/alice/risk", json!({"level": "low"})).await;
    assert_eq!(c.read(&format!("{RISKY}/{ALICE}")).await["riskLevel"], "low");
    let wrong =
        json!([{"at_seconds": 1, "who": "alice", "risk": "high"}, {"at_seconds": 2, "who": "x", "risk": "low"}]);
    assert_eq!(c.b.json(Method::POST, "/sim/v1/script", wrong).await.status, StatusCode::NOT_FOUND);
    let script = json!([
        {"at_seconds": 600, "who": "alice", "risk": "high"}, {"at_seconds": 1_200, "who": "alice", "risk": "none"},
    ]);
    c.order(Method::POST, "/sim/v1/script", script).await;
    for (skew, level) in [(0, "low"), (601, "high"), (1_201, "none")] {
        c.order(Method::PUT, "/sim/v1/clock", json!({"skew_seconds": skew})).await;
        assert_eq!(c.read(&format!("{RISKY}/{ALICE}")).await["riskLevel"], level, "{skew}");
    }
}

/// `portcullis simulate risk set`, as somebody types it.
#[tokio::test]
async fn risk_is_set_from_the_command_line() {
    let mut c = Client::demo().await;
    let addr = c.b.sim.addr().to_string();
    let run = |name: &'static str| {
        let mut command = tokio_command(&["simulate", "risk", "set", name, "high", "--simulator", &addr]);
        tokio::task::spawn_blocking(move || command.output().unwrap())
    };
    assert!(run("alice").await.unwrap().status.success());
    assert_eq!(c.read(&format!("{RISKY}/{ALICE}")).await["riskLevel"], "high");
    assert_eq!(run("nobody").await.unwrap().status.code(), Some(1));
    let later = ["simulate", "--json", "risk", "set", "bob", "low", "--after", "600", "--simulator", &addr];
    let mut command = tokio_command(&later);
    let said = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said: Value = serde_json::from_slice(&said.stdout).unwrap();
    assert_eq!(said, json!({"name": "bob", "level": "low", "after_seconds": 600}));
    assert_eq!(c.read(&format!("{RISKY}/{BOB}")).await["riskLevel"], "medium", "not yet");
}

fn tokio_command(arguments: &[&str]) -> std::process::Command {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.args(arguments);
    command
}
