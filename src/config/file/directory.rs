//! `[directory]`: what is read from Microsoft Graph.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::words::{ProfileWord, Span};
use crate::document::At;

/// What is read from Microsoft Graph, for every tenant of `entra.tenants`. Needs the permissions of Graph that the README
/// lists, granted in each tenant.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Directory {
    /// Address of Graph in the cloud of `entra.authority`.
    pub(in crate::config) graph: Option<At<String>>,
    /// How often it is read, unless the keys below say otherwise.
    pub(in crate::config) profile: At<ProfileWord>,
    /// From the start to the first reading of a tenant of which nothing is known.
    pub(in crate::config) first: Option<Span>,
    /// Between two updates of users and groups.
    pub(in crate::config) people_every: Option<Span>,
    /// Between two looks for changed risk.
    pub(in crate::config) risk_every: Option<Span>,
    /// Between two readings of the whole list of risky accounts, which mends what the looks missed.
    pub(in crate::config) risk_full_every: Option<Span>,
    /// Whether risk is taken from a tenant before an administrator has turned its data upload on or off.
    pub(in crate::config) data_upload: bool,
}

impl Default for Directory {
    fn default() -> Self {
        Self {
            graph: None,
            profile: ProfileWord::Fast.into(),
            first: None,
            people_every: None,
            risk_every: None,
            risk_full_every: None,
            data_upload: false,
        }
    }
}
