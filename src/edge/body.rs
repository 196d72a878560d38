//! The one body type of responses to clients.

mod proxied;

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;

pub use proxied::{BodyEnd, OnEnd, Proxied, keep_allowed_trailers};

use crate::cut::Cut;

/// Why a response body could not be finished; the client's stream is then aborted, never ended as if complete.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The upstream broke off or broke the protocol.
    #[error("the upstream's body broke off")]
    Upstream(#[source] hyper::Error),
    /// The permission to stream was taken back.
    #[error("the stream was cut: {}", .0.word())]
    Cut(crate::cut::CutReason),
    /// The upstream sent nothing for too long.
    #[error("the upstream's body made no progress in time")]
    Stalled,
}

/// A response body: bytes in hand, a body passed through from an upstream, or a stream made elsewhere.
#[derive(Default)]
pub enum Body {
    /// Nothing.
    #[default]
    Empty,
    /// Bytes in hand.
    Full(Bytes),
    /// What an upstream sends, passed through.
    Proxied(Proxied),
    /// A stream; boxed because several kinds share this place.
    Stream(Pin<Box<dyn HttpBody<Data = Bytes, Error = BodyError> + Send>>),
}

impl Body {
    /// A body of bytes in hand.
    #[must_use]
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        Self::Full(bytes.into())
    }

    /// What an upstream sends, passed through until `cut` is raised. `on_end` hears once how it ended.
    #[must_use]
    pub fn proxied(incoming: Incoming, cut: Option<Cut>, on_end: Option<OnEnd>) -> Self {
        Self::Proxied(Proxied::new(incoming, cut, on_end))
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Empty => "Body::Empty",
            Self::Full(_) => "Body::Full",
            Self::Proxied(_) => "Body::Proxied",
            Self::Stream(_) => "Body::Stream",
        })
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        match this {
            Self::Empty => Poll::Ready(None),
            Self::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                *this = Self::Empty;
                if bytes.is_empty() { Poll::Ready(None) } else { Poll::Ready(Some(Ok(Frame::data(bytes)))) }
            }
            Self::Proxied(proxied) => proxied.poll_frame(cx),
            Self::Stream(stream) => stream.as_mut().poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Full(bytes) => bytes.is_empty(),
            Self::Proxied(proxied) => proxied.is_end_stream(),
            Self::Stream(stream) => stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Proxied(proxied) => proxied.size_hint(),
            Self::Stream(stream) => stream.size_hint(),
        }
    }
}
