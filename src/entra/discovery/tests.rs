//! Documents from every cloud, and from people who would like to be one.

use serde_json::json;

use super::*;
use crate::entra::tests::provider::{OTHER_TENANT, TENANT};

fn authority(base: &str) -> Authority {
    Authority::new(&Url::parse(base).unwrap()).unwrap()
}

fn document(issuer: &str, endpoints: &str) -> Value {
    json!({
        "issuer": issuer, "authorization_endpoint": format!("{endpoints}/authorize"),
        "token_endpoint": format!("{endpoints}/token"), "jwks_uri": format!("{endpoints}/keys"),
    })
}

fn read(base: &str, document: &Value) -> Result<Discovery, &'static str> {
    let realm = Realm::Tenant(TENANT.parse().unwrap());
    Discovery::parse(document.to_string().as_bytes(), realm, &authority(base)).map_err(|error| error.fault().word())
}

#[test]
fn the_issuer_is_the_tenants_own_at_this_host_or_a_documented_alias() {
    let global = "https://login.microsoftonline.com";
    let cases = [
        ("https://login.microsoftonline.com/", format!("{global}/{TENANT}/v2.0"), true),
        ("https://login.windows.net/", format!("{global}/{TENANT}/v2.0"), true),
        ("https://login.chinacloudapi.cn/", format!("https://login.partner.microsoftonline.cn/{TENANT}/v2.0"), true),
        ("https://login.sovcloud-identity.fr/", format!("https://login.sovcloud-identity.fr/{TENANT}/v2.0"), true),
        ("http://127.0.0.1:8/entra/", format!("http://127.0.0.1:8/entra/{TENANT}/v2.0"), true),
        ("https://login.microsoftonline.us/", format!("{global}/{TENANT}/v2.0"), false),
        ("https://login.microsoftonline.com/", format!("{global}/{OTHER_TENANT}/v2.0"), false),
        ("https://login.microsoftonline.com/", format!("{global}/{{tenantid}}/v2.0"), false),
        ("https://login.microsoftonline.com/", format!("{global}/{TENANT}/v2.0/"), false),
        ("https://login.microsoftonline.com/", format!("{global}/{TENANT}/v1.0"), false),
        ("https://login.microsoftonline.com/", format!("{global}.evil.example/{TENANT}/v2.0"), false),
        ("https://login.microsoftonline.com/", format!("https://sts.windows.net/{TENANT}/"), false),
        ("https://login.microsoftonline.com:8443/", format!("{global}/{TENANT}/v2.0"), false),
    ];
    for (base, issuer, good) in cases {
        let outcome = read(base, &document(&issuer, base.trim_end_matches('/')));
        assert_eq!(outcome.err(), (!good).then_some("discovery_issuer"), "{base} {issuer}");
    }
}

#[test]
fn endpoints_stay_on_the_login_host_and_are_protected() {
    let base = "https://login.microsoftonline.com";
    let issuer = format!("{base}/{TENANT}/v2.0");
    for name in ["authorization_endpoint", "token_endpoint", "jwks_uri", "end_session_endpoint"] {
        for bad in [
            "https://evil.example/x",
            "http://login.microsoftonline.com/x",
            "https://login.microsoftonline.com:444/x",
            "https://login.microsoftonline.com.evil.example/x",
            "https://login.microsoftonline.com@evil.example/x",
            "https://u:p@login.microsoftonline.com/x",
            "http://127.0.0.1/x",
        ] {
            let mut document = document(&issuer, base);
            document[name] = json!(bad);
            assert_eq!(read(base, &document).unwrap_err(), "discovery_endpoint", "{name} {bad}");
        }
        let mut document = document(&issuer, base);
        document[name] = json!(7);
        assert_eq!(read(base, &document).unwrap_err(), "answer_malformed", "{name}");
    }
    let alias = document(&issuer, "https://login.windows.net");
    assert!(read(base, &alias).is_ok());
}

#[test]
fn only_organizations_answers_with_the_template() {
    let base = "https://login.microsoftonline.com";
    let template = document(&format!("{base}/{{tenantid}}/v2.0"), base).to_string();
    let own = document(&format!("{base}/{TENANT}/v2.0"), base).to_string();
    let parse = |text: &str| Discovery::parse(text.as_bytes(), Realm::Organizations, &authority(base));
    assert!(parse(&template).is_ok());
    assert!(parse(&own).is_err());
}

#[test]
fn an_authority_is_a_protected_host() {
    for bad in ["http://login.example/", "https://u@login.example/", "https://login.example/?x", "ftp://localhost/"] {
        assert!(Authority::new(&Url::parse(bad).unwrap()).is_err(), "{bad}");
    }
    let url = authority("http://entra.localhost:8/base/").discovery_url(Realm::Organizations).unwrap();
    assert_eq!(url.as_str(), "http://entra.localhost:8/base/organizations/v2.0/.well-known/openid-configuration");
}
