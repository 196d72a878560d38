//! Tests of the signed assertion: claims, keys, rotation, reuse.

use std::collections::HashMap;
use std::net::SocketAddr;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde_json::Value;

use super::*;
use crate::access::private::Routes;
use crate::access::private::testing::app_config;
use crate::facts::{Guid, UserKey};

#[derive(Default, Clone)]
struct Memory(Arc<Mutex<HashMap<String, Vec<u8>>>>);

impl SecretStore for Memory {
    fn load(&self, name: &str) -> Result<Option<Vec<u8>>, StoreFailure> {
        Ok(self.0.lock().unwrap().get(name).cloned())
    }

    fn save(&self, name: &str, secret: &[u8]) -> Result<(), StoreFailure> {
        self.0.lock().unwrap().insert(name.to_owned(), secret.to_vec());
        Ok(())
    }
}

#[test]
fn our_own_reading_takes_what_apps_take_and_only_for_its_audience_and_time() {
    let assertions = Assertions::open(Box::new(Memory::default()), "https://gw".to_owned(), DAY, NOW).unwrap();
    let (app, key) = (app("console"), SessionKey([7; 32]));
    let value = assertions.sign(&subject(), &key, &app, NOW).unwrap();
    let token = value.to_str().unwrap();
    let proven = assertions.verify(token, "aud-console", NOW).unwrap();
    assert_eq!((proven.user, proven.session.as_str()), (subject().user, "0707070707070707"));
    assert_eq!(proven.groups, Some(vec![ObjectId(Guid::from_u128(3))]));
    assert!(assertions.verify(token, "aud-console", NOW.plus(Duration::from_secs(59))).is_some());
    assert!(assertions.verify(token, "aud-console", NOW.plus(Duration::from_secs(60))).is_none());
    assert!(assertions.verify(token, "aud-wiki", NOW).is_none());
    // The key set still holds the key after one rotation, and no longer after two.
    assert!(assertions.rotate_if_due(NOW.plus(DAY)).unwrap());
    assert!(assertions.verify(token, "aud-console", NOW).is_some());
    assert!(assertions.rotate_if_due(NOW.plus(2 * DAY)).unwrap());
    assert!(assertions.verify(token, "aud-console", NOW).is_none());
}

const DAY: Duration = Duration::from_secs(86_400);
const NOW: UnixTime = UnixTime(1_800_000_000);

fn subject() -> Subject {
    Subject {
        user: UserKey { tenant: TenantId(Guid::from_u128(1)), object: ObjectId(Guid::from_u128(2)) },
        name: "Alice \"A\" Müller".into(),
        email: "alice@contoso.test".into(),
        groups: Groups::known(vec![ObjectId(Guid::from_u128(3))]),
    }
}

fn app(name: &str) -> Arc<App> {
    let mut config = app_config(&[SocketAddr::from(([127, 0, 0, 1], 1))]);
    config.name = name.to_owned();
    config.audience = format!("aud-{name}");
    Arc::clone(&Routes::build(vec![config]).unwrap().apps()[0])
}

/// Verifies as an app would: key by `kid` from the set, signature, then the claims.
fn verify(assertions: &Assertions, token: &HeaderValue) -> Option<Value> {
    let token = token.to_str().unwrap();
    let (signed, signature) = token.rsplit_once('.')?;
    let (header, claims) = signed.split_once('.')?;
    let json = |part: &str| serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    let header = json(header);
    assert_eq!(header["alg"], "ES256");
    let set: Value = serde_json::from_str(&assertions.jwks_json()).unwrap();
    let key = set["keys"].as_array()?.iter().find(|key| key["kid"] == header["kid"])?;
    let part = |name: &str| URL_SAFE_NO_PAD.decode(key[name].as_str().unwrap()).unwrap();
    let point = [vec![4], part("x"), part("y")].concat();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(signed.as_bytes(), &signature).ok()?;
    Some(json(claims))
}

#[test]
fn an_app_can_verify_who_for_whom_and_how_long() {
    let assertions = Assertions::open(Box::new(Memory::default()), "https://gw.test".into(), DAY, NOW).unwrap();
    let token = assertions.sign(&subject(), &SessionKey([0xab; 32]), &app("wiki"), NOW).unwrap();
    let claims = verify(&assertions, &token).unwrap();
    assert_eq!(claims["iss"], "https://gw.test");
    assert_eq!(claims["aud"], "aud-wiki");
    assert_eq!(claims["sub"], subject().user.to_string());
    assert_eq!(claims["name"], "Alice \"A\" Müller");
    assert_eq!(claims["groups"].as_array().unwrap().len(), 1);
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 60);
    assert_eq!(claims["sid"], "abababababababab");
    let again = assertions.sign(&subject(), &SessionKey([0xab; 32]), &app("wiki"), NOW).unwrap();
    assert_ne!(verify(&assertions, &again).unwrap()["jti"], claims["jti"]);
}

#[test]
fn unknown_and_too_many_groups_are_absent_and_said_to_be() {
    let assertions = Assertions::open(Box::new(Memory::default()), "https://gw.test".into(), DAY, NOW).unwrap();
    let many = Groups::known((0..101).map(|n| ObjectId(Guid::from_u128(n))).collect());
    for groups in [Groups::Unknown, many] {
        let subject = Subject { groups, ..subject() };
        let token = assertions.sign(&subject, &SessionKey([0; 32]), &app("wiki"), NOW).unwrap();
        let claims = verify(&assertions, &token).unwrap();
        assert_eq!((claims.get("groups"), &claims["groups_complete"]), (None, &Value::Bool(false)));
    }
}

#[test]
fn rotation_uses_a_key_that_was_already_published_and_keeps_the_old_one_valid() {
    let memory = Memory::default();
    let assertions = Assertions::open(Box::new(memory.clone()), "https://gw.test".into(), DAY, NOW).unwrap();
    let (session, wiki) = (SessionKey([0; 32]), app("wiki"));
    let before = assertions.sign(&subject(), &session, &wiki, NOW).unwrap();
    let known = assertions.jwks_json();
    assert!(!assertions.rotate_if_due(NOW).unwrap());
    assert!(assertions.rotate_if_due(NOW.plus(DAY)).unwrap());
    let after = assertions.sign(&subject(), &session, &wiki, NOW.plus(DAY)).unwrap();
    let kid = |token: &HeaderValue| {
        let header = URL_SAFE_NO_PAD.decode(token.to_str().unwrap().split('.').next().unwrap()).unwrap();
        serde_json::from_slice::<Value>(&header).unwrap()["kid"].as_str().unwrap().to_owned()
    };
    assert_ne!(kid(&before), kid(&after));
    assert!(known.contains(&kid(&after)), "an app with a cached set knows the new key");
    assert!(verify(&assertions, &before).is_some());
    let reopened = Assertions::open(Box::new(memory), "https://gw.test".into(), DAY, NOW.plus(DAY)).unwrap();
    assert_eq!(reopened.jwks_json(), assertions.jwks_json());
    assert!(verify(&reopened, &after).is_some());
}

#[test]
fn a_cached_assertion_serves_only_the_same_session_version_and_app_for_half_its_life() {
    let assertions = Assertions::open(Box::new(Memory::default()), "https://gw.test".into(), DAY, NOW).unwrap();
    let (cache, subject, wiki, payroll) = (CachedAssertion::default(), subject(), app("wiki"), app("payroll"));
    let (one, two) = (SessionKey([1; 32]), SessionKey([2; 32]));
    let ask = |session, version, app, now| {
        cache.header(&assertions, Asserted { subject: &subject, session, version, app }, now).unwrap()
    };
    let first = ask(&one, 1, &*wiki, NOW);
    let later = |seconds| NOW.plus(Duration::from_secs(seconds));
    assert_eq!(ask(&one, 1, &wiki, later(29)), first);
    let changes = [(&two, 1, &wiki, NOW), (&one, 2, &wiki, NOW), (&one, 1, &payroll, NOW), (&one, 1, &wiki, later(31))];
    for (session, version, app, now) in changes {
        let before = ask(&one, 1, &wiki, NOW);
        assert_ne!(ask(session, version, app, now), before);
    }
}

#[test]
fn apps_used_in_turn_keep_their_assertions_and_no_more_than_a_few_are_kept() {
    let assertions = Assertions::open(Box::new(Memory::default()), "https://gw.test".into(), DAY, NOW).unwrap();
    let (cache, subject, session) = (CachedAssertion::default(), subject(), SessionKey([1; 32]));
    let apps: Vec<_> = (0..=APPS).map(|n| app(&n.to_string())).collect();
    let ask = |app: &App| {
        let wanted = Asserted { subject: &subject, session: &session, version: 1, app };
        cache.header(&assertions, wanted, NOW).unwrap()
    };
    let first: Vec<_> = apps.iter().take(APPS).map(|app| ask(app)).collect();
    let again: Vec<_> = apps.iter().take(APPS).map(|app| ask(app)).collect();
    assert_eq!(first, again);
    ask(&apps[APPS]);
    assert_ne!(ask(&apps[0]), first[0]);
}

#[test]
fn damaged_keys_are_an_error_not_a_fresh_start() {
    let memory = Memory::default();
    memory.save(STORED_AS, b"{}").unwrap();
    assert!(Assertions::open(Box::new(memory), String::new(), DAY, NOW).is_err());
}
