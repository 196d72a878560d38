//! Checks of the listeners' certificates: readable, in date, and together covering every host.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::config::Config;
use crate::facts::{UnixTime, format_duration};

use super::Finding;

/// Time in which a renewal that failed can still be repaired calmly.
const SOON: Duration = Duration::from_secs(21 * 86_400);

/// What the leaf of a chain says.
struct Leaf {
    names: Vec<String>,
    not_before: i64,
    not_after: i64,
}

/// One finding per certificate and one per host that none covers.
pub(super) fn check(config: &Config, now: UnixTime) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut names = Vec::new();
    for files in &config.edge.tls.certificates {
        let shown = files.certificate.display();
        match leaf(&files.certificate) {
            Ok(leaf) => {
                findings.push(dates(&shown.to_string(), &leaf, now));
                names.extend(leaf.names);
            }
            Err(error) => {
                let advice = "expected a PEM file with the server's certificate first, then its intermediates";
                findings.push(Finding::bad("certificate", format!("{shown}: {error}"), advice));
            }
        }
    }
    let mut hosts = BTreeMap::from([(config.sign_in.host.as_str(), "sign-in host")]);
    for app in &config.apps {
        hosts.entry(&app.host).or_insert("app host");
    }
    for (host, what) in hosts {
        if !names.iter().any(|name| covers(name, host)) {
            let advice = format!("add a certificate with the name {host}; browsers refuse the one shown instead");
            findings.push(Finding::bad("certificate", format!("none covers the {what} {host}"), advice));
        }
    }
    findings
}

fn leaf(path: &Path) -> Result<Leaf, String> {
    let der = CertificateDer::from_pem_file(path).map_err(|error| error.to_string())?;
    let (_, certificate) = X509Certificate::from_der(&der).map_err(|error| error.to_string())?;
    let alternative = certificate.subject_alternative_name().map_err(|error| error.to_string())?;
    let names = alternative.iter().flat_map(|extension| &extension.value.general_names);
    let names = names.filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    });
    let validity = certificate.validity();
    Ok(Leaf {
        names: names.collect(),
        not_before: validity.not_before.timestamp(),
        not_after: validity.not_after.timestamp(),
    })
}

fn dates(shown: &str, leaf: &Leaf, now: UnixTime) -> Finding {
    let names = leaf.names.join(", ");
    let now = i64::try_from(now.0).unwrap_or(i64::MAX);
    if now < leaf.not_before {
        let advice = "set the clock of this machine, or wait";
        return Finding::bad("certificate", format!("{shown} ({names}) is not valid yet"), advice);
    }
    let left = u64::try_from(leaf.not_after.saturating_sub(now)).unwrap_or(0);
    if left == 0 {
        return Finding::bad(
            "certificate",
            format!("{shown} ({names}) has expired"),
            "renew it; the new files are noticed",
        );
    }
    let left = Duration::from_secs(left);
    let days = format_duration(Duration::from_secs(left.as_secs() / 86_400 * 86_400));
    let found = format!("{shown} ({names}) is good for {days}");
    if left < SOON {
        return Finding::doubtful("certificate", found, "renew it; the new files are noticed while the gateway runs");
    }
    Finding::good("certificate", found)
}

/// RFC 9525 section 6.3: a wildcard stands for exactly one label, the first.
fn covers(name: &str, host: &str) -> bool {
    match name.strip_prefix("*.") {
        Some(parent) => host.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && rest == parent),
        None => name == host,
    }
}
