//! Which instance gets the next request, and which is left out after failing.

use std::time::Duration;

use tokio::time::Instant;

use super::Upstream;
use crate::access::private::config::{Balance, UpstreamConfig};

/// The endpoints one request has already tried in vain.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::access::private) struct Tried(u64);

impl Tried {
    pub(super) const fn add(&mut self, endpoint: usize) {
        self.0 |= 1 << (endpoint % 64);
    }

    const fn has(self, endpoint: usize) -> bool {
        self.0 & (1 << (endpoint % 64)) != 0
    }
}

/// What a worker has seen of one endpoint.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// Requests from this worker that have not ended.
    pub(super) in_flight: usize,
    failures: u32,
    ejections: u32,
    out_until: Option<Instant>,
}

impl Record {
    /// A request was answered: the failures before it no longer count.
    pub(super) const fn succeeded(&mut self) {
        self.failures = 0;
        self.ejections = 0;
        self.out_until = None;
    }

    /// A request or a connection failed by the endpoint's fault. Answers whether the endpoint is left out for it.
    pub(super) fn failed(&mut self, config: &UpstreamConfig) -> bool {
        self.failures = self.failures.saturating_add(1);
        if config.eject_after == 0 || self.failures < config.eject_after {
            return false;
        }
        let span = ejection(config.eject_for, self.ejections);
        self.ejections = self.ejections.saturating_add(1);
        // Out now; the first failure after it is over puts it out again, for longer.
        self.failures = config.eject_after - 1;
        self.out_until = Instant::now().checked_add(span);
        true
    }

    fn is_out(&self) -> bool {
        self.out_until.is_some_and(|until| Instant::now() < until)
    }
}

/// Doubling, up to ten times the configured span.
fn ejection(span: Duration, before: u32) -> Duration {
    let factor = 1u32.checked_shl(before).unwrap_or(u32::MAX).min(10);
    span.saturating_mul(factor)
}

/// Picks an endpoint: in service first; when none is, one that is not, because a wrong mark must not close an app.
pub(super) fn pick<'r>(
    upstream: &Upstream,
    records: impl Fn(usize) -> Option<&'r Record>,
    next: &mut usize,
    tried: Tried,
) -> usize {
    let count = upstream.endpoints.len();
    if count == 1 {
        return 0;
    }
    let first = *next % count;
    *next = first + 1;
    let order = (0..count).map(|step| (first + step) % count);
    let healthy = |at: &usize| {
        upstream.endpoints.get(*at).is_some_and(super::Endpoint::is_healthy)
            && records(*at).is_some_and(|record| !record.is_out())
    };
    let mut in_service = order.clone().filter(|at| !tried.has(*at) && healthy(at));
    let chosen = match upstream.config.balance {
        Balance::RoundRobin => in_service.next(),
        Balance::LeastLoaded => in_service.min_by_key(|at| records(*at).map_or(usize::MAX, |record| record.in_flight)),
    };
    chosen.or_else(|| order.clone().find(|at| !tried.has(*at))).unwrap_or(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ejection_doubles_up_to_ten_times() {
        let spans: Vec<u64> = (0..6).map(|before| ejection(Duration::from_secs(3), before).as_secs()).collect();
        assert_eq!(spans, [3, 6, 12, 24, 30, 30]);
        assert_eq!(ejection(Duration::from_secs(3), 4000).as_secs(), 30);
    }
}
