//! Cookies: only what was issued here, for this host, passes.

use proptest::prelude::*;

use super::*;

fn cookies() -> (TempDir, Arc<Keyring>, Cookies) {
    let dir = tempfile::tempdir().unwrap();
    let keyring = Arc::new(Keyring::open(dir.path()).unwrap());
    let cookies = Cookies::new(&keyring);
    (dir, keyring, cookies)
}

#[test]
fn a_cookie_is_44_characters_and_opens_only_for_its_host() {
    let (_dir, _keyring, cookies) = cookies();
    let (key, value) = cookies.issue("wiki.example.test").unwrap();
    assert_eq!(value.expose().len(), 44);
    assert_eq!(cookies.verify("wiki.example.test", value.expose().as_bytes()), Some(key));
    for host in ["payroll.example.test", "wiki.example.tes", "wiki.example.test.", "", "WIKI.example.test"] {
        assert_eq!(cookies.verify(host, value.expose().as_bytes()), None, "{host}");
    }
}

#[test]
fn every_flipped_bit_and_every_other_length_is_refused() {
    let (_dir, _keyring, cookies) = cookies();
    let (_, value) = cookies.issue(HOST).unwrap();
    let good = value.expose().as_bytes();
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut bad = good.to_vec();
            bad[at] ^= 1 << bit;
            assert_eq!(cookies.verify(HOST, &bad), None, "byte {at} bit {bit}");
        }
        assert_eq!(cookies.verify(HOST, &good[..at]), None, "cut to {at}");
    }
    for extra in [&b"="[..], b"A", b" ", b"\0", &[b'A'; 8192]] {
        assert_eq!(cookies.verify(HOST, &[good, extra].concat()), None);
        assert_eq!(cookies.verify(HOST, &[extra, good].concat()), None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_not_issued_is_refused(value in proptest::collection::vec(any::<u8>(), 0..100), text in "[A-Za-z0-9_-]{44}") {
        let (_dir, _keyring, cookies) = cookies();
        prop_assert_eq!(cookies.verify(HOST, &value), None);
        prop_assert_eq!(cookies.verify(HOST, text.as_bytes()), None);
    }
}

#[test]
fn a_cookie_outlives_a_rotation_until_its_key_is_forgotten() {
    let (_dir, keyring, cookies) = cookies();
    let (old_key, old) = cookies.issue(HOST).unwrap();
    keyring.rotate(2).unwrap();
    let (new_key, new) = cookies.issue(HOST).unwrap();
    assert_ne!(old.expose().as_bytes()[..2], new.expose().as_bytes()[..2], "the new key signs");
    assert_eq!(cookies.verify(HOST, old.expose().as_bytes()), Some(old_key));
    keyring.rotate(2).unwrap();
    assert_eq!(cookies.verify(HOST, old.expose().as_bytes()), None);
    assert_eq!(cookies.verify(HOST, new.expose().as_bytes()), Some(new_key));
}
