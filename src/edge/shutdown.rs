//! The handle by which the process asks the edge to stop.

use std::sync::Arc;

use tokio::sync::watch;

/// Clones see the same request to stop. Once begun it cannot be taken back.
#[derive(Debug, Clone)]
pub struct Shutdown {
    begun: Arc<watch::Sender<bool>>,
}

impl Shutdown {
    /// A handle on which nothing has been asked.
    #[must_use]
    pub fn new() -> Self {
        Self { begun: Arc::new(watch::Sender::new(false)) }
    }

    /// Asks to stop: no connection is accepted any more, those open finish what they do until the drain time is over.
    pub fn begin(&self) {
        self.begun.send_replace(true);
    }

    /// Whether stopping has been asked for.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        *self.begun.borrow()
    }

    /// Waits until stopping is asked for.
    pub async fn begun(&self) {
        let mut receiver = self.begun.subscribe();
        // The sender lives as long as `self`, so the only way out is the value.
        let _ = receiver.wait_for(|begun| *begun).await;
    }
}

impl Default for Shutdown {
    fn default() -> Self {
        Self::new()
    }
}
