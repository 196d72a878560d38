//! A gateway that reads the simulated Graph, and what a test asks of the two.

use std::time::Duration;

use serde_json::{Value, json};

use super::raw::Raw;
use super::shapes::Settings;
use super::{APP, Person, TENANT, World, eventually};

/// A group of the simulated tenant with Alice in it and not Bob.
pub(crate) const ADMINS: &str = "0fa7d4e8-691b-4c53-8d2e-a4b7c0e3f596";

/// Graph is read as often as it allows, and risk is taken from it.
pub(crate) fn reads_graph(settings: &mut Settings) {
    let graph = format!(
        "graph = \"{}\"\nfirst = \"0s\"\npeople_every = \"1s\"\nrisk_every = \"1s\"\nrisk_full_every = \"10s\"\ndata_upload = true",
        settings.authority
    );
    settings.keys.push(("[directory]", graph));
}

/// Whoever is at high risk is blocked everywhere.
pub(crate) const HIGH_IS_BLOCKED: &str = "\n[[risk_rule]]\nname = \"high\"\nlevels = [\"high\"]\nverdict = \"block\"\n";

/// `tenant id:object id`.
pub(crate) fn key(person: &Person) -> String {
    format!("{TENANT}:{}", person.oid)
}

impl World {
    /// Waits until users, groups and risk have been read and read well.
    pub(crate) async fn read(&self) {
        let settings = json!({ "limits_risk": false, "processing_seconds": 0 });
        self.provider.control("PUT", "/sim/v1/graph/settings", &settings).await;
        eventually("everything is read", Duration::from_secs(30), || async { self.is_read().await }).await;
    }

    /// Whether users, groups and risk have been read and read well.
    pub(crate) async fn is_read(&self) -> bool {
        let tenant = self.tenant().await;
        let syncs = tenant["syncs"].as_array().unwrap();
        tenant["risk"]["status"] == "answers"
            && syncs.iter().all(|sync| sync["finished"].is_u64() && sync["error"].is_null())
    }

    /// How the admin API shows the tenant.
    pub(crate) async fn tenant(&self) -> Value {
        let (status, tenant) = self.api("GET", &format!("/api/v1/tenants/{TENANT}"), None).await;
        assert_eq!(status, 200, "{tenant}");
        tenant
    }

    /// How the reading of `kind` stands.
    pub(crate) async fn sync(&self, kind: &str) -> Value {
        let tenant = self.tenant().await;
        let mut syncs = tenant["syncs"].as_array().unwrap().iter();
        syncs.find(|sync| sync["kind"] == kind).unwrap_or_else(|| panic!("{tenant}")).clone()
    }

    /// A request to the admin API with its token: status and answer.
    pub(crate) async fn api(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let mut raw = Raw::tcp(self.gateway.admin()).await.unwrap();
        let body = body.map(Value::to_string);
        let length =
            body.as_ref().map(|body| format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len()));
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nConnection: close\r\n{}\r\n",
            self.gateway.admin_token(),
            length.unwrap_or_default()
        );
        raw.send(format!("{head}{}", body.unwrap_or_default()).as_bytes()).await;
        let response = raw.response().await.unwrap();
        (response.status, serde_json::from_slice(&response.body).unwrap_or_default())
    }

    /// Sets the risk of somebody at the provider.
    pub(crate) async fn set_risk(&self, person: &Person, level: &str) {
        let path = format!("/sim/v1/people/{}/risk", person.oid);
        self.provider.control("PUT", &path, &json!({ "level": level })).await;
    }

    /// What `host` answers to this cookie: the status, and the reason's word of a refusal.
    pub(crate) async fn answer(&self, host: &str, cookie: &str) -> (u16, String) {
        let mut raw = self.raw(host).await;
        let head = format!("GET /page HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\nAccept: application/json\r\n");
        raw.send(format!("{head}Connection: close\r\n\r\n").as_bytes()).await;
        let response = raw.response().await.unwrap();
        let body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
        (response.status, body["reason"].as_str().unwrap_or_default().to_owned())
    }

    /// Whether the first app answers with 200 to this cookie.
    pub(crate) async fn lets_in(&self, cookie: &str) -> bool {
        self.answer(APP, cookie).await.0 == 200
    }
}
