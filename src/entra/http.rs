//! Calls to Microsoft: one request, one bounded answer, one deadline. Nothing is followed, unpacked or retried.
//!
//! It knows nothing of OpenID Connect; the Graph client stands on it too.

mod connect;

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, DATE, ORIGIN, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use url::Url;

use self::connect::Connector;
pub(super) use self::connect::is_protected;
use super::error::{BadAnswer, EntraError, Source, UnreachableCause};
use crate::facts::UnixTime;

/// A client with its own connection pool; clones share it.
#[derive(Clone)]
pub(crate) struct HttpClient {
    client: Client<Connector, Full<Bytes>>,
    timeout: Duration,
}

/// A complete answer.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Status; redirects arrive as they are.
    pub(crate) status: StatusCode,
    /// Headers.
    pub(crate) headers: HeaderMap,
    /// The whole body, within the cap of the call.
    pub(crate) body: Bytes,
}

impl HttpClient {
    /// A client that trusts the machine's roots and those in `extra_ca`, and ends every call after `timeout`.
    pub(crate) fn new(extra_ca: Option<&Path>, timeout: Duration) -> Result<Self, EntraError> {
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            // Shorter than what load balancers keep idle, so that a call seldom meets a dying connection.
            .pool_idle_timeout(POOL_IDLE)
            .pool_max_idle_per_host(POOL_SIZE)
            .build(connect::connector(extra_ca, timeout)?);
        Ok(Self { client, timeout })
    }

    /// Asks for a JSON document. The caller looks at the status.
    pub(crate) async fn document(&self, url: &Url) -> Result<Answer, EntraError> {
        let answer = self.call(asking(url)?).await?;
        answer.check_reached()?;
        answer.check_json()?;
        Ok(answer)
    }

    /// Whether anybody answers at `url` without failing. "Not so fast" (429) is an answer.
    pub(crate) async fn knock(&self, url: &Url) -> Result<(), EntraError> {
        let answer = self.call(asking(url)?).await?;
        if answer.status.is_server_error() {
            return answer.check_reached();
        }
        Ok(())
    }

    /// Sends `request` once and reads the whole answer before the deadline.
    ///
    /// The pool below may repeat a request only when its connection died before a byte of it was written.
    pub(crate) async fn call(&self, request: Request<Vec<u8>>) -> Result<Answer, EntraError> {
        self.call_for_at_most(MAX_BODY, request).await
    }

    /// The same for an answer of at most `cap` bytes.
    pub(crate) async fn call_for_at_most(&self, cap: usize, request: Request<Vec<u8>>) -> Result<Answer, EntraError> {
        if !is_protected_uri(request.uri()) {
            return Err(EntraError::BadAnswer(BadAnswer::DiscoveryEndpoint));
        }
        let mut request = request.map(|body| Full::new(Bytes::from(body)));
        // Entra refuses a secret beside an Origin header, and a browser's must never travel on.
        request.headers_mut().remove(ORIGIN);
        request.headers_mut().insert(USER_AGENT, HeaderValue::from_static(AGENT));
        match tokio::time::timeout(self.timeout, self.exchange(cap, request)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(EntraError::unreachable(UnreachableCause::Timeout)),
        }
    }

    async fn exchange(&self, cap: usize, request: Request<Full<Bytes>>) -> Result<Answer, EntraError> {
        let response = self.client.request(request).await.map_err(|error| {
            let cause = if !error.is_connect() {
                UnreachableCause::Broken
            } else if is_tls(&error) {
                UnreachableCause::Tls
            } else {
                UnreachableCause::Connect
            };
            EntraError::Unreachable { cause, retry_after: None, source: Some(Source::new(error)) }
        })?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, cap).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() {
                return EntraError::BadAnswer(BadAnswer::TooLarge);
            }
            EntraError::unreachable(UnreachableCause::Broken)
        })?;
        Ok(Answer { status: head.status, headers: head.headers, body: body.to_bytes() })
    }
}

impl Answer {
    /// Whether the provider was in a state to answer at all: not overloaded, not failing, not sending us away.
    pub(crate) fn check_reached(&self) -> Result<(), EntraError> {
        let cause = match self.status {
            StatusCode::TOO_MANY_REQUESTS => UnreachableCause::Throttled,
            status if status.is_server_error() => UnreachableCause::ServerError,
            status if status.is_redirection() => return Err(EntraError::BadAnswer(BadAnswer::Redirect)),
            _ => return Ok(()),
        };
        Err(EntraError::Unreachable { cause, retry_after: self.retry_after(), source: None })
    }

    /// Whether the body is plain JSON.
    pub(crate) fn check_json(&self) -> Result<(), EntraError> {
        if self.header(CONTENT_ENCODING).is_some_and(|encoding| !encoding.eq_ignore_ascii_case("identity")) {
            return Err(EntraError::BadAnswer(BadAnswer::Encoding));
        }
        let kind = self.header(CONTENT_TYPE).and_then(|value| value.split(';').next()).unwrap_or("").trim();
        let is_json = ["application/json", "application/jwk-set+json"].iter().any(|k| kind.eq_ignore_ascii_case(k));
        if is_json { Ok(()) } else { Err(EntraError::BadAnswer(BadAnswer::ContentType)) }
    }

    /// The provider's clock, from `Date`.
    pub(crate) fn date(&self) -> Option<UnixTime> {
        http_date(self.header(DATE)?)
    }

    /// `Retry-After`: seconds, or a date compared with the provider's own `Date` (RFC 9110 section 10.2.3).
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        let text = self.header(RETRY_AFTER)?.trim();
        let wait = match text.parse::<u64>() {
            Ok(seconds) => Duration::from_secs(seconds),
            Err(_) => http_date(text)?.since(self.date()?),
        };
        Some(wait.min(MAX_RETRY_AFTER))
    }

    fn header(&self, name: HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

fn asking(url: &Url) -> Result<Request<Vec<u8>>, EntraError> {
    let mut request = Request::new(Vec::new());
    *request.method_mut() = Method::GET;
    *request.uri_mut() = url.as_str().parse().map_err(|_| EntraError::BadAnswer(BadAnswer::Malformed))?;
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
    Ok(request)
}

fn is_protected_uri(uri: &http::Uri) -> bool {
    Url::parse(&uri.to_string()).is_ok_and(|url| is_protected(&url))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`; RFC 9110 section 5.6.7 takes its form from RFC 5322.
fn http_date(text: &str) -> Option<UnixTime> {
    let date = chrono::DateTime::parse_from_rfc2822(text).ok()?;
    u64::try_from(date.timestamp()).ok().map(UnixTime)
}

fn is_tls(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<rustls::Error>() {
            return true;
        }
        // `io::Error` hides what it wraps from `source()`.
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if inner.is_some_and(|inner| is_tls(inner)) {
            return true;
        }
        next = error.source();
    }
    false
}

/// Discovery, keys and token answers are a few dozen KiB at most.
const MAX_BODY: usize = 1024 * 1024;
const POOL_IDLE: Duration = Duration::from_secs(20);
const POOL_SIZE: usize = 8;
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);
const AGENT: &str = concat!("portcullis/", env!("CARGO_PKG_VERSION"));

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&'static str, &'static str)]) -> Answer {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        Answer { status: StatusCode::from_u16(status).unwrap(), headers, body: Bytes::new() }
    }

    #[test]
    fn retry_after_is_read_as_seconds_and_as_date_and_is_bounded() {
        let wait = |value, date| answer(429, &[("retry-after", value), ("date", date)]).retry_after();
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(wait("10", date), Some(Duration::from_secs(10)));
        assert_eq!(wait("Sun, 06 Nov 1994 08:50:07 GMT", date), Some(Duration::from_secs(30)));
        assert_eq!(wait("999999999", date), Some(MAX_RETRY_AFTER));
        assert_eq!(wait("soon", date), None);
    }

    #[test]
    fn only_json_passes_for_json() {
        for good in ["application/json", "application/json; charset=utf-8", "Application/JWK-Set+JSON"] {
            assert!(answer(200, &[("content-type", good)]).check_json().is_ok(), "{good}");
        }
        for bad in ["text/html", "text/html; application/json", "application/jsonx", ""] {
            assert!(answer(200, &[("content-type", bad)]).check_json().is_err(), "{bad}");
        }
        let packed = answer(200, &[("content-type", "application/json"), ("content-encoding", "gzip")]);
        assert_eq!(packed.check_json().unwrap_err().fault().word(), "answer_encoding");
    }

    #[test]
    fn the_providers_clock_is_read_from_the_date_header() {
        let answer = answer(200, &[("date", "Sun, 06 Nov 1994 08:49:37 GMT")]);
        assert_eq!(answer.date(), Some(UnixTime(784_111_777)));
    }
}
