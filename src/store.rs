//! Layer 2: the embedded durable store (redb) and the key ring.
//!
//! One file, one writer thread. What is written while a commit is under way goes to disk together in the next one,
//! so a thousand sign-ins at once cost a few `fsync`, not a thousand. A write that has returned survives a crash.

mod error;
mod file;
mod keyring;
mod writer;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

pub use error::StoreError;
pub use keyring::{Keyring, KeyringError, MacKeys};

use file::DatabaseFile;
use writer::Writer;

/// The tables of the store: a closed list, so that one look tells what is on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// Session key to sealed session record.
    Sessions,
    /// Session key to sealed last use, apart from the record because it changes far more often.
    LastUse,
    /// Cookie key to sealed session key and host.
    HostBindings,
    /// Name to sealed secret of the gateway itself, such as a signing key.
    Secrets,
    /// Tenant and number to a user or group as the directory told it. Personal data, not sealed: see `directory`.
    DirectoryObjects,
    /// Tenant, full reading, group and first member to a run of members of the group.
    DirectoryMembers,
    /// Tenant and what is read to where the reading stands.
    DirectoryRounds,
    /// Tenant and account to its risk.
    Risk,
    /// Tenant and account to what an administrator said of it by hand.
    Holds,
    /// Task number to sealed account action; one further key for what their brakes remember.
    Tasks,
    /// Facts about the file, such as its format, and small facts of the gateway, such as what a tenant allows.
    Meta,
}

impl Table {
    /// Every table.
    pub const ALL: [Self; 11] = [
        Self::Sessions,
        Self::LastUse,
        Self::HostBindings,
        Self::Secrets,
        Self::DirectoryObjects,
        Self::DirectoryMembers,
        Self::DirectoryRounds,
        Self::Risk,
        Self::Holds,
        Self::Tasks,
        Self::Meta,
    ];

    /// Its name in the file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sessions => "sessions",
            Self::LastUse => "last_use",
            Self::HostBindings => "host_bindings",
            Self::Secrets => "secrets",
            Self::Tasks => "tasks",
            Self::DirectoryObjects => "directory_objects",
            Self::DirectoryMembers => "directory_members",
            Self::DirectoryRounds => "directory_rounds",
            Self::Risk => "risk",
            Self::Holds => "holds",
            Self::Meta => "meta",
        }
    }
}

/// Handle to the store. Clones share the file; the last one to go closes it.
#[derive(Clone)]
pub struct Store {
    file: Arc<DatabaseFile>,
    writer: Arc<Writer>,
}

impl Store {
    /// Opens `portcullis.redb` in `dir`, making both on first start. Blocks; after a crash it repairs the file first.
    ///
    /// # Errors
    /// When another process has it open, it is damaged or of a newer version, or the disk fails.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let file = Arc::new(DatabaseFile::open(dir)?);
        let writer = Arc::new(Writer::start(Arc::clone(&file))?);
        Ok(Self { file, writer })
    }

    /// Writes all of `batch` or nothing. Returns when it is on disk, hence survives a crash.
    ///
    /// Waits as long as the disk does; a caller with a deadline may stop waiting, and the batch is then written or not.
    ///
    /// # Errors
    /// When it could not be written. After an I/O error the store heals itself with the next write that succeeds.
    pub async fn write(&self, batch: Batch) -> Result<(), StoreError> {
        if batch.bytes > MAX_BATCH_BYTES {
            return Err(StoreError::TooLarge { bytes: batch.bytes });
        }
        if batch.is_empty() {
            return Ok(());
        }
        self.writer.write(batch).await
    }

    /// Reads one value. Blocks: call it at start or from a blocking thread.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn read(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.file.read(table, key)
    }

    /// Reads one value without blocking the calling thread. Needs a tokio runtime of any kind.
    ///
    /// # Errors
    /// As [`Store::read`].
    pub async fn read_async(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let (file, key) = (Arc::clone(&self.file), key.to_vec());
        let read = tokio::task::spawn_blocking(move || file.read(table, &key)).await;
        read.unwrap_or_else(|_| Err(self.file.stopped()))
    }

    /// Shows every entry of a table to `each`, in key order. Blocks; meant for the start.
    ///
    /// # Errors
    /// As [`Store::read`].
    pub fn scan(&self, table: Table, each: impl FnMut(&[u8], &[u8])) -> Result<(), StoreError> {
        self.file.scan(table, each)
    }

    /// Transactions written since the store was opened; far fewer than writes when many arrive at once.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.file.commits()
    }

    /// Keeps a secret of the gateway itself, sealed under its name.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub async fn save_secret(&self, keyring: &Keyring, name: &str, plain: &[u8]) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        batch.put(Table::Secrets, name.as_bytes(), &keyring.seal(SECRET_PURPOSE, name.as_bytes(), plain));
        self.write(batch).await
    }

    /// The secret saved under `name`; `None` also when it was sealed with a key that is gone. Blocks.
    ///
    /// # Errors
    /// As [`Store::read`].
    pub fn load_secret(&self, keyring: &Keyring, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let sealed = self.read(Table::Secrets, name.as_bytes())?;
        Ok(sealed.and_then(|sealed| keyring.open_sealed(SECRET_PURPOSE, name.as_bytes(), &sealed)))
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("path", &self.file.path()).finish_non_exhaustive()
    }
}

/// Changes that are written together or not at all.
#[derive(Default)]
pub struct Batch {
    changes: Vec<Change>,
    bytes: usize,
}

impl Batch {
    /// No changes yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets `key` to `value`.
    pub fn put(&mut self, table: Table, key: &[u8], value: &[u8]) {
        self.push(Change { table, key: key.to_vec(), value: Some(value.to_vec()), only_if: None });
    }

    /// Sets `key` to `value`, unless `present` has gone by the time of writing. Keeps a late write from bringing
    /// back what was deleted meanwhile.
    pub fn put_if(&mut self, present: (Table, &[u8]), table: Table, key: &[u8], value: &[u8]) {
        let only_if = Some((present.0, present.1.to_vec()));
        self.push(Change { table, key: key.to_vec(), value: Some(value.to_vec()), only_if });
    }

    /// Removes `key`, if it is there.
    pub fn delete(&mut self, table: Table, key: &[u8]) {
        self.push(Change { table, key: key.to_vec(), value: None, only_if: None });
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    fn push(&mut self, change: Change) {
        let size = change.key.len().saturating_add(change.value.as_ref().map_or(0, Vec::len));
        self.bytes = self.bytes.saturating_add(size);
        self.changes.push(change);
    }
}

/// One change; a missing value deletes.
struct Change {
    table: Table,
    key: Vec<u8>,
    value: Option<Vec<u8>>,
    only_if: Option<(Table, Vec<u8>)>,
}

/// The most one batch may hold.
const MAX_BATCH_BYTES: usize = 16 * 1024 * 1024;
const SECRET_PURPOSE: &str = "gateway secret";

#[cfg(test)]
pub(crate) mod tests;
