//! The one gate: session and policy in, a [`Permit`] or a refusal out. The only place that grants.

mod permit;

pub use permit::Permit;
