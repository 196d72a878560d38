//! Copies both ways between a client and a server that have left HTTP, until one ends it, nothing moves any more, or
//! the permission is taken back.

mod websocket;

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

use crate::cut::{Cut, CutReason};
use websocket::Frames;

/// What a tunnel did.
#[derive(Debug)]
pub struct TunnelOutcome {
    /// Bytes the client was sent.
    pub to_client: u64,
    /// Bytes the server was sent.
    pub to_server: u64,
    /// Why it ended.
    pub ended_by: TunnelEnd,
}

/// Why a tunnel ended.
#[derive(Debug)]
pub enum TunnelEnd {
    /// Both sides said they were done.
    Finished,
    /// The permission was taken back.
    Cut(CutReason),
    /// Nothing moved for too long.
    Idle,
    /// Reading from or writing to the client failed.
    Client(io::Error),
    /// Reading from or writing to the server failed.
    Server(io::Error),
}

/// What ends tunnels besides their two sides and the permission.
#[derive(Debug, Clone)]
pub struct TunnelEnds {
    /// Nothing moved in either direction for so long.
    pub idle: Duration,
    /// Raised when the drain time is over, a moment before connections are cut, so that clients can be told.
    pub closing: Cut,
}

/// Runs a tunnel to its end. `ends.idle` ends it when nothing moved in either direction for so long (up to a quarter more:
/// there is one timer per tunnel, not one per read). When `websocket` says that frames are relayed, a client whose
/// tunnel is cut is told why in a close frame, if it has whole frames so far.
///
/// Both halves are dropped at the end, which closes both connections.
pub async fn run<C, S>(mut client: C, mut server: S, cut: Cut, ends: &TunnelEnds, websocket: bool) -> TunnelOutcome
where
    C: AsyncRead + AsyncWrite + Unpin,
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut to_client = Flow::new(websocket.then(Frames::default));
    let mut to_server = Flow::new(None);
    let ended_by = {
        let copying = std::future::poll_fn(|cx| copy(&mut client, &mut server, &mut to_client, &mut to_server, cx));
        tokio::select! {
            // The cut is looked at first, so that a busy stream cannot outrun it.
            biased;
            reason = cut.raised() => TunnelEnd::Cut(reason),
            reason = ends.closing.raised() => TunnelEnd::Cut(reason),
            end = until_idle(copying, ends.idle) => end,
        }
    };
    if let Some((code, reason)) = close_reason(&ended_by)
        && to_client.frames.as_ref().is_some_and(Frames::allow_close)
    {
        // Best effort: the connection is closed in any case, and a client that does not read may not delay that.
        let close = async {
            client.write_all(&websocket::close_frame(code, reason)).await?;
            client.shutdown().await
        };
        let _ = tokio::time::timeout(CLOSE_WAIT, close).await;
    }
    TunnelOutcome { to_client: to_client.sent, to_server: to_server.sent, ended_by }
}

/// RFC 6455 section 7.4.1: 1008 policy violation, 1001 going away.
const fn close_reason(end: &TunnelEnd) -> Option<(u16, &'static str)> {
    match end {
        TunnelEnd::Cut(reason @ CutReason::ShuttingDown) => Some((1001, reason.word())),
        TunnelEnd::Cut(reason) => Some((1008, reason.word())),
        TunnelEnd::Idle => Some((1001, "idle")),
        TunnelEnd::Finished | TunnelEnd::Client(_) | TunnelEnd::Server(_) => None,
    }
}

/// Polls `copying`, which tells when bytes moved, and looks four times per `idle` whether any did.
async fn until_idle(mut copying: impl Future<Output = Moved> + Unpin, idle: Duration) -> TunnelEnd {
    let beat = (idle / BEATS).max(Duration::from_millis(1));
    let mut timer = Box::pin(tokio::time::sleep(beat));
    let mut quiet = 0;
    loop {
        tokio::select! {
            biased;
            moved = &mut copying => match moved {
                Moved::Some => {
                    quiet = 0;
                    // A stream that never runs dry must still let the cut and the other tasks have their turn.
                    tokio::task::consume_budget().await;
                }
                Moved::End(end) => return end,
            },
            () = &mut timer => {
                // The first beat of a quiet time is a partial one and does not count.
                quiet += 1;
                if quiet > BEATS {
                    return TunnelEnd::Idle;
                }
                timer.set(tokio::time::sleep(beat));
            }
        }
    }
}

enum Moved {
    Some,
    End(TunnelEnd),
}

/// Moves what can be moved in both directions. Ready whenever something was.
fn copy<C, S>(
    client: &mut C,
    server: &mut S,
    to_client: &mut Flow,
    to_server: &mut Flow,
    cx: &mut Context<'_>,
) -> Poll<Moved>
where
    C: AsyncRead + AsyncWrite + Unpin,
    S: AsyncRead + AsyncWrite + Unpin,
{
    let before = (to_client.sent, to_server.sent);
    let up = to_server.poll(client, server, cx);
    let down = to_client.poll(server, client, cx);
    let end = match (up, down) {
        (Poll::Ready(Err(Side::Source(error))), _) | (_, Poll::Ready(Err(Side::Sink(error)))) => {
            TunnelEnd::Client(error)
        }
        (Poll::Ready(Err(Side::Sink(error))), _) | (_, Poll::Ready(Err(Side::Source(error)))) => {
            TunnelEnd::Server(error)
        }
        (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => TunnelEnd::Finished,
        _ if before == (to_client.sent, to_server.sent) => return Poll::Pending,
        _ => return Poll::Ready(Moved::Some),
    };
    Poll::Ready(Moved::End(end))
}

/// One direction, with a buffer that is all it ever holds.
struct Flow {
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    state: FlowState,
    sent: u64,
    unflushed: bool,
    frames: Option<Frames>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum FlowState {
    Open,
    /// The source is done; its end is passed on once everything is.
    Ending,
    Ended,
}

/// Which end of a direction failed.
enum Side {
    Source(io::Error),
    Sink(io::Error),
}

impl Flow {
    fn new(frames: Option<Frames>) -> Self {
        let buffer = vec![0; BUFFER].into_boxed_slice();
        Self { buffer, start: 0, end: 0, state: FlowState::Open, sent: 0, unflushed: false, frames }
    }

    /// Moves bytes until one side has to wait. Ready when the end has been passed on.
    fn poll<R, W>(&mut self, source: &mut R, sink: &mut W, cx: &mut Context<'_>) -> Poll<Result<(), Side>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        // Bounded, so that one direction of a busy tunnel cannot starve the other or the rest of the worker.
        for _ in 0..ROUNDS {
            if self.state == FlowState::Ended {
                return Poll::Ready(Ok(()));
            }
            while self.start < self.end {
                let bytes = self.buffer.get(self.start..self.end).unwrap_or_default();
                let length = ready!(Pin::new(&mut *sink).poll_write(cx, bytes)).map_err(Side::Sink)?;
                if length == 0 {
                    return Poll::Ready(Err(Side::Sink(io::ErrorKind::WriteZero.into())));
                }
                if let Some(frames) = &mut self.frames {
                    frames.follow(bytes.get(..length).unwrap_or_default());
                }
                self.start += length;
                self.sent = self.sent.saturating_add(length as u64);
                self.unflushed = true;
            }
            if self.state == FlowState::Ending {
                ready!(Pin::new(&mut *sink).poll_shutdown(cx)).map_err(Side::Sink)?;
                self.state = FlowState::Ended;
                return Poll::Ready(Ok(()));
            }
            let mut read = ReadBuf::new(&mut self.buffer);
            match Pin::new(&mut *source).poll_read(cx, &mut read) {
                Poll::Ready(result) => result.map_err(Side::Source)?,
                Poll::Pending => {
                    if self.unflushed {
                        ready!(Pin::new(&mut *sink).poll_flush(cx)).map_err(Side::Sink)?;
                        self.unflushed = false;
                    }
                    return Poll::Pending;
                }
            }
            (self.start, self.end) = (0, read.filled().len());
            if self.end == 0 {
                self.state = FlowState::Ending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Bytes held per direction.
const BUFFER: usize = 16 * 1024;

/// Reads per direction before others get their turn.
const ROUNDS: usize = 16;

/// Into how many parts the idle time is cut.
const BEATS: u32 = 4;

/// How long a client may take to be told why it is cut.
const CLOSE_WAIT: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests;
