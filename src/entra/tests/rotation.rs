//! Keys come and go while people sign in, and the provider is not always at its best.

use std::time::Duration;

use serde_json::{Value, json};

use super::provider::*;
use crate::entra::*;

const HOUR: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);

struct Scene {
    provider: Provider,
    party: RelyingParty,
    clock: std::sync::Arc<crate::facts::ManualClock>,
}

impl Scene {
    async fn new(signer: &Signer) -> Self {
        let provider = Provider::with(signer).await;
        let (party, clock) = provider.party();
        Self { provider, party, clock }
    }

    /// Signs in with a token that is good whatever time it is.
    async fn sign_in(&self, signer: &Signer) -> &'static str {
        let mut claims = self.provider.claims();
        let now = crate::facts::Clock::now(&*self.clock).0;
        claims["iat"] = json!(now);
        claims["exp"] = json!(now + 3600);
        self.provider.give(&signer.sign(&claims));
        let outcome = self.party.redeem(&Secret::new("c".to_owned()), VERIFIER, NONCE).await;
        outcome.map_or_else(|error| error.fault().word(), |_| "signed in")
    }

    fn key_fetches(&self) -> usize {
        self.provider.hits(&keys_path())
    }

    fn break_keys(&self, reply: Reply) {
        self.provider.reply(&keys_path(), reply);
    }
}

fn keys_path() -> String {
    format!("/{TENANT}/keys")
}

#[tokio::test]
async fn a_new_key_works_at_once_and_strange_keys_fetch_at_most_every_five_minutes() {
    let (first, second, stranger) = (Signer::new("k1"), Signer::new("k2"), Signer::new("k3"));
    let scene = Scene::new(&first).await;
    assert_eq!(scene.sign_in(&first).await, "signed in");
    assert_eq!(scene.key_fetches(), 1);
    scene.provider.publish(TENANT, &[first.jwk(), second.jwk()]);
    assert_eq!(scene.sign_in(&second).await, "signed in", "the first unknown key is looked up at once");
    assert_eq!(scene.key_fetches(), 2);
    for _ in 0..20 {
        assert_eq!(scene.sign_in(&stranger).await, "unknown_key");
        assert_eq!(scene.sign_in(&first).await, "signed in");
    }
    assert_eq!(scene.key_fetches(), 2, "within five minutes nothing is asked again");
    scene.clock.advance(5 * MINUTE);
    for _ in 0..20 {
        assert_eq!(scene.sign_in(&stranger).await, "unknown_key");
    }
    assert_eq!(scene.key_fetches(), 3);
}

#[tokio::test]
async fn a_removed_key_stops_with_the_hourly_refresh() {
    let (first, second) = (Signer::new("k1"), Signer::new("k2"));
    let scene = Scene::new(&first).await;
    scene.provider.publish(TENANT, &[first.jwk(), second.jwk()]);
    assert_eq!(scene.sign_in(&first).await, "signed in");
    scene.provider.publish(TENANT, &[second.jwk()]);
    scene.clock.advance(HOUR - MINUTE);
    assert_eq!(scene.sign_in(&first).await, "signed in");
    scene.clock.advance(MINUTE);
    assert_eq!(scene.sign_in(&first).await, "unknown_key");
    assert_eq!(scene.sign_in(&second).await, "signed in");
}

#[tokio::test]
async fn a_bad_key_set_never_replaces_a_good_one() {
    let signer = Signer::new("k1");
    let scene = Scene::new(&signer).await;
    assert_eq!(scene.sign_in(&signer).await, "signed in");
    let twin = Signer::new("k1");
    let keys = |keys: Value| Reply::json(&json!({ "keys": keys }));
    let bad = [
        Reply::text(500, "text/html", "oops"),
        Reply::text(200, "text/html", "<html>sign in to the hotel network</html>"),
        Reply::text(200, "application/json", "{\"keys\":["),
        keys(json!([])),
        keys(json!([{ "kty": "EC", "use": "sig", "kid": "k1" }])),
        keys(json!([signer.jwk(), twin.jwk()])),
        keys(Value::Array(vec![signer.jwk(); 1001])),
        Reply::Endless,
        Reply::Half,
    ];
    for (round, reply) in bad.into_iter().enumerate() {
        scene.break_keys(reply);
        scene.clock.advance(HOUR);
        let before = scene.key_fetches();
        assert_eq!(scene.sign_in(&signer).await, "signed in", "round {round}");
        assert_eq!(scene.key_fetches(), before + 1, "round {round}: the refresh was tried");
        assert_eq!(scene.sign_in(&signer).await, "signed in");
        assert_eq!(scene.key_fetches(), before + 1, "round {round}: and not tried again within a minute");
    }
}

#[tokio::test]
async fn a_bad_discovery_document_never_replaces_a_good_one() {
    let signer = Signer::new("k1");
    let scene = Scene::new(&signer).await;
    assert_eq!(scene.sign_in(&signer).await, "signed in");
    for (name, value) in [
        ("issuer", json!("https://evil.example/v2.0")),
        ("jwks_uri", json!("https://evil.example/keys")),
        ("token_endpoint", json!("http://login.example/token")),
    ] {
        let mut document = scene.provider.discovery(TENANT);
        document[name] = value;
        scene.provider.reply(&discovery_path(TENANT), Reply::json(&document));
        scene.clock.advance(HOUR);
        assert_eq!(scene.sign_in(&signer).await, "signed in", "{name}");
    }
}

#[tokio::test]
async fn the_last_good_keys_are_not_believed_longer_than_a_day() {
    let signer = Signer::new("k1");
    let scene = Scene::new(&signer).await;
    assert_eq!(scene.sign_in(&signer).await, "signed in");
    scene.break_keys(Reply::text(503, "text/plain", ""));
    scene.clock.advance(24 * HOUR - MINUTE);
    assert_eq!(scene.sign_in(&signer).await, "signed in");
    scene.clock.advance(MINUTE);
    assert_eq!(scene.sign_in(&signer).await, "unreachable");
    scene.provider.publish(TENANT, &[signer.jwk()]);
    scene.clock.advance(MINUTE);
    assert_eq!(scene.sign_in(&signer).await, "signed in", "it heals without a restart");
}

#[tokio::test]
async fn many_at_once_share_one_fetch() {
    let signer = Signer::new("k1");
    let scene = Scene::new(&signer).await;
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let party = scene.party.clone();
        waiting.spawn(async move {
            let request =
                AuthorizeRequest { state: "s", nonce: NONCE, verifier: VERIFIER, prompt: None, login_hint: None };
            party.authorize_url(request).await.is_ok()
        });
    }
    assert!(waiting.join_all().await.into_iter().all(|good| good));
    assert_eq!(scene.provider.hits(&discovery_path(TENANT)), 1);
    assert_eq!(scene.key_fetches(), 1);
}

#[tokio::test]
async fn without_any_document_a_dead_provider_is_not_hammered() {
    let signer = Signer::new("k1");
    let scene = Scene::new(&signer).await;
    scene.provider.reply(&discovery_path(TENANT), Reply::text(502, "text/html", ""));
    for _ in 0..50 {
        assert_eq!(scene.sign_in(&signer).await, "unreachable");
    }
    assert_eq!(scene.provider.hits(&discovery_path(TENANT)), 1);
    scene.provider.publish(TENANT, &[signer.jwk()]);
    scene.clock.advance(Duration::from_secs(2));
    assert_eq!(scene.sign_in(&signer).await, "signed in");
}

#[tokio::test(start_paused = true)]
async fn the_background_task_fetches_at_start_and_before_documents_are_due() {
    let signer = Signer::new("k1");
    let mut scene = Scene::new(&signer).await;
    // The paused clock leaps whenever everybody waits for the network; no leap may reach the call's deadline.
    let config = Config { timeout: 24 * HOUR, ..scene.provider.config() };
    (scene.party, scene.clock) = scene.provider.party_with(config);
    let party = scene.party.clone();
    let task = tokio::spawn(async move { party.keep_fresh().await });
    let fetched = |count: usize| {
        let provider = &scene.provider;
        async move {
            while provider.hits(&keys_path()) < count {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    };
    tokio::time::timeout(12 * HOUR, fetched(1)).await.unwrap();
    scene.clock.advance(56 * MINUTE);
    tokio::time::timeout(12 * HOUR, fetched(2)).await.unwrap();
    task.abort();
}

#[tokio::test]
async fn a_slow_refresh_delays_nobody_else_and_a_caller_who_leaves_blocks_nobody() {
    let signer = Signer::new("k1");
    let scene = Scene::new(&signer).await;
    assert_eq!(scene.sign_in(&signer).await, "signed in");
    scene.break_keys(Reply::Never);
    scene.clock.advance(HOUR);
    let party = scene.party.clone();
    let stuck = tokio::spawn(async move { party.end_session_url(&"https://a.example".parse().unwrap(), None).await });
    while scene.key_fetches() < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(scene.sign_in(&signer).await, "signed in", "the last good keys serve meanwhile");
    assert!(!stuck.is_finished());
    stuck.abort();
    assert!(stuck.await.unwrap_err().is_cancelled());
    scene.provider.publish(TENANT, &[signer.jwk()]);
    assert_eq!(scene.sign_in(&signer).await, "signed in");
    assert_eq!(scene.key_fetches(), 3, "the next caller fetches");
}
