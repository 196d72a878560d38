//! Opaque values: GUIDs and handles nobody can guess.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// A random version 4 GUID.
pub(super) fn guid() -> String {
    let mut bytes = [0_u8; 16];
    fill(&mut bytes);
    let n = u128::from_be_bytes(bytes);
    let n = (n & !(0xf << 76)) | (0x4 << 76);
    let n = (n & !(0x3 << 62)) | (0x2 << 62);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        n >> 96,
        (n >> 80) & 0xffff,
        (n >> 64) & 0xffff,
        (n >> 48) & 0xffff,
        n & 0xffff_ffff_ffff
    )
}

/// `N` random bytes in base64url.
pub(super) fn opaque<const N: usize>() -> String {
    let mut bytes = [0_u8; N];
    fill(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A number in `low..=high`.
pub(super) fn between(low: u64, high: u64) -> u64 {
    let mut bytes = [0_u8; 8];
    fill(&mut bytes);
    low + u64::from_be_bytes(bytes) % (high.saturating_sub(low) + 1)
}

/// Whether `text` has the shape of a GUID.
pub(super) fn is_guid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, b)| match at {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}

/// The generator of aws-lc fails only when the machine has no entropy source; a simulator with predictable values
/// is then still better than one that panics.
fn fill(bytes: &mut [u8]) {
    let _ = aws_lc_rs::rand::fill(bytes);
}

#[cfg(test)]
mod tests {
    use super::{guid, is_guid};

    #[test]
    fn guids_have_version_and_variant() {
        let guid = guid();
        assert!(is_guid(&guid), "{guid}");
        assert_eq!(guid.as_bytes()[14], b'4');
        assert!(b"89ab".contains(&guid.as_bytes()[19]));
        assert!(!is_guid("common"));
    }
}
