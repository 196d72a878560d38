//! What clients negotiate, which certificate they see, resumption, and reload.

use super::*;
use rustls::{CipherSuite, HandshakeKind, NamedGroup};

async fn handshake(stand: &Stand, config: Arc<rustls::ClientConfig>, name: &'static str) -> TlsStream<TcpStream> {
    let tcp = TcpStream::connect(stand.https).await.unwrap();
    TlsConnector::from(config).connect(ServerName::try_from(name).unwrap(), tcp).await.unwrap()
}

#[tokio::test]
async fn the_cheapest_good_suite_and_the_hybrid_key_exchange_are_chosen() {
    let stand = Stand::start().await;
    let stream = handshake(&stand, Arc::new(client_config(&stand.root, &[b"h2", b"http/1.1"])), "app.test").await;
    let session = stream.get_ref().1;
    // The client lists AES-256 first.
    assert_eq!(session.negotiated_cipher_suite().unwrap().suite(), CipherSuite::TLS13_AES_128_GCM_SHA256);
    assert_eq!(session.negotiated_key_exchange_group().unwrap().name(), NamedGroup::X25519MLKEM768);
    assert_eq!(session.alpn_protocol(), Some(&b"h2"[..]));
}

#[tokio::test]
async fn the_handler_learns_the_server_name_in_lower_case() {
    let stand = Stand::start().await;
    let _stream = stand.connect_as("APP.test", &[b"http/1.1"]).await;
    eventually("the connection is open", || stand.recorder.opened.lock().unwrap().len() == 1).await;
    assert_eq!(stand.recorder.opened.lock().unwrap()[0].sni.as_deref(), Some("app.test"));
}

/// Connects until a ticket made by one worker was used on another; which worker accepts is the kernel's choice.
#[tokio::test]
async fn sessions_resume_on_every_worker() {
    let stand = Stand::start().await;
    let config = Arc::new(client_config(&stand.root, &[b"http/1.1"]));
    let mut kinds = Vec::new();
    for _ in 0..24 {
        let mut stream = handshake(&stand, Arc::clone(&config), "app.test").await;
        kinds.push(stream.get_ref().1.handshake_kind().unwrap());
        // The ticket comes with or before the first answer.
        stream.write_all(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n").await.unwrap();
        read_all(&mut stream).await;
    }
    let served = |worker| stand.metrics.worker(worker).unwrap().connections.value();
    assert!(served(0) > 0 && served(1) > 0, "both workers took part");
    assert_eq!(kinds[0], HandshakeKind::Full);
    assert!(kinds[1..].iter().all(|kind| *kind == HandshakeKind::Resumed), "{kinds:?}");
}

#[tokio::test]
async fn a_session_is_not_resumed_for_another_name() {
    let stand = Stand::start().await;
    let config = Arc::new(client_config(&stand.root, &[b"http/1.1"]));
    for name in ["app.test", "x.wild.test"] {
        let mut stream = handshake(&stand, Arc::clone(&config), name).await;
        assert_eq!(stream.get_ref().1.handshake_kind(), Some(HandshakeKind::Full), "{name}");
        stream.write_all(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n").await.unwrap();
        read_all(&mut stream).await;
    }
}

#[test]
fn a_certificate_is_found_by_exact_name_then_by_wildcard_of_one_label() {
    let folder = tempfile::tempdir().unwrap();
    write_certificate(folder.path(), "main", &["app.test", "*.wild.test"]);
    let set = CertSet::load(&[files(folder.path(), "main")]).unwrap();
    for name in ["app.test", "APP.TEST", "app.test.", "a.wild.test", "B.Wild.Test."] {
        assert!(set.covers(name), "{name}");
    }
    for name in ["wild.test", "a.b.wild.test", "x.app.test", "", ".", ".wild", "est"] {
        assert!(!set.covers(name), "{name}");
    }
}

#[test]
fn unusable_files_are_named_with_what_was_expected() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    write_certificate(folder.path(), "a", &["a.test"]);
    write_certificate(folder.path(), "b", &["b.test"]);
    std::fs::write(path("empty"), "").unwrap();
    std::fs::write(path("garbage"), "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n").unwrap();
    let pair = |certificate: &str, key: &str| CertificateFiles { certificate: path(certificate), key: path(key) };
    for (files, file, word) in [
        (pair("a.pem", "b.key"), "b.key", "does not belong"),
        (pair("none.pem", "a.key"), "none.pem", "cannot be read"),
        (pair("empty", "a.key"), "empty", "no certificate"),
        (pair("garbage", "a.key"), "garbage", "PEM"),
        (pair("a.pem", "a.pem"), "a.pem", "no private key"),
        (pair("a.pem", "empty"), "empty", "no private key"),
    ] {
        let error = CertSet::load(&[files]).unwrap_err().to_string();
        assert!(error.contains(file) && error.contains(word), "{error}");
    }
    assert!(matches!(CertSet::load(&[]), Err(CertError::Empty)));
}

#[tokio::test]
async fn a_reload_shows_the_new_certificate_and_a_bad_one_keeps_the_last_good() {
    let stand = Stand::start().await;
    let old = stand.root.clone();
    let shown = async || {
        let mut config = client_config(&old, &[b"http/1.1"]);
        config.dangerous().set_certificate_verifier(Arc::new(AnyCertificate));
        config.resumption = rustls::client::Resumption::disabled();
        let stream = handshake(&stand, Arc::new(config), "app.test").await;
        stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
    };
    assert_eq!(shown().await, old);
    let new = write_certificate(stand.folder.path(), "main", &["app.test"]);
    stand.certificates.reload().unwrap();
    assert_eq!(shown().await, new);
    assert_eq!(stand.certificates.generation(), 2);
    std::fs::write(stand.folder.path().join("main.key"), "broken").unwrap();
    assert!(stand.certificates.reload().is_err());
    assert_eq!(shown().await, new);
    assert_eq!(stand.certificates.generation(), 2);
}

/// For looking at a certificate without judging it.
#[derive(Debug)]
struct AnyCertificate;

impl rustls::client::danger::ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
