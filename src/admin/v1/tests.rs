//! The description of the API and the API are one: what one has, the other has.

use std::collections::BTreeSet;

use super::*;
use crate::session::Sessions;

#[test]
fn every_route_is_described_and_every_reference_leads_somewhere() {
    let routes = routes::<Sessions>();
    let document = openapi::document(&routes);
    let mut described = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            described.insert((method.clone(), path.clone()));
            assert!(operation["summary"].as_str().unwrap().ends_with('.'), "{method} {path}");
            assert!(operation["responses"]["401"].is_object() && operation["responses"]["200"].is_object());
        }
    }
    let routed: BTreeSet<_> = routes.iter().map(|route| (route.method.to_owned(), route.path.to_owned())).collect();
    assert_eq!(routed.len(), routes.len(), "no route twice");
    assert_eq!(described, routed);
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert!(document.pointer(reference).is_some(), "{reference}");
    }
    let ids: BTreeSet<_> =
        text.split("\"operationId\":\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert_eq!(ids.len(), routes.len(), "names of operations are unique");
}

#[test]
fn a_body_is_described_where_one_is_read() {
    let document = openapi::document(&routes::<Sessions>());
    let body = &document["paths"]["/api/v1/tenants/{id}/data-upload"]["put"]["requestBody"];
    let schema = body["content"]["application/json"]["schema"]["$ref"].as_str().unwrap();
    let schema = document.pointer(schema.trim_start_matches('#')).unwrap();
    assert_eq!((&schema["properties"]["on"]["type"], &schema["required"][0]), (&"boolean".into(), &"on".into()));
}
