//! Request parameters from a query or a form, where a name that comes twice is refused (RFC 6749 section 3.1).

use axum::body::Body;
use axum::extract::Request;

use super::aadsts::Failure;

/// Parameters by name, each at most once. Empty values count as absent.
#[derive(Debug, Clone, Default)]
pub(super) struct Params(Vec<(String, String)>);

impl Params {
    /// Reads `application/x-www-form-urlencoded` text.
    pub(super) fn parse(text: &[u8]) -> Result<Self, Failure> {
        let mut found: Vec<(String, String)> = Vec::new();
        for (name, value) in url::form_urlencoded::parse(text) {
            if found.iter().any(|(seen, _)| *seen == name) {
                return Err(malformed(&format!("The parameter '{name}' is duplicated.")));
            }
            if !value.is_empty() {
                found.push((name.into_owned(), value.into_owned()));
            }
        }
        Ok(Self(found))
    }

    /// The query of a `GET`, the form body of a `POST`.
    pub(super) async fn of(request: Request<Body>) -> Result<Self, Failure> {
        if request.method() != http::Method::POST {
            return Self::parse(request.uri().query().unwrap_or_default().as_bytes());
        }
        let content_type = request.headers().get(http::header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
        if !content_type.is_some_and(|v| v.trim_start().starts_with("application/x-www-form-urlencoded")) {
            return Err(malformed("The body is not application/x-www-form-urlencoded."));
        }
        let body = axum::body::to_bytes(request.into_body(), MAX_BODY);
        let body = tokio::time::timeout(BODY_DEADLINE, body).await;
        match body {
            Ok(Ok(bytes)) => Self::parse(&bytes),
            Ok(Err(_)) | Err(_) => Err(malformed("The body is too large or did not arrive.")),
        }
    }

    /// The value of `name`.
    pub(super) fn look(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The value of `name`, or the failure that it is missing.
    pub(super) fn need(&self, name: &str) -> Result<&str, Failure> {
        self.look(name).ok_or_else(|| Failure::missing(name))
    }

    /// The value of `name` as text of one's own.
    pub(super) fn own(&self, name: &str) -> Option<String> {
        self.look(name).map(str::to_owned)
    }
}

/// A request that makes no sense (9002313).
pub(super) fn malformed(text: &str) -> Failure {
    Failure::new(9_002_313, format!("Invalid request. Request is malformed or invalid. {text}"))
}

const MAX_BODY: usize = 256 * 1024;
const BODY_DEADLINE: std::time::Duration = std::time::Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::Params;

    /// RFC 6749 section 3.1: parameters without a value are treated as omitted; none may be included twice.
    #[test]
    fn a_parameter_may_not_come_twice() {
        assert!(Params::parse(b"code=a&code=b").is_err());
        let params = Params::parse(b"code=a+b&state=").unwrap();
        assert_eq!(params.look("code"), Some("a b"));
        assert_eq!(params.look("state"), None);
    }
}
