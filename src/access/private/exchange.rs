//! One request out, one response head in; a request that was not sent may be sent again, no other.

use std::sync::Arc;

use http::header::{HOST, TE, TRANSFER_ENCODING};
use http::uri::{Authority, Parts, Scheme as UriScheme};
use http::{HeaderValue, Request, Response, Uri, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::time::sleep;

use super::body::Outgoing;
use super::config::Scheme;
use super::headers::frame_http1;
use super::routes::App;
use super::upstream::{Fired, Lease, Phase, Sent, Tried, Upstreams, Watch};
use crate::access::AccessError;
use crate::access::stream::Opening;
use crate::cut::Cut;
use crate::facts::Tick;

/// What a request needs besides itself.
pub(super) struct Way<'a> {
    pub(super) upstreams: &'a Arc<Upstreams>,
    pub(super) app: &'a Arc<App>,
    pub(super) cut: &'a Cut,
    /// `TE: trailers` goes to HTTP/2 upstreams.
    pub(super) te_trailers: bool,
    /// The books of the request.
    pub(super) opening: Option<Opening<'a>>,
}

impl Way<'_> {
    /// Whether the yes still stands. A request may have waited for its connection.
    fn stands(&self) -> Result<(), AccessError> {
        self.cut.reason().map_or(Ok(()), |reason| Err(AccessError::Cut(reason)))
    }

    fn answered_after(&self, began: Option<Tick>) {
        if let (Some(opening), Some(began)) = (self.opening, began) {
            opening.app().upstream_duration.observe(opening.now().since(began));
        }
    }
}

/// Sends the request and awaits the response head.
pub(super) async fn exchange(
    way: &Way<'_>,
    mut request: Request<Outgoing>,
) -> Result<(Response<Incoming>, Lease), AccessError> {
    let began = way.opening.map(|opening| opening.now());
    let mut tried = Tried::default();
    let mut attempts = ATTEMPTS;
    loop {
        attempts -= 1;
        let mut lease = match way.upstreams.lease(way.app, &mut tried).await {
            Ok(lease) => lease,
            // Nothing was sent; another endpoint may be reachable.
            Err(AccessError::UpstreamUnreachable) if attempts > 0 && way.app.upstream.endpoints().len() > 1 => continue,
            Err(error) => return Err(error),
        };
        way.stands()?;
        let Some(watch) = lease.watch().cloned() else { return Err(AccessError::UpstreamUnreachable) };
        shape(way, &lease, &mut request)?;
        request.body_mut().on(&watch, lease.is_http2() && way.te_trailers);
        watch.step(Phase::Head);
        watch.under(way.cut);
        let sent = if lease.is_http2() {
            Box::pin(send_http2(&mut lease, request, way)).await
        } else {
            lease.send(request).await
        };
        match sent {
            Sent::Answered(response) => {
                lease.answered();
                way.answered_after(began);
                return Ok((response, lease));
            }
            Sent::Unsent(back) if attempts > 0 && !way.cut.is_raised() => {
                if let Some(opening) = way.opening {
                    opening.app().upstream_retries.up();
                }
                request = back;
            }
            Sent::Unsent(_) => return Err(way.cut.reason().map_or(AccessError::UpstreamUnreachable, AccessError::Cut)),
            Sent::Failed(error) => {
                tracing::debug!(app = %way.app.name, %error, "exchange failed");
                return Err(judge(&watch, &mut lease));
            }
            Sent::Ended(error) => return Err(error),
        }
    }
}

/// The same on a connection of its own, which ends with the lease. Nothing is sent twice.
pub(super) async fn exchange_alone(
    way: &Way<'_>,
    mut request: Request<Outgoing>,
) -> Result<(Response<Incoming>, Lease), AccessError> {
    let began = way.opening.map(|opening| opening.now());
    let mut lease = way.upstreams.lease_alone(way.app).await?;
    way.stands()?;
    let Some(watch) = lease.watch().cloned() else { return Err(AccessError::UpstreamUnreachable) };
    shape(way, &lease, &mut request)?;
    watch.under(way.cut);
    watch.step(Phase::Head);
    match lease.send(request).await {
        Sent::Answered(response) => {
            lease.answered();
            way.answered_after(began);
            Ok((response, lease))
        }
        Sent::Ended(error) => Err(error),
        Sent::Unsent(_) | Sent::Failed(_) => Err(judge(&watch, &mut lease)),
    }
}

/// Whose fault a failed exchange is.
fn judge(watch: &Watch, lease: &mut Lease) -> AccessError {
    match watch.fired() {
        Some(Fired::TooLarge) => AccessError::BodyTooLarge,
        Some(Fired::ClientBroke) => AccessError::BodyBroken,
        Some(Fired::ClientStalled) => AccessError::BodyStalled,
        Some(Fired::Cut) => AccessError::Cut(watch.cut_reason()),
        Some(Fired::Late) => {
            lease.failed();
            AccessError::UpstreamTimeout
        }
        Some(Fired::Idle) | None => {
            lease.failed();
            AccessError::UpstreamBroken
        }
    }
}

/// HTTP/2 streams share a connection, so deadline and cut are awaited here instead of by the sweep.
async fn send_http2(lease: &mut Lease, request: Request<Outgoing>, way: &Way<'_>) -> Sent {
    let limit = way.app.upstream.config().response_timeout;
    let Some(watch) = lease.watch().cloned() else { return Sent::Ended(AccessError::UpstreamUnreachable) };
    let mut raised = way.cut.raised();
    let mut sent = std::pin::pin!(lease.send(request));
    let mut seen = watch.steps();
    loop {
        tokio::select! {
            biased;
            sent = &mut sent => return sent,
            reason = &mut raised => return Sent::Ended(AccessError::Cut(reason)),
            () = sleep(limit) => {
                let now = watch.steps();
                if now == seen && !watch.is_in(Phase::Uploading) {
                    return Sent::Ended(AccessError::UpstreamTimeout);
                }
                seen = now;
            }
        }
    }
}

/// Puts the request into the form of the connection's protocol. Works both ways, because a request that comes back
/// unsent may go to a connection of the other kind.
fn shape(way: &Way<'_>, lease: &Lease, request: &mut Request<Outgoing>) -> Result<(), AccessError> {
    let headers = request.headers_mut();
    if lease.is_http2() {
        headers.remove(TRANSFER_ENCODING);
        if way.te_trailers {
            headers.insert(TE, HeaderValue::from_static("trailers"));
        }
        if let Some(host) = headers.remove(HOST) {
            let authority = Authority::try_from(host.as_bytes()).map_err(|_| AccessError::NotRelayed)?;
            let mut parts = Parts::default();
            parts.scheme =
                Some(if way.app.config.upstream.scheme == Scheme::Https { UriScheme::HTTPS } else { UriScheme::HTTP });
            parts.authority = Some(authority);
            parts.path_and_query = request.uri().path_and_query().cloned();
            *request.uri_mut() = Uri::from_parts(parts).map_err(|_| AccessError::NotRelayed)?;
        }
        *request.version_mut() = Version::HTTP_2;
        return Ok(());
    }
    headers.remove(TE);
    if let Some(authority) = request.uri().authority() {
        let host = HeaderValue::from_str(authority.as_str()).map_err(|_| AccessError::NotRelayed)?;
        let path = request.uri().path_and_query().cloned();
        request.headers_mut().insert(HOST, host);
        *request.uri_mut() = path.map(Uri::from).ok_or(AccessError::NotRelayed)?;
    }
    *request.version_mut() = Version::HTTP_11;
    let (ended, exact) = (request.body().is_end_stream(), request.body().size_hint().exact());
    frame_http1(request.headers_mut(), ended, exact);
    Ok(())
}

/// How often a request may be put on a connection or a connection be dialled for it: the first time and two more.
const ATTEMPTS: u32 = 3;
