//! Who asks the admin interface, and how they proved it.

use std::fmt;
use std::sync::Arc;

use crate::facts::UserKey;
use crate::risk_control::By;

/// An administrator, proven by the guard. Only the guard makes one for a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Admin {
    /// Sent the bearer token: the command line or a script.
    Token,
    /// A browser whose person typed the token in; knows what the bearer knows.
    Local,
    /// Came through the gateway, which let them open the console.
    Person {
        /// Who.
        user: UserKey,
        /// For display.
        name: Arc<str>,
    },
}

impl Admin {
    /// Whether a browser sends this proof along by itself, so that another site could make it send a request.
    #[must_use]
    pub(super) const fn is_ambient(&self) -> bool {
        matches!(self, Self::Local | Self::Person { .. })
    }

    /// For display.
    #[must_use]
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Token | Self::Local => "Local administrator",
            Self::Person { name, .. } => name,
        }
    }
}

impl fmt::Display for Admin {
    /// As written to the audit log and bound to consents: `local` for whoever knows the token, else `tid:oid`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token | Self::Local => f.write_str(By::TOKEN),
            Self::Person { user, .. } => user.fmt(f),
        }
    }
}
