//! Just enough of RFC 6455 to open a WebSocket, send text and see what comes back.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncRead, AsyncWrite};

use super::raw::{Raw, Response};

/// A client's end of a WebSocket.
pub(crate) struct WebSocket {
    raw: Raw,
}

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) opcode: u8,
    pub(crate) payload: Vec<u8>,
}

impl WebSocket {
    /// Asks for an upgrade of `path` on an open connection.
    ///
    /// # Errors
    /// The response, when it is not a 101.
    pub(crate) async fn open(mut raw: Raw, host: &str, path: &str, headers: &str) -> Result<Self, Response> {
        let key = STANDARD.encode([7u8; 16]);
        raw.send(
            format!(
                "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nOrigin: https://{host}\r\n{headers}\r\n"
            )
            .as_bytes(),
        )
        .await;
        let response = raw.response().await.expect("an answer to the upgrade");
        if response.status != 101 {
            return Err(response);
        }
        assert_eq!(response.header("sec-websocket-accept"), Some(accept_key(&key).as_str()), "{response:?}");
        Ok(Self { raw })
    }

    /// Sends a text message and returns the next frame; `None` if the connection ended instead.
    pub(crate) async fn echo(&mut self, text: &str) -> Option<Frame> {
        self.raw.send(&Frame { opcode: TEXT, payload: text.into() }.masked_bytes()).await;
        self.next().await
    }

    /// Sends one frame.
    pub(crate) async fn send(&mut self, frame: &Frame) {
        self.raw.send(&frame.masked_bytes()).await;
    }

    /// The next frame; `None` at the end of the connection.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some((frame, length)) = Frame::parse(self.raw.pending()) {
                self.raw.consume(length);
                return Some(frame);
            }
            self.raw.more().await.ok().filter(|n| *n > 0)?;
        }
    }
}

impl Frame {
    /// A frame at the start of `bytes`, and how long it is; `None` if there is not all of one.
    pub(crate) fn parse(bytes: &[u8]) -> Option<(Self, usize)> {
        let (&first, &second) = (bytes.first()?, bytes.get(1)?);
        let (length, mut at) = match second & 0x7f {
            126 => (usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)), 4),
            127 => (usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)).unwrap(), 10),
            short => (usize::from(short), 2),
        };
        let mask: Option<[u8; 4]> =
            if second & 0x80 == 0 { None } else { Some(bytes.get(at..at + 4)?.try_into().ok()?) };
        at += mask.map_or(0, |mask| mask.len());
        let mut payload = bytes.get(at..at + length)?.to_vec();
        if let Some(mask) = mask {
            payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
        }
        Some((Self { opcode: first & 0x0f, payload }, at + length))
    }

    /// As a server sends it.
    pub(crate) fn unmasked_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0x80 | self.opcode];
        self.push_length(&mut bytes, 0);
        bytes.extend_from_slice(&self.payload);
        bytes
    }

    /// As a client must send it.
    pub(crate) fn masked_bytes(&self) -> Vec<u8> {
        let mask = [0x11, 0x22, 0x33, 0x44];
        let mut bytes = vec![0x80 | self.opcode];
        self.push_length(&mut bytes, 0x80);
        bytes.extend_from_slice(&mask);
        bytes.extend(self.payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
        bytes
    }

    fn push_length(&self, bytes: &mut Vec<u8>, mask_bit: u8) {
        match u8::try_from(self.payload.len()) {
            Ok(short) if short < 126 => bytes.push(mask_bit | short),
            _ => {
                let long = u16::try_from(self.payload.len()).expect("tests send short messages");
                bytes.push(mask_bit | 126);
                bytes.extend_from_slice(&long.to_be_bytes());
            }
        }
    }
}

/// RFC 6455 section 4.2.2: proof that the upgrade was understood.
pub(crate) fn accept_key(key: &str) -> String {
    let text = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()))
}

/// What a connection can be made of.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

pub(crate) const TEXT: u8 = 1;
pub(crate) const CLOSE: u8 = 8;
