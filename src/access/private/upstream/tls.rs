//! TLS towards upstreams: always verified, with the system's roots and the app's own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use crate::access::private::config::{Protocol, UpstreamTls};

/// An upstream that cannot be used as configured.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// The list is empty.
    #[error("endpoints: at least one is needed")]
    NoEndpoints,
    /// Not `host:port`.
    #[error("endpoints: expected host:port, got \"{0}\"")]
    Endpoint(String),
    /// Not a name or address a certificate can carry.
    #[error("tls.server_name: \"{0}\" is not a host name or address")]
    ServerName(String),
    /// A file could not be read as PEM.
    #[error("{key}: cannot read {}", path.display())]
    Pem {
        /// The key that names the file.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// A file holds no certificate.
    #[error("{key}: no certificate in {}", path.display())]
    NoCertificate {
        /// The key that names the file.
        key: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// rustls refused a root, the client certificate or its key.
    #[error("{key}: not usable")]
    Tls {
        /// The key that names the file.
        key: &'static str,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// The system has no usable root certificates and the app names none.
    #[error("tls: the system has no root certificates; name some in tls.extra_ca")]
    NoRoots,
}

/// The system's roots, read when the first app needs them.
#[derive(Default)]
pub struct Roots {
    system: Option<RootCertStore>,
}

impl Roots {
    fn system(&mut self) -> RootCertStore {
        self.system
            .get_or_insert_with(|| {
                let mut store = RootCertStore::empty();
                let found = rustls_native_certs::load_native_certs();
                store.add_parsable_certificates(found.certs);
                store
            })
            .clone()
    }
}

/// The client side of TLS for one app.
pub(super) fn client_config(
    tls: &UpstreamTls,
    protocol: Protocol,
    roots: &mut Roots,
) -> Result<Arc<ClientConfig>, UpstreamError> {
    let mut store = roots.system();
    if let Some(path) = &tls.extra_ca {
        for certificate in certificates("tls.extra_ca", path)? {
            store.add(certificate).map_err(|source| UpstreamError::Tls { key: "tls.extra_ca", source })?;
        }
    }
    if store.is_empty() {
        return Err(UpstreamError::NoRoots);
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|source| UpstreamError::Tls { key: "tls", source })?
        .with_root_certificates(store);
    let mut config = match &tls.client_certificate {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = certificates("tls.client_certificate", certificate)?;
            let key = PrivateKeyDer::from_pem_file(key).map_err(|source| UpstreamError::Pem {
                key: "tls.client_key",
                path: key.clone(),
                source,
            })?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|source| UpstreamError::Tls { key: "tls.client_certificate", source })?
        }
    };
    config.alpn_protocols = match protocol {
        Protocol::Http1 => vec![b"http/1.1".to_vec()],
        Protocol::Http2 => vec![b"h2".to_vec()],
        Protocol::Auto => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
    };
    Ok(Arc::new(config))
}

fn certificates(key: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, UpstreamError> {
    let error = |source| UpstreamError::Pem { key, path: path.to_owned(), source };
    let found = CertificateDer::pem_file_iter(path).map_err(error)?.collect::<Result<Vec<_>, _>>().map_err(error)?;
    if found.is_empty() { Err(UpstreamError::NoCertificate { key, path: path.to_owned() }) } else { Ok(found) }
}
