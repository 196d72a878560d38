//! The one place that knows the `openidconnect` crate: authorization address, token requests, RS256 and nonce.

use openidconnect::core::{
    CoreAuthDisplay, CoreAuthPrompt, CoreErrorResponseType, CoreGenderClaim, CoreIdToken, CoreJsonWebKey,
    CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm, CoreResponseType, CoreRevocableToken,
    CoreRevocationErrorResponse, CoreTokenIntrospectionResponse, CoreTokenType,
};
use openidconnect::{
    AccessToken, AuthType, AuthUrl, AuthenticationFlow, AuthorizationCode, Client, ClientId, ClientSecret, CsrfToken,
    EmptyAdditionalClaims, EndpointNotSet, EndpointSet, IssuerUrl, JsonWebKey, JsonWebKeySet, Nonce, NonceVerifier,
    OAuth2TokenResponse, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RefreshToken, RequestTokenError, Scope,
    StandardErrorResponse, TokenResponse, TokenUrl,
};
use serde::{Deserialize, Serialize};
use url::Url;

use super::config::{Config, ResponseMode};
use super::credential::Proof;
use super::discovery::Discovery;
use super::error::{BadAnswer, EntraError, Misconfiguration};
use super::http::HttpClient;
use super::keys::SigningKey;
use super::{AuthorizeRequest, refusal, strict_json};
use crate::telemetry::Secret;

/// The address that starts a sign-in.
pub(super) fn authorize_url(
    config: &Config,
    discovery: &Discovery,
    request: &AuthorizeRequest<'_>,
    claims: Option<&str>,
) -> Result<Url, EntraError> {
    let client = client(config, discovery)?;
    let mode = match config.response_mode {
        ResponseMode::FormPost => "form_post",
        ResponseMode::Query => "query",
    };
    let (state, nonce) = (request.state.to_owned(), request.nonce.to_owned());
    let mut url = client
        .authorize_url(
            AuthenticationFlow::<CoreResponseType>::AuthorizationCode,
            move || CsrfToken::new(state),
            move || Nonce::new(nonce),
        )
        .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier(request.verifier)?))
        .add_extra_param("response_mode", mode);
    // The crate always asks for `openid` itself.
    for scope in config.scopes.iter().filter(|scope| *scope != "openid") {
        url = url.add_scope(Scope::new(scope.clone()));
    }
    if let Some(prompt) = request.prompt {
        url = url.add_extra_param("prompt", prompt);
    }
    // Entra refuses a hint beside the account picker.
    if let Some(hint) = request.login_hint.filter(|_| request.prompt != Some("select_account")) {
        url = url.add_extra_param("login_hint", hint);
    }
    if let Some(claims) = claims {
        url = url.add_extra_param("claims", claims);
    }
    let (url, _, _) = url.url();
    Ok(url)
}

/// What is sent to the token endpoint besides the proof of being this application.
pub(super) enum Grant<'a> {
    /// A code from the browser.
    Code {
        /// The code.
        code: &'a Secret<String>,
        /// The PKCE verifier of the same sign-in.
        verifier: &'a str,
    },
    /// A refresh token.
    Refresh(&'a Secret<String>),
}

/// What the token endpoint gave.
pub(super) struct Tokens {
    /// Not verified yet.
    pub(super) id_token: Secret<String>,
    /// The new refresh token.
    pub(super) refresh_token: Option<Secret<String>>,
}

/// Redeems `grant` at the token endpoint, once.
pub(super) async fn redeem(
    http: &HttpClient,
    config: &Config,
    discovery: &Discovery,
    proof: Proof,
    grant: Grant<'_>,
) -> Result<Tokens, EntraError> {
    let mut client = client(config, discovery)?;
    let mut assertion = None;
    match proof {
        Proof::Secret(secret) => client = client.set_client_secret(ClientSecret::new(secret.expose().clone())),
        Proof::Assertion(token) => assertion = Some(token),
    }
    // oauth2 5.0 has no private_key_jwt; its extra parameters carry it.
    let extra = assertion.iter().flat_map(|token| {
        [("client_assertion_type", ASSERTION_TYPE.to_owned()), ("client_assertion", token.expose().clone())]
    });
    let send = |request| token_call(http.clone(), request);
    let answer = match grant {
        Grant::Code { code, verifier: text } => {
            let mut request = client.exchange_code(AuthorizationCode::new(code.expose().clone()));
            for (name, value) in extra {
                request = request.add_extra_param(name, value);
            }
            request.set_pkce_verifier(verifier(text)?).request_async(&send).await
        }
        Grant::Refresh(token) => {
            let token = RefreshToken::new(token.expose().clone());
            let mut request = client.exchange_refresh_token(&token);
            for (name, value) in extra {
                request = request.add_extra_param(name, value);
            }
            request.request_async(&send).await
        }
    };
    let answer = answer.map_err(|error| match error {
        RequestTokenError::Request(error) => error,
        _ => EntraError::BadAnswer(BadAnswer::Malformed),
    })?;
    let id_token = answer.id_token.ok_or(EntraError::BadAnswer(BadAnswer::NoIdToken))?;
    Ok(Tokens { id_token, refresh_token: answer.refresh_token.map(|token| Secret::new(token.into_secret())) })
}

/// Whether `signature` over `message` is RSASSA-PKCS1-v1_5 with SHA-256 by `key`. No other algorithm exists here.
pub(super) fn is_rs256(key: &SigningKey, message: &[u8], signature: &[u8]) -> bool {
    let key = CoreJsonWebKey::new_rsa(key.modulus.clone(), key.exponent.clone(), None);
    key.verify_signature(&CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256, message, signature).is_ok()
}

/// Compares in time that does not depend on where the two differ.
pub(super) fn is_same_nonce(received: &str, expected: &str) -> bool {
    Nonce::new(expected.to_owned()).verify(Some(&Nonce::new(received.to_owned()))).is_ok()
}

/// Sends a token request; hands the crate nothing but a good answer, because its own reading of errors drops
/// Microsoft's numbers.
async fn token_call(http: HttpClient, request: http::Request<Vec<u8>>) -> Result<http::Response<Vec<u8>>, EntraError> {
    let answer = http.call(request).await?;
    answer.check_reached()?;
    if answer.status == http::StatusCode::OK {
        answer.check_json()?;
        // serde would take a list for the struct, member by member.
        strict_json::parse_object(&answer.body).map_err(|_| EntraError::BadAnswer(BadAnswer::Malformed))?;
        let mut response = http::Response::new(answer.body.to_vec());
        *response.headers_mut() = answer.headers;
        return Ok(response);
    }
    if !answer.status.is_client_error() {
        return Err(EntraError::BadAnswer(BadAnswer::Status));
    }
    answer.check_json()?;
    Err(refusal::classify_body(&answer.body).unwrap_or(EntraError::BadAnswer(BadAnswer::Malformed)))
}

type OidcClient = Client<
    EmptyAdditionalClaims,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    TokenAnswer,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
    EndpointNotSet,
>;

fn client(config: &Config, discovery: &Discovery) -> Result<OidcClient, EntraError> {
    let wrong = |error: url::ParseError| EntraError::misconfigured(Misconfiguration::Authority, error.to_string());
    let issuer = IssuerUrl::new(discovery.issuer.clone()).map_err(wrong)?;
    Ok(Client::new(ClientId::new(config.client_id.clone()), issuer, JsonWebKeySet::default())
        .set_auth_type(AuthType::RequestBody)
        .set_redirect_uri(RedirectUrl::from_url(config.redirect_uri.clone()))
        .set_auth_uri(AuthUrl::from_url(discovery.authorization_endpoint.clone()))
        .set_token_uri(TokenUrl::from_url(discovery.token_endpoint.clone())))
}

/// The crate panics on a verifier of the wrong length (RFC 7636 section 4.1).
fn verifier(text: &str) -> Result<PkceCodeVerifier, EntraError> {
    let is_verifier_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    if !(43..=128).contains(&text.len()) || !text.bytes().all(is_verifier_byte) {
        return Err(EntraError::misconfigured(Misconfiguration::Request, "not a PKCE verifier"));
    }
    Ok(PkceCodeVerifier::new(text.to_owned()))
}

/// The token answer, read for what this gateway needs: members it has no use for may have any shape, since Entra
/// has sent numbers as strings.
#[derive(Debug, Deserialize)]
struct TokenAnswer {
    #[serde(default, deserialize_with = "secret")]
    id_token: Option<Secret<String>>,
    #[serde(default)]
    refresh_token: Option<RefreshToken>,
    #[serde(skip, default = "no_access_token")]
    access_token: AccessToken,
    #[serde(skip, default = "bearer")]
    token_type: CoreTokenType,
}

fn secret<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Secret<String>>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(Secret::new))
}

fn no_access_token() -> AccessToken {
    AccessToken::new(String::new())
}

const fn bearer() -> CoreTokenType {
    CoreTokenType::Bearer
}

/// The crate wants answers to be writable; these never are.
impl Serialize for TokenAnswer {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("tokens are not written anywhere"))
    }
}

impl OAuth2TokenResponse for TokenAnswer {
    type TokenType = CoreTokenType;

    /// Nothing here calls an API with the person's access token, so it is dropped while reading.
    fn access_token(&self) -> &AccessToken {
        &self.access_token
    }

    fn token_type(&self) -> &CoreTokenType {
        &self.token_type
    }

    fn expires_in(&self) -> Option<std::time::Duration> {
        None
    }

    fn refresh_token(&self) -> Option<&RefreshToken> {
        self.refresh_token.as_ref()
    }

    fn scopes(&self) -> Option<&Vec<Scope>> {
        None
    }
}

impl TokenResponse<EmptyAdditionalClaims, CoreGenderClaim, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm>
    for TokenAnswer
{
    /// The token is read by [`super::token`], from its own text.
    fn id_token(&self) -> Option<&CoreIdToken> {
        None
    }
}

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
