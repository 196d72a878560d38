//! The rules file: TOML in, access rules and risk control out, or everything that is wrong with it.

mod build;
mod file;

use std::path::Path;

use crate::document::{Document, Problems};

use super::{RiskControl, Rule};

/// What a rules file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RulesFile {
    /// Access rules, in order.
    pub access: Vec<Rule>,
    /// Risk rules and what holds for risk everywhere. What single apps say stands in the configuration.
    pub risk: RiskControl,
}

/// Reads the rules file `text`. `apps` are the configured apps' names in the order of their ids.
///
/// # Errors
/// Everything that is wrong, with rule, key, what was expected, line and column.
pub fn parse(file: &Path, text: &str, apps: &[&str]) -> Result<RulesFile, Problems> {
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
