//! The identity provider. There is exactly one.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use toml::de::DeValue;
use url::{Host, Url};

use crate::config::file::{self, ResponseWord};
use crate::config::secret;
use crate::document::{At, Document, Problems};
use crate::entra::{Config, Credential, ResponseMode};
use crate::facts::TenantId;

use super::{Build, minutes};

/// Words for which somebody means a further identity provider, not a misspelt key.
const OTHER_PROVIDERS: [&str; 18] = [
    "adfs",
    "apple",
    "auth0",
    "cognito",
    "entra2",
    "github",
    "gitlab",
    "google",
    "identity_provider",
    "idp",
    "keycloak",
    "ldap",
    "oauth",
    "oauth2",
    "oidc",
    "okta",
    "ping",
    "saml",
];

/// Refuses a second provider in whatever way it is written, before anything else is looked at.
///
/// # Errors
/// One problem for each provider too many.
pub(in crate::config) fn one_provider(document: &Document<'_>) -> Result<(), Problems> {
    let mut problems = Vec::new();
    let active = document.top_level().any(|(key, _, _)| key == "entra");
    let active = if active { "[entra] is active" } else { "it is [entra]" };
    for (key, span, value) in document.top_level() {
        let bare = key.split(['-', '_', '.']).next().unwrap_or(key);
        if OTHER_PROVIDERS.contains(&key) || OTHER_PROVIDERS.contains(&bare) {
            let message = format!("exactly one identity provider may be configured and {active}, remove [{key}]");
            problems.push(document.problem(Some(span), message));
        } else if key == "entra" && matches!(value, DeValue::Array(_)) {
            let message = "exactly one identity provider may be configured, expected one table [entra], got a list \
                           [[entra]]; people of several tenants sign in through one registration, see entra.tenants";
            problems.push(document.problem(Some(span), message));
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(Problems::new(problems)) }
}

impl Build<'_> {
    pub(super) fn entra(&mut self, file: &file::Entra, host: &str, public_port: u16) -> Option<Config> {
        let authority = self.authority(&file.authority);
        let tenants = self.tenants(&file.tenants);
        let client_id = file.client_id.value().clone();
        if client_id.is_empty() || !client_id.bytes().all(|byte| byte.is_ascii_graphic()) {
            self.add("entra.client_id", file.client_id.span(), "expected the application (client) id, a GUID");
        }
        let credential = self.credential(file);
        let redirect_uri = self.redirect_uri(file, host, public_port);
        let scopes = self.scopes(&file.scopes);
        let skew = self.span("entra.skew", &file.skew, Duration::ZERO, minutes(10));
        let timeout = self.span("entra.timeout", &file.timeout, Duration::from_secs(1), minutes(1));
        let extra_ca = file.extra_ca.as_ref().map(|path| self.file("entra.extra_ca", path));
        let response_mode = match *file.response_mode.value() {
            ResponseWord::FormPost => ResponseMode::FormPost,
            ResponseWord::Query => ResponseMode::Query,
        };
        Some(Config {
            authority: authority?,
            tenants,
            client_id,
            credential: credential?,
            redirect_uri: redirect_uri?,
            response_mode,
            scopes,
            skew,
            timeout,
            extra_ca,
        })
    }

    fn authority(&mut self, text: &At<String>) -> Option<Url> {
        let url = Url::parse(text).ok().filter(|url| match url.scheme() {
            "https" => true,
            // The simulator; anybody between us and a remote provider could sign in as anyone.
            "http" => is_loopback(url),
            _ => false,
        });
        let bare = |url: &Url| url.path() == "/" && url.query().is_none() && url.username().is_empty();
        let url = url.filter(bare);
        if url.is_none() {
            let expected = "expected the login host, such as https://login.microsoftonline.com/ (the tenant is in \
                            entra.tenants, and plain http is for this machine only)";
            self.add("entra.authority", text.span(), format!("{expected}, got \"{}\"", **text));
        }
        url
    }

    fn tenants(&mut self, texts: &At<Vec<At<String>>>) -> Vec<TenantId> {
        if texts.is_empty() {
            self.add(
                "entra.tenants",
                texts.span(),
                "expected at least one tenant id; \"every tenant\" cannot be written",
            );
        }
        let mut tenants = Vec::with_capacity(texts.len());
        for text in texts.iter() {
            match text.parse::<TenantId>() {
                Ok(tenant) if tenants.contains(&tenant) => {
                    self.add("entra.tenants", text.span(), "this tenant is already in the list");
                }
                Ok(tenant) => tenants.push(tenant),
                Err(error) => self.add("entra.tenants", text.span(), format!("\"{}\" is {error}", **text)),
            }
        }
        tenants
    }

    fn credential(&mut self, file: &file::Entra) -> Option<Credential> {
        let places = [
            file.client_secret.as_ref().map(|text| text.span()),
            file.client_certificate.as_ref().map(|pair| pair.certificate.span()),
            file.federated_token_file.as_ref().map(|text| text.span()),
        ];
        let given: Vec<_> = places.into_iter().flatten().collect();
        if given.len() != 1 {
            let place = given.get(1).cloned().flatten().or_else(|| file.client_id.span());
            let expected = "expected exactly one of client_secret, client_certificate and federated_token_file";
            self.add("entra", place, format!("{expected}, got {}", given.len()));
            return None;
        }
        if let Some(text) = &file.client_secret {
            return self.secret("entra.client_secret", text);
        }
        if let Some(pair) = &file.client_certificate {
            let files = self.certificate("entra.client_certificate", pair);
            return Some(Credential::Certificate { certificate: files.certificate, key: files.key });
        }
        // Not checked for existence: the platform may write it after we start, and it is read anew for each use.
        let token_file = self.folder.join(file.federated_token_file.as_ref()?.as_str());
        Some(Credential::Federated { token_file })
    }

    fn secret(&mut self, key: &str, text: &At<String>) -> Option<Credential> {
        match secret::find(text, self.folder, self.environment) {
            Ok(found) => {
                if found.exposed {
                    self.warn(key, text.span(), "everybody on this machine can read the file, set its mode to 0600");
                }
                self.files.extend(found.file);
                Some(Credential::Secret(found.secret))
            }
            Err(error) => {
                self.add(key, text.span(), error);
                None
            }
        }
    }

    fn redirect_uri(&mut self, file: &file::Entra, host: &str, public_port: u16) -> Option<Url> {
        let port = if public_port == 443 { String::new() } else { format!(":{public_port}") };
        let own = format!("https://{host}{port}/.portcullis/callback");
        let Some(text) = &file.redirect_uri else { return Url::parse(&own).ok() };
        let url = Url::parse(text).ok();
        // The sign-in host answers at this one place, and Entra compares redirect addresses byte by byte.
        if url.as_ref().map(Url::as_str) != Some(own.as_str()) {
            let message = format!("expected the address on the sign-in host, \"{own}\", got \"{}\"", **text);
            self.add("entra.redirect_uri", text.span(), message);
        }
        url
    }

    fn scopes(&mut self, texts: &At<Vec<At<String>>>) -> Vec<String> {
        let scopes: BTreeSet<&str> = texts.iter().map(|text| text.as_str()).collect();
        if !scopes.contains("openid") {
            self.add("entra.scopes", texts.span(), "expected \"openid\" among the scopes");
        }
        if !scopes.contains("profile") {
            self.warn("entra.scopes", texts.span(), "without \"profile\" Entra leaves out the person's object id");
        }
        texts.iter().map(|text| text.value().clone()).collect()
    }
}

pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => IpAddr::from(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::from(address).is_loopback(),
        None => false,
    }
}
