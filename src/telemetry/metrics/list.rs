//! The list: name, kind, labels, help and source of every metric. Scrape, documentation and tests all read it.

use std::fmt::{self, Write as _};

use super::encode::Samples;
use super::histogram::Sum;
use super::{AppRow, DirectoryReading, Metrics, SignInOutcome, UpstreamFault, WorkerMetrics, process};
use crate::cut::CutReason;
use crate::policy::{Reason, Verdict};

/// What kind of number a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows; the scrape adds `_total` to its name.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Durations in buckets; the scrape adds `_bucket`, `_sum` and `_count`.
    Histogram,
}

impl Kind {
    /// The word in the table.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// One metric of the list.
pub struct Metric {
    /// Full name, without the suffix of its kind.
    pub name: &'static str,
    /// Counter, gauge or histogram.
    pub kind: Kind,
    /// Names of its labels, all with values from closed lists.
    pub labels: &'static [&'static str],
    /// What it tells.
    pub help: &'static str,
    pub(super) read: fn(&Metrics, &mut Samples<'_>) -> fmt::Result,
}

/// The list as a Markdown table, for the README.
#[must_use]
pub fn table() -> String {
    let mut text = String::from("| Metric | Kind | Labels | What it tells |\n|---|---|---|---|\n");
    for metric in LIST {
        let suffix = if metric.kind == Kind::Counter { "_total" } else { "" };
        let labels = metric.labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ");
        // Writing to a string cannot fail.
        let _ = writeln!(text, "| `{}{suffix}` | {} | {labels} | {} |", metric.name, metric.kind.word(), metric.help);
    }
    text
}

macro_rules! metric {
    ($kind:ident, $name:literal, [$($label:literal),*], $help:literal, $read:expr) => {
        Metric { name: concat!("portcullis_", $name), kind: Kind::$kind, labels: &[$($label),*], help: $help, read: $read }
    };
}

/// Every metric of the process.
pub(super) const LIST: &[Metric] = &[
    // connections
    metric!(Counter, "connections", [], "Client connections accepted.", |m, s| s.one(m.sum(|w| w.connections.value()))),
    metric!(Gauge, "connections_open", [], "Client connections open now.", |m, s| {
        s.one(m.sum(|w| w.connections_open.value()))
    }),
    metric!(
        Counter,
        "connections_refused",
        [],
        "Client connections closed at once because a cap was reached.",
        |m, s| { s.one(m.sum(|w| w.connections_refused.value())) }
    ),
    metric!(Counter, "tls_handshakes", ["outcome"], "TLS handshakes with clients, by outcome.", |m, s| {
        s.labelled(&["full"], m.sum(|w| w.handshakes_full.value()))?;
        s.labelled(&["resumed"], m.sum(|w| w.handshakes_resumed.value()))?;
        s.labelled(&["failed"], m.sum(|w| w.handshakes_failed.value()))
    }),
    // requests
    metric!(
        Counter,
        "responses",
        ["class"],
        "Responses to clients, by class of status; none: ended without one.",
        |m, s| {
            for (at, class) in CLASSES.iter().enumerate() {
                s.labelled(&[class], m.sum(|w| w.responses.get(at).map_or(0, super::Count::value)))?;
            }
            Ok(())
        }
    ),
    metric!(Counter, "client_received_bytes", [], "Bytes received from clients in bodies and tunnels.", |m, s| {
        s.one(m.sum(|w| w.bytes_in.value()))
    }),
    metric!(Counter, "client_sent_bytes", [], "Bytes sent to clients in bodies and tunnels.", |m, s| {
        s.one(m.sum(|w| w.bytes_out.value()))
    }),
    metric!(Counter, "refusals", ["word"], "Requests refused before any decision, by the reason's word.", refusals),
    metric!(Counter, "decisions", ["verdict", "reason"], "Decisions of the gate.", decisions),
    metric!(Gauge, "streams_open", [], "Streams, tunnels and downloads open under a permit now.", |m, s| {
        s.one(m.sum(|w| w.streams_open.value()))
    }),
    metric!(Counter, "streams_cut", ["reason"], "Streams ended because their permit was taken back.", |m, s| {
        for (at, reason) in CutReason::ALL.iter().enumerate() {
            s.labelled(&[reason.word()], m.sum(|w| w.streams_cut.get(at).map_or(0, super::Count::value)))?;
        }
        Ok(())
    }),
    metric!(
        Histogram,
        "risk_to_cut_seconds",
        ["from"],
        "From a change of risk to the end of what it ended; from the moment it is taken up here, or by the provider's clock.",
        |m, s| {
            let sum = |histogram: &super::histogram::Histogram| {
                let mut sum = Sum::default();
                histogram.add_to(&mut sum);
                sum
            };
            s.histogram(&["announcement"], &sum(&m.control.risk_to_cut))?;
            s.histogram(&["provider"], &sum(&m.control.risk_age_at_cut))
        }
    ),
    metric!(Counter, "panics", [], "Panics caught while serving a connection; each is a bug.", |m, s| {
        s.one(m.sum(|w| w.panics.value()))
    }),
    // apps
    metric!(Counter, "app_responses", ["app", "class"], "Responses for an app, by class of status.", |m, s| {
        each_app(m, |app| {
            for (at, class) in CLASSES.iter().enumerate() {
                s.labelled(&[&app.name, class], app.sum(|a| a.responses.get(at).map_or(0, super::Count::value)))?;
            }
            Ok(())
        })
    }),
    metric!(
        Histogram,
        "app_request_duration_seconds",
        ["app"],
        "From a request's head to the end of its response.",
        |m, s| {
            each_app(m, |app| {
                let mut sum = Sum::default();
                app.workers.iter().for_each(|a| a.request_duration.add_to(&mut sum));
                s.histogram(&[&app.name], &sum)
            })
        }
    ),
    metric!(
        Histogram,
        "upstream_duration_seconds",
        ["app"],
        "From sending a request upstream to the response's head.",
        |m, s| {
            each_app(m, |app| {
                let mut sum = Sum::default();
                app.workers.iter().for_each(|a| a.upstream_duration.add_to(&mut sum));
                s.histogram(&[&app.name], &sum)
            })
        }
    ),
    metric!(
        Counter,
        "upstream_faults",
        ["app", "kind"],
        "Requests that an app's upstream did not answer properly.",
        |m, s| {
            each_app(m, |app| {
                for (at, fault) in UpstreamFault::ALL.iter().enumerate() {
                    let count = app.sum(|a| a.upstream_faults.get(at).map_or(0, super::Count::value));
                    s.labelled(&[&app.name, fault.word()], count)?;
                }
                Ok(())
            })
        }
    ),
    metric!(
        Counter,
        "upstream_retries",
        ["app"],
        "Requests sent once more because a kept connection was stale.",
        |m, s| { each_app(m, |app| s.labelled(&[&app.name], app.sum(|a| a.upstream_retries.value()))) }
    ),
    metric!(Counter, "upstream_connections", ["app"], "Connections opened to an app's upstreams.", |m, s| {
        each_app(m, |app| s.labelled(&[&app.name], app.sum(|a| a.upstream_connections.value())))
    }),
    metric!(Counter, "upstream_ejections", ["app"], "Times an instance was left out after failures.", |m, s| {
        each_app(m, |app| s.labelled(&[&app.name], app.sum(|a| a.upstream_ejections.value())))
    }),
    // sessions and signing in
    metric!(Gauge, "sessions", [], "Live sessions.", |m, s| m.sessions.get().map_or(Ok(()), |read| s.one((read.0)()))),
    metric!(
        Counter,
        "session_lookups",
        ["found_in"],
        "Look-ups of a session: connection memo, memory, or store.",
        |m, s| {
            s.labelled(&["memo"], m.sum(|w| w.session_memo_hits.value()))?;
            s.labelled(&["memory"], m.sum(|w| w.session_cache_hits.value()))?;
            s.labelled(&["store"], m.sum(|w| w.session_cache_misses.value()))
        }
    ),
    metric!(Counter, "sessions_ended", ["reason"], "Sessions ended, by reason.", |m, s| {
        for (reason, count) in CutReason::ALL.iter().zip(&m.control.sessions_ended) {
            s.labelled(&[reason.word()], count.value())?;
        }
        Ok(())
    }),
    metric!(Counter, "sign_ins", ["outcome"], "Finished sign-ins, by outcome.", |m, s| {
        for (outcome, count) in SignInOutcome::ALL.iter().zip(&m.control.sign_ins) {
            s.labelled(&[outcome.word()], count.value())?;
        }
        Ok(())
    }),
    metric!(Counter, "session_refreshes", ["outcome"], "Silent refreshes at the identity provider.", |m, s| {
        s.labelled(&["ok"], m.control.refreshes.value())?;
        s.labelled(&["failed"], m.control.refreshes_failed.value())
    }),
    metric!(Counter, "provider_requests", ["outcome"], "Requests of the gateway to the identity provider.", |m, s| {
        s.labelled(&["answered"], m.control.provider_requests.value())?;
        s.labelled(&["failed"], m.control.provider_requests_failed.value())
    }),
    metric!(Counter, "store_errors", [], "Operations of the durable store that failed.", |m, s| {
        s.one(m.control.store_errors.value())
    }),
    // account actions
    metric!(Counter, "account_actions", ["action", "state"], "Account actions that came to a state.", |m, s| {
        m.actions.states().into_iter().try_for_each(|(labels, count)| s.labelled(&labels, count))
    }),
    metric!(Counter, "account_action_brakes", ["brake"], "Automatic account actions held, by brake.", |m, s| {
        m.actions.brakes().into_iter().try_for_each(|(brake, count)| s.labelled(&[brake], count))
    }),
    metric!(Gauge, "account_actions_stopped", [], "1 while automatic account actions wait for a person.", |m, s| {
        s.one(m.actions.stopped.value())
    }),
    // directory
    metric!(Gauge, "directory_items", ["tenant", "kind"], "Users, groups and risky accounts known.", |m, s| {
        each_tenant(m, |t| t.kinds.iter().try_for_each(|k| s.labelled(&[&t.tenant, k.kind], k.items)))
    }),
    metric!(
        Gauge,
        "directory_last_success_timestamp_seconds",
        ["tenant", "kind"],
        "When a reading from Microsoft Graph last ended well.",
        |m, s| {
            each_tenant(m, |t| {
                let mut ended = t.kinds.iter().filter_map(|k| Some((k.kind, k.finished?)));
                ended.try_for_each(|(kind, at)| s.labelled(&[&t.tenant, kind], at))
            })
        }
    ),
    metric!(
        Counter,
        "directory_failures",
        ["tenant", "kind", "reason"],
        "Readings from Microsoft Graph that failed, by reason.",
        |m, s| {
            each_tenant(m, |t| {
                t.failures.iter().try_for_each(|(kind, why, count)| s.labelled(&[&t.tenant, kind, why], *count))
            })
        }
    ),
    metric!(
        Gauge,
        "directory_permission",
        ["tenant", "permission", "status"],
        "Always 1; the label tells how the permission stands.",
        |m, s| each_tenant(m, |t| t.gates.iter().try_for_each(|(gate, st)| s.labelled(&[&t.tenant, gate, st], 1)))
    ),
    metric!(
        Gauge,
        "risk_source",
        ["tenant", "source"],
        "Always 1; the label tells whether the risk of accounts can be known, and if not, why.",
        |m, s| each_tenant(m, |t| s.labelled(&[&t.tenant, t.source], 1))
    ),
    metric!(
        Gauge,
        "risk_confirmed_timestamp_seconds",
        ["tenant"],
        "When what is known of risk was last confirmed; 0 for never.",
        |m, s| each_tenant(m, |t| s.labelled(&[&t.tenant], t.confirmed))
    ),
    // configuration and certificates
    metric!(Gauge, "config_generation", [], "Generation of the running configuration.", |m, s| {
        s.one(m.control.config_generation.value())
    }),
    metric!(
        Gauge,
        "config_last_reload_ok",
        [],
        "1 if the last load succeeded, 0 if the one before still runs.",
        |m, s| { s.one(m.control.config_reload_ok.value()) }
    ),
    metric!(Counter, "config_reloads", ["outcome"], "Loads of the configuration.", |m, s| {
        s.labelled(&["ok"], m.control.config_reloads.value())?;
        s.labelled(&["refused"], m.control.config_reloads_failed.value())
    }),
    metric!(Gauge, "certificate_expiry_timestamp_seconds", ["name"], "When a served certificate ends.", |m, s| {
        let certificates = m.certificates.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        certificates.iter().try_for_each(|(name, ends)| s.labelled(&[name], ends.0))
    }),
    // logs and audit
    metric!(Counter, "log_lines_dropped", [], "Log lines lost because standard error was read too slowly.", |m, s| {
        s.one(m.control.log_lines_dropped.value())
    }),
    metric!(Counter, "audit_records", [], "Audit records written.", |m, s| s.one(m.control.audit_records.value())),
    metric!(Counter, "audit_records_dropped", [], "Audit records lost because the queue was full.", |m, s| {
        s.one(m.control.audit_records_dropped.value())
    }),
    metric!(Counter, "audit_write_errors", [], "Attempts to write audit records that failed.", |m, s| {
        s.one(m.control.audit_write_errors.value())
    }),
    metric!(Gauge, "audit_failing", [], "1 while audit records cannot be written.", |m, s| {
        s.one(m.control.audit_failing.value())
    }),
    // admin and process
    metric!(Counter, "admin_requests", ["outcome"], "Requests to the admin listener.", |m, s| {
        s.labelled(&["answered"], m.control.admin_requests.value())?;
        s.labelled(&["refused"], m.control.admin_requests_refused.value())
    }),
    metric!(Gauge, "build_info", ["version"], "Always 1; the label tells the version.", |_, s| {
        s.labelled(&[env!("CARGO_PKG_VERSION")], 1)
    }),
    metric!(Gauge, "start_time_seconds", [], "When the process began.", |m, s| {
        m.started.get().map_or(Ok(()), |started| s.one(started.at.0))
    }),
    metric!(Gauge, "uptime_seconds", [], "How long the process runs, unmoved by the wall clock.", |m, s| {
        m.started.get().map_or(Ok(()), |started| s.one(started.clock.tick().since(started.tick).as_secs()))
    }),
    metric!(Gauge, "process_resident_memory_bytes", [], "Resident memory.", |_, s| s.maybe(process::resident_bytes())),
    metric!(Gauge, "process_open_fds", [], "Open file descriptors.", |_, s| s.maybe(process::open_fds())),
    metric!(Gauge, "process_max_fds", [], "The most file descriptors that may be open.", |_, s| s
        .maybe(process::max_fds())),
    metric!(Counter, "process_cpu_centiseconds", [], "Processor time used, in hundredths of a second.", |_, s| {
        s.maybe(process::cpu_centiseconds())
    }),
];

fn each_app(metrics: &Metrics, one: impl FnMut(&AppRow) -> fmt::Result) -> fmt::Result {
    let apps = metrics.apps.read().unwrap_or_else(std::sync::PoisonError::into_inner);
    apps.iter().try_for_each(one)
}

fn each_tenant(metrics: &Metrics, one: impl FnMut(&DirectoryReading) -> fmt::Result) -> fmt::Result {
    let tenants = metrics.directory.get().map(|read| (read.0)()).unwrap_or_default();
    tenants.iter().try_for_each(one)
}

fn refusals(metrics: &Metrics, samples: &mut Samples<'_>) -> fmt::Result {
    let Some(first) = metrics.workers.first() else { return Ok(()) };
    // Every worker has the same words in the same order.
    for (at, (word, _)) in first.refusals().enumerate() {
        let count = metrics.sum(|worker| worker.refusals().nth(at).map_or(0, |(_, count)| count));
        samples.labelled(&[word], count)?;
    }
    let elsewhere = metrics.edge_refusals.get().map(|read| (read.0)()).unwrap_or_default();
    elsewhere.into_iter().try_for_each(|(word, count)| samples.labelled(&[word], count))
}

fn decisions(metrics: &Metrics, samples: &mut Samples<'_>) -> fmt::Result {
    for (row, verdict) in Verdict::ALL.iter().enumerate() {
        for (at, reason) in Reason::ALL.iter().enumerate().filter(|(_, reason)| reason.may_give(*verdict)) {
            let of =
                |w: &WorkerMetrics| w.decisions.get(row).and_then(|row| row.get(at)).map_or(0, super::Count::value);
            samples.labelled(&[verdict.word(), reason.word()], metrics.sum(of))?;
        }
    }
    Ok(())
}

const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];
