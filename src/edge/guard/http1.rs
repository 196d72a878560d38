//! Reads an HTTP/1 request head strictly, before the HTTP library sees a byte of it.
//!
//! The library is lenient where upstreams disagree with each other (bare LF, two transfer codings, no Host); here
//! everything with two readings is refused. A verdict depends on the bytes only, never on how they were cut into
//! reads: lines are judged when they are complete, caps by position.

mod chunked;
mod line;

use std::io::BufRead;

use super::Refusal;
pub(super) use chunked::Chunked;
use line::{field_line, request_line};

/// Caps of a head, and which request targets the listener takes.
#[derive(Debug, Clone, Copy)]
pub(in crate::edge) struct HeadRules {
    pub(in crate::edge) bytes: usize,
    pub(in crate::edge) lines: usize,
    pub(in crate::edge) targets: Targets,
}

/// Which forms of request target a listener takes (RFC 9112 section 3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::edge) enum Targets {
    /// A path, or `*` for OPTIONS: a server or reverse proxy.
    Origin,
    /// Also an absolute `http://` address and CONNECT with an authority: a forward proxy.
    Proxy,
}

/// What a good head says about the bytes behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) body: BodyLength,
    /// CONNECT, or an `Upgrade` header: what follows waits for the answer.
    pub(super) switches: bool,
}

/// How the end of the body is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyLength {
    /// This many bytes.
    Known(u64),
    /// The chunked coding.
    Chunked,
}

/// Reads one head, line by line, from bytes that grow.
#[derive(Debug, Default)]
pub(super) struct HeadReader {
    /// Where the present line starts.
    line: usize,
    /// How far the present line was searched for its end.
    searched: usize,
    lines: usize,
    seen: Seen,
}

/// What the lines so far have said.
#[derive(Debug, Default)]
pub(super) struct Seen {
    http10: bool,
    connect: bool,
    /// POST, PUT or PATCH.
    expects_body: bool,
    host: bool,
    length: Option<u64>,
    chunked: bool,
    upgrade: bool,
    once: line::Once,
}

impl HeadReader {
    /// Reads on in `bytes`, which begin with the head's first byte and contain everything given before. Answers the
    /// head's length when it is complete.
    pub(super) fn read(&mut self, bytes: &[u8], rules: &HeadRules) -> Result<Option<(usize, Head)>, Refusal> {
        loop {
            let Some(end) = self.line_end(bytes) else {
                // The line's end is still to come and will be at `bytes.len()` or later.
                return if bytes.len() >= rules.bytes { Err(self.too_long()) } else { Ok(None) };
            };
            if end > rules.bytes {
                return Err(self.too_long());
            }
            let line = bytes.get(self.line..end).and_then(|line| line.strip_suffix(b"\r\n"));
            let line = line.ok_or(Refusal::LineEnd)?;
            (self.line, self.searched) = (end, end);
            if self.lines == 0 {
                request_line(line, rules.targets, &mut self.seen)?;
            } else if line.is_empty() {
                return self.seen.finish().map(|head| Some((end, head)));
            } else if self.lines > rules.lines {
                return Err(Refusal::TooManyHeaders);
            } else {
                field_line(line, &mut self.seen)?;
            }
            self.lines += 1;
        }
    }

    /// Position behind the present line's LF.
    fn line_end(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut rest = bytes.get(self.searched..)?;
        // The standard library's fast byte search; reading from a slice cannot fail.
        let length = rest.skip_until(b'\n').ok()?;
        self.searched += length;
        let complete = length > 0 && bytes.get(self.searched - 1) == Some(&b'\n');
        complete.then_some(self.searched)
    }

    const fn too_long(&self) -> Refusal {
        if self.lines == 0 { Refusal::TargetTooLong } else { Refusal::HeadTooLong }
    }
}

impl Seen {
    fn finish(&self) -> Result<Head, Refusal> {
        if !self.host {
            return Err(Refusal::Host);
        }
        let body = match (self.chunked, self.length) {
            (true, Some(_)) => return Err(Refusal::Framing),
            (true, None) if self.http10 => return Err(Refusal::Framing),
            (true, None) => BodyLength::Chunked,
            (false, Some(length)) => BodyLength::Known(length),
            (false, None) if self.http10 && self.expects_body => return Err(Refusal::LengthRequired),
            (false, None) => BodyLength::Known(0),
        };
        // HTTP/1.0 knows no upgrade, and the HTTP library agrees; CONNECT switches in both.
        let switches = self.connect || (self.upgrade && !self.http10);
        Ok(Head { body, switches })
    }
}

#[cfg(test)]
mod tests;
