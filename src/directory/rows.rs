//! Where the directory's rows are in the store, and what is written together.
//!
//! The rows are not sealed. They are personal data in a file that its owner alone may read; sealing them would cost a
//! decryption for each of a million rows at every start, with a key that lies in the same folder.

use super::SyncKind;
use super::reading::code;
use crate::facts::{Guid, ObjectId, TenantId};
use crate::store::{Batch, Store, StoreError, Table};

/// Changes of rows, in order.
#[derive(Debug, Default)]
pub(super) struct Rows {
    changes: Vec<Change>,
}

/// A row: table, key, and its new value unless it goes.
type Change = (Table, Vec<u8>, Option<Vec<u8>>);

impl Rows {
    pub(super) fn put(&mut self, table: Table, key: Vec<u8>, value: Vec<u8>) {
        self.changes.push((table, key, Some(value)));
    }

    pub(super) fn delete(&mut self, table: Table, key: Vec<u8>) {
        self.changes.push((table, key, None));
    }

    /// Writes or deletes.
    pub(super) fn set(&mut self, table: Table, key: Vec<u8>, value: Option<Vec<u8>>) {
        self.changes.push((table, key, value));
    }

    pub(super) fn append(&mut self, other: &mut Self) {
        self.changes.append(&mut other.changes);
    }

    /// Writes all of them in one batch.
    ///
    /// # Errors
    /// When the store cannot write; nothing is written then.
    pub(super) async fn write(self, store: &Store) -> Result<(), StoreError> {
        store.write(batch(self.changes.iter())).await
    }

    /// Writes them in as many batches as it takes: for rows that mean nothing any more, or say what is known anyway.
    ///
    /// # Errors
    /// When the store cannot write; what is not written stays here.
    pub(super) async fn write_in_turn(&mut self, store: &Store) -> Result<(), StoreError> {
        while !self.changes.is_empty() {
            let some = self.changes.len().min(MOST_IN_BATCH);
            store.write(batch(self.changes.iter().take(some))).await?;
            self.changes.drain(..some);
        }
        Ok(())
    }
}

fn batch<'a>(changes: impl Iterator<Item = &'a Change>) -> Batch {
    let mut batch = Batch::new();
    for (table, key, value) in changes {
        match value {
            Some(value) => batch.put(*table, key, value),
            None => batch.delete(*table, key),
        }
    }
    batch
}

/// Tenant and number, in [`Table::DirectoryObjects`].
pub(super) fn object_key(tenant: TenantId, number: u32) -> Vec<u8> {
    key(tenant, &number.to_be_bytes())
}

/// Tenant, number of the full reading, group and first possible member, in [`Table::DirectoryMembers`].
pub(super) fn members_key(tenant: TenantId, reading: u32, group: u32, start: u32) -> Vec<u8> {
    let mut key = key(tenant, &reading.to_be_bytes());
    key.extend_from_slice(&group.to_be_bytes());
    key.extend_from_slice(&start.to_be_bytes());
    key
}

/// Tenant and account, in [`Table::Risk`] and [`Table::Holds`].
pub(super) fn person_key(tenant: TenantId, object: ObjectId) -> Vec<u8> {
    key(tenant, &object.0.as_u128().to_be_bytes())
}

/// Tenant and what is read, in [`Table::DirectoryRounds`].
pub(super) fn reading_key(tenant: TenantId, kind: SyncKind) -> Vec<u8> {
    key(tenant, &[code(kind)])
}

fn key(tenant: TenantId, rest: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(16 + rest.len());
    key.extend_from_slice(&tenant.0.as_u128().to_be_bytes());
    key.extend_from_slice(rest);
    key
}

/// The tenant of a key, and the rest.
pub(super) fn split(key: &[u8]) -> Option<(TenantId, &[u8])> {
    let (tenant, rest) = key.split_first_chunk()?;
    Some((TenantId(Guid::from_u128(u128::from_be_bytes(*tenant))), rest))
}

/// A number, and the rest.
pub(super) fn number(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u32::from_be_bytes(*number), rest))
}

/// An account at the end of a key.
pub(super) fn person(bytes: &[u8]) -> Option<ObjectId> {
    let (id, _) = bytes.split_first_chunk()?;
    Some(ObjectId(Guid::from_u128(u128::from_be_bytes(*id))))
}

const MOST_IN_BATCH: usize = 20_000;
