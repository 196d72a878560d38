//! The one gate: session and policy in, a [`Permit`] or a refusal out. The only place that grants.

mod permit;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use http::{HeaderMap, Method};

pub use permit::{Permit, Person};

use super::private::{App, identity};
use super::refusal::Refusal;
use super::{Connection, Local};
use crate::facts::{Destination, Facts};
use crate::policy::{Decision, Reason, Verdict};
use crate::session::{Lookup, Session};
use crate::sign_in::cookie;

/// What a connection remembers of the last session it verified: the next request with the same cookie skips the MAC
/// and the look-up. Whether the session still lives is read each time, so a revoked session is refused at once.
pub(super) type Memo = Mutex<Option<Remembered>>;

/// See [`Memo`].
pub(super) struct Remembered {
    host: Box<str>,
    cookie: Box<[u8]>,
    version: u64,
    generation: u64,
    person: Arc<Person>,
}

/// One request, as the gate sees it.
pub(super) struct Request<'a> {
    /// Where it came in.
    pub(super) connection: &'a Connection,
    /// Host it is for, checked against the TLS name.
    pub(super) host: &'a str,
    /// The app it is for.
    pub(super) app: &'a App,
    /// Method.
    pub(super) method: &'a Method,
    /// Canonical path.
    pub(super) path: &'a str,
    /// Headers.
    pub(super) headers: &'a HeaderMap,
    /// Client address after trusted forwarding headers.
    pub(super) client: IpAddr,
}

/// The gate. Whoever reaches a destination passed here.
///
/// # Errors
/// A [`Refusal`]: not signed in, blocked, or the session store cannot say.
pub(super) async fn pass(local: &Local, request: &Request<'_>) -> Result<Permit, Refusal> {
    let person = match remembered(local, request) {
        Some(person) => Some(person),
        None => verified(local, request).await?,
    };
    let facts = Facts {
        subject: person.as_deref().map(|person| &*person.subject),
        destination: Destination::App {
            app: request.app.id,
            name: &request.app.name,
            method: request.method,
            path: request.path,
        },
        client: request.client,
        now: local.world.clock.now(),
    };
    let decision = local.world.policy.decide(&facts);
    match decision.verdict {
        Verdict::Allow => {
            let cut = person.as_ref().map_or_else(|| local.anonymous.clone(), |person| person.session.cut.clone());
            Ok(Permit::new(decision, person, cut))
        }
        Verdict::Block if is_sign_in(&decision) => Err(Refusal::SignIn),
        Verdict::Block => Err(Refusal::Blocked { decision, person }),
    }
}

fn is_sign_in(decision: &Decision) -> bool {
    decision.reason == Reason::SignInRequired
}

/// The person this connection verified last, if the request carries the same cookie and nothing has changed.
fn remembered(local: &Local, request: &Request<'_>) -> Option<Arc<Person>> {
    let value = cookie::find(request.headers, cookie::SESSION).one()?;
    let memo = request.connection.memo.lock().unwrap_or_else(PoisonError::into_inner);
    let known = memo.as_ref()?;
    let same = *known.cookie == *value
        && *known.host == *request.host
        && known.generation == local.number
        && known.version == known.person.session.version();
    if !same || known.person.session.touch(local.world.clock.tick()).is_err() {
        return None;
    }
    Some(Arc::clone(&known.person))
}

/// The person behind the request's cookie, found the long way and then remembered.
async fn verified(local: &Local, request: &Request<'_>) -> Result<Option<Arc<Person>>, Refusal> {
    let Some(value) = cookie::find(request.headers, cookie::SESSION).one() else { return Ok(None) };
    let sessions = &local.world.sessions;
    let Some(key) = sessions.verify_cookie(request.host, value) else { return Ok(None) };
    let session = match sessions.lookup(&key) {
        Lookup::Found(session) => session,
        Lookup::Unknown => match sessions.load(&key).await {
            Ok(Some(session)) => session,
            Ok(None) => return Ok(None),
            Err(error) => {
                tracing::error!(error = %error, "the session store did not answer; requests it is needed for are refused");
                return Err(Refusal::StoreDown);
            }
        },
    };
    if session.touch(local.world.clock.tick()).is_err() {
        return Ok(None);
    }
    Ok(Some(remember(local, request, value, session)))
}

fn remember(local: &Local, request: &Request<'_>, value: &[u8], session: Arc<Session>) -> Arc<Person> {
    // The version is read before the subject: if it moves in between, the memo is merely made anew next time.
    let version = session.version();
    let subject = session.subject();
    let headers = identity(&local.world.identity_headers, &subject);
    let person = Arc::new(Person { session, subject, headers });
    let remembered = Remembered {
        host: request.host.into(),
        cookie: value.into(),
        version,
        generation: local.number,
        person: Arc::clone(&person),
    };
    *request.connection.memo.lock().unwrap_or_else(PoisonError::into_inner) = Some(remembered);
    person
}
