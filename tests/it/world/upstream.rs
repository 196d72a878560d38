//! A recording upstream: keeps the exact bytes of every connection and answers what the test scripts.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::raw::header_values;
use super::websocket;

/// An upstream on a port of its own. Ends, with all its connections, when dropped.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    record: Arc<Mutex<Record>>,
    _stop: DropGuard,
}

/// One request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// Which connection, counted from 0.
    pub(crate) connection: usize,
    /// Request line and headers, with every byte of the framing.
    pub(crate) head: String,
    /// The body with its framing taken off.
    pub(crate) body: Vec<u8>,
}

/// What to do with a request.
pub(crate) enum Answer {
    /// These bytes, then wait for the next request.
    Bytes(Vec<u8>),
    /// These bytes, then end the connection.
    BytesThenClose(Vec<u8>),
    /// These bytes, then nothing more, with the connection open.
    BytesThenHang(Vec<u8>),
    /// End the connection.
    Close,
    /// Reset the connection (RST).
    Reset,
    /// These bytes, one at a time.
    Drip { bytes: Vec<u8>, every: Duration },
    /// Accept the upgrade and echo every message.
    WebSocketEcho,
    /// An endless `text/event-stream` of numbered events.
    Events { every: Duration },
    /// A body of this length at this rate; byte `n` of it is `n % 251`.
    Download { bytes: usize, per_second: usize },
}

impl Answer {
    /// A plain 200 with this text.
    pub(crate) fn text(body: &str) -> Self {
        Self::Bytes(
            format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}", body.len())
                .into_bytes(),
        )
    }
}

impl Request {
    /// The first value of a header, compared without case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers(name).first().copied()
    }

    /// All values of a header.
    pub(crate) fn headers(&self, name: &str) -> Vec<&str> {
        header_values(&self.head, name)
    }

    /// `GET`.
    pub(crate) fn method(&self) -> &str {
        self.head.split(' ').next().unwrap()
    }

    /// Path and query as sent.
    pub(crate) fn target(&self) -> &str {
        self.head.split(' ').nth(1).unwrap()
    }
}

type Script = Arc<dyn Fn(&Request) -> Answer + Send + Sync>;

#[derive(Default)]
struct Record {
    requests: Vec<Request>,
    connections: Vec<Vec<u8>>,
}

impl Upstream {
    /// Answers every request with 200 and its own target, so that a mixed-up response is noticed.
    pub(crate) async fn echo_target() -> Self {
        Self::scripted(|request| Answer::text(request.target())).await
    }

    /// Answers as `script` says.
    pub(crate) async fn scripted(script: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let record = Arc::new(Mutex::new(Record::default()));
        let stop = CancellationToken::new();
        tokio::spawn(accept(listener, Arc::new(script), Arc::clone(&record), stop.clone()));
        Self { address, record, _stop: stop.drop_guard() }
    }

    /// Every request so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.record.lock().unwrap().requests.clone()
    }

    /// How many requests came (`U=n`).
    pub(crate) fn seen(&self) -> usize {
        self.record.lock().unwrap().requests.len()
    }

    /// Every byte of every connection.
    pub(crate) fn bytes(&self) -> Vec<Vec<u8>> {
        self.record.lock().unwrap().connections.clone()
    }

    /// Forgets every request and byte so far; connections stay.
    pub(crate) fn forget(&self) {
        let mut record = self.record.lock().unwrap();
        record.requests.clear();
        record.connections.iter_mut().for_each(Vec::clear);
    }

    /// The only request there was.
    #[track_caller]
    pub(crate) fn only_request(&self) -> Request {
        let requests = self.requests();
        assert_eq!(requests.len(), 1, "one request at the upstream: {requests:#?}");
        requests[0].clone()
    }
}

async fn accept(listener: TcpListener, script: Script, record: Arc<Mutex<Record>>, stop: CancellationToken) {
    let mut connections = JoinSet::new();
    // Dropping the set, when stopped, ends the connections.
    stop.run_until_cancelled_owned(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let number = {
                let mut record = record.lock().unwrap();
                record.connections.push(Vec::new());
                record.connections.len() - 1
            };
            connections.spawn(serve(
                Connection { stream, number, pending: Vec::new(), record: Arc::clone(&record) },
                Arc::clone(&script),
            ));
            while connections.try_join_next().is_some() {}
        }
    })
    .await;
}

struct Connection {
    stream: TcpStream,
    number: usize,
    /// Read but not yet part of a request.
    pending: Vec<u8>,
    record: Arc<Mutex<Record>>,
}

async fn serve(mut connection: Connection, script: Script) -> Option<()> {
    loop {
        let request = connection.request().await?;
        connection.record.lock().unwrap().requests.push(request.clone());
        connection.answer(&request, script(&request)).await?;
    }
}

impl Connection {
    /// Reads more bytes; `None` at the end of the connection.
    async fn more(&mut self) -> Option<()> {
        let n = self.stream.read_buf(&mut self.pending).await.ok().filter(|n| *n > 0)?;
        let new = &self.pending[self.pending.len() - n..];
        self.record.lock().unwrap().connections[self.number].extend_from_slice(new);
        Some(())
    }

    async fn until(&mut self, end: &[u8]) -> Option<Vec<u8>> {
        loop {
            if let Some(at) = self.pending.windows(end.len()).position(|window| window == end) {
                return Some(self.pending.drain(..at + end.len()).collect());
            }
            self.more().await?;
        }
    }

    async fn exactly(&mut self, length: usize) -> Option<Vec<u8>> {
        while self.pending.len() < length {
            self.more().await?;
        }
        Some(self.pending.drain(..length).collect())
    }

    async fn request(&mut self) -> Option<Request> {
        let head = String::from_utf8_lossy(&self.until(b"\r\n\r\n").await?).into_owned();
        let mut request = Request { connection: self.number, head, body: Vec::new() };
        if request.header("transfer-encoding").is_some() {
            loop {
                let line = self.until(b"\r\n").await?;
                let size = String::from_utf8_lossy(&line[..line.len() - 2]).into_owned();
                let size = usize::from_str_radix(&size, 16).unwrap_or_else(|_| panic!("chunk size {size:?}"));
                let chunk = self.exactly(size + 2).await?;
                request.body.extend_from_slice(&chunk[..size]);
                if size == 0 {
                    break;
                }
            }
        } else if let Some(length) = request.header("content-length") {
            let length = length.parse().unwrap();
            request.body = self.exactly(length).await?;
        }
        Some(request)
    }

    async fn answer(&mut self, request: &Request, answer: Answer) -> Option<()> {
        match answer {
            Answer::Bytes(bytes) => self.stream.write_all(&bytes).await.ok(),
            Answer::BytesThenClose(bytes) => {
                self.stream.write_all(&bytes).await.ok();
                self.stream.shutdown().await.ok();
                None
            }
            Answer::BytesThenHang(bytes) => {
                self.stream.write_all(&bytes).await.ok()?;
                std::future::pending().await
            }
            Answer::Close => None,
            Answer::Reset => {
                socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).unwrap();
                None
            }
            Answer::Drip { bytes, every } => {
                for byte in bytes {
                    self.stream.write_all(&[byte]).await.ok()?;
                    tokio::time::sleep(every).await;
                }
                Some(())
            }
            Answer::WebSocketEcho => self.echo_messages(request).await,
            Answer::Events { every } => self.events(every).await,
            Answer::Download { bytes, per_second } => self.download(bytes, per_second).await,
        }
    }

    async fn echo_messages(&mut self, request: &Request) -> Option<()> {
        let accept = websocket::accept_key(request.header("sec-websocket-key")?);
        let head = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        self.stream.write_all(head.as_bytes()).await.ok()?;
        loop {
            while let Some((frame, length)) = websocket::Frame::parse(&self.pending) {
                self.pending.drain(..length);
                let closing = frame.opcode == websocket::CLOSE;
                self.stream.write_all(&frame.unmasked_bytes()).await.ok()?;
                if closing {
                    return None;
                }
            }
            self.more().await?;
        }
    }

    async fn events(&mut self, every: Duration) -> Option<()> {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
        self.stream.write_all(head.as_bytes()).await.ok()?;
        for n in 0u64.. {
            let event = format!("data: {n}\n\n");
            let chunk = format!("{:x}\r\n{event}\r\n", event.len());
            self.stream.write_all(chunk.as_bytes()).await.ok()?;
            tokio::time::sleep(every).await;
        }
        None
    }

    async fn download(&mut self, bytes: usize, per_second: usize) -> Option<()> {
        let head =
            format!("HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {bytes}\r\n\r\n");
        self.stream.write_all(head.as_bytes()).await.ok()?;
        let body: Vec<u8> = (0..bytes).map(|n| u8::try_from(n % 251).unwrap()).collect();
        let mut ticks = tokio::time::interval(Duration::from_millis(50));
        for part in body.chunks((per_second / 20).max(1)) {
            ticks.tick().await;
            self.stream.write_all(part).await.ok()?;
        }
        Some(())
    }
}
