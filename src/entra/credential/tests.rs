//! Assertions checked as Entra would, with the certificate's own key.

use std::io::Write as _;

use aws_lc_rs::signature::{RSA_PSS_2048_8192_SHA256, UnparsedPublicKey};
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::Value;
use tempfile::NamedTempFile;

use super::*;

struct Files {
    certificate: NamedTempFile,
    key: NamedTempFile,
    der: Vec<u8>,
    key_der: Vec<u8>,
}

fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

fn files() -> Files {
    let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    let certificate = CertificateParams::new(vec!["gateway".to_owned()]).unwrap().self_signed(&key).unwrap();
    Files {
        certificate: file(&certificate.pem()),
        key: file(&key.serialize_pem()),
        der: certificate.der().to_vec(),
        key_der: key.serialize_der(),
    }
}

fn load(certificate: &Path, key: &Path) -> Result<ClientAuth, EntraError> {
    ClientAuth::load(&Credential::Certificate { certificate: certificate.to_owned(), key: key.to_owned() })
}

async fn assertion(auth: &ClientAuth) -> String {
    let endpoint = Url::parse("https://login.example/t/oauth2/v2.0/token").unwrap();
    match auth.prove("client", &endpoint, UnixTime(1_790_000_000)).await.unwrap() {
        Proof::Assertion(token) => token.expose().clone(),
        Proof::Secret(_) => panic!("expected an assertion"),
    }
}

fn part(token: &str, index: usize) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(index).unwrap()).unwrap()).unwrap()
}

#[tokio::test]
async fn the_assertion_verifies_with_the_certificate_and_is_new_each_time() {
    let files = files();
    let auth = load(files.certificate.path(), files.key.path()).unwrap();
    let token = assertion(&auth).await;
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let (_, certificate) = x509_parser::parse_x509_certificate(&files.der).unwrap();
    let public = certificate.public_key().subject_public_key.data.to_vec();
    UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, public)
        .verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap())
        .unwrap();
    let (header, claims) = (part(&token, 0), part(&token, 1));
    assert_eq!((&header["alg"], &header["typ"]), (&json!("PS256"), &json!("JWT")));
    let thumbprint = header["x5t#S256"].as_str().unwrap();
    assert_eq!(thumbprint, URL_SAFE_NO_PAD.encode(digest(&SHA256, &files.der)));
    assert_eq!(thumbprint.len(), 43);
    assert_eq!(claims["aud"], "https://login.example/t/oauth2/v2.0/token");
    assert_eq!((&claims["iss"], &claims["sub"]), (&json!("client"), &json!("client")));
    assert_eq!(claims["nbf"], 1_790_000_000);
    assert_eq!(claims["iat"], 1_790_000_000);
    assert_eq!(claims["exp"], 1_790_000_600);
    assert!(claims["jti"].as_str().unwrap().parse::<Guid>().is_ok());
    assert_ne!(part(&assertion(&auth).await, 1)["jti"], claims["jti"]);
    assert!(auth.expires().unwrap() > UnixTime(1_790_000_000));
}

#[tokio::test]
async fn a_pkcs1_key_signs_as_well() {
    let files = files();
    // PKCS#8 wraps PKCS#1 behind 26 bytes for an RSA key of this size (RFC 5958 section 2).
    let key = file(&pem("RSA PRIVATE KEY", &files.key_der[26..]));
    let auth = load(files.certificate.path(), key.path()).unwrap();
    assert_eq!(assertion(&auth).await.split('.').count(), 3);
}

#[test]
fn files_that_do_not_belong_together_are_refused_at_start() {
    let (files, others) = (files(), self::files());
    let refused = |certificate: &Path, key: &Path, part: &str| {
        let error = load(certificate, key).err().unwrap();
        assert!(error.to_string().contains(part), "{error}");
    };
    refused(files.certificate.path(), others.key.path(), "this is not the key of");
    let curve = file(&KeyPair::generate().unwrap().serialize_pem());
    refused(files.certificate.path(), curve.path(), &curve.path().display().to_string());
    refused(files.key.path(), files.key.path(), &files.key.path().display().to_string());
    let empty = file("");
    refused(empty.path(), files.key.path(), &empty.path().display().to_string());
    refused(Path::new("/nonexistent.pem"), files.key.path(), "/nonexistent.pem");
    assert!(ClientAuth::load(&Credential::Secret(Secret::new(String::new()))).is_err());
}
