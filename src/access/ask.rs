//! Refusals that the person can turn into a yes: sign in, prove more, or read a warning. Answered by `sign_in`, which
//! knows the way back.

use http::Request;
use http::Response;
use hyper::body::Incoming;

use super::gate::Person;
use super::refusal::Refusal;
use super::served::Served;
use super::{Asked, Local, collect};
use crate::edge::Body;
use crate::facts::AuthContext;
use crate::pages::Caution;
use crate::policy::{Reason, Verdict};
use crate::sign_in::{Asker, Unauthenticated, Warned};

/// What the person is asked for.
pub(super) enum Ask<'a> {
    /// To sign in.
    SignIn,
    /// To prove more.
    StepUp(AuthContext),
    /// To read a warning.
    Warning(Caution, &'a str, &'a Person),
}

impl<'a> Ask<'a> {
    /// What would turn this refusal into a yes; `None` if nothing the person does here can.
    pub(super) fn of(refusal: &'a Refusal) -> Option<Self> {
        let Refusal::Decided { decision, person } = refusal else { return None };
        match (decision.verdict, person) {
            (Verdict::Block, _) => {
                matches!(decision.reason, Reason::SignInRequired | Reason::SignInRevoked).then_some(Self::SignIn)
            }
            // Both are remembered with a session, so somebody without one gets one first.
            (Verdict::Challenge | Verdict::Warn, None) => Some(Self::SignIn),
            (Verdict::Challenge, Some(_)) => decision.needs.map(Self::StepUp),
            (Verdict::Warn, Some(person)) => {
                let caution = if decision.reason == Reason::RiskRule { Caution::Risk } else { Caution::Rule };
                Some(Self::Warning(caution, decision.rule.as_deref()?, person))
            }
            (Verdict::Allow | Verdict::Monitor, _) => None,
        }
    }
}

/// Asks. A small form of the app's own page is read, so that it can be sent again afterwards.
pub(super) async fn ask(
    local: &Local,
    asked: &Asked<'_>,
    request: Request<Incoming>,
    served: &Served,
    what: Ask<'_>,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let form = match Unauthenticated::of(&parts.method, &parts.headers, asked.host) {
        Unauthenticated::Form => collect(body).await,
        Unauthenticated::Navigation | Unauthenticated::Program => None,
    };
    let asker = Asker {
        host: asked.host,
        path_and_query: parts.uri.path_and_query().map_or("/", |path| path.as_str()),
        method: &parts.method,
        headers: &parts.headers,
        cors_origins: &asked.app.config.cors_origins,
        form: form.as_deref(),
        request_id: served.id(),
    };
    let sign_in = &local.world.sign_in;
    match what {
        Ask::SignIn => sign_in.challenge(&asker),
        Ask::StepUp(context) => sign_in.step_up(&asker, context),
        Ask::Warning(caution, rule, person) => {
            sign_in.warn(&Warned { asker, session: &person.session, rule, caution, app: &asked.app.name })
        }
    }
}
