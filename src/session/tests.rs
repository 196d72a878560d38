//! What sessions promise, each test over a real store in a folder of its own.

use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::cut::CutReason;
use crate::facts::{Clock, Groups, Guid, ManualClock, ObjectId, TenantId};

mod cookie;
mod crash;
mod lifetime;
mod passed;
mod store;

const START: UnixTime = UnixTime(1_800_000_000);
const HOST: &str = "auth.example.test";
const HOUR: Duration = Duration::from_secs(3600);

/// A gateway's worth of state that can be closed and opened again.
struct World {
    dir: TempDir,
    clock: Arc<ManualClock>,
    config: Config,
}

impl World {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            clock: Arc::new(ManualClock::at(START)),
            config: Config { absolute: 8 * HOUR, idle: HOUR, capacity: 1000 },
        }
    }

    fn open(&self) -> Sessions {
        self.open_with(Peers::alone())
    }

    fn open_with(&self, peers: Peers) -> Sessions {
        open_in(self.dir.path(), self.config.clone(), peers, Arc::clone(&self.clock) as SharedClock)
    }
}

fn open_in(dir: &std::path::Path, config: Config, peers: Peers, clock: SharedClock) -> Sessions {
    let store = Store::open(dir).unwrap();
    let keyring = Arc::new(Keyring::open(dir).unwrap());
    Sessions::open(config, store, keyring, peers, clock).unwrap()
}

fn user(n: u128) -> UserKey {
    UserKey { tenant: TenantId(Guid::from_u128(0xc0)), object: ObjectId(Guid::from_u128(n)) }
}

fn subject(n: u128) -> Subject {
    Subject {
        user: user(n),
        name: format!("Person {n}").into(),
        email: format!("p{n}@contoso.test").into(),
        groups: Groups::known(vec![ObjectId(Guid::from_u128(7))]),
    }
}

fn sign_in(n: u128) -> NewSession {
    NewSession {
        subject: subject(n),
        sid: Some(format!("sid-{n}")),
        login_hint: Some(Secret::new("hint".to_owned())),
        authenticated: START,
        refresh_token: Some(Secret::new(format!("refresh-{n}"))),
        proofs: Vec::new(),
    }
}

async fn found(sessions: &Sessions, host: &str, cookie: &CookieValue) -> Option<Arc<Session>> {
    let key = sessions.verify_cookie(host, cookie.expose().as_bytes())?;
    match sessions.lookup(&key) {
        Lookup::Found(session) => Some(session),
        Lookup::Unknown => sessions.load(&key).await.unwrap(),
    }
}

fn now(world: &World) -> Tick {
    world.clock.tick()
}
