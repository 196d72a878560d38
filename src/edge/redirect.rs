//! The plain listener: sends browsers to https and serves nothing else.

use std::net::SocketAddr;
use std::sync::Arc;

use http::header::{CONNECTION, HOST, LOCATION};
use http::uri::Authority;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use tokio::io::BufReader;
use tokio::net::TcpStream;

use super::Handler;
use super::body::Body;
use super::connection::Protocols;
use super::watch::Seat;
use crate::facts::{ClientConn, HttpVersion};
use crate::telemetry::WorkerMetrics;

/// The redirecting listener of one worker.
pub(super) struct Redirect {
    responder: Arc<Responder>,
    protocols: Arc<Protocols>,
    metrics: Arc<WorkerMetrics>,
}

impl Redirect {
    pub(super) fn new(port: Option<u16>, protocols: Arc<Protocols>, metrics: Arc<WorkerMetrics>) -> Self {
        Self { responder: Arc::new(Responder { port }), protocols, metrics }
    }

    pub(super) async fn serve(self: Arc<Self>, stream: TcpStream, mut seat: Seat, peer: SocketAddr, local: SocketAddr) {
        if !seat.count_for(peer.ip()) {
            return;
        }
        // HTTP/1 only: a preface of HTTP/2 is one more bad request line here.
        let client = ClientConn { peer, socket_peer: peer, local, sni: None, http: HttpVersion::Http1 };
        let io = BufReader::with_capacity(BUFFER, stream);
        let (responder, metrics) = (Arc::clone(&self.responder), Arc::clone(&self.metrics));
        self.protocols.serve(io, seat, client, responder, metrics).await;
    }
}

struct Responder {
    port: Option<u16>,
}

impl Handler for Responder {
    type Connection = ();

    fn open(&self, _client: ClientConn) {}

    async fn serve(&self, _connection: &Arc<()>, request: Request<Incoming>) -> Response<Body> {
        // A body that came in clear has already been seen by others; sending it again over https hides that.
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return closing(StatusCode::METHOD_NOT_ALLOWED);
        }
        let Some(location) = self.location(&request) else { return closing(StatusCode::BAD_REQUEST) };
        let mut response = Response::new(Body::Empty);
        *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
        response.headers_mut().insert(LOCATION, location);
        response
    }
}

impl Responder {
    fn location(&self, request: &Request<Incoming>) -> Option<HeaderValue> {
        let host = host(request.headers().get(HOST)?)?;
        let target = request.uri().path_and_query()?.as_str();
        let port = self.port.filter(|&port| port != HTTPS_PORT).map(|port| format!(":{port}")).unwrap_or_default();
        HeaderValue::try_from(format!("https://{host}{port}{target}")).ok()
    }
}

/// The host of a `Host` header without its port, if it is a plain name or address and nothing cleverer.
fn host(value: &HeaderValue) -> Option<String> {
    let text = value.to_str().ok()?;
    let authority: Authority = text.parse().ok()?;
    let host = authority.host();
    let port_is_good = text.len() == host.len() || authority.port_u16().is_some();
    let name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    let plain = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(v6) => v6.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(name),
    };
    (plain && port_is_good && !text.contains('@')).then(|| host.to_ascii_lowercase())
}

fn closing(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = status;
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

const HTTPS_PORT: u16 = 443;

/// Redirected requests are short; longer heads take several reads.
const BUFFER: usize = 4096;
