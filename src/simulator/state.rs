//! What a running simulator holds: the world, keys, clock, faults, and the grants and sessions it has handed out.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::aadsts::Failure;
use super::faults::Faults;
use super::graph;
use super::keys::KeyRing;
use super::random;
use super::shelf::Shelf;
use super::time::{Moment, SkewedClock};
use super::world::{Authority, World};

/// Everything behind the endpoints. Locks are held for moments and never across an await.
pub(super) struct State {
    /// The address in every URL, without a trailing slash.
    pub(super) base: String,
    /// The time.
    pub(super) clock: SkewedClock,
    /// Whether authorization responses carry `iss` (RFC 9207). Entra's do not.
    pub(super) iss_parameter: AtomicBool,
    /// Whether front-channel logout carries `iss` (reference section 1.7: seen both ways).
    pub(super) frontchannel_iss: AtomicBool,
    world: Mutex<World>,
    keys: Mutex<KeyRing>,
    faults: Mutex<Faults>,
    books: Mutex<Books>,
    graph: Mutex<graph::Books>,
}

/// What was handed out.
pub(super) struct Books {
    /// Sign-ins on a page, by flow id.
    pub(super) flows: Shelf<super::oidc::Flow>,
    /// Authorization codes.
    pub(super) codes: Shelf<Code>,
    /// Refresh tokens. An old one keeps working (reference section 1.5).
    pub(super) refresh: Shelf<Refresh>,
    /// Browser sessions, by cookie.
    pub(super) sessions: Shelf<Session>,
}

/// Who signed in how, for which app.
#[derive(Debug, Clone)]
pub(super) struct Grant {
    pub(super) tid: String,
    pub(super) oid: String,
    pub(super) client_id: String,
    pub(super) scopes: Vec<String>,
    pub(super) sid: String,
    pub(super) auth_time: Moment,
    pub(super) issued_at: Moment,
    pub(super) mfa: bool,
    pub(super) acrs: Vec<String>,
    pub(super) nonce: Option<String>,
    pub(super) address: String,
}

/// An authorization code.
#[derive(Debug, Clone)]
pub(super) struct Code {
    pub(super) grant: Grant,
    pub(super) path: Authority,
    pub(super) redirect_uri: String,
    pub(super) challenge: Option<(Challenge, String)>,
    pub(super) redeemed: bool,
}

/// A PKCE method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Challenge {
    /// SHA-256 of the verifier.
    S256,
    /// The verifier itself; what an omitted method means.
    Plain,
}

/// A refresh token.
#[derive(Debug, Clone)]
pub(super) struct Refresh {
    pub(super) grant: Grant,
    pub(super) last_used: Moment,
}

/// A browser session at the identity provider.
#[derive(Debug, Clone)]
pub(super) struct Session {
    pub(super) tid: String,
    pub(super) oid: String,
    pub(super) sid: String,
    pub(super) auth_time: Moment,
    pub(super) last_used: Moment,
    pub(super) mfa: bool,
    /// Client ids signed in to, in order.
    pub(super) apps: Vec<String>,
}

impl State {
    /// A state nobody has used yet.
    pub(super) fn new(base: String, world: World, keys: KeyRing, skew_seconds: i64) -> Self {
        Self {
            base,
            clock: SkewedClock::ahead(skew_seconds),
            iss_parameter: AtomicBool::new(false),
            frontchannel_iss: AtomicBool::new(false),
            world: Mutex::new(world),
            keys: Mutex::new(keys),
            faults: Mutex::new(Faults::default()),
            books: Mutex::new(Books {
                flows: Shelf::new(10_000),
                codes: Shelf::new(10_000),
                refresh: Shelf::new(100_000),
                sessions: Shelf::new(10_000),
            }),
            graph: Mutex::new(graph::Books::default()),
        }
    }

    /// The world.
    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The keys.
    pub(super) fn keys(&self) -> MutexGuard<'_, KeyRing> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The faults and counters.
    pub(super) fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was handed out.
    pub(super) fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What Graph remembers.
    pub(super) fn graph(&self) -> MutexGuard<'_, graph::Books> {
        self.graph.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time.
    pub(super) fn now(&self) -> Moment {
        self.clock.now()
    }

    /// Whether a switch is on.
    pub(super) fn is_on(switch: &AtomicBool) -> bool {
        switch.load(Ordering::SeqCst)
    }

    /// What a path segment stands for, or 90002.
    pub(super) fn authority(&self, segment: &str) -> Result<Authority, Failure> {
        self.world().authority(segment).ok_or_else(|| {
            Failure::new(
                90002,
                format!(
                    "Tenant '{segment}' not found. Check to make sure you have the correct tenant ID and are signing \
                     into the correct cloud."
                ),
            )
        })
    }

    /// The browser session of this cookie, if it still holds: not too old, not revoked, its account alive.
    pub(super) fn session(&self, cookie: &str) -> Option<Session> {
        let session = self.books().sessions.look(cookie).cloned()?;
        let world = self.world();
        let person = world.person(&session.tid, &session.oid)?;
        let since = person.sessions_valid_from.max(person.password_changed_at);
        let holds = person.enabled
            && !person.deleted
            && session.auth_time.0 > since
            && self.now().seconds_since(session.last_used) < SESSION_SECONDS;
        holds.then_some(session)
    }

    /// Starts a browser session and returns its cookie.
    pub(super) fn start_session(&self, tid: &str, oid: &str) -> (String, Session) {
        let now = self.now();
        let session = Session {
            tid: tid.to_owned(),
            oid: oid.to_owned(),
            sid: random::guid(),
            auth_time: now,
            last_used: now,
            mfa: false,
            apps: Vec::new(),
        };
        let cookie = random::opaque::<32>();
        self.books().sessions.put(cookie.clone(), session.clone());
        (cookie, session)
    }
}

/// Reference section 1.5: a browser session lasts 24 hours, sliding.
const SESSION_SECONDS: u64 = 24 * 3600;
