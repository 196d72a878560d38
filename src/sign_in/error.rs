//! Why a sign-in did not go on, and the page each case shows. The one place where these become responses.

use http::Response;

use super::{SignIn, Visit, reply};
use crate::audit::Event;
use crate::edge::Body;
use crate::entra::{AuthorizeError, EntraError, Fault};
use crate::pages::{BadRequestWord, Page, SignInProblem};
use crate::session::SessionError;

/// Why a gateway endpoint could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// The request is not one these endpoints understand (a parameter twice, a wrong content type).
    #[error("the request is malformed")]
    Malformed,
    /// The endpoint does not take this method.
    #[error("the method is not allowed here")]
    WrongMethod,
    /// The attempt is too old, was used, or belongs to another browser.
    #[error("the sign-in attempt is stale, used or from another browser")]
    StaleAttempt,
    /// The browser does not keep cookies.
    #[error("the browser did not send the cookie it was given")]
    CookiesBlocked,
    /// A form from another site.
    #[error("the form did not come from the gateway's own page")]
    ForeignForm,
    /// The provider answered the browser with an error.
    #[error("the provider refused the sign-in")]
    Provider(AuthorizeError),
    /// The provider could not be asked, or its answer is not good.
    #[error("the provider's answer is no sign-in")]
    Entra(#[from] EntraError),
    /// The session store did not answer.
    #[error("the session store failed")]
    Store(#[from] SessionError),
    /// Randomness or key ring failed.
    #[error("an internal step failed")]
    Internal,
}

impl SignInError {
    /// Logs, counts and answers. The person sees what to do; the log sees why.
    pub(super) fn respond(&self, sign_in: &SignIn, visit: &Visit) -> Response<Body> {
        let failure = self.failure();
        tracing::info!(request_id = %visit.request_id, failure = failure.word(), error = %chain(self), "sign-in did not go on");
        sign_in.record(Event::sign_in_failed(&visit.request_id, visit.client, failure.word()));
        let retry = format!("{}{}sign-in", sign_in.config().origin(), super::PREFIX);
        let page = match failure {
            SignInFailure::Unavailable => Page::ProviderDown { retry_after: 10 },
            other => Page::SignInFailed { failure: other, retry: &retry },
        };
        reply::page(&page, visit, Vec::new())
    }

    const fn failure(&self) -> SignInFailure {
        match self {
            Self::Malformed | Self::WrongMethod => SignInFailure::BadRequest,
            Self::StaleAttempt => SignInFailure::Stale,
            Self::CookiesBlocked => SignInFailure::CookiesBlocked,
            Self::ForeignForm => SignInFailure::ForeignForm,
            Self::Provider(error) => of_fault(error.fault()),
            Self::Entra(error) => of_fault(error.fault()),
            Self::Store(_) | Self::Internal => SignInFailure::Unavailable,
        }
    }
}

const fn of_fault(fault: Fault) -> SignInFailure {
    match fault {
        Fault::Unreachable => SignInFailure::Unavailable,
        _ => SignInFailure::Refused,
    }
}

/// The error with its causes, for the log.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
