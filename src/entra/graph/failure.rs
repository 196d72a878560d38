//! Why Graph did not do what was asked, sorted by what to do about it.
//!
//! Bodies and codes: <https://learn.microsoft.com/graph/errors>. Messages are looked at and dropped, because they
//! can hold names.

use std::time::Duration;

use http::StatusCode;
use serde::Deserialize;

use super::super::error::{EntraError, Misconfiguration, UnreachableCause, worded};
use super::super::http::Answer;

/// Any failure of a call to Graph.
#[derive(Debug, Clone, thiserror::Error)]
pub enum GraphError {
    /// There is no token to ask with.
    #[error("no token for Microsoft Graph ({})", fault.word())]
    NoToken {
        /// In which way.
        fault: TokenFault,
        /// What the login host said.
        #[source]
        source: EntraError,
    },
    /// No usable answer came.
    #[error("Microsoft Graph cannot be reached")]
    Transport(#[source] EntraError),
    /// Graph refuses the token even after it was renewed.
    #[error("Microsoft Graph refuses the token")]
    Unauthorized,
    /// Status 403.
    #[error("Microsoft Graph denies it ({})", .0.word())]
    Denied(Denied),
    /// Status 404.
    #[error("Microsoft Graph does not know it")]
    NotFound,
    /// There is no such interface in this cloud.
    #[error("Microsoft Graph has no such interface here")]
    NoSuchInterface,
    /// The delta link is of no use any more: what is known is stale, start anew.
    #[error("Microsoft Graph wants a full synchronisation")]
    Resync,
    /// Too many calls; `Some` if Graph said for how long. Identity protection never says.
    #[error("Microsoft Graph asks to slow down")]
    Throttled(Option<Duration>),
    /// Status 5xx; `Some` if Graph said for how long.
    #[error("Microsoft Graph fails")]
    ServerError(Option<Duration>),
    /// Any other status.
    #[error("Microsoft Graph answered with status {0}")]
    Status(u16),
    /// Not the JSON that was expected.
    #[error("Microsoft Graph's answer is not what was expected")]
    Malformed,
    /// A link leads away from Graph. The token is never sent there.
    #[error("a link of Microsoft Graph leads elsewhere")]
    ForeignLink,
    /// The pages lead in a circle, or there are more than allowed.
    #[error("the pages of Microsoft Graph do not end")]
    EndlessPages,
}

impl GraphError {
    /// The word in metrics.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::NoToken { .. } => "no_token",
            Self::Transport(_) => "transport",
            Self::Unauthorized => "unauthorized",
            Self::Denied(_) => "denied",
            Self::NotFound => "not_found",
            Self::NoSuchInterface => "no_such_interface",
            Self::Resync => "resync",
            Self::Throttled(_) => "throttled",
            Self::ServerError(_) => "server_error",
            Self::Status(_) => "status",
            Self::Malformed => "malformed",
            Self::ForeignLink => "foreign_link",
            Self::EndlessPages => "endless_pages",
        }
    }

    /// How long Graph or the login host asked to wait.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Throttled(asked) | Self::ServerError(asked) => *asked,
            Self::Transport(source) | Self::NoToken { source, .. } => match source {
                EntraError::Unreachable { retry_after, .. } => *retry_after,
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether the same request may succeed a moment later.
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Transport(_) | Self::Throttled(_) | Self::ServerError(_) | Self::Malformed)
    }
}

worded! {
    /// Why there is no token.
    TokenFault {
        /// The service principal is disabled in the tenant (AADSTS7000112).
        Disabled = "application_disabled",
        /// The application is deleted, or never was in the tenant (AADSTS700016).
        Deleted = "application_deleted",
        /// The secret, certificate or federated token is not accepted.
        Credential = "credential",
        /// Too many requests.
        Throttled = "throttled",
        /// The login host does not answer, or fails.
        ProviderDown = "provider_down",
        /// Anything else.
        Other = "other",
    }
}

impl TokenFault {
    pub(super) const fn of(error: &EntraError) -> Self {
        match error {
            EntraError::Misconfigured { aadsts: Some(7_000_112), .. } => Self::Disabled,
            EntraError::Misconfigured { aadsts: Some(700_016), .. } => Self::Deleted,
            EntraError::Misconfigured { what: Misconfiguration::Credential, .. } => Self::Credential,
            EntraError::Unreachable { cause: UnreachableCause::Throttled, .. } => Self::Throttled,
            EntraError::Unreachable { .. } => Self::ProviderDown,
            _ => Self::Other,
        }
    }
}

worded! {
    /// Why Graph says 403.
    Denied {
        /// A permission was not granted, or has been taken away.
        MissingRole = "missing_role",
        /// The tenant has no licence for it.
        MissingLicence = "missing_licence",
        /// The account holds an administrator's role, and this application none that reaches it.
        PrivilegedTarget = "privileged_target",
        /// Graph did not say.
        Unclear = "unclear",
    }
}

/// Whether `answer` is a good one, and if not, why. `granted` tells whether the token carries the permissions that
/// the call needs, as far as that is known; `on_account` whether the call changes somebody's account.
pub(super) fn check(answer: &Answer, granted: Option<bool>, on_account: bool) -> Result<(), GraphError> {
    if answer.status.is_success() {
        return Ok(());
    }
    let body: ErrorBody = serde_json::from_slice(&answer.body).unwrap_or_default();
    // Microsoft's own pages differ in the case of these, and in the status they come with.
    let wants_resync =
        |code: &String| ["syncStateNotFound", "resyncRequired"].iter().any(|one| code.eq_ignore_ascii_case(one));
    if answer.status == StatusCode::GONE || body.codes().any(wants_resync) {
        return Err(GraphError::Resync);
    }
    if body.names_no_segment() {
        return Err(GraphError::NoSuchInterface);
    }
    Err(match answer.status {
        StatusCode::UNAUTHORIZED => GraphError::Unauthorized,
        StatusCode::FORBIDDEN => GraphError::Denied(denied(&body, granted, on_account)),
        StatusCode::NOT_FOUND => GraphError::NotFound,
        StatusCode::TOO_MANY_REQUESTS => GraphError::Throttled(answer.retry_after()),
        // Not an outage: the property cannot be read this way, however long one waits.
        StatusCode::NOT_IMPLEMENTED => GraphError::Status(501),
        status if status.is_server_error() => GraphError::ServerError(answer.retry_after()),
        status => GraphError::Status(status.as_u16()),
    })
}

fn denied(body: &ErrorBody, granted: Option<bool>, on_account: bool) -> Denied {
    let message = body.error.message.as_deref().unwrap_or_default().to_ascii_lowercase();
    let about_licence = |text: &str| text.contains("license") || text.contains("licence");
    if about_licence(&message) || body.codes().any(|code| about_licence(&code.to_ascii_lowercase())) {
        return Denied::MissingLicence;
    }
    if message.contains("required scopes are missing") {
        return Denied::MissingRole;
    }
    // One code and one text for both; only the permissions in the token tell them apart.
    match granted {
        Some(false) => Denied::MissingRole,
        Some(true) if on_account => Denied::PrivilegedTarget,
        _ => Denied::Unclear,
    }
}

#[derive(Default, Deserialize)]
struct ErrorBody {
    #[serde(default)]
    error: ErrorPart,
}

#[derive(Default, Deserialize)]
struct ErrorPart {
    code: Option<String>,
    message: Option<String>,
    /// Real bodies write `innerError`, the definition `innererror`.
    #[serde(alias = "innererror", rename = "innerError")]
    inner: Option<InnerPart>,
}

#[derive(Deserialize)]
struct InnerPart {
    code: Option<String>,
}

impl ErrorBody {
    /// Status 400 or 404 with the text for a path that is not in the schema.
    fn names_no_segment(&self) -> bool {
        let message = self.error.message.as_deref().unwrap_or_default().to_ascii_lowercase();
        message.contains("resource not found for the segment")
    }

    fn codes(&self) -> impl Iterator<Item = &String> {
        self.error.code.iter().chain(self.error.inner.iter().filter_map(|inner| inner.code.as_ref()))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::HeaderMap;

    use super::*;

    fn outcome(status: u16, body: &str, granted: Option<bool>) -> String {
        let (status, body) = (StatusCode::from_u16(status).unwrap(), Bytes::from(body.to_owned()));
        match check(&Answer { status, headers: HeaderMap::new(), body }, granted, true) {
            Ok(()) => "good".to_owned(),
            Err(GraphError::Denied(why)) => why.word().to_owned(),
            Err(error) => format!("{error:?}"),
        }
    }

    #[test]
    fn entra_graph_answers_are_sorted_by_what_to_do() {
        let coded = |code: &str| format!(r#"{{"error":{{"code":"{code}","message":"x"}}}}"#);
        let request_denied = coded("Authorization_RequestDenied");
        let scopes = r#"{"error":{"code":"","message":"You cannot perform the requested operation, required scopes are missing in the token."}}"#;
        let segment =
            r#"{"error":{"code":"BadRequest","message":"Resource not found for the segment 'identityProtection'."}}"#;
        let inner = r#"{"error":{"code":"","innererror":{"code":"ResyncRequired"}}}"#;
        let rows = [
            (200, "", None, "good"),
            (204, "", None, "good"),
            (410, "", None, "Resync"),
            (400, &coded("SyncStateNotFound"), None, "Resync"),
            (404, &coded("syncstatenotfound"), None, "Resync"),
            (400, inner, None, "Resync"),
            (400, "{", None, "Status(400)"),
            (401, "", None, "Unauthorized"),
            (403, &request_denied, Some(true), "privileged_target"),
            (403, &request_denied, Some(false), "missing_role"),
            (403, &request_denied, None, "unclear"),
            (403, scopes, Some(true), "missing_role"),
            (403, &coded("NoLicense"), Some(true), "missing_licence"),
            (404, "", None, "NotFound"),
            (400, segment, None, "NoSuchInterface"),
            (404, segment, None, "NoSuchInterface"),
            (429, "", None, "Throttled(None)"),
            (501, "", None, "Status(501)"),
            (503, "<html>", None, "ServerError(None)"),
            (302, "", None, "Status(302)"),
        ];
        for (status, body, granted, expected) in rows {
            assert_eq!(outcome(status, body, granted), expected, "{status} {body}");
        }
    }
}
