//! `portcullis check`: is the configuration valid? Also prints the JSON Schemas of the two files.

use clap::{Args, ValueEnum};
use serde_json::json;

use crate::config::{Config, config_schema, rules_schema};

use super::{ConfigArguments, Exit, Output};

/// Say everything that is wrong with the configuration and the rules, or that nothing is.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: ConfigArguments,
    /// Print the JSON Schema of a file instead.
    #[arg(long, value_enum, value_name = "FILE", num_args = 0..=1, default_missing_value = "portcullis")]
    schema: Option<Schema>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Schema {
    /// The configuration.
    Portcullis,
    /// The access rules.
    Rules,
}

pub(super) fn run(arguments: &Arguments, output: &mut Output) -> Exit {
    match arguments.schema {
        Some(Schema::Portcullis) => output.json(&config_schema()),
        Some(Schema::Rules) => output.json(&rules_schema()),
        None => return check(&arguments.config, output),
    }
    Exit::Done
}

fn check(arguments: &ConfigArguments, output: &mut Output) -> Exit {
    let config = match super::load(&arguments.config, arguments.json, output) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    if arguments.json {
        output.json(&json!({
            "valid": true,
            "problems": [],
            "warnings": config.warnings,
            "apps": config.apps.iter().map(|app| &app.name).collect::<Vec<_>>(),
            "rules": config.rules.iter().map(|rule| &rule.name).collect::<Vec<_>>(),
        }));
        return Exit::Done;
    }
    for warning in &config.warnings {
        output.complain(&format!("warning: {warning}"));
    }
    output.line(&format!("{}: valid, {}", arguments.config.display(), summary(&config)));
    Exit::Done
}

fn summary(config: &Config) -> String {
    let count = |number: usize, one: &str| format!("{number} {one}{}", if number == 1 { "" } else { "s" });
    [
        count(config.apps.len(), "app"),
        count(config.rules.len(), "rule"),
        count(config.edge.tls.certificates.len(), "certificate"),
    ]
    .join(", ")
}
