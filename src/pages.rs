//! Layer 1: every page the gateway itself shows, each with its JSON twin for callers that are not browsers.
//!
//! A [`Page`] becomes a complete response: status, security headers, body. Whatever comes from a request, a token or
//! the directory is escaped by the templates; nothing of it reaches a header.

mod body;
mod content;
mod headers;
mod help;
mod json;
mod problem;

use bytes::Bytes;
use http::{HeaderValue, Response};

pub use content::{AppLink, AtRisk, Blocked, KeptPost, KeptWhile, Page, Portal, SignedInAs, Warning};
pub use help::Help;
pub use problem::{BadRequestWord, Caution, SignInProblem, StepUpProblem};

use headers::Policies;

/// Who reads the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// A person: an HTML page.
    Browser,
    /// A script or program: the JSON twin.
    Api,
}

/// What all pages have in common.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// Shown beside the product's name.
    pub organisation: Option<String>,
    /// Where people who are held up find help.
    pub help: Help,
    /// Origins (`https://login.microsoftonline.com`) of the identity provider: a sign-out form may end there, and
    /// front-channel sign-out may be framed by them. Anything that is not a plain https or loopback origin is left out.
    pub provider_origins: Vec<String>,
}

/// Renders pages. Made once; the content security policies are computed then.
#[derive(Debug, Clone)]
pub struct Pages {
    organisation: Option<String>,
    help: Help,
    policies: Policies,
}

impl Pages {
    /// A renderer for this organisation.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let policies = Policies::new(&config.provider_origins);
        Self { organisation: config.organisation, help: config.help, policies }
    }

    /// The complete answer. `request_id` is shown, so that a person can name it to support.
    #[must_use]
    pub fn respond(&self, page: &Page<'_>, audience: Audience, request_id: &str) -> Response<Bytes> {
        let (content_type, body) = match audience {
            Audience::Browser => {
                let html = body::html(page, self.organisation.as_deref(), &self.help, request_id);
                ("text/html; charset=utf-8", Bytes::from(html))
            }
            Audience::Api => ("application/json", Bytes::from(json::twin(page, request_id))),
        };
        let mut response = Response::new(body);
        *response.status_mut() = page.status();
        let headers = response.headers_mut();
        headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        self.policies.apply(page, audience, headers);
        response
    }
}

#[cfg(test)]
mod tests;
