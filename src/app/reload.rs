//! Reload: build all, then swap; on failure everything stays as it was.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use super::{AppError, Lasting, world};
use crate::audit::Event;
use crate::config::{Config, ConfigError};
use crate::edge::CertError;

/// Swaps in new configurations. Cheap to clone.
#[derive(Clone)]
pub struct Reloader {
    lasting: Arc<Lasting>,
}

/// A new configuration was not taken over; the one before still runs.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The files are wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The parts cannot be built from it.
    #[error("{}", chain(.0))]
    Build(#[from] AppError),
    /// The certificates cannot be used.
    #[error("{}", chain(.0))]
    Certificates(#[from] CertError),
    /// There is no file: the gateway was started from a configuration in memory.
    #[error("there is no configuration file to read again")]
    NoFile,
}

impl Reloader {
    pub(super) const fn new(lasting: Arc<Lasting>) -> Self {
        Self { lasting }
    }

    /// Reads the file the gateway was started with again, and swaps.
    ///
    /// # Errors
    /// See [`ReloadError`]; nothing has changed then.
    pub async fn reload_from_file(&self) -> Result<u64, ReloadError> {
        let outcome = self.try_from_file().await;
        let control = &self.lasting.base.metrics.control;
        match &outcome {
            Ok(generation) => {
                control.reloaded(Some(*generation));
                tracing::info!(generation, "a new configuration runs");
                self.lasting.base.audit.record(Event::ConfigReloaded { generation: *generation });
            }
            Err(error) => {
                control.reloaded(None);
                let generation = self.lasting.world.number();
                tracing::error!(error = %error, generation, "the new configuration was refused; the one before still runs");
                let problem = error.to_string().into();
                self.lasting.base.audit.record(Event::ConfigReloadFailed { generation, problem });
            }
        }
        outcome
    }

    async fn try_from_file(&self) -> Result<u64, ReloadError> {
        let path = self.path().ok_or(ReloadError::NoFile)?;
        // Reading and parsing files must not hold up the control runtime.
        let loaded = tokio::task::spawn_blocking(move || Config::load(&path)).await;
        let config = loaded.map_err(|_| ReloadError::NoFile)??;
        self.swap(config)
    }

    /// Builds a generation from `config` and swaps it in.
    ///
    /// # Errors
    /// See [`ReloadError`]; nothing has changed then.
    pub fn swap(&self, config: Config) -> Result<u64, ReloadError> {
        let lasting = &self.lasting;
        // Held to the end: two reloads at once would each build on the same generation.
        let mut running = lasting.config.lock().unwrap_or_else(PoisonError::into_inner);
        let now = lasting.world.current();
        let provider = world::provider_after(&running, &now, &config, &lasting.base.clock).map_err(AppError::from)?;
        let next = world::build(&lasting.base, &config, provider, now.number() + 1)?;
        warn_about_fixed(&running, &config);
        lasting.certificates.replace(&config.edge.tls.certificates)?;
        // The credential may have changed. Nothing that could fail comes after this.
        lasting.base.sync.use_party(next.sign_in.provider()).map_err(AppError::from)?;
        let number = lasting.world.swap(next);
        lasting.base.audit.reopen();
        let switched = !is_same_issuer(&running, &config);
        lasting.actions.configure(config.actions.clone());
        *running = config;
        drop(running);
        if switched {
            lasting.end_everybody();
        }
        lasting.end_strangers();
        lasting.show_certificates();
        Ok(number)
    }

    /// The files whose change calls for a reload.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        self.lasting.config.lock().unwrap_or_else(PoisonError::into_inner).files.clone()
    }

    fn path(&self) -> Option<PathBuf> {
        let config = self.lasting.config.lock().unwrap_or_else(PoisonError::into_inner);
        config.path.clone()
    }
}

/// Whether people who signed in under `old` are the people of `new`: the same registration at the same provider. Which
/// tenants may sign in is looked at for each session.
fn is_same_issuer(old: &Config, new: &Config) -> bool {
    old.entra.authority == new.entra.authority && old.entra.client_id == new.entra.client_id
}

/// What only a restart changes is said, not silently ignored.
fn warn_about_fixed(old: &Config, new: &Config) {
    let fixed = [
        ("listen", old.edge.https != new.edge.https || old.edge.redirect != new.edge.redirect),
        ("listen.workers", old.edge.workers != new.edge.workers),
        ("state_dir", old.state_dir != new.state_dir),
        ("admin.listen", old.admin.listen != new.admin.listen),
        ("admin.token_file", old.admin.token_file != new.admin.token_file),
        ("decision_log", old.decision_log != new.decision_log),
        ("directory", old.directory != new.directory),
        ("entra.tenants", old.directory.is_some() && old.entra.tenants != new.entra.tenants),
    ];
    for (key, changed) in fixed {
        if changed {
            tracing::warn!(key, "this change takes effect at the next start only");
        }
    }
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
