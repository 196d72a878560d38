//! Two tenants that are read, played by a directory whose provider gives what the test says.

use super::*;
use crate::directory::{Gate, GateStatus, Phase, Progress, SyncKind, TenantStatus};
use crate::facts::{RiskFeed, RiskSource};
use url::Url;

pub(super) const OTHER: &str = "7c0d1a52-93be-4f6e-8d10-2b5a9e7c4f01";

/// The directory. Clones see the same.
#[derive(Clone, Default)]
pub(super) struct Directories(Arc<Mutex<Inside>>);

#[derive(Default)]
struct Inside {
    /// What the provider would give if it were asked.
    given: Vec<(TenantId, Gate)>,
    /// What has been looked at.
    seen: Vec<(TenantId, Gate)>,
    upload: Vec<TenantId>,
    synced: Vec<TenantId>,
    checks: usize,
}

impl Directories {
    pub(super) fn give(&self, tenant: &str, gate: Gate) {
        self.0.lock().unwrap().given.push((tenant.parse().unwrap(), gate));
    }

    pub(super) fn checks(&self) -> usize {
        self.0.lock().unwrap().checks
    }

    fn of(&self, tenant: TenantId) -> TenantStatus {
        let inside = self.0.lock().unwrap();
        let how = |gate: Gate| match gate {
            Gate::DataUpload if inside.upload.contains(&tenant) => GateStatus::Granted,
            _ if inside.seen.contains(&(tenant, gate)) => GateStatus::Granted,
            _ => GateStatus::NeverGranted,
        };
        let progress = Progress {
            kind: SyncKind::Users,
            phase: if inside.synced.contains(&tenant) { Phase::FullRunning } else { Phase::Never },
            items: 3,
            read: 2,
            started: None,
            finished: Some(UnixTime(999_000)),
            next: Some(UnixTime(1_000_600)),
            error: None,
        };
        let source =
            if how(Gate::Risk) == GateStatus::Granted { RiskSource::Answers } else { RiskSource::NoPermission };
        let feed = RiskFeed { source, confirmed: UnixTime(999_990) };
        let gates = Gate::ALL.map(|gate| (gate, how(gate)));
        TenantStatus { tenant, gates, cures: [None, None, None], progress: vec![progress], feed }
    }
}

fn both() -> [TenantId; 2] {
    [TENANT.parse().unwrap(), OTHER.parse().unwrap()]
}

impl Tenants for Directories {
    fn status(&self) -> Vec<TenantStatus> {
        both().into_iter().map(|tenant| self.of(tenant)).collect()
    }

    fn sync_now(&self, tenant: TenantId) -> Result<(), NotDone> {
        if !both().contains(&tenant) {
            return Err(NotDone::UnknownTenant);
        }
        self.0.lock().unwrap().synced.push(tenant);
        Ok(())
    }

    fn set_upload(&self, tenant: TenantId, on: bool) -> Later<Result<(), NotDone>> {
        let mut inside = self.0.lock().unwrap();
        if on && !inside.seen.contains(&(tenant, Gate::Risk)) {
            return Box::pin(async { Err(NotDone::Refused("risk cannot be read".to_owned())) });
        }
        inside.upload.retain(|one| *one != tenant);
        if on {
            inside.upload.push(tenant);
        }
        Box::pin(async { Ok(()) })
    }

    fn consent_url(&self, tenant: TenantId, gate: Gate, state: String, redirect: Url) -> Later<Result<Url, NotDone>> {
        Box::pin(async move {
            let mut url = Url::parse(&format!("https://login.example/{tenant}/v2.0/adminconsent")).unwrap();
            let pairs = [("state", state.as_str()), ("redirect_uri", redirect.as_str()), ("scope", gate.word())];
            url.query_pairs_mut().extend_pairs(pairs);
            Ok(url)
        })
    }

    fn check(&self, tenant: TenantId) -> Later<Result<TenantStatus, NotDone>> {
        {
            let mut inside = self.0.lock().unwrap();
            inside.checks += 1;
            inside.seen = inside.given.clone();
        }
        let status = self.of(tenant);
        Box::pin(async { Ok(status) })
    }
}

#[tokio::test]
async fn t06_one_address_shows_every_tenant_with_permission_upload_sign_in_and_reading() {
    let tenants = Directories::default();
    let admin = Running::with(None, Arc::new(tenants)).await;
    let iam: serde_json::Value = json(&admin.ask("GET", "/api/v1/iam", &bearer()).await);
    assert_eq!((&iam["provider"]["kind"], &iam["provider"]["ready"]), (&"entra".into(), &true.into()));
    let list = iam["tenants"].as_array().unwrap();
    assert_eq!(list.len(), 2);
    assert_eq!(list[0]["sso"]["status"], "active");
    let gates: Vec<_> = list[0]["gates"].as_array().unwrap().iter().map(|g| g["gate"].as_str().unwrap()).collect();
    assert_eq!(gates, ["directory", "risk", "data_upload"]);
    assert_eq!(list[0]["syncs"][0]["phase"], "never");
    assert_eq!(list[0]["syncs"][0]["finished"], 999_000);
    assert_eq!(list[0]["complete"], false);
    admin.stop().await;
}

#[tokio::test]
async fn t11_sign_in_without_consent_and_consent_without_sign_in_are_both_shown() {
    let tenants = Directories::default();
    tenants.give(OTHER, Gate::Directory);
    let admin = Running::with(None, Arc::new(tenants)).await;
    assert_eq!(admin.status("POST", &format!("/api/v1/tenants/{OTHER}/check"), &bearer()).await, 200);
    let first: serde_json::Value = json(&admin.ask("GET", &format!("/api/v1/tenants/{TENANT}"), &bearer()).await);
    assert_eq!((&first["sso"]["status"], &first["gates"][0]["status"]), (&"active".into(), &"never_granted".into()));
    let other: serde_json::Value = json(&admin.ask("GET", &format!("/api/v1/tenants/{OTHER}"), &bearer()).await);
    assert_eq!((&other["sso"]["status"], &other["gates"][0]["status"]), (&"off".into(), &"granted".into()));
    admin.stop().await;
}

#[tokio::test]
async fn t13_whatever_is_not_as_it_should_be_says_why_and_what_mends_it() {
    let admin = Running::with(None, Arc::new(Directories::default())).await;
    let iam: serde_json::Value = json(&admin.ask("GET", "/api/v1/iam", &bearer()).await);
    for tenant in iam["tenants"].as_array().unwrap() {
        let lines = tenant["gates"].as_array().unwrap().iter().chain([&tenant["risk"], &tenant["sso"]]);
        for line in lines.filter(|line| !matches!(line["status"].as_str(), Some("granted" | "answers" | "active"))) {
            assert!(line["reason"].as_str().is_some_and(|text| !text.is_empty()), "{line}");
            assert!(line["fix"]["text"].as_str().is_some_and(|text| !text.is_empty()), "{line}");
        }
        for gate in tenant["gates"].as_array().unwrap() {
            // The request that mends it is one that the API has.
            let request = gate["fix"]["request"].as_str().unwrap();
            let mut parts = request.splitn(3, ' ');
            let (method, path, body) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
            let head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{}", bearer());
            let json = format!("Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            let answer = admin.raw(&format!("{head}{json}")).await;
            let expected = if gate["gate"] == "data_upload" { "HTTP/1.1 409" } else { "HTTP/1.1 200" };
            assert!(answer.starts_with(expected), "{request}: {answer}");
        }
    }
    admin.stop().await;
}

#[tokio::test]
async fn t15_upload_needs_a_consent_and_turning_it_off_keeps_the_consent() {
    let tenants = Directories::default();
    let admin = Running::with(None, Arc::new(tenants.clone())).await;
    let path = format!("/api/v1/tenants/{TENANT}/data-upload");
    let answer = admin.put(&path, "{\"on\":true}").await;
    assert!(answer.starts_with("HTTP/1.1 409") && answer.contains("consent_required"), "{answer}");
    assert!(answer.contains("application/problem+json") && answer.contains("\"fix\":"), "{answer}");
    tenants.give(TENANT, Gate::Risk);
    assert_eq!(admin.status("POST", &format!("/api/v1/tenants/{TENANT}/check"), &bearer()).await, 200);
    let on: serde_json::Value = json(&admin.put(&path, "{\"on\":true}").await);
    assert_eq!(on["gates"][2]["status"], "granted");
    let off: serde_json::Value = json(&admin.put(&path, "{\"on\":false}").await);
    assert_eq!((&off["gates"][1]["status"], &off["gates"][2]["status"]), (&"granted".into(), &"never_granted".into()));
    for bad in ["", "{}", "{\"on\":\"yes\"}", "{\"on\":true,\"x\":1}", "[]"] {
        assert!(admin.put(&path, bad).await.starts_with("HTTP/1.1 400"), "{bad}");
    }
    let lines = admin.stop().await;
    let done: Vec<_> =
        lines.iter().filter(|l| l["action"].as_str().is_some_and(|a| a.starts_with("data_upload"))).collect();
    let told: Vec<_> = done.iter().map(|l| format!("{} {}", l["action"], l["outcome"]).replace('"', "")).collect();
    assert_eq!(told, ["data_upload_on refused", "data_upload_on done", "data_upload_off done"]);
}

#[tokio::test]
async fn t02_a_second_provider_is_refused_with_the_name_of_the_active_one() {
    let admin = Running::start().await;
    let before = admin.ask("GET", "/api/v1/iam", &bearer()).await;
    let head = format!("{}Content-Type: application/json\r\n", bearer());
    let answer = admin.post("/api/v1/iam/providers", &head, "{\"kind\":\"okta\"}").await;
    assert!(answer.starts_with("HTTP/1.1 409") && answer.contains("provider_active"), "{answer}");
    assert!(answer.contains("entra at https://login.example/") && answer.contains(TENANT), "{answer}");
    assert_eq!(admin.ask("GET", "/api/v1/iam", &bearer()).await, before, "nothing has changed");
    let lines = admin.stop().await;
    assert!(lines.iter().any(|l| l["action"] == "provider_add" && l["outcome"] == "refused" && l["target"] == "okta"));
}

#[tokio::test]
async fn a_tenant_that_is_not_read_is_404_and_a_bad_id_400() {
    let admin = Running::with(None, Arc::new(Directories::default())).await;
    let stranger = "/api/v1/tenants/00000000-0000-0000-0000-000000000001";
    assert_eq!(admin.status("GET", stranger, &bearer()).await, 404);
    assert_eq!(admin.status("POST", &format!("{stranger}/sync"), &bearer()).await, 404);
    assert_eq!(admin.status("POST", "/api/v1/tenants/contoso/sync", &bearer()).await, 400);
    let answer = admin.ask("POST", &format!("/api/v1/tenants/{TENANT}/sync"), &bearer()).await;
    let tenant: serde_json::Value = json(&answer);
    assert_eq!(tenant["syncs"][0]["phase"], "full_running");
    admin.stop().await;
}

#[tokio::test]
async fn what_a_route_refuses_with_stands_in_its_description() {
    let admin = Running::with(None, Arc::new(Directories::default())).await;
    let document: serde_json::Value = json(&admin.ask("GET", "/api/v1/openapi.json", &bearer()).await);
    let tenant = format!("/api/v1/tenants/{TENANT}");
    for (method, route, path) in [
        ("GET", "/api/v1/sessions", "/api/v1/sessions?x=1".to_owned()),
        ("GET", "/api/v1/actions", "/api/v1/actions?x=1".to_owned()),
        ("GET", "/api/v1/actions/preview", "/api/v1/actions/preview?x=1".to_owned()),
        ("GET", "/api/v1/actions/{id}", "/api/v1/actions/99".to_owned()),
        ("GET", "/api/v1/users", "/api/v1/users?tenant=contoso".to_owned()),
        ("GET", "/api/v1/tenants/{id}", "/api/v1/tenants/contoso".to_owned()),
        ("POST", "/api/v1/tenants/{id}/sync", "/api/v1/tenants/contoso/sync".to_owned()),
        ("POST", "/api/v1/tenants/{id}/consent", format!("{tenant}/consent")),
        ("PUT", "/api/v1/tenants/{id}/data-upload", format!("{tenant}/data-upload")),
        ("POST", "/api/v1/users/{user}/actions", format!("/api/v1/users/{ALICE}/actions")),
    ] {
        let answer = admin.ask(method, &path, &bearer()).await;
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let problem: serde_json::Value = serde_json::from_str(body).unwrap();
        let responses = &document["paths"][route][method.to_lowercase()]["responses"];
        let words = responses[problem["status"].to_string()]["description"].as_str().unwrap_or_default();
        assert!(words.split(", ").any(|word| problem["error"] == word), "{method} {path}: {problem}, not in: {words}");
    }
    for (status, word) in [("400", "absolute_target"), ("421", "unknown_host"), ("401", "administrator_required")] {
        let said = &document["paths"]["/api/v1/iam"]["get"]["responses"][status]["description"];
        assert!(said.as_str().is_some_and(|said| said.contains(word)), "{status} {word}: {said}");
    }
    admin.stop().await;
}

impl Running {
    async fn put(&self, path: &str, body: &str) -> String {
        let (host, length) = (self.address, body.len());
        let head = format!("PUT {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{}", bearer());
        self.raw(&format!("{head}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}")).await
    }
}
