//! Small values as they are written: durations, sizes and words from closed lists.

use std::borrow::Cow;
use std::ops::Deref;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::config::size::format_size;
use crate::document::At;
use crate::facts::format_duration;

/// A duration as text, such as `30s`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(transparent)]
pub(in crate::config) struct Span(At<String>);

impl Span {
    /// A default.
    pub(in crate::config) fn written(text: &str) -> Self {
        Self(text.to_owned().into())
    }

    /// A default taken from the part's own configuration.
    pub(in crate::config) fn of(span: Duration) -> Self {
        Self(format_duration(span).into())
    }
}

impl Deref for Span {
    type Target = At<String>;

    fn deref(&self) -> &At<String> {
        &self.0
    }
}

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A whole number with a unit: ms, s, m, h or d.",
            "pattern": "^[0-9]+(ms|s|m|h|d)$",
            "examples": ["250ms", "30s", "15m", "8h", "7d"],
        })
    }
}

/// A size in bytes as text, such as `16KiB`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(transparent)]
pub(in crate::config) struct Size(At<String>);

impl Size {
    /// A default.
    pub(in crate::config) fn written(text: &str) -> Self {
        Self(text.to_owned().into())
    }

    /// A default taken from the part's own configuration.
    pub(in crate::config) fn of(bytes: u64) -> Self {
        Self(format_size(bytes).into())
    }
}

impl Deref for Size {
    type Target = At<String>;

    fn deref(&self) -> &At<String> {
        &self.0
    }
}

impl JsonSchema for Size {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A whole number with a unit: B, KB, MB, GB (powers of 1000) or KiB, MiB, GiB (of 1024).",
            "pattern": "^[0-9]+(B|KB|MB|GB|KiB|MiB|GiB)$",
            "examples": ["16KiB", "10MB"],
        })
    }
}

/// Oldest TLS version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub(in crate::config) enum TlsWord {
    /// TLS 1.2 with ECDHE and AEAD, and TLS 1.3.
    #[serde(rename = "1.2")]
    Tls12,
    /// TLS 1.3 only.
    #[serde(rename = "1.3")]
    Tls13,
}

/// HTTP version spoken to an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum HttpWord {
    /// What TLS negotiates; HTTP/1.1 on plain connections.
    Auto,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2, also on plain connections.
    Http2,
}

/// How an instance is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum BalanceWord {
    /// One after the other.
    RoundRobin,
    /// The one with the fewest requests in flight.
    LeastLoaded,
}

/// How the provider's answer comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum ResponseWord {
    /// Posted by the browser; nothing in addresses.
    FormPost,
    /// In the query of the redirect address.
    Query,
}

/// Whose orders need another person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum ApprovalWord {
    /// Nobody's.
    None,
    /// Those of rules.
    Automatic,
    /// Those of rules, and those of persons.
    All,
}

/// How often Graph is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum ProfileWord {
    /// At once, then every few seconds.
    Fast,
    /// As Trend's ZTSA: after ten minutes, then every eight hours.
    Ztsa,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum FormatWord {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// What happens when an account's risk is too old.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum StaleWord {
    /// Go by the last known risk, and mark every request in the decision log.
    LastKnown,
    /// Assume at least a low risk, and mark every request in the decision log.
    Low,
    /// Ask for a stronger sign-in: `risk.context` of the rules file.
    Challenge,
    /// Refuse.
    Block,
}
