//! Follows WebSocket frame headers (RFC 6455 section 5.2) towards the client, to know when a close frame may be put in.

/// Where in the frames sent so far the stream stands.
#[derive(Debug, Default)]
pub(super) struct Frames {
    header: Header,
    payload: u64,
    closed: bool,
}

#[derive(Debug, Default)]
struct Header {
    taken: usize,
    /// The payload's length as far as it has been read.
    length: u64,
    /// Where the length ends; the mask, if any, follows.
    length_end: usize,
    /// Bytes of the whole header, once the second is known.
    size: usize,
}

impl Frames {
    /// Takes in bytes that were sent.
    pub(super) fn follow(&mut self, mut bytes: &[u8]) {
        while let [first, rest @ ..] = bytes {
            if self.payload > 0 {
                let here = usize::try_from(self.payload).unwrap_or(usize::MAX).min(bytes.len());
                self.payload -= here as u64;
                bytes = bytes.get(here..).unwrap_or_default();
                continue;
            }
            if self.header.taken == 0 && first & OPCODE == CLOSE {
                self.closed = true;
            }
            if let Some(length) = self.header.take(*first) {
                self.payload = length;
            }
            bytes = rest;
        }
    }

    /// Whether the client has whole frames only, and no close frame yet.
    pub(super) const fn allow_close(&self) -> bool {
        self.payload == 0 && self.header.taken == 0 && !self.closed
    }
}

impl Header {
    /// Takes one byte; answers the payload's length when the header is complete.
    fn take(&mut self, byte: u8) -> Option<u64> {
        self.taken += 1;
        match self.taken {
            1 => return None,
            2 => {
                let mask = if byte & MASKED == 0 { 0 } else { 4 };
                let short = byte & !MASKED;
                let extended = match short {
                    126 => 2,
                    127 => 8,
                    _ => 0,
                };
                self.length = if extended == 0 { u64::from(short) } else { 0 };
                self.size = 2 + extended + mask;
                self.length_end = 2 + extended;
            }
            taken if taken <= self.length_end => self.length = (self.length << 8) | u64::from(byte),
            _ => {}
        }
        if self.taken < self.size {
            return None;
        }
        let length = self.length;
        *self = Self::default();
        Some(length)
    }
}

/// A close frame from a server, which is never masked.
pub(super) fn close_frame(code: u16, reason: &str) -> Vec<u8> {
    // Control frames carry at most 125 bytes, two of them the code.
    let reason = reason.as_bytes();
    let reason = reason.get(..CONTROL_MAX - 2).unwrap_or(reason);
    let length = u8::try_from(reason.len() + 2).unwrap_or_default();
    let mut frame = vec![FINAL | CLOSE, length];
    frame.extend_from_slice(&code.to_be_bytes());
    frame.extend_from_slice(reason);
    frame
}

const FINAL: u8 = 0x80;
const OPCODE: u8 = 0x0f;
const CLOSE: u8 = 0x08;
const MASKED: u8 = 0x80;
const CONTROL_MAX: usize = 125;
