//! What one data-plane worker counts, as a whole and per app.

use super::count::Count;
use super::histogram::Histogram;
use crate::cut::CutReason;
use crate::policy::{Reason, Verdict};

/// What one data-plane worker counts.
#[derive(Debug, Default)]
pub struct WorkerMetrics {
    /// Connections accepted.
    pub connections: Count,
    /// Connections open now.
    pub connections_open: Count,
    /// Connections closed at once because a cap was reached.
    pub connections_refused: Count,
    /// TLS handshakes that succeeded from scratch.
    pub handshakes_full: Count,
    /// TLS handshakes that resumed an earlier session.
    pub handshakes_resumed: Count,
    /// TLS handshakes that failed or timed out.
    pub handshakes_failed: Count,
    /// Requests, by class of the status sent: index 1 to 5 for 1xx to 5xx, 0 for none sent.
    pub responses: [Count; 6],
    /// Bytes received from clients (request bodies and tunnels).
    pub bytes_in: Count,
    /// Bytes sent to clients (response bodies and tunnels).
    pub bytes_out: Count,
    /// Decisions, by verdict in the order of [`Verdict::ALL`] and in it by reason in the order of [`Reason::ALL`].
    pub decisions: [[Count; Reason::ALL.len()]; Verdict::ALL.len()],
    /// Streams, tunnels and long downloads open under a permit now.
    pub streams_open: Count,
    /// Streams ended because the permit was taken back, by reason in the order of [`CutReason::ALL`].
    pub streams_cut: [Count; CutReason::ALL.len()],
    /// Requests whose session was the one the connection had last verified.
    pub session_memo_hits: Count,
    /// Requests whose session was found in memory.
    pub session_cache_hits: Count,
    /// Requests whose session had to be loaded from the store.
    pub session_cache_misses: Count,
    /// Panics caught at a connection's or request's edge; each is a bug.
    pub panics: Count,
    refusals: Refusals,
}

impl WorkerMetrics {
    pub(super) fn with_refusals(words: &[&'static str]) -> Self {
        let named = words.iter().map(|word| (*word, Count::default())).collect();
        Self { refusals: Refusals { named, other: Count::default() }, ..Self::default() }
    }

    /// Counts a decision.
    pub fn decided(&self, verdict: Verdict, reason: Reason) {
        let row = Verdict::ALL.iter().position(|one| *one == verdict).and_then(|at| self.decisions.get(at));
        if let Some(row) = row {
            count_in(row, &Reason::ALL, reason);
        }
    }

    /// Counts a stream whose permit was taken back.
    pub fn cut(&self, reason: CutReason) {
        count_in(&self.streams_cut, &CutReason::ALL, reason);
    }

    /// Counts a response by its status.
    pub fn responded(&self, status: http::StatusCode) {
        count_status(&self.responses, status);
    }

    /// Counts a request refused before any decision, by the refuser's word. A word that was not given to
    /// [`super::Metrics::with_refusals`] counts as `other`.
    pub fn refused(&self, word: &str) {
        let named = self.refusals.named.iter().find(|(known, _)| *known == word);
        named.map_or(&self.refusals.other, |(_, count)| count).up();
    }

    /// Refusals by word, `other` last.
    pub(super) fn refusals(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let named = self.refusals.named.iter().map(|(word, count)| (*word, count.value()));
        named.chain([("other", self.refusals.other.value())])
    }
}

#[derive(Debug, Default)]
struct Refusals {
    named: Vec<(&'static str, Count)>,
    other: Count,
}

/// What one worker counts for one app.
#[derive(Debug, Default)]
pub struct AppMetrics {
    /// Requests forwarded or answered for the app, by class of the status sent (see [`WorkerMetrics::responses`]).
    pub responses: [Count; 6],
    /// From the request's head to the end of the response's body.
    pub request_duration: Histogram,
    /// From sending the request to the upstream to the head of its response.
    pub upstream_duration: Histogram,
    /// Requests the upstream did not answer properly, in the order of [`UpstreamFault::ALL`].
    pub upstream_faults: [Count; UpstreamFault::ALL.len()],
    /// Requests sent once more because the first connection was stale.
    pub upstream_retries: Count,
    /// Connections opened to upstreams.
    pub upstream_connections: Count,
    /// Instances left out after failures, each time it happens.
    pub upstream_ejections: Count,
}

impl AppMetrics {
    /// Counts a response by its status.
    pub fn responded(&self, status: http::StatusCode) {
        count_status(&self.responses, status);
    }

    /// Counts a request the upstream did not answer properly.
    pub fn upstream_failed(&self, fault: UpstreamFault) {
        count_in(&self.upstream_faults, &UpstreamFault::ALL, fault);
    }
}

/// How an upstream failed a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UpstreamFault {
    /// No instance could be reached.
    Unreachable,
    /// No answer in time.
    Timeout,
    /// It broke the protocol or closed before answering.
    Broken,
    /// Every connection slot was in use and the queue full.
    Busy,
}

impl UpstreamFault {
    /// Every fault.
    pub const ALL: [Self; 4] = [Self::Unreachable, Self::Timeout, Self::Broken, Self::Busy];

    /// The word in metrics and logs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::Broken => "broken",
            Self::Busy => "busy",
        }
    }
}

fn count_in<T: PartialEq + Copy>(counts: &[Count], all: &[T], one: T) {
    if let Some(count) = all.iter().position(|t| *t == one).and_then(|at| counts.get(at)) {
        count.up();
    }
}

fn count_status(classes: &[Count; 6], status: http::StatusCode) {
    let class = usize::from(status.as_u16() / 100);
    let class = if class <= 5 { class } else { 0 };
    if let Some(count) = classes.get(class) {
        count.up();
    }
}
