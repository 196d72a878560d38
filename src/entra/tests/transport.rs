//! What a hostile or broken token endpoint can do: nothing but fail, once.

use std::time::Duration;

use serde_json::json;

use super::provider::*;
use crate::entra::*;

async fn redeem(party: &RelyingParty) -> EntraError {
    party.redeem(&Secret::new("1.AXYAng".to_owned()), VERIFIER, NONCE).await.unwrap_err()
}

fn token_path() -> String {
    format!("/{TENANT}/token")
}

#[tokio::test]
async fn each_unusable_answer_has_its_own_reason_and_the_code_is_sent_once() {
    let provider = Provider::with(&Signer::new("k1")).await;
    let (party, _) = provider.party();
    let whole = |status, headers: &str, body: &str| {
        let headers = headers.to_owned();
        Reply::Whole { status, headers, body: body.to_owned() }
    };
    let json = "content-type: application/json\r\n";
    let cases = [
        (whole(302, "location: http://login.localhost/elsewhere\r\n", ""), "answer_redirect"),
        (whole(307, "location: /elsewhere\r\n", ""), "answer_redirect"),
        (whole(200, "content-type: text/html\r\n", "<html>"), "answer_content_type"),
        (whole(400, "content-type: text/html\r\n", "<html>"), "answer_content_type"),
        (whole(200, "", "{}"), "answer_content_type"),
        (whole(200, &format!("{json}content-encoding: gzip\r\n"), "{}"), "answer_encoding"),
        (whole(200, json, "{"), "answer_malformed"),
        (whole(200, json, ""), "answer_malformed"),
        (whole(200, json, "[]"), "answer_malformed"),
        (whole(400, json, "{}"), "answer_malformed"),
        (whole(200, json, "{}"), "no_id_token"),
        (whole(200, json, r#"{"id_token":"a","id_token":"b"}"#), "answer_malformed"),
        (whole(200, json, r#"{"id_token":7}"#), "answer_malformed"),
        (whole(204, "", ""), "answer_status"),
        (Reply::Endless, "answer_too_large"),
        (Reply::Half, "unreachable"),
        (whole(500, json, "{}"), "unreachable"),
        (whole(429, json, "{}"), "unreachable"),
    ];
    for (round, (reply, expected)) in cases.into_iter().enumerate() {
        provider.reply(&token_path(), reply);
        assert_eq!(redeem(&party).await.fault().word(), expected, "round {round}");
        assert_eq!(provider.hits(&token_path()), round + 1, "round {round}: sent once");
    }
    assert_eq!(provider.hits("/elsewhere"), 0, "no redirect is followed");
}

#[tokio::test]
async fn a_silent_and_a_dripping_provider_end_at_the_deadline() {
    let provider = Provider::with(&Signer::new("k1")).await;
    let (party, _) = provider.party();
    party.end_session_url(&provider.base, None).await.unwrap();
    tokio::time::pause();
    for reply in [Reply::Never, Reply::Drip] {
        provider.reply(&token_path(), reply);
        let error = redeem(&party).await;
        assert!(matches!(error, EntraError::Unreachable { cause: UnreachableCause::Timeout, .. }), "{error}");
        assert!(error.is_retryable());
    }
}

#[tokio::test]
async fn a_wait_that_the_provider_asks_for_is_passed_on() {
    let provider = Provider::with(&Signer::new("k1")).await;
    let (party, _) = provider.party();
    let headers = "content-type: application/json\r\nretry-after: 17\r\n".to_owned();
    provider.reply(&token_path(), Reply::Whole { status: 429, headers, body: "{}".to_owned() });
    let EntraError::Unreachable { cause, retry_after, .. } = redeem(&party).await else { panic!("another error") };
    assert_eq!((cause, retry_after), (UnreachableCause::Throttled, Some(Duration::from_secs(17))));
}

#[tokio::test]
async fn nobody_listening_is_unreachable() {
    let provider = Provider::start().await;
    let mut config = provider.config();
    // A port that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    config.authority = Url::parse(&format!("http://127.0.0.1:{free}/")).unwrap();
    let (party, _) = provider.party_with(config);
    let error = redeem(&party).await;
    assert!(matches!(error, EntraError::Unreachable { cause: UnreachableCause::Connect, .. }), "{error:?}");
}

#[tokio::test]
async fn a_refusal_keeps_its_number_and_claims_and_drops_the_description() {
    let provider = Provider::with(&Signer::new("k1")).await;
    let (party, _) = provider.party();
    let claims = r#"{"access_token":{"capolids":{"essential":true,"values":["2e6d"]}}}"#;
    provider.refuse(
        400,
        &json!({
            "error": "invalid_grant", "error_description": "AADSTS50076: alice@fabrikam.example must use MFA",
            "error_codes": ["50076"], "suberror": "basic_action", "claims": claims,
            "trace_id": "6f2d81c3-0b97-4a5e-8c14-d9e37ab02f60", "correlation_id": "evil\nline",
        }),
    );
    let error = redeem(&party).await;
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("alice") && !shown.contains("evil"), "{shown}");
    let EntraError::Refused(refusal) = error else { panic!("{error:?}") };
    assert_eq!(refusal.class, RefusalClass::InteractionNeeded);
    assert_eq!(refusal.aadsts, Some(50076));
    assert_eq!(refusal.claims.as_deref(), Some(claims));
    assert_eq!(refusal.trace_id.unwrap().to_string(), "6f2d81c3-0b97-4a5e-8c14-d9e37ab02f60");
    assert_eq!(refusal.correlation_id, None);
}

#[tokio::test]
async fn the_assertion_goes_out_instead_of_a_secret_and_the_file_is_read_each_time() {
    let signer = Signer::new("k1");
    let provider = Provider::with(&signer).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut config = provider.config();
    config.credential = Credential::Federated { token_file: file.path().to_owned() };
    let (party, _) = provider.party_with(config);
    provider.give(&signer.sign(&provider.claims()));
    for token in ["aa.bb.cc", "dd.ee.ff"] {
        std::fs::write(file.path(), format!("  {token}\n")).unwrap();
        party.redeem(&Secret::new("c".to_owned()), VERIFIER, NONCE).await.unwrap();
        let form = provider.last_form(TENANT);
        assert_eq!(form["client_assertion"], token);
        assert_eq!(form["client_assertion_type"], "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
        assert_eq!(form["client_id"], CLIENT);
        assert!(!form.contains_key("client_secret"));
    }
    for bad in ["", "not a token", "a.b", "a..c", "a.b.c\nd"] {
        std::fs::write(file.path(), bad).unwrap();
        assert_eq!(redeem(&party).await.fault(), Fault::Misconfigured(Misconfiguration::Credential), "{bad}");
    }
    std::fs::write(file.path(), "a.b.".to_owned() + &"c".repeat(70_000)).unwrap();
    assert_eq!(redeem(&party).await.fault(), Fault::Misconfigured(Misconfiguration::Credential));
    assert_eq!(provider.hits(&token_path()), 2, "nothing is sent without a proof");
}

#[tokio::test]
async fn doctor_sees_discovery_clock_and_credential() {
    let provider = Provider::with(&Signer::new("k1")).await;
    let (party, clock) = provider.party();
    let outcomes = |findings: Vec<ProbeFinding>| {
        findings.into_iter().map(|finding| (finding.check, finding.outcome)).collect::<Vec<_>>()
    };
    // The provider's Date stands at 14:18:20, which is NOW to the second.
    let all_good =
        [("discovery", ProbeOutcome::Good), ("clock", ProbeOutcome::Good), ("credential", ProbeOutcome::Good)];
    assert_eq!(outcomes(party.probe().await), all_good);
    clock.step_wall(UnixTime(NOW - 60));
    assert_eq!(outcomes(party.probe().await)[1], ("clock", ProbeOutcome::Doubtful));
    clock.step_wall(UnixTime(NOW + 301));
    assert_eq!(outcomes(party.probe().await)[1], ("clock", ProbeOutcome::Bad));
    let mut document = provider.discovery(TENANT);
    document["issuer"] = json!(provider.issuer(OTHER_TENANT));
    provider.reply(&discovery_path(TENANT), Reply::json(&document));
    let findings = party.probe().await;
    assert_eq!(findings[0].outcome, ProbeOutcome::Bad);
    assert!(findings[0].found.contains("discovery_issuer") && !findings[0].advice.is_empty(), "{findings:?}");
}

#[tokio::test]
async fn a_login_host_is_believed_only_under_a_trusted_root() {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate =
        rcgen::CertificateParams::new(vec!["login.localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let tls = rustls::ServerConfig::builder_with_provider(rustls::crypto::aws_lc_rs::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key.serialize_der().try_into().unwrap())
        .unwrap();
    let provider = Provider::start_tls(tls).await;
    let signer = Signer::new("k1");
    provider.publish(TENANT, &[signer.jwk()]);
    provider.give(&signer.sign(&provider.claims()));
    let (stranger, _) = provider.party();
    let error = redeem(&stranger).await;
    assert!(matches!(error, EntraError::Unreachable { cause: UnreachableCause::Tls, .. }), "{error:?}");
    assert!(!error.is_retryable());
    assert!(error.details().to_ascii_lowercase().contains("certificate"), "{}", error.details());
    let root = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(root.path(), certificate.pem()).unwrap();
    let config = Config { extra_ca: Some(root.path().to_owned()), ..provider.config() };
    let (party, _) = provider.party_with(config);
    assert!(party.redeem(&Secret::new("c".to_owned()), VERIFIER, NONCE).await.is_ok());
}

#[tokio::test]
async fn a_tenant_that_entra_does_not_know_is_a_configuration_fault() {
    let provider = Provider::with(&Signer::new("k1")).await;
    let unknown = json!({ "error": "invalid_tenant", "error_codes": [90002], "error_description": "AADSTS90002: x" });
    provider.reply(&discovery_path(TENANT), Reply::text(400, "application/json", &unknown.to_string()));
    let (party, _) = provider.party();
    assert_eq!(redeem(&party).await.fault(), Fault::Misconfigured(Misconfiguration::Tenant));
}

#[test]
fn a_configuration_that_cannot_work_is_refused_at_start() {
    let config = || Config {
        authority: Url::parse("https://login.microsoftonline.com/").unwrap(),
        tenants: vec![tenant(TENANT)],
        client_id: CLIENT.to_owned(),
        credential: Credential::Secret(Secret::new("s".to_owned())),
        redirect_uri: Url::parse("https://auth.example/cb").unwrap(),
        response_mode: ResponseMode::Query,
        scopes: Vec::new(),
        skew: Duration::from_secs(300),
        timeout: Duration::from_secs(10),
        extra_ca: None,
    };
    let fault = |config| {
        let clock = std::sync::Arc::new(crate::facts::ManualClock::at(UnixTime(NOW)));
        RelyingParty::new(config, clock).err().map(|error| error.fault())
    };
    let wrong = |what| Some(Fault::Misconfigured(what));
    assert_eq!(fault(config()), None);
    assert_eq!(fault(Config { tenants: Vec::new(), ..config() }), wrong(Misconfiguration::Tenant));
    assert_eq!(fault(Config { tenants: vec![tenant(TENANT); 2], ..config() }), wrong(Misconfiguration::Tenant));
    assert_eq!(fault(Config { client_id: String::new(), ..config() }), wrong(Misconfiguration::Application));
    let plain = Url::parse("http://login.microsoftonline.com/").unwrap();
    assert_eq!(fault(Config { authority: plain, ..config() }), wrong(Misconfiguration::Authority));
    let nowhere = Some("/nonexistent/ca.pem".into());
    assert_eq!(fault(Config { extra_ca: nowhere, ..config() }), wrong(Misconfiguration::RootCertificates));
}
