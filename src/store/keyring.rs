//! The key ring: one master key, purposes derived from it, sealing of small values.

use std::path::Path;

/// The key ring could not be opened or used.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// Skeleton.
    #[error("skeleton")]
    Skeleton,
}

/// Keys of this gateway. Purposes are separated by derivation, so a value sealed for one never opens for another.
pub struct Keyring {}

impl Keyring {
    /// Opens the ring in `dir`, making a fresh master key (file mode 0600) on first start.
    ///
    /// # Errors
    /// When the file cannot be read or written, has a wrong size, or is readable by others.
    pub fn open(_dir: &Path) -> Result<Self, KeyringError> {
        unimplemented!()
    }

    /// Encrypts and authenticates `plain` for `purpose`, bound to `context`. The output carries key id and nonce.
    #[must_use]
    pub fn seal(&self, _purpose: &'static str, _context: &[u8], _plain: &[u8]) -> Vec<u8> {
        unimplemented!()
    }

    /// Opens what [`Keyring::seal`] made; `None` for anything else, whatever is wrong with it.
    #[must_use]
    pub fn open_sealed(&self, _purpose: &'static str, _context: &[u8], _sealed: &[u8]) -> Option<Vec<u8>> {
        unimplemented!()
    }
}
