//! One request to a program on this machine, on a connection of its own.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Unanswered {
    /// Nobody listens there.
    NotListening(io::Error),
    /// Not in time.
    Late,
    /// It does not speak HTTP.
    Http(hyper::Error),
    /// It broke off, or is too large.
    Body,
}

/// Sends `request` to `address`, adding `Host`; the status and the whole body.
pub(super) async fn exchange(
    address: SocketAddr,
    request: Request<Full<Bytes>>,
) -> Result<(StatusCode, Bytes), Unanswered> {
    tokio::time::timeout(DEADLINE, send(address, request)).await.unwrap_or(Err(Unanswered::Late))
}

async fn send(address: SocketAddr, mut request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes), Unanswered> {
    let stream = TcpStream::connect(address).await.map_err(Unanswered::NotListening)?;
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(Unanswered::Http)?;
    let connection = tokio::spawn(connection);
    if let Ok(host) = address.to_string().parse() {
        request.headers_mut().insert(http::header::HOST, host);
    }
    let response = sender.send_request(request).await.map_err(Unanswered::Http)?;
    let status = response.status();
    let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await.map_err(|_| Unanswered::Body)?;
    connection.abort();
    Ok((status, body.to_bytes()))
}

const DEADLINE: Duration = Duration::from_secs(10);
const MAX_ANSWER: usize = 64 * 1024 * 1024;
