//! Step-ups and warnings: durable, seen at once, bounded, and lost with the session.

use super::*;
use crate::facts::{Acknowledged, AuthContext};

fn proof(context: u8, at: UnixTime) -> Proof {
    Proof { context: AuthContext(context), at }
}

#[tokio::test]
async fn what_was_passed_is_seen_at_once_and_survives_a_restart() {
    let world = World::new();
    let (key, cookie) = {
        let sessions = world.open();
        let (session, cookie) = sessions.create(sign_in(1), HOST).await.unwrap();
        assert_eq!(*session.passed(), Default::default(), "a sign-in starts with none");
        let mut version = session.version();
        let mut moved = |session: &Session| std::mem::replace(&mut version, session.version()) != session.version();
        sessions.proved(&session, &[proof(1, START), proof(2, START)]).await.unwrap();
        assert!(moved(&session), "connections look again");
        sessions.proved(&session, &[proof(1, START.plus(HOUR))]).await.unwrap();
        sessions.acknowledged(&session, &"be-careful".into(), START).await.unwrap();
        assert!(moved(&session));
        sessions.acknowledged(&session, &"be-careful".into(), START.plus(HOUR)).await.unwrap();
        // A silent refresh writes the same record and keeps what is in it.
        sessions.refreshed(&session, subject(1), Some(Secret::new("next".to_owned()))).await.unwrap();
        (session.key, cookie)
    };
    let sessions = world.open();
    let session = found(&sessions, HOST, &cookie).await.unwrap();
    assert_eq!(session.passed().proofs, [proof(2, START), proof(1, START.plus(HOUR))], "the newest of each context");
    let line = Acknowledged { rule: "be-careful".into(), at: START.plus(HOUR) };
    assert_eq!(session.passed().acknowledged, [line]);
    assert_eq!(sessions.refresh_token(&key).await.unwrap().unwrap().expose(), "next");
}

#[tokio::test]
async fn proofs_of_the_sign_in_itself_are_there_from_the_start() {
    let world = World::new();
    let sessions = world.open();
    let new = NewSession { proofs: vec![proof(3, START)], ..sign_in(1) };
    let (session, cookie) = sessions.create(new, HOST).await.unwrap();
    assert_eq!(session.passed().proofs, [proof(3, START)]);
    drop((session, sessions));
    let session = found(&world.open(), HOST, &cookie).await.unwrap();
    assert_eq!(session.passed().proofs, [proof(3, START)]);
}

#[tokio::test]
async fn refreshes_and_step_ups_at_once_lose_nothing() {
    let world = World::new();
    let sessions = world.open();
    let (session, cookie) = sessions.create(sign_in(1), HOST).await.unwrap();
    let mut tasks = Vec::new();
    for context in 1..=20 {
        let (sessions, session) = (sessions.clone(), Arc::clone(&session));
        tasks.push(tokio::spawn(async move {
            sessions.proved(&session, &[proof(context, START)]).await.unwrap();
            sessions.refreshed(&session, subject(1), None).await.unwrap();
            sessions.acknowledged(&session, &format!("rule {context}").into(), START).await.unwrap();
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    drop((session, sessions));
    let session = found(&world.open(), HOST, &cookie).await.unwrap();
    assert_eq!((session.passed().proofs.len(), session.passed().acknowledged.len()), (20, 20));
}

#[tokio::test]
async fn warnings_are_bounded_and_the_oldest_is_forgotten() {
    let world = World::new();
    let sessions = world.open();
    let (session, _) = sessions.create(sign_in(1), HOST).await.unwrap();
    for rule in 0..70 {
        sessions.acknowledged(&session, &format!("rule {rule}").into(), START).await.unwrap();
    }
    let passed = session.passed();
    assert_eq!(passed.acknowledged.len(), 64);
    assert_eq!(&*passed.acknowledged[0].rule, "rule 6");
}

#[tokio::test]
async fn a_session_that_is_over_passes_nothing() {
    let world = World::new();
    let sessions = world.open();
    let (session, cookie) = sessions.create(sign_in(1), HOST).await.unwrap();
    sessions.end(&session.key, CutReason::SignedOut).await.unwrap();
    assert!(matches!(sessions.proved(&session, &[proof(1, START)]).await, Err(SessionError::Over)));
    assert!(matches!(sessions.acknowledged(&session, &"r".into(), START).await, Err(SessionError::Over)));
    assert!(matches!(sessions.renew_host(&session, "app.test").await, Err(SessionError::Over)));
    assert!(session.passed().proofs.is_empty());
    drop((session, sessions));
    assert!(found(&world.open(), HOST, &cookie).await.is_none(), "nothing brings it back");
}

#[tokio::test]
async fn a_renewed_host_has_one_cookie_and_other_hosts_keep_theirs() {
    let world = World::new();
    let sessions = world.open();
    let (session, at_sign_in) = sessions.create(sign_in(1), HOST).await.unwrap();
    let app = sessions.bind_host(&session, "app.test").await.unwrap();
    let second = sessions.bind_host(&session, "app.test").await.unwrap();
    let other = sessions.bind_host(&session, "fin.test").await.unwrap();
    let version = session.version();
    let renewed = sessions.renew_host(&session, "app.test").await.unwrap();
    assert_ne!(session.version(), version, "connections that remember the old cookie look again");
    let check = async |sessions: &Sessions, when: &str| {
        assert!(found(sessions, "app.test", &app).await.is_none(), "{when}");
        assert!(found(sessions, "app.test", &second).await.is_none(), "{when}");
        for (host, cookie) in [("app.test", &renewed), ("fin.test", &other), (HOST, &at_sign_in)] {
            assert!(found(sessions, host, cookie).await.is_some(), "{when}: {host}");
        }
    };
    check(&sessions, "at once").await;
    drop((session, sessions));
    check(&world.open(), "after a restart").await;
}

#[tokio::test]
async fn a_forgotten_host_has_no_cookie_until_it_is_bound_again() {
    let world = World::new();
    let sessions = world.open();
    let (session, at_sign_in) = sessions.create(sign_in(1), HOST).await.unwrap();
    let app = sessions.bind_host(&session, "app.test").await.unwrap();
    let version = session.version();
    sessions.forget_host(&session, "app.test").await.unwrap();
    assert_ne!(session.version(), version, "connections that remember the cookie look again");
    assert!(found(&sessions, "app.test", &app).await.is_none());
    assert!(found(&sessions, HOST, &at_sign_in).await.is_some());
    let again = sessions.bind_host(&session, "app.test").await.unwrap();
    assert!(found(&sessions, "app.test", &again).await.is_some());
    drop((session, sessions));
    let sessions = world.open();
    assert!(found(&sessions, "app.test", &app).await.is_none(), "after a restart");
}

/// Threats SE-05: a request with the old cookie that read its binding just before the renewal took it from the disk.
#[tokio::test]
async fn a_cookie_that_gave_way_is_not_brought_back_by_a_request_that_read_it_before() {
    let world = World::new();
    let sessions = world.open();
    let (session, _) = sessions.create(sign_in(1), HOST).await.unwrap();
    let old = sessions.bind_host(&session, "app.test").await.unwrap();
    let key = sessions.verify_cookie("app.test", old.expose().as_bytes()).unwrap();
    let row = sessions.inner.store.read_async(Table::HostBindings, &key.0).await.unwrap().unwrap();
    sessions.renew_host(&session, "app.test").await.unwrap();
    let mut batch = crate::store::Batch::new();
    batch.put(Table::HostBindings, &key.0, &row);
    sessions.inner.store.write(batch).await.unwrap();
    assert!(sessions.load(&key).await.unwrap().is_none());
    assert!(matches!(sessions.lookup(&key), Lookup::Unknown), "and it is not kept");
}

#[test]
fn records_of_before_still_open() {
    let world = World::new();
    let keyring = Keyring::open(world.dir.path()).unwrap();
    let key = SessionKey([7; 32]);
    let old = serde_json::json!({
        "version": 1, "subject": subject(1), "sid": null, "login_hint": null, "authenticated": START,
        "created": START, "expires": START, "refreshed": START, "refresh_token": null,
    });
    let sealed = keyring.seal("session record", &key.0, old.to_string().as_bytes());
    let record = Record::open(&keyring, &key, &sealed).unwrap();
    assert_eq!(record.passed(), Default::default());
    // Without anything passed the record is written as before, so that an earlier version reads it too.
    let plain = keyring.open_sealed("session record", &key.0, &record.seal(&keyring, &key).unwrap()).unwrap();
    let written: serde_json::Value = serde_json::from_slice(&plain).unwrap();
    assert_eq!(written, old);
}
