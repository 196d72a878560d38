//! An app that calls the simulated Graph, and the first things it finds out (reference sections 2, 3 and 10.2).

use http::{Method, StatusCode};
use portcullis::simulator::{ALICE, APP_ID, CONTOSO};
use serde_json::{Value, json};

use super::browser::{Browser, Reply, claims};
use super::token::app_only;

/// An app with an app-only token of Contoso.
pub(crate) struct Client {
    pub(crate) b: Browser,
    token: String,
}

impl Client {
    pub(crate) async fn demo() -> Self {
        let mut client = Self { b: Browser::demo().await, token: String::new() };
        client.settings(json!({"limits_risk": false, "processing_seconds": 0})).await;
        client.renew().await;
        client
    }

    /// A new token, with the roles granted now.
    pub(crate) async fn renew(&mut self) {
        let scope = format!("{}/.default", self.b.base());
        let reply = self.b.token(&app_only(&scope)).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
        reply.json()["access_token"].as_str().unwrap().clone_into(&mut self.token);
    }

    pub(crate) async fn send(&mut self, method: Method, path: &str, more: &[(&str, &str)], body: &str) -> Reply {
        let bearer = format!("Bearer {}", self.token);
        let mut headers = vec![("authorization", bearer.as_str()), ("content-type", "application/json")];
        headers.extend(more);
        self.b.send(method, path, &headers, body.to_owned()).await.unwrap()
    }

    pub(crate) async fn get(&mut self, path: &str) -> Reply {
        self.send(Method::GET, &format!("/v1.0/{path}"), &[], "").await
    }

    /// The object at a path, or at a whole link.
    pub(crate) async fn read(&mut self, path: &str) -> Value {
        let base = format!("{}/v1.0/", self.b.base());
        let reply = self.get(path.strip_prefix(&base).unwrap_or(path)).await;
        assert_eq!(reply.status, StatusCode::OK, "{path}: {}", reply.text());
        reply.json()
    }

    pub(crate) async fn post(&mut self, path: &str, body: Value) -> Reply {
        self.send(Method::POST, &format!("/v1.0/{path}"), &[], &body.to_string()).await
    }

    pub(crate) async fn settings(&mut self, settings: Value) {
        self.order(Method::PUT, "/sim/v1/graph/settings", settings).await;
    }

    /// Moves a lever of the control API.
    pub(crate) async fn order(&mut self, method: Method, path: &str, body: Value) {
        let reply = self.b.json(method, path, body).await;
        assert_eq!(reply.status, StatusCode::OK, "{path}: {}", reply.text());
    }

    /// Every item of a collection and the link of its last page.
    pub(crate) async fn all(&mut self, path: &str) -> (Vec<Value>, Option<String>) {
        let (mut items, mut next) = (Vec::new(), path.to_owned());
        loop {
            let page = self.read(&next).await;
            items.extend(page["value"].as_array().unwrap().iter().cloned());
            match page["@odata.nextLink"].as_str() {
                Some(link) => link.clone_into(&mut next),
                None => return (items, page["@odata.deltaLink"].as_str().map(str::to_owned)),
            }
        }
    }
}

/// Asserts a refusal in the shape of section 10.2.
pub(crate) fn assert_refused(reply: &Reply, status: StatusCode, code: &str) {
    assert_eq!(reply.status, status, "{}", reply.text());
    let error = reply.json()["error"].clone();
    assert_eq!(error["code"], code, "{error}");
    assert_eq!(error["innerError"]["request-id"], reply.headers["request-id"].to_str().unwrap());
    let date = error["innerError"]["date"].as_str().unwrap();
    assert!(date.len() == 19 && !date.ends_with('Z'), "no zone: {date}");
}

pub(crate) fn ids(items: &[Value]) -> Vec<&str> {
    items.iter().map(|item| item["id"].as_str().unwrap()).collect()
}

/// Section 10.2: no token, a wrong signature, a token for something else, an expired one.
#[tokio::test]
async fn graph_refuses_a_token_that_is_not_for_it() {
    let mut c = Client::demo().await;
    let reply = c.b.get("/v1.0/users").await;
    assert_refused(&reply, StatusCode::UNAUTHORIZED, "InvalidAuthenticationToken");
    assert!(reply.headers.contains_key("www-authenticate"));
    let right = c.token.clone();
    let (signed, signature) = right.rsplit_once('.').unwrap();
    let forged = if signature.starts_with('A') { "B" } else { "A" };
    c.token = format!("{signed}.{forged}{}", &signature[1..]);
    assert_refused(&c.get("users").await, StatusCode::UNAUTHORIZED, "InvalidAuthenticationToken");
    let other = c.b.token(&app_only(&format!("{APP_ID}/.default"))).await.json();
    other["access_token"].as_str().unwrap().clone_into(&mut c.token);
    assert_refused(&c.get("users").await, StatusCode::UNAUTHORIZED, "InvalidAuthenticationToken");
    c.token = right;
    assert_eq!(c.get("users").await.status, StatusCode::OK);
    c.order(Method::PUT, "/sim/v1/clock", json!({"skew_seconds": 5_500})).await;
    assert_refused(&c.get("users").await, StatusCode::UNAUTHORIZED, "InvalidAuthenticationToken");
}

/// Section 2.2: a token keeps its roles; the next one lacks what was taken away, and Graph answers 403.
#[tokio::test]
async fn graph_needs_the_role_in_the_token() {
    let mut c = Client::demo().await;
    let principal = format!("/sim/v1/apps/{APP_ID}/principals/{CONTOSO}");
    c.order(Method::DELETE, &format!("{principal}/roles/User.Read.All"), json!({})).await;
    assert_eq!(c.get(&format!("users/{ALICE}")).await.status, StatusCode::OK, "an issued token keeps its roles");
    c.renew().await;
    assert!(!claims(&json!(c.token))["roles"].as_array().unwrap().contains(&json!("User.Read.All")));
    assert_refused(&c.get("users").await, StatusCode::FORBIDDEN, "Authorization_RequestDenied");
    assert_eq!(c.get("groups").await.status, StatusCode::OK, "the other permissions stay");
    c.order(Method::PUT, &format!("{principal}/roles/User.Read.All"), json!({})).await;
    c.renew().await;
    assert_eq!(c.get("users").await.status, StatusCode::OK);
    c.order(Method::PUT, &principal, json!({"disabled": true})).await;
    let scope = format!("{}/.default", c.b.base());
    c.b.token(&app_only(&scope)).await.assert_failure(7_000_112, "unauthorized_client");
    c.order(Method::DELETE, &principal, json!({})).await;
    c.b.token(&app_only(&scope)).await.assert_failure(700_016, "unauthorized_client");
}

/// Section 2.1, method B.
#[tokio::test]
async fn graph_lists_what_was_granted() {
    let mut c = Client::demo().await;
    let principal = c.read(&format!("servicePrincipals(appId='{APP_ID}')?$select=id,accountEnabled,appId")).await;
    assert_eq!((&principal["appId"], &principal["accountEnabled"]), (&json!(APP_ID), &json!(true)));
    let id = principal["id"].as_str().unwrap();
    let granted = c.read(&format!("servicePrincipals/{id}/appRoleAssignments")).await;
    let roles: Vec<&str> =
        granted["value"].as_array().unwrap().iter().map(|r| r["appRoleId"].as_str().unwrap()).collect();
    assert!(roles.contains(&"dc5007c0-2d7d-4c42-879c-2dab87571379"), "IdentityRiskyUser.Read.All");
    assert!(!roles.contains(&"741f803b-c850-494e-b5df-cde7c675a1ca"), "User.ReadWrite.All is not granted");
}

/// Section 5.3: up to twenty, ids unique, each answered by itself.
#[tokio::test]
async fn graph_answers_batches() {
    let mut c = Client::demo().await;
    let get = |id: &str, url: &str| json!({"id": id, "method": "GET", "url": url});
    let url = format!("/users/{ALICE}?$select=id,accountEnabled");
    let reply = c.post("$batch", json!({"requests": [get("1", &url), get("2", "/users/nobody")]})).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    let responses = reply.json()["responses"].clone();
    assert_eq!((&responses[0]["status"], &responses[0]["body"]["accountEnabled"]), (&json!(200), &json!(true)));
    assert_eq!(responses[1]["status"], 404);
    assert_eq!(responses[1]["body"]["error"]["code"], "Request_ResourceNotFound");
    let twice = json!({"requests": [get("1", &url), get("1", &url)]});
    assert_eq!(c.post("$batch", twice).await.status, StatusCode::BAD_REQUEST);
    let many: Vec<Value> = (0..21).map(|n| get(&n.to_string(), &url)).collect();
    assert_eq!(c.post("$batch", json!({"requests": many})).await.status, StatusCode::BAD_REQUEST);
    let dependent = json!({"id": "2", "method": "GET", "url": url, "dependsOn": ["1"]});
    let reply = c.post("$batch", json!({"requests": [get("1", "/users/nobody"), dependent]})).await.json();
    assert_eq!(reply["responses"][1]["status"], 424);
    c.settings(json!({"limits_risk": true, "neighbour": 60})).await;
    let risky = json!({"requests": [get("1", "/identityProtection/riskyUsers"), get("2", &url)]});
    let reply = c.post("$batch", risky).await.json();
    assert_eq!((&reply["responses"][0]["status"], &reply["responses"][1]["status"]), (&json!(429), &json!(200)));
    assert!(reply["responses"][0]["headers"].get("retry-after").is_none());
}

/// Section 11, line 11, and the directory's own 429 (section 5.5).
#[tokio::test]
async fn graph_fails_as_ordered() {
    let mut c = Client::demo().await;
    let fault = |fault: Value| json!({"fault": fault});
    c.order(Method::POST, "/sim/v1/graph/faults", fault(json!({"throttled": 10}))).await;
    let reply = c.get("users").await;
    assert_refused(&reply, StatusCode::TOO_MANY_REQUESTS, "TooManyRequests");
    assert_eq!(reply.headers["retry-after"], "10");
    c.order(Method::POST, "/sim/v1/graph/faults", fault(json!("throttled-without-retry-after"))).await;
    let reply = c.get("users").await;
    assert!(reply.status == StatusCode::TOO_MANY_REQUESTS && !reply.headers.contains_key("retry-after"));
    for (name, status) in [("forbidden", 403), ("server-error", 500), ("unavailable", 503), ("gone", 410)] {
        c.order(Method::POST, "/sim/v1/graph/faults", fault(json!(name))).await;
        assert_eq!(c.get("users").await.status.as_u16(), status, "{name}");
    }
    for name in ["malformed-json", "truncated"] {
        c.order(Method::POST, "/sim/v1/graph/faults", fault(json!(name))).await;
        let reply = c.get("users").await;
        assert!(reply.status == StatusCode::OK && serde_json::from_slice::<Value>(&reply.body).is_err(), "{name}");
    }
    c.order(Method::POST, "/sim/v1/graph/faults", fault(json!("unknown-enum"))).await;
    assert_eq!(c.read("identityProtection/riskyUsers").await["value"][0]["riskLevel"], "extreme");
    c.order(Method::POST, "/sim/v1/graph/faults", json!({"fault": "server-error", "times": 5})).await;
    c.order(Method::DELETE, "/sim/v1/graph/faults", json!({})).await;
    assert_eq!(c.get("users").await.status, StatusCode::OK);
    c.order(Method::POST, "/sim/v1/graph/faults", fault(json!("disconnect"))).await;
    let lost = c.b.send(Method::GET, "/v1.0/users", &[], String::new()).await;
    assert!(lost.is_err());
}
