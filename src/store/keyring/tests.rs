//! Tests of the key ring: sealing, rotation, file modes.

use std::os::unix::fs::PermissionsExt;
use std::{fs, io};

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

fn ring() -> (TempDir, Keyring) {
    let dir = tempfile::tempdir().unwrap();
    let ring = Keyring::open(dir.path()).unwrap();
    (dir, ring)
}

fn refused(dir: &Path) -> KeyringError {
    Keyring::open(dir).err().unwrap()
}

#[test]
fn the_file_is_private_and_opens_again_to_the_same_keys() {
    let (dir, ring) = ring();
    let sealed = ring.seal("p", b"c", b"text");
    let (id, mac) = ring.mac("p", &[b"a"]).unwrap();
    drop(ring);
    let mode = fs::metadata(dir.path().join(FILE_NAME)).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    let ring = Keyring::open(dir.path()).unwrap();
    assert_eq!(ring.open_sealed("p", b"c", &sealed).unwrap(), b"text");
    assert!(ring.verify_mac(id, "p", &[b"a"], &mac));
}

#[test]
fn a_file_others_may_read_is_refused_by_name_and_mode() {
    let (dir, _ring) = ring();
    let path = dir.path().join(FILE_NAME);
    for mode in [0o640, 0o604, 0o660, 0o644, 0o700 | 0o001] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let text = refused(dir.path()).to_string();
        assert!(text.contains("keyring.json") && text.contains("0600"), "{text}");
        assert!(text.contains(&format!("{mode:04o}")), "{text}");
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    assert!(Keyring::open(dir.path()).is_ok(), "narrower is fine");
}

#[test]
fn a_damaged_file_is_refused_and_never_replaced() {
    let (dir, _ring) = ring();
    let path = dir.path().join(FILE_NAME);
    let good = fs::read_to_string(&path).unwrap();
    let line = good.lines().find(|line| line.contains("\"key\"")).unwrap();
    for bad in [
        String::new(),
        good[..good.len() / 2].to_owned(),
        good.replace("\"format\": 1", "\"format\": 2"),
        good.replace("\"id\": 1", "\"id\": 0"),
        good.replace("\"id\": 1", "\"id\": 256"),
        good.replace(line, "\"key\": \"AAAA\""),
        good.replace(line, "\"key\": \"!\""),
        "{\"format\":1,\"keys\":[]}".to_owned(),
    ] {
        fs::write(&path, &bad).unwrap();
        assert!(matches!(refused(dir.path()), KeyringError::Damaged { .. }), "{bad}");
        assert_eq!(fs::read_to_string(&path).unwrap(), bad);
    }
}

#[test]
fn an_unreadable_folder_is_an_error_with_the_path() {
    let dir = tempfile::tempdir().unwrap();
    let blocked = dir.path().join("file");
    fs::write(&blocked, "not a folder").unwrap();
    let error = refused(&blocked);
    assert!(error.to_string().contains("keyring.json"));
    assert!(matches!(error, KeyringError::Io { source, .. } if source.kind() == io::ErrorKind::NotADirectory));
}

#[test]
fn purpose_context_and_ring_separate_sealed_values() {
    let (_dir, one) = ring();
    let (_other_dir, other) = ring();
    let sealed = one.seal("purpose", b"context", b"text");
    assert_eq!(one.open_sealed("purpose", b"context", &sealed).unwrap(), b"text");
    assert!(one.open_sealed("purpos", b"econtext", &sealed).is_none());
    assert!(one.open_sealed("other", b"context", &sealed).is_none());
    assert!(one.open_sealed("purpose", b"contex", &sealed).is_none());
    assert!(other.open_sealed("purpose", b"context", &sealed).is_none());
    assert_ne!(sealed, one.seal("purpose", b"context", b"text"), "the nonce is random");
    assert!(one.open_sealed("purpose", b"context", &[]).is_none());
    assert_eq!(one.open_sealed("purpose", b"", &one.seal("purpose", b"", b"")).unwrap(), b"");
}

#[test]
fn macs_separate_purposes_and_the_borders_of_parts() {
    let (_dir, ring) = ring();
    let ring = Arc::new(ring);
    let (id, mac) = ring.mac("p", &[b"ab", b"c"]).unwrap();
    assert_eq!(ring.mac_keys("p").sign(&[b"ab", b"c"]), Some((id, mac)), "both ways agree");
    assert!(ring.mac_keys("p").verify(id, &[b"ab", b"c"], &mac[..16]));
    for parts in [&[&b"a"[..], b"bc"][..], &[b"abc"], &[b"ab", b"c", b""], &[]] {
        assert!(!ring.verify_mac(id, "p", parts, &mac));
    }
    assert!(!ring.verify_mac(id, "q", &[b"ab", b"c"], &mac));
    assert!(!ring.verify_mac(id.wrapping_add(1), "p", &[b"ab", b"c"], &mac));
    for length in (0..16).chain([33]) {
        let tag: Vec<u8> = mac.iter().copied().chain([0; 2]).take(length).collect();
        assert!(!ring.verify_mac(id, "p", &[b"ab", b"c"], &tag), "{length} bytes");
    }
}

#[test]
fn rotation_seals_with_the_new_key_opens_the_old_and_forgets_the_oldest() {
    let (dir, ring) = ring();
    let ring = Arc::new(ring);
    let macs = ring.mac_keys("p");
    let (old_id, old_mac) = macs.sign(&[b"x"]).unwrap();
    let old = ring.seal("p", b"", b"old");
    assert_eq!(ring.rotate(2).unwrap(), 2);
    let new = ring.seal("p", b"", b"new");
    assert_ne!(old[0], new[0]);
    assert!(macs.verify(old_id, &[b"x"], &old_mac), "the old key still verifies");
    assert_eq!(macs.sign(&[b"x"]).unwrap().0, 2, "the new one signs, without a new handle");
    let reopened = Keyring::open(dir.path()).unwrap();
    assert_eq!(reopened.open_sealed("p", b"", &old).unwrap(), b"old");
    assert_eq!(reopened.open_sealed("p", b"", &new).unwrap(), b"new");

    ring.rotate(2).unwrap();
    assert!(ring.open_sealed("p", b"", &old).is_none());
    assert!(!macs.verify(old_id, &[b"x"], &old_mac));
    assert_eq!(ring.open_sealed("p", b"", &new).unwrap(), b"new");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no temporary file is left");
}

#[test]
fn ids_run_out_with_an_error_and_not_with_a_key_used_twice() {
    let (_dir, ring) = ring();
    for _ in 1..255 {
        ring.rotate(1).unwrap();
    }
    let sealed = ring.seal("p", b"", b"last");
    assert!(matches!(ring.rotate(1), Err(KeyringError::NoNewKey)));
    assert_eq!(ring.open_sealed("p", b"", &sealed).unwrap(), b"last", "the ring is unchanged");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn only_what_was_sealed_opens(text in proptest::collection::vec(any::<u8>(), 0..200), at in any::<prop::sample::Index>(), bit in 0_u32..8) {
        let (_dir, ring) = ring();
        let sealed = ring.seal("p", b"c", &text);
        let opened = ring.open_sealed("p", b"c", &sealed);
        prop_assert_eq!(opened.as_deref(), Some(&text[..]));
        let mut bad = sealed.clone();
        let at = at.index(bad.len());
        bad[at] ^= 1_u8 << bit;
        prop_assert!(ring.open_sealed("p", b"c", &bad).is_none());
        prop_assert!(ring.open_sealed("p", b"c", &sealed[..at]).is_none());
        prop_assert!(ring.open_sealed("p", b"c", &[&sealed[..], b"x"].concat()).is_none());
    }
}
