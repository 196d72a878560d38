//! Where commands print: answers on one stream, complaints on the other. Tests capture both.

use std::io::Write;

use serde::Serialize;

/// The two streams of a command.
pub struct Output {
    answers: Box<dyn Write + Send>,
    complaints: Box<dyn Write + Send>,
}

impl Output {
    /// Standard output and standard error.
    #[must_use]
    pub fn standard() -> Self {
        Self::new(Box::new(std::io::stdout()), Box::new(std::io::stderr()))
    }

    /// Any two streams.
    #[must_use]
    pub fn new(answers: Box<dyn Write + Send>, complaints: Box<dyn Write + Send>) -> Self {
        Self { answers, complaints }
    }

    /// Prints one or more lines of the answer. A reader that has gone away is no reason to fail.
    pub fn line(&mut self, text: &str) {
        drop(writeln!(self.answers, "{text}"));
    }

    /// Prints the answer as indented JSON.
    pub fn json(&mut self, value: &impl Serialize) {
        match serde_json::to_string_pretty(value) {
            Ok(text) => self.line(&text),
            Err(error) => self.complain(&error.to_string()),
        }
    }

    /// Prints the answer as one line of JSON, at once, for programs that wait for it.
    pub fn compact(&mut self, value: &serde_json::Value) {
        self.line(&value.to_string());
        drop(self.answers.flush());
    }

    /// Both streams, for a command that writes them itself.
    pub(super) fn streams(&mut self) -> (&mut (dyn Write + Send), &mut (dyn Write + Send)) {
        (&mut *self.answers, &mut *self.complaints)
    }

    /// Prints what is wrong.
    pub fn complain(&mut self, text: &str) {
        drop(writeln!(self.complaints, "{text}"));
    }
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Output")
    }
}
