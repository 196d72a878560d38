//! Private access from outside: what reaches an app, byte for byte, who gets through, and when it ends.

mod addresses;
mod bodies;
mod cut;
mod cut_by_directory;
mod gate;
mod headers;
mod identity;
mod options;
mod upstreams;
mod websocket;

use std::process::Command;

use serde_json::Value;

use crate::world::http2::Http2;
use crate::world::raw::{Raw, Response};
use crate::world::{APP, World};

/// One request on a connection of its own; `headers` are whole lines.
async fn ask(world: &World, host: &str, line: &str, headers: &str) -> Response {
    let mut raw = world.raw(host).await;
    raw.send(format!("{line} HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n").as_bytes()).await;
    let method = line.split(' ').next().unwrap();
    raw.response_to(method).await.unwrap_or_else(|error| panic!("{line}: {error:?}"))
}

/// A GET by somebody who is signed in at the first app.
async fn get(world: &World, cookie: &str, target: &str) -> Response {
    ask(world, APP, &format!("GET {target}"), &format!("Cookie: {cookie}\r\n")).await
}

/// A connection that speaks HTTP/2 by hand.
async fn http2(world: &World, host: &str) -> Http2 {
    Http2::begin(Raw::tls(world.gateway.https(), host, Some(&["h2"]), &world.authority.roots).await.unwrap()).await
}

/// The decision log so far.
fn events(world: &World, event: &str) -> Vec<Value> {
    let log = world.gateway.log();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["event"] == event).collect()
}

/// Ends one session by the command line.
fn kill_session(world: &World, session: &str) {
    let kill = Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(["session", "kill", session, "--config"])
        .arg(world.gateway.config_file())
        .output()
        .unwrap();
    assert!(kill.status.success(), "{kill:?}");
}

/// One value of the metrics; `series` is name and labels as scraped.
async fn metric(world: &World, series: &str) -> u64 {
    let text = admin(world, "/metrics").await;
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {series} in {text}")).trim().parse().unwrap()
}

async fn admin(world: &World, path: &str) -> String {
    let token = std::fs::read_to_string(world.gateway.dir().join("state/admin-token")).unwrap();
    let mut raw = Raw::tcp(world.gateway.admin()).await.unwrap();
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\r\n",
        world.gateway.admin(),
        token.trim()
    );
    raw.send(head.as_bytes()).await;
    let response = raw.response().await.unwrap();
    assert_eq!(response.status, 200, "{}", response.head);
    response.text()
}
