//! The signal that a yes has been taken back: raised once, seen by everything that still streams under it.
//!
//! A request that ends quickly only reads one atomic. Only a stream that really waits registers itself, so the
//! common case costs no allocation and no lock.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

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
    /// Whose turn it is, above the low byte, and in it zero while the yes stands, else the reason's code.
    word: AtomicU64,
    raised: Arc<Notify>,
}

impl State {
    fn new() -> Arc<Self> {
        Arc::new(Self { word: AtomicU64::new(0), raised: Arc::new(Notify::new()) })
    }

    /// The reason raised in `turn`; of another turn nothing is said.
    fn reason(&self, turn: u64) -> Option<CutReason> {
        let word = self.word.load(Ordering::Acquire);
        let code = u8::try_from(word & 0xff).unwrap_or(0);
        if word >> 8 == turn { CutReason::from_code(code) } else { None }
    }
}

/// A shared handle to one signal; clones see the same state. A signal may hang under another: raising that one raises
/// it too.
#[derive(Debug, Clone)]
pub struct Cut {
    state: Arc<State>,
    turn: u64,
    above: Option<Arc<State>>,
}

impl Cut {
    /// A signal that has not been raised.
    #[must_use]
    pub fn new() -> Self {
        Self { state: State::new(), turn: 0, above: None }
    }

    /// A signal of its own that is also raised when `above` is. Only one level is followed, so `above` must not hang
    /// under a third.
    #[must_use]
    pub fn under(above: &Self) -> Self {
        Self { state: State::new(), turn: 0, above: Some(Arc::clone(&above.state)) }
    }

    /// The same memory as a new signal under `above`, for who hands out many in a row. Handles of the turn before are
    /// not raised any more, whatever happens.
    #[must_use]
    pub fn renewed(&self, above: &Self) -> Self {
        let turn = self.turn.wrapping_add(1) & TURNS;
        self.state.word.store(turn << 8, Ordering::Release);
        Self { state: Arc::clone(&self.state), turn, above: Some(Arc::clone(&above.state)) }
    }

    /// Raises the signal and wakes every waiter. The first reason stays; later calls change nothing.
    pub fn raise(&self, reason: CutReason) {
        let (quiet, raised) = (self.turn << 8, (self.turn << 8) | u64::from(reason as u8));
        let first = self.state.word.compare_exchange(quiet, raised, Ordering::AcqRel, Ordering::Acquire).is_ok();
        if first {
            self.state.raised.notify_waiters();
        }
    }

    /// The reason, once raised.
    #[must_use]
    pub fn reason(&self) -> Option<CutReason> {
        // What is above never has a second turn.
        self.state.reason(self.turn).or_else(|| self.above.as_ref().and_then(|above| above.reason(0)))
    }

    /// Whether the signal has been raised.
    #[must_use]
    pub fn is_raised(&self) -> bool {
        self.reason().is_some()
    }

    /// A future that ends with the reason when the signal is raised; at once if it already is.
    #[must_use]
    pub fn raised(&self) -> Raised {
        let waiter = |state: &Arc<State>| Box::pin(Arc::clone(&state.raised).notified_owned());
        Raised { own: waiter(&self.state), above: self.above.as_ref().map(waiter), cut: self.clone() }
    }
}

/// Turns of one signal before the first comes again.
const TURNS: u64 = u64::MAX >> 8;

impl Default for Cut {
    fn default() -> Self {
        Self::new()
    }
}

/// See [`Cut::raised`]. Boxed inside, because the waiter's place in the list must not move.
#[derive(Debug)]
pub struct Raised {
    own: Pin<Box<OwnedNotified>>,
    above: Option<Pin<Box<OwnedNotified>>>,
    cut: Cut,
}

impl Future for Raised {
    type Output = CutReason;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<CutReason> {
        loop {
            // `notify_waiters` reaches every `Notified` made before it, and the word is written before it is called: a
            // future made before the raise is notified, one made after sees the word.
            if let Some(reason) = self.cut.reason() {
                return Poll::Ready(reason);
            }
            let mut woken = false;
            if self.own.as_mut().poll(cx).is_ready() {
                // Another turn's raise: this handle waits on.
                self.own = Box::pin(Arc::clone(&self.cut.state.raised).notified_owned());
                woken = true;
            }
            if self.above.as_mut().is_some_and(|above| above.as_mut().poll(cx).is_ready()) {
                self.above = self.cut.above.as_ref().map(|above| Box::pin(Arc::clone(&above.raised).notified_owned()));
                woken = true;
            }
            if !woken {
                return Poll::Pending;
            }
        }
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

    #[tokio::test]
    async fn a_signal_under_another_is_raised_by_either_and_raises_only_itself() {
        let above = Cut::new();
        let (first, second) = (Cut::under(&above), Cut::under(&above));
        let (one, two) = (tokio::spawn(first.raised()), tokio::spawn(second.raised()));
        tokio::task::yield_now().await;
        first.raise(CutReason::VerdictChanged);
        assert_eq!(one.await.unwrap(), CutReason::VerdictChanged);
        assert!(!second.is_raised() && !above.is_raised());
        above.raise(CutReason::SignedOut);
        assert_eq!(two.await.unwrap(), CutReason::SignedOut);
        assert_eq!(first.reason(), Some(CutReason::VerdictChanged));
    }

    #[tokio::test]
    async fn a_handle_of_an_earlier_turn_hears_nothing_of_the_next() {
        let above = Cut::new();
        let first = Cut::under(&above);
        first.raise(CutReason::VerdictChanged);
        let second = first.renewed(&above);
        assert!(!first.is_raised() && !second.is_raised());
        let stale = tokio::spawn(first.raised());
        let waiter = tokio::spawn(second.raised());
        tokio::task::yield_now().await;
        first.raise(CutReason::Revoked);
        assert!(!second.is_raised(), "an earlier turn's handle raises nothing");
        second.raise(CutReason::Expired);
        assert_eq!(waiter.await.unwrap(), CutReason::Expired);
        assert!(!stale.is_finished());
        above.raise(CutReason::SignedOut);
        assert_eq!(stale.await.unwrap(), CutReason::SignedOut);
    }
}
