//! Tests of the decision log: lines, drops, rotation, full disks.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::*;
use crate::cut::CutReason;
use crate::facts::{ManualClock, UserKey};
use crate::policy::{self, Reason, Step};
use crate::telemetry::RequestId;

#[test]
fn every_event_is_one_line_of_printable_json() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    let log = Running::start(Config { path: Some(path.clone()), ..Config::default() });
    let hostile = "\n{\"level\":\"info\"}\r\u{1b}[2J\u{2028}\"},{\"${jndi:x}=cmd\u{1f600}é";
    log.log.decided(Verdict::Block, || decision(hostile, Verdict::Block));
    log.log.record(Event::ConfigReloadFailed { generation: 4, problem: hostile.into() });
    log.log.record(Event::SessionEnded(super::SessionEnd {
        user: user(),
        session: SessionId(0xab),
        reason: CutReason::Revoked,
        by: EndedBy::Admin,
    }));
    log.log.record(Event::AdminAction(Box::new(AdminAction {
        client: [127, 0, 0, 1].into(),
        by: "local".into(),
        action: "session_end",
        target: "00ab".into(),
        outcome: "done",
        count: 1,
    })));
    log.close();
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.bytes().all(|b| b == b'\n' || (b' '..=b'~').contains(&b)), "{text}");
    let lines = json_lines(&path);
    assert_eq!(lines.len(), 4);
    assert_eq!(lines[0]["event"], "decision");
    assert_eq!(lines[0]["time"], "2026-11-24T00:00:00Z");
    assert_eq!(lines[0]["path"], hostile);
    assert_eq!(lines[0]["name"], hostile);
    assert_eq!(lines[0]["host"], hostile);
    assert_eq!(lines[0]["verdict"], "block");
    assert_eq!(lines[0]["reason"], "rule_blocks");
    assert_eq!(lines[0]["rule"], hostile);
    assert_eq!(lines[0]["user"], user().to_string());
    assert_eq!(lines[0]["session"], "00000000000000ab");
    assert_eq!(lines[1]["problem"], hostile);
    assert_eq!(lines[2]["by"], "admin");
    assert_eq!((&lines[3]["action"], &lines[3]["by"]), (&"session_end".into(), &"local".into()));
    assert_eq!(lines.iter().map(|l| l["seq"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2, 3, 4]);
}

#[test]
fn long_values_are_cut() {
    let mut out = String::new();
    let event = Event::Decision(Box::new(decision(&"ä".repeat(100_000), Verdict::Allow)));
    line::write(&mut out, 1, UnixTime(0), &event);
    assert!(out.len() < 20 * line::MAX_TEXT, "{}", out.len());
    let value: Value = serde_json::from_str(&out).unwrap();
    assert!(value["path"].as_str().unwrap().ends_with('…'));
}

#[test]
fn changes_of_a_permission_and_of_the_risk_source_name_both_sides() {
    use crate::facts::RiskSource;
    let tenant = "3f1c0b9e-6a52-4d0e-9b7a-5d2f8c4e1a77".parse().unwrap();
    let reason = Some("not granted: \"x\"".into());
    let change = super::Permission { tenant, gate: "risk", from: "granted", to: "partial", reason };
    let (from, to) = (RiskSource::Answers, RiskSource::NoPermission);
    let mut out = String::new();
    line::write(&mut out, 1, UnixTime(0), &Event::Permission(Box::new(change)));
    line::write(&mut out, 2, UnixTime(0), &Event::RiskSource { tenant, from, to });
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let words = |line: &Value| ["event", "tenant", "from", "to"].map(|key| line[key].as_str().unwrap().to_owned());
    let tenant = tenant.to_string();
    assert_eq!(words(&lines[0]), ["permission", &tenant, "granted", "partial"]);
    assert_eq!((&lines[0]["gate"], &lines[0]["reason"]), (&"risk".into(), &"not granted: \"x\"".into()));
    assert_eq!(words(&lines[1]), ["risk_source", &tenant, "answers", "no_permission"]);
}

#[test]
fn allows_are_not_even_gathered_when_they_are_not_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    let log = Running::start(Config { path: Some(path.clone()), allows: false, ..Config::default() });
    log.log.decided(Verdict::Allow, || panic!("gathered"));
    log.log.decided(Verdict::Block, || decision("/x", Verdict::Block));
    log.close();
    assert_eq!(json_lines(&path).len(), 1);
    AuditLog::off().decided(Verdict::Block, || panic!("gathered"));
}

#[test]
fn what_the_queue_cannot_hold_is_counted_and_the_rest_is_written_once_the_disk_has_room() {
    let folder = tempfile::tempdir().unwrap();
    let (link, file) = (folder.path().join("audit.log"), folder.path().join("roomy.log"));
    std::os::unix::fs::symlink("/dev/full", &link).unwrap();
    let log = Running::start(Config { path: Some(link.clone()), queue: 4, ..Config::default() });
    log.record(0);
    wait_until(|| log.metrics.control.audit_failing.value() == 1);
    for at in 1..=10 {
        log.record(at);
    }
    // One is in the writer's hands, four wait, six are lost.
    assert_eq!(log.metrics.control.audit_records_dropped.value(), 6);
    std::fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    log.log.reopen();
    wait_until(|| log.metrics.control.audit_failing.value() == 0);
    wait_until(|| log.metrics.control.audit_records.value() == 5);
    assert!(log.metrics.control.audit_write_errors.value() >= 1);
    log.close();
    let lines = json_lines(&file);
    let generations: Vec<_> = lines.iter().filter_map(|line| line["generation"].as_u64()).collect();
    assert_eq!(generations, [0, 1, 2, 3, 4]);
    let lost: u64 = lines.iter().filter(|l| l["event"] == "records_dropped").filter_map(|l| l["count"].as_u64()).sum();
    assert_eq!(lost, 6);
}

#[test]
fn closing_on_a_full_disk_ends_and_counts_what_is_lost() {
    let log = Running::start(Config { path: Some("/dev/full".into()), ..Config::default() });
    for at in 0..3 {
        log.record(at);
    }
    let metrics = Arc::clone(&log.metrics);
    log.close();
    assert_eq!(metrics.control.audit_records_dropped.value(), 3);
    assert_eq!(metrics.control.audit_records.value(), 0);
}

#[test]
fn a_full_file_is_put_aside_and_the_newest_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    let config = Config { path: Some(path), max_bytes: Some(200), keep: 2, ..Config::default() };
    let log = Running::start(config);
    for at in 0..40 {
        log.record(at);
        wait_until(|| log.metrics.control.audit_records.value() == at + 1);
    }
    log.close();
    assert!(!folder.path().join("audit.log.3").exists());
    let mut all = Vec::new();
    for name in ["audit.log.2", "audit.log.1", "audit.log"] {
        let lines = json_lines(&folder.path().join(name));
        assert!(std::fs::metadata(folder.path().join(name)).unwrap().len() <= 200);
        all.extend(lines.iter().map(|line| line["generation"].as_u64().unwrap()));
    }
    let expected: Vec<_> = (40 - u64::try_from(all.len()).unwrap()..40).collect();
    assert_eq!(all, expected);
}

#[test]
fn after_the_file_is_moved_away_reopen_begins_a_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let (path, moved) = (folder.path().join("audit.log"), folder.path().join("moved.log"));
    let log = Running::start(Config { path: Some(path.clone()), ..Config::default() });
    log.record(1);
    wait_until(|| log.metrics.control.audit_records.value() == 1);
    std::fs::rename(&path, &moved).unwrap();
    log.log.reopen();
    wait_until(|| path.exists());
    log.record(2);
    log.close();
    assert_eq!(json_lines(&moved)[0]["generation"], 1);
    assert_eq!(json_lines(&path)[0]["generation"], 2);
}

#[test]
fn a_line_torn_by_a_crash_is_not_glued_to_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    std::fs::write(&path, "{\"seq\":1,\"ti").unwrap();
    let log = Running::start(Config { path: Some(path.clone()), ..Config::default() });
    log.record(7);
    log.close();
    let text = std::fs::read_to_string(&path).unwrap();
    let second: Value = serde_json::from_str(text.lines().nth(1).unwrap()).unwrap();
    assert_eq!(second["generation"], 7);
}

#[test]
fn only_the_owner_may_read_the_file() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    Running::start(Config { path: Some(path.clone()), ..Config::default() }).close();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_file_that_cannot_be_opened_stops_the_start() {
    let config = Config { path: Some("/nonexistent/audit.log".into()), ..Config::default() };
    let result = AuditLog::start(&config, clock(), Metrics::new(1));
    assert!(matches!(result, Err(AuditError::Open { .. })));
}

struct Running {
    log: AuditLog,
    metrics: Arc<Metrics>,
    thread: JoinHandle<()>,
}

impl Running {
    fn start(config: Config) -> Self {
        let metrics = Metrics::new(1);
        let (log, thread) = AuditLog::start(&config, clock(), Arc::clone(&metrics)).unwrap();
        Self { log, metrics, thread }
    }

    fn record(&self, generation: u64) {
        self.log.record(Event::ConfigReloaded { generation });
    }

    fn close(self) {
        self.log.close();
        self.thread.join().unwrap();
    }
}

fn clock() -> SharedClock {
    Arc::new(ManualClock::at(UnixTime(1_795_478_400)))
}

fn user() -> UserKey {
    "3f1c0b9e-6a52-4d0e-9b7a-5d2f8c4e1a77:00000000-0000-0000-0000-000000000001".parse().unwrap()
}

fn decision(any: &str, verdict: Verdict) -> Decision {
    Decision {
        request: RequestId::from_u128(7),
        client: [192, 0, 2, 7].into(),
        who: Some(Who { user: user(), name: any.into(), session: Some(SessionId(0xab)) }),
        app: any.into(),
        host: any.into(),
        method: http::Method::GET,
        path: any.into(),
        decision: policy::Decision {
            verdict,
            reason: Reason::RuleBlocks,
            step: Step::AccessRules,
            rule: Some(any.into()),
            needs: None,
        },
        policy: 3,
        auth: AuthKind::Cookie,
    }
}

fn json_lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

fn wait_until(condition: impl Fn() -> bool) {
    for _ in 0..1000 {
        if condition() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("did not happen within ten seconds");
}
