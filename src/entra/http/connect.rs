//! How a connection to Microsoft is made: which roots are trusted, and when plain HTTP is tolerated.

use std::error::Error;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tower::Service;
use url::{Host, Url};

use super::super::error::{EntraError, Misconfiguration};

/// TLS over TCP, with this module's resolver and a deadline.
pub(super) type Connector = Timed<HttpsConnector<HttpConnector<Resolver>>>;

/// Whether nobody on the network can read or change the exchange: TLS, or plain HTTP inside this machine.
pub(crate) fn is_protected(url: &Url) -> bool {
    match url.scheme() {
        "https" => true,
        "http" => match url.host() {
            Some(Host::Domain(name)) => is_local_name(name),
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        },
        _ => false,
    }
}

pub(super) fn connector(extra_ca: Option<&Path>, deadline: Duration) -> Result<Connector, EntraError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| EntraError::misconfigured(Misconfiguration::RootCertificates, error.to_string()))?
        .with_root_certificates(roots(extra_ca)?)
        .with_no_client_auth();
    let mut tcp = HttpConnector::new_with_resolver(Resolver { system: GaiResolver::new() });
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    let https = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_all_versions();
    Ok(Timed { inner: https.wrap_connector(tcp), deadline })
}

/// Ends an attempt to connect. The deadline of the call does not: the pool finishes an attempt in the background
/// when another connection became free first.
#[derive(Clone)]
pub(super) struct Timed<C> {
    inner: C,
    deadline: Duration,
}

impl<C> Service<Uri> for Timed<C>
where
    C: Service<Uri, Error = Box<dyn Error + Send + Sync>>,
    C::Future: Send + 'static,
{
    type Response = C::Response;
    type Error = C::Error;
    type Future = Pin<Box<dyn Future<Output = Result<C::Response, C::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), C::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let attempt = tokio::time::timeout(self.deadline, self.inner.call(uri));
        Box::pin(async move { attempt.await? })
    }
}

/// The machine's roots plus the configured ones. A machine without roots can still reach a simulator.
fn roots(extra_ca: Option<&Path>) -> Result<RootCertStore, EntraError> {
    let mut roots = RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    let (added, ignored) = roots.add_parsable_certificates(native.certs);
    tracing::debug!(added, ignored, failed = native.errors.len(), "read the machine's root certificates");
    let Some(path) = extra_ca else { return Ok(roots) };
    let unusable = |why: String| {
        EntraError::misconfigured(Misconfiguration::RootCertificates, format!("{}: {why}", path.display()))
    };
    let mut count = 0usize;
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| unusable(error.to_string()))? {
        let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
        roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
        count += 1;
    }
    if count == 0 {
        return Err(unusable("no certificate in this file".to_owned()));
    }
    Ok(roots)
}

/// Resolves `localhost` names by itself, because what the machine's resolver makes of them is not certain
/// (RFC 6761 section 6.3), and asks the machine for everything else.
#[derive(Clone)]
pub(super) struct Resolver {
    system: GaiResolver,
}

type Addresses = std::vec::IntoIter<SocketAddr>;

impl Service<Name> for Resolver {
    type Response = Addresses;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Addresses, std::io::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), std::io::Error>> {
        self.system.poll_ready(cx)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        if is_local_name(name.as_str()) {
            let loopback = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
            return Box::pin(std::future::ready(Ok(vec![loopback].into_iter())));
        }
        let addresses = self.system.call(name);
        Box::pin(async move { Ok(addresses.await?.collect::<Vec<_>>().into_iter()) })
    }
}

fn is_local_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let last = name.rsplit('.').next().unwrap_or(name);
    last.eq_ignore_ascii_case("localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_tolerated_inside_this_machine_only() {
        for good in ["https://login.example", "http://127.0.0.1:1", "http://[::1]:1", "http://entra.localhost:1"] {
            assert!(is_protected(&Url::parse(good).unwrap()), "{good}");
        }
        for bad in
            ["http://login.example", "http://localhost.example", "http://10.0.0.1", "http://0.0.0.0", "ftp://localhost"]
        {
            assert!(!is_protected(&Url::parse(bad).unwrap()), "{bad}");
        }
    }

    #[test]
    fn a_root_file_without_certificates_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(connector(Some(file.path()), Duration::MAX).is_err());
        assert!(connector(Some(Path::new("/nonexistent/ca.pem")), Duration::MAX).is_err());
    }
}
