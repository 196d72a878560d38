//! An HTTP/2 client that sends what no library would: frames and header lists as the test writes them.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::raw::Raw;
use super::websocket::Duplex;

/// An open connection after the preface.
pub(crate) struct Http2 {
    stream: Box<dyn Duplex>,
    pending: Vec<u8>,
}

/// One frame (RFC 9113 section 4.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

/// What a stream came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A response to its end.
    Status(u16),
    /// RST_STREAM with this code, before the end of a response.
    Reset(u32),
    /// GOAWAY with this code, or the connection's end.
    Gone(u32),
}

impl Http2 {
    /// Begins on a connection whose ALPN settled on `h2`.
    pub(crate) async fn begin(raw: Raw) -> Self {
        assert_eq!(raw.alpn.as_deref(), Some(&b"h2"[..]));
        let mut this = Self { stream: raw.into_stream(), pending: Vec::new() };
        this.stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        this.send(SETTINGS, 0, 0, &[]).await;
        this
    }

    /// Sends one frame. A connection that is already gone shows when reading.
    pub(crate) async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let mut frame = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        let _ = self.stream.write_all(&frame).await;
        let _ = self.stream.flush().await;
    }

    /// Sends a header list, as literals that no table remembers (RFC 7541 section 6.2.2).
    pub(crate) async fn headers(&mut self, stream: u32, end: bool, list: &[(&str, &str)]) {
        let flags = END_HEADERS | if end { END_STREAM } else { 0 };
        self.send(HEADERS, flags, stream, &literal(list)).await;
    }

    /// The next frame; `None` at the end of the connection.
    pub(crate) async fn frame(&mut self) -> Option<Frame> {
        loop {
            if let Some(head) = self.pending.first_chunk::<9>() {
                let [a, b, c, kind, flags, id @ ..] = *head;
                let length = usize::try_from(u32::from_be_bytes([0, a, b, c])).unwrap();
                if self.pending.len() >= 9 + length {
                    let payload = self.pending[9..9 + length].to_vec();
                    self.pending.drain(..9 + length);
                    return Some(Frame { kind, flags, stream: u32::from_be_bytes(id) & 0x7fff_ffff, payload });
                }
            }
            let read = timeout(DEADLINE, self.stream.read_buf(&mut self.pending)).await.expect("a frame in time");
            read.ok().filter(|n| *n > 0)?;
        }
    }

    /// Reads until this stream has come to an end; gives windows back, so that nothing stalls.
    pub(crate) async fn outcome(&mut self, stream: u32) -> Outcome {
        let mut status = 0;
        loop {
            let Some(frame) = self.frame().await else { return Outcome::Gone(0) };
            match frame.kind {
                GOAWAY => return Outcome::Gone(u32::from_be_bytes(frame.payload[4..8].try_into().unwrap())),
                RST_STREAM if frame.stream == stream => {
                    return Outcome::Reset(u32::from_be_bytes(frame.payload[..4].try_into().unwrap()));
                }
                HEADERS if frame.stream == stream && status == 0 => status = status_of(&frame.payload),
                SETTINGS if frame.flags & ACK == 0 => self.send(SETTINGS, ACK, 0, &[]).await,
                _ => {}
            }
            if matches!(frame.kind, HEADERS | DATA) && frame.stream == stream && frame.flags & END_STREAM != 0 {
                return Outcome::Status(status);
            }
        }
    }
}

/// A header list as literals without indexing, no Huffman coding.
fn literal(list: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in list {
        block.push(0);
        for text in [name, value] {
            integer(&mut block, text.len());
            block.extend(text.as_bytes());
        }
    }
    block
}

/// RFC 7541 section 5.1 with a prefix of seven bits.
fn integer(block: &mut Vec<u8>, mut number: usize) {
    if number < 127 {
        return block.push(u8::try_from(number).unwrap());
    }
    block.push(127);
    number -= 127;
    while number >= 128 {
        block.push(u8::try_from(number % 128).unwrap() | 128);
        number /= 128;
    }
    block.push(u8::try_from(number).unwrap());
}

/// The status at the beginning of a response's header block: from the static table, or a literal of three digits.
fn status_of(block: &[u8]) -> u16 {
    match block {
        [indexed @ 0x88..=0x8e, ..] => [200, 204, 206, 304, 400, 404, 500][usize::from(indexed - 0x88)],
        [0x48 | 0x08, 3, digits @ ..] => std::str::from_utf8(&digits[..3]).unwrap().parse().unwrap(),
        [0x48 | 0x08, length, digits @ ..] if length & 0x80 != 0 => huffman_digits(digits),
        other => panic!("not a status: {other:x?}"),
    }
}

/// Three digits in the code of RFC 7541 appendix B: 0 to 2 have five bits, 3 to 9 six.
fn huffman_digits(bytes: &[u8]) -> u16 {
    let bits = bytes.iter().take(3).fold(0u32, |bits, byte| bits << 8 | u32::from(*byte));
    let mut at = 24;
    (0..3).fold(0, |number, _| {
        let five = bits >> (at - 5) & 0x1f;
        let digit = if five < 3 {
            at -= 5;
            five
        } else {
            at -= 6;
            (bits >> at & 0x3f) - 0x19 + 3
        };
        number * 10 + u16::try_from(digit).unwrap()
    })
}

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

const DEADLINE: Duration = Duration::from_secs(10);
