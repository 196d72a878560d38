//! A throwaway authority and leaf for `*.localhost`, made fresh for each demo and never installed anywhere.

use std::io::Write;
use std::path::{Path, PathBuf};

use chrono::Datelike;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

use crate::edge::CertificateFiles;
use crate::facts::UnixTime;

/// What was made.
pub(super) struct Made {
    /// The authority's certificate, for `curl --cacert`.
    pub(super) authority: PathBuf,
    /// Leaf and key for the listener.
    pub(super) leaf: CertificateFiles,
}

/// Writes `ca.pem`, `leaf.pem` and `leaf.key` into `dir`.
///
/// # Errors
/// When a key cannot be made or a file cannot be written.
pub(super) fn make(dir: &Path, names: &[String], now: UnixTime) -> anyhow::Result<Made> {
    let authority_key = KeyPair::generate()?;
    let mut authority = CertificateParams::default();
    authority.distinguished_name = name("Portcullis demo authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let authority_certificate = authority.self_signed(&authority_key)?;
    let issuer = Issuer::from_params(&authority, &authority_key);

    let leaf_key = KeyPair::generate()?;
    let mut leaf = CertificateParams::new(names.to_vec())?;
    // Apple's clients refuse leaves that live longer than 825 days, whoever signed them.
    let year = chrono::DateTime::from_timestamp(i64::try_from(now.0)?, 0).map_or(2026, |now| now.year());
    leaf.not_before = rcgen::date_time_ymd(year, 1, 1);
    leaf.not_after = rcgen::date_time_ymd(year + 2, 1, 1);
    leaf.distinguished_name = name("Portcullis demo");
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.use_authority_key_identifier_extension = true;
    let leaf_certificate = leaf.signed_by(&leaf_key, &issuer)?;

    let made = Made {
        authority: dir.join("ca.pem"),
        leaf: CertificateFiles { certificate: dir.join("leaf.pem"), key: dir.join("leaf.key") },
    };
    write(&made.authority, &authority_certificate.pem())?;
    write(&made.leaf.certificate, &leaf_certificate.pem())?;
    write(&made.leaf.key, &leaf_key.serialize_pem())?;
    Ok(made)
}

fn name(common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common);
    name
}

/// Every file is private: one of them holds a key.
pub(super) fn write(path: &Path, text: &str) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?
        .write_all(text.as_bytes())
}
