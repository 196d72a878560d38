//! The configuration file as it is written, key by key. Its documentation comments are the reference people read,
//! here and in the JSON Schema; the meaning is in `build`.

mod actions;
mod app;
mod directory;
mod edge;
mod words;

pub(super) use actions::Actions;
pub(super) use app::{App, Connection, Health};
pub(super) use directory::Directory;
pub(super) use edge::{Certificate, Limits, Listen, Tls};
pub(super) use words::{
    ApprovalWord, BalanceWord, FormatWord, HttpWord, ProfileWord, ResponseWord, Size, Span, StaleWord, TlsWord,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::access;
use crate::document::At;
use crate::pages::Help;

/// Configuration of Portcullis. Relative paths start at the folder of this file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// Folder for sessions and keys; the only place the gateway writes to, logs aside.
    #[serde(default = "default_state_dir")]
    pub(super) state_dir: At<String>,
    /// File with the access rules.
    #[serde(default = "default_rules")]
    pub(super) rules: At<String>,
    /// Listeners.
    #[serde(default)]
    pub(super) listen: Listen,
    /// Certificates and protocol versions of the TLS listeners.
    pub(super) tls: Tls,
    /// Deadlines and caps of client connections.
    #[serde(default)]
    pub(super) limits: Limits,
    /// The sign-in and portal host.
    pub(super) sign_in: SignIn,
    /// What the gateway's own pages tell people who are held up.
    #[serde(default)]
    pub(super) pages: Pages,
    /// Lifetimes of sessions.
    #[serde(default)]
    pub(super) session: Session,
    /// Microsoft Entra ID, the identity provider. There is exactly one.
    pub(super) entra: Entra,
    /// What is read from Microsoft Graph: users, groups, risk. Left out: nothing, and groups come from the sign-in.
    pub(super) directory: Option<Directory>,
    /// Names of the identity headers sent to apps. The same names are taken off every request from outside.
    #[serde(default)]
    pub(super) identity_headers: IdentityHeaders,
    /// Apps behind the gateway.
    #[serde(default)]
    pub(super) app: Vec<App>,
    /// What is done to accounts, and the brakes on what rules do by themselves.
    #[serde(default)]
    pub(super) actions: Actions,
    /// One JSON line per decision.
    #[serde(default)]
    pub(super) decision_log: DecisionLog,
    /// The administration listener: health, metrics, sessions.
    #[serde(default)]
    pub(super) admin: Admin,
    /// The program's own log.
    #[serde(default)]
    pub(super) log: Log,
}

fn default_state_dir() -> At<String> {
    "state".to_owned().into()
}

fn default_rules() -> At<String> {
    "rules.toml".to_owned().into()
}

/// The sign-in and portal host.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SignIn {
    /// Host name, such as `portal.example.com`; not one of the apps' hosts.
    pub(super) host: At<String>,
    /// How often the provider is asked whether a session in use is still good; `0s` for never.
    #[serde(default = "default_refresh_every")]
    pub(super) refresh_every: Span,
    /// How long a session goes on when the provider does not answer.
    #[serde(default = "default_refresh_grace")]
    pub(super) refresh_grace: Span,
}

fn default_refresh_every() -> Span {
    Span::written("1h")
}

fn default_refresh_grace() -> Span {
    Span::written("4h")
}

/// What the gateway's own pages tell people who are held up. Addresses are https.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Pages {
    /// One sentence of your own, such as whom to call; at most 200 characters.
    pub(super) help_text: Option<At<String>>,
    /// A page of your own with help.
    pub(super) help_url: Option<At<String>>,
    /// Where people replace their password.
    pub(super) password_reset_url: At<String>,
    /// Where people see and change their sign-in methods.
    pub(super) security_info_url: At<String>,
}

impl Default for Pages {
    fn default() -> Self {
        Self {
            help_text: None,
            help_url: None,
            password_reset_url: Help::PASSWORD_RESET.to_owned().into(),
            security_info_url: Help::SECURITY_INFO.to_owned().into(),
        }
    }
}

/// Lifetimes of sessions.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Session {
    /// From sign-in to the end, whatever happens.
    pub(super) absolute: Span,
    /// Without a request or an open stream.
    pub(super) idle: Span,
    /// Sessions kept in memory; all of them are on disk.
    #[schemars(range(min = 100, max = 100_000_000))]
    pub(super) capacity: At<u64>,
}

impl Default for Session {
    fn default() -> Self {
        Self { absolute: Span::written("12h"), idle: Span::written("2h"), capacity: 100_000.into() }
    }
}

/// Microsoft Entra ID. Give exactly one of `client_secret`, `client_certificate` and `federated_token_file`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Entra {
    /// Login address of the cloud; plain http only on this machine, for the simulator.
    #[serde(default = "default_authority")]
    pub(super) authority: At<String>,
    /// Tenant ids whose people may sign in.
    pub(super) tenants: At<Vec<At<String>>>,
    /// Application (client) id of the app registration.
    pub(super) client_id: At<String>,
    /// Client secret, by reference only: `env:NAME` or `file:path`.
    pub(super) client_secret: Option<At<String>>,
    /// Certificate registered for the app; safer than a secret.
    pub(super) client_certificate: Option<Certificate>,
    /// File with a token of another issuer (workload identity), read anew for each use.
    pub(super) federated_token_file: Option<At<String>>,
    /// Registered redirect address. Left out: `https://` sign-in host `/.portcullis/callback`.
    pub(super) redirect_uri: Option<At<String>>,
    /// How the provider's answer comes back.
    #[serde(default = "default_response_mode")]
    pub(super) response_mode: At<ResponseWord>,
    /// Scopes asked for; `openid` is among them.
    #[serde(default = "default_scopes")]
    pub(super) scopes: At<Vec<At<String>>>,
    /// Allowed difference between the clocks.
    #[serde(default = "default_skew")]
    pub(super) skew: Span,
    /// Deadline of one call to the provider.
    #[serde(default = "default_timeout")]
    pub(super) timeout: Span,
    /// PEM file with root certificates trusted for the provider in addition to the system's.
    pub(super) extra_ca: Option<At<String>>,
}

fn default_authority() -> At<String> {
    "https://login.microsoftonline.com/".to_owned().into()
}

fn default_response_mode() -> At<ResponseWord> {
    ResponseWord::FormPost.into()
}

fn default_scopes() -> At<Vec<At<String>>> {
    ["openid", "profile", "offline_access"].into_iter().map(|scope| scope.to_owned().into()).collect::<Vec<_>>().into()
}

fn default_skew() -> Span {
    Span::written("5m")
}

fn default_timeout() -> Span {
    Span::written("10s")
}

/// Names of the identity headers.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct IdentityHeaders {
    /// `tenant id:object id`, the identity.
    pub(super) subject: At<String>,
    /// Tenant id.
    pub(super) tenant: At<String>,
    /// Display name.
    pub(super) name: At<String>,
    /// E-mail address, for display only.
    pub(super) email: At<String>,
    /// Group object ids, separated by commas.
    pub(super) groups: At<String>,
    /// Signed assertion (JWT), to be verified with the keys at `/.portcullis/jwks.json`.
    pub(super) assertion: At<String>,
}

impl Default for IdentityHeaders {
    fn default() -> Self {
        let names = access::IdentityHeaders::default();
        let text = |name: &http::HeaderName| name.as_str().to_owned().into();
        Self {
            subject: text(&names.subject),
            tenant: text(&names.tenant),
            name: text(&names.name),
            email: text(&names.email),
            groups: text(&names.groups),
            assertion: text(&names.assertion),
        }
    }
}

/// One JSON line per decision. Writing never holds up a request: what does not fit the queue is dropped and counted.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct DecisionLog {
    /// Whether it is written at all.
    pub(super) enabled: bool,
    /// Whether allowed requests are written too.
    pub(super) allows: bool,
    /// A file, or `stdout`.
    pub(super) path: At<String>,
    /// Lines that wait to be written.
    #[schemars(range(min = 16, max = 1_000_000))]
    pub(super) queue: At<usize>,
    /// Size at which the file is set aside and a new one begun; `0B` for never.
    pub(super) rotate: Size,
}

impl Default for DecisionLog {
    fn default() -> Self {
        Self {
            enabled: true,
            allows: true,
            path: "stdout".to_owned().into(),
            queue: 8192.into(),
            rotate: Size::written("100MiB"),
        }
    }
}

/// The administration listener.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Admin {
    /// Address and port; keep it on the loopback or a management network.
    pub(super) listen: At<String>,
    /// File with the bearer token; needed when `listen` is not on the loopback.
    pub(super) token_file: Option<At<String>>,
}

impl Default for Admin {
    fn default() -> Self {
        Self { listen: "127.0.0.1:9090".to_owned().into(), token_file: None }
    }
}

/// The program's own log, on standard error.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Log {
    /// `error`, `warn`, `info`, `debug`, or a filter such as `info,portcullis::entra=debug`.
    pub(super) level: At<String>,
    /// How lines look.
    pub(super) format: At<FormatWord>,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".to_owned().into(), format: FormatWord::Text.into() }
    }
}
