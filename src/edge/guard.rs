//! Stands between a client's bytes and the HTTP library, and lets through only what has one meaning.
//!
//! The guard hands on bytes up to the end of one head or body at a time, straight out of the TLS buffer. When it
//! refuses a head, the library gets a stand-in request in its place, so that the answer is written in order, after
//! those of earlier requests; nothing behind it is ever read.

mod http1;
mod http2;
mod refusal;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use hyper::rt::ReadBufCursor;
use tokio::io::{AsyncBufRead, AsyncWrite};

use http1::{BodyLength, Chunked, HeadReader};
pub(super) use http1::{HeadRules, Targets};
use http2::Http2;
pub use refusal::{Refusal, RefusalCounts};

use super::watch::{LINGER, Order, Phase, Seat, Switch, Watch};

/// What a client's bytes come through: TLS, or a buffered plain socket.
pub(super) trait ClientIo: AsyncBufRead + AsyncWrite + Unpin + Send + 'static {}

impl<T: AsyncBufRead + AsyncWrite + Unpin + Send + 'static> ClientIo for T {}

/// A client connection as the HTTP library sees it.
pub(super) struct Guard<IO: ClientIo> {
    /// Taken out only while being dropped.
    wire: Option<Wire<IO>>,
    watch: Arc<Watch>,
    protocol: Protocol,
    /// Bytes at the front of the input that are checked and not handed on yet.
    clear: usize,
}

enum Protocol {
    Http1(Box<Http1>),
    Http2(Box<Http2>),
}

/// What is to be done with a chunk of input.
enum Verdict {
    /// This many bytes may be handed on.
    Clear(usize),
    /// This many bytes have been taken in; look again.
    Taken(usize),
    /// Nothing may be read now.
    Hold,
    /// Reading ends with an error.
    Fail(Refusal),
}

impl<IO: ClientIo> Guard<IO> {
    pub(super) fn http1(io: IO, seat: Seat, rules: HeadRules) -> Self {
        Self::new(io, seat, Protocol::Http1(Box::new(Http1::new(rules))))
    }

    pub(super) fn http2(io: IO, seat: Seat, control_frames: u32) -> Self {
        Self::new(io, seat, Protocol::Http2(Box::new(Http2::new(control_frames))))
    }

    fn new(io: IO, seat: Seat, protocol: Protocol) -> Self {
        let watch = Arc::clone(seat.watch());
        watch.enter(Phase::Idle);
        let wire = Wire { io, seat, shut: false, discarded: 0 };
        Self { wire: Some(wire), watch, protocol, clear: 0 }
    }

    fn is_tunnel(&self) -> bool {
        matches!(&self.protocol, Protocol::Http1(http1) if matches!(http1.stage, Stage::Tunnel))
    }

    /// A tunnel is polled by whoever runs it, so the sweep's orders have to reach it here. And the library hands the
    /// connection to whoever waits for an upgrade even when it was declined: nothing may be done with it then.
    fn obey(&self, cx: &Context<'_>) -> io::Result<()> {
        if self.watch.switch() == Switch::Closed {
            return Err(io::ErrorKind::NotConnected.into());
        }
        if self.is_tunnel() {
            self.watch.listen(cx.waker());
            if self.watch.order() == Order::Cut {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
        Ok(())
    }

    /// Whether closing now could destroy our answer: the kernel resets a connection closed with unread input.
    fn has_unread(&self) -> bool {
        match &self.protocol {
            Protocol::Http1(http1) => !matches!(http1.stage, Stage::Head | Stage::Tunnel) || self.clear > 0,
            Protocol::Http2(_) => false,
        }
    }

    /// The part of a write that comes before the wire.
    fn writer(&mut self, cx: &Context<'_>) -> io::Result<&mut IO> {
        self.obey(cx)?;
        Ok(&mut self.wire.as_mut().ok_or(io::ErrorKind::NotConnected)?.io)
    }

    /// The part of a write that comes after it.
    fn wrote(&mut self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        self.watch.written(result.is_ready());
        if let (Protocol::Http2(http2), Poll::Ready(Ok(length))) = (&mut self.protocol, &result) {
            http2.sent(*length);
        }
        result
    }
}

impl<IO: ClientIo> hyper::rt::Read for Guard<IO> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, mut buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.obey(cx)?;
        let tunnel = this.is_tunnel();
        let Some(Wire { io, seat, .. }) = &mut this.wire else { return Poll::Ready(Ok(())) };
        loop {
            if this.clear == 0
                && let Protocol::Http1(http1) = &mut this.protocol
                && let Some(done) = http1.before_input(seat, &mut buf)
            {
                return done;
            }
            let Poll::Ready(chunk) = Pin::new(&mut *io).poll_fill_buf(cx) else {
                this.watch.wait();
                if !tunnel {
                    // It may have become one just now; then its waker is not known yet.
                    this.obey(cx)?;
                }
                return Poll::Pending;
            };
            let chunk = chunk?;
            if chunk.is_empty() {
                return Poll::Ready(Ok(()));
            }
            if this.clear == 0 {
                let verdict = match &mut this.protocol {
                    Protocol::Http1(http1) => http1.judge(chunk, seat),
                    Protocol::Http2(http2) => http2.judge(chunk, &this.watch),
                };
                match verdict {
                    Verdict::Clear(length) => this.clear = length,
                    Verdict::Taken(length) => {
                        Pin::new(&mut *io).consume(length);
                        continue;
                    }
                    Verdict::Hold => return Poll::Pending,
                    Verdict::Fail(refusal) => {
                        seat.refuse(refusal);
                        return Poll::Ready(Err(failure(refusal)));
                    }
                }
            }
            let length = this.clear.min(chunk.len()).min(buf.remaining());
            buf.put_slice(chunk.get(..length).unwrap_or_default());
            Pin::new(io).consume(length);
            this.clear -= length;
            return Poll::Ready(Ok(()));
        }
    }
}

impl<IO: ClientIo> hyper::rt::Write for Guard<IO> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(this.writer(cx)?).poll_write(cx, buf);
        this.wrote(result)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let result = Pin::new(this.writer(cx)?).poll_flush(cx);
        this.watch.written(result.is_ready());
        result
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.obey(cx)?;
        let linger = this.has_unread();
        match &mut this.wire {
            Some(wire) => wire.poll_close(linger, cx),
            None => Poll::Ready(Ok(())),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.wire.as_ref().is_some_and(|wire| wire.io.is_write_vectored())
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(this.writer(cx)?).poll_write_vectored(cx, bufs);
        this.wrote(result)
    }
}

impl<IO: ClientIo> Drop for Guard<IO> {
    /// The library drops a connection without closing it when somebody had asked for an upgrade on it, however that
    /// was answered. The close is made up for, or the answer could be lost.
    fn drop(&mut self) {
        let http1 = matches!(self.protocol, Protocol::Http1(_)) && !self.is_tunnel();
        if http1
            && self.watch.order() < Order::Cut
            && let Some(mut wire) = self.wire.take_if(|wire| !wire.shut)
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let closing = async move { std::future::poll_fn(|cx| wire.poll_close(true, cx)).await };
            runtime.spawn(tokio::time::timeout(LINGER, closing));
        }
    }
}

/// The client's bytes, and the place the connection takes.
struct Wire<IO> {
    io: IO,
    seat: Seat,
    shut: bool,
    /// Bytes thrown away while waiting for the client's close.
    discarded: usize,
}

impl<IO: ClientIo> Wire<IO> {
    /// Closes our direction; with `linger`, throws input away until the client closes, within bounds.
    fn poll_close(&mut self, linger: bool, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.shut {
            ready!(Pin::new(&mut self.io).poll_shutdown(cx))?;
            self.shut = true;
        }
        if linger {
            self.seat.watch().enter(Phase::Linger);
            self.seat.watch().wait();
            while self.discarded < DISCARD_MAX {
                let length = match ready!(Pin::new(&mut self.io).poll_fill_buf(cx)) {
                    Ok(chunk) if !chunk.is_empty() => chunk.len(),
                    _ => break,
                };
                Pin::new(&mut self.io).consume(length);
                self.discarded = self.discarded.saturating_add(length);
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Where an HTTP/1 connection stands.
struct Http1 {
    rules: HeadRules,
    stage: Stage,
    reader: HeadReader,
    /// A head that came in pieces, or the stand-in for a refused one.
    pieces: Vec<u8>,
    /// `pieces` is whole and may be handed on from this position.
    handed: Option<usize>,
    /// Whether the present request asked for another protocol.
    switches: bool,
}

enum Stage {
    Head,
    Known(u64),
    Chunked(Chunked),
    /// Behind a request that asked for another protocol.
    Held,
    /// Another protocol.
    Tunnel,
    /// A head was refused: nothing more is read.
    Refused,
    /// A body was refused: reading fails.
    Broken(Refusal),
}

impl Http1 {
    fn new(rules: HeadRules) -> Self {
        Self {
            rules,
            stage: Stage::Head,
            reader: HeadReader::default(),
            pieces: Vec::new(),
            handed: None,
            switches: false,
        }
    }

    /// What can be answered without input.
    fn before_input(&mut self, seat: &Seat, buf: &mut ReadBufCursor<'_>) -> Option<Poll<io::Result<()>>> {
        let watch = seat.watch();
        if self.handed.is_none() && matches!(self.stage, Stage::Head) && watch.order() == Order::HeadTimeout {
            self.refuse(Refusal::HeadTimeout, seat);
        }
        if let Some(from) = self.handed {
            let rest = self.pieces.get(from..).unwrap_or_default();
            let length = rest.len().min(buf.remaining());
            buf.put_slice(rest.get(..length).unwrap_or_default());
            self.handed = Some(from + length);
            if from + length >= self.pieces.len() {
                self.pieces = Vec::new();
                self.handed = None;
            }
            return Some(Poll::Ready(Ok(())));
        }
        match self.stage {
            // The answer closes the connection; until then nothing is to be told.
            Stage::Refused => Some(Poll::Pending),
            Stage::Broken(refusal) => Some(Poll::Ready(Err(failure(refusal)))),
            Stage::Held => {
                match watch.switch() {
                    Switch::Undecided | Switch::Closed => {}
                    Switch::Refused => self.next_head(watch),
                    Switch::Accepted => {
                        self.stage = Stage::Tunnel;
                        watch.enter(Phase::Tunnel);
                    }
                }
                None
            }
            _ => None,
        }
    }

    fn judge(&mut self, chunk: &[u8], seat: &Seat) -> Verdict {
        let watch = seat.watch();
        match &mut self.stage {
            Stage::Head => self.judge_head(chunk, seat),
            Stage::Known(left) => {
                let here = usize::try_from(*left).unwrap_or(usize::MAX).min(chunk.len());
                *left -= here as u64;
                let done = *left == 0;
                watch.progress();
                if done {
                    self.body_done(watch);
                }
                Verdict::Clear(here)
            }
            Stage::Chunked(chunked) => {
                let (here, refusal) = chunked.follow(chunk, &self.rules);
                let done = chunked.is_done();
                watch.progress();
                if let Some(refusal) = refusal {
                    self.stage = Stage::Broken(refusal);
                    seat.refuse(refusal);
                    return if here == 0 { Verdict::Fail(refusal) } else { Verdict::Clear(here) };
                }
                if done {
                    self.body_done(watch);
                }
                Verdict::Clear(here)
            }
            Stage::Held => {
                watch.set_early_bytes(true);
                Verdict::Hold
            }
            Stage::Tunnel => Verdict::Clear(chunk.len()),
            // Unreachable: answered before input is asked for.
            Stage::Refused | Stage::Broken(_) => Verdict::Hold,
        }
    }

    fn judge_head(&mut self, chunk: &[u8], seat: &Seat) -> Verdict {
        let before = self.pieces.len();
        let whole = before == 0;
        // The usual head lies in one chunk and is handed on from there; only one in pieces is gathered.
        let read = if whole {
            self.reader.read(chunk, &self.rules)
        } else {
            let room = self.rules.bytes.saturating_sub(before).min(chunk.len());
            self.pieces.extend_from_slice(chunk.get(..room).unwrap_or_default());
            self.reader.read(&self.pieces, &self.rules)
        };
        match read {
            Ok(Some((length, head))) => {
                self.reader = HeadReader::default();
                self.head_done(head, seat.watch());
                if whole {
                    Verdict::Clear(length)
                } else {
                    self.pieces.truncate(length);
                    self.handed = Some(0);
                    Verdict::Taken(length - before)
                }
            }
            Ok(None) => {
                if whole {
                    self.pieces.extend_from_slice(chunk);
                }
                seat.watch().enter(Phase::Head);
                Verdict::Taken(self.pieces.len() - before)
            }
            Err(refusal) => {
                self.refuse(refusal, seat);
                Verdict::Taken(0)
            }
        }
    }

    fn head_done(&mut self, head: http1::Head, watch: &Watch) {
        self.switches = head.switches;
        watch.pass_head();
        if head.switches {
            watch.set_switch(Switch::Undecided);
            watch.set_early_bytes(false);
        }
        match head.body {
            BodyLength::Known(0) => self.body_done(watch),
            BodyLength::Known(length) => {
                self.stage = Stage::Known(length);
                watch.enter(Phase::Body);
            }
            BodyLength::Chunked => {
                self.stage = Stage::Chunked(Chunked::new());
                watch.enter(Phase::Body);
            }
        }
    }

    fn body_done(&mut self, watch: &Watch) {
        if self.switches {
            self.stage = Stage::Held;
            watch.enter(Phase::Idle);
        } else {
            self.next_head(watch);
        }
    }

    fn next_head(&mut self, watch: &Watch) {
        self.stage = Stage::Head;
        watch.enter(Phase::Idle);
    }

    /// Puts a request in the place of the refused one, which the service knows by its number and answers.
    fn refuse(&mut self, refusal: Refusal, seat: &Seat) {
        seat.refuse(refusal);
        seat.watch().pass_head();
        seat.watch().enter(Phase::Linger);
        self.stage = Stage::Refused;
        self.pieces = STAND_IN.to_vec();
        self.handed = Some(0);
    }
}

fn failure(refusal: Refusal) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, refusal.word())
}

/// What the library reads where a head was refused.
const STAND_IN: &[u8] = b"GET / HTTP/1.1\r\nhost: refused\r\n\r\n";

/// How much is read of what a client still sends after an answer that closes.
const DISCARD_MAX: usize = 256 * 1024;
