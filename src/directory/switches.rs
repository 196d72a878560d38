//! What outlives a restart besides the people: the data upload switch, and which permissions were ever there.

use serde::{Deserialize, Serialize};

use crate::facts::TenantId;
use crate::store::{Batch, Store, StoreError, Table};

/// One tenant's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Switches {
    /// What an administrator said last about data upload; `None` before anybody did.
    pub(super) upload: Option<bool>,
    /// Whether the permission for the directory was ever there, so that "gone" is told from "never given".
    pub(super) directory_seen: bool,
    /// The same for risk.
    pub(super) risk_seen: bool,
}

impl Switches {
    /// Reads a tenant's. Blocks; meant for the start.
    pub(super) fn load(store: &Store, tenant: TenantId) -> Result<Self, StoreError> {
        // What cannot be read stands as never said: upload is then as configured, which is off unless it says otherwise.
        let kept = store.read(Table::Meta, &key(tenant))?;
        Ok(kept.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default())
    }

    /// Writes a tenant's; durable when it returns.
    pub(super) async fn save(self, store: &Store, tenant: TenantId) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        batch.put(Table::Meta, &key(tenant), &serde_json::to_vec(&self).unwrap_or_default());
        store.write(batch).await
    }
}

fn key(tenant: TenantId) -> Vec<u8> {
    format!("tenant/{tenant}/switches").into_bytes()
}
