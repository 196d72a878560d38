//! A provider that answers whatever a test tells it to, byte by byte.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use url::Url;

use crate::entra::{Config, Credential, RelyingParty, ResponseMode};
use crate::facts::{ManualClock, TenantId, UnixTime};
use crate::telemetry::Secret;

pub(in crate::entra) const TENANT: &str = "3f1c0b9e-6a52-4d0e-9b7a-5d2f8c4e1a77";
pub(in crate::entra) const OTHER_TENANT: &str = "aaaaaaaa-6a52-4d0e-9b7a-5d2f8c4e1a77";
pub(in crate::entra) const CLIENT: &str = "8d2b6f10-4c9e-4f3a-a6b1-0e7c5d9f2b34";
pub(in crate::entra) const PERSON: &str = "5b7e2a94-13cd-4e68-8f02-9ac46d1e7b50";
pub(in crate::entra) const NONCE: &str = "n-7Gh2Lq";
pub(in crate::entra) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub(in crate::entra) const NOW: u64 = 1_790_000_300;

/// An RSA key that signs tokens.
pub(in crate::entra) struct Signer {
    pair: KeyPair,
    pub(in crate::entra) kid: String,
}

impl Signer {
    pub(in crate::entra) fn new(kid: &str) -> Self {
        Self { pair: KeyPair::generate(KeySize::Rsa2048).unwrap(), kid: kid.to_owned() }
    }

    /// `RSAPublicKey` of a 2048-bit key has its modulus and exponent at fixed places.
    pub(in crate::entra) fn public(&self) -> (Vec<u8>, Vec<u8>) {
        let der = self.pair.public_key().as_ref();
        (der[9..265].to_vec(), der[267..270].to_vec())
    }

    pub(in crate::entra) fn jwk(&self) -> Value {
        let (n, e) = self.public();
        json!({
            "kty": "RSA", "use": "sig", "kid": self.kid,
            "n": URL_SAFE_NO_PAD.encode(n), "e": URL_SAFE_NO_PAD.encode(e),
        })
    }

    pub(in crate::entra) fn sign(&self, claims: &Value) -> String {
        self.sign_text(&json!({ "alg": "RS256", "typ": "JWT", "kid": self.kid }), &claims.to_string())
    }

    pub(in crate::entra) fn sign_text(&self, header: &Value, claims: &str) -> String {
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims));
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// What to answer with.
#[derive(Clone)]
pub(in crate::entra) enum Reply {
    /// A whole answer.
    Whole { status: u16, headers: String, body: String },
    /// Accepts the request and says nothing, ever.
    Never,
    /// Headers, then one byte at a time without end.
    Drip,
    /// Headers, then zeros as fast as they are taken.
    Endless,
    /// Half of the promised body, then the end.
    Half,
}

impl Reply {
    pub(in crate::entra) fn json(body: &Value) -> Self {
        Self::text(200, "application/json; charset=utf-8", &body.to_string())
    }

    pub(in crate::entra) fn text(status: u16, kind: &str, body: &str) -> Self {
        let headers = format!("content-type: {kind}\r\n");
        Self::Whole { status, headers, body: body.to_owned() }
    }
}

#[derive(Default)]
struct Stage {
    replies: HashMap<String, Reply>,
    requests: Vec<(String, String)>,
}

/// A listening provider; stops when dropped.
pub(in crate::entra) struct Provider {
    pub(in crate::entra) base: Url,
    stage: Arc<Mutex<Stage>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Provider {
    pub(in crate::entra) async fn start() -> Self {
        Self::start_with(None).await
    }

    /// The same over TLS.
    pub(in crate::entra) async fn start_tls(config: rustls::ServerConfig) -> Self {
        Self::start_with(Some(tokio_rustls::TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn start_with(tls: Option<tokio_rustls::TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let base = Url::parse(&format!("{scheme}://login.localhost:{port}/")).unwrap();
        let stage = Arc::<Mutex<Stage>>::default();
        let shared = Arc::clone(&stage);
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (shared, tls) = (Arc::clone(&shared), tls.clone());
                connections.spawn(async move {
                    match tls {
                        None => serve(stream, shared).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, shared).await;
                            }
                        }
                    }
                });
            }
        });
        Self { base, stage, task }
    }

    /// A provider with one tenant whose tokens `signer` signs.
    pub(in crate::entra) async fn with(signer: &Signer) -> Self {
        let provider = Self::start().await;
        provider.publish(TENANT, &[signer.jwk()]);
        provider
    }

    pub(in crate::entra) fn publish(&self, tenant: &str, keys: &[Value]) {
        self.reply(&discovery_path(tenant), Reply::json(&self.discovery(tenant)));
        self.reply(&format!("/{tenant}/keys"), Reply::json(&json!({ "keys": keys })));
    }

    pub(in crate::entra) fn discovery(&self, tenant: &str) -> Value {
        let at = |rest: &str| format!("{}{tenant}/{rest}", self.base);
        let issuer = if tenant == "organizations" { format!("{}{{tenantid}}/v2.0", self.base) } else { at("v2.0") };
        json!({
            "issuer": issuer, "authorization_endpoint": at("authorize"), "token_endpoint": at("token"),
            "jwks_uri": at("keys"), "end_session_endpoint": at("logout"),
        })
    }

    pub(in crate::entra) fn reply(&self, path: &str, reply: Reply) {
        self.stage.lock().unwrap().replies.insert(path.to_owned(), reply);
    }

    /// Lets the token endpoint answer with `token`.
    pub(in crate::entra) fn give(&self, token: &str) {
        self.give_all(&json!({ "token_type": "Bearer", "expires_in": "3600", "access_token": "a", "id_token": token }));
    }

    pub(in crate::entra) fn give_all(&self, answer: &Value) {
        self.reply(&format!("/{TENANT}/token"), Reply::json(answer));
    }

    pub(in crate::entra) fn refuse(&self, status: u16, body: &Value) {
        self.reply(&format!("/{TENANT}/token"), Reply::text(status, "application/json", &body.to_string()));
    }

    pub(in crate::entra) fn hits(&self, path: &str) -> usize {
        self.stage.lock().unwrap().requests.iter().filter(|(own, _)| own == path).count()
    }

    /// Head and body of the last request to `path`.
    pub(in crate::entra) fn last(&self, path: &str) -> String {
        let stage = self.stage.lock().unwrap();
        stage.requests.iter().rev().find(|(own, _)| own == path).unwrap().1.clone()
    }

    /// The form of the last token request.
    pub(in crate::entra) fn last_form(&self, tenant: &str) -> HashMap<String, String> {
        let request = self.last(&format!("/{tenant}/token"));
        let (_, body) = request.split_once("\r\n\r\n").unwrap();
        url::form_urlencoded::parse(body.as_bytes()).into_owned().collect()
    }

    pub(in crate::entra) fn issuer(&self, tenant: &str) -> String {
        format!("{}{tenant}/v2.0", self.base)
    }

    /// The claims of a token that is good at [`NOW`].
    pub(in crate::entra) fn claims(&self) -> Value {
        claims(&self.issuer(TENANT))
    }

    pub(in crate::entra) fn config(&self) -> Config {
        Config {
            authority: self.base.clone(),
            tenants: vec![tenant(TENANT)],
            client_id: CLIENT.to_owned(),
            credential: Credential::Secret(Secret::new("s&cret=ü".to_owned())),
            redirect_uri: Url::parse("https://auth.example/.portcullis/callback").unwrap(),
            response_mode: ResponseMode::FormPost,
            scopes: ["openid", "profile", "offline_access"].map(str::to_owned).to_vec(),
            skew: Duration::from_secs(300),
            timeout: Duration::from_secs(20),
            extra_ca: None,
        }
    }

    pub(in crate::entra) fn party(&self) -> (RelyingParty, Arc<ManualClock>) {
        self.party_with(self.config())
    }

    pub(in crate::entra) fn party_with(&self, config: Config) -> (RelyingParty, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::at(UnixTime(NOW)));
        (RelyingParty::new(config, clock.clone()).unwrap(), clock)
    }
}

pub(in crate::entra) fn claims(issuer: &str) -> Value {
    json!({
        "ver": "2.0", "iss": issuer, "aud": CLIENT, "tid": TENANT, "oid": PERSON, "sub": "Qm7v1kT0c3N9",
        "iat": NOW - 300, "nbf": NOW - 300, "exp": NOW + 3600, "nonce": NONCE,
        "name": "Noor Okafor", "preferred_username": "noor@fabrikam.example",
        "sid": "0c1d7e52-9a3b-4f60-8e21-6b5d94c7f013", "login_hint": "O.CiQ1Yjdl", "auth_time": NOW - 20,
        "acrs": ["p1", "c1"], "groups": ["7c40f2d9-5e1a-4b36-90cf-1d83a6e5b274"],
    })
}

pub(in crate::entra) fn tenant(text: &str) -> TenantId {
    text.parse().unwrap()
}

pub(in crate::entra) fn discovery_path(tenant: &str) -> String {
    format!("/{tenant}/v2.0/.well-known/openid-configuration")
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, stage: Arc<Mutex<Stage>>) {
    let Some((path, request)) = read_request(&mut stream).await else { return };
    let reply = {
        let mut stage = stage.lock().unwrap();
        stage.requests.push((path.clone(), request));
        stage.replies.get(&path).cloned()
    };
    let reply = reply.unwrap_or_else(|| Reply::text(404, "text/plain", "nothing here"));
    // The client may well hang up on a hostile answer.
    let _ = answer(&mut stream, reply).await;
    let _ = stream.shutdown().await;
}

async fn read_request<S: AsyncRead + Unpin>(stream: &mut S) -> Option<(String, String)> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
            });
            if body.len() >= length.unwrap_or(0) {
                let path = head.split(' ').nth(1)?.to_owned();
                return Some((path, text));
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

async fn answer<S: AsyncWrite + Unpin>(stream: &mut S, reply: Reply) -> std::io::Result<()> {
    let open = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 10000000000\r\n\r\n";
    match reply {
        Reply::Whole { status, headers, body } => {
            let date = "date: Mon, 21 Sep 2026 14:18:20 GMT";
            let head = format!(
                "HTTP/1.1 {status} X\r\n{date}\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n",
                body.len()
            );
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(body.as_bytes()).await
        }
        Reply::Never => std::future::pending().await,
        Reply::Drip => {
            stream.write_all(open).await?;
            loop {
                stream.write_all(b" ").await?;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
        Reply::Endless => {
            stream.write_all(open).await?;
            let zeros = vec![b'0'; 64 * 1024];
            loop {
                stream.write_all(&zeros).await?;
            }
        }
        Reply::Half => stream.write_all(open).await,
    }
}
