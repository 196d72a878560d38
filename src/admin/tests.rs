//! Also lends its running listener to the tests of the command line.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::*;
use crate::audit;
use crate::facts::{ManualClock, UnixTime};

pub(crate) const TOKEN: &str = "0123456789abcdef0123456789abcdef";
pub(crate) const ALICE: &str = "3f1c0b9e-6a52-4d0e-9b7a-5d2f8c4e1a77:00000000-0000-0000-0000-00000000000a";
pub(crate) const BOB: &str = "3f1c0b9e-6a52-4d0e-9b7a-5d2f8c4e1a77:00000000-0000-0000-0000-00000000000b";

#[tokio::test]
async fn the_api_needs_the_token_and_health_and_metrics_do_not() {
    let admin = Running::start().await;
    for path in ["/live", "/metrics"] {
        assert_eq!(admin.status("GET", path, "").await, 200, "{path}");
    }
    assert_eq!(admin.status("GET", "/ready", "").await, 503);
    for (method, path) in ROUTES {
        assert_eq!(admin.status(method, path, "").await, 401, "{path}");
        for wrong in ["Bearer wrong", "Bearer", "Basic 0123456789abcdef0123456789abcdef", TOKEN, "Bearer  "] {
            let header = format!("Authorization: {wrong}\r\n");
            assert_eq!(admin.status(method, path, &header).await, 401, "{path} {wrong}");
        }
        let twice = format!("Authorization: Bearer {TOKEN}\r\nAuthorization: Bearer wrong\r\n");
        assert_eq!(admin.status(method, path, &twice).await, 401, "{path}");
    }
    assert!(admin.ask("GET", "/api/v1/version", "").await.contains("www-authenticate: Bearer"));
    assert_eq!(admin.status("GET", "/api/v1/version", &bearer()).await, 200);
    admin.stop().await;
}

#[tokio::test]
async fn paths_are_exact_and_unlisted_ones_are_refused() {
    let admin = Running::start().await;
    for path in [
        "/",
        "//live",
        "/live/",
        "/LIVE",
        "/live/../api/v1/version",
        "/api",
        "/api/v1/sessions-all",
        "/api/v1/sessions/",
        "/api/v1/Sessions",
        "//api/v1/sessions",
        "/api//v1/sessions",
        "/api/v1/./sessions",
        "/api/v1/sessions/../reload",
        "/api/v1/sessions/0123456789abcdef/x",
        "/api/v2/sessions",
        "/metrics/..",
        "/debug/pprof",
        "/config",
    ] {
        let open = admin.status("GET", path, "").await;
        assert_eq!(open, 401, "{path} without a token");
        let answer = admin.ask("GET", path, &bearer()).await;
        assert!(answer.starts_with("HTTP/1.1 404") || answer.starts_with("HTTP/1.1 405"), "{path}: {answer}");
        assert!(answer.contains("{\"error\":\""), "{path}: {answer}");
    }
    admin.stop().await;
}

#[tokio::test]
async fn other_methods_get_405_and_overrides_are_ignored() {
    let admin = Running::start().await;
    for (method, path) in [
        ("POST", "/live"),
        ("DELETE", "/metrics"),
        ("DELETE", "/api/v1/sessions"),
        ("GET", "/api/v1/sessions/0123456789abcdef"),
        ("GET", "/api/v1/reload"),
        ("PUT", "/api/v1/version"),
    ] {
        assert_eq!(admin.status(method, path, &bearer()).await, 405, "{method} {path}");
    }
    let override_header = format!("{}X-HTTP-Method-Override: DELETE\r\n", bearer());
    assert_eq!(admin.status("GET", "/api/v1/sessions", &override_header).await, 200);
    assert_eq!(admin.sessions.count(), 3);
    admin.stop().await;
}

#[tokio::test]
async fn a_browser_lured_by_another_site_is_refused_even_with_the_token() {
    let admin = Running::start().await;
    let own = format!("Origin: http://{}\r\n{}", admin.address, bearer());
    assert_eq!(admin.status("POST", "/api/v1/reload", &own).await, 200);
    for origin in ["https://evil.test", "null", "http://localhost", "http://127.0.0.1:1", ""] {
        let headers = format!("Origin: {origin}\r\n{}", bearer());
        assert_eq!(admin.status("POST", "/api/v1/reload", &headers).await, 403, "{origin}");
        assert_eq!(admin.status("GET", "/metrics", &headers).await, 403, "{origin}");
    }
    let cross = format!("Sec-Fetch-Site: cross-site\r\n{}", bearer());
    assert_eq!(admin.status("GET", "/api/v1/sessions", &cross).await, 403);
    let preflight = "Origin: https://evil.test\r\nAccess-Control-Request-Method: POST\r\n";
    let answer = admin.ask("OPTIONS", "/api/v1/reload", preflight).await;
    assert!(!answer.to_lowercase().contains("access-control-allow"), "{answer}");
    assert_eq!(admin.reloads.load(Ordering::SeqCst), 1);
    admin.stop().await;
}

#[tokio::test]
async fn a_name_pointed_at_this_machine_is_not_enough() {
    let admin = Running::start().await;
    let port = admin.address.port();
    for host in ["evil.test", "evil.test:9443", "localhost.evil.test", "192.0.2.1", "127.0.0.1.evil.test", "", "::1"] {
        let request = format!("GET /metrics HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let answer = admin.raw(&request).await;
        assert!(answer.starts_with("HTTP/1.1 421"), "{host}: {answer}");
    }
    for host in ["localhost", "LOCALHOST:1", "127.0.0.1", "[::1]:9", "ops.example", "ops.example:9090"] {
        let request = format!("GET /live HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        assert!(admin.raw(&request).await.starts_with("HTTP/1.1 200"), "{host}");
    }
    for request in [
        "GET /live HTTP/1.1\r\nHost: localhost\r\nHost: evil.test\r\n\r\n".to_owned(),
        "GET /live HTTP/1.1\r\n\r\n".to_owned(),
        format!("GET http://127.0.0.1:{port}/live HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n"),
    ] {
        let answer = admin.raw(&request).await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{request}: {answer}");
    }
    admin.stop().await;
}

#[tokio::test]
async fn bodies_that_are_not_json_are_refused() {
    let admin = Running::start().await;
    for kind in ["Content-Type: text/plain\r\n", "Content-Type: application/x-www-form-urlencoded\r\n", ""] {
        let headers = format!("{kind}Content-Length: 2\r\n{}", bearer());
        let request = format!("POST /api/v1/reload HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n{{}}");
        let answer = admin.raw(&request).await;
        assert!(answer.starts_with("HTTP/1.1 415"), "{kind}: {answer}");
    }
    let json = format!("Content-Type: application/json; charset=utf-8\r\nContent-Length: 2\r\n{}", bearer());
    let request = format!("POST /api/v1/reload HTTP/1.1\r\nHost: localhost\r\n{json}\r\n{{}}");
    assert!(admin.raw(&request).await.starts_with("HTTP/1.1 200"));
    admin.stop().await;
}

#[tokio::test]
async fn sessions_are_listed_and_ended_and_every_change_is_recorded() {
    let admin = Running::start().await;
    let all: SessionList = json(&admin.ask("GET", "/api/v1/sessions", &bearer()).await);
    assert_eq!(all.sessions.len(), 3);
    let path = format!("/api/v1/sessions?user={ALICE}");
    let alice: SessionList = json(&admin.ask("GET", &path, &bearer()).await);
    assert_eq!(alice.sessions.len(), 2);
    assert_eq!(alice.sessions[0].user, ALICE);
    for bad in ["?user=alice", "?users=x", "?user="] {
        assert_eq!(admin.status("GET", &format!("/api/v1/sessions{bad}"), &bearer()).await, 400, "{bad}");
    }
    let ended: Ended = json(&admin.ask("DELETE", "/api/v1/sessions/0000000000000001", &bearer()).await);
    assert_eq!(ended.ended, 1);
    assert_eq!(admin.status("DELETE", "/api/v1/sessions/0000000000000001", &bearer()).await, 404);
    assert_eq!(admin.status("DELETE", "/api/v1/sessions/%2e%2e%2freload", &bearer()).await, 404);
    let path = format!("/api/v1/users/{ALICE}/sessions");
    let ended: Ended = json(&admin.ask("DELETE", &path, &bearer()).await);
    assert_eq!(ended.ended, 1);
    assert_eq!(admin.status("DELETE", "/api/v1/users/alice/sessions", &bearer()).await, 400);
    admin.sessions.0.lock().unwrap().broken = true;
    assert_eq!(admin.status("DELETE", "/api/v1/sessions/0000000000000003", &bearer()).await, 503);
    let lines = admin.stop().await;
    let recorded: Vec<_> = lines
        .iter()
        .filter(|line| line["event"] == "admin_action")
        .map(|line| format!("{} {} {}", line["action"], line["outcome"], line["count"]).replace('"', ""))
        .collect();
    assert_eq!(
        recorded,
        [
            "session_end done 1",
            "session_end not_found 0",
            "session_end not_found 0",
            "user_sessions_end done 1",
            "session_end failed 0"
        ]
    );
    let ended: Vec<_> =
        lines.iter().filter(|l| l["event"] == "session_ended").map(|l| l["session"].as_str().unwrap()).collect();
    assert_eq!(ended, ["0000000000000001", "0000000000000002"]);
}

#[tokio::test]
async fn readiness_names_what_is_missing() {
    let admin = Running::start().await;
    let answer = admin.ask("GET", "/ready", "").await;
    assert!(answer.contains("{\"ready\":false,\"missing\":[\"listening\",\"provider_keys\",\"store\"]}"), "{answer}");
    for condition in [Condition::Listening, Condition::ProviderKeys, Condition::Store] {
        admin.readiness.set(condition, true);
    }
    assert_eq!(admin.status("GET", "/ready", "").await, 200);
    admin.readiness.set(Condition::NotDraining, false);
    let answer = admin.ask("GET", "/ready", "").await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("not_draining"), "{answer}");
    admin.stop().await;
}

#[tokio::test]
async fn metrics_hold_no_person_and_reload_says_what_is_wrong() {
    let admin = Running::start().await;
    let answer = admin.ask("GET", "/metrics", "").await;
    assert!(answer.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8"), "{answer}");
    assert!(answer.contains("portcullis_build_info") && answer.ends_with("# EOF\n"), "{answer}");
    assert!(!answer.contains("Alice") && !answer.contains("3f1c0b9e"), "{answer}");
    assert!(admin.ask("POST", "/api/v1/reload", &bearer()).await.contains("{\"generation\":1}"));
    let answer = admin.ask("POST", "/api/v1/reload", &bearer()).await;
    assert!(answer.starts_with("HTTP/1.1 422") && answer.contains("line 3: unknown key"), "{answer}");
    admin.stop().await;
}

/// A listener with three sessions: two of Alice, one of Bob.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) sessions: Fake,
    readiness: Readiness,
    reloads: Arc<AtomicU64>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
    audit: (AuditLog, std::thread::JoinHandle<()>, tempfile::TempDir),
}

impl Running {
    pub(crate) async fn start() -> Self {
        let clock: SharedClock = Arc::new(ManualClock::at(UnixTime(1_000_000)));
        let metrics = Metrics::new(1);
        let folder = tempfile::tempdir().unwrap();
        let config = audit::Config { path: Some(folder.path().join("audit.log")), ..audit::Config::default() };
        let (log, writer) = AuditLog::start(&config, Arc::clone(&clock), Arc::clone(&metrics)).unwrap();
        let (sessions, readiness, reloads) = (Fake::new(), Readiness::new(), Arc::new(AtomicU64::new(0)));
        let counter = Arc::clone(&reloads);
        let reload: Reload = Arc::new(move || {
            let first = counter.fetch_add(1, Ordering::SeqCst) == 0;
            Box::pin(async move { if first { Ok(1) } else { Err("line 3: unknown key".to_owned()) } })
        });
        let (sessions_, readiness_, audit) = (sessions.clone(), readiness.clone(), log.clone());
        let actions = crate::risk_control::tests::alone();
        let services = Services { sessions: sessions_, metrics, audit, readiness: readiness_, actions, reload, clock };
        let config = Config {
            listen: ([127, 0, 0, 1], 0).into(),
            token: Secret::new(TOKEN.to_owned()),
            hosts: vec!["Ops.example".to_owned()],
        };
        let listener = AdminListener::bind(&config, services).await.unwrap();
        let address = listener.address();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(listener.run(async { drop(stopped.await) }));
        Self { address, sessions, readiness, reloads, stop, task, audit: (log, writer, folder) }
    }

    async fn status(&self, method: &str, path: &str, headers: &str) -> u16 {
        let answer = self.ask(method, path, headers).await;
        answer.split(' ').nth(1).unwrap_or_default().parse().unwrap_or_else(|_| panic!("{answer}"))
    }

    async fn ask(&self, method: &str, path: &str, headers: &str) -> String {
        let host = self.address;
        self.raw(&format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}\r\n")).await
    }

    /// Sends these bytes, half-closes, and reads until the end.
    async fn raw(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        tokio::time::timeout(Duration::from_secs(10), read).await.expect("no answer").unwrap();
        String::from_utf8(answer).unwrap()
    }

    /// Stops everything; the audit records.
    pub(crate) async fn stop(self) -> Vec<serde_json::Value> {
        self.stop.send(()).unwrap();
        self.task.await.unwrap();
        let (log, writer, folder) = self.audit;
        log.close();
        tokio::task::spawn_blocking(move || writer.join()).await.unwrap().unwrap();
        let text = std::fs::read_to_string(folder.path().join("audit.log")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Sessions without a store.
#[derive(Clone)]
pub(crate) struct Fake(Arc<Mutex<State>>);

struct State {
    live: Vec<SessionInfo>,
    broken: bool,
}

impl Fake {
    fn new() -> Self {
        let info = |number: u8, user: &str, name: &str| SessionInfo {
            id: format!("{number:016x}"),
            user: user.parse().unwrap(),
            name: name.into(),
            email: "a@contoso.example".into(),
            created: UnixTime(999_000),
            last_used: UnixTime(999_900),
            expires: UnixTime(1_020_000),
            streams: 0,
        };
        let live = vec![info(1, ALICE, "Alice"), info(2, ALICE, "Alice"), info(3, BOB, "Bob\u{1b}[2J")];
        Self(Arc::new(Mutex::new(State { live, broken: false })))
    }

    pub(crate) fn count(&self) -> usize {
        self.0.lock().unwrap().live.len()
    }

    fn remove(&self, which: impl Fn(&SessionInfo) -> bool) -> Result<usize, String> {
        let mut state = self.0.lock().unwrap();
        if state.broken {
            return Err("the store cannot write".to_owned());
        }
        let before = state.live.len();
        state.live.retain(|info| !which(info));
        Ok(before - state.live.len())
    }
}

impl SessionControl for Fake {
    fn list(&self, user: Option<UserKey>) -> Vec<SessionInfo> {
        let state = self.0.lock().unwrap();
        state.live.iter().filter(|info| user.is_none_or(|user| info.user == user)).cloned().collect()
    }

    fn find(&self, id: &str) -> Option<SessionKey> {
        let number: u8 = self.0.lock().unwrap().live.iter().find(|info| info.id == id)?.id.parse().ok()?;
        Some(SessionKey([number; 32]))
    }

    async fn end(&self, key: &SessionKey, _reason: CutReason) -> Result<bool, String> {
        let id = format!("{:016x}", key.0[0]);
        self.remove(|info| info.id == id).map(|count| count == 1)
    }

    async fn end_user(&self, user: UserKey, _reason: CutReason) -> Result<usize, String> {
        self.remove(|info| info.user == user)
    }
}

fn bearer() -> String {
    format!("Authorization: Bearer {TOKEN}\r\n")
}

fn json<T: serde::de::DeserializeOwned>(answer: &str) -> T {
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

const ROUTES: [(&str, &str); 9] = [
    ("GET", "/api/v1/actions"),
    ("GET", "/api/v1/actions/1"),
    ("POST", "/api/v1/actions/release"),
    ("POST", "/api/v1/users/3f1c0b9e-6a52-4d0e-9b7a-5d2f8c4e1a77:00000000-0000-0000-0000-00000000000a/actions"),
    ("GET", "/api/v1/version"),
    ("GET", "/api/v1/sessions"),
    ("DELETE", "/api/v1/sessions/0000000000000001"),
    ("DELETE", "/api/v1/users/3f1c0b9e-6a52-4d0e-9b7a-5d2f8c4e1a77:00000000-0000-0000-0000-00000000000a/sessions"),
    ("POST", "/api/v1/reload"),
];
