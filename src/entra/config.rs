//! What is known about the tenant and this app registration.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use crate::facts::TenantId;
use crate::telemetry::Secret;

/// The one identity provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Login host, e.g. `https://login.microsoftonline.com/`. `http` only for loopback (simulator).
    pub authority: Url,
    /// Tenants whose people may sign in; never empty. With one, its own endpoint is used, else `organizations`.
    pub tenants: Vec<TenantId>,
    /// Application (client) id.
    pub client_id: String,
    /// How this gateway proves to be that application.
    pub credential: Credential,
    /// The registered redirect address, on the sign-in host.
    pub redirect_uri: Url,
    /// How the answer comes back.
    pub response_mode: ResponseMode,
    /// Scopes asked for; `openid profile offline_access` unless configured.
    pub scopes: Vec<String>,
    /// Allowed difference between the clocks; Microsoft's validator uses 300 s.
    pub skew: Duration,
    /// Deadline of one call to the provider.
    pub timeout: Duration,
    /// Extra root certificates (PEM) trusted for the provider.
    pub extra_ca: Option<PathBuf>,
}

/// Proof of being the registered application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// `client_secret_post`.
    Secret(Secret<String>),
    /// `private_key_jwt` with a certificate: PS256, `x5t#S256`.
    Certificate {
        /// PEM file with the certificate.
        certificate: PathBuf,
        /// PEM file with its RSA key (PKCS#8).
        key: PathBuf,
    },
    /// A token of another issuer (workload identity), read anew for each use.
    Federated {
        /// File with the JWT.
        token_file: PathBuf,
    },
}

/// `response_mode` of the authorization request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponseMode {
    /// The answer is posted by the browser; nothing in URLs.
    FormPost,
    /// The answer is in the query.
    Query,
}
