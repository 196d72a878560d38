//! The closed list of pages and what each one shows.

use http::StatusCode;

use super::problem::{BadRequestWord, Caution, SignInProblem, StepUpProblem};
use crate::policy::Reason;

/// One page. Addresses must be made by the gateway (never taken from a request as they are).
#[derive(Debug, Clone)]
pub enum Page<'a> {
    /// The gate said no.
    Blocked(Blocked<'a>),
    /// A risk rule said no: the account is protected, and the person can do something about it.
    AtRisk(AtRisk<'a>),
    /// A warning that the person may go on from.
    Warning(Warning<'a>),
    /// A step-up came to nothing.
    StepUpFailed {
        /// What went wrong.
        problem: StepUpProblem,
        /// Where to try again.
        retry: &'a str,
    },
    /// Nobody is signed in. Browsers are usually redirected instead; API callers get the address to open.
    SignInRequired {
        /// Where to sign in.
        login_url: &'a str,
    },
    /// A sign-in did not succeed.
    SignInFailed {
        /// What went wrong.
        problem: SignInProblem,
        /// Where to try again.
        retry: Option<&'a str>,
    },
    /// Too many sign-ins in a row without success: the loop ends here.
    TooManyAttempts {
        /// Where to try again, by hand.
        retry: &'a str,
    },
    /// The identity provider cannot be reached and nothing cached helps.
    ProviderDown {
        /// Where to try again.
        retry: Option<&'a str>,
    },
    /// The session store failed: the person may well be signed in, so the cookie is left alone.
    StoreDown,
    /// Asks before signing out.
    SignOutConfirm {
        /// Where the form goes.
        action: &'a str,
        /// Value of the form's `csrf` field.
        csrf: &'a str,
        /// Who is signed in.
        person: Option<SignedInAs<'a>>,
    },
    /// Signed out.
    SignedOut {
        /// Where to sign in again.
        sign_in: Option<&'a str>,
    },
    /// The page at the sign-in host: who one is and what one can open.
    Portal(Portal<'a>),
    /// The app does not answer in a way that can be passed on.
    UpstreamDown {
        /// The app's name.
        app: &'a str,
    },
    /// The app took too long.
    UpstreamTimeout {
        /// The app's name.
        app: &'a str,
    },
    /// Every place to the app (or of the gateway) is taken.
    Busy,
    /// No app at this address.
    NotFound,
    /// The request came in on a connection for another host (RFC 9110 section 15.5.20).
    Misdirected,
    /// The request was malformed.
    BadRequest {
        /// What was wrong.
        word: BadRequestWord,
    },
    /// The app does not take this method.
    MethodNotAllowed,
    /// The request body is larger than the app allows.
    PayloadTooLarge,
    /// Keeps a small form in the browser while the person signs in.
    PreservePost(KeptPost<'a>),
    /// Sends the kept form.
    ResumePost {
        /// As in [`KeptPost::key`].
        key: &'a str,
        /// Where to go if nothing is kept any more.
        fallback: &'a str,
    },
    /// Answer to the provider's front-channel sign-out; the only page that may be framed.
    FrontChannelDone,
}

/// See [`Page::Blocked`].
#[derive(Debug, Clone)]
pub struct Blocked<'a> {
    /// Why.
    pub reason: Reason,
    /// The app's name.
    pub app: &'a str,
    /// Who asked.
    pub person: Option<SignedInAs<'a>>,
    /// Where to sign out, to come back as somebody else.
    pub sign_out: Option<&'a str>,
}

/// See [`Page::AtRisk`].
#[derive(Debug, Clone)]
pub struct AtRisk<'a> {
    /// Why.
    pub reason: Reason,
    /// The app's name.
    pub app: &'a str,
    /// Who asked.
    pub person: Option<SignedInAs<'a>>,
    /// Where to sign in anew, once the account is safe again.
    pub sign_in: &'a str,
}

/// See [`Page::Warning`].
#[derive(Debug, Clone)]
pub struct Warning<'a> {
    /// What it is about.
    pub caution: Caution,
    /// The app's name.
    pub app: &'a str,
    /// Who asked.
    pub person: SignedInAs<'a>,
    /// Where Continue goes.
    pub action: &'a str,
    /// Value of the form's `to` field.
    pub token: &'a str,
}

/// Who is signed in, for display only.
#[derive(Debug, Clone, Copy)]
pub struct SignedInAs<'a> {
    /// Display name.
    pub name: &'a str,
    /// E-mail.
    pub email: &'a str,
}

/// See [`Page::Portal`].
#[derive(Debug, Clone)]
pub struct Portal<'a> {
    /// Who is signed in.
    pub person: SignedInAs<'a>,
    /// Every app; whether one opens is decided when it is asked for.
    pub apps: &'a [AppLink<'a>],
    /// One line about the session, for example when it ends.
    pub session: &'a str,
    /// Where the sign-out form goes.
    pub sign_out: &'a str,
    /// Value of the form's `csrf` field.
    pub csrf: &'a str,
}

/// One app of the portal.
#[derive(Debug, Clone, Copy)]
pub struct AppLink<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its address.
    pub url: &'a str,
}

/// See [`Page::PreservePost`]. Small `application/x-www-form-urlencoded` bodies of the same origin only.
#[derive(Debug, Clone)]
pub struct KeptPost<'a> {
    /// Names the form until it is sent; made by the gateway.
    pub key: &'a str,
    /// Path and query the form was sent to.
    pub action: &'a str,
    /// The form's fields in order.
    pub fields: &'a [(String, String)],
    /// Where to go on.
    pub login_url: &'a str,
    /// What has to be done before it is sent.
    pub why: KeptWhile,
}

/// What a kept form waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeptWhile {
    /// A sign-in.
    SigningIn,
    /// A step-up.
    SteppingUp,
    /// A warning that is read.
    Warned,
}

impl Page<'_> {
    /// The status this page is sent with.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::Blocked(_) | Self::AtRisk(_) | Self::Warning(_) | Self::StepUpFailed { .. } => StatusCode::FORBIDDEN,
            Self::PreservePost(kept) if matches!(kept.why, KeptWhile::Warned) => StatusCode::FORBIDDEN,
            Self::SignInRequired { .. } | Self::PreservePost(_) => StatusCode::UNAUTHORIZED,
            Self::SignInFailed { problem, .. } => problem.status(),
            Self::TooManyAttempts { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::ProviderDown { .. } | Self::StoreDown | Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::SignOutConfirm { .. }
            | Self::SignedOut { .. }
            | Self::Portal(_)
            | Self::ResumePost { .. }
            | Self::FrontChannelDone => StatusCode::OK,
            Self::UpstreamDown { .. } => StatusCode::BAD_GATEWAY,
            Self::UpstreamTimeout { .. } => StatusCode::GATEWAY_TIMEOUT,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Self::BadRequest { .. } => StatusCode::BAD_REQUEST,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        }
    }

    /// The word in the JSON twin's `error` field.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Blocked(_) | Self::AtRisk(_) => "blocked",
            Self::Warning(_) => "warning_required",
            Self::StepUpFailed { .. } => "step_up_failed",
            Self::SignInRequired { .. } | Self::PreservePost(_) => "sign_in_required",
            Self::SignInFailed { .. } => "sign_in_failed",
            Self::TooManyAttempts { .. } => "too_many_attempts",
            Self::ProviderDown { .. } => "provider_unavailable",
            Self::StoreDown => "store_unavailable",
            Self::SignOutConfirm { .. } => "confirm_sign_out",
            Self::SignedOut { .. } => "signed_out",
            Self::Portal(_) => "portal",
            Self::UpstreamDown { .. } => "upstream_unavailable",
            Self::UpstreamTimeout { .. } => "upstream_timeout",
            Self::Busy => "busy",
            Self::NotFound => "not_found",
            Self::Misdirected => "misdirected",
            Self::BadRequest { .. } => "bad_request",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::PayloadTooLarge => "payload_too_large",
            Self::ResumePost { .. } => "resume",
            Self::FrontChannelDone => "signed_out",
        }
    }

    /// Seconds after which trying again makes sense.
    #[must_use]
    pub const fn retry_after(&self) -> Option<&'static str> {
        match self {
            Self::ProviderDown { .. } | Self::StoreDown => Some("10"),
            Self::Busy => Some("2"),
            Self::TooManyAttempts { .. } => Some("60"),
            _ => None,
        }
    }
}
