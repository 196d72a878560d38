//! The description of the API (OpenAPI 3.1, <https://spec.openapis.org/oas/v3.1.1.html>), made from the table of routes
//! and the types that are really read and written.

use std::collections::BTreeMap;

use axum::Json;
use axum::routing::get;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{Route, routes};
use crate::admin::SessionControl;
use crate::admin::guard::Refusal;
use crate::admin::problem::{Problem, TIMED_OUT};

pub(super) fn routes_here<S: SessionControl>() -> Vec<Route<S>> {
    vec![
        Route::new::<Version>("get", "/api/v1/version", "The program's name and version.", get(version)),
        Route::new::<Value>(
            "get",
            "/api/v1/openapi.json",
            "This description.",
            get(|| async { Json(document(&routes::<S>())) }),
        ),
    ]
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Version {
    name: &'static str,
    version: &'static str,
}

async fn version() -> Json<Version> {
    Json(Version { name: env!("CARGO_PKG_NAME"), version: env!("CARGO_PKG_VERSION") })
}

/// The whole description.
pub(super) fn document<S>(routes: &[Route<S>]) -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let problem = generator.subschema_for::<Problem>().to_value();
    let mut paths: Map<String, Value> = Map::new();
    for route in routes {
        let operation = operation(route, &mut generator, &problem);
        let entry = paths.entry(route.path.to_owned()).or_insert_with(|| json!({}));
        if let Some(entry) = entry.as_object_mut() {
            let _none = entry.insert(route.method.to_owned(), operation);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Portcullis admin API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Every change is written to the decision log with who made it. A browser's requests that \
                            change something need the console's own Origin and JSON.",
        },
        "security": [{ "token": [] }, { "console": [] }],
        "paths": paths,
        "components": {
            "schemas": generator.take_definitions(true),
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer", "description": "The text of the admin token file." },
                "console": {
                    "type": "apiKey", "in": "cookie", "name": "portcullis-admin",
                    "description": "A browser signed in at / with the token (the name ends in the port), or through the \
                                    gateway at the console's host.",
                },
            },
        },
    })
}

fn operation<S>(route: &Route<S>, generator: &mut SchemaGenerator, problem: &Value) -> Value {
    let answer = (route.answer)(generator).to_value();
    // What each status says, in the order of statuses: the guard's words, then the route's own.
    let always = Refusal::ALL.map(|refusal| (refusal.status().as_u16(), refusal.word()));
    let mut words: BTreeMap<u16, Vec<&str>> = BTreeMap::new();
    for (status, word) in always.iter().chain(&[TIMED_OUT]).chain(route.problems) {
        words.entry(*status).or_default().push(word);
    }
    let mut responses = Map::new();
    let _first = responses.insert("200".to_owned(), content("Done.", "application/json", &answer));
    for (status, words) in words {
        let said = content(&words.join(", "), "application/problem+json", problem);
        let _none = responses.insert(status.to_string(), said);
    }
    let mut operation = json!({
        "summary": route.about,
        "operationId": operation_id(route),
        "parameters": parameters(route),
        "responses": responses,
    });
    if let (Some(body), Some(operation)) = (route.body, operation.as_object_mut()) {
        let schema = body(generator).to_value();
        let body = json!({ "required": true, "content": { "application/json": { "schema": schema } } });
        let _none = operation.insert("requestBody".to_owned(), body);
    }
    operation
}

fn content(description: &str, kind: &str, schema: &Value) -> Value {
    json!({ "description": description, "content": { kind: { "schema": schema } } })
}

fn parameters<S>(route: &Route<S>) -> Vec<Value> {
    let names = route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let text = json!({ "type": "string" });
    let mut parameters: Vec<Value> =
        names.map(|name| json!({ "name": name, "in": "path", "required": true, "schema": text })).collect();
    parameters.extend(route.query.iter().map(
        |(name, about)| json!({ "name": name, "in": "query", "required": false, "description": about, "schema": text }),
    ));
    parameters
}

fn operation_id<S>(route: &Route<S>) -> String {
    let path = route.path.trim_start_matches("/api/v1/").replace(['/', '-', '.'], "_").replace(['{', '}'], "");
    format!("{}_{path}", route.method)
}
