//! Who the app is: secret, certificate assertion or federated credential (reference section 1.5).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderMap, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use x509_parser::prelude::FromDer as _;

use crate::simulator::aadsts::Failure;
use crate::simulator::jwt::{self, Alg, PublicKey, Unverified};
use crate::simulator::params::Params;
use crate::simulator::state::State;
use crate::simulator::world::{App, Authority, FederatedCredential, FederatedKeys};

/// An app that proved itself.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) app: App,
    /// `azpacr`: 0 public, 1 secret, 2 certificate or federated.
    pub(super) acr: &'static str,
}

/// Proves the client of a token request.
pub(super) async fn authenticate(
    state: &State,
    path: &Authority,
    segment: &str,
    headers: &HeaderMap,
    params: &Params,
) -> Result<Client, Failure> {
    let basic = basic(headers)?;
    let client_id = match (&basic, params.look("client_id")) {
        (Some((user, _)), Some(client_id)) if !user.eq_ignore_ascii_case(client_id) => {
            return Err(Failure::new(9_002_313, "The client_id of the body and of the Authorization header differ."));
        }
        (Some((user, _)), _) => user.clone(),
        (None, Some(client_id)) => client_id.to_owned(),
        (None, None) => return Err(Failure::missing("client_id")),
    };
    let app = find_app(state, path, segment, &client_id)?;
    let secret = basic.map(|(_, secret)| secret).or_else(|| params.own("client_secret"));
    let assertion = params.look("client_assertion");
    if headers.contains_key(header::ORIGIN) {
        return Err(Failure::new(
            9_002_326,
            "Cross-origin token redemption is permitted only for the 'Single-Page Application' client-type.",
        ));
    }
    match (secret, assertion) {
        (Some(_), Some(_)) => Err(Failure::new(9_002_313, "More than one client credential was sent.")),
        (None, None) if app.is_public() && params.look("grant_type") != Some("client_credentials") => {
            Ok(Client { app, acr: "0" })
        }
        (None, None) => Err(Failure::new(
            7_000_218,
            "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
        )),
        _ if app.is_public() => Err(Failure::new(
            700_025,
            "Client is public so neither 'client_assertion' nor 'client_secret' should be presented.",
        )),
        (Some(secret), None) => check_secret(app, &secret),
        (None, Some(assertion)) => {
            if params.look("client_assertion_type") != Some(JWT_BEARER) {
                return Err(Failure::new(50012, "The client_assertion_type is missing or not supported."));
            }
            check_assertion(state, path, app, assertion).await
        }
    }
}

fn find_app(state: &State, path: &Authority, segment: &str, client_id: &str) -> Result<App, Failure> {
    let world = state.world();
    let app = world.app(client_id).filter(|app| match path {
        Authority::Tenant(tid) => app.principals.contains_key(tid),
        Authority::Common | Authority::Organizations => app.multi_tenant,
        Authority::Consumers => false,
    });
    app.cloned().ok_or_else(|| {
        Failure::new(
            700_016,
            format!(
                "Application with identifier '{client_id}' was not found in the directory '{segment}'. This can \
                 happen if the application has not been installed by the administrator of the tenant or consented to \
                 by any user in the tenant. You may have sent your authentication request to the wrong tenant."
            ),
        )
    })
}

/// `Authorization: Basic`, both halves form-encoded (RFC 6749 section 2.3.1).
fn basic(headers: &HeaderMap) -> Result<Option<(String, String)>, Failure> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let malformed = || Failure::new(9_002_313, "The Authorization header is malformed.");
    let text = value.to_str().ok().and_then(|v| v.strip_prefix("Basic ")).ok_or_else(malformed)?;
    let bytes = STANDARD.decode(text.trim()).map_err(|_| malformed())?;
    let pair = String::from_utf8(bytes).map_err(|_| malformed())?;
    let (user, secret) = pair.split_once(':').ok_or_else(malformed)?;
    Ok(Some((form_decoded(user), form_decoded(secret))))
}

fn form_decoded(text: &str) -> String {
    let pair = format!("v={text}");
    url::form_urlencoded::parse(pair.as_bytes()).next().map(|(_, v)| v.into_owned()).unwrap_or_default()
}

fn check_secret(app: App, secret: &str) -> Result<Client, Failure> {
    match app.secrets.iter().find(|known| known.value == secret) {
        Some(known) if known.expired => Err(Failure::new(
            7_000_222,
            format!("The provided client secret keys for app '{}' are expired.", app.client_id),
        )),
        Some(_) => Ok(Client { app, acr: "1" }),
        None => Err(Failure::new(
            7_000_215,
            format!(
                "Invalid client secret provided. Ensure the secret being sent in the request is the client secret \
                 value, not the client secret ID, for a secret added to app '{}'.",
                app.client_id
            ),
        )),
    }
}

async fn check_assertion(state: &State, path: &Authority, app: App, assertion: &str) -> Result<Client, Failure> {
    let token = Unverified::parse(assertion)
        .ok_or_else(|| Failure::new(50012, "Authentication failed: the client assertion is not a JWT."))?;
    check_times(state, &token)?;
    let issuer = token.claim_text("iss").unwrap_or_default();
    let subject = token.claim_text("sub").unwrap_or_default();
    if issuer.eq_ignore_ascii_case(&app.client_id) {
        if !subject.eq_ignore_ascii_case(&app.client_id) {
            return Err(Failure::new(50048, "Subject must match Issuer claim in the client assertion."));
        }
        check_certificate(state, path, &app, &token)?;
    } else {
        check_federated(state, &app, &token, issuer, subject).await?;
    }
    Ok(Client { app, acr: "2" })
}

/// `exp` is a must and not limited; both times may be strings, as MSAL.NET writes them.
fn check_times(state: &State, token: &Unverified) -> Result<(), Failure> {
    let now = state.now().seconds();
    let is_live = token.claim_time("exp").is_some_and(|exp| now < exp.saturating_add(SKEW));
    let has_begun = match token.claims.get("nbf") {
        None => true,
        Some(_) => token.claim_time("nbf").is_some_and(|nbf| nbf <= now.saturating_add(SKEW)),
    };
    if is_live && has_begun {
        return Ok(());
    }
    Err(Failure::new(700_024, "Client assertion is not within its valid time range."))
}

/// PS256 with `x5t#S256`, or RS256 with `x5t`.
fn check_certificate(state: &State, path: &Authority, app: &App, token: &Unverified) -> Result<(), Failure> {
    if !is_for_us(state, path, token) {
        return Err(Failure::new(700_023, "Client assertion audience claim does not match Realm issuer."));
    }
    let bad = |why: &str| {
        Failure::new(
            700_027,
            format!(
                "The certificate with identifier used to sign the client assertion is not \
            registered on application, or the signature is wrong. [Reason - {why}]"
            ),
        )
    };
    let alg = token.header_text("alg").and_then(Alg::named).ok_or_else(|| bad("The algorithm is not supported."))?;
    let known = app.certificates.iter().find(|der| match alg {
        Alg::Ps256 => token.header_text("x5t#S256") == Some(jwt::thumbprint_sha256(der).as_str()),
        Alg::Rs256 => token.header_text("x5t") == Some(jwt::thumbprint_sha1(der).as_str()),
    });
    let der = known.ok_or_else(|| bad("The key was not found."))?;
    let (_, certificate) = x509_parser::certificate::X509Certificate::from_der(der)
        .map_err(|_| bad("The registered certificate cannot be read."))?;
    let key = PublicKey::Der(certificate.public_key().subject_public_key.data.to_vec());
    if token.is_signed_by(alg, &key) {
        Ok(())
    } else {
        Err(bad("The key was found, but use of the key to verify the signature failed."))
    }
}

/// The `aud` of a certificate assertion is the token endpoint of this tenant, under any of its names.
fn is_for_us(state: &State, path: &Authority, token: &Unverified) -> bool {
    let Some(rest) = token.claim_text("aud").and_then(|aud| aud.strip_prefix(state.base.as_str())) else {
        return false;
    };
    let segment = rest.strip_prefix('/').and_then(|r| r.strip_suffix("/oauth2/v2.0/token"));
    segment.is_some_and(|segment| state.world().authority(segment).as_ref() == Some(path))
}

async fn check_federated(
    state: &State,
    app: &App,
    token: &Unverified,
    issuer: &str,
    subject: &str,
) -> Result<(), Failure> {
    let none = || {
        Failure::new(
            70021,
            format!(
                "No matching federated identity record found for presented assertion. Assertion Issuer: '{issuer}'. \
                 Assertion Subject: '{subject}'."
            ),
        )
    };
    if is_own_user(state, token) {
        return Err(Failure::new(700_229, "Only app-only tokens can be used as Federated Identity Credentials."));
    }
    let is_meant = |f: &&FederatedCredential| {
        f.issuer == issuer && f.subject == subject && token.claim_text("aud") == Some(f.audience.as_str())
    };
    let credential = app.federated.iter().find(is_meant).ok_or_else(none)?;
    let bad = || Failure::new(50012, "Authentication failed: the federated assertion's signature is not valid.");
    if token.header_text("alg") != Some("RS256") {
        return Err(bad());
    }
    let document = match &credential.keys {
        FederatedKeys::Document(document) => document.clone(),
        FederatedKeys::Address(address) => fetch(address).await.ok_or_else(bad)?,
    };
    let kid = token.header_text("kid");
    let keys = document.get("keys").and_then(Value::as_array).into_iter().flatten();
    let mut candidates = keys.filter(|key| kid.is_none() || key.get("kid").and_then(Value::as_str) == kid);
    let is_signed = candidates.any(|key| components(key).is_some_and(|key| token.is_signed_by(Alg::Rs256, &key)));
    if is_signed { Ok(()) } else { Err(bad()) }
}

/// An ID or access token of a person of this world.
fn is_own_user(state: &State, token: &Unverified) -> bool {
    token.claim_text("iss").is_some_and(|iss| iss.starts_with(&state.base)) && token.claims.get("scp").is_some()
}

fn components(key: &Value) -> Option<PublicKey> {
    let part = |name| URL_SAFE_NO_PAD.decode(key.get(name)?.as_str()?).ok();
    Some(PublicKey::Components(part("n")?, part("e")?))
}

/// The key document of a federated issuer, over plain HTTP, with a deadline and a cap.
async fn fetch(address: &str) -> Option<Value> {
    let uri = address.parse().ok()?;
    let client = HttpClient::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let read = async {
        let response = client.get(uri).await.ok()?;
        Limited::new(response.into_body(), 1024 * 1024).collect().await.ok()
    };
    let body = tokio::time::timeout(Duration::from_secs(5), read).await.ok()??;
    serde_json::from_slice(&body.to_bytes()).ok()
}

/// RFC 7523 section 2.2.
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// Microsoft's validator default (reference section 1.3).
const SKEW: u64 = 300;
