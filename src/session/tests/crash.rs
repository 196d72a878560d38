//! kill -9: what was acknowledged is there afterwards, what was ended is gone.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use super::*;
use crate::facts::SystemClock;

const CHILD: &str = "PORTCULLIS_TEST_CRASH_DIR";

fn config() -> Config {
    Config { absolute: HOUR, idle: HOUR, capacity: 10 }
}

/// Not a test of its own: the child that the next test kills. Without the variable it does nothing.
#[test]
fn crash_child() {
    let Some(dir) = std::env::var_os(CHILD) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let sessions = open_in(dir.as_ref(), config(), Peers::alone(), SystemClock::shared());
        let workers = (0..8_u128).map(|worker| {
            let sessions = sessions.clone();
            tokio::spawn(async move {
                for n in 0_u128.. {
                    let (session, cookie) = sessions.create(sign_in(worker << 32 | n), HOST).await.unwrap();
                    say(&format!("created {}", cookie.expose()));
                    if n % 2 == 0 {
                        say(&format!("ending {}", cookie.expose()));
                        sessions.end(&session.key, CutReason::Revoked).await.unwrap();
                        say(&format!("ended {}", cookie.expose()));
                    }
                }
            })
        });
        for worker in workers.collect::<Vec<_>>() {
            worker.await.unwrap();
        }
    });
}

/// One line, at once: only what the parent has read counts as acknowledged.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("\n@{line}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

#[tokio::test]
async fn kill_9_loses_no_acknowledged_session_and_brings_none_back() {
    let dir = tempfile::tempdir().unwrap();
    let (mut created, mut ending, mut ended) = (Vec::new(), Vec::new(), Vec::new());
    for kill_after in [50, 200, 400] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["session::tests::crash::crash_child", "--exact", "--nocapture", "--test-threads=1"])
            .env(CHILD, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut seen = 0;
        for line in BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok) {
            if let Some(cookie) = line.strip_prefix("@created ") {
                created.push(Secret::new(cookie.to_owned()));
            } else if let Some(cookie) = line.strip_prefix("@ending ") {
                // From here to "ended" either answer is right.
                ending.push(cookie.to_owned());
                continue;
            } else if let Some(cookie) = line.strip_prefix("@ended ") {
                ended.push(Secret::new(cookie.to_owned()));
            } else {
                continue;
            }
            seen += 1;
            if seen == kill_after {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(seen >= kill_after, "the child stopped by itself after {seen} lines");
    }
    let sessions = open_in(dir.path(), config(), Peers::alone(), SystemClock::shared());
    for cookie in &ended {
        assert!(found(&sessions, HOST, cookie).await.is_none(), "an ended session came back");
    }
    let standing: Vec<_> = created.iter().filter(|cookie| !ending.contains(cookie.expose())).collect();
    assert!(standing.len() > 100 && ended.len() > 100, "{} stand, {} ended", standing.len(), ended.len());
    for cookie in standing {
        assert!(found(&sessions, HOST, cookie).await.is_some(), "an acknowledged session is gone");
    }
}
