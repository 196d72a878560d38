//! The pages of the provider: sign-in, second factor, consent, failure, self-posting form. No external resource.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::{RawQuery, State as Shared};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderName, StatusCode, header};

use super::authorize;
use super::flow::{Flow, Step};
use crate::simulator::aadsts::{Failure, Trace};
use crate::simulator::params::Params;
use crate::simulator::state::{Session, State};

/// The page of a step that needs the person.
pub(super) fn step(state: &State, id: &str, flow: &Flow, step: &Step, session: Option<&Session>) -> Response {
    let app = state.world().app(&flow.request.client_id).map(|a| a.name.clone()).unwrap_or_default();
    let app = escape(&app);
    let action = format!("/{}/login", escape(&flow.request.segment));
    let head = format!(
        "<form method=\"post\" action=\"{action}\"><input type=\"hidden\" name=\"flow\" value=\"{}\">",
        escape(id)
    );
    let (title, body) = match step {
        Step::SecondFactor => (
            "Approve sign-in request",
            format!(
                "<p>Your organization asks for a second factor before you go on to <strong>{app}</strong>.</p>{head}\
                 <button name=\"action\" value=\"approve\">Approve</button>\
                 <button class=\"quiet\" name=\"action\" value=\"cancel\">Cancel</button></form>"
            ),
        ),
        Step::Consent => (
            "Permissions requested",
            format!(
                "<p><strong>{app}</strong> would like to: <em>{}</em>.</p>{head}\
                 <button name=\"action\" value=\"accept\">Accept</button>\
                 <button class=\"quiet\" name=\"action\" value=\"decline\">Decline</button></form>",
                escape(&flow.request.scopes.join(", "))
            ),
        ),
        Step::SignIn(failure) => ("Sign in", sign_in(state, flow, &head, &app, failure.as_ref(), session)),
        Step::Grant(_) | Step::Refuse(_) => ("Sign in", String::new()),
    };
    let trouble = matches!(step, Step::SignIn(Some(_)));
    page(StatusCode::OK, if trouble { "Sign in: there is a problem" } else { title }, title, &body)
}

/// A failure that stays here (reference section 1.4): nothing goes back to the app.
pub(super) fn failure(failure: &Failure, trace: &Trace) -> Response {
    let body = format!(
        "<p>Sorry, but we're having trouble signing you in.</p>\
         <p role=\"alert\" id=\"error\">AADSTS{}: {}</p>\
         <dl><dt>Request Id</dt><dd>{}</dd><dt>Correlation Id</dt><dd>{}</dd><dt>Timestamp</dt><dd>{}</dd></dl>",
        failure.code,
        escape(&failure.text),
        escape(&trace.id),
        escape(&trace.correlation),
        escape(&trace.at)
    );
    page(StatusCode::BAD_REQUEST, "Sign in: trouble signing you in", "Sign in", &body)
}

/// What an administrator is asked before a whole tenant's data is opened (reference section 2).
pub(super) fn admin_consent(segment: &str, app: &str, params: &Params) -> Response {
    let mut form = format!("<form method=\"post\" action=\"/{}/v2.0/adminconsent\">", escape(segment));
    for name in ["client_id", "redirect_uri", "scope", "state"] {
        if let Some(value) = params.look(name) {
            let _ = write!(form, "<input type=\"hidden\" name=\"{name}\" value=\"{}\">", escape(value));
        }
    }
    let body = format!(
        "<p><strong>{}</strong> asks for permissions in your whole organization.</p>{form}\
         <button name=\"answer\" value=\"accept\">Accept</button>\
         <button class=\"quiet\" name=\"answer\" value=\"decline\">Cancel</button></form>",
        escape(app)
    );
    page(StatusCode::OK, "Permissions requested", "Permissions requested", &body)
}

/// `response_mode=form_post`: a form that posts itself, with a button where scripts are off.
pub(super) fn form_post(redirect_uri: &str, parameters: &[(&'static str, String)]) -> Response {
    let mut body = format!("<form method=\"POST\" name=\"hiddenform\" action=\"{}\">", escape(redirect_uri));
    for (name, value) in parameters {
        let _ = write!(body, "<input type=\"hidden\" name=\"{name}\" value=\"{}\">", escape(value));
    }
    body.push_str(
        "<noscript><p>Script is disabled. Press the button to continue.</p><button type=\"submit\">Continue</button>\
         </noscript></form><script>document.forms[0].submit();</script>",
    );
    page(StatusCode::OK, "Working...", "Working...", &body)
}

/// Front-channel logout (reference section 1.7): one hidden frame per app, then on to where the app wants.
pub(super) fn signed_out(frames: &[String], next: Option<&str>) -> Response {
    let mut body =
        String::from("<p>You signed out of your account. It's a good idea to close all browser windows.</p>");
    for frame in frames {
        let _ = write!(body, "<iframe hidden title=\"Signing out\" src=\"{}\"></iframe>", escape(frame));
    }
    if let Some(next) = next {
        let next = escape(next);
        let _ = write!(
            body,
            "<p><a id=\"next\" href=\"{next}\">Continue</a></p><script>addEventListener('load',function(){{\
             location.replace(document.getElementById('next').href)}});</script>\
             <noscript><meta http-equiv=\"refresh\" content=\"2;url={next}\"></noscript>"
        );
    }
    page(StatusCode::OK, "Sign out", "Signed out", &body)
}

/// `GET /error?code=…`, the address in `error_uri`.
pub(super) async fn explain(Shared(_): Shared<Arc<State>>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let code = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "code").map(|(_, v)| v);
    let Some(code) = code.and_then(|c| c.parse::<u32>().ok()) else {
        return page(StatusCode::BAD_REQUEST, "Error lookup", "Error lookup", "<p>Give a code: ?code=50011</p>");
    };
    let failure = Failure::ordered(code);
    let body = format!("<p>AADSTS{code}, reported as <code>{}</code>. {}</p>", failure.error, escape(&failure.text));
    page(StatusCode::OK, "Error lookup", "Error lookup", &body)
}

fn sign_in(
    state: &State,
    flow: &Flow,
    head: &str,
    app: &str,
    failure: Option<&Failure>,
    session: Option<&Session>,
) -> String {
    let mut body = format!("<p>to continue to <strong>{app}</strong></p>");
    if let Some(failure) = failure {
        let _ = write!(
            body,
            "<p role=\"alert\" id=\"error\" class=\"alert\">{} <small>AADSTS{}</small></p>",
            escape(&failure.text),
            failure.code
        );
    }
    let offered = authorize::offered(state, flow);
    if flow.request.prompt != Some(super::request::Prompt::Login)
        && let Some(signed_in) = session.and_then(|s| offered.iter().find(|(oid, ..)| *oid == s.oid))
    {
        let _ = write!(
            body,
            "{head}<button class=\"quiet\" name=\"action\" value=\"continue\">Continue as {}</button></form>",
            escape(&signed_in.1)
        );
    }
    body.push_str(head);
    body.push_str("<fieldset><legend>Pick an account</legend>");
    let first = usize::from(!offered.iter().any(|(.., hinted)| *hinted));
    for (at, (oid, name, line, hinted)) in offered.iter().enumerate() {
        let checked = if *hinted || (first == 1 && at == 0) { " checked" } else { "" };
        let _ = write!(
            body,
            "<label class=\"account\"><input type=\"radio\" name=\"username\" value=\"{oid}\"{checked}>\
             <span><b>{}</b><small>{}</small></span></label>",
            escape(name),
            escape(line),
        );
    }
    body.push_str(
        "</fieldset><label for=\"password\">Password</label>\
         <input id=\"password\" name=\"password\" type=\"password\" autocomplete=\"current-password\" autofocus>\
         <p class=\"hint\">Everybody's password in this simulated tenant is <code>demo</code>, unless changed.</p>\
         <button name=\"action\" value=\"sign-in\">Sign in</button>\
         <button class=\"quiet\" name=\"action\" value=\"cancel\">Cancel</button></form>",
    );
    body
}

fn page(status: StatusCode, title: &str, heading: &str, body: &str) -> Response {
    let html = format!(
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><meta name=\"robots\" content=\"none\"><link rel=\"icon\" href=\"data:,\">\
         <style>{STYLE}</style></head><body><main><p class=\"brand\">Simulated Entra ID</p><h1>{heading}</h1>{body}</main>\
         </body></html>"
    );
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "strict-origin-when-cross-origin"),
        (HeaderName::from_static("x-content-type-options"), "nosniff"),
    ];
    (status, headers, html).into_response()
}

/// Text for element content and quoted attributes.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

const STYLE: &str = "\
    :root{color-scheme:light dark}*{box-sizing:border-box}\
    body{margin:0;font:1rem/1.5 system-ui,sans-serif;background:#eef1f5;color:#1b1f24}\
    main{max-width:27rem;margin:6vh auto;padding:2rem;background:#fff;border-radius:.5rem;box-shadow:0 2px 12px #0002;\
    overflow-wrap:anywhere}\
    h1{font-size:1.5rem;margin:.25rem 0 .5rem}.brand{margin:0;color:#50596b;font-weight:600}\
    fieldset{border:0;margin:0 0 1rem;padding:0}legend{font-weight:600;padding:0 0 .5rem}\
    .account{display:flex;gap:.75rem;align-items:center;padding:.6rem .75rem;border:1px solid #8a94a6;\
    border-radius:.35rem;margin-bottom:.4rem;cursor:pointer}.account:has(:checked){border-color:#0b5cad;\
    outline:1px solid #0b5cad}.account span{min-width:0}.account small{display:block;color:#50596b}\
    input[type=password]{width:100%;padding:.6rem;font:inherit;border:1px solid #5c6675;border-radius:.35rem;\
    margin:.25rem 0}\
    button{width:100%;min-height:2.75rem;margin-top:.5rem;font:inherit;font-weight:600;border:1px solid #0b5cad;\
    border-radius:.35rem;background:#0b5cad;color:#fff;cursor:pointer}button.quiet{background:transparent;color:inherit;\
    border-color:#8a94a6}:focus-visible{outline:3px solid #f0a500;outline-offset:2px}\
    .alert{border-left:4px solid #b3261e;padding-left:.75rem}.hint,dt{color:#50596b;font-size:.875rem}dd{margin:0}\
    @media(max-width:30rem){main{margin:0;min-height:100vh;border-radius:0;padding:1.25rem}}\
    @media(prefers-color-scheme:dark){body{background:#14171c;color:#e8ebf0}main{background:#1f242c}\
    .brand,.hint,dt,.account small{color:#aeb8c8}}";
