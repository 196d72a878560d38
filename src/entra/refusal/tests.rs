//! Bodies as Microsoft sends them, and as nobody should.

use serde_json::json;

use super::super::error::Fault;
use super::*;

fn fault(body: &Value) -> Fault {
    classify_body(body.to_string().as_bytes()).unwrap().fault()
}

#[test]
fn numbers_words_and_suberrors_find_their_class() {
    use Misconfiguration as Wrong;
    use RefusalClass as Class;
    let cases = [
        (json!({ "error": "invalid_grant", "error_codes": [50057] }), Fault::Refused(Class::AccountDisabled)),
        (json!({ "error": "invalid_grant", "error_codes": [50173] }), Fault::Refused(Class::GrantRevoked)),
        (json!({ "error": "invalid_grant", "error_codes": [70002, 70008] }), Fault::Refused(Class::GrantExpired)),
        (json!({ "error": "invalid_grant", "error_codes": [70008, 50057] }), Fault::Refused(Class::AccountDisabled)),
        (json!({ "error": "invalid_grant", "error_codes": ["53003"] }), Fault::Refused(Class::BlockedByPolicy)),
        (json!({ "error": "invalid_grant", "error_codes": "54005" }), Fault::Refused(Class::CodeReused)),
        (json!({ "error": "invalid_grant", "error_codes": 501_481 }), Fault::Refused(Class::PkceMismatch)),
        (
            json!({ "error": "invalid_grant", "error_description": "AADSTS50135: Alice" }),
            Fault::Refused(Class::RiskSignal),
        ),
        (json!({ "error": "interaction_required", "error_codes": [50105] }), Fault::Refused(Class::NotAssigned)),
        (json!({ "error": "invalid_grant", "suberror": "consent_required" }), Fault::Refused(Class::ConsentMissing)),
        (json!({ "error": "invalid_grant", "suberror": "message_only" }), Fault::Refused(Class::BlockedByPolicy)),
        (json!({ "error": "invalid_grant", "error_codes": [1] }), Fault::Refused(Class::GrantRefused)),
        (json!({ "error": "interaction_required" }), Fault::Refused(Class::InteractionNeeded)),
        (json!({ "error": "something_new" }), Fault::Refused(Class::Other)),
        (json!({ "error": "invalid_client" }), Fault::Misconfigured(Wrong::Credential)),
        (json!({ "error": "invalid_client", "error_codes": [7_000_222] }), Fault::Misconfigured(Wrong::Credential)),
        (json!({ "error": "unauthorized_client", "error_codes": [700_016] }), Fault::Misconfigured(Wrong::Application)),
        (json!({ "error": "invalid_request", "error_codes": [90002] }), Fault::Misconfigured(Wrong::Tenant)),
        (json!({ "error": "invalid_scope" }), Fault::Misconfigured(Wrong::Scope)),
        (json!({ "error": "temporarily_unavailable" }), Fault::Unreachable),
        (json!({ "error": "invalid_grant", "error_codes": [90033] }), Fault::Unreachable),
    ];
    for (body, expected) in cases {
        assert_eq!(fault(&body), expected, "{body}");
    }
}

#[test]
fn what_is_no_oauth_error_is_none() {
    for body in ["", "{}", "[]", "<html>", r#"{"error":7}"#, r#"{"error":"Bad Word"}"#, r#"{"error":{"code":"x"}}"#] {
        assert!(classify_body(body.as_bytes()).is_none(), "{body}");
    }
}

#[test]
fn only_a_json_object_is_a_claims_challenge() {
    let kept = |text: &str| {
        let body = json!({ "error": "invalid_grant", "error_codes": [50076], "claims": text }).to_string();
        let Some(EntraError::Refused(refusal)) = classify_body(body.as_bytes()) else { panic!("{text}") };
        refusal.claims
    };
    assert_eq!(kept(r#"{"access_token":{}}"#).as_deref(), Some(r#"{"access_token":{}}"#));
    for bad in ["", "x", "[]", "7", &format!("{{\"a\":\"{}\"}}", "x".repeat(MAX_CLAIMS_CHALLENGE))] {
        assert_eq!(kept(bad), None, "{bad:.20}");
    }
}

#[test]
fn the_error_on_the_redirect_address_finds_its_class_even_without_description() {
    let class = |error, description, subcode| AuthorizeError { error, description, subcode }.classify().fault();
    let refused = Fault::Refused;
    assert_eq!(class("access_denied", None, Some("cancel")), refused(RefusalClass::Cancelled));
    assert_eq!(class("access_denied", None, None), refused(RefusalClass::Cancelled));
    assert_eq!(
        class("access_denied", Some("AADSTS65004: User declined"), None),
        refused(RefusalClass::ConsentDeclined)
    );
    assert_eq!(
        class("interaction_required", Some("AADSTS50105: The signed in user 'a@b.c' is not"), None),
        refused(RefusalClass::NotAssigned)
    );
    assert_eq!(class("login_required", None, None), refused(RefusalClass::InteractionNeeded));
    assert_eq!(class("server_error", None, None), Fault::Unreachable);
    assert_eq!(class("temporarily_unavailable", None, None), Fault::Unreachable);
    assert_eq!(class("<script>", Some("AADSTS99999999999999"), None), refused(RefusalClass::Other));
    assert_eq!(class("", None, None), refused(RefusalClass::Other));
}

#[test]
fn forged_parameters_never_reach_the_message() {
    let forged = AuthorizeError {
        error: "oops\r\nadmin signed in",
        description: Some("AADSTS50105: alice@fabrikam.example"),
        subcode: None,
    };
    let shown = format!("{0} {0:?}", forged.classify());
    assert!(!shown.contains("admin") && !shown.contains("alice"), "{shown}");
}

#[test]
fn classes_that_end_sessions_are_not_healed_by_trying_again() {
    for class in RefusalClass::ALL {
        if class.ends_sessions() && class.sign_in_helps() {
            assert_eq!(*class, RefusalClass::GrantRevoked, "a new grant replaces a revoked one");
        }
    }
}
