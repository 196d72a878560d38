//! Which certificate a client is shown, and replacing the set while running.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::edge::config::CertificateFiles;
use crate::facts::UnixTime;

/// Why a set of certificates was not accepted. Says which file and what was expected of it.
#[derive(Debug, thiserror::Error)]
pub enum CertError {
    /// No certificate is configured.
    #[error("at least one certificate is needed for the https listeners")]
    Empty,
    /// The file cannot be read or is not PEM.
    #[error("{} cannot be read as PEM", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        #[source]
        source: pem::Error,
    },
    /// There is no certificate in the certificate file.
    #[error("{} holds no certificate; expected the leaf first, then its issuers, each as BEGIN CERTIFICATE", .0.display())]
    NoCertificate(PathBuf),
    /// There is no key in the key file.
    #[error("{} holds no private key; expected PKCS#8, SEC1 or PKCS#1 without a password", .0.display())]
    NoKey(PathBuf),
    /// The key is of a kind that TLS does not use.
    #[error("the private key in {} is of no supported kind; expected RSA of 2048 bits or more, ECDSA P-256, P-384, P-521 or Ed25519", path.display())]
    UnsupportedKey {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        #[source]
        source: rustls::Error,
    },
    /// The leaf is not a certificate that can be read.
    #[error("the first certificate in {} cannot be parsed", .0.display())]
    Malformed(PathBuf),
    /// The certificate names no host.
    #[error("the first certificate in {} names no host; expected a subject alternative name", .0.display())]
    NoNames(PathBuf),
    /// Certificate and key do not belong together.
    #[error("the key in {} does not belong to the first certificate in {}", key.display(), certificate.display())]
    Mismatch {
        /// The certificate file.
        certificate: PathBuf,
        /// The key file.
        key: PathBuf,
    },
}

/// The certificates in use, replaceable while running. Handshakes take a read lock that is written only on reload.
pub struct Certificates {
    generation: AtomicU64,
    current: RwLock<Arc<CertSet>>,
    files: Mutex<Vec<CertificateFiles>>,
}

impl Certificates {
    /// Loads a set and makes the handle to it.
    ///
    /// # Errors
    /// When any of the files is unusable.
    pub fn load(files: &[CertificateFiles]) -> Result<Arc<Self>, CertError> {
        let set = CertSet::load(files)?;
        Ok(Arc::new(Self {
            generation: AtomicU64::new(1),
            current: RwLock::new(Arc::new(set)),
            files: Mutex::new(files.to_vec()),
        }))
    }

    /// Reads the same files again. All of them are good or nothing changes.
    ///
    /// # Errors
    /// When any of the files is unusable; the set in use stays.
    pub fn reload(&self) -> Result<(), CertError> {
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.replace(&files)
    }

    /// Puts another list of files in place. All of them are good or nothing changes.
    ///
    /// # Errors
    /// When any of the files is unusable; the set in use stays.
    pub fn replace(&self, files: &[CertificateFiles]) -> Result<(), CertError> {
        let set = Arc::new(CertSet::load(files)?);
        *self.files.lock().unwrap_or_else(PoisonError::into_inner) = files.to_vec();
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = set;
        self.generation.fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// Counts up with every successful reload.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The set in use.
    #[must_use]
    pub fn current(&self) -> Arc<CertSet> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let set = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Some(set.choose(hello.server_name()))
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").field("generation", &self.generation()).finish_non_exhaustive()
    }
}

/// An immutable set of certificates, indexed by the names in them.
pub struct CertSet {
    default: Arc<CertifiedKey>,
    /// Exact names, lower case.
    exact: HashMap<Box<str>, Arc<CertifiedKey>>,
    /// What follows the first label of a wildcard name, lower case, without the dot.
    wildcard: HashMap<Box<str>, Arc<CertifiedKey>>,
    expiries: Vec<(String, UnixTime)>,
}

impl CertSet {
    /// Reads and checks all files. The first certificate serves clients that name no host or one that none covers;
    /// of two certificates with the same name the earlier one wins.
    ///
    /// # Errors
    /// When any of the files is unusable.
    pub fn load(files: &[CertificateFiles]) -> Result<Self, CertError> {
        let mut exact = HashMap::new();
        let mut wildcard = HashMap::new();
        let mut default = None;
        let mut expiries = Vec::with_capacity(files.len());
        for entry in files {
            let key = Arc::new(load_pair(entry)?);
            let names = names(&key, &entry.certificate)?;
            expiries.extend(not_after(&key).map(|at| (names.first().cloned().unwrap_or_default(), at)));
            for name in names {
                let (map, name) = match name.strip_prefix("*.") {
                    Some(parent) => (&mut wildcard, parent),
                    None => (&mut exact, name.as_str()),
                };
                map.entry(Box::from(name)).or_insert_with(|| Arc::clone(&key));
            }
            default.get_or_insert(key);
        }
        Ok(Self { default: default.ok_or(CertError::Empty)?, exact, wildcard, expiries })
    }

    /// First name and end of validity of each certificate, in the order of the files.
    #[must_use]
    pub fn expiries(&self) -> &[(String, UnixTime)] {
        &self.expiries
    }

    /// Whether a certificate other than by default would be shown for `name`.
    #[must_use]
    pub fn covers(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    fn choose(&self, name: Option<&str>) -> Arc<CertifiedKey> {
        Arc::clone(name.and_then(|name| self.find(name)).unwrap_or(&self.default))
    }

    fn find(&self, name: &str) -> Option<&Arc<CertifiedKey>> {
        let folded = fold(name);
        self.exact.get(&*folded).or_else(|| {
            let (_label, parent) = folded.split_once('.')?;
            self.wildcard.get(parent)
        })
    }
}

impl fmt::Debug for CertSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertSet").field("names", &(self.exact.len() + self.wildcard.len())).finish_non_exhaustive()
    }
}

/// Lower case, without one trailing dot.
fn fold(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// When the leaf ends to be valid; it was parsed before, so this always answers.
fn not_after(key: &CertifiedKey) -> Option<UnixTime> {
    let (_, leaf) = x509_parser::parse_x509_certificate(key.cert.first()?).ok()?;
    Some(UnixTime(u64::try_from(leaf.validity().not_after.timestamp()).unwrap_or(0)))
}

fn load_pair(files: &CertificateFiles) -> Result<CertifiedKey, CertError> {
    let CertificateFiles { certificate, key } = files;
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|source| CertError::Read { path: certificate.clone(), source })?;
    if chain.is_empty() {
        return Err(CertError::NoCertificate(certificate.clone()));
    }
    let der = PrivateKeyDer::from_pem_file(key).map_err(|source| match source {
        pem::Error::NoItemsFound => CertError::NoKey(key.clone()),
        source => CertError::Read { path: key.clone(), source },
    })?;
    warn_if_readable_by_others(key);
    let signer = any_supported_type(&der).map_err(|source| CertError::UnsupportedKey { path: key.clone(), source })?;
    let pair = CertifiedKey::new(chain, signer);
    pair.keys_match().map_err(|_| CertError::Mismatch { certificate: certificate.clone(), key: key.clone() })?;
    Ok(pair)
}

/// DNS names of the leaf. The common name is not one of them (RFC 9525 section 2), and neither are IP addresses,
/// which a client may not send as server name (RFC 6066 section 3).
fn names(key: &CertifiedKey, path: &Path) -> Result<Vec<String>, CertError> {
    let malformed = || CertError::Malformed(path.to_owned());
    let leaf = key.end_entity_cert().map_err(|_| malformed())?;
    let (_rest, leaf) = X509Certificate::from_der(leaf).map_err(|_| malformed())?;
    let alternative = leaf.subject_alternative_name().map_err(|_| malformed())?;
    let general = alternative.map(|extension| extension.value.general_names.as_slice()).unwrap_or_default();
    if !general.iter().any(|name| matches!(name, GeneralName::DNSName(_) | GeneralName::IPAddress(_))) {
        return Err(CertError::NoNames(path.to_owned()));
    }
    let dns = general.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(fold(name)),
        _ => None,
    });
    Ok(dns.collect())
}

#[cfg(unix)]
fn warn_if_readable_by_others(key: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(key).map_or(0, |meta| meta.permissions().mode());
    if mode & 0o007 != 0 {
        tracing::warn!(file = %key.display(), "the private key can be read by every account of this machine; expected mode 0640 or tighter");
    }
}

#[cfg(not(unix))]
const fn warn_if_readable_by_others(_key: &Path) {}
