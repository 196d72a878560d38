//! Secrets by reference: `env:NAME` or `file:path`, never in the configuration file itself.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::telemetry::Secret;

use super::Environment;

/// Why a secret could not be had. No message repeats what was written, because that may be the secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The value is neither `env:` nor `file:`.
    #[error(
        "a secret is never written into the configuration; expected \"env:NAME\" (an environment variable) or \"file:path\""
    )]
    Inline,
    /// The environment variable is not set, or empty.
    #[error("environment variable {0} is not set, or empty")]
    Unset(String),
    /// The file could not be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file holds nothing, or more than a secret.
    #[error("{}: expected one secret of at most 16 KiB, found {length} bytes", path.display())]
    Length {
        /// The file.
        path: PathBuf,
        /// Its length.
        length: usize,
    },
}

/// A secret and where it came from.
#[derive(Debug)]
pub(super) struct Found {
    /// The secret.
    pub(super) secret: Secret<String>,
    /// The file to watch.
    pub(super) file: Option<PathBuf>,
    /// Whether everybody on the machine can read the file.
    pub(super) exposed: bool,
}

/// Reads the secret that `reference` names; relative paths start at `folder`. One line end is taken off a file's end.
pub(super) fn find(reference: &str, folder: &Path, environment: Environment<'_>) -> Result<Found, SecretError> {
    if let Some(name) = reference.strip_prefix("env:") {
        let value = environment(name).filter(|value| !value.is_empty());
        let secret = Secret::new(value.ok_or_else(|| SecretError::Unset(name.to_owned()))?);
        return Ok(Found { secret, file: None, exposed: false });
    }
    let path = folder.join(reference.strip_prefix("file:").ok_or(SecretError::Inline)?);
    let unreadable = |source| SecretError::Unreadable { path: path.clone(), source };
    let mode = std::fs::metadata(&path).map_err(unreadable)?.permissions().mode();
    let text = std::fs::read_to_string(&path).map_err(unreadable)?;
    let value = text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
    if value.is_empty() || value.len() > 16 * 1024 {
        return Err(SecretError::Length { length: value.len(), path });
    }
    let secret = Secret::new(value.to_owned());
    Ok(Found { secret, file: Some(path), exposed: mode & 0o004 != 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, text: &str, mode: u32) {
        let path = folder.join("secret");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_file_loses_exactly_one_line_end() {
        let folder = tempfile::tempdir().unwrap();
        for (text, expected) in [("s", "s"), ("s\n", "s"), ("s\r\n", "s"), ("s\n\n", "s\n"), (" s ", " s ")] {
            write(folder.path(), text, 0o600);
            let found = find("file:secret", folder.path(), &|_| None).unwrap();
            assert_eq!(found.secret.expose(), expected);
            assert!(!found.exposed);
            assert_eq!(found.file, Some(folder.path().join("secret")));
        }
    }

    #[test]
    fn a_file_that_everybody_can_read_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "s", 0o644);
        assert!(find("file:secret", folder.path(), &|_| None).unwrap().exposed);
    }

    #[test]
    fn an_environment_variable_is_taken_as_it_is() {
        let environment = |name: &str| (name == "ID").then(|| "value\n".to_owned());
        assert_eq!(find("env:ID", Path::new(""), &environment).unwrap().secret.expose(), "value\n");
        assert!(
            matches!(find("env:OTHER", Path::new(""), &environment), Err(SecretError::Unset(name)) if name == "OTHER")
        );
        assert!(matches!(find("env:ID", Path::new(""), &|_| Some(String::new())), Err(SecretError::Unset(_))));
    }

    #[test]
    fn a_secret_written_inline_is_refused_and_not_repeated() {
        let error = find("hunter2", Path::new(""), &|_| None).unwrap_err();
        assert!(matches!(error, SecretError::Inline));
        assert!(!error.to_string().contains("hunter2"));
    }

    #[test]
    fn missing_empty_and_huge_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(find("file:secret", folder.path(), &|_| None), Err(SecretError::Unreadable { .. })));
        for text in ["", "\n", &"x".repeat(16 * 1024 + 1)] {
            write(folder.path(), text, 0o600);
            assert!(matches!(find("file:secret", folder.path(), &|_| None), Err(SecretError::Length { .. })));
        }
    }
}
