//! The composition root: wires every part from one configuration, runs until told to stop, swaps generations on reload.

mod addresses;
mod reload;

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::access::{Assertions, Gateway, HealthBoard, RouteError, Routes, SecretStore, World};
use crate::admin::{self, Admin, Readiness};
use crate::audit::AuditLog;
use crate::config::Config;
use crate::edge::{Certificates, Edge, EdgeError, Shutdown};
use crate::entra::{EntraError, RelyingParty};
use crate::facts::SharedClock;
use crate::generation::Generation;
use crate::pages::Pages;
use crate::peers::Peers;
use crate::policy::Policy;
use crate::session::{SessionError, Sessions};
use crate::sign_in::{self, SignIn};
use crate::store::{Keyring, KeyringError, Store, StoreError};
use crate::telemetry::Metrics;

pub use addresses::Addresses;
pub use reload::{ReloadError, Reloader};

/// The gateway could not be put together. Nothing has been served.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The state folder.
    #[error("cannot create the state folder {}", path.display())]
    StateDir {
        /// Which.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The store.
    #[error("the state store cannot be opened")]
    Store(#[from] StoreError),
    /// The key ring.
    #[error("the key ring cannot be opened")]
    Keyring(#[from] KeyringError),
    /// Sessions.
    #[error("the sessions cannot be loaded")]
    Sessions(#[from] SessionError),
    /// The identity provider's configuration.
    #[error("the identity provider cannot be used as configured")]
    Entra(#[from] EntraError),
    /// The apps.
    #[error("the apps cannot be routed as configured")]
    Routes(#[from] RouteError),
    /// Sockets and certificates.
    #[error("the listeners cannot be opened")]
    Edge(#[from] EdgeError),
    /// The decision log.
    #[error("the decision log cannot be opened")]
    Audit(#[source] std::io::Error),
    /// The admin listener.
    #[error("the admin listener cannot be opened")]
    Admin(#[from] admin::AdminError),
    /// The assertion keys.
    #[error("the assertion keys cannot be made")]
    Assertions,
}
