//! Layer 0: a TOML file read by people's rules: its shape is checked against a JSON Schema, and every problem is
//! reported with file, line and column. Configuration and access rules are both read this way.

mod at;
mod nearest;
mod problem;
mod shape;

pub use at::At;
pub use nearest::nearest;
pub use problem::{Position, Problem, Problems};

use std::ops::Range;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A TOML file that parsed; what it says is not checked yet.
#[derive(Debug, Clone)]
pub struct Document<'t> {
    file: &'t Path,
    text: &'t str,
    root: Spanned<DeTable<'t>>,
}

impl<'t> Document<'t> {
    /// Parses `text`; `file` is only named in problems.
    ///
    /// # Errors
    /// Every place where the text is not TOML.
    pub fn parse(file: &'t Path, text: &'t str) -> Result<Self, Problems> {
        let (root, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            let problem = |error: &toml::de::Error| Problem {
                file: file.to_owned(),
                at: error.span().map(|span| Position::of(text, span.start)),
                message: error.message().to_owned(),
            };
            return Err(Problems::new(errors.iter().map(problem).collect()));
        }
        Ok(Self { file, text, root })
    }

    /// Reads the document as `T` if its shape agrees with `schema`.
    ///
    /// # Errors
    /// Every place where it does not agree; failing that, the first place that `T` refuses.
    pub fn read<T: DeserializeOwned>(&self, schema: &Value) -> Result<T, Problems> {
        let problems = shape::problems(self, schema);
        if !problems.is_empty() {
            return Err(Problems::new(problems));
        }
        toml::from_str(self.text)
            .map_err(|error| Problems::new(vec![self.problem(error.span(), error.message().to_owned())]))
    }

    /// The value of a key at the top level with the place of the key, for checks that come before the shape's.
    pub fn top_level(&self) -> impl Iterator<Item = (&str, Range<usize>, &DeValue<'t>)> {
        self.root.get_ref().iter().map(|(key, value)| (key.get_ref().as_ref(), key.span(), value.get_ref()))
    }

    /// A problem at the bytes `span` of this file; an empty span at the start means "no place in particular".
    #[must_use]
    pub fn problem(&self, span: Option<Range<usize>>, message: impl Into<String>) -> Problem {
        let at = span.filter(|span| span.end > 0).map(|span| Position::of(self.text, span.start));
        Problem { file: self.file.to_owned(), at, message: message.into() }
    }
}

#[cfg(test)]
mod tests;
