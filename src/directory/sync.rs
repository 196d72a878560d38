//! The jobs: for each tenant one that reads users and groups, one that reads risk, and one that looks after the
//! permissions. Tenants do not wait for each other.

pub(super) mod gates;
mod people;
mod risk;

use std::future::Future;
use std::sync::Arc;

use tokio::task::JoinSet;

use super::desk::Desk;
use super::schedule::LONGEST_ASKED;
use crate::entra::graph::{Backoff, GraphError};
use crate::store::StoreError;

/// Runs all jobs; dropping the future ends them.
pub(super) async fn run(desks: &[Arc<Desk>]) {
    let mut jobs = JoinSet::new();
    for desk in desks {
        jobs.spawn(people::run(Arc::clone(desk)));
        jobs.spawn(risk::run(Arc::clone(desk)));
        jobs.spawn(gates::run(Arc::clone(desk)));
    }
    while let Some(ended) = jobs.join_next().await {
        // They never return, so this is a panic: the others go on, and what it read ages, which readers see.
        if let Err(error) = ended {
            tracing::error!(error = %error, "a job of the directory ended");
        }
    }
    // Nobody to wait for; whoever waits for this must not take it for an end.
    std::future::pending().await
}

/// Why a cycle failed.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Graph(#[from] GraphError),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Some of what came could not be read.
    #[error("{0} items could not be read; nobody is removed until a whole reading succeeds")]
    Incomplete(usize),
    /// Upload was turned off in the middle.
    #[error("data upload was turned off while it was read; what had not been taken yet is read again")]
    UploadOff,
}

impl Fault {
    const fn word(&self) -> &'static str {
        match self {
            Self::Graph(error) => error.word(),
            Self::Store(_) => "store",
            Self::Incomplete(_) => "incomplete",
            Self::UploadOff => "upload_off",
        }
    }

    const fn retry_after(&self) -> Option<std::time::Duration> {
        match self {
            Self::Graph(error) => error.retry_after(),
            Self::Store(_) | Self::Incomplete(_) | Self::UploadOff => None,
        }
    }
}

/// Asks for one page, a few times if it fails in a way that passes, so that a long reading does not begin anew.
async fn patiently<T, F: Future<Output = Result<T, GraphError>>>(
    desk: &Desk,
    ask: impl Fn() -> F,
) -> Result<T, GraphError> {
    let mut backoff = Backoff::new(TRIES_OF_A_PAGE);
    loop {
        let error = match ask().await {
            Ok(page) => return Ok(page),
            Err(error) => error,
        };
        let Some(wait) = error.is_passing().then(|| backoff.next(error.retry_after())).flatten() else {
            return Err(error);
        };
        desk.pause(wait.min(LONGEST_ASKED)).await;
    }
}

/// A random number to spread retries; none when the machine has no randomness.
fn noise() -> u8 {
    let mut byte = [0u8; 1];
    aws_lc_rs::rand::fill(&mut byte).map_or(0, |()| byte[0])
}

const TRIES_OF_A_PAGE: u32 = 3;
