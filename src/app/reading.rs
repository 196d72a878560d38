//! The directory and its jobs, put together from the configuration.

use std::sync::Arc;

use super::AppError;
use crate::audit::AuditLog;
use crate::config::Config;
use crate::directory::{Control, Directory, Ground};
use crate::entra::RelyingParty;
use crate::facts::SharedClock;
use crate::store::Store;
use crate::telemetry::Metrics;

/// Opens the directory and sets its jobs up; they run later. Without `[directory]` there is neither.
pub(super) fn begin(
    config: &Config,
    party: &RelyingParty,
    store: &Store,
    (clock, audit, metrics): (&SharedClock, &AuditLog, &Metrics),
) -> Result<(Directory, Control), AppError> {
    let Some(wanted) = &config.directory else { return Ok((Directory::none(Arc::clone(clock)), Control::none())) };
    let tenants = &config.entra.tenants;
    let directory = Directory::open(tenants, store.clone(), Arc::clone(clock))?;
    let ground =
        Ground { directory: directory.clone(), store: store.clone(), clock: Arc::clone(clock), audit: audit.clone() };
    let control = Control::new(wanted.clone(), tenants, party, ground)?;
    let read = control.clone();
    metrics.read_directory_from(move || read.readings());
    Ok((directory, control))
}
