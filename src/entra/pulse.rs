//! Whether the provider answers at this moment, asked by at most one request at a time and shared by everybody who
//! waited for it.

use std::future::Future;
use std::time::Duration;

use tokio::sync::Mutex;

use super::error::{EntraError, UnreachableCause};
use crate::facts::{SharedClock, Tick};

/// The last answer to "are you there?".
pub(super) struct Pulse {
    clock: SharedClock,
    /// Held while asking, so that everybody who wants to know waits for the same question.
    last: Mutex<Option<(Tick, Result<(), EntraError>)>>,
}

impl Pulse {
    pub(super) fn new(clock: SharedClock) -> Self {
        Self { clock, last: Mutex::default() }
    }

    /// Whether the provider answered after this was asked; the question is `ask`, over within [`DEADLINE`].
    ///
    /// A good answer from before says nothing about now, so it is never used: nobody is sent to a provider that has died
    /// since. What is bounded instead is how often it is asked: once per asker at most, one question at a time, and
    /// [`PAUSE`] between two. A bad answer is remembered, which costs a page and no dead end.
    pub(super) async fn feel(&self, ask: impl Future<Output = Result<(), EntraError>>) -> Result<(), EntraError> {
        let asked = self.clock.tick();
        let mut last = self.last.lock().await;
        if let Some((at, outcome)) = &*last {
            let ago = self.clock.tick().since(*at);
            // Within one millisecond, before and after cannot be told apart; that counts as before.
            let counts = if outcome.is_ok() { *at > asked } else { ago < BAD_LASTS };
            if counts {
                return outcome.clone();
            }
            if outcome.is_ok() && ago < PAUSE {
                tokio::time::sleep(PAUSE - ago).await;
            }
        }
        let outcome = tokio::time::timeout(DEADLINE, ask)
            .await
            .unwrap_or_else(|_| Err(EntraError::unreachable(UnreachableCause::Timeout)));
        *last = Some((self.clock.tick(), outcome.clone()));
        outcome
    }
}

/// A person who waits longer than this for a page thinks that this gateway is down, not the provider.
const DEADLINE: Duration = Duration::from_millis(1500);
/// Between two questions to a provider that answers, so that a crowd of strangers cannot make this gateway a nuisance.
const PAUSE: Duration = Duration::from_millis(100);
/// Sign-in is back this soon after the provider is, and a dead provider is asked no more often than this.
const BAD_LASTS: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::facts::{ManualClock, UnixTime};

    fn pulse() -> (Arc<Pulse>, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::at(UnixTime(1_790_000_000)));
        (Arc::new(Pulse::new(clock.clone())), clock)
    }

    fn dead() -> Result<(), EntraError> {
        Err(EntraError::unreachable(UnreachableCause::Connect))
    }

    #[tokio::test(start_paused = true)]
    async fn a_good_answer_serves_only_those_who_asked_before_it_and_a_bad_one_lasts_a_second() {
        let (pulse, clock) = pulse();
        assert!(pulse.feel(async { Ok(()) }).await.is_ok());
        // The provider dies at once.
        assert!(pulse.feel(async { dead() }).await.is_err());
        clock.advance(Duration::from_millis(900));
        assert!(pulse.feel(async { Ok(()) }).await.is_err(), "still remembered");
        clock.advance(Duration::from_millis(200));
        assert!(pulse.feel(async { Ok(()) }).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_crowd_shares_an_answer_and_two_questions_are_a_pause_apart() {
        let (pulse, clock) = pulse();
        let began = tokio::time::Instant::now();
        let asked = Arc::new(AtomicUsize::new(0));
        let ask = |asked: &Arc<AtomicUsize>, clock: &Arc<ManualClock>| {
            let (asked, clock) = (Arc::clone(asked), Arc::clone(clock));
            async move {
                asked.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                clock.advance(Duration::from_millis(1));
                Ok(())
            }
        };
        let mut crowd = tokio::task::JoinSet::new();
        for _ in 0..100 {
            let (pulse, ask) = (Arc::clone(&pulse), ask(&asked, &clock));
            crowd.spawn(async move { pulse.feel(ask).await });
        }
        assert!(crowd.join_all().await.iter().all(Result::is_ok));
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        assert!(pulse.feel(ask(&asked, &clock)).await.is_ok());
        assert_eq!(asked.load(Ordering::Relaxed), 2);
        assert_eq!(began.elapsed(), PAUSE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_crowd_asks_a_silent_provider_once_and_waits_no_longer_than_one_of_them() {
        let (pulse, _clock) = pulse();
        let asked = Arc::new(AtomicUsize::new(0));
        let began = tokio::time::Instant::now();
        let crowd: Vec<_> = (0..100)
            .map(|_| {
                let (pulse, asked) = (Arc::clone(&pulse), Arc::clone(&asked));
                tokio::spawn(async move {
                    let ask = async {
                        asked.fetch_add(1, Ordering::Relaxed);
                        std::future::pending().await
                    };
                    pulse.feel(ask).await
                })
            })
            .collect();
        for one in crowd {
            let error = one.await.unwrap().unwrap_err();
            assert!(matches!(error, EntraError::Unreachable { cause: UnreachableCause::Timeout, .. }), "{error}");
        }
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        assert!(began.elapsed() < Duration::from_secs(2));
    }
}
