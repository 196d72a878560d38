//! Tests of the metrics: names, encoding, cardinality.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::list::LIST;
use super::*;
use crate::facts::ManualClock;
use crate::policy::{Reason, Verdict};

#[test]
fn every_metric_has_one_documented_name_of_ours() {
    let table = table();
    let mut names = HashSet::new();
    for metric in LIST {
        assert!(metric.name.starts_with("portcullis_"), "{}", metric.name);
        assert!(metric.name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{}", metric.name);
        assert!(!metric.name.ends_with("_total"), "{}", metric.name);
        assert!(names.insert(metric.name), "{} stands twice", metric.name);
        assert!(metric.help.ends_with('.') && metric.help.len() > 10, "{}", metric.name);
        assert!(table.contains(&format!("| `{}", metric.name)), "{}", metric.name);
    }
}

#[test]
fn the_scrape_sums_workers_and_is_well_formed() {
    let metrics = Metrics::with_refusals(2, &["bad_host", "bad_path"]);
    let clock = Arc::new(ManualClock::at(UnixTime(1_000_000)));
    metrics.begin(Arc::clone(&clock) as SharedClock);
    clock.advance(Duration::from_secs(7));
    metrics.read_sessions_from(|| 42);
    metrics.set_certificates(vec![("wiki.example".to_owned(), UnixTime(2_000_000))]);
    metrics.control.signed_in(SignInOutcome::Stale);
    metrics.control.session_ended(CutReason::Revoked);
    metrics.control.reloaded(Some(3));
    for index in 0..2 {
        let worker = metrics.worker(index).unwrap();
        worker.connections.add(10);
        worker.responded(http::StatusCode::NOT_FOUND);
        worker.decided(Verdict::Block, Reason::RuleBlocks);
        worker.refused("bad_path");
        worker.refused("never heard of");
        worker.cut(CutReason::Revoked);
        let app = metrics.app("wiki", index);
        app.responded(http::StatusCode::OK);
        app.upstream_failed(UpstreamFault::Timeout);
        app.request_duration.observe(Duration::from_millis(3));
    }
    let samples = parse(&metrics.encode());
    let value = |key: &str| samples.get(key).copied().unwrap_or_else(|| panic!("{key} is missing"));
    assert_eq!(value("portcullis_connections_total"), 20.0);
    assert_eq!(value("portcullis_responses_total{class=\"4xx\"}"), 2.0);
    assert_eq!(value("portcullis_decisions_total{verdict=\"block\",reason=\"rule_blocks\"}"), 2.0);
    assert_eq!(value("portcullis_refusals_total{word=\"bad_path\"}"), 2.0);
    assert_eq!(value("portcullis_refusals_total{word=\"bad_host\"}"), 0.0);
    assert_eq!(value("portcullis_refusals_total{word=\"other\"}"), 2.0);
    assert_eq!(value("portcullis_streams_cut_total{reason=\"revoked\"}"), 2.0);
    assert_eq!(value("portcullis_sessions"), 42.0);
    assert_eq!(value("portcullis_sessions_ended_total{reason=\"revoked\"}"), 1.0);
    assert_eq!(value("portcullis_sign_ins_total{outcome=\"stale\"}"), 1.0);
    assert_eq!(value("portcullis_config_generation"), 3.0);
    assert_eq!(value("portcullis_config_last_reload_ok"), 1.0);
    assert_eq!(value("portcullis_certificate_expiry_timestamp_seconds{name=\"wiki.example\"}"), 2_000_000.0);
    assert_eq!(value("portcullis_start_time_seconds"), 1_000_000.0);
    assert_eq!(value("portcullis_uptime_seconds"), 7.0);
    assert_eq!(value("portcullis_app_responses_total{app=\"wiki\",class=\"2xx\"}"), 2.0);
    assert_eq!(value("portcullis_upstream_faults_total{app=\"wiki\",kind=\"timeout\"}"), 2.0);
    assert_eq!(value("portcullis_app_request_duration_seconds_count{app=\"wiki\"}"), 2.0);
    assert_eq!(value("portcullis_app_request_duration_seconds_bucket{le=\"0.0025\",app=\"wiki\"}"), 0.0);
    assert_eq!(value("portcullis_app_request_duration_seconds_bucket{le=\"0.005\",app=\"wiki\"}"), 2.0);
    assert_eq!(value("portcullis_app_request_duration_seconds_bucket{le=\"+Inf\",app=\"wiki\"}"), 2.0);
    assert!(value("portcullis_process_resident_memory_bytes") > 100_000.0);
    assert!(value("portcullis_process_open_fds") >= 3.0);
}

#[test]
fn a_refused_reload_shows_as_zero_and_keeps_the_generation() {
    let control = ControlMetrics::default();
    control.reloaded(Some(5));
    control.reloaded(None);
    assert_eq!(control.config_generation.value(), 5);
    assert_eq!(control.config_reload_ok.value(), 0);
    assert_eq!(control.config_reloads_failed.value(), 1);
}

#[test]
fn a_reload_goes_on_counting_for_the_same_app() {
    let metrics = Metrics::new(1);
    metrics.app("wiki", 0).upstream_retries.up();
    metrics.app("wiki", 0).upstream_retries.up();
    assert_eq!(metrics.app("wiki", 0).upstream_retries.value(), 2);
}

#[test]
fn names_of_apps_are_bounded() {
    let metrics = Metrics::new(1);
    for at in 0..MAX_APPS + 500 {
        metrics.app(&format!("app-{at}"), 0).upstream_retries.up();
    }
    let text = metrics.encode();
    let rows = text.lines().filter(|line| line.starts_with("portcullis_upstream_retries_total{")).count();
    assert_eq!(rows, MAX_APPS + 1);
    assert!(text.contains("portcullis_upstream_retries_total{app=\"other\"} 500"));
}

#[test]
fn a_hostile_label_value_stays_on_its_line() {
    let metrics = Metrics::new(1);
    metrics.app("a\"} 1\nevil_total 1", 0).upstream_retries.up();
    let text = metrics.encode();
    assert!(!text.lines().any(|line| line.starts_with("evil")), "{text}");
    parse(&text);
}

#[test]
fn observations_fall_into_their_bucket_bounds_included() {
    let histogram = Histogram::default();
    for micros in [0, 500, 501, 10_000_000, 10_000_001, u64::MAX / 2] {
        histogram.observe(Duration::from_micros(micros));
    }
    let mut sum = histogram::Sum::default();
    histogram.add_to(&mut sum);
    let counts: Vec<u64> = sum.buckets().into_iter().map(|(_, count)| count).collect();
    assert_eq!(counts, [2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2]);
    assert_eq!(sum.count(), 6);
    assert_eq!(sum.buckets().last().map(|(bound, _)| *bound), Some(f64::INFINITY));
}

/// Reads the text as a scraper would, and complains about what a scraper would refuse.
fn parse(text: &str) -> HashMap<String, f64> {
    assert!(text.ends_with("# EOF\n"), "the closing line is missing");
    let mut kinds = HashMap::new();
    let mut samples = HashMap::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(kinds.insert(name.to_owned(), kind.to_owned()).is_none(), "{name} twice");
        } else if !line.starts_with('#') {
            let (key, value) = line.rsplit_once(' ').unwrap();
            let name = key.split('{').next().unwrap();
            let base =
                ["_total", "_bucket", "_sum", "_count"].iter().find_map(|s| name.strip_suffix(s)).unwrap_or(name);
            assert!(kinds.contains_key(base) || kinds.contains_key(name), "{line} has no type");
            assert!(samples.insert(key.to_owned(), value.parse().unwrap()).is_none(), "{key} twice");
        }
    }
    samples
}
