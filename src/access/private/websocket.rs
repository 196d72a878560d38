//! WebSocket over HTTP/1.1 (RFC 6455): both handshakes are checked before a byte is tunnelled.
//!
//! The upstream gets a connection of its own that is never pooled, so bytes a client sends too early, or an upstream
//! that did not mean its 101, can confuse nobody else's exchange (HP-12, HP-13). What the client sends before the 101
//! stays in hyper's buffer; without a 101 it is parsed as the next request, with full policy.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    CONNECTION, CONTENT_LENGTH, ORIGIN, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION,
    TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::time::timeout;

use super::body::Outgoing;
use super::exchange::{Way, exchange_alone};
use super::forward::{ForwardContext, Prepared, prepare, relay};
use super::headers::{clean, has_token};
use super::routes::App;
use super::upstream::Lease;
use crate::access::AccessError;
use crate::access::gate::Permit;
use crate::access::stream::StreamEntry;
use crate::edge::tunnel::{TunnelEnd, TunnelEnds};
use crate::edge::{Body, tunnel};

/// Whether the request wants to become a WebSocket and the app takes those. Any other `Upgrade` is stripped later.
pub(super) fn is_asked<B>(request: &Request<B>, app: &App) -> bool {
    app.config.websocket
        && request.version() == Version::HTTP_11
        && request.headers().get_all(UPGRADE).iter().any(|value| has_token(value, "websocket"))
}

/// Relays the handshake, and on success everything after it.
pub(super) async fn forward(
    permit: Permit,
    app: &Arc<App>,
    mut request: Request<Incoming>,
    ctx: &ForwardContext<'_>,
) -> Result<Response<Body>, AccessError> {
    let accept = check(&request, app)?;
    let client = hyper::upgrade::on(&mut request);
    let Prepared { mut request, public_host, .. } = prepare(&permit, app, request, ctx)?;
    request.extensions_mut().clear();
    request.headers_mut().insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    request.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
    let way = Way { upstreams: ctx.upstreams, app, cut: permit.cut(), te_trailers: false, opening: ctx.opening };
    let (response, mut lease) = exchange_alone(&way, request.map(|_| Outgoing::empty())).await?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return relay(permit, app, response, lease, &public_host, ctx);
    }
    if !is_accepted(response.headers(), &accept) {
        lease.failed();
        return Err(AccessError::UpstreamBroken);
    }
    let (mut head, _) = response.into_parts();
    let server = head.extensions.remove::<OnUpgrade>().ok_or(AccessError::UpstreamBroken)?;
    if clean(head.status, &mut head.headers, ctx.rules, app, &public_host).is_err() {
        return Err(AccessError::UpstreamBroken);
    }
    head.headers.remove(CONTENT_LENGTH);
    head.headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    head.headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    head.version = Version::HTTP_11;
    head.extensions.clear();
    let entry = ctx.opening.map(|opening| opening.tunnel());
    tokio::spawn(run(permit, lease, entry, client, server, ctx.upstreams.tunnel_ends()));
    Ok(Response::from_parts(head, Body::Empty))
}

/// The tunnel's whole life. The session counts as in use while it runs.
async fn run(
    permit: Permit,
    lease: Lease,
    entry: Option<StreamEntry>,
    client: OnUpgrade,
    server: OnUpgrade,
    ends: TunnelEnds,
) {
    let _held = permit.person().map(|person| person.session.hold());
    let both = async { Ok::<_, hyper::Error>((client.await?, server.await?)) };
    let (client, server) = match timeout(UPGRADE_WAIT, both).await {
        Ok(Ok(both)) => both,
        // The client left before it read the 101; dropping both ends closes them.
        Ok(Err(error)) => return tracing::debug!(%error, "websocket not established"),
        Err(_) => return,
    };
    let outcome = tunnel::run(TokioIo::new(client), TokioIo::new(server), permit.cut().clone(), &ends, true).await;
    drop(lease);
    if let Some(entry) = entry {
        entry.received(outcome.to_server);
        entry.sent(outcome.to_client);
        if let TunnelEnd::Cut(reason) = outcome.ended_by {
            entry.cut(&permit, reason);
        }
    }
    tracing::debug!(?outcome, "websocket ended");
}

/// Checks the client's opening handshake (RFC 6455 section 4.2.1); returns the answer the upstream must give.
fn check<B>(request: &Request<B>, app: &App) -> Result<String, AccessError> {
    let headers = request.headers();
    let asks = single(headers, &UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
        && headers.get_all(CONNECTION).iter().any(|value| has_token(value, "upgrade"));
    let bodiless = !headers.contains_key(TRANSFER_ENCODING)
        && headers.get(CONTENT_LENGTH).is_none_or(|length| length.as_bytes() == b"0");
    if !asks || !bodiless || request.method() != Method::GET {
        return Err(AccessError::NotRelayed);
    }
    if single(headers, &SEC_WEBSOCKET_VERSION).is_none_or(|version| version.as_bytes() != b"13") {
        return Err(AccessError::WebSocketVersion);
    }
    let key = single(headers, &SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes).ok_or(AccessError::NotRelayed)?;
    if key.len() != 24 || STANDARD.decode(key).map_or(0, |nonce| nonce.len()) != 16 {
        return Err(AccessError::NotRelayed);
    }
    if !is_own_origin(headers, &super::forward::public_host(request, app)?, app) {
        return Err(AccessError::WebSocketOrigin);
    }
    Ok(accept(key))
}

/// Browsers always send `Origin` with a WebSocket and attach the cookie whoever opens it, so another site's page is
/// refused here. A request without `Origin` does not come from a browser.
fn is_own_origin(headers: &HeaderMap, host: &HeaderValue, app: &App) -> bool {
    if !headers.contains_key(ORIGIN) {
        return true;
    }
    let Some(origin) = single(headers, &ORIGIN).and_then(|origin| origin.to_str().ok()) else { return false };
    let bare = |authority: &str| authority.strip_suffix(":443").unwrap_or(authority).to_ascii_lowercase();
    let own = host.to_str().ok().zip(origin.strip_prefix("https://"));
    own.is_some_and(|(host, origin)| bare(host) == bare(origin))
        || app.config.cors_origins.iter().any(|allowed| allowed == origin)
}

/// Whether a 101 is the answer to our own question (RFC 6455 section 4.1).
fn is_accepted(headers: &HeaderMap, accept: &str) -> bool {
    single(headers, &UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
        && headers.get_all(CONNECTION).iter().any(|value| has_token(value, "upgrade"))
        && single(headers, &SEC_WEBSOCKET_ACCEPT).is_some_and(|value| value.as_bytes() == accept.as_bytes())
}

/// `Sec-WebSocket-Accept` for a key. SHA-1 is what the RFC says; nothing rests on its strength.
fn accept(key: &[u8]) -> String {
    let text = [key, b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"].concat();
    STANDARD.encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, &text))
}

fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h HeaderValue> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() { None } else { first }
}

/// How long the client may take to read the 101.
const UPGRADE_WAIT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests;
