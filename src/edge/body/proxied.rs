//! An upstream's body on its way to the client: no box per request, and the permission is watched only while waiting.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Sleep;

use super::BodyError;
use crate::cut::{Cut, Raised};

/// How a body ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyEnd {
    /// All of it was read from the upstream.
    Complete,
    /// The upstream broke off, or sent nothing for too long.
    Broken,
    /// The permission was taken back.
    Cut,
    /// The client went away first.
    Dropped,
}

/// Hears once how a body ended.
pub type OnEnd = Box<dyn FnOnce(BodyEnd) + Send>;

/// A body passed through. Trailers other than those of gRPC are left out.
pub struct Proxied {
    incoming: Incoming,
    cut: Option<Cut>,
    /// The wake-up for a cut; made when the body first has to wait.
    raised: Option<Raised>,
    idle: Option<Duration>,
    /// Made when the body first has to wait.
    sleep: Option<Pin<Box<Sleep>>>,
    /// Whether anything came since the sleep began.
    progress: bool,
    on_end: Option<OnEnd>,
    ended: bool,
}

impl Proxied {
    /// See [`super::Body::proxied`].
    #[must_use]
    pub fn new(incoming: Incoming, cut: Option<Cut>, on_end: Option<OnEnd>) -> Self {
        Self { incoming, cut, raised: None, idle: None, sleep: None, progress: false, on_end, ended: false }
    }

    /// Gives the body up when the client waits and the upstream sends nothing for `idle` (at most twice as long: the
    /// time is not set back for every piece). Zero is no such deadline.
    #[must_use]
    pub fn give_up_after(mut self, idle: Duration) -> Self {
        self.idle = (!idle.is_zero()).then_some(idle);
        self
    }

    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        loop {
            if self.ended {
                return Poll::Ready(None);
            }
            if let Some(reason) = self.cut.as_ref().and_then(Cut::reason) {
                self.end(BodyEnd::Cut);
                return Poll::Ready(Some(Err(BodyError::Cut(reason))));
            }
            match Pin::new(&mut self.incoming).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    self.progress = true;
                    if let Some(frame) = pass_frame(frame) {
                        return Poll::Ready(Some(Ok(frame)));
                    }
                }
                Poll::Ready(Some(Err(error))) => {
                    self.end(BodyEnd::Broken);
                    return Poll::Ready(Some(Err(BodyError::Upstream(error))));
                }
                Poll::Ready(None) => {
                    self.end(BodyEnd::Complete);
                    return Poll::Ready(None);
                }
                Poll::Pending if self.poll_cut(cx).is_ready() => {}
                Poll::Pending => {
                    return self.poll_idle(cx).map(|()| {
                        self.end(BodyEnd::Broken);
                        Some(Err(BodyError::Stalled))
                    });
                }
            }
        }
    }

    pub(super) fn is_end_stream(&self) -> bool {
        self.ended || self.incoming.is_end_stream()
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }

    fn poll_cut(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(cut) = &self.cut else { return Poll::Pending };
        Pin::new(self.raised.get_or_insert_with(|| cut.raised())).poll(cx).map(|_reason| ())
    }

    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(idle) = self.idle else { return Poll::Pending };
        loop {
            let sleep = match &mut self.sleep {
                Some(sleep) => sleep,
                None => {
                    self.progress = false;
                    self.sleep.insert(Box::pin(tokio::time::sleep(idle)))
                }
            };
            std::task::ready!(sleep.as_mut().poll(cx));
            if !self.progress {
                return Poll::Ready(());
            }
            self.sleep = None;
        }
    }

    fn end(&mut self, end: BodyEnd) {
        self.ended = true;
        if let Some(on_end) = self.on_end.take() {
            on_end(end);
        }
    }
}

impl Drop for Proxied {
    fn drop(&mut self) {
        if !self.ended {
            let end = if self.incoming.is_end_stream() { BodyEnd::Complete } else { BodyEnd::Dropped };
            self.end(end);
        }
    }
}

/// Data as it is, trailers as far as they are allowed.
fn pass_frame(frame: Frame<Bytes>) -> Option<Frame<Bytes>> {
    match frame.into_trailers() {
        Ok(trailers) => {
            let kept = keep_allowed_trailers(trailers);
            (!kept.is_empty()).then(|| Frame::trailers(kept))
        }
        Err(frame) => Some(frame),
    }
}

/// The trailers that are relayed, in either direction: those of gRPC. A trailer can carry any header's name, and some
/// receivers merge trailers into headers that have been checked before (HP-15).
#[must_use]
pub fn keep_allowed_trailers(trailers: HeaderMap) -> HeaderMap {
    let allowed = |name: &HeaderName| name.as_str().starts_with("grpc-");
    if trailers.keys().all(allowed) {
        return trailers;
    }
    let kept = trailers.iter().filter(|(name, _)| allowed(name));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn only_grpc_trailers_are_kept() {
        let mut trailers = HeaderMap::new();
        for name in ["grpc-status", "grpc-message", "x-auth-user", "content-length", "cookie"] {
            trailers.insert(HeaderName::from_static(name), HeaderValue::from_static("1"));
        }
        let kept = keep_allowed_trailers(trailers);
        let mut names: Vec<_> = kept.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["grpc-message", "grpc-status"]);
    }
}
