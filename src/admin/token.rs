//! The bearer token of the admin API: made once, kept in a file that only its owner can read.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::telemetry::Secret;

/// Why there is no usable token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file cannot be read or written.
    #[error("the admin token file {} cannot be used", .path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Others than the owner can read or change the file.
    #[error("the admin token file {} is open to other users; run chmod 600 on it", .0.display())]
    Exposed(PathBuf),
    /// The file holds no token.
    #[error("the admin token file {} holds fewer than {MIN} or more than {MAX} characters", .0.display())]
    Length(PathBuf),
    /// The system has no random bytes to give.
    #[error("the system's random number generator failed")]
    Random,
}

/// The token in this file; made and written if there is no file.
///
/// # Errors
/// See [`TokenError`].
pub fn load_or_create(path: &Path) -> Result<Secret<String>, TokenError> {
    match create(path) {
        Err(TokenError::File { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => load(path),
        made => made,
    }
}

/// The token in this file.
///
/// # Errors
/// See [`TokenError`].
pub fn load(path: &Path) -> Result<Secret<String>, TokenError> {
    let failed = |source| TokenError::File { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.permissions().mode() & 0o077 != 0 {
        return Err(TokenError::Exposed(path.to_owned()));
    }
    let mut text = String::new();
    file.take(2 * MAX as u64).read_to_string(&mut text).map_err(failed)?;
    let token = text.trim();
    if token.len() < MIN || token.len() > MAX {
        return Err(TokenError::Length(path.to_owned()));
    }
    Ok(Secret::new(token.to_owned()))
}

fn create(path: &Path) -> Result<Secret<String>, TokenError> {
    let failed = |source| TokenError::File { path: path.to_owned(), source };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    let mut bytes = [0u8; 32];
    SystemRandom::new().fill(&mut bytes).map_err(|_| TokenError::Random)?;
    let token = URL_SAFE_NO_PAD.encode(bytes);
    writeln!(file, "{token}").and_then(|()| file.sync_all()).map_err(failed)?;
    Ok(Secret::new(token))
}

/// Whether `given` is the token, in a time that tells nothing about either (their digests are compared).
pub(super) fn matches(token: &Secret<String>, given: &[u8]) -> bool {
    let (ours, theirs) = (digest(&SHA256, token.expose().as_bytes()), digest(&SHA256, given));
    verify_slices_are_equal(ours.as_ref(), theirs.as_ref()).is_ok()
}

const MIN: usize = 32;
const MAX: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_made_once_and_then_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.token");
        let made = load_or_create(&path).unwrap();
        assert_eq!(made.expose().len(), 43);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(load_or_create(&path).unwrap() == made);
        assert!(matches(&made, made.expose().as_bytes()));
        assert!(!matches(&made, b""));
        assert!(!matches(&made, &made.expose().as_bytes()[..42]));
    }

    #[test]
    fn a_token_file_others_can_read_or_that_is_too_short_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("admin.token");
        load_or_create(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(load_or_create(&path), Err(TokenError::Exposed(_))));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&path, "short\n").unwrap();
        assert!(matches!(load_or_create(&path), Err(TokenError::Length(_))));
        assert!(matches!(load(Path::new("/nonexistent/token")), Err(TokenError::File { .. })));
    }
}
