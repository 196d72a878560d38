//! Every metric, declared in one list.
//!
//! The data path writes only to its own worker's counters ([`WorkerMetrics`], [`AppMetrics`]): plain relaxed stores by
//! a single writer, summed when somebody scrapes. Everything else is an ordinary atomic ([`Tally`]).

mod actions;
mod count;
mod encode;
mod histogram;
mod list;
mod process;
mod worker;

use std::fmt;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use crate::cut::CutReason;
use crate::facts::{SharedClock, UnixTime};

pub use actions::ActionMetrics;
pub use count::{Count, Tally};
pub use encode::CONTENT_TYPE;
pub use histogram::Histogram;
pub use list::{Kind, Metric, table};
pub use worker::{AppMetrics, UpstreamFault, WorkerMetrics};

/// All metrics of the process.
#[derive(Debug, Default)]
pub struct Metrics {
    workers: Vec<Arc<WorkerMetrics>>,
    /// Rows are added when a configuration is loaded and never removed, so that counters do not go back.
    apps: RwLock<Vec<AppRow>>,
    certificates: RwLock<Vec<(String, UnixTime)>>,
    started: OnceLock<Started>,
    sessions: OnceLock<Reading<u64>>,
    /// What the edge refused before the HTTP library saw it, by word.
    edge_refusals: OnceLock<Reading<Vec<(&'static str, u64)>>>,
    directory: OnceLock<Reading<Vec<DirectoryReading>>>,
    /// What the control plane counts.
    pub control: ControlMetrics,
    /// What happened to account actions.
    pub actions: ActionMetrics,
}

/// What the control plane counts, from any thread.
#[derive(Debug, Default)]
pub struct ControlMetrics {
    /// Finished sign-ins, by outcome in the order of [`SignInOutcome::ALL`].
    pub sign_ins: [Tally; SignInOutcome::ALL.len()],
    /// Sessions ended, by reason in the order of [`CutReason::ALL`].
    pub sessions_ended: [Tally; CutReason::ALL.len()],
    /// Silent refreshes that gave new tokens.
    pub refreshes: Tally,
    /// Silent refreshes that failed.
    pub refreshes_failed: Tally,
    /// Requests to the identity provider that were answered.
    pub provider_requests: Tally,
    /// Requests to the identity provider that failed or timed out.
    pub provider_requests_failed: Tally,
    /// From the moment the reviewer takes up a change of risk to the end of each request or stream it ended.
    pub risk_to_cut: Histogram,
    /// The same from the moment the provider gives for the change, by its clock, in whole seconds.
    pub risk_age_at_cut: Histogram,
    /// Operations of the durable store that failed.
    pub store_errors: Tally,
    /// Configuration generation that runs now.
    pub config_generation: Tally,
    /// 1 if the last load of the configuration succeeded, 0 if it was refused and the one before still runs.
    pub config_reload_ok: Tally,
    /// Reloads that succeeded.
    pub config_reloads: Tally,
    /// Reloads that were refused.
    pub config_reloads_failed: Tally,
    /// Log lines lost because the reader of standard error was too slow.
    pub log_lines_dropped: Arc<Tally>,
    /// Audit records written.
    pub audit_records: Arc<Tally>,
    /// Audit records lost because the queue was full.
    pub audit_records_dropped: Arc<Tally>,
    /// Attempts to write audit records that failed.
    pub audit_write_errors: Arc<Tally>,
    /// 1 while the last attempt to write audit records failed.
    pub audit_failing: Arc<Tally>,
    /// Requests answered by the admin listener.
    pub admin_requests: Tally,
    /// Requests the admin listener refused (token, host, origin).
    pub admin_requests_refused: Tally,
}

/// What is known of one tenant's directory, read at a scrape. One per configured tenant, so the number is bounded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryReading {
    /// The tenant's id.
    pub tenant: String,
    /// Users, groups and risk.
    pub kinds: Vec<KindReading>,
    /// Kind, reason and how often.
    pub failures: Vec<(&'static str, &'static str, u64)>,
    /// Permission and how it stands.
    pub gates: Vec<(&'static str, &'static str)>,
    /// Where risk comes from.
    pub source: &'static str,
    /// When what is known of risk was last confirmed, in seconds since 1970; zero for never.
    pub confirmed: u64,
}

/// One kind of what is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KindReading {
    /// Its word.
    pub kind: &'static str,
    /// Items known.
    pub items: u64,
    /// When a reading last ended well, in seconds since 1970.
    pub finished: Option<u64>,
}

/// How a sign-in ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SignInOutcome {
    /// A session began.
    SignedIn,
    /// A live session was found; nothing was asked.
    Reused,
    /// The person cancelled.
    Cancelled,
    /// The answer belonged to no sign-in of this browser, came too late, or came twice.
    Stale,
    /// The provider refused the account.
    AccountRefused,
    /// The account's tenant is not accepted.
    WrongTenant,
    /// The provider's answer failed a check.
    InvalidAnswer,
    /// The provider refused the gateway.
    Misconfigured,
    /// The provider could not be reached or failed.
    ProviderDown,
    /// The gateway itself failed (store).
    Failed,
    /// The loop guard stopped it.
    LoopStopped,
    /// The provider vouched for a step-up.
    SteppedUp,
    /// The provider did not confirm a step-up that was asked for, or somebody else answered it.
    NotConfirmed,
}

impl SignInOutcome {
    /// Every outcome.
    pub const ALL: [Self; 13] = [
        Self::SignedIn,
        Self::Reused,
        Self::Cancelled,
        Self::Stale,
        Self::AccountRefused,
        Self::WrongTenant,
        Self::InvalidAnswer,
        Self::Misconfigured,
        Self::ProviderDown,
        Self::Failed,
        Self::LoopStopped,
        Self::SteppedUp,
        Self::NotConfirmed,
    ];

    /// The word in metrics and audit records.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::SignedIn => "signed_in",
            Self::Reused => "reused",
            Self::Cancelled => "cancelled",
            Self::Stale => "stale",
            Self::AccountRefused => "account_refused",
            Self::WrongTenant => "wrong_tenant",
            Self::InvalidAnswer => "invalid_answer",
            Self::Misconfigured => "misconfigured",
            Self::ProviderDown => "provider_down",
            Self::Failed => "failed",
            Self::LoopStopped => "loop_stopped",
            Self::SteppedUp => "stepped_up",
            Self::NotConfirmed => "not_confirmed",
        }
    }
}

impl ControlMetrics {
    /// Counts a finished sign-in.
    pub fn signed_in(&self, outcome: SignInOutcome) {
        count_in(&self.sign_ins, &SignInOutcome::ALL, outcome);
    }

    /// Counts an ended session.
    pub fn session_ended(&self, reason: CutReason) {
        count_in(&self.sessions_ended, &CutReason::ALL, reason);
    }

    /// Notes the outcome of loading a configuration; `Some(generation)` if it runs now.
    pub fn reloaded(&self, generation: Option<u64>) {
        match generation {
            Some(generation) => {
                self.config_generation.set(generation);
                self.config_reload_ok.set(1);
                self.config_reloads.up();
            }
            None => {
                self.config_reload_ok.set(0);
                self.config_reloads_failed.up();
            }
        }
    }
}

fn count_in<T: PartialEq + Copy>(tallies: &[Tally], all: &[T], one: T) {
    if let Some(tally) = all.iter().position(|t| *t == one).and_then(|at| tallies.get(at)) {
        tally.up();
    }
}

impl Metrics {
    /// Metrics for `workers` data-plane workers.
    #[must_use]
    pub fn new(workers: usize) -> Arc<Self> {
        Self::with_refusals(workers, &[])
    }

    /// The same, with the closed list of words that [`WorkerMetrics::refused`] tells apart.
    #[must_use]
    pub fn with_refusals(workers: usize, words: &[&'static str]) -> Arc<Self> {
        let workers = (0..workers).map(|_| Arc::new(WorkerMetrics::with_refusals(words))).collect();
        Arc::new(Self { workers, ..Self::default() })
    }

    /// The counters of worker `index`; `None` beyond the number given to [`Metrics::new`].
    #[must_use]
    pub fn worker(&self, index: usize) -> Option<Arc<WorkerMetrics>> {
        self.workers.get(index).cloned()
    }

    /// The counters of one app on one worker. Resolve them when a configuration is loaded and keep the handle: the same
    /// name gives the same counters, so that a reload goes on counting. Beyond [`MAX_APPS`] names all share one row.
    #[must_use]
    pub fn app(&self, name: &str, worker: usize) -> Arc<AppMetrics> {
        let mut apps = self.apps.write().unwrap_or_else(PoisonError::into_inner);
        let name = if apps.len() < MAX_APPS || apps.iter().any(|row| row.name == name) { name } else { OTHER_APPS };
        let at = apps.iter().position(|row| row.name == name).unwrap_or_else(|| {
            let workers = (0..self.workers.len().max(1)).map(|_| Arc::default()).collect();
            apps.push(AppRow { name: name.to_owned(), workers });
            apps.len() - 1
        });
        apps.get(at).and_then(|row| row.workers.get(worker)).cloned().unwrap_or_default()
    }

    /// Notes when the process began; from then on uptime is told.
    pub fn begin(&self, clock: SharedClock) {
        let (at, tick) = (clock.now(), clock.tick());
        // A second call changes nothing: the process begins once.
        let _ = self.started.set(Started { at, tick, clock });
    }

    /// Where the number of live sessions is read at each scrape.
    pub fn read_sessions_from(&self, read: impl Fn() -> u64 + Send + Sync + 'static) {
        let _ = self.sessions.set(Reading(Box::new(read)));
    }

    /// Where the refusals that are counted elsewhere are read at each scrape: word and number.
    pub fn read_refusals_from(&self, read: impl Fn() -> Vec<(&'static str, u64)> + Send + Sync + 'static) {
        let _ = self.edge_refusals.set(Reading(Box::new(read)));
    }

    /// Where the state of the directory is read at each scrape.
    pub fn read_directory_from(&self, read: impl Fn() -> Vec<DirectoryReading> + Send + Sync + 'static) {
        let _ = self.directory.set(Reading(Box::new(read)));
    }

    /// Replaces the list of certificates served: first name and end of validity of each.
    pub fn set_certificates(&self, certificates: Vec<(String, UnixTime)>) {
        *self.certificates.write().unwrap_or_else(PoisonError::into_inner) = certificates;
    }

    /// The whole list as OpenMetrics text; send it as [`CONTENT_TYPE`].
    #[must_use]
    pub fn encode(self: &Arc<Self>) -> String {
        encode::text(self)
    }

    fn sum(&self, read: impl Fn(&WorkerMetrics) -> u64) -> u64 {
        self.workers.iter().fold(0u64, |sum, worker| sum.wrapping_add(read(worker)))
    }
}

#[derive(Debug)]
struct AppRow {
    name: String,
    workers: Vec<Arc<AppMetrics>>,
}

impl AppRow {
    fn sum(&self, read: impl Fn(&AppMetrics) -> u64) -> u64 {
        self.workers.iter().fold(0u64, |sum, worker| sum.wrapping_add(read(worker)))
    }
}

struct Started {
    at: UnixTime,
    tick: crate::facts::Tick,
    clock: SharedClock,
}

impl fmt::Debug for Started {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Started").field("at", &self.at).finish_non_exhaustive()
    }
}

struct Reading<T>(Box<dyn Fn() -> T + Send + Sync>);

impl<T> fmt::Debug for Reading<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reading")
    }
}

/// Names of apps told apart over the life of the process; bounds the number of series.
pub const MAX_APPS: usize = 200;
const OTHER_APPS: &str = "other";

#[cfg(test)]
mod tests;
