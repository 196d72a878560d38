//! Follows HTTP/2 frame headers, to bound what the HTTP library does not: frames that cost work and carry no request,
//! and header blocks that never end.

use super::{Refusal, Verdict};
use crate::edge::watch::{Phase, Watch};

/// Where in the frame layer (RFC 9113 section 4) the client's bytes stand.
pub(super) struct Http2 {
    /// Bytes of the preface (RFC 9113 section 3.4) still to come; the library checks them.
    preface: usize,
    header: [u8; HEADER],
    filled: usize,
    /// Payload bytes of the present frame still to come.
    payload: u32,
    /// Inside a header block: HEADERS came, END_HEADERS did not.
    block: bool,
    budget: Budget,
}

impl Http2 {
    pub(super) const fn new(control_frames: u32) -> Self {
        Self {
            preface: PREFACE,
            header: [0; HEADER],
            filled: 0,
            payload: 0,
            block: false,
            budget: Budget { limit: control_frames, since: 0, spent: 0, sent: 0 },
        }
    }

    pub(super) const fn sent(&mut self, bytes: usize) {
        self.budget.sent = self.budget.sent.saturating_add(bytes as u64);
    }

    pub(super) fn judge(&mut self, chunk: &[u8], watch: &Watch) -> Verdict {
        if let Err(refusal) = self.follow(chunk, watch.now()) {
            return Verdict::Fail(refusal);
        }
        if self.block {
            watch.enter(Phase::Block);
        } else if self.filled > 0 || self.payload > 0 || self.preface > 0 {
            watch.enter(Phase::Body);
            watch.progress();
        } else {
            watch.enter(Phase::Idle);
        }
        Verdict::Clear(chunk.len())
    }

    fn follow(&mut self, mut bytes: &[u8], now: u64) -> Result<(), Refusal> {
        let skipped = self.preface.min(bytes.len());
        self.preface -= skipped;
        bytes = bytes.get(skipped..).unwrap_or_default();
        while !bytes.is_empty() {
            if self.payload > 0 {
                let here = usize::try_from(self.payload).unwrap_or(usize::MAX).min(bytes.len());
                self.payload = self.payload.saturating_sub(u32::try_from(here).unwrap_or(u32::MAX));
                bytes = bytes.get(here..).unwrap_or_default();
                continue;
            }
            let here = (HEADER - self.filled).min(bytes.len());
            let (head, rest) = bytes.split_at(here);
            if let Some(place) = self.header.get_mut(self.filled..self.filled + here) {
                place.copy_from_slice(head);
            }
            self.filled += here;
            bytes = rest;
            if self.filled == HEADER {
                self.filled = 0;
                self.frame(now)?;
            }
        }
        Ok(())
    }

    /// A frame header is complete.
    fn frame(&mut self, now: u64) -> Result<(), Refusal> {
        let [a, b, c, kind, flags, ..] = self.header;
        self.payload = u32::from_be_bytes([0, a, b, c]);
        let control = match kind {
            DATA => self.payload == 0 && flags & END_STREAM == 0,
            HEADERS => {
                self.block = flags & END_HEADERS == 0;
                false
            }
            CONTINUATION => {
                self.block = flags & END_HEADERS == 0;
                true
            }
            _ => true,
        };
        if control { self.budget.spend(now) } else { Ok(()) }
    }
}

/// Frames that carry no request, counted over spans of ten seconds.
struct Budget {
    limit: u32,
    since: u64,
    spent: u64,
    /// Bytes sent in this span: a client that takes much must open its windows often.
    sent: u64,
}

impl Budget {
    const fn spend(&mut self, now: u64) -> Result<(), Refusal> {
        if now.saturating_sub(self.since) >= SPAN {
            self.since = now;
            self.spent = 0;
            self.sent = 0;
        }
        self.spent += 1;
        if self.spent > self.limit as u64 + self.sent / BYTES_PER_FRAME { Err(Refusal::ControlFrames) } else { Ok(()) }
    }
}

const HEADER: usize = 9;
const PREFACE: usize = 24;

// RFC 9113 section 6.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// Milliseconds over which control frames are counted.
const SPAN: u64 = 10_000;

/// For so many bytes sent one more frame is allowed: two window updates per 8 KiB.
const BYTES_PER_FRAME: u64 = 4096;
