//! A whole world for one test: provider, upstreams, the real gateway, and browsers. Nothing is shared between tests.

pub(crate) mod browser;
pub(crate) mod certs;
pub(crate) mod gateway;
pub(crate) mod graph;
pub(crate) mod http2;
pub(crate) mod load;
pub(crate) mod page;
pub(crate) mod provider;
pub(crate) mod raw;
pub(crate) mod shapes;
pub(crate) mod upstream;
pub(crate) mod websocket;

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use browser::Browser;
use certs::Authority;
use gateway::Gateway;
use provider::{Kind, Provider};
use raw::Raw;
use shapes::{App, Settings};
use upstream::{Answer, Request, Upstream};

/// Somebody who can sign in.
#[derive(Debug)]
pub(crate) struct Person {
    pub(crate) login: &'static str,
    pub(crate) upn: &'static str,
    pub(crate) oid: &'static str,
    pub(crate) name: &'static str,
    pub(crate) password: &'static str,
}

/// The tenant of every world.
pub(crate) const TENANT: &str = "3f1c0b9e-6a52-4d0e-9b7a-5d2f8c4e1a77";

/// The people of every world; the same in both providers.
pub(crate) const PEOPLE: [Person; 2] = [
    Person {
        login: "alice",
        upn: "alice@contoso.example",
        oid: "5b7e2a94-13cd-4e68-8f02-9ac46d1e7b50",
        name: "Alice Ahlberg",
        password: "demo",
    },
    Person {
        login: "bob",
        upn: "bob@contoso.example",
        oid: "1e9c7d36-8a40-4b52-b6f1-d30e5c824a97",
        name: "Bob Berger",
        password: "demo",
    },
];
pub(crate) const ALICE: &Person = &PEOPLE[0];
pub(crate) const BOB: &Person = &PEOPLE[1];

/// The host of the first app, and of the second.
pub(crate) const APP: &str = "app.test";
pub(crate) const FIN: &str = "fin.test";

/// A gateway in front of two apps, with somebody to sign in at.
pub(crate) struct World {
    pub(crate) gateway: Gateway,
    pub(crate) provider: Provider,
    /// The upstream of [`APP`].
    pub(crate) app: Upstream,
    /// The upstream of [`FIN`].
    pub(crate) fin: Upstream,
    pub(crate) authority: Authority,
}

impl World {
    /// A world whose apps answer with the path they were asked for.
    pub(crate) async fn start(kind: Kind) -> Self {
        Self::with(kind, |request| Answer::text(request.target()), |_| {}).await
    }

    /// A world whose first app answers as `script` says, with other settings.
    pub(crate) async fn with(
        kind: Kind,
        script: impl Fn(&Request) -> Answer + Send + Sync + 'static,
        change: impl FnOnce(&mut Settings),
    ) -> Self {
        // Both sides of TLS in this process use the library that the gateway uses.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let (provider, app, fin) =
            (Provider::start(kind), Upstream::scripted(script).await, Upstream::echo_target().await);
        let authority = Authority::new();
        let mut settings = Settings {
            authority: provider.authority.clone(),
            apps: vec![
                App { name: "app", host: APP, upstream: app.address.to_string() },
                App { name: "fin", host: FIN, upstream: fin.address.to_string() },
            ],
            response_mode: "form_post",
            workers: 1,
            credential: "client_secret = \"file:{dir}/client-secret\"".to_owned(),
            announce_milliseconds: 0,
            drain_seconds: 5,
            marker: String::new(),
            sign_in: String::new(),
            first_app: String::new(),
            more: String::new(),
            keys: Vec::new(),
            rules: shapes::RULES.to_owned(),
        };
        change(&mut settings);
        let certificate = authority.issue(&HOSTS);
        let gateway = Gateway::start(settings, &certificate).await;
        Self { gateway, provider, app, fin, authority }
    }

    /// A fresh browser.
    pub(crate) fn browser(&self) -> Browser {
        Browser::new(self.gateway.https(), self.authority.roots.clone())
    }

    /// A browser in which `person` has signed in to the first app.
    pub(crate) async fn signed_in(&self, person: &Person) -> Browser {
        let mut browser = self.browser();
        let page = browser.sign_in(&format!("https://{APP}/signed-in"), person).await;
        assert_eq!((page.status(), page.url.host_str()), (200, Some(APP)), "{:#?}", page.trail);
        browser
    }

    /// A session cookie of `person` for the first app, as a `Cookie` value.
    pub(crate) async fn cookie(&self, person: &Person) -> String {
        let mut browser = self.signed_in(person).await;
        let value = browser.jar().value(APP, shapes::COOKIE).expect("a session cookie");
        format!("{}={value}", shapes::COOKIE)
    }

    /// A raw TLS connection to a host of the gateway, speaking HTTP/1.1.
    pub(crate) async fn raw(&self, host: &str) -> Raw {
        Raw::tls(self.gateway.https(), host, Some(&["http/1.1"]), &self.authority.roots).await.unwrap()
    }

    /// A certificate for the gateway's hosts, from the authority that the browsers trust.
    pub(crate) fn new_certificate(&self) -> certs::Pair {
        self.authority.issue(&HOSTS)
    }
}

/// Waits until `condition` holds; fails with `what` after `within`.
pub(crate) async fn eventually<F: Future<Output = bool>>(
    what: &str,
    within: Duration,
    mut condition: impl FnMut() -> F,
) {
    let deadline = Instant::now() + within;
    while !condition().await {
        assert!(Instant::now() < deadline, "not within {within:?}: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

const HOSTS: [&str; 4] = [APP, FIN, shapes::AUTH_HOST, "unknown.test"];
