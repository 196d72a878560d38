//! A client that sends exactly the bytes it is given, over TLS or plain TCP, and reads exactly one response.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::websocket::Duplex;

/// An open connection.
pub(crate) struct Raw {
    stream: Box<dyn Duplex>,
    pending: Vec<u8>,
    /// What ALPN settled on.
    pub(crate) alpn: Option<Vec<u8>>,
}

/// A response as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// Status line and headers, raw.
    pub(crate) head: String,
    /// The body with its framing taken off.
    pub(crate) body: Vec<u8>,
}

/// Why there is no response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NoResponse {
    /// The connection ended first, in good order or not.
    Ended,
    /// The deadline of ten seconds passed.
    Late,
}

impl Raw {
    /// A TLS connection; `alpn` in order of preference, `None` for no such extension.
    pub(crate) async fn tls(
        to: SocketAddr,
        sni: &str,
        alpn: Option<&[&str]>,
        roots: &Arc<RootCertStore>,
    ) -> std::io::Result<Self> {
        let mut config = ClientConfig::builder().with_root_certificates(Arc::clone(roots)).with_no_client_auth();
        config.alpn_protocols = alpn.unwrap_or_default().iter().map(|name| name.as_bytes().to_vec()).collect();
        Self::tls_with(to, sni, config).await
    }

    /// A TLS connection with a configuration of the test's own.
    pub(crate) async fn tls_with(to: SocketAddr, sni: &str, config: ClientConfig) -> std::io::Result<Self> {
        let name = ServerName::try_from(sni.to_owned()).unwrap();
        let tcp = TcpStream::connect(to).await?;
        tcp.set_nodelay(true)?;
        let tls = timeout(DEADLINE, TlsConnector::from(Arc::new(config)).connect(name, tcp)).await??;
        let alpn = tls.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
        Ok(Self { stream: Box::new(tls), pending: Vec::new(), alpn })
    }

    /// A plain TCP connection.
    pub(crate) async fn tcp(to: SocketAddr) -> std::io::Result<Self> {
        Ok(Self { stream: Box::new(TcpStream::connect(to).await?), pending: Vec::new(), alpn: None })
    }

    /// Sends these bytes. A connection that is already gone shows when reading.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        let _ = timeout(DEADLINE, async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        })
        .await;
    }

    /// Ends our direction.
    pub(crate) async fn finish(&mut self) {
        let _ = self.stream.shutdown().await;
    }

    /// The next response, interim ones (100) left out.
    pub(crate) async fn response(&mut self) -> Result<Response, NoResponse> {
        self.response_to("GET").await
    }

    /// The response to a request of this method: one to HEAD has no body.
    pub(crate) async fn response_to(&mut self, method: &str) -> Result<Response, NoResponse> {
        timeout(DEADLINE, self.read_response(method)).await.unwrap_or(Err(NoResponse::Late))
    }

    /// Everything until the connection ends.
    pub(crate) async fn rest(&mut self) -> Result<Vec<u8>, NoResponse> {
        let read = async { while self.more().await.is_ok_and(|n| n > 0) {} };
        timeout(DEADLINE, read).await.map_err(|_| NoResponse::Late)?;
        Ok(std::mem::take(&mut self.pending))
    }

    /// What was read and not used.
    pub(crate) fn pending(&self) -> &[u8] {
        &self.pending
    }

    /// Marks bytes of [`Raw::pending`] as used.
    pub(crate) fn consume(&mut self, length: usize) {
        self.pending.drain(..length);
    }

    /// Reads once; 0 at the end.
    pub(crate) async fn more(&mut self) -> std::io::Result<usize> {
        self.stream.read_buf(&mut self.pending).await
    }

    /// The connection itself, for a protocol library. Nothing must be pending.
    pub(crate) fn into_stream(self) -> Box<dyn Duplex> {
        assert!(self.pending.is_empty());
        self.stream
    }

    async fn read_response(&mut self, method: &str) -> Result<Response, NoResponse> {
        loop {
            let head = String::from_utf8_lossy(&self.until(b"\r\n\r\n").await?).into_owned();
            let status =
                head.get(9..12).and_then(|code| code.parse().ok()).unwrap_or_else(|| panic!("not HTTP: {head:?}"));
            let mut response = Response { status, head, body: Vec::new() };
            if status == 101 {
                return Ok(response);
            }
            if status >= 200 {
                if method != "HEAD" && !matches!(status, 204 | 304) {
                    response.body = self.body(&response).await?;
                }
                return Ok(response);
            }
        }
    }

    async fn body(&mut self, response: &Response) -> Result<Vec<u8>, NoResponse> {
        if response.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
            let mut body = Vec::new();
            loop {
                let line = self.until(b"\r\n").await?;
                let size = String::from_utf8_lossy(&line);
                let size = usize::from_str_radix(size.trim().split(';').next().unwrap(), 16).unwrap();
                if size == 0 {
                    // Trailers, if any, up to the empty line.
                    while self.until(b"\r\n").await? != b"\r\n" {}
                    return Ok(body);
                }
                let chunk = self.exactly(size + 2).await?;
                body.extend_from_slice(&chunk[..size]);
            }
        }
        match response.header("content-length") {
            Some(length) => self.exactly(length.parse().unwrap()).await,
            None => {
                while self.more().await.is_ok_and(|n| n > 0) {}
                Ok(std::mem::take(&mut self.pending))
            }
        }
    }

    async fn until(&mut self, end: &[u8]) -> Result<Vec<u8>, NoResponse> {
        loop {
            if let Some(at) = self.pending.windows(end.len()).position(|window| window == end) {
                return Ok(self.pending.drain(..at + end.len()).collect());
            }
            self.some().await?;
        }
    }

    async fn exactly(&mut self, length: usize) -> Result<Vec<u8>, NoResponse> {
        while self.pending.len() < length {
            self.some().await?;
        }
        Ok(self.pending.drain(..length).collect())
    }

    async fn some(&mut self) -> Result<(), NoResponse> {
        self.more().await.ok().filter(|n| *n > 0).map(drop).ok_or(NoResponse::Ended)
    }
}

impl Response {
    /// The first value of a header, compared without case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers(name).first().copied()
    }

    /// All values of a header.
    pub(crate) fn headers(&self, name: &str) -> Vec<&str> {
        header_values(&self.head, name)
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// The values of a header in a raw head, compared without case.
pub(crate) fn header_values<'a>(head: &'a str, name: &str) -> Vec<&'a str> {
    let lines = head.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
    lines.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).collect()
}

const DEADLINE: Duration = Duration::from_secs(10);
