//! Cookies of further hosts: each host has its own, bound to one session.

use std::sync::Arc;

use super::index::MAX_COOKIES_PER_HOST;
use super::record::Binding;
use super::{CookieValue, Session, SessionError, Sessions};
use crate::store::{Batch, Table};

impl Sessions {
    /// Binds another host to the session and returns that host's cookie. Durable when it returns.
    ///
    /// # Errors
    /// When the store cannot write, or the session is over.
    pub async fn bind_host(&self, session: &Arc<Session>, host: &str) -> Result<CookieValue, SessionError> {
        self.bind(session, host, MAX_COOKIES_PER_HOST).await
    }

    /// The same after the session gained something: every earlier cookie of this host stops working, so that whoever
    /// had one does not gain it too.
    ///
    /// # Errors
    /// As [`Sessions::bind_host`].
    pub async fn renew_host(&self, session: &Arc<Session>, host: &str) -> Result<CookieValue, SessionError> {
        let value = self.bind(session, host, 1).await?;
        // Connections remember the cookie they verified; now they look again.
        session.move_on();
        Ok(value)
    }

    /// Makes every cookie of this host stop working, before the session gains something that only the browser which comes
    /// back there may have.
    ///
    /// # Errors
    /// As [`Sessions::bind_host`].
    pub async fn forget_host(&self, session: &Arc<Session>, host: &str) -> Result<(), SessionError> {
        let inner = &self.inner;
        let dropped = inner.index().entry(&session.key).ok_or(SessionError::Over)?.drop_cookies(host);
        if dropped.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::new();
        for old in dropped {
            batch.delete(Table::HostBindings, &old.0);
            inner.cache.invalidate(&old);
        }
        session.move_on();
        Ok(inner.store.write(batch).await?)
    }

    async fn bind(&self, session: &Arc<Session>, host: &str, most: usize) -> Result<CookieValue, SessionError> {
        let inner = &self.inner;
        let (cookie, value) = inner.cookies.issue(host)?;
        let binding = Binding { session: session.key, host: host.into() };
        let sealed = binding.seal(&inner.keyring, &cookie)?;
        let mut batch = Batch::new();
        batch.put_if((Table::Sessions, &session.key.0), Table::HostBindings, &cookie.0, &sealed);
        let host = inner.hosts.text(host);
        let dropped = inner.index().entry(&session.key).ok_or(SessionError::Over)?.add_cookie(cookie, &host, most);
        for old in dropped {
            batch.delete(Table::HostBindings, &old.0);
            inner.cache.invalidate(&old);
        }
        inner.store.write(batch).await?;
        inner.cache.insert(cookie, Arc::clone(session));
        if session.cut.is_raised() {
            inner.cache.invalidate(&cookie);
            return Err(SessionError::Over);
        }
        Ok(value)
    }
}
