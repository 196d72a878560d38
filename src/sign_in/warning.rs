//! A warning that the person may go on from: the page, Continue, and the way back to what was asked for.
//!
//! Nothing is kept on the server until the person continues: rule and way back are sealed for this session and this
//! host, so a form of another site, another person or another host is worth nothing.

use std::sync::Arc;

use http::{Method, Response, StatusCode};
use serde::{Deserialize, Serialize};

use super::seal::{self, ATTEMPT_LIFETIME, Sealed};
use super::start::{self, Asker, Unauthenticated};
use super::{PREFIX, SignIn, SignInError, Visit, reply, single};
use crate::audit::{Event, WarningContinued};
use crate::edge::Body;
use crate::facts::UnixTime;
use crate::pages::{Caution, KeptWhile, Page, SignedInAs, Warning as WarningPage};
use crate::session::Session;

/// Where Continue goes.
const CONTINUE: &str = "/.portcullis/continue";

/// What somebody is warned of.
pub struct Warned<'a> {
    /// The request.
    pub asker: Asker<'a>,
    /// The session that would remember it.
    pub session: &'a Session,
    /// The rule that warns.
    pub rule: &'a str,
    /// What it is about.
    pub caution: Caution,
    /// The app's name.
    pub app: &'a str,
}

/// A warning on its way through the browser.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Notice {
    /// The rule that warns.
    #[serde(rename = "w")]
    rule: String,
    /// The app's name.
    #[serde(rename = "a")]
    app: String,
    /// Whether it is about risk.
    #[serde(rename = "k", default)]
    risk: bool,
    /// Where to go on: path and query on the same host.
    #[serde(rename = "p")]
    path: String,
    /// A form was held back in the browser under this name and is to be sent again.
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    form: Option<String>,
    /// When.
    #[serde(rename = "t")]
    made: UnixTime,
}

impl Sealed for Notice {
    const PURPOSE: &'static str = "warning";
    const LIFETIME: std::time::Duration = ATTEMPT_LIFETIME;

    fn made(&self) -> UnixTime {
        self.made
    }
}

/// The answer to a request that is warned of: the page, a held-back form, or 403 JSON.
pub(super) fn warn(sign_in: &SignIn, warned: &Warned<'_>) -> Response<Body> {
    answer(sign_in, warned).unwrap_or_else(|| {
        // Only the system's randomness or the keyring can have failed.
        start::to_body(sign_in, &Page::StoreDown, &warned.asker)
    })
}

fn answer(sign_in: &SignIn, warned: &Warned<'_>) -> Option<Response<Body>> {
    let asker = &warned.asker;
    let kind = Unauthenticated::of(asker.method, asker.headers, asker.host);
    let form = matches!(kind, Unauthenticated::Form).then_some(asker.form).flatten();
    let path = match kind {
        Unauthenticated::Program => start::page_of(sign_in, asker),
        _ => start::own_path(asker.path_and_query).unwrap_or("/"),
    };
    let key = if form.is_some() { Some(seal::random::<12>()?) } else { None };
    let notice = Notice {
        rule: warned.rule.to_owned(),
        app: warned.app.to_owned(),
        risk: warned.caution == Caution::Risk,
        path: path.to_owned(),
        form: key.clone(),
        made: sign_in.now(),
    };
    let sealed = seal::seal(&sign_in.parts.keyring, &bound_to(warned.session, asker.host), &notice)?;
    let address = format!("{PREFIX}warning?to={sealed}");
    if let (Some(form), Some(key)) = (form, &key) {
        return Some(start::keep(sign_in, asker, (form, key), &address, KeptWhile::Warned));
    }
    if kind != Unauthenticated::Navigation {
        return Some(program(sign_in, warned, &address));
    }
    let subject = warned.session.subject();
    let person = SignedInAs { name: &subject.name, email: &subject.email };
    let page = WarningPage { caution: warned.caution, app: warned.app, person, action: CONTINUE, token: &sealed };
    Some(start::to_body(sign_in, &Page::Warning(page), asker))
}

/// 403 for a script, with the address of the page to open.
fn program(sign_in: &SignIn, warned: &Warned<'_>, address: &str) -> Response<Body> {
    let asker = &warned.asker;
    let body = serde_json::json!({
        "error": "warning_required",
        "reason": warned.caution.word(),
        "message": "Your organisation shows a warning first. Open it and continue, then repeat the request.",
        "warning_url": format!("{}{address}", sign_in.config().origin_of(asker.host)),
        "request_id": asker.request_id.to_string(),
    });
    let mut response = reply::json(StatusCode::FORBIDDEN, &body);
    start::allow_origin(&mut response, asker.headers, asker.cors_origins);
    response
}

/// `GET /.portcullis/warning?to=` on an app host: the page again, for a script's person or after a form was kept.
pub(super) async fn show(sign_in: &SignIn, visit: &Visit) -> Result<Response<Body>, SignInError> {
    if visit.method != Method::GET {
        return Err(SignInError::WrongMethod);
    }
    let token = visit.parameter("to")?.ok_or(SignInError::Malformed)?;
    let Some(session) = sign_in.session_of(visit).await? else { return Ok(reply::redirect("/", Vec::new())) };
    // A stale or foreign warning is made anew by going on.
    let Some(notice) = open(sign_in, visit, &session, &token) else { return Ok(reply::redirect("/", Vec::new())) };
    let subject = session.subject();
    let page = WarningPage {
        caution: if notice.risk { Caution::Risk } else { Caution::Rule },
        app: &notice.app,
        person: SignedInAs { name: &subject.name, email: &subject.email },
        action: CONTINUE,
        token: &token,
    };
    Ok(reply::page(sign_in, &Page::Warning(page), visit, Vec::new()))
}

/// `POST /.portcullis/continue` on an app host: the person has read the warning. Only a form of our own page may post,
/// with the cookie of the very session that was warned.
pub(super) async fn go_on(sign_in: &SignIn, visit: &Visit) -> Result<Response<Body>, SignInError> {
    if visit.method != Method::POST {
        return Err(SignInError::WrongMethod);
    }
    if !reply::is_own_origin(sign_in, visit) {
        return Err(SignInError::ForeignForm);
    }
    let token = single(&visit.body, "to")?.ok_or(SignInError::Malformed)?;
    // Without a session (signed out in another tab, or another site's form, which comes without the cookie) nothing is
    // noted; going on asks again.
    let Some(session) = sign_in.session_of(visit).await? else { return Ok(reply::redirect("/", Vec::new())) };
    let Some(notice) = open(sign_in, visit, &session, &token) else { return Ok(reply::redirect("/", Vec::new())) };
    let rule: Arc<str> = Arc::from(notice.rule);
    sign_in.parts.sessions.acknowledged(&session, &rule, sign_in.now()).await?;
    sign_in.record(Event::WarningContinued(Box::new(WarningContinued {
        request: visit.request_id,
        client: visit.client,
        who: sign_in.who(&session),
        app: Arc::from(notice.app),
        rule,
    })));
    let to = match notice.form {
        Some(key) => format!("{PREFIX}resume?key={key}"),
        None => notice.path,
    };
    Ok(reply::redirect(&to, Vec::new()))
}

fn open(sign_in: &SignIn, visit: &Visit, session: &Session, token: &str) -> Option<Notice> {
    seal::open(&sign_in.parts.keyring, &bound_to(session, &visit.host), token, sign_in.now())
}

/// What a warning is sealed for: this session on this host. The key has a fixed length, so no two pairs look the same.
fn bound_to(session: &Session, host: &str) -> Vec<u8> {
    [&session.key.0, host.as_bytes()].concat()
}
