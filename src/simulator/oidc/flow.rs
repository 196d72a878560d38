//! One sign-in under way, and what it needs next.

use super::request::{AuthorizeRequest, Prompt};
use crate::simulator::aadsts::Failure;
use crate::simulator::state::{Session, State};
use crate::simulator::world::{App, Authority, ContextPolicy, Person, World};

/// A request with what the person has done for it so far.
#[derive(Debug, Clone)]
pub(in crate::simulator) struct Flow {
    pub(super) request: AuthorizeRequest,
    /// The `sid` of a session started within this flow, which satisfies `prompt=login`.
    pub(super) fresh: Option<String>,
    /// The person chose the account that is signed in.
    pub(super) picked: bool,
    /// The person pressed Accept.
    pub(super) consented: bool,
}

/// What comes next.
#[derive(Debug)]
pub(super) enum Step {
    /// Ask for an account and its password; with why, if there is something to explain.
    SignIn(Option<Failure>),
    /// Ask for a second factor.
    SecondFactor,
    /// Ask for consent.
    Consent,
    /// Answer with a code, naming these auth contexts.
    Grant(Vec<String>),
    /// No.
    Refuse(Failure),
}

impl Flow {
    /// A flow nobody has done anything for.
    pub(super) const fn new(request: AuthorizeRequest) -> Self {
        Self { request, fresh: None, picked: false, consented: false }
    }

    /// What this flow needs, given the browser's session.
    pub(super) fn next(&self, state: &State, session: Option<&Session>) -> Step {
        let Some(session) = session else { return Step::SignIn(None) };
        let request = &self.request;
        let is_fresh = self.fresh.as_ref() == Some(&session.sid);
        if request.prompt == Some(Prompt::Login) && !is_fresh {
            return Step::SignIn(None);
        }
        if request.prompt == Some(Prompt::SelectAccount) && !is_fresh && !self.picked {
            return Step::SignIn(None);
        }
        let world = state.world();
        let (Some(person), Some(app)) = (world.person(&session.tid, &session.oid), world.app(&request.client_id))
        else {
            return Step::SignIn(None);
        };
        if let Authority::Tenant(tid) = &request.path
            && *tid != session.tid
        {
            return Step::SignIn(Some(other_tenant(person)));
        }
        let hinted = request.login_hint.as_deref().is_none_or(|hint| is_hinted(person, &session.tid, hint));
        if !hinted && !is_fresh {
            return Step::SignIn(None);
        }
        if let Err(failure) = may_use(app, &session.tid, person) {
            return Step::Refuse(failure);
        }
        let contexts = match contexts(&world, session, &request.contexts) {
            Contexts::Issue(contexts) => contexts,
            Contexts::SecondFactor => return Step::SecondFactor,
            Contexts::Blocked => return Step::Refuse(Failure::blocked()),
        };
        if person.requires_mfa && !session.mfa {
            return Step::SecondFactor;
        }
        if request.prompt == Some(Prompt::Consent) && !self.consented {
            return Step::Consent;
        }
        Step::Grant(contexts)
    }
}

/// Everything that stands between an account and an app, for sign-in, code and refresh alike.
pub(super) fn may_use(app: &App, tid: &str, person: &Person) -> Result<(), Failure> {
    if person.deleted {
        return Err(Failure::new(50034, "The user account does not exist in the directory.".to_owned()));
    }
    if !person.enabled {
        return Err(Failure::new(50057, "The user account is disabled."));
    }
    let principal = app.principals.get(tid);
    let Some(principal) = principal.filter(|p| p.consented) else {
        return Err(Failure::new(
            65001,
            format!(
                "The user or administrator has not consented to use the application with ID '{}' named '{}'. Send an \
                 interactive authorization request for this user and resource.",
                app.client_id, app.name
            ),
        ));
    };
    if principal.disabled {
        return Err(Failure::new(7_000_112, format!("Application '{}'({}) is disabled.", app.client_id, app.name)));
    }
    if principal.unassigned.contains(&person.oid) {
        return Err(Failure::new(
            50105,
            format!(
                "Your administrator has configured the application {} ('{}') to block users unless they are \
                 specifically granted ('assigned') access to the application. The signed in user '{}' is blocked \
                 because they are not a direct member of a group with access, nor had access directly assigned by an \
                 administrator.",
                app.name, app.client_id, person.upn
            ),
        ));
    }
    if person.blocked_by_policy {
        return Err(Failure::blocked());
    }
    Ok(())
}

/// The opaque value of the `login_hint` claim.
pub(super) fn opaque_hint(tid: &str, oid: &str) -> String {
    use base64::Engine as _;
    let both = format!("\n${oid}\x12${tid}");
    format!("O.{}", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(both))
}

/// Whether a `login_hint` means this account: its UPN, its e-mail, or the opaque claim.
pub(super) fn is_hinted(person: &Person, tid: &str, hint: &str) -> bool {
    person.upn.eq_ignore_ascii_case(hint)
        || person.email.as_ref().is_some_and(|email| email.eq_ignore_ascii_case(hint))
        || hint == opaque_hint(tid, &person.oid)
}

enum Contexts {
    Issue(Vec<String>),
    SecondFactor,
    Blocked,
}

/// The table of reference section 7.1.
fn contexts(world: &World, session: &Session, asked: &[String]) -> Contexts {
    let policies = world.tenant(&session.tid).map(|t| &t.auth_contexts);
    let mut issued = Vec::new();
    for context in asked {
        match policies.and_then(|p| p.get(context)).copied().unwrap_or_default() {
            ContextPolicy::Blocked => return Contexts::Blocked,
            ContextPolicy::Mfa if !session.mfa => return Contexts::SecondFactor,
            ContextPolicy::Mfa | ContextPolicy::ReportOnly | ContextPolicy::Absent => issued.push(context.clone()),
        }
    }
    Contexts::Issue(issued)
}

fn other_tenant(person: &Person) -> Failure {
    Failure::new(
        50020,
        format!(
            "User account '{}' from another identity provider does not exist in this tenant and cannot access the \
             application. Sign in with an account of this tenant.",
            person.upn
        ),
    )
}
