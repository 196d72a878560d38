//! Through the gateway: whom its signed assertion makes an administrator, and everything that does not count as one.

use http::HeaderName;

use super::entrance::status_of;
use super::*;
use crate::access::{App, Routes, SecretStore, StoreFailure};
use crate::facts::{Groups, Guid, ObjectId, Subject};
use crate::session::SessionKey;

const HOST: &str = "console.example";
const GROUP: ObjectId = ObjectId(Guid::from_u128(0x61));
const NOW: UnixTime = UnixTime(1_000_000);

#[tokio::test]
async fn an_administrator_who_came_through_the_gateway_reads_and_changes() {
    let gate = Gate::new();
    let admin = gate.admin().await;
    let headers = gate.headers(&gate.sign(&alice(&[GROUP]), NOW));
    assert_eq!(admin.at_console("GET", "/", &headers).await, 200);
    assert_eq!(admin.at_console("GET", "/api/v1/iam", &headers).await, 200);
    let json = "Content-Type: application/json\r\n";
    for (more, status) in [
        (String::new(), 403),
        (json.to_owned(), 403),
        (format!("Origin: http://{HOST}\r\n{json}"), 403),
        (format!("Origin: https://evil.test\r\n{json}"), 403),
        (format!("Origin: https://{HOST}\r\nSec-Fetch-Site: same-site\r\n{json}"), 403),
        (format!("Origin: https://{HOST}\r\n"), 415),
        (format!("Origin: https://{HOST}\r\nSec-Fetch-Site: same-origin\r\n{json}"), 200),
    ] {
        let path = "/api/v1/sessions/0000000000000003";
        assert_eq!(admin.at_console("DELETE", path, &format!("{headers}{more}")).await, status, "{more}");
    }
    let lines = admin.stop().await;
    let change = lines.iter().find(|line| line["event"] == "admin_action").unwrap();
    assert_eq!((&change["by"], &change["action"]), (&ALICE.into(), &"session_end".into()));
}

#[tokio::test]
async fn nothing_but_our_own_fresh_assertion_for_the_console_counts() {
    let gate = Gate::new();
    let admin = gate.admin().await;
    let good = gate.sign(&alice(&[GROUP]), NOW);
    let flipped = format!("{}{}", &good[..good.len() - 2], if good.ends_with("AA") { "BB" } else { "AA" });
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let (header, _claims) = signed.split_once('.').unwrap();
    let other = Gate::new();
    for (what, token) in [
        ("of another app", gate.sign_for(&alice(&[GROUP]), &gate.other_app, NOW)),
        ("of another gateway", other.sign(&alice(&[GROUP]), NOW)),
        ("too old", gate.sign(&alice(&[GROUP]), UnixTime(NOW.0 - 60))),
        ("from the future", gate.sign(&alice(&[GROUP]), UnixTime(NOW.0 + 120))),
        ("of a person in no such group", gate.sign(&alice(&[ObjectId(Guid::from_u128(0x62))]), NOW)),
        ("of the same group id in another tenant", gate.sign(&of_tenant(9, alice(&[GROUP])), NOW)),
        ("of another tenant, groups not known", gate.sign(&of_tenant(9, unknown(alice(&[]))), NOW)),
        ("of a session that has ended", gate.sign_by(&alice(&[GROUP]), &gate.console_app, NOW, 9)),
        ("changed", flipped),
        ("unsigned", signed.to_owned()),
        ("with an empty signature", format!("{signed}.")),
        ("with other claims", format!("{header}.e30.{signature}")),
        ("with alg none", format!("eyJhbGciOiJub25lIn0.{}.", signed.split_once('.').unwrap().1)),
        ("empty", String::new()),
        ("long", "a".repeat(15_000)),
    ] {
        assert_eq!(admin.at_console("GET", "/api/v1/iam", &gate.headers(&token)).await, 401, "{what}");
    }
    let twice = format!("{0}{0}", gate.headers(&good));
    assert_eq!(admin.at_console("GET", "/api/v1/iam", &twice).await, 401, "two of them");
    assert_eq!(admin.at_console("GET", "/api/v1/iam", "").await, 401, "none");
    assert_eq!(admin.at_console("GET", "/api/v1/iam", &bearer()).await, 401, "the token has no business here");
    let (_, cookie) = admin.sign_in(TOKEN).await;
    assert_eq!(admin.at_console("GET", "/api/v1/iam", &cookie).await, 401, "nor has a local browser's cookie");
    assert_eq!(admin.status("GET", "/api/v1/iam", &gate.headers(&good)).await, 401, "nor an assertion at localhost");
    admin.stop().await;
}

#[tokio::test]
async fn groups_too_many_to_list_rest_on_the_gates_yes_within_the_tenant() {
    let gate = Gate::new();
    let admin = gate.admin().await;
    let headers = gate.headers(&gate.sign(&unknown(alice(&[])), NOW));
    assert_eq!(admin.at_console("GET", "/api/v1/iam", &headers).await, 200);
    admin.stop().await;
}

#[tokio::test]
async fn a_link_from_elsewhere_opens_pages_and_nothing_else() {
    let gate = Gate::new();
    let admin = gate.admin().await;
    let headers = gate.headers(&gate.sign(&alice(&[GROUP]), NOW));
    let navigation = "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n";
    let followed = format!("{headers}{navigation}");
    assert_eq!(admin.at_console("GET", "/", &followed).await, 200);
    for path in ["/api/v1/iam", "/parts/overview", "/metrics", "/assets/console.js"] {
        assert_eq!(admin.at_console("GET", path, &followed).await, 403, "{path}");
    }
    let framed = followed.replace("Dest: document", "Dest: iframe");
    assert_eq!(admin.at_console("GET", "/", &framed).await, 403);
    assert_eq!(admin.at_console("POST", "/", &followed).await, 403);
    admin.stop().await;
}

#[test]
fn a_listener_on_every_address_is_reached_on_this_machine_in_its_own_family() {
    let way = |listen: &str| Console::way_to(listen.parse().unwrap());
    assert_eq!(way("0.0.0.0:9090"), ["127.0.0.1:9090"]);
    assert_eq!(way("[::]:9090"), ["[::1]:9090"]);
    assert_eq!(way("192.0.2.1:9090"), ["192.0.2.1:9090"]);
}

/// A gateway's keys and the console's app.
struct Gate {
    console: Console,
    assertions: Assertions,
    console_app: Arc<App>,
    other_app: Arc<App>,
}

impl Gate {
    fn new() -> Self {
        let console = Console {
            host: HOST.to_owned(),
            port: 443,
            groups: vec![(TENANT.parse().unwrap(), GROUP)],
            header: HeaderName::from_static("x-auth-assertion"),
            audience: Console::audience_of(HOST),
        };
        let other = Console { audience: "https://wiki.example".to_owned(), ..console.clone() };
        let app = |console: &Console| {
            Arc::clone(&Routes::build(vec![console.app(([127, 0, 0, 1], 1).into())]).unwrap().apps()[0])
        };
        let day = Duration::from_secs(86_400);
        let assertions = Assertions::open(Box::new(Nowhere), "https://auth.example".to_owned(), day, NOW).unwrap();
        Self { console_app: app(&console), other_app: app(&other), console, assertions }
    }

    async fn admin(&self) -> Running {
        Running::with(
            Some((self.console.clone(), self.assertions.clone())),
            Arc::new(crate::directory::Control::none()),
        )
        .await
    }

    fn sign(&self, subject: &Subject, now: UnixTime) -> String {
        self.sign_for(subject, &self.console_app, now)
    }

    fn sign_for(&self, subject: &Subject, app: &App, now: UnixTime) -> String {
        self.sign_by(subject, app, now, 1)
    }

    fn sign_by(&self, subject: &Subject, app: &App, now: UnixTime, session: u8) -> String {
        let mut key = [0; 32];
        key[7] = session;
        let token = self.assertions.sign(subject, &SessionKey(key), app, now).unwrap();
        token.to_str().unwrap().to_owned()
    }

    fn headers(&self, token: &str) -> String {
        format!("{}: {token}\r\n", self.console.header)
    }
}

/// Keys that are not kept.
struct Nowhere;

impl SecretStore for Nowhere {
    fn load(&self, _name: &str) -> Result<Option<Vec<u8>>, StoreFailure> {
        Ok(None)
    }

    fn save(&self, _name: &str, _secret: &[u8]) -> Result<(), StoreFailure> {
        Ok(())
    }
}

fn alice(groups: &[ObjectId]) -> Subject {
    let groups = Groups::known(groups.to_vec());
    Subject { user: ALICE.parse().unwrap(), name: "Alice".into(), email: "a@contoso.example".into(), groups }
}

fn unknown(subject: Subject) -> Subject {
    Subject { groups: Groups::Unknown, ..subject }
}

fn of_tenant(number: u128, subject: Subject) -> Subject {
    let user = UserKey { tenant: TenantId(Guid::from_u128(number)), ..subject.user };
    Subject { user, ..subject }
}

impl Running {
    async fn at_console(&self, method: &str, path: &str, headers: &str) -> u16 {
        let head = format!("{method} {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n");
        status_of(&self.raw(&format!("{head}{headers}\r\n")).await)
    }
}
