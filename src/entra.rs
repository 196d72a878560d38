//! Layer 2: Microsoft Entra ID, outbound. The only module that knows Microsoft's shapes.

mod config;

pub use config::{Config, Credential, ResponseMode};

use crate::facts::{Subject, UnixTime, UserKey};
use crate::telemetry::Secret;
use url::Url;

/// What `/authorize` is asked for.
#[derive(Debug, Clone)]
pub struct AuthorizeRequest<'a> {
    /// Sealed state, echoed by the provider.
    pub state: &'a str,
    /// Expected back inside the ID token.
    pub nonce: &'a str,
    /// PKCE code verifier; the S256 challenge is derived from it.
    pub verifier: &'a str,
    /// `prompt`, e.g. `select_account` or `login`.
    pub prompt: Option<&'a str>,
    /// `login_hint`.
    pub login_hint: Option<&'a str>,
}

/// A verified sign-in.
#[derive(Debug, Clone)]
pub struct SignedIn {
    /// Who; groups as far as the token told.
    pub subject: Subject,
    /// `sid` claim.
    pub sid: Option<String>,
    /// `login_hint` claim.
    pub login_hint: Option<Secret<String>>,
    /// `auth_time` claim.
    pub auth_time: Option<UnixTime>,
    /// `acrs` claim.
    pub acrs: Vec<String>,
    /// Refresh token, if `offline_access` was granted.
    pub refresh_token: Option<Secret<String>>,
}

/// Why Entra did not give what was asked, sorted by who can mend it.
#[derive(Debug, thiserror::Error)]
pub enum EntraError {
    /// Skeleton.
    #[error("skeleton")]
    Skeleton,
}

/// The OpenID Connect relying party.
#[derive(Clone)]
pub struct RelyingParty {}

impl RelyingParty {
    /// Where to send the browser. Fetches discovery if it is not cached.
    ///
    /// # Errors
    /// When the provider cannot be reached and nothing is cached.
    pub async fn authorize_url(&self, _request: AuthorizeRequest<'_>) -> Result<Url, EntraError> {
        unimplemented!()
    }

    /// Redeems a code and verifies the ID token.
    ///
    /// # Errors
    /// See [`EntraError`].
    pub async fn redeem(&self, _code: &Secret<String>, _verifier: &str, _nonce: &str) -> Result<SignedIn, EntraError> {
        unimplemented!()
    }

    /// Silent refresh; the answer must be about `user`.
    ///
    /// # Errors
    /// See [`EntraError`].
    pub async fn refresh(&self, _token: &Secret<String>, _user: UserKey) -> Result<SignedIn, EntraError> {
        unimplemented!()
    }

    /// Where to send the browser to sign out at the provider; `None` if it offers no such place.
    pub async fn end_session_url(&self, _back_to: &Url, _login_hint: Option<&Secret<String>>) -> Option<Url> {
        unimplemented!()
    }
}
