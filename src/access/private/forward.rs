//! Permit and request in, the app's response out.

use std::sync::Arc;

use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST};
use http::{HeaderValue, Request, Response, StatusCode, Uri, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use ipnet::IpNet;

use super::body::{Outgoing, Proxied};
use super::exchange::{Way, exchange};
use super::headers::{Added, ClientHeaders, HeaderRules, Passing, add, clean, strip};
use super::routes::App;
use super::upstream::{Lease, Upstreams};
use super::websocket;
use crate::access::AccessError;
use crate::access::gate::Permit;
use crate::access::stream::Opening;
use crate::edge::Body;

/// What forwarding needs to know beyond the request; all borrowed, nothing made per request.
#[derive(Clone, Copy)]
pub struct ForwardContext<'a> {
    /// This worker's connections.
    pub upstreams: &'a Arc<Upstreams>,
    /// What the client connection's requests have in common.
    pub client: &'a ClientHeaders,
    /// Load balancers whose forwarding headers are believed.
    pub trusted: &'a [IpNet],
    /// The protected names.
    pub rules: &'a HeaderRules,
    /// The signed assertion for this person and app.
    pub assertion: Option<&'a HeaderValue>,
    /// Where bytes, durations and cuts are noted.
    pub opening: Option<Opening<'a>>,
}

/// Forwards a permitted request. Host and path have been checked by the gate.
///
/// # Errors
/// When there is no response to relay. Once there is one, what goes wrong later breaks the body off.
pub async fn forward(
    permit: Permit,
    app: &Arc<App>,
    request: Request<Incoming>,
    ctx: &ForwardContext<'_>,
) -> Result<Response<Body>, AccessError> {
    if websocket::is_asked(&request, app) {
        return Box::pin(websocket::forward(permit, app, request, ctx)).await;
    }
    let Prepared { mut request, public_host, te_trailers } = prepare(&permit, app, request, ctx)?;
    let length = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if let (Some(cap), Some(length)) = (app.config.max_body, length)
        && length > cap
    {
        return Err(AccessError::BodyTooLarge);
    }
    request.extensions_mut().clear();
    // The edge watches the body of an HTTP/1.1 connection; of many HTTP/2 streams, each has to watch its own.
    let idle = (request.version() == Version::HTTP_2).then_some(app.config.upstream.upload_idle);
    let request = request.map(|body| Outgoing::new(body, app.config.max_body, idle, ctx.opening.as_ref()));
    let way = Way { upstreams: ctx.upstreams, app, cut: permit.cut(), te_trailers, opening: ctx.opening };
    let (response, lease) = exchange(&way, request).await?;
    relay(permit, app, response, lease, &public_host, ctx)
}

/// The upstream's response as the client gets it. The body keeps the permit and the connection.
pub(super) fn relay(
    permit: Permit,
    app: &App,
    response: Response<Incoming>,
    mut lease: Lease,
    public_host: &HeaderValue,
    ctx: &ForwardContext<'_>,
) -> Result<Response<Body>, AccessError> {
    let (mut head, body) = response.into_parts();
    let ambiguous = clean(head.status, &mut head.headers, ctx.rules, app, public_host).is_err();
    if ambiguous || head.status == StatusCode::SWITCHING_PROTOCOLS {
        // Closing is dropping: the body was not read, so the connection does not count as reusable.
        lease.failed();
        lease.discard();
        return Err(AccessError::UpstreamBroken);
    }
    head.version = Version::HTTP_11;
    head.extensions.clear();
    let body = if body.is_end_stream() {
        Body::Empty
    } else {
        Body::Stream(Box::pin(Proxied::new(body, lease, permit, app.config.upstream.body_idle, ctx.opening.as_ref())))
    };
    Ok(Response::from_parts(head, body))
}

/// A request ready for the upstream.
pub(super) struct Prepared {
    /// Stripped, with our headers added.
    pub(super) request: Request<Incoming>,
    /// The host the client asked for, in its one spelling.
    pub(super) public_host: HeaderValue,
    /// Whether `TE: trailers` goes on to an HTTP/2 upstream.
    te_trailers: bool,
}

/// Makes the request what the upstream gets: strip first, add second.
pub(super) fn prepare(
    permit: &Permit,
    app: &App,
    mut request: Request<Incoming>,
    ctx: &ForwardContext<'_>,
) -> Result<Prepared, AccessError> {
    let public_host = public_host(&request, app)?;
    let forwarded_for = ctx.client.forwarded_for(request.headers(), ctx.trusted)?;
    let found = strip(request.headers_mut(), ctx.rules, Passing { authorization: app.config.pass_authorization })?;
    let path =
        request.uri().path_and_query().and_then(|path| app.upstream_path(path)).ok_or(AccessError::NotRelayed)?;
    // A request whose target is sent as it came keeps its `Uri`; it was in origin form and has no other parts.
    if request.uri().authority().is_some() || request.uri().path_and_query() != Some(&path) {
        *request.uri_mut() = Uri::from(path);
    }
    let grpc = request.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
    let identity = permit.person().map_or(&[][..], |person| &person.headers);
    add(
        request.headers_mut(),
        ctx.rules,
        Added {
            upstream_host: upstream_host(app, &public_host),
            public_host: public_host.clone(),
            forwarded_for,
            identity,
            assertion: ctx.assertion,
            configured: &app.config.request_headers,
        },
    );
    Ok(Prepared { request, public_host, te_trailers: found.te_trailers && grpc })
}

/// The host the client asked for, which is the app's, in its one spelling: lower case, no trailing dot, no default port.
/// Any other port is the public one and stays, or the app's own links would lead nowhere.
pub(super) fn public_host<B>(request: &Request<B>, app: &App) -> Result<HeaderValue, AccessError> {
    let text = |text: &str| HeaderValue::from_str(text).map_err(|_| AccessError::NotRelayed);
    let header = request.headers().get(HOST);
    let asked = match (request.uri().authority(), header) {
        (Some(authority), _) => authority.as_str(),
        (None, Some(host)) => host.to_str().map_err(|_| AccessError::NotRelayed)?,
        (None, None) => return Err(AccessError::NotRelayed),
    };
    let name = app.config.host.as_str();
    match (header, asked.split_once(':').filter(|(_, port)| *port != "443")) {
        // The usual case shares the client's own bytes.
        (Some(host), None) if host.as_bytes() == name.as_bytes() => Ok(host.clone()),
        (_, None) => text(name),
        (_, Some((_, port))) => text(&format!("{name}:{port}")),
    }
}

fn upstream_host(app: &App, public: &HeaderValue) -> HeaderValue {
    if app.config.preserve_host {
        return public.clone();
    }
    app.upstream.endpoints().first().map_or_else(|| public.clone(), |endpoint| endpoint.host_header.clone())
}

#[cfg(test)]
mod tests;
