//! `/authorize` and the page a person signs in on (reference section 1.4).

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, Request, State as Shared};
use axum::response::Response;

use super::flow::{Flow, Step};
use super::request::{AuthorizeRequest, Prompt, Refusal};
use super::{Call, discovery, flow, page, session_cookie};
use crate::simulator::aadsts::Failure;
use crate::simulator::params::{Params, malformed};
use crate::simulator::random;
use crate::simulator::state::{Code, Grant, Session, State};
use crate::simulator::world::{Authority, ContextPolicy};

/// `GET` and `POST /{tenant}/oauth2/v2.0/authorize`
pub(super) async fn authorize(
    Shared(state): Shared<Arc<State>>,
    Path(tenant): Path<String>,
    Extension(call): Extension<Call>,
    Extension(peer): Extension<SocketAddr>,
    request: Request<Body>,
) -> Response {
    let browser = Browser { state, call, peer, cookie: session_cookie::read(request.headers()) };
    let params = match Params::of(request).await {
        Ok(params) => params,
        Err(failure) => return browser.page(&failure),
    };
    match AuthorizeRequest::read(&browser.state, &tenant, &params) {
        Err(Refusal::Page(failure)) => browser.page(&failure),
        Err(Refusal::Redirect(told)) => told.0.refuse(&told.1, &browser.call.trace, &browser.state.base),
        Ok(request) => match &browser.call.ordered {
            Some(failure) => {
                let failure = failure.clone().silent();
                request.target.refuse(&failure, &browser.call.trace, &browser.state.base)
            }
            None => browser.go_on(Flow::new(request), None),
        },
    }
}

/// `POST /{tenant}/login`: what the person did on a page.
pub(super) async fn login(
    Shared(state): Shared<Arc<State>>,
    Extension(call): Extension<Call>,
    Extension(peer): Extension<SocketAddr>,
    request: Request<Body>,
) -> Response {
    let browser = Browser { state, call, peer, cookie: session_cookie::read(request.headers()) };
    let params = match Params::of(request).await {
        Ok(params) => params,
        Err(failure) => return browser.page(&failure),
    };
    if let Some(failure) = &browser.call.ordered {
        return browser.page(failure);
    }
    let id = params.look("flow").unwrap_or_default().to_owned();
    let Some(flow) = browser.state.books().flows.look(&id).cloned() else {
        return browser.page(&malformed("This sign-in page is no longer valid. Go back to the app and start again."));
    };
    match params.look("action").unwrap_or("sign-in") {
        "cancel" => flow.request.target.cancelled(),
        "sign-in" => browser.sign_in(flow, &id, &params),
        "continue" => browser.go_on(Flow { picked: true, ..flow }, Some(&id)),
        "approve" => browser.approve(flow, &id),
        "accept" => browser.go_on(Flow { consented: true, ..flow }, Some(&id)),
        "decline" => {
            let failure = Failure::new(65004, "User declined to consent to access the app.");
            flow.request.target.refuse(&failure, &browser.call.trace, &browser.state.base)
        }
        other => browser.page(&malformed(&format!("Unknown action '{other}'."))),
    }
}

/// One browser's request.
struct Browser {
    state: Arc<State>,
    call: Call,
    peer: SocketAddr,
    cookie: Option<String>,
}

impl Browser {
    fn session(&self) -> Option<Session> {
        self.state.session(self.cookie.as_deref()?)
    }

    /// Shows the next page or answers the app.
    fn go_on(&self, flow: Flow, id: Option<&str>) -> Response {
        let session = self.session();
        let step = flow.next(&self.state, session.as_ref());
        if flow.request.prompt == Some(Prompt::None) {
            return self.answer_silently(&flow, step, session);
        }
        match step {
            Step::Grant(contexts) => self.grant(&flow, contexts, session),
            // Reference section 1.4: these never come back to the app.
            Step::Refuse(failure) if failure.code == 65001 => self.page(&Failure::new(
                90094,
                "The application needs permission to access resources in your organization that only an admin can \
                 grant. Ask an admin to grant permission to this app before you can use it.",
            )),
            Step::Refuse(failure) => self.page(&failure),
            step => {
                let id = self.keep(flow.clone(), id);
                page::step(&self.state, &id, &flow, &step, session.as_ref())
            }
        }
    }

    /// `prompt=none`: an answer or an error, never a page.
    fn answer_silently(&self, flow: &Flow, step: Step, session: Option<Session>) -> Response {
        let failure = match step {
            Step::Grant(contexts) => return self.grant(flow, contexts, session),
            Step::Refuse(failure) => failure.silent(),
            Step::SecondFactor => Failure::mfa_needed().silent(),
            Step::Consent => Failure::new(65001, "Consent is required.").silent(),
            Step::SignIn(Some(_)) => Failure::new(
                16000,
                "User account from identity provider does not exist in tenant and cannot access the application.",
            ),
            Step::SignIn(None) if session.is_some() => {
                Failure::new(160_021, "Application requested a user session which does not exist.")
            }
            Step::SignIn(None) => Failure::new(50058, "A silent sign-in request was sent but no user is signed in."),
        };
        flow.request.target.refuse(&failure, &self.call.trace, &self.state.base)
    }

    /// Checks the password; the account of a path for one tenant must be of that tenant.
    fn sign_in(&self, flow: Flow, id: &str, params: &Params) -> Response {
        let username = params.look("username").unwrap_or_default();
        let password = params.look("password").unwrap_or_default();
        let found = {
            let world = self.state.world();
            let mut accounts = world.tenants.iter().flat_map(|t| t.people.iter().map(move |p| (t, p)));
            let is_asked = |tid: &str| match &flow.request.path {
                Authority::Tenant(asked) => asked == tid,
                _ => true,
            };
            let account = accounts.find(|(t, p)| {
                is_asked(&t.id) && !p.deleted && (p.oid == username || p.upn.eq_ignore_ascii_case(username))
            });
            account.map(|(t, p)| (t.id.clone(), p.clone()))
        };
        let refused = |code, text: &str| {
            let step = Step::SignIn(Some(Failure::new(code, text)));
            page::step(&self.state, id, &flow, &step, self.session().as_ref())
        };
        let Some((tid, person)) = found else {
            return refused(50034, "We couldn't find an account with that username in this organization.");
        };
        if person.password != password {
            return refused(50126, "Your account or password is incorrect.");
        }
        if !person.enabled {
            return refused(50057, "Your account has been locked. Contact your support person to unlock it.");
        }
        let (cookie, session) = self.state.start_session(&tid, &person.oid);
        let browser = Self {
            state: Arc::clone(&self.state),
            call: self.call.clone(),
            peer: self.peer,
            cookie: Some(cookie.clone()),
        };
        let mut response = browser.go_on(Flow { fresh: Some(session.sid), ..flow }, Some(id));
        session_cookie::set(&mut response, &cookie);
        response
    }

    /// The second factor of this world is a button.
    fn approve(&self, flow: Flow, id: &str) -> Response {
        let fails = self.session().is_some_and(|session| {
            self.state.world().person(&session.tid, &session.oid).is_some_and(|person| person.fails_mfa)
        });
        if fails {
            return self.page(&Failure::new(500_121, "Authentication failed during strong authentication request."));
        }
        if let Some(cookie) = &self.cookie
            && let Some(session) = self.state.books().sessions.look_mut(cookie)
        {
            session.mfa = true;
        }
        self.go_on(flow, Some(id))
    }

    /// Hands out a code.
    fn grant(&self, flow: &Flow, contexts: Vec<String>, session: Option<Session>) -> Response {
        let Some(session) = session else { return self.page(&malformed("The session is gone.")) };
        let request = &flow.request;
        let now = self.state.now();
        let acrs = self.contexts_of(&request.client_id, &session, contexts);
        let code = Code {
            grant: Grant {
                tid: session.tid.clone(),
                oid: session.oid.clone(),
                client_id: request.client_id.clone(),
                scopes: request.scopes.clone(),
                sid: session.sid.clone(),
                auth_time: session.auth_time,
                issued_at: now,
                mfa: session.mfa,
                acrs,
                nonce: request.nonce.clone(),
                address: self.peer.ip().to_string(),
            },
            path: request.path.clone(),
            redirect_uri: request.target.redirect_uri.clone(),
            challenge: request.challenge.clone(),
            redeemed: false,
        };
        let handle = format!("1.AXYA{}", random::opaque::<48>());
        {
            let mut books = self.state.books();
            books.codes.put(handle.clone(), code);
            if let Some(kept) = self.cookie.as_ref().and_then(|cookie| books.sessions.look_mut(cookie)) {
                kept.last_used = now;
                if !kept.apps.contains(&request.client_id) {
                    kept.apps.push(request.client_id.clone());
                }
            }
        }
        let mut parameters = vec![("code", handle), ("session_state", session.sid)];
        if State::is_on(&self.state.iss_parameter) {
            parameters.push(("iss", discovery::issuer(&self.state.base, &session.tid)));
        }
        request.target.send(parameters)
    }

    /// What was asked for, plus, if the app opted in, what is already satisfied (reference section 7.1).
    fn contexts_of(&self, client_id: &str, session: &Session, asked: Vec<String>) -> Vec<String> {
        let world = self.state.world();
        let mut contexts = asked;
        let is_opted_in = world.app(client_id).is_some_and(|app| app.optional_claims.acrs);
        if is_opted_in && session.mfa {
            let known = world.tenant(&session.tid).map(|t| &t.auth_contexts).into_iter().flatten();
            for (id, policy) in known {
                if *policy == ContextPolicy::Mfa && !contexts.contains(id) {
                    contexts.push(id.clone());
                }
            }
        }
        contexts
    }

    fn keep(&self, flow: Flow, id: Option<&str>) -> String {
        let mut books = self.state.books();
        if let Some(id) = id
            && let Some(kept) = books.flows.look_mut(id)
        {
            *kept = flow;
            return id.to_owned();
        }
        let id = random::opaque::<24>();
        books.flows.put(id.clone(), flow);
        id
    }

    fn page(&self, failure: &Failure) -> Response {
        page::failure(failure, &self.call.trace)
    }
}

/// The accounts a sign-in page offers: those of the tenant, or of the hinted domain at `/common`.
pub(super) fn offered(state: &State, flow: &Flow) -> Vec<(String, String, String, bool)> {
    let request = &flow.request;
    let world = state.world();
    let hint = request.domain_hint.as_deref().filter(|hint| *hint != "organizations");
    let is_offered = |tenant: &crate::simulator::world::Tenant| match (&request.path, hint) {
        (Authority::Tenant(tid), _) => *tid == tenant.id,
        (_, Some(hint)) => tenant.id == hint || tenant.domains.iter().any(|d| d.eq_ignore_ascii_case(hint)),
        (_, None) => true,
    };
    let tenants = world.tenants.iter().filter(|t| is_offered(t));
    let people = tenants.flat_map(|t| t.people.iter().filter(|p| !p.deleted).map(move |p| (t, p)));
    people
        .take(MAX_OFFERED)
        .map(|(t, p)| {
            let hinted = request.login_hint.as_deref().is_some_and(|hint| flow::is_hinted(p, &t.id, hint));
            (p.oid.clone(), p.name.clone(), format!("{} · {}", p.upn, t.name), hinted)
        })
        .collect()
}

/// A page with more accounts than this is no longer a choice; the rest sign in by typing.
const MAX_OFFERED: usize = 50;
