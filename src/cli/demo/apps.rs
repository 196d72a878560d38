//! Two sample apps for the demo: a wiki with a live page (WebSocket, server-sent events, a download) and a payroll form.
//! They know nothing of sign-in; they read the identity headers the gateway gives them.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, UPGRADE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body::{Frame, SizeHint};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

type AppBody = http_body_util::combinators::UnsyncBoxBody<Bytes, Infallible>;

/// Which of the two.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sample {
    /// Pages everybody on the staff may read.
    Wiki,
    /// A form that only payroll may open.
    Payroll,
}

/// Serves a sample app until its task is aborted.
pub(super) async fn serve(listener: TcpListener, sample: Sample) {
    while let Ok((stream, _)) = listener.accept().await {
        let service = service_fn(move |request| answer(sample, request));
        tokio::spawn(async move {
            // A client that goes away in the middle is no concern of a sample app.
            let _gone = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades()
                .await;
        });
    }
}

/// Binds a loopback port for a sample app.
pub(super) async fn bind() -> std::io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

async fn answer(sample: Sample, request: Request<Incoming>) -> Result<Response<AppBody>, Infallible> {
    let path = request.uri().path().to_owned();
    Ok(match (sample, request.method(), path.as_str()) {
        (Sample::Wiki, &Method::GET, "/") => wiki_page(request.headers()),
        (Sample::Wiki, &Method::GET, "/ws") => echo(request),
        (Sample::Wiki, &Method::GET, "/events") => stream("text/event-stream", Box::pin(Ticks::new())),
        (Sample::Wiki, &Method::GET, "/download") => stream("application/octet-stream", Box::pin(Slow::new())),
        (Sample::Payroll, &Method::GET, "/") => payroll_page(request.headers(), None),
        (Sample::Payroll, &Method::POST, "/") => {
            let headers = request.headers().clone();
            let form = Limited::new(request.into_body(), 64 * 1024).collect().await;
            let amount = form.ok().and_then(|form| field(&form.to_bytes(), "amount"));
            payroll_page(&headers, amount)
        }
        (_, _, "/whoami") => json(request.headers()),
        // Browsers ask for it on their own; without an answer each page would leave an error in the console.
        (_, _, "/favicon.ico") => text(StatusCode::NO_CONTENT, ""),
        _ => text(StatusCode::NOT_FOUND, "no such page"),
    })
}

fn field(form: &[u8], name: &str) -> Option<String> {
    url::form_urlencoded::parse(form).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("(nobody)")
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn wiki_page(headers: &HeaderMap) -> Response<AppBody> {
    let name = escape(header(headers, "x-auth-name"));
    let subject = escape(header(headers, "x-auth-subject"));
    html(&format!(
        "<h1>Wiki</h1><p>Hello <b id=who>{name}</b>.</p><p class=dim>{subject}</p>\
         <p>WebSocket: <b id=ws>connecting</b></p><p>Events: <b id=sse>0</b></p>\
         <p><a href=/download>Slow download</a></p>\
         <script>\
         const ws=new WebSocket('wss://'+location.host+'/ws');\
         const set=(id,t)=>document.getElementById(id).textContent=t;\
         ws.onopen=()=>ws.send('ping');ws.onmessage=e=>set('ws','echo '+e.data);\
         ws.onclose=e=>set('ws','closed '+e.code+' '+e.reason);\
         const es=new EventSource('/events');es.onmessage=e=>set('sse',e.data);\
         es.onerror=()=>set('sse','ended');\
         </script>"
    ))
}

fn payroll_page(headers: &HeaderMap, amount: Option<String>) -> Response<AppBody> {
    let name = escape(header(headers, "x-auth-name"));
    let done = amount.map_or_else(String::new, |amount| format!("<p id=done>Paid {}.</p>", escape(&amount)));
    html(&format!(
        "<h1>Payroll</h1><p>Hello <b id=who>{name}</b>.</p>{done}\
         <form method=post action=/><label>Amount <input name=amount value=100></label> <button>Pay</button></form>"
    ))
}

fn html(body: &str) -> Response<AppBody> {
    let page = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width,initial-scale=1'>\
         <title>Sample app</title><style>:root{{color-scheme:light dark}}body{{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:40rem;\
         padding:0 1rem}}.dim{{opacity:.7;font-size:.875rem;overflow-wrap:anywhere}}input,button{{font:inherit;padding:.4rem .7rem}}\
         </style><body>{body}"
    );
    with_type("text/html; charset=utf-8", StatusCode::OK, page)
}

fn json(headers: &HeaderMap) -> Response<AppBody> {
    let seen: serde_json::Map<String, serde_json::Value> = headers
        .iter()
        .filter(|(name, _)| name.as_str().starts_with("x-"))
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into()))
        .collect();
    with_type("application/json", StatusCode::OK, serde_json::Value::Object(seen).to_string())
}

fn text(status: StatusCode, body: &str) -> Response<AppBody> {
    with_type("text/plain; charset=utf-8", status, body.to_owned())
}

fn with_type(kind: &'static str, status: StatusCode, body: String) -> Response<AppBody> {
    let mut response = Response::new(Full::new(Bytes::from(body)).boxed_unsync());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn stream(
    kind: &'static str,
    body: Pin<Box<dyn http_body::Body<Data = Bytes, Error = Infallible> + Send>>,
) -> Response<AppBody> {
    let mut response = Response::new(body.boxed_unsync());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// One server-sent event a second.
struct Ticks {
    timer: tokio::time::Interval,
    count: u64,
}

impl Ticks {
    fn new() -> Self {
        Self { timer: tokio::time::interval(Duration::from_secs(1)), count: 0 }
    }
}

impl http_body::Body for Ticks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.timer.poll_tick(cx).map(|_| {
            self.count += 1;
            Some(Ok(Frame::data(Bytes::from(format!("data: {}\n\n", self.count)))))
        })
    }
}

/// A download of 64 MiB at 1 MiB a second, long enough to watch it being cut.
struct Slow {
    timer: tokio::time::Interval,
    left: u64,
}

impl Slow {
    const CHUNK: usize = 64 * 1024;

    fn new() -> Self {
        Self { timer: tokio::time::interval(Duration::from_micros(62_500)), left: 64 * 1024 * 1024 }
    }
}

impl http_body::Body for Slow {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.timer.poll_tick(cx).map(|_| {
            self.left = self.left.saturating_sub(Self::CHUNK as u64);
            Some(Ok(Frame::data(Bytes::from_static(&[b'.'; Self::CHUNK]))))
        })
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// Accepts a WebSocket (RFC 6455 section 4.2.2) and sends every text back.
fn echo(mut request: Request<Incoming>) -> Response<AppBody> {
    let Some(key) = request.headers().get("sec-websocket-key").cloned() else {
        return text(StatusCode::UPGRADE_REQUIRED, "this is a WebSocket");
    };
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        if let Ok(upgraded) = upgrade.await {
            // The peer closing is how an echo ends.
            let _closed = echo_frames(TokioIo::new(upgraded)).await;
        }
    });
    let mut input = key.as_bytes().to_vec();
    input.extend_from_slice(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, &input);
    let mut response = text(StatusCode::SWITCHING_PROTOCOLS, "");
    let headers = response.headers_mut();
    headers.remove(CONTENT_TYPE);
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = HeaderValue::from_str(&STANDARD.encode(digest)) {
        headers.insert("sec-websocket-accept", accept);
    }
    response
}

/// Answers frames (RFC 6455 section 5) of up to 125 bytes, which is what the demo page sends: messages come back as they
/// are, a ping is answered by a pong, a close by a close, and anything else ends the connection.
async fn echo_frames(mut stream: TokioIo<hyper::upgrade::Upgraded>) -> std::io::Result<()> {
    loop {
        let mut head = [0u8; 2];
        stream.read_exact(&mut head).await?;
        let [first, second] = head;
        let length = second & 0x7f;
        let (opcode, is_masked, is_small) = (first & 0x0f, second & 0x80 != 0, length <= 125);
        if !is_masked || !is_small {
            // 1002: a client must mask; 1009: too big (section 7.4.1).
            let code: u16 = if is_masked { 1009 } else { 1002 };
            return send_frame(&mut stream, FINAL | CLOSE, &code.to_be_bytes()).await;
        }
        let mut mask = [0u8; 4];
        stream.read_exact(&mut mask).await?;
        let mut payload = vec![0u8; usize::from(length)];
        stream.read_exact(&mut payload).await?;
        for (byte, mask) in payload.iter_mut().zip(mask.iter().cycle()) {
            *byte ^= mask;
        }
        match opcode {
            CONTINUATION | TEXT | BINARY => send_frame(&mut stream, first, &payload).await?,
            PING => send_frame(&mut stream, FINAL | PONG, &payload).await?,
            PONG => {}
            _ => {
                // A close is answered with its own code, without the reason.
                let code = payload.get(..2).filter(|_| opcode == CLOSE).unwrap_or_default();
                return send_frame(&mut stream, FINAL | CLOSE, code).await;
            }
        }
    }
}

async fn send_frame(stream: &mut TokioIo<hyper::upgrade::Upgraded>, first: u8, payload: &[u8]) -> std::io::Result<()> {
    let length = u8::try_from(payload.len()).map_err(std::io::Error::other)?;
    stream.write_all(&[&[first, length], payload].concat()).await?;
    stream.flush().await
}

const FINAL: u8 = 0x80;
const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;
