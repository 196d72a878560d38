//! The names of hosts that cookies are bound to: few names, many cookies, so each text is kept once.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// Texts that are shared.
#[derive(Default)]
pub(super) struct Hosts {
    known: Mutex<BTreeSet<Arc<str>>>,
}

impl Hosts {
    /// The one text of this name.
    pub(super) fn text(&self, host: &str) -> Arc<str> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(text) = known.get(host) {
            return Arc::clone(text);
        }
        let text: Arc<str> = host.into();
        // Names come from the configuration; whatever else there may be is not kept.
        if known.len() < MOST {
            known.insert(Arc::clone(&text));
        }
        text
    }
}

const MOST: usize = 4096;
