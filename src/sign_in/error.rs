//! Why a sign-in did not go on, and the page each case shows. The one place where these become responses.

use http::Response;

use super::{SignIn, Visit, reply};
use crate::edge::Body;
use crate::entra::{BadToken, EntraError, Fault, RefusalClass};
use crate::pages::{BadRequestWord, Page, SignInProblem, StepUpProblem};
use crate::session::SessionError;
use crate::telemetry::metrics::SignInOutcome;

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
    /// The attempt was used before.
    #[error("the sign-in attempt was used before")]
    UsedAttempt,
    /// The browser does not keep cookies.
    #[error("the browser did not send the cookie it was given")]
    CookiesBlocked,
    /// A form from another site.
    #[error("the form did not come from the gateway's own page")]
    ForeignForm,
    /// The provider answered the browser with an error.
    #[error("the provider refused the sign-in")]
    Provider(#[source] EntraError),
    /// The provider could not be asked, or its answer is not good.
    #[error("the provider's answer is no sign-in")]
    Entra(#[from] EntraError),
    /// A step-up came to nothing; the session is as it was.
    #[error("the step-up was not confirmed: {}", problem.word())]
    StepUp {
        /// In which way.
        problem: StepUpProblem,
        /// Where to try again.
        again: String,
    },
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
        tracing::info!(request_id = %visit.request_id, path = %visit.path, error = %chain(self), "a gateway page could not be served");
        let retry = format!("{}{}sign-in?prompt=select_account", sign_in.config().origin(), super::PREFIX);
        if let Self::StepUp { problem, again } = self {
            return reply::page(sign_in, &Page::StepUpFailed { problem: *problem, retry: again }, visit, Vec::new());
        }
        let page = match self.problem() {
            Ok(problem) => {
                sign_in.failed(visit, outcome_of(problem));
                Page::SignInFailed { problem, retry: Some(&retry) }
            }
            Err(Other::ProviderDown) => {
                sign_in.failed(visit, SignInOutcome::ProviderDown);
                Page::ProviderDown { retry: Some(&retry) }
            }
            Err(Other::StoreDown) => {
                sign_in.failed(visit, SignInOutcome::Failed);
                Page::StoreDown
            }
            Err(Other::WrongMethod) => Page::MethodNotAllowed,
            Err(Other::BadRequest(word)) => Page::BadRequest { word: BadRequestWord::new(word) },
        };
        reply::page(sign_in, &page, visit, Vec::new())
    }

    fn problem(&self) -> Result<SignInProblem, Other> {
        match self {
            Self::WrongMethod => Err(Other::WrongMethod),
            // Whatever it was meant to be, it belongs to no sign-in of this browser; the way on is the same.
            Self::Malformed | Self::StaleAttempt => Ok(SignInProblem::Stale),
            Self::UsedAttempt => Ok(SignInProblem::Replayed),
            Self::CookiesBlocked => Ok(SignInProblem::CookiesOff),
            Self::ForeignForm => Err(Other::BadRequest("foreign_form")),
            Self::Provider(error) | Self::Entra(error) => of_fault(error.fault()),
            // Answered before; refused like a failure of ours if it ever comes here.
            Self::StepUp { .. } | Self::Store(_) | Self::Internal => Err(Other::StoreDown),
        }
    }
}

/// What is no failed sign-in but some other page.
enum Other {
    ProviderDown,
    StoreDown,
    WrongMethod,
    BadRequest(&'static str),
}

const fn of_fault(fault: Fault) -> Result<SignInProblem, Other> {
    Ok(match fault {
        Fault::Unreachable => return Err(Other::ProviderDown),
        Fault::Misconfigured(_) => SignInProblem::Misconfigured,
        Fault::BadToken(BadToken::TenantNotAllowed) => SignInProblem::WrongTenant,
        Fault::BadToken(_) | Fault::BadAnswer(_) => SignInProblem::InvalidAnswer,
        Fault::Refused(class) => match class {
            RefusalClass::Cancelled | RefusalClass::ConsentDeclined => SignInProblem::Cancelled,
            RefusalClass::NotAssigned | RefusalClass::ConsentMissing => SignInProblem::NotAssigned,
            RefusalClass::WrongAccount => SignInProblem::WrongTenant,
            RefusalClass::AccountDisabled | RefusalClass::BlockedByPolicy | RefusalClass::RiskSignal => {
                SignInProblem::AccountRefused
            }
            RefusalClass::InteractionNeeded | RefusalClass::DeviceNeeded => SignInProblem::InteractionRequired,
            RefusalClass::CodeReused => SignInProblem::Replayed,
            RefusalClass::GrantRefused
            | RefusalClass::GrantExpired
            | RefusalClass::GrantRevoked
            | RefusalClass::PkceMismatch => SignInProblem::Stale,
            RefusalClass::Looping | RefusalClass::Other => SignInProblem::ProviderFault,
        },
    })
}

const fn outcome_of(problem: SignInProblem) -> SignInOutcome {
    match problem {
        SignInProblem::Cancelled => SignInOutcome::Cancelled,
        SignInProblem::Stale | SignInProblem::Replayed | SignInProblem::CookiesOff => SignInOutcome::Stale,
        SignInProblem::NotAssigned | SignInProblem::AccountRefused | SignInProblem::InteractionRequired => {
            SignInOutcome::AccountRefused
        }
        SignInProblem::WrongTenant => SignInOutcome::WrongTenant,
        SignInProblem::InvalidAnswer => SignInOutcome::InvalidAnswer,
        SignInProblem::Misconfigured => SignInOutcome::Misconfigured,
        SignInProblem::ProviderFault => SignInOutcome::ProviderDown,
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
