//! Reading and checking an authorization request (reference section 1.4).

use serde_json::Value;

use super::answer::{Mode, Target};
use crate::simulator::aadsts::Failure;
use crate::simulator::params::Params;
use crate::simulator::state::{Challenge, State};
use crate::simulator::world::{App, Authority};

/// A request that may be shown to a person.
#[derive(Debug, Clone)]
pub(super) struct AuthorizeRequest {
    pub(super) segment: String,
    pub(super) path: Authority,
    pub(super) client_id: String,
    pub(super) target: Target,
    pub(super) scopes: Vec<String>,
    pub(super) nonce: Option<String>,
    pub(super) challenge: Option<(Challenge, String)>,
    pub(super) prompt: Option<Prompt>,
    pub(super) login_hint: Option<String>,
    pub(super) domain_hint: Option<String>,
    /// Auth contexts asked for in `claims.id_token.acrs`.
    pub(super) contexts: Vec<String>,
}

/// `prompt`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Prompt {
    Login,
    None,
    Consent,
    SelectAccount,
}

/// Why a request goes no further.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The redirect address cannot be trusted: a page of the provider's own.
    Page(Failure),
    /// The app may be told.
    Redirect(Box<(Target, Failure)>),
}

impl AuthorizeRequest {
    /// Checks everything that does not depend on who signs in.
    pub(super) fn read(state: &State, segment: &str, params: &Params) -> Result<Self, Refusal> {
        let path = state.authority(segment).map_err(Refusal::Page)?;
        let world = state.world();
        let client_id = params.need("client_id").map_err(Refusal::Page)?;
        let app = known_app(world.app(client_id), client_id, &path, segment).map_err(Refusal::Page)?;
        let redirect_uri = redirect_uri(app, params.need("redirect_uri").map_err(Refusal::Page)?)?;
        let wants_id_token = params.look("response_type").is_some_and(|t| t.split(' ').any(|t| t == "id_token"));
        let mut target = Target {
            redirect_uri,
            mode: if wants_id_token { Mode::Fragment } else { Mode::Query },
            state: params.own("state"),
        };
        let mode = response_mode(params, wants_id_token);
        if let Ok(Some(mode)) = mode {
            target.mode = mode;
        }
        let rest = mode.and_then(|_| Details::read(params));
        match rest {
            Ok(details) => Ok(Self {
                segment: segment.to_owned(),
                path,
                client_id: app.client_id.clone(),
                target,
                scopes: details.scopes,
                nonce: params.own("nonce"),
                challenge: details.challenge,
                prompt: details.prompt,
                login_hint: params.own("login_hint"),
                domain_hint: params.own("domain_hint"),
                contexts: details.contexts,
            }),
            Err(failure) => Err(Refusal::Redirect(Box::new((target, failure)))),
        }
    }
}

/// What is checked once the app can be told about failures.
struct Details {
    scopes: Vec<String>,
    challenge: Option<(Challenge, String)>,
    prompt: Option<Prompt>,
    contexts: Vec<String>,
}

impl Details {
    fn read(params: &Params) -> Result<Self, Failure> {
        response_type(params.need("response_type")?)?;
        Ok(Self {
            scopes: scopes(params.need("scope")?)?,
            challenge: challenge(params)?,
            prompt: prompt(params)?,
            contexts: contexts(params)?,
        })
    }
}

fn known_app<'a>(app: Option<&'a App>, client_id: &str, path: &Authority, segment: &str) -> Result<&'a App, Failure> {
    let missing = || {
        Failure::new(
            700_016,
            format!(
                "Application with identifier '{client_id}' was not found in the directory '{segment}'. This can \
                 happen if the application has not been installed by the administrator of the tenant or consented to \
                 by any user in the tenant."
            ),
        )
    };
    let app = app.ok_or_else(missing)?;
    match path {
        Authority::Tenant(tid) if *tid != app.home_tenant && !app.multi_tenant => Err(missing()),
        Authority::Tenant(tid) => match app.principals.get(tid) {
            Some(principal) if principal.disabled => {
                Err(Failure::new(7_000_112, format!("Application '{client_id}'({}) is disabled.", app.name)))
            }
            Some(_) => Ok(app),
            None if app.multi_tenant => Ok(app),
            None => Err(missing()),
        },
        Authority::Common | Authority::Organizations if !app.multi_tenant => Err(Failure::new(
            50194,
            format!(
                "Application '{client_id}'({}) is not configured as a multi-tenant application. Usage of the /common \
                 endpoint is not supported for such apps.",
                app.name
            ),
        )),
        Authority::Common | Authority::Organizations => Ok(app),
        Authority::Consumers => Err(missing()),
    }
}

/// An exact match, except that `http://localhost` may come with any port.
/// The asked address, if it is registered; on localhost the port does not count (reference section 1.4, limits).
pub(super) fn redirect_uri(app: &App, asked: &str) -> Result<String, Refusal> {
    let without_port = |uri: &str| {
        let url = url::Url::parse(uri).ok()?;
        let is_localhost = url.scheme() == "http" && url.host_str() == Some("localhost");
        let tail = uri.strip_prefix("http://localhost")?;
        let tail = tail.strip_prefix(':').map_or(tail, |t| t.trim_start_matches(|c: char| c.is_ascii_digit()));
        is_localhost.then(|| tail.to_owned())
    };
    let matches = |registered: &String| {
        registered == asked || without_port(registered).is_some_and(|tail| Some(tail) == without_port(asked))
    };
    if app.redirect_uris.iter().any(matches) {
        return Ok(asked.to_owned());
    }
    Err(Refusal::Page(Failure::new(
        50011,
        format!(
            "The redirect URI '{asked}' specified in the request does not match the redirect URIs configured for the \
             application '{}'. Make sure the redirect URI sent in the request matches one added to your application \
             in the Azure portal.",
            app.client_id
        ),
    )))
}

fn response_mode(params: &Params, wants_id_token: bool) -> Result<Option<Mode>, Failure> {
    match params.look("response_mode") {
        None => Ok(None),
        Some("query") if wants_id_token => Err(Failure::new(
            90_023,
            "'query' is not a supported value of response_mode when requesting an id_token.".to_owned(),
        )),
        Some("query") => Ok(Some(Mode::Query)),
        Some("fragment") => Ok(Some(Mode::Fragment)),
        Some("form_post") => Ok(Some(Mode::FormPost)),
        Some(other) => Err(Failure::new(90_023, format!("'{other}' is not a supported response_mode."))),
    }
}

/// ID tokens from `/authorize` need a setting that no app here has.
fn response_type(asked: &str) -> Result<(), Failure> {
    match asked {
        "code" => Ok(()),
        "id_token" | "code id_token" | "id_token code" | "id_token token" | "token id_token" => {
            Err(Failure::new(700_054, "response_type 'id_token' is not enabled for the application.".to_owned()))
        }
        other => Err(Failure::new(70005, format!("The response_type '{other}' is not supported."))),
    }
}

/// `openid` is a must, `address` and `phone` are unknown, everything else names a permission.
pub(super) fn scopes(asked: &str) -> Result<Vec<String>, Failure> {
    let scopes: Vec<String> = asked.split_ascii_whitespace().map(str::to_owned).collect();
    let bad = |why: &str| Err(Failure::new(70011, format!("The provided value for the input parameter 'scope' {why}")));
    if let Some(unknown) = scopes.iter().find(|s| matches!(s.as_str(), "address" | "phone")) {
        return bad(&format!("is not valid. The scope '{unknown}' does not exist."));
    }
    if !scopes.iter().any(|s| s == "openid") {
        return bad("is not valid. It must include 'openid'.");
    }
    Ok(scopes)
}

/// An omitted method means `plain`.
fn challenge(params: &Params) -> Result<Option<(Challenge, String)>, Failure> {
    let method = match params.look("code_challenge_method") {
        Some("S256") => Challenge::S256,
        None | Some("plain") => Challenge::Plain,
        Some(other) => {
            return Err(Failure::new(501_491, format!("The code challenge method '{other}' is not supported.")));
        }
    };
    let Some(challenge) = params.look("code_challenge") else {
        let alone = params.look("code_challenge_method").is_some();
        return if alone { Err(Failure::missing("code_challenge")) } else { Ok(None) };
    };
    // RFC 7636 section 4.2: 43 to 128 characters.
    if !(43..=128).contains(&challenge.len()) {
        return Err(Failure::new(50147, "The size of the code challenge parameter is not valid."));
    }
    Ok(Some((method, challenge.to_owned())))
}

fn prompt(params: &Params) -> Result<Option<Prompt>, Failure> {
    let prompt = match params.look("prompt") {
        None => None,
        Some("login") => Some(Prompt::Login),
        Some("none") => Some(Prompt::None),
        Some("consent") => Some(Prompt::Consent),
        Some("select_account") => Some(Prompt::SelectAccount),
        Some(other) => {
            return Err(Failure::new(90_023, format!("'{other}' is not a supported value of prompt.")));
        }
    };
    if prompt == Some(Prompt::SelectAccount) && params.look("login_hint").is_some() {
        return Err(Failure::new(90_023, "prompt=select_account and login_hint cannot be combined."));
    }
    Ok(prompt)
}

/// `{"id_token":{"acrs":{"essential":true,"value":"c1"}}}` (reference section 7.1).
fn contexts(params: &Params) -> Result<Vec<String>, Failure> {
    let Some(claims) = params.look("claims") else { return Ok(Vec::new()) };
    let claims: Value = serde_json::from_str(claims)
        .ok()
        .filter(Value::is_object)
        .ok_or_else(|| Failure::new(90_023, "The claims parameter is not a JSON object."))?;
    let acrs = claims.pointer("/id_token/acrs");
    let one = acrs.and_then(|a| a.get("value")).and_then(Value::as_str);
    let many = acrs.and_then(|a| a.get("values")).and_then(Value::as_array).into_iter().flatten();
    let asked = one.into_iter().chain(many.filter_map(Value::as_str));
    Ok(asked.filter(|c| is_context(c)).map(str::to_owned).collect())
}

/// `c1` to `c99` (reference section 12).
fn is_context(id: &str) -> bool {
    id.strip_prefix('c')
        .filter(|n| !n.starts_with('0') && n.bytes().all(|b| b.is_ascii_digit()))
        .and_then(|n| n.parse::<u8>().ok())
        .is_some_and(|n| (1..=99).contains(&n))
}
