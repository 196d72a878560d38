//! The rules file: TOML in, [`Rule`]s out, or everything that is wrong with it.

mod build;
mod file;

use std::path::Path;

use crate::document::{Document, Problems};

use super::Rule;

/// Reads the rules file `text`. `apps` are the configured apps' names in the order of their ids.
///
/// # Errors
/// Everything that is wrong, with rule, key, what was expected, line and column.
pub fn parse(file: &Path, text: &str, apps: &[&str]) -> Result<Vec<Rule>, Problems> {
    let document = Document::parse(file, text)?;
    let rules: file::Rules = document.read(&schema())?;
    build::rules(&document, &rules, apps)
}

/// The JSON Schema of the rules file.
#[must_use]
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(file::Rules).to_value()
}

#[cfg(test)]
mod tests;
