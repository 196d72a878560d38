//! Where a request wants to go.

use http::Method;

/// Index of an app in the running configuration generation; only meaningful within that generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AppId(pub u32);

/// The destination of a request, borrowed from it.
#[derive(Debug, Clone, Copy)]
pub enum Destination<'a> {
    /// A private app behind the gateway.
    App {
        /// Which app.
        app: AppId,
        /// The app's configured name, for rules and logs.
        name: &'a str,
        /// Request method, exactly as forwarded.
        method: &'a Method,
        /// Canonical path (no query), exactly as forwarded.
        path: &'a str,
    },
}
