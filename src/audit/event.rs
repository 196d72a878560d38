//! The closed list of events and what each one records.

use std::net::IpAddr;
use std::sync::Arc;

use http::Method;

use crate::cut::CutReason;
use crate::facts::{RiskSource, TenantId, UserKey};
use crate::policy;
use crate::telemetry::RequestId;
use crate::telemetry::metrics::SignInOutcome;

/// One thing that happened. Each becomes one line; the field names are documented in [`super::line`].
#[derive(Debug, Clone)]
pub enum Event {
    /// The gate decided a request.
    Decision(Box<Decision>),
    /// A sign-in ended, well or not.
    SignIn(Box<SignIn>),
    /// A person signed out.
    SignOut {
        /// The request that did it.
        request: Option<RequestId>,
        /// From where.
        client: Option<IpAddr>,
        /// Who.
        who: Who,
    },
    /// A person read a warning and went on.
    WarningContinued(Box<WarningContinued>),
    /// A session ended, for whatever reason.
    SessionEnded(SessionEnd),
    /// A stream was ended because its permit was taken back.
    StreamCut(Box<StreamCut>),
    /// A yes was taken back because the facts behind it changed.
    VerdictChanged(Box<VerdictChange>),
    /// A new configuration runs.
    ConfigReloaded {
        /// Its generation.
        generation: u64,
    },
    /// A new configuration was refused; the one before still runs.
    ConfigReloadFailed {
        /// The generation that still runs.
        generation: u64,
        /// What was wrong.
        problem: Box<str>,
    },
    /// One of a tenant's permissions stands differently than before.
    Permission(Box<Permission>),
    /// Whether a tenant's risk can be known has changed.
    RiskSource {
        /// Whose.
        tenant: TenantId,
        /// How it was.
        from: RiskSource,
        /// How it is.
        to: RiskSource,
    },
    /// Somebody used the admin interface to change something.
    AdminAction(Box<AdminAction>),
    /// A task on an account came to another state.
    AccountAction(Box<AccountAction>),
}

/// See [`Event::SessionEnded`].
#[derive(Debug, Clone, Copy)]
pub struct SessionEnd {
    /// Whose.
    pub user: UserKey,
    /// Which.
    pub session: SessionId,
    /// Why.
    pub reason: CutReason,
    /// Who or what ended it: `admin`, `expiry`, `provider`, `person`, `rule`.
    pub by: EndedBy,
}

/// Who or what ended a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndedBy {
    /// The person.
    Person,
    /// An administrator.
    Admin,
    /// Its lifetime.
    Expiry,
    /// The identity provider.
    Provider,
    /// A risk rule.
    Rule,
}

impl EndedBy {
    /// The word in the record.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Admin => "admin",
            Self::Expiry => "expiry",
            Self::Provider => "provider",
            Self::Rule => "rule",
        }
    }
}

/// See [`Event::Decision`].
#[derive(Debug, Clone)]
pub struct Decision {
    /// The request.
    pub request: RequestId,
    /// From where.
    pub client: IpAddr,
    /// Who, if anybody is signed in.
    pub who: Option<Who>,
    /// The app's name.
    pub app: Arc<str>,
    /// The host asked for.
    pub host: Arc<str>,
    /// The method.
    pub method: Method,
    /// The canonical path, without the query.
    pub path: Arc<str>,
    /// What was decided.
    pub decision: policy::Decision,
    /// Version of the policy that decided.
    pub policy: u64,
    /// How the caller proved who they are.
    pub auth: AuthKind,
}

/// A person in a record.
#[derive(Debug, Clone)]
pub struct Who {
    /// The identity.
    pub user: UserKey,
    /// Display name, for the reader.
    pub name: Arc<str>,
    /// The session.
    pub session: Option<SessionId>,
}

/// The short name of a session, as in `portcullis session ls`: the first 64 bits of its key. Useless to use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionId(pub u64);

impl SessionId {
    /// The short name of the session with this key.
    #[must_use]
    pub const fn of(key: &[u8; 32]) -> Self {
        let [a, b, c, d, e, f, g, h, ..] = *key;
        Self(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
    }
}

/// How the caller proved who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthKind {
    /// Not at all.
    None,
    /// By the session cookie.
    Cookie,
}

impl AuthKind {
    /// The word in the record.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Cookie => "cookie",
        }
    }
}

/// See [`Event::SignIn`].
#[derive(Debug, Clone)]
pub struct SignIn {
    /// The request that ended it.
    pub request: RequestId,
    /// From where.
    pub client: IpAddr,
    /// How it ended.
    pub outcome: SignInOutcome,
    /// Who, once known.
    pub who: Option<Who>,
    /// The provider's error code (`AADSTS50105`), if it gave one.
    pub provider_code: Option<Box<str>>,
    /// The provider's own name for the request (`correlation_id` or `trace_id`), to find it in its logs.
    pub provider_request: Option<Box<str>>,
}

/// See [`Event::WarningContinued`].
#[derive(Debug, Clone)]
pub struct WarningContinued {
    /// The request that went on.
    pub request: RequestId,
    /// From where.
    pub client: IpAddr,
    /// Who.
    pub who: Who,
    /// The app's name.
    pub app: Arc<str>,
    /// The rule that warned.
    pub rule: Arc<str>,
}

/// See [`Event::StreamCut`].
#[derive(Debug, Clone)]
pub struct StreamCut {
    /// The request that opened the stream.
    pub request: RequestId,
    /// Whose stream.
    pub who: Option<Who>,
    /// To which app.
    pub app: Arc<str>,
    /// Why.
    pub reason: CutReason,
}

/// See [`Event::VerdictChanged`].
#[derive(Debug, Clone)]
pub struct VerdictChange {
    /// The request that had got the yes.
    pub request: RequestId,
    /// Whose.
    pub who: Option<Who>,
    /// To which app.
    pub app: Arc<str>,
    /// What a new request would be answered now.
    pub decision: policy::Decision,
}

/// See [`Event::AdminAction`].
#[derive(Debug, Clone)]
pub struct AdminAction {
    /// From where.
    pub client: IpAddr,
    /// Who: `local` for whoever has the bearer token, else the administrator's `tid:oid`.
    pub by: Box<str>,
    /// What was done, from the admin interface's closed list.
    pub action: &'static str,
    /// On what: a session's short name, a user's key.
    pub target: Box<str>,
    /// Whether it was done, from the admin interface's closed list.
    pub outcome: &'static str,
    /// How many things it changed.
    pub count: u64,
}

/// See [`Event::AccountAction`].
#[derive(Debug, Clone)]
pub struct AccountAction {
    /// The task's number.
    pub task: u64,
    /// What is done, from the closed list of actions.
    pub action: &'static str,
    /// To whom.
    pub user: UserKey,
    /// Who wants it: `person ...`, `rule ...`, `undo of ...`.
    pub by: Box<str>,
    /// Who approved it.
    pub approved_by: Option<Arc<str>>,
    /// The state it came to, from the closed list of states.
    pub state: &'static str,
    /// Why it is held or failed, from a closed list.
    pub reason: Option<&'static str>,
    /// The words of whoever wants it.
    pub note: Option<Arc<str>>,
}

/// See [`Event::Permission`].
#[derive(Debug, Clone)]
pub struct Permission {
    /// Whose.
    pub tenant: TenantId,
    /// Which, from the directory's closed list.
    pub gate: &'static str,
    /// How it stood.
    pub from: &'static str,
    /// How it stands.
    pub to: &'static str,
    /// Why, unless all is well.
    pub reason: Option<Box<str>>,
}
