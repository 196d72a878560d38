//! Why Entra did not give what was asked, sorted by who can mend it.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use super::refusal::{Refusal, RefusalClass};

/// Any failure of the relying party. Cheap to clone, so that callers who waited for one fetch share its outcome.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EntraError {
    /// Nobody answered, or the answer was "later": the network or Microsoft can mend it, waiting may.
    #[error("the identity provider cannot be reached ({})", cause.word())]
    Unreachable {
        /// In which way.
        cause: UnreachableCause,
        /// How long the provider asked to wait.
        retry_after: Option<Duration>,
        /// What the layer below said.
        #[source]
        source: Option<Source>,
    },
    /// The administrator of this gateway or of the app registration can mend it.
    #[error("the app registration or this gateway's configuration is wrong ({}): {detail}", what.word())]
    Misconfigured {
        /// What is wrong.
        what: Misconfiguration,
        /// For the log and for `doctor`; never holds a secret or a provider's description.
        detail: String,
        /// Microsoft's number, if it sent one.
        aadsts: Option<u32>,
    },
    /// Entra answered, and the answer is no: the person or a policy can mend it.
    #[error("the identity provider refused: {0}")]
    Refused(Box<Refusal>),
    /// The ID token is not good for this gateway. Nobody should see this outside an attack or a wrong setup.
    #[error("the ID token is not acceptable ({})", .0.word())]
    BadToken(BadToken),
    /// The answer was not what the protocol promises.
    #[error("the identity provider's answer is unusable ({})", .0.word())]
    BadAnswer(BadAnswer),
}

/// An error of a layer below, shared between the callers who waited for the same fetch.
#[derive(Debug, Clone, thiserror::Error)]
#[error(transparent)]
pub struct Source(Arc<dyn Error + Send + Sync>);

impl Source {
    pub(super) fn new(error: impl Error + Send + Sync + 'static) -> Self {
        Self(Arc::new(error))
    }
}

impl EntraError {
    /// Whether the same call may succeed later without anybody changing anything.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self {
            // An untrusted certificate does not become trusted by waiting.
            Self::Unreachable { cause, .. } => !matches!(cause, UnreachableCause::Tls),
            Self::Misconfigured { .. } | Self::Refused(_) | Self::BadToken(_) | Self::BadAnswer(_) => false,
        }
    }

    /// The closed class, for pages, metrics and decisions.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Unreachable { .. } => Fault::Unreachable,
            Self::Misconfigured { what, .. } => Fault::Misconfigured(*what),
            Self::Refused(refusal) => Fault::Refused(refusal.class),
            Self::BadToken(reason) => Fault::BadToken(*reason),
            Self::BadAnswer(reason) => Fault::BadAnswer(*reason),
        }
    }

    /// The error with what the layers below said, for logs and `doctor`. Holds addresses and file names, no secrets.
    #[must_use]
    pub fn details(&self) -> String {
        let mut text = self.to_string();
        let mut next = self.source();
        while let Some(error) = next {
            let more = error.to_string();
            // Layers like to repeat what they wrap.
            if !text.ends_with(&more) {
                text.push_str(": ");
                text.push_str(&more);
            }
            next = error.source();
        }
        text
    }

    pub(super) const fn unreachable(cause: UnreachableCause) -> Self {
        Self::Unreachable { cause, retry_after: None, source: None }
    }

    pub(super) fn misconfigured(what: Misconfiguration, detail: impl Into<String>) -> Self {
        Self::Misconfigured { what, detail: detail.into(), aadsts: None }
    }
}

/// [`EntraError`] without its details: plain, comparable, with one word each for logs and metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// See [`EntraError::Unreachable`].
    Unreachable,
    /// See [`EntraError::Misconfigured`].
    Misconfigured(Misconfiguration),
    /// See [`EntraError::Refused`].
    Refused(RefusalClass),
    /// See [`EntraError::BadToken`].
    BadToken(BadToken),
    /// See [`EntraError::BadAnswer`].
    BadAnswer(BadAnswer),
}

impl Fault {
    /// The word in logs and metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Misconfigured(what) => what.word(),
            Self::Refused(class) => class.word(),
            Self::BadToken(reason) => reason.word(),
            Self::BadAnswer(reason) => reason.word(),
        }
    }
}

macro_rules! worded {
    ($(#[$doc:meta])* $name:ident { $($(#[$item_doc:meta])* $item:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$item_doc])* $item,)+ }

        impl $name {
            /// Every value, for closed lists such as metrics.
            pub const ALL: &'static [Self] = &[$(Self::$item,)+];

            /// The word in logs and metrics.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$item => $word,)+ }
            }
        }
    };
}
pub(super) use worded;

worded! {
    /// In which way the provider could not be reached.
    UnreachableCause {
        /// No connection: DNS, refused, reset before an answer.
        Connect = "connect",
        /// The TLS handshake failed, most often a certificate that is not trusted.
        Tls = "tls",
        /// The deadline of the call passed.
        Timeout = "timeout",
        /// The connection broke in the middle of the answer.
        Broken = "broken",
        /// Status 5xx, or `server_error`.
        ServerError = "server_error",
        /// Status 429, or `temporarily_unavailable`.
        Throttled = "throttled",
    }
}

worded! {
    /// What an administrator has to mend.
    Misconfiguration {
        /// The authority address is not usable.
        Authority = "config_authority",
        /// No tenant is configured, or too many, or Entra does not know it.
        Tenant = "config_tenant",
        /// The application is unknown, disabled, or not in this tenant.
        Application = "config_application",
        /// The secret, certificate or federated token is missing, wrong or expired.
        Credential = "config_credential",
        /// The redirect address is not registered.
        RedirectUri = "config_redirect_uri",
        /// A scope or permission is not in the registration.
        Scope = "config_scope",
        /// The file with extra root certificates cannot be used.
        RootCertificates = "config_root_certificates",
        /// Entra calls the request itself wrong.
        Request = "config_request",
    }
}

worded! {
    /// Why an ID token is not acceptable.
    BadToken {
        /// Not three base64url parts of strict JSON, or a claim of the wrong type.
        Malformed = "token_malformed",
        /// Larger than any token Entra issues.
        TooLarge = "token_too_large",
        /// Encrypted (JWE); this gateway registers no encryption key.
        Encrypted = "encrypted",
        /// A member occurs twice, so two readers could see two different tokens.
        DuplicateMember = "duplicate_member",
        /// Nested deeper than any token Entra issues.
        TooDeep = "too_deep",
        /// `alg` is not RS256.
        WrongAlgorithm = "wrong_algorithm",
        /// `kid` is absent or not among the tenant's keys.
        UnknownKey = "unknown_key",
        /// The key is published for another issuer.
        WrongKeyIssuer = "wrong_key_issuer",
        /// The signature does not verify.
        BadSignature = "bad_signature",
        /// `iss` is not the tenant's issuer.
        WrongIssuer = "wrong_issuer",
        /// `aud` is not exactly this application.
        WrongAudience = "wrong_audience",
        /// `azp` is another application.
        WrongAuthorizedParty = "wrong_authorized_party",
        /// `nonce` is not the one of this sign-in.
        WrongNonce = "wrong_nonce",
        /// `ver` is not `2.0`.
        WrongVersion = "wrong_version",
        /// `exp` has passed.
        Expired = "token_expired",
        /// `nbf` or `iat` lies in the future.
        NotYetValid = "not_yet_valid",
        /// `tid` is not a configured tenant.
        TenantNotAllowed = "tenant_not_allowed",
        /// A refresh brought the token of another person.
        OtherPerson = "other_person",
        /// `iss` is absent.
        MissingIssuer = "missing_iss",
        /// `aud` is absent.
        MissingAudience = "missing_aud",
        /// `sub` is absent.
        MissingSubject = "missing_sub",
        /// `tid` is absent.
        MissingTenant = "missing_tid",
        /// `oid` is absent: the `profile` scope was not granted.
        MissingObject = "missing_oid",
        /// `nonce` is absent.
        MissingNonce = "missing_nonce",
        /// `exp` is absent.
        MissingExpiry = "missing_exp",
        /// `iat` is absent.
        MissingIssueTime = "missing_iat",
        /// `ver` is absent.
        MissingVersion = "missing_ver",
    }
}

worded! {
    /// Why an answer of the provider is unusable.
    BadAnswer {
        /// A redirect; never followed, because it could carry a code or secret elsewhere.
        Redirect = "answer_redirect",
        /// Not JSON.
        ContentType = "answer_content_type",
        /// Compressed, which was not asked for.
        Encoding = "answer_encoding",
        /// Larger than the cap.
        TooLarge = "answer_too_large",
        /// Not the JSON that was expected.
        Malformed = "answer_malformed",
        /// A status that the protocol does not know here.
        Status = "answer_status",
        /// No `id_token`, so nobody has been proven.
        NoIdToken = "no_id_token",
        /// Discovery names an issuer that is not the tenant's.
        DiscoveryIssuer = "discovery_issuer",
        /// Discovery names an endpoint on a foreign or unprotected host.
        DiscoveryEndpoint = "discovery_endpoint",
        /// The key set holds no usable RSA signing key.
        NoKeys = "no_keys",
        /// The key set is larger than any Entra publishes.
        TooManyKeys = "too_many_keys",
        /// Two different keys share one `kid`.
        DuplicateKeys = "duplicate_keys",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_has_a_word_of_its_own() {
        let mut words = vec![Fault::Unreachable.word()];
        words.extend(Misconfiguration::ALL.iter().map(|what| Fault::Misconfigured(*what).word()));
        words.extend(RefusalClass::ALL.iter().map(|class| Fault::Refused(*class).word()));
        words.extend(BadToken::ALL.iter().map(|reason| Fault::BadToken(*reason).word()));
        words.extend(BadAnswer::ALL.iter().map(|reason| Fault::BadAnswer(*reason).word()));
        let count = words.len();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), count);
    }
}
