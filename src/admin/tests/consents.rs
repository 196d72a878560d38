//! Granting a permission: who may end what somebody began, and what a forged redirect is worth.

use url::Url;

use super::entrance::status_of;
use super::tenants::{Directories, OTHER};
use super::*;
use crate::directory::Gate;

#[tokio::test]
async fn t08_a_consent_is_begun_with_a_state_of_its_own_and_comes_back_here() {
    let (admin, _, cookie) = signed_in().await;
    let first = admin.begin(&cookie, TENANT).await;
    let second = admin.begin(&cookie, TENANT).await;
    let pair = |url: &Url, name: &str| url.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned();
    assert_ne!(pair(&first, "state"), pair(&second, "state"));
    assert!(pair(&first, "state").len() >= 22, "128 bits");
    assert_eq!(pair(&first, "redirect_uri"), format!("{}/consent/callback", admin.origin()));
    for bad in ["{\"gate\":\"data_upload\"}", "{\"gate\":\"everything\"}", "{}"] {
        let answer = admin.post(&consent(TENANT), &admin.json_headers(&cookie), bad).await;
        assert_eq!(status_of(&answer), 400, "{bad}");
    }
    admin.stop().await;
}

#[tokio::test]
async fn t10_what_is_granted_is_what_the_gateway_finds_not_what_came_back() {
    let (admin, tenants, cookie) = signed_in().await;
    // The provider gave nothing, whatever the redirect says.
    let state = state_of(&admin.begin(&cookie, TENANT).await);
    let back = format!("/consent/done?state={state}&admin_consent=True&tenant={TENANT}");
    let page = admin.ask("GET", &back, &cookie).await;
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("Not all of it is granted"), "{page}");
    assert_eq!(admin.gate(TENANT, 0).await, "never_granted");
    // Now it did.
    tenants.give(TENANT, Gate::Directory);
    let state = state_of(&admin.begin(&cookie, TENANT).await);
    let page = admin.ask("GET", &format!("/consent/done?state={state}&tenant={OTHER}"), &cookie).await;
    assert!(page.contains("<h1 id=\"outcome\">Granted</h1>"), "{page}");
    assert_eq!(admin.gate(TENANT, 0).await, "granted");
    assert_eq!(admin.gate(OTHER, 0).await, "never_granted", "t09: another tenant stays as it was");
    let lines = admin.stop().await;
    let ends: Vec<_> = lines.iter().filter(|l| l["action"] == "consent_end").map(|l| l["outcome"].clone()).collect();
    assert_eq!(ends, ["not_granted", "granted"]);
}

#[tokio::test]
async fn t08_a_foreign_used_or_old_state_is_refused_and_nothing_is_looked_at() {
    let (admin, tenants, cookie) = signed_in().await;
    tenants.give(TENANT, Gate::Directory);
    let refused = |answer: String| assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    refused(admin.ask("GET", "/consent/done", &cookie).await);
    refused(admin.ask("GET", "/consent/done?state=", &cookie).await);
    refused(admin.ask("GET", "/consent/done?state=AAAAAAAAAAAAAAAAAAAAAA&admin_consent=True", &cookie).await);
    let late = state_of(&admin.begin(&cookie, TENANT).await);
    admin.clock.advance(Duration::from_secs(600));
    refused(admin.ask("GET", &format!("/consent/done?state={late}"), &cookie).await);
    assert_eq!(tenants.checks(), 0);
    let state = state_of(&admin.begin(&cookie, TENANT).await);
    assert_eq!(admin.status("GET", &format!("/consent/done?state={state}"), "").await, 401, "nobody");
    assert_eq!(admin.status("GET", &format!("/consent/done?state={state}"), &cookie).await, 200);
    refused(admin.ask("GET", &format!("/consent/done?state={state}"), &cookie).await);
    assert_eq!(tenants.checks(), 1);
    admin.stop().await;
}

#[tokio::test]
async fn an_error_counts_although_consent_is_said_to_be_true() {
    let (admin, tenants, cookie) = signed_in().await;
    tenants.give(TENANT, Gate::Directory);
    let state = state_of(&admin.begin(&cookie, TENANT).await);
    let back = format!("/consent/done?error=access_denied%3Cb%3E&admin_consent=True&state={state}");
    let page = admin.ask("GET", &back, &cookie).await;
    assert!(page.contains("Not granted") && page.contains("access_denied&#60;b&#62;"), "{page}");
    assert_eq!(tenants.checks(), 0);
    admin.stop().await;
}

#[tokio::test]
async fn coming_back_from_the_providers_site_goes_on_from_a_page_of_our_own() {
    let (admin, tenants, _) = signed_in().await;
    let cross = "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n";
    let back = "/consent/callback?admin_consent=True&tenant=x&state=a%22%3E%26b&error=e%27";
    let page = admin.ask("GET", back, cross).await;
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    let next = "content=\"0;url=/consent/done?state=a%22%3E%26b&#38;error=e%27\"";
    assert!(page.contains(next), "{page}");
    assert_eq!(admin.status("GET", "/consent/callback?state=a&state=b", cross).await, 400);
    assert_eq!(tenants.checks(), 0, "it proves nothing");
    admin.stop().await;
}

#[tokio::test]
async fn an_administrators_consents_are_few_and_their_own_oldest_gives_way() {
    let (admin, _, cookie) = signed_in().await;
    let first = state_of(&admin.begin(&cookie, TENANT).await);
    let mut last = String::new();
    for _ in 0..8 {
        last = state_of(&admin.begin(&cookie, TENANT).await);
    }
    assert_eq!(admin.status("GET", &format!("/consent/done?state={first}"), &cookie).await, 403);
    assert_eq!(admin.status("GET", &format!("/consent/done?state={last}"), &cookie).await, 200);
    admin.stop().await;
}

async fn signed_in() -> (Running, Directories, String) {
    let tenants = Directories::default();
    let admin = Running::with(None, Arc::new(tenants.clone())).await;
    let (_, cookie) = admin.sign_in(TOKEN).await;
    (admin, tenants, cookie)
}

fn consent(tenant: &str) -> String {
    format!("/api/v1/tenants/{tenant}/consent")
}

fn state_of(url: &Url) -> String {
    url.query_pairs().find(|(key, _)| key == "state").unwrap().1.into_owned()
}

impl Running {
    fn json_headers(&self, cookie: &str) -> String {
        format!("{cookie}Origin: {}\r\nContent-Type: application/json\r\n", self.origin())
    }

    async fn begin(&self, cookie: &str, tenant: &str) -> Url {
        let answer = self.post(&consent(tenant), &self.json_headers(cookie), "{\"gate\":\"directory\"}").await;
        let begun: serde_json::Value = json(&answer);
        Url::parse(begun["url"].as_str().unwrap()).unwrap()
    }

    async fn gate(&self, tenant: &str, index: usize) -> String {
        let answer = self.ask("GET", &format!("/api/v1/tenants/{tenant}"), &bearer()).await;
        let tenant: serde_json::Value = json(&answer);
        tenant["gates"][index]["status"].as_str().unwrap().to_owned()
    }
}
