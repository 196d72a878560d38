//! What can go wrong with the store, in words an operator can act on.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The store could not be opened, read or written. Cheap to clone: one failed commit answers many writers.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Another process has the file open.
    #[error("{path} is open in another process; stop that gateway, or give this one its own state folder")]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// The file is not what was written.
    #[error("{path} is damaged; restore it from a backup, or delete it to sign everybody out")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the database says.
        #[source]
        source: Arc<redb::Error>,
    },
    /// The file was made by a newer version.
    #[error("{path} has format {found}, this version knows formats up to {known}; use the newer version")]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: String,
        /// The newest format this version knows.
        known: u32,
    },
    /// The disk is full.
    #[error("no space left for {path}")]
    NoSpace {
        /// The file.
        path: PathBuf,
        /// What the database says.
        #[source]
        source: Arc<redb::Error>,
    },
    /// The disk or the operating system failed.
    #[error("cannot use {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the database says.
        #[source]
        source: Arc<redb::Error>,
    },
    /// One batch was larger than the store takes.
    #[error("a batch of {bytes} bytes is too large for the store")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// What was to be kept has no place here.
    #[error("this gateway keeps no directory of that tenant, so it cannot keep what is said of its people")]
    NotKept,
    /// The store is closed, or waits for the disk to come back after an error.
    #[error("{path} is closed")]
    Closed {
        /// The file.
        path: PathBuf,
    },
}

impl StoreError {
    pub(super) fn new(path: &Path, error: redb::Error) -> Self {
        let path = path.to_path_buf();
        match &error {
            redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => Self::Locked { path },
            redb::Error::UpgradeRequired(format) => {
                Self::NewerFormat { path, found: format!("redb {format}"), known: super::file::FORMAT }
            }
            redb::Error::Corrupted(_) | redb::Error::RepairAborted => Self::Damaged { path, source: Arc::new(error) },
            redb::Error::Io(io) => match io.kind() {
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                    Self::NoSpace { path, source: Arc::new(error) }
                }
                // The database says so of a file whose first bytes are not its own.
                ErrorKind::InvalidData | ErrorKind::UnexpectedEof => Self::Damaged { path, source: Arc::new(error) },
                _ => Self::Io { path, source: Arc::new(error) },
            },
            _ => Self::Io { path, source: Arc::new(error) },
        }
    }
}
