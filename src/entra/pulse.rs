//! Whether the provider answers at this moment, asked by at most one request at a time and remembered for a breath.

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

    /// The remembered answer, or the outcome of `ask` within [`DEADLINE`].
    pub(super) async fn feel(&self, ask: impl Future<Output = Result<(), EntraError>>) -> Result<(), EntraError> {
        let mut last = self.last.lock().await;
        if let Some((at, outcome)) = &*last {
            let lasts = if outcome.is_ok() { GOOD_LASTS } else { BAD_LASTS };
            if self.clock.tick().since(*at) < lasts {
                return outcome.clone();
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
/// A provider that answered is trusted to do so again for this long.
const GOOD_LASTS: Duration = Duration::from_secs(5);
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

    #[tokio::test]
    async fn a_good_answer_lasts_five_seconds_and_a_bad_one_one() {
        let (pulse, clock) = pulse();
        assert!(pulse.feel(async { Ok(()) }).await.is_ok());
        clock.advance(Duration::from_millis(4_900));
        assert!(pulse.feel(async { dead() }).await.is_ok(), "still remembered");
        clock.advance(Duration::from_millis(200));
        assert!(pulse.feel(async { dead() }).await.is_err());
        clock.advance(Duration::from_millis(900));
        assert!(pulse.feel(async { Ok(()) }).await.is_err(), "still remembered");
        clock.advance(Duration::from_millis(200));
        assert!(pulse.feel(async { Ok(()) }).await.is_ok());
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
