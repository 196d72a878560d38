//! The one gate: session and policy in, a [`Permit`] or a refusal out. The only place that grants.

mod known;
mod open;
mod permit;
mod person;

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

use http::Request;

pub(super) use known::KnownPeople;
pub(super) use open::Flight;
pub use open::OpenBook;
pub use permit::Permit;
pub use person::Person;

use super::private::CachedAssertion;
use super::refusal::Refusal;
use super::{Asked, Local};
use crate::facts::{Destination, Facts, Passed, RiskFeed, Standing, UnixTime};
use crate::session::{CookieKey, Lookup, Session};
use crate::sign_in::cookie;
use crate::telemetry::WorkerMetrics;

/// What a connection remembers of the last session it verified: the next request with the same cookie skips the MAC
/// and the look-up. Whether the session still lives is read each time, so a revoked session is refused at once.
pub(super) type Memo = Mutex<Option<Remembered>>;

/// See [`Memo`].
pub(super) struct Remembered {
    host: Box<str>,
    cookie: Box<[u8]>,
    generation: u64,
    person: Arc<Person>,
}

/// The gate. Whoever reaches a destination passed here.
///
/// # Errors
/// A [`Refusal`]: not signed in, warned, challenged, blocked, or the session store cannot say.
pub(super) async fn pass<B>(
    local: &Local,
    asked: &Asked<'_>,
    request: &Request<B>,
    worker: &WorkerMetrics,
) -> Result<Permit, Refusal> {
    loop {
        let person = known(local, asked, request, worker).await?;
        let facts = facts(person.as_deref(), asked, request);
        let (decision, source) = (local.policy().decide(&facts), facts.feed.source);
        if !decision.verdict.forwards() {
            worker.decided(decision.verdict, decision.reason);
            return Err(Refusal::Decided { decision, person });
        }
        let above = person.as_ref().map_or(&local.anonymous, |person| &person.session.cut);
        let path: Arc<str> = request.uri().path().into();
        let flight = Flight {
            request: asked.id,
            person: person.clone(),
            book: Arc::clone(asked.book),
            method: request.method().clone(),
            path: Arc::clone(&path),
            client: asked.client,
        };
        let (entry, cut) = local.open.enter(flight, above);
        // Whoever takes a yes back looks into the book once. What changed before this one was in it is seen here.
        if local.is_outdated() {
            // A swap: the request may have waited for the store since it took its generation.
            local.open.came_late();
        }
        let still =
            |person: &Arc<Person>| person.is_current(&local.world.directory) && person.feed.now().source == source;
        if person.as_ref().is_none_or(still) {
            worker.decided(decision.verdict, decision.reason);
            return Ok(Permit::new(decision, person, cut, path, Some(entry)));
        }
    }
}

/// Who asks, if they are signed in.
async fn known<B>(
    local: &Local,
    asked: &Asked<'_>,
    request: &Request<B>,
    worker: &WorkerMetrics,
) -> Result<Option<Arc<Person>>, Refusal> {
    let Some(value) = cookie::find(request.headers(), cookie::SESSION).one() else { return Ok(None) };
    if let Some(person) = remembered(local, asked, value) {
        worker.session_memo_hits.up();
        return Ok(Some(person));
    }
    // Once per connection as a rule; in a box, so that it does not make the future of every request larger.
    Box::pin(verified(local, asked, value, worker)).await
}

/// What is known when `person` asks.
fn facts<'a, B>(person: Option<&'a Person>, asked: &'a Asked<'_>, request: &'a Request<B>) -> Facts<'a> {
    Facts {
        subject: person.map(|person| &*person.subject),
        standing: person.map_or(NOBODY, |person| &person.standing),
        feed: person.map_or(RiskFeed::NONE, |person| person.feed.at(asked.now, asked.tick)),
        authenticated: person.map_or(UnixTime(0), |person| person.session.authenticated()),
        passed: person.map_or(NOTHING, |person| &person.passed),
        destination: Destination::App {
            app: asked.app.id,
            name: &asked.app.name,
            method: request.method(),
            path: request.uri().path(),
        },
        client: asked.client,
        now: asked.now,
    }
}

/// How a stranger stands, and what they have passed.
pub(super) const NOBODY: &Standing = &Standing::unknown();
pub(super) const NOTHING: &Passed = &Passed { proofs: Vec::new(), acknowledged: Vec::new() };

/// The person this connection verified last, if the request carries the same cookie and nothing has changed.
fn remembered(local: &Local, asked: &Asked<'_>, value: &[u8]) -> Option<Arc<Person>> {
    let memo = asked.connection.memo.lock().unwrap_or_else(PoisonError::into_inner);
    let known = memo.as_ref()?;
    let same = *known.cookie == *value
        && *known.host == *asked.host
        && known.generation == local.number
        && known.person.is_current(&local.world.directory);
    if !same || known.person.session.touch(asked.tick).is_err() {
        return None;
    }
    Some(Arc::clone(&known.person))
}

/// The person behind the cookie, found the long way and then remembered.
async fn verified(
    local: &Local,
    asked: &Asked<'_>,
    value: &[u8],
    worker: &WorkerMetrics,
) -> Result<Option<Arc<Person>>, Refusal> {
    let sessions = &local.world.sessions;
    let Some(key) = sessions.verify_cookie(asked.host, value) else { return Ok(None) };
    let session = match sessions.lookup(&key) {
        Lookup::Found(session) => {
            worker.session_cache_hits.up();
            session
        }
        Lookup::Unknown => {
            worker.session_cache_misses.up();
            match sessions.load(&key).await {
                Ok(Some(session)) => session,
                Ok(None) => return Ok(None),
                Err(error) => {
                    tracing::error!(error = %error, "the session store did not answer; requests that need it are refused");
                    return Err(Refusal::StoreDown);
                }
            }
        }
    };
    if session.touch(local.world.clock.tick()).is_err() {
        return Ok(None);
    }
    Ok(Some(remember(local, asked, value, (key, session))))
}

/// Makes the person known to the connection, and takes over what other connections of this worker know of them.
fn remember(local: &Local, asked: &Asked<'_>, value: &[u8], (key, session): (CookieKey, Arc<Session>)) -> Arc<Person> {
    let person = local.people.find(&key, &session, &local.world.directory).unwrap_or_else(|| {
        let person = Arc::new(introduced(local, session));
        local.people.keep(key, &person);
        person
    });
    let remembered = Remembered {
        host: asked.host.into(),
        cookie: value.into(),
        generation: local.number,
        person: Arc::clone(&person),
    };
    *asked.connection.memo.lock().unwrap_or_else(PoisonError::into_inner) = Some(remembered);
    person
}

fn introduced(local: &Local, session: Arc<Session>) -> Person {
    // The version is read before the subject: if it moves in between, the memo is merely made anew next time.
    let (version, epoch) = (session.version(), local.world.directory.epoch());
    let (subject, passed) = (session.subject(), session.passed());
    let standing = local.world.directory.standing(&subject);
    let feed = local.world.directory.feed(subject.user.tenant);
    let subject = person::in_groups(subject, &standing.groups);
    let headers = person::headers(&local.world.identity_headers, &subject);
    let epoch = AtomicU64::new(epoch);
    Person { session, subject, standing, feed, passed, epoch, headers, version, asserted: CachedAssertion::default() }
}
