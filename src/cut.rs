//! The signal that a yes has been taken back: raised once, seen by everything that still streams under it.
//!
//! A request that ends quickly only reads one atomic. Only a stream that really waits registers itself, so the
//! common case costs no allocation and no lock.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};

use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

/// Why a stream was ended. One word, used alike by logs, metrics and the WebSocket close text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum CutReason {
    /// The person signed out.
    SignedOut = 1,
    /// An administrator ended the session.
    Revoked = 2,
    /// Absolute or idle lifetime is over.
    Expired = 3,
    /// The identity provider said the account or grant is no longer good.
    AccountLost = 4,
    /// The verdict for this stream changed.
    VerdictChanged = 5,
    /// The gateway is shutting down and the drain deadline passed.
    ShuttingDown = 6,
}

impl CutReason {
    /// Every reason, for closed lists such as metrics.
    pub const ALL: [Self; 6] =
        [Self::SignedOut, Self::Revoked, Self::Expired, Self::AccountLost, Self::VerdictChanged, Self::ShuttingDown];

    /// The word in logs, metrics and close frames.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::SignedOut => "signed_out",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
            Self::AccountLost => "account_lost",
            Self::VerdictChanged => "verdict_changed",
            Self::ShuttingDown => "shutting_down",
        }
    }

    fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| *reason as u8 == code)
    }
}

#[derive(Debug)]
struct State {
    /// Zero while the yes stands, else the reason's code. Written once.
    code: AtomicU8,
    raised: Arc<Notify>,
}

/// A shared handle to one signal; clones see the same state.
#[derive(Debug, Clone)]
pub struct Cut {
    state: Arc<State>,
}

impl Cut {
    /// A signal that has not been raised.
    #[must_use]
    pub fn new() -> Self {
        Self { state: Arc::new(State { code: AtomicU8::new(0), raised: Arc::new(Notify::new()) }) }
    }

    /// Raises the signal and wakes every waiter. The first reason stays; later calls change nothing.
    pub fn raise(&self, reason: CutReason) {
        let first = self.state.code.compare_exchange(0, reason as u8, Ordering::AcqRel, Ordering::Acquire).is_ok();
        if first {
            self.state.raised.notify_waiters();
        }
    }

    /// The reason, once raised.
    #[must_use]
    pub fn reason(&self) -> Option<CutReason> {
        CutReason::from_code(self.state.code.load(Ordering::Acquire))
    }

    /// Whether the signal has been raised.
    #[must_use]
    pub fn is_raised(&self) -> bool {
        self.state.code.load(Ordering::Acquire) != 0
    }

    /// A future that ends with the reason when the signal is raised; at once if it already is.
    #[must_use]
    pub fn raised(&self) -> Raised {
        Raised { notified: Box::pin(Arc::clone(&self.state.raised).notified_owned()), cut: self.clone() }
    }
}

impl Default for Cut {
    fn default() -> Self {
        Self::new()
    }
}

/// See [`Cut::raised`]. Boxed inside, because the waiter's place in the list must not move.
#[derive(Debug)]
pub struct Raised {
    notified: Pin<Box<OwnedNotified>>,
    cut: Cut,
}

impl Future for Raised {
    type Output = CutReason;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<CutReason> {
        // `notify_waiters` reaches every `Notified` made before it, and `code` is written before it is called: a
        // future made before the raise is notified, one made after sees the code.
        if let Some(reason) = self.cut.reason() {
            return Poll::Ready(reason);
        }
        ready!(self.notified.as_mut().poll(cx));
        Poll::Ready(self.cut.reason().unwrap_or(CutReason::VerdictChanged))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_waiter_wakes_with_the_first_reason() {
        let cut = Cut::new();
        let waiter = tokio::spawn(cut.raised());
        tokio::task::yield_now().await;
        cut.raise(CutReason::Revoked);
        cut.raise(CutReason::Expired);
        assert_eq!(waiter.await.unwrap(), CutReason::Revoked);
        assert_eq!(cut.reason(), Some(CutReason::Revoked));
    }

    #[tokio::test]
    async fn a_future_made_before_but_polled_after_the_raise_ends() {
        let cut = Cut::new();
        let raised = cut.raised();
        cut.raise(CutReason::Expired);
        assert_eq!(raised.await, CutReason::Expired);
    }
}
