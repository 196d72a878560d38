//! The people one worker has met lately, so that the next connection of the same browser needs no new assertion.

use std::sync::Arc;
use std::time::Duration;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use super::Person;
use crate::directory::Directory;
use crate::session::{CookieKey, Session};

/// One worker's acquaintances of one generation, by the cookie they came with; a cookie belongs to one host.
///
/// Forgetting one costs a signature and changes no answer: who asks is settled before anybody is looked up here.
pub(in crate::access) struct KnownPeople {
    by_cookie: Cache<CookieKey, Arc<Person>>,
}

impl KnownPeople {
    pub(in crate::access) fn new() -> Self {
        let cache = Cache::builder().max_capacity(MOST).time_to_idle(IDLE).eviction_policy(EvictionPolicy::lru());
        Self { by_cookie: cache.build() }
    }

    /// Who came with this cookie before, if nothing was said about them since. `session` is what the cookie leads to
    /// now.
    pub(super) fn find(
        &self,
        cookie: &CookieKey,
        session: &Arc<Session>,
        directory: &Directory,
    ) -> Option<Arc<Person>> {
        let known = self.by_cookie.get(cookie)?;
        (Arc::ptr_eq(&known.session, session) && known.is_current(directory)).then_some(known)
    }

    pub(super) fn keep(&self, cookie: CookieKey, person: &Arc<Person>) {
        self.by_cookie.insert(cookie, Arc::clone(person));
    }
}

/// People one worker remembers.
const MOST: u64 = 4096;

/// An assertion is reused for half a minute; who stays away longer needs a new one anyway.
const IDLE: Duration = Duration::from_secs(60);
