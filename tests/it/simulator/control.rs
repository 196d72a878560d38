//! Faults, counters, clock and the control API (section 11).

use std::time::Duration;

use http::{Method, StatusCode};
use portcullis::simulator::{ALICE, CONTOSO, Endpoint, Fault};
use serde_json::json;

use super::browser::{Browser, claims, redemption, request};

#[tokio::test]
async fn calls_are_counted_per_endpoint() {
    let mut b = Browser::demo().await;
    b.alice().await;
    for (endpoint, calls) in [(Endpoint::Authorize, 1), (Endpoint::Login, 1), (Endpoint::Token, 1), (Endpoint::Keys, 0)]
    {
        assert_eq!(b.sim.levers().calls(endpoint), calls, "{endpoint:?}");
    }
    assert_eq!(b.get("/sim/v1/counters").await.json()["token.authorization_code"], 1);
    b.json(Method::DELETE, "/sim/v1/counters", json!({})).await;
    assert_eq!(b.sim.levers().calls(Endpoint::Token), 0);
}

#[tokio::test]
async fn ordered_failures_happen_as_often_as_ordered() {
    let mut b = Browser::demo().await;
    let code = b.code(ALICE, &request()).await;
    b.sim.levers().fail(Endpoint::Token, Fault::Status(503), 1);
    assert_eq!(b.token(&redemption(&code)).await.status, StatusCode::SERVICE_UNAVAILABLE);
    b.sim.levers().fail(Endpoint::Token, Fault::Aadsts(90033), 1);
    b.token(&redemption(&code)).await.assert_failure(90033, "temporarily_unavailable");
    b.sim.levers().fail(Endpoint::Token, Fault::Disconnect, 2);
    let path = format!("/{CONTOSO}/oauth2/v2.0/token");
    assert!(b.send(Method::POST, &path, &[], String::new()).await.is_err());
    b.sim.levers().clear_faults();
    assert_eq!(b.token(&redemption(&code)).await.status, StatusCode::OK);
    b.sim.levers().fail(Endpoint::Authorize, Fault::Aadsts(90033), 1);
    assert_eq!(b.authorize(&request()).await.answer()["error"], "temporarily_unavailable");
    b.sim.levers().fail(Endpoint::Discovery, Fault::Status(500), 1);
    let path = format!("/{CONTOSO}/v2.0/.well-known/openid-configuration");
    assert_eq!(b.get(&path).await.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(b.get(&path).await.status, StatusCode::OK);
}

#[tokio::test]
async fn an_ordered_delay_holds_the_answer_back() {
    let mut b = Browser::demo().await;
    b.sim.levers().delay(Endpoint::Keys, Duration::from_secs(60));
    let path = format!("/{CONTOSO}/discovery/v2.0/keys");
    assert!(tokio::time::timeout(Duration::from_millis(200), b.get(&path)).await.is_err());
    b.sim.levers().delay(Endpoint::Keys, Duration::ZERO);
    assert_eq!(b.get(&path).await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_control_api_moves_every_lever() {
    let mut b = Browser::demo().await;
    let fresh = b.json(Method::POST, "/sim/v1/keys/rotate", json!({})).await.json()["kid"].clone();
    let kids = b.get("/sim/v1/keys").await.json()["kids"].clone();
    assert_eq!(kids[0], fresh);
    let old = kids[1].as_str().unwrap();
    assert_eq!(b.json(Method::DELETE, &format!("/sim/v1/keys/{old}"), json!({})).await.status, StatusCode::NO_CONTENT);
    b.json(Method::PUT, "/sim/v1/keys", json!({"serve": "unavailable"})).await;
    let keys = format!("/{CONTOSO}/discovery/v2.0/keys");
    assert_eq!(b.get(&keys).await.status, StatusCode::SERVICE_UNAVAILABLE);
    b.json(Method::PUT, "/sim/v1/keys", json!({"serve": "current"})).await;

    b.json(Method::PUT, "/sim/v1/faults/keys", json!({"fail": {"status": 502}, "times": 1})).await;
    assert_eq!(b.get(&keys).await.status, StatusCode::BAD_GATEWAY);
    b.json(Method::PUT, "/sim/v1/faults/keys", json!({"fail": "disconnect", "delay_ms": 1})).await;
    assert!(b.send(Method::GET, &keys, &[], String::new()).await.is_err());
    b.json(Method::DELETE, "/sim/v1/faults", json!({})).await;

    b.json(Method::PUT, "/sim/v1/clock", json!({"skew_seconds": 1_000_000})).await;
    b.json(Method::POST, "/sim/v1/hostile", json!({"mode": "missing-oid"})).await;
    let c = claims(&b.alice().await["id_token"]);
    assert!(c.get("oid").is_none());
    b.forget_cookie();
    b.json(Method::PUT, "/sim/v1/clock", json!({"skew_seconds": 0})).await;
    let now = claims(&b.alice().await["id_token"]);
    assert!(c["iat"].as_u64().unwrap() > now["iat"].as_u64().unwrap() + 900_000);

    b.json(Method::PUT, "/sim/v1/switches", json!({"iss_parameter": true, "frontchannel_iss": true})).await;
    assert!(b.authorize(&request()).await.answer().contains_key("iss"));
    let path = format!("/sim/v1/contexts/{CONTOSO}/c2");
    assert_eq!(b.json(Method::PUT, &path, json!({"policy": "blocked"})).await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_control_api_lists_and_changes_people() {
    let mut b = Browser::demo().await;
    let people = b.get("/sim/v1/people").await;
    assert!(people.json()["people"].as_array().unwrap().len() >= 9);
    assert!(people.json()["people"][0].get("password").is_none() && !people.text().contains("\"demo\""));
    let token = b.alice().await["refresh_token"].clone();
    let change = json!({"enabled": false, "upn": "alicia@contoso.example"});
    assert_eq!(b.json(Method::PATCH, "/sim/v1/people/alice", change).await.status, StatusCode::OK);
    b.refresh(&token).await.assert_failure(50057, "invalid_grant");
    b.json(Method::PATCH, "/sim/v1/people/alicia", json!({"enabled": true})).await;
    b.json(Method::POST, "/sim/v1/people/alicia/revoke", json!({})).await;
    b.refresh(&token).await.assert_failure(50173, "invalid_grant");
    let new = json!({
        "tenant": CONTOSO, "oid": "77777777-8888-4999-8aaa-bbbbbbbbbbbb", "upn": "eve@contoso.example", "name": "Eve",
    });
    assert_eq!(b.json(Method::POST, "/sim/v1/people", new.clone()).await.status, StatusCode::OK);
    assert_eq!(b.json(Method::POST, "/sim/v1/people", new).await.status, StatusCode::CONFLICT);
    assert_eq!(b.get("/sim/v1/people/eve").await.json()["name"], "Eve");
    assert_eq!(b.get("/sim/v1/people/nobody").await.status, StatusCode::NOT_FOUND);
    let unknown = b.json(Method::PATCH, "/sim/v1/people/eve", json!({"enabeld": true})).await;
    assert_eq!(unknown.status, StatusCode::UNPROCESSABLE_ENTITY);
}

/// A page of another origin must not move levers through a browser on the same machine.
#[tokio::test]
async fn the_control_api_refuses_web_pages() {
    let mut b = Browser::demo().await;
    let headers = [("origin", "https://attacker.example"), ("content-type", "application/json")];
    let reply = b.send(Method::POST, "/sim/v1/keys/rotate", &headers, "{}".to_owned()).await.unwrap();
    assert_eq!(reply.status, StatusCode::FORBIDDEN);
}

/// Stopping ends the listener.
#[tokio::test]
async fn shutdown_stops_answering() {
    let mut b = Browser::demo().await;
    assert_eq!(b.get("/sim/v1/counters").await.status, StatusCode::OK);
    let addr = b.sim.addr();
    b.sim.shutdown().await;
    assert!(tokio::net::TcpStream::connect(addr).await.is_err());
}
