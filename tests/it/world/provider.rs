//! The identity provider: npm's `oidc-provider` dressed as Entra, or our own simulator. Each is a process of its own.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::{Value, json};
use url::Url;

use super::raw::Raw;
use super::{PEOPLE, Person, TENANT, shapes};

/// Which provider a test runs against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// npm's `oidc-provider`: not written by us, holds to the specifications.
    OidcProvider,
    /// Our simulator: holds to Entra's habits, and can be hostile.
    Simulator,
}

/// A running provider. Ends when dropped.
pub(crate) struct Provider {
    child: Option<Child>,
    kind: Kind,
    /// Login host, without a slash at its end.
    pub(crate) authority: String,
}

impl Provider {
    pub(crate) fn start(kind: Kind) -> Self {
        Self::spawn(kind, 0)
    }

    /// Stops the provider: connections are refused from now on.
    pub(crate) fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts it again at the same address. It has forgotten who was signed in.
    pub(crate) fn start_again(&mut self) {
        assert!(self.child.is_none(), "it still runs");
        let again = Self::spawn(self.kind, self.address().port());
        assert_eq!(again.authority, self.authority);
        *self = again;
    }

    /// The host and port of the provider.
    pub(crate) fn address(&self) -> SocketAddr {
        let url = Url::parse(&self.authority).unwrap();
        format!("{}:{}", url.host_str().unwrap(), url.port().unwrap()).parse().unwrap()
    }

    /// Makes the simulator's next token response wrong in one way, and nothing after it.
    pub(crate) async fn be_hostile_once(&self, mode: &str) {
        self.be_honest().await;
        let (method, path, body) = shapes::hostile_request(mode, 1);
        self.control(method, path, &body).await;
    }

    /// Ends every fault that was ordered.
    pub(crate) async fn be_honest(&self) {
        let (method, path, body) = shapes::honest_request();
        self.control(method, path, &body).await;
    }

    /// A request to the simulator's control interface.
    pub(crate) async fn control(&self, method: &str, path: &str, body: &Value) -> Value {
        assert_eq!(self.kind, Kind::Simulator, "only the simulator can be told what to do");
        let body = body.to_string();
        let mut raw = Raw::tcp(self.address()).await.unwrap();
        let host = self.address();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        raw.send(format!("{head}{body}").as_bytes()).await;
        let response = raw.response().await.unwrap();
        assert!((200..300).contains(&response.status), "{path}: {} {}", response.status, response.text());
        serde_json::from_slice(&response.body).unwrap_or_default()
    }

    /// How often the simulator was asked at `endpoint`.
    pub(crate) async fn count(&self, endpoint: &str) -> u64 {
        self.control("GET", "/sim/v1/counters", &json!({})).await[endpoint].as_u64().unwrap_or(0)
    }

    fn spawn(kind: Kind, port: u16) -> Self {
        let mut command = match kind {
            Kind::OidcProvider => {
                let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/provider/entra-shaped.mjs");
                assert!(
                    script.with_file_name("../node_modules").exists(),
                    "run `npm ci` in tests/ first, or ./tests/run"
                );
                let mut command = Command::new("node");
                command.arg(script).env("PROVIDER_CONFIG", provider_config(port).to_string());
                command
            }
            Kind::Simulator => {
                let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
                command.args(shapes::simulate_arguments(port));
                command
            }
        };
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let line = first_line(&mut child);
        let authority = match kind {
            Kind::OidcProvider => {
                let issuer = line["issuer"].as_str().unwrap();
                issuer.strip_suffix(&format!("/{TENANT}/v2.0")).unwrap().to_owned()
            }
            Kind::Simulator => shapes::simulator_authority(&line),
        };
        Self { child: Some(child), kind, authority }
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Reads the line in which the process says where it listens, with a deadline; then keeps its output flowing.
fn first_line(child: &mut Child) -> Value {
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        while let Some(Ok(line)) = lines.next() {
            let _ = send.send(line);
        }
    });
    let line = receive.recv_timeout(Duration::from_secs(30)).expect("the provider says where it listens");
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

fn provider_config(port: u16) -> Value {
    let people: Vec<Value> = PEOPLE
        .iter()
        .map(|Person { login, upn, oid, name, .. }| json!({ "login": login, "oid": oid, "name": name, "email": upn }))
        .collect();
    json!({
        "tid": TENANT,
        "port": port,
        "password": PEOPLE[0].password,
        "people": people,
        "clients": [{
            "client_id": shapes::CLIENT_ID,
            "client_secret": shapes::CLIENT_SECRET,
            "token_endpoint_auth_method": "client_secret_post",
            "redirect_uris": [shapes::REDIRECT_URI],
            "post_logout_redirect_uris": [format!("https://{}/.portcullis/signed-out", shapes::AUTH_HOST)],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
        }],
    })
}
