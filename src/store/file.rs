//! The database file: opening, reading, committing, and opening anew after the disk has failed.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

use redb::{Database, Durability, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition, TableError};

use super::{Change, StoreError, Table};

/// The open file. `None` while the disk refuses to give it back after an error.
pub(super) struct DatabaseFile {
    path: PathBuf,
    /// Written only by the one who opens anew, so readers wait for nothing else.
    database: RwLock<Option<Database>>,
    commits: AtomicU64,
}

impl DatabaseFile {
    pub(super) fn open(dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join(FILE_NAME);
        make_private(dir, &path).map_err(|error| StoreError::new(&path, redb::Error::Io(error)))?;
        let database = open_database(&path)?;
        Ok(Self { path, database: RwLock::new(Some(database)), commits: AtomicU64::new(0) })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    pub(super) fn stopped(&self) -> StoreError {
        StoreError::Closed { path: self.path.clone() }
    }

    pub(super) fn read(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.reading(|transaction| match open_for_reading(transaction, table)? {
            Some(table) => Ok(table.get_owned(key)?.map(|value| value.value().to_vec())),
            None => Ok(None),
        })
    }

    pub(super) fn scan(&self, table: Table, mut each: impl FnMut(&[u8], &[u8])) -> Result<(), StoreError> {
        self.reading(|transaction| {
            let Some(table) = open_for_reading(transaction, table)? else {
                return Ok(());
            };
            for entry in table.range::<&[u8]>(..)? {
                let (key, value) = entry?;
                each(key.value(), value.value());
            }
            Ok(())
        })
    }

    /// Applies all changes in one durable transaction, or none of them.
    ///
    /// After an I/O error the database answers every call with that error until it is opened anew, so that happens
    /// here: right after the error, and if the disk still refuses, before the next commit.
    pub(super) fn commit<'a>(&self, changes: impl Iterator<Item = &'a Change>) -> Result<(), StoreError> {
        if self.database.read().unwrap_or_else(PoisonError::into_inner).is_none() {
            self.reopen()?;
        }
        let result = match self.database.read().unwrap_or_else(PoisonError::into_inner).as_ref() {
            Some(database) => apply(database, changes),
            None => return Err(self.stopped()),
        };
        self.commits.fetch_add(1, Ordering::Relaxed);
        result.map_err(|error| {
            // Whether it comes back now or at the next commit, the answer to this one is the error.
            let _reopened = self.reopen();
            StoreError::new(&self.path, error)
        })
    }

    fn reopen(&self) -> Result<(), StoreError> {
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        // The old one holds the lock on the file; it has to go first.
        *database = None;
        *database = Some(open_database(&self.path)?);
        Ok(())
    }

    fn reading<T>(&self, read: impl FnOnce(&ReadTransaction) -> Result<T, redb::Error>) -> Result<T, StoreError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let database = database.as_ref().ok_or_else(|| self.stopped())?;
        let transaction = database.begin_read().map_err(redb::Error::from);
        transaction.and_then(|transaction| read(&transaction)).map_err(|error| StoreError::new(&self.path, error))
    }
}

/// Folder and file for the owner only: the file names people, even though its records are sealed.
fn make_private(dir: &Path, path: &Path) -> std::io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    OpenOptions::new().create(true).append(true).mode(0o600).open(path).map(drop)
}

fn open_database(path: &Path) -> Result<Database, StoreError> {
    // redb warns that opening a file altered by others may panic; the gateway then says so and ends in order.
    let opened = catch_unwind(AssertUnwindSafe(|| Database::builder().set_cache_size(CACHE_BYTES).create(path)));
    let database = match opened {
        Ok(opened) => opened.map_err(|error| StoreError::new(path, error.into()))?,
        Err(_) => return Err(StoreError::new(path, redb::Error::Corrupted("panicked while opening".to_owned()))),
    };
    match stored_format(&database).map_err(|error| StoreError::new(path, error))? {
        None => make_tables(&database).map_err(|error| StoreError::new(path, error))?,
        Some(found) if found == FORMAT.to_string().as_bytes() => {}
        Some(found) => {
            let found = String::from_utf8_lossy(&found).chars().take(20).collect();
            return Err(StoreError::NewerFormat { path: path.to_path_buf(), found, known: FORMAT });
        }
    }
    Ok(database)
}

fn stored_format(database: &Database) -> Result<Option<Vec<u8>>, redb::Error> {
    let Some(meta) = open_for_reading(&database.begin_read()?, Table::Meta)? else {
        return Ok(None);
    };
    Ok(meta.get_owned(FORMAT_KEY)?.map(|value| value.value().to_vec()))
}

fn make_tables(database: &Database) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    for table in Table::ALL {
        transaction.open_table(definition(table))?;
    }
    transaction.open_table(definition(Table::Meta))?.insert(FORMAT_KEY, FORMAT.to_string().as_bytes())?;
    Ok(transaction.commit()?)
}

fn apply<'a>(database: &Database, changes: impl Iterator<Item = &'a Change>) -> Result<(), redb::Error> {
    let mut transaction = database.begin_write()?;
    // Anything weaker lets the file grow without bound and loses what was acknowledged.
    transaction.set_durability(Durability::Immediate)?;
    // One fsync more per commit, shared by all that wait, for a start after a crash that does not first walk the file.
    transaction.set_quick_repair(true);
    for change in changes {
        if let Some((table, key)) = &change.only_if
            && transaction.open_table(definition(*table))?.get(key.as_slice())?.is_none()
        {
            continue;
        }
        let mut table = transaction.open_table(definition(change.table))?;
        match &change.value {
            Some(value) => table.insert(change.key.as_slice(), value.as_slice())?,
            None => table.remove(change.key.as_slice())?,
        };
    }
    Ok(transaction.commit()?)
}

/// `None`: a table this file does not have yet, hence an empty one.
fn open_for_reading(transaction: &ReadTransaction, table: Table) -> Result<Option<ReadOnly>, redb::Error> {
    match transaction.open_table(definition(table)) {
        Ok(table) => Ok(Some(table)),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

const fn definition(table: Table) -> TableDefinition<'static, &'static [u8], &'static [u8]> {
    TableDefinition::new(table.name())
}

type ReadOnly = redb::ReadOnlyTable<&'static [u8], &'static [u8]>;

const FILE_NAME: &str = "portcullis.redb";
const FORMAT_KEY: &[u8] = b"format";
/// Raised by whoever changes what the tables hold.
pub(super) const FORMAT: u32 = 1;
/// Pages kept in memory. Sessions in use are cached above, so this serves starts and misses.
const CACHE_BYTES: usize = 64 * 1024 * 1024;
