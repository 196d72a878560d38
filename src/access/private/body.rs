//! Bodies on their way through: counted, watched, never collected.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use super::upstream::{Fired, Lease, Phase, Watch};
use crate::access::gate::Permit;
use crate::access::stream::{Opening, StreamEntry};
use crate::cut::{CutReason, Raised};
use crate::edge::BodyError;
use crate::session::StreamGuard;
use crate::telemetry::WorkerMetrics;

/// A request body on its way to the upstream.
#[derive(Default)]
pub(super) struct Outgoing {
    body: Option<Incoming>,
    /// Bytes the app still accepts; `None` for no cap.
    left: Option<u64>,
    watch: Option<Arc<Watch>>,
    /// Whether trailers pass (gRPC over HTTP/2 only).
    trailers: bool,
    received: Option<Arc<WorkerMetrics>>,
    /// How long the client may send nothing; `None` where the edge watches that.
    idle: Option<Duration>,
    stalled: Option<Stalled>,
}

/// The deadline of a request body, made when the client first keeps us waiting and moved on when it does again.
struct Stalled {
    at: Pin<Box<Sleep>>,
    /// Something came since the deadline was set.
    moved: bool,
}

/// The request body could not be forwarded to its end; the upstream's connection is broken off.
#[derive(Debug, thiserror::Error)]
pub(super) enum OutgoingError {
    #[error("the request body is larger than the app allows")]
    TooLarge,
    #[error("the client's request body broke off")]
    Client(#[source] hyper::Error),
    #[error("the client sent nothing more of its request body in time")]
    Stalled,
    #[error("the permission was taken back")]
    Cut,
}

impl Outgoing {
    /// No body.
    pub(super) fn empty() -> Self {
        Self::default()
    }

    /// The client's body, of at most `cap` bytes. With `idle` it fails once nothing came for that long.
    pub(super) fn new(body: Incoming, cap: Option<u64>, idle: Option<Duration>, opening: Option<&Opening<'_>>) -> Self {
        if body.is_end_stream() {
            return Self::empty();
        }
        let received = opening.map(|opening| Arc::clone(opening.worker()));
        Self { body: Some(body), left: cap, received, idle, ..Self::default() }
    }

    /// Binds the body to the connection it is sent on.
    pub(super) fn on(&mut self, watch: &Arc<Watch>, trailers: bool) {
        if self.body.is_some() {
            self.watch = Some(Arc::clone(watch));
            self.trailers = trailers;
        }
    }

    fn fire(&self, why: Fired) {
        if let Some(watch) = &self.watch {
            watch.fire(why);
        }
    }

    /// Nothing came. The timer is made here and not with the request, and setting it on costs no more than a store, so
    /// a body that is all there when asked for pays nothing.
    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, OutgoingError>>> {
        if let Some(watch) = &self.watch {
            watch.wait(Phase::Uploading);
        }
        let Some(idle) = self.idle else { return Poll::Pending };
        let stalled =
            self.stalled.get_or_insert_with(|| Stalled { at: Box::pin(tokio::time::sleep(idle)), moved: false });
        if std::mem::take(&mut stalled.moved) {
            stalled.at.as_mut().reset(Instant::now() + idle);
        }
        if stalled.at.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.fire(Fired::ClientStalled);
        Poll::Ready(Some(Err(OutgoingError::Stalled)))
    }

    fn count(&mut self, frame: &Frame<Bytes>) -> Result<(), OutgoingError> {
        let length = length_of(frame);
        if let Some(received) = &self.received {
            received.bytes_in.add(length);
        }
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(length).ok_or(OutgoingError::TooLarge)?;
        }
        Ok(())
    }
}

impl HttpBody for Outgoing {
    type Data = Bytes;
    type Error = OutgoingError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, OutgoingError>>> {
        let this = self.get_mut();
        // An HTTP/2 upstream goes on reading a body after its answer has been given up.
        if this.watch.as_ref().is_some_and(|watch| watch.is_cut()) {
            this.fire(Fired::Cut);
            return Poll::Ready(Some(Err(OutgoingError::Cut)));
        }
        let Some(body) = &mut this.body else { return Poll::Ready(None) };
        match Pin::new(body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(watch) = &this.watch {
                    watch.step(Phase::Head);
                }
                if let Some(stalled) = &mut this.stalled {
                    stalled.moved = true;
                }
                if let Err(error) = this.count(&frame) {
                    this.fire(Fired::TooLarge);
                    return Poll::Ready(Some(Err(error)));
                }
                if frame.is_trailers() && !this.trailers {
                    this.body = None;
                    return Poll::Ready(None);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                this.fire(Fired::ClientBroke);
                Poll::Ready(Some(Err(OutgoingError::Client(error))))
            }
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => this.wait(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

/// A response body on its way to the client. Holds the permit it streams under and the connection it comes from;
/// the connection goes back to the pool with the last byte, and is closed if the body ends any other way.
pub(super) struct Proxied {
    body: Incoming,
    lease: Option<Lease>,
    permit: Permit,
    /// Only for HTTP/2 upstreams, where the sweep does not help; made when the client first has to wait.
    waiting: Option<Box<Waiting>>,
    idle: Duration,
    entry: Option<StreamEntry>,
    /// A stream that has once had to wait counts as a use of the session until it ends.
    held: Option<StreamGuard>,
}

struct Waiting {
    raised: Raised,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Proxied {
    pub(super) fn new(
        body: Incoming,
        lease: Lease,
        permit: Permit,
        idle: Duration,
        opening: Option<&Opening<'_>>,
    ) -> Self {
        if let Some(watch) = lease.watch() {
            watch.step(Phase::Delivering);
        }
        let entry = opening.map(Opening::body);
        Self { body, lease: Some(lease), permit, waiting: None, idle, entry, held: None }
    }

    fn next(&mut self, frame: Frame<Bytes>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(watch) = self.lease.as_ref().and_then(Lease::watch) {
            watch.step(Phase::Delivering);
        }
        self.waiting = None;
        let frame = match frame.into_trailers() {
            Ok(trailers) => {
                self.lease = None;
                let kept = allowed_trailers(&trailers);
                return if kept.is_empty() { Poll::Ready(None) } else { Poll::Ready(Some(Ok(Frame::trailers(kept)))) };
            }
            Err(frame) => frame,
        };
        // hyper asks no further after the last byte of a known length, so this is where the connection comes free.
        if self.body.is_end_stream() {
            self.lease = None;
        }
        if let Some(entry) = &self.entry {
            entry.sent(length_of(&frame));
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn broken(&mut self, error: hyper::Error) -> BodyError {
        let lease = self.lease.take();
        let watch = lease.as_ref().and_then(Lease::watch);
        match watch.and_then(|watch| watch.fired()) {
            Some(Fired::Cut) => {
                let reason = watch.map_or(CutReason::VerdictChanged, |watch| watch.cut_reason());
                self.cut(reason)
            }
            Some(Fired::Late | Fired::ClientStalled) => BodyError::Stalled,
            _ => BodyError::Upstream(error),
        }
    }

    /// Ends the stream because its permit was taken back, which is noted once.
    fn cut(&mut self, reason: CutReason) -> BodyError {
        self.lease = None;
        if let Some(entry) = self.entry.take() {
            entry.cut(&self.permit, reason);
        }
        BodyError::Cut(reason)
    }

    /// Nothing to deliver: the sweep watches HTTP/1.1 connections; an HTTP/2 stream watches itself.
    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.held.is_none() {
            self.held = self.permit.person().map(|person| person.session.hold());
        }
        let Some(lease) = &self.lease else { return Poll::Pending };
        if !lease.is_http2() {
            if let Some(watch) = lease.watch() {
                watch.wait(Phase::Body);
            }
            return Poll::Pending;
        }
        let idle = self.idle;
        let waiting = self.waiting.get_or_insert_with(|| {
            let stalled = (!idle.is_zero()).then(|| Box::pin(tokio::time::sleep_until(Instant::now() + idle)));
            Box::new(Waiting { raised: self.permit.cut().raised(), stalled })
        });
        if let Poll::Ready(reason) = Pin::new(&mut waiting.raised).poll(cx) {
            return Poll::Ready(Some(Err(self.cut(reason))));
        }
        if waiting.stalled.as_mut().is_some_and(|sleep| sleep.as_mut().poll(cx).is_ready()) {
            self.lease = None;
            return Poll::Ready(Some(Err(BodyError::Stalled)));
        }
        Poll::Pending
    }
}

impl HttpBody for Proxied {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        if let Some(reason) = this.permit.cut().reason() {
            return Poll::Ready(Some(Err(this.cut(reason))));
        }
        match Pin::new(&mut this.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => this.next(frame),
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(this.broken(error)))),
            Poll::Ready(None) => {
                this.lease = None;
                Poll::Ready(None)
            }
            Poll::Pending => this.wait(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn length_of(frame: &Frame<Bytes>) -> u64 {
    frame.data_ref().map_or(0, |data| u64::try_from(data.len()).unwrap_or(u64::MAX))
}

/// Trailers that pass to the client; all others could be taken for headers (HP-15).
fn allowed_trailers(trailers: &HeaderMap) -> HeaderMap {
    const ALLOWED: [&str; 6] =
        ["grpc-status", "grpc-message", "grpc-status-details-bin", "server-timing", "digest", "content-digest"];
    let mut kept = HeaderMap::new();
    for name in ALLOWED.map(HeaderName::from_static) {
        if let Some(value) = trailers.get(&name) {
            kept.insert(name, value.clone());
        }
    }
    kept
}

#[cfg(test)]
mod tests;
