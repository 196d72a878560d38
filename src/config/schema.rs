//! The JSON Schemas of the two files, generated from the types that read them.

use serde_json::Value;

/// Schema of the configuration file.
#[must_use]
pub fn config_schema() -> Value {
    schemars::schema_for!(super::file::File).to_value()
}

/// Schema of the rules file.
#[must_use]
pub fn rules_schema() -> Value {
    crate::policy::text::schema()
}
