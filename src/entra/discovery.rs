//! The discovery document of one tenant, and whether to believe it.
//!
//! Source: <https://learn.microsoft.com/entra/identity-platform/v2-protocols-oidc> and section 4.3 of OpenID
//! Connect Discovery 1.0. The issuer is read from the document, never made from the login host: in China the
//! `login.chinacloudapi.cn` host answers with the issuer of `login.partner.microsoftonline.cn`.

use serde_json::{Map, Value};
use url::Url;

use super::error::{BadAnswer, EntraError, Misconfiguration};
use super::http::is_protected;
use super::strict_json;
use crate::facts::TenantId;

/// Which directory an address of the login host speaks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Realm {
    /// One tenant.
    Tenant(TenantId),
    /// Any work or school account; only for starting a sign-in, never for believing a token.
    Organizations,
}

/// The login host, with every name Microsoft documents for it.
#[derive(Debug, Clone)]
pub(super) struct Authority {
    base: Url,
    /// `scheme://host[:port][/path]` of the host itself and its aliases, without a trailing slash.
    origins: Vec<String>,
}

/// What a checked discovery document says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Discovery {
    pub(super) issuer: String,
    pub(super) authorization_endpoint: Url,
    pub(super) token_endpoint: Url,
    pub(super) jwks_uri: Url,
    pub(super) end_session_endpoint: Option<Url>,
    pub(super) cloud_instance_name: Option<String>,
}

impl Authority {
    pub(super) fn new(base: &Url) -> Result<Self, EntraError> {
        let wrong = |why: &str| EntraError::misconfigured(Misconfiguration::Authority, format!("{base}: {why}"));
        if !is_protected(base) {
            return Err(wrong("plain http is only allowed for addresses of this machine"));
        }
        if base.query().is_some() || base.fragment().is_some() || !base.username().is_empty() {
            return Err(wrong("expected only a scheme, a host and at most a path"));
        }
        let Some(host) = base.host_str() else { return Err(wrong("no host")) };
        let own = base.as_str().trim_end_matches('/').to_owned();
        let mut origins = vec![own];
        // The documented aliases live on port 443 and at the root; anything else is somebody's stand-in.
        if base.scheme() == "https" && base.port().is_none() && base.path() == "/" {
            let family = ALIASES.iter().find(|family| family.contains(&host)).copied().unwrap_or_default();
            origins.extend(family.iter().filter(|alias| **alias != host).map(|alias| format!("https://{alias}")));
        }
        Ok(Self { base: base.clone(), origins })
    }

    pub(super) fn discovery_url(&self, realm: Realm) -> Result<Url, EntraError> {
        let own = self.base.as_str().trim_end_matches('/');
        let tenant = match realm {
            Realm::Tenant(tenant) => tenant.to_string(),
            Realm::Organizations => "organizations".to_owned(),
        };
        Url::parse(&format!("{own}/{tenant}/v2.0/.well-known/openid-configuration"))
            .map_err(|error| EntraError::misconfigured(Misconfiguration::Authority, error.to_string()))
    }

    /// Whether `issuer` is the one spelling of `realm`'s issuer at this host or one of its documented aliases.
    pub(super) fn may_issue(&self, realm: Realm, issuer: &str) -> bool {
        let tenant = match realm {
            Realm::Tenant(tenant) => tenant.to_string(),
            Realm::Organizations => TENANT_TEMPLATE.to_owned(),
        };
        self.origins.iter().any(|origin| {
            issuer
                .strip_prefix(origin.as_str())
                .and_then(|rest| rest.strip_prefix('/'))
                .and_then(|rest| rest.strip_prefix(tenant.as_str()))
                == Some("/v2.0")
        })
    }

    fn may_serve(&self, endpoint: &Url) -> bool {
        let same_origin = |origin: &String| Url::parse(origin).is_ok_and(|origin| origin.origin() == endpoint.origin());
        is_protected(endpoint)
            && endpoint.username().is_empty()
            && endpoint.password().is_none()
            && endpoint.fragment().is_none()
            && self.origins.iter().any(same_origin)
    }
}

impl Discovery {
    /// Reads and checks the document that `realm`'s discovery address answered with.
    pub(super) fn parse(body: &[u8], realm: Realm, authority: &Authority) -> Result<Self, EntraError> {
        let document = strict_json::parse_object(body).map_err(|_| EntraError::BadAnswer(BadAnswer::Malformed))?;
        let issuer = text(&document, "issuer")?;
        if !authority.may_issue(realm, issuer) {
            return Err(EntraError::BadAnswer(BadAnswer::DiscoveryIssuer));
        }
        let endpoint = |name: &str| {
            let url = Url::parse(text(&document, name)?).map_err(|_| EntraError::BadAnswer(BadAnswer::Malformed))?;
            if authority.may_serve(&url) { Ok(url) } else { Err(EntraError::BadAnswer(BadAnswer::DiscoveryEndpoint)) }
        };
        let end_session_endpoint = match document.get("end_session_endpoint") {
            Some(_) => Some(endpoint("end_session_endpoint")?),
            None => None,
        };
        Ok(Self {
            issuer: issuer.to_owned(),
            authorization_endpoint: endpoint("authorization_endpoint")?,
            token_endpoint: endpoint("token_endpoint")?,
            jwks_uri: endpoint("jwks_uri")?,
            end_session_endpoint,
            cloud_instance_name: document.get("cloud_instance_name").and_then(Value::as_str).map(str::to_owned),
        })
    }
}

fn text<'a>(document: &'a Map<String, Value>, name: &str) -> Result<&'a str, EntraError> {
    document.get(name).and_then(Value::as_str).ok_or(EntraError::BadAnswer(BadAnswer::Malformed))
}

/// Stands for the tenant's GUID in issuers of documents that speak for many tenants.
pub(super) const TENANT_TEMPLATE: &str = "{tenantid}";

/// Names of one login service; from Microsoft's own clients (`KnownMetadataProvider`). Tokens never cross clouds.
const ALIASES: [&[&str]; 3] = [
    &["login.microsoftonline.com", "login.windows.net", "login.microsoft.com", "sts.windows.net"],
    &["login.microsoftonline.us", "login.usgovcloudapi.net"],
    &["login.partner.microsoftonline.cn", "login.chinacloudapi.cn"],
];

#[cfg(test)]
mod tests;
