//! Sessions of accounts that the directory says have changed.

use super::*;
use crate::directory::Round;
use crate::entra::graph::{Removal, User, UserChange};

async fn directory_says(running: &Running, change: UserChange) {
    let update =
        Update { users: vec![change], users_round: Some(Round::GoesOn { next: "x".into() }), ..Update::default() };
    running.directory.apply(TENANT, update).await.unwrap();
}

fn seen(who: UserKey, enabled: bool, valid_from: Option<UnixTime>) -> UserChange {
    UserChange::Seen(User {
        id: who.object,
        name: Some("A".into()),
        upn: Some("a@b.test".into()),
        mail: None,
        enabled: Some(enabled),
        guest: Some(false),
        sign_in_sessions_valid_from: valid_from,
    })
}

fn accounts(running: &Running) -> Accounts {
    let (sessions, directory) = (running.sessions.clone(), running.directory.clone());
    Accounts::new(sessions, directory, AuditLog::off(), Metrics::new(1))
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let waited = async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), waited).await.expect(what);
}

#[tokio::test]
async fn disabled_deleted_and_revoked_accounts_lose_their_sessions_and_nobody_else_does() {
    let world = World::new();
    let running = world.open();
    for n in 1..=4 {
        running.signed_in(user(n)).await;
    }
    // Known before it listens: found by the look at the start.
    directory_says(&running, seen(user(1), false, None)).await;
    let watching = tokio::spawn(accounts(&running).run(std::future::pending()));
    until("the disabled one", || running.alive(user(1)) == 0).await;
    directory_says(&running, seen(user(2), true, None)).await;
    directory_says(&running, UserChange::Removed(user(2).object, Removal::Deleted)).await;
    until("the deleted one", || running.alive(user(2)) == 0).await;
    // A sign-in at the very moment still counts, one from before does not.
    directory_says(&running, seen(user(3), true, Some(START))).await;
    world.clock.advance(HOUR);
    running.signed_in(user(3)).await;
    directory_says(&running, seen(user(3), true, Some(START.plus(HOUR)))).await;
    until("the older of two", || running.alive(user(3)) == 1).await;
    assert_eq!(running.alive(user(4)), 1);
    watching.abort();
}
