//! Claims of every shape Entra and its lookalikes send.

use serde_json::json;

use super::*;
use crate::entra::tests::provider::{PERSON, TENANT};
use crate::facts::ObjectId;

const GROUP: &str = "7c40f2d9-5e1a-4b36-90cf-1d83a6e5b274";

fn person(claims: Value) -> SignedIn {
    let user = UserKey { tenant: TENANT.parse().unwrap(), object: PERSON.parse().unwrap() };
    let Value::Object(claims) = claims else { panic!("expected an object") };
    SignedIn::from_token(&Verified { user, claims }, None)
}

#[test]
fn groups_are_known_unknown_or_none_but_never_guessed() {
    let group: ObjectId = GROUP.parse().unwrap();
    let known = |groups: Vec<ObjectId>| Groups::known(groups);
    let endpoint = json!({ "src1": { "endpoint": "https://graph.windows.net/x" } });
    let cases = [
        (json!({}), known(vec![])),
        (json!({ "groups": [] }), known(vec![])),
        (json!({ "groups": [GROUP, GROUP] }), known(vec![group])),
        (json!({ "groups": [GROUP, "Domain Admins"] }), Groups::Unknown),
        (json!({ "groups": [GROUP, 7] }), Groups::Unknown),
        (json!({ "groups": GROUP }), Groups::Unknown),
        (json!({ "groups": null }), Groups::Unknown),
        (json!({ "_claim_names": { "groups": "src1" }, "_claim_sources": endpoint }), Groups::Unknown),
        (json!({ "_claim_names": { "groups": "src1" }, "groups": [GROUP] }), Groups::Unknown),
        (json!({ "_claim_names": "odd" }), Groups::Unknown),
        (json!({ "_claim_names": { "roles": "src1" } }), known(vec![])),
        (json!({ "hasgroups": true }), Groups::Unknown),
        (json!({ "hasgroups": "true" }), Groups::Unknown),
        (json!({ "hasgroups": false }), known(vec![])),
    ];
    for (claims, expected) in cases {
        assert_eq!(person(claims.clone()).subject.groups, expected, "{claims}");
    }
}

#[test]
fn names_fall_back_and_lose_what_could_forge_a_line() {
    let shown = |claims| {
        let subject = person(claims).subject;
        (subject.name.to_string(), subject.email.to_string())
    };
    let pair = |name: &str, email: &str| (name.to_owned(), email.to_owned());
    assert_eq!(shown(json!({ "preferred_username": "p@x", "email": "e@x", "name": "N" })), pair("N", "e@x"));
    assert_eq!(shown(json!({ "preferred_username": "p@x" })), pair("p@x", "p@x"));
    assert_eq!(shown(json!({ "name": "N", "email": ["e@x"] })), pair("N", ""));
    assert_eq!(shown(json!({ "name": "a\r\nb\u{0}c", "email": "  " })), pair("abc", ""));
    assert_eq!(shown(json!({ "name": "ü".repeat(1000) })).0.chars().count(), 256);
}

#[test]
fn auth_time_and_contexts_come_in_two_shapes() {
    assert_eq!(person(json!({ "auth_time": 7 })).auth_time, Some(UnixTime(7)));
    assert_eq!(person(json!({ "auth_time": "7" })).auth_time, Some(UnixTime(7)));
    assert_eq!(person(json!({ "auth_time": "soon" })).auth_time, None);
    assert_eq!(person(json!({ "acrs": "c1" })).acrs, ["c1"]);
    assert_eq!(person(json!({ "acrs": ["c1", 7, "", "c2"] })).acrs, ["c1", "c2"]);
    assert!(person(json!({ "acrs": { "c1": true } })).acrs.is_empty());
}
