//! The admin API, version 1: one table of routes, from which both the router and its description (OpenAPI) are made, so
//! that neither can know a route the other does not.

mod actions;
mod consent;
mod iam;
mod openapi;
mod people;
mod rules;
mod sessions;
mod tenants;
mod users;

use std::sync::Arc;

use axum::Router;
use axum::routing::MethodRouter;
use schemars::{JsonSchema, Schema, SchemaGenerator};

pub(super) use consent::{Consents, Outcome as ConsentOutcome};
pub(super) use iam::{Iam, Line, SyncLine, Tenant};
pub use sessions::{Ended, SessionLine, SessionList};
pub(super) use users::{AppVerdict, PersonLine};

use super::SessionControl;
use super::api::Site;

pub(super) use consent::finish as finish_consent;
pub(super) use iam::iam_now;
pub(super) use users::{risky_now, verdicts};

/// What a route does, for the router and for its description.
pub(super) struct Route<S> {
    method: &'static str,
    path: &'static str,
    about: &'static str,
    query: &'static [(&'static str, &'static str)],
    body: Option<fn(&mut SchemaGenerator) -> Schema>,
    answer: fn(&mut SchemaGenerator) -> Schema,
    /// Words of [`super::problem::Problem`] besides those of the guard.
    problems: &'static [(u16, &'static str)],
    handler: MethodRouter<Arc<Site<S>>>,
}

impl<S> Route<S> {
    /// A route that answers 200 with an `A`.
    fn new<A: JsonSchema>(
        method: &'static str,
        path: &'static str,
        about: &'static str,
        handler: MethodRouter<Arc<Site<S>>>,
    ) -> Self {
        let answer = |generator: &mut SchemaGenerator| generator.subschema_for::<A>();
        Self { method, path, about, query: &[], body: None, answer, problems: &[], handler }
    }

    fn takes<B: JsonSchema>(self) -> Self {
        Self { body: Some(|generator| generator.subschema_for::<B>()), ..self }
    }

    fn with_query(self, query: &'static [(&'static str, &'static str)]) -> Self {
        Self { query, ..self }
    }

    fn may_say(self, problems: &'static [(u16, &'static str)]) -> Self {
        Self { problems, ..self }
    }
}

/// Every route of the API.
fn routes<S: SessionControl>() -> Vec<Route<S>> {
    let mut routes = Vec::new();
    routes.extend(iam::routes());
    routes.extend(tenants::routes());
    routes.extend(users::routes());
    routes.extend(sessions::routes());
    routes.extend(rules::routes());
    routes.extend(actions::routes());
    routes.extend(openapi::routes_here());
    routes
}

pub(super) fn router<S: SessionControl>() -> Router<Arc<Site<S>>> {
    routes().into_iter().fold(Router::new(), |router, route| router.route(route.path, route.handler))
}

#[cfg(test)]
mod tests;
