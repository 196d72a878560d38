//! How an authorization response travels to the redirect address: query, fragment or a form that posts itself.

use axum::response::{IntoResponse as _, Response};
use http::{HeaderValue, StatusCode, header};

use super::page;
use crate::simulator::aadsts::{Failure, Trace, error_uri};

/// `response_mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Query,
    Fragment,
    FormPost,
}

/// Where the answer goes. Exists only for a redirect address that was checked.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) redirect_uri: String,
    pub(super) mode: Mode,
    pub(super) state: Option<String>,
}

impl Target {
    /// Sends these parameters, then `state`.
    pub(super) fn send(&self, mut parameters: Vec<(&'static str, String)>) -> Response {
        if let Some(state) = &self.state {
            parameters.push(("state", without_html(state)));
        }
        if self.mode == Mode::FormPost {
            return page::form_post(&self.redirect_uri, &parameters);
        }
        let encoded = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&parameters).finish();
        let address = self.with_path();
        let location = match self.mode {
            Mode::Fragment => format!("{address}#{encoded}"),
            _ if address.contains('?') => format!("{address}&{encoded}"),
            _ => format!("{address}?{encoded}"),
        };
        let mut response = StatusCode::FOUND.into_response();
        match HeaderValue::from_str(&location) {
            Ok(location) => response.headers_mut().insert(header::LOCATION, location),
            Err(_) => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        };
        response
    }

    /// Sends a failure (reference section 1.4).
    pub(super) fn refuse(&self, failure: &Failure, trace: &Trace, base: &str) -> Response {
        let mut response = self.send(vec![
            ("error", failure.error.to_owned()),
            ("error_description", failure.description(trace)),
            ("error_uri", error_uri(base, failure.code)),
        ]);
        if let Ok(value) = HeaderValue::from_str(&format!("1,{},0,,", failure.code)) {
            response.headers_mut().insert("x-ms-clitelem", value);
        }
        response
    }

    /// The person pressed Cancel: a subcode and no description (reference section 1.4).
    pub(super) fn cancelled(&self) -> Response {
        self.send(vec![("error", "access_denied".to_owned()), ("error_subcode", "cancel".to_owned())])
    }

    /// A redirect address with no path comes back with a slash (reference section 1.4, limits).
    fn with_path(&self) -> String {
        match self.redirect_uri.split_once("://") {
            Some((_, rest)) if !rest.contains(['/', '?']) => format!("{}/", self.redirect_uri),
            _ => self.redirect_uri.clone(),
        }
    }
}

/// Entra strips HTML from `state` (reference section 1.4).
fn without_html(state: &str) -> String {
    let mut kept = String::with_capacity(state.len());
    let mut rest = state;
    while let Some((before, after)) = rest.split_once('<') {
        kept.push_str(before);
        let Some((_, after)) = after.split_once('>') else { return kept };
        rest = after;
    }
    kept.push_str(rest);
    kept
}

#[cfg(test)]
mod tests {
    use super::without_html;

    #[test]
    fn html_is_stripped_from_state() {
        assert_eq!(without_html("a<script>b</script>c"), "abc");
        assert_eq!(without_html("q7Zk2fR1-_"), "q7Zk2fR1-_");
        assert_eq!(without_html("a<b"), "a");
    }
}
