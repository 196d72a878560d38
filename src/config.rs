//! Layer 5: one TOML file in, the typed configuration of every part out, or everything that is wrong with it.
//!
//! `file` says how it is written, `build` what it means. Nothing else in the gateway reads the file or the environment.

mod build;
mod file;
mod schema;
mod secret;
mod settings;
mod size;
mod watch;

pub use schema::{config_schema, rules_schema};
pub use secret::SecretError;
pub use settings::{AdminSettings, Config, DecisionLogSettings, LogFormat, LogSettings};
pub use size::{ParseSizeError, format_size, parse_size};
pub use watch::{Change, LOOK_EVERY, Watcher};

use std::io;
use std::path::{Path, PathBuf};

use crate::document::{Document, Problem, Problems};
use crate::policy::{self, RiskControl, Rule, Verdict, Who};

/// Why no configuration could be made. The one that runs stays.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file could not be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What the files say is wrong.
    #[error(transparent)]
    Invalid(#[from] Problems),
}

/// Where secrets named `env:NAME` come from.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

impl Config {
    /// Reads the file at `path`, the rules file it names, and the secrets it refers to.
    ///
    /// # Errors
    /// Everything that is wrong in both files, in their order.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        Self::load_with(path, &|name| std::env::var(name).ok())
    }

    /// The same with another environment, for tests.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn load_with(path: &Path, environment: Environment<'_>) -> Result<Self, ConfigError> {
        let text = read(path)?;
        let document = Document::parse(path, &text)?;
        build::one_provider(&document)?;
        let file: file::File = document.read(&config_schema())?;
        let folder = path.parent().unwrap_or_else(|| Path::new(""));
        let (outcome, rules_path) = build::config(&document, &file, folder, environment);
        let names: Vec<&str> = file.app.iter().map(|app| app.name.as_str()).collect();
        let rules = match read(&rules_path) {
            Ok(text) => policy::text::parse(&rules_path, &text, &names),
            Err(ConfigError::Read { path, source }) if outcome.is_ok() => {
                return Err(ConfigError::Read { path, source });
            }
            Err(_) => policy::text::parse(&rules_path, "", &names),
        };
        match (outcome, rules) {
            (Ok(mut config), Ok(rules)) => {
                let asks = build::stale_challenges(&document, &file, &rules.risk.settings);
                if !asks.is_empty() {
                    return Err(ConfigError::Invalid(Problems::new(asks)));
                }
                config.rules = build::console_rules(&config);
                config.rules.extend(rules.access);
                config.risk = RiskControl { apps: config.risk.apps, ..rules.risk };
                config.warnings.extend(unwise(&config, &rules_path));
                config.path = Some(path.to_owned());
                config.files.push(path.to_owned());
                config.files.push(rules_path);
                Ok(config)
            }
            (outcome, rules) => {
                let mut problems = outcome.err().map(Problems::into_list).unwrap_or_default();
                problems.extend(rules.err().map(Problems::into_list).unwrap_or_default());
                Err(ConfigError::Invalid(Problems::new(problems)))
            }
        }
    }
}

/// Rules that are allowed but probably not meant.
fn unwise(config: &Config, path: &Path) -> Vec<Problem> {
    let mut warnings = Vec::new();
    let mut warn = |rule: &Rule, message: String| {
        warnings.push(Problem {
            file: path.to_owned(),
            at: None,
            message: format!("rule \"{}\", {message}", rule.name),
        });
    };
    for rule in &config.rules {
        match &rule.who {
            Who::Anyone if rule.verdict == Verdict::Allow && (rule.paths.is_empty() || rule.apps.is_empty()) => {
                warn(rule, "who: opens whole apps to everybody, signed in or not; name apps and paths".to_owned());
            }
            Who::Listed { users, .. } => {
                for user in users.iter().filter(|user| !config.entra.tenants.contains(&user.tenant)) {
                    warn(rule, format!("users: {user} is of a tenant whose people cannot sign in here"));
                }
            }
            Who::Anyone | Who::SignedIn => {}
        }
    }
    if config.risk.is_used() && config.directory.is_none() {
        let message = "there are risk rules but no [directory] in the configuration, so risk is never known and \
                       risk.on_not_configured decides"
            .to_owned();
        warnings.push(Problem { file: path.to_owned(), at: None, message });
    }
    warnings
}

/// No honest configuration is larger; a larger file is somebody's mistake or attack.
const LARGEST_FILE: u64 = 8 * 1024 * 1024;

fn read(path: &Path) -> Result<String, ConfigError> {
    let fail = |source| ConfigError::Read { path: path.to_owned(), source };
    let metadata = std::fs::metadata(path).map_err(fail)?;
    if metadata.len() > LARGEST_FILE {
        return Err(fail(io::Error::new(io::ErrorKind::FileTooLarge, "larger than 8 MiB")));
    }
    std::fs::read_to_string(path).map_err(fail)
}

#[cfg(test)]
mod tests;
