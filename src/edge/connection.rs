//! One client connection after its handshake: the HTTP library around the guard, the handler inside.

use std::convert::Infallible;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::Handler;
use super::body::{Body, BodyError};
use super::config::Limits;
use super::guard::{ClientIo, Guard, HeadRules, Refusal, RefusalCounts, Targets};
use super::watch::{Head, InFlight, Order, Seat, Switch, Watch, Watched};
use crate::facts::{ClientConn, HttpVersion};
use crate::telemetry::WorkerMetrics;

/// The HTTP library set up for one worker, once.
pub(super) struct Protocols {
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
    rules: HeadRules,
    control_frames: u32,
}

impl Protocols {
    pub(super) fn new(limits: &Limits) -> Self {
        let header_bytes = usize::try_from(limits.header_bytes).unwrap_or(usize::MAX).max(SMALLEST_HEAD);
        let mut http1 = http1::Builder::new();
        // Deadlines are the sweep's (`watch`); the library's own would set a timer per request.
        http1.header_read_timeout(None).keep_alive(true).half_close(false);
        http1.max_buf_size(header_bytes.saturating_mul(2).max(HTTP1_BUFFER));
        if limits.header_count > LIBRARY_HEADERS {
            // Only above the library's own number: asking for any makes it allocate per request. Below, the guard counts.
            http1.max_headers(limits.header_count);
        }
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            .max_concurrent_streams(limits.streams)
            .max_header_list_size(limits.header_bytes)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buf_size(SEND_BUFFER)
            .max_frame_size(FRAME)
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_ANSWER);
        let rules = HeadRules { bytes: header_bytes, lines: limits.header_count, targets: Targets::Origin };
        Self { http1, http2, rules, control_frames: limits.control_frames }
    }

    /// Serves a connection to its end. The handler learns of it here, once.
    pub(super) async fn serve<IO, H>(
        &self,
        io: IO,
        seat: Seat,
        client: ClientConn,
        handler: Arc<H>,
        metrics: Arc<WorkerMetrics>,
    ) where
        IO: ClientIo,
        H: Handler,
    {
        let watch = Arc::clone(seat.watch());
        let version = client.http;
        let connection = Arc::new(handler.open(client));
        let call = Call { handler, connection, watch: Arc::clone(&watch), metrics, refusals: seat.refusals() };
        let call = Arc::new(call);
        match version {
            HttpVersion::Http1 => {
                let service = service_fn(move |request| Arc::clone(&call).http1(request));
                let connection = self.http1.serve_connection(Guard::http1(io, seat, self.rules), service);
                let mut connection = pin!(connection.with_upgrades());
                drive(&watch, connection.as_mut(), http1::UpgradeableConnection::graceful_shutdown).await;
                if watch.switch() != Switch::Accepted {
                    watch.set_switch(Switch::Closed);
                }
            }
            HttpVersion::Http2 => {
                let service = service_fn(move |request| Arc::clone(&call).http2(request));
                let guard = Guard::http2(io, seat, self.control_frames);
                let mut connection = pin!(self.http2.serve_connection(guard, service));
                drive(&watch, connection.as_mut(), http2::Connection::graceful_shutdown).await;
            }
        }
    }
}

/// Polls a connection to its end, passing on the order to finish. Errors of a single connection are the client's
/// doing and already counted where they matter.
async fn drive<C>(watch: &Arc<Watch>, mut connection: Pin<&mut C>, finish: impl Fn(Pin<&mut C>))
where
    C: Future<Output = hyper::Result<()>>,
{
    let mut told = false;
    let steps = std::future::poll_fn(|cx| {
        if !told && watch.order() == Order::Drain {
            told = true;
            finish(connection.as_mut());
        }
        connection.as_mut().poll(cx)
    });
    if let Some(Err(error)) = Watched::new(Arc::clone(watch), steps).await {
        tracing::trace!(%error, "client connection ended with an error");
    }
}

/// What requests need, shared by all of one connection.
struct Call<H: Handler> {
    handler: Arc<H>,
    connection: Arc<H::Connection>,
    watch: Arc<Watch>,
    metrics: Arc<WorkerMetrics>,
    refusals: Arc<RefusalCounts>,
}

impl<H: Handler> Call<H> {
    /// Answers an HTTP/1 request. The part before the future runs when the head was read, in order.
    fn http1(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<Served>, Infallible>> + Send + use<H> {
        let refusal = match self.watch.take_head() {
            Head::Earlier => None,
            Head::Last => self.watch.refusal(),
            Head::Unknown => {
                self.refusals.up(Refusal::Disagreement);
                Some(Refusal::Disagreement)
            }
        };
        let running = self.watch.begin_request();
        // Boxed: the library would keep room for the whole future in every idle connection, and move it about.
        Box::pin(async move {
            if let Some(refusal) = refusal {
                return Ok(self.finish(answer(refusal), running));
            }
            let connects = *request.method() == Method::CONNECT;
            let mut response = self.handler.serve(&self.connection, request).await;
            if self.watch.is_last() {
                if let Some(refusal) = self.watch.refusal() {
                    // The body turned out bad while the handler was at work.
                    response = answer(refusal);
                }
                self.settle_switch(connects, &mut response);
            }
            Ok(self.finish(response, running))
        })
    }

    /// Tells the guard what the bytes behind the request are.
    fn settle_switch(&self, connects: bool, response: &mut Response<Body>) {
        let status = response.status();
        let accepts = status == StatusCode::SWITCHING_PROTOCOLS || (connects && status.is_success());
        if accepts && self.watch.early_bytes() {
            // They were sent before the other side had agreed, so they are not its protocol's.
            self.watch.refuse(Refusal::EarlyBytes);
            self.refusals.up(Refusal::EarlyBytes);
            *response = answer(Refusal::EarlyBytes);
            return;
        }
        self.watch.set_switch(if accepts { Switch::Accepted } else { Switch::Refused });
        if !accepts && self.watch.early_bytes() {
            self.watch.wake();
        }
    }

    fn http2(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<Served>, Infallible>> + Send + use<H> {
        let running = self.watch.begin_request();
        // Boxed: the library runs every stream as a task, and a task's future is copied when it begins and ends.
        Box::pin(async move {
            // Neither kind of CONNECT is offered here, and the library would open a tunnel on any 2xx.
            let response = if *request.method() == Method::CONNECT {
                self.refusals.up(Refusal::Connect);
                let mut response = answer(Refusal::Connect);
                response.headers_mut().remove(CONNECTION);
                response
            } else {
                let asks_head = *request.method() == Method::HEAD;
                let response = self.handler.serve(&self.connection, request).await;
                if asks_head { bodiless(response) } else { response }
            };
            Ok(self.finish(response, running))
        })
    }

    fn finish(&self, response: Response<Body>, running: InFlight) -> Response<Served> {
        let class = usize::from(response.status().as_u16() / 100);
        if let Some(count) = self.metrics.responses.get(class) {
            count.up();
        }
        response.map(|body| Served { body, _running: running })
    }
}

/// The answer to HEAD: what GET would get, without the body (RFC 9110 section 9.3.2). The library sees to it in HTTP/1
/// only; in HTTP/2 a client takes a body here for a protocol error.
fn bodiless(response: Response<Body>) -> Response<Body> {
    let (mut head, body) = response.into_parts();
    if let Body::Full(bytes) = body {
        head.headers.entry(CONTENT_LENGTH).or_insert_with(|| HeaderValue::from(bytes.len()));
    }
    Response::from_parts(head, Body::Empty)
}

/// The gateway's own answer to what the guard refused. It ends the connection.
fn answer(refusal: Refusal) -> Response<Body> {
    let mut response = Response::new(Body::full(Bytes::from_static(refusal.word().as_bytes())));
    *response.status_mut() = refusal.status();
    *response.version_mut() = Version::HTTP_11;
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

/// A response body on its way to the client. The request counts as running until it is dropped.
struct Served {
    body: Body,
    _running: InFlight,
}

impl http_body::Body for Served {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The library needs a buffer of at least 8 KiB.
const SMALLEST_HEAD: usize = 8192;

/// What the library may buffer of one HTTP/1 connection in each direction.
const HTTP1_BUFFER: usize = 64 * 1024;

/// Header lines the library takes without allocating for them.
const LIBRARY_HEADERS: usize = 100;

/// Request body bytes a client may send ahead, per stream and per connection (RFC 9113 section 6.9).
const STREAM_WINDOW: u32 = 512 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;

/// Response bytes kept per stream while the client's window is shut.
const SEND_BUFFER: usize = 128 * 1024;

/// RFC 9113 section 6.5.2: the smallest allowed, so that no frame is buffered beyond it.
const FRAME: u32 = 16 * 1024;

/// How a vanished HTTP/2 client is noticed while its requests run.
const PING_EVERY: Duration = Duration::from_secs(60);
const PING_ANSWER: Duration = Duration::from_secs(20);
