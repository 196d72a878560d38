//! Log lines on standard error through a bounded queue and a thread of their own.
//!
//! Whoever logs never waits: if the reader of standard error stops reading, lines are dropped and counted, and the
//! first line that fits again says how many.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::metrics::Tally;

/// What is logged and how it looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// Level, or directives per module: `info`, `info,portcullis::entra=debug`.
    pub level: String,
    /// How a line looks.
    pub format: LogFormat,
    /// Lines waiting to be written; beyond it they are dropped.
    pub queue: usize,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Text, queue: 4096 }
    }
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The level is neither a level nor a list of directives.
    #[error("the log level is not understood")]
    Level(#[source] tracing_subscriber::filter::ParseError),
    /// The writing thread could not be started.
    #[error("the log thread could not be started")]
    Thread(#[source] io::Error),
    /// Something in this process logs already.
    #[error("logging is already set up")]
    AlreadySet(#[source] tracing::subscriber::SetGlobalDefaultError),
}

/// Sets up logging for the whole process, to standard error. Drop the guard last: it waits shortly for the queue.
///
/// # Errors
/// See [`LogError`].
pub fn init(config: &LogConfig, dropped: Arc<Tally>) -> Result<LogGuard, LogError> {
    let filter = EnvFilter::try_new(&config.level).map_err(LogError::Level)?;
    let (lines, guard) = start(config.queue, dropped, io::stderr()).map_err(LogError::Thread)?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(lines);
    let set = match config.format {
        LogFormat::Text => tracing::subscriber::set_global_default(builder.finish()),
        LogFormat::Json => {
            let json = builder.json().flatten_event(true).with_current_span(true).with_span_list(false);
            tracing::subscriber::set_global_default(json.finish())
        }
    };
    set.map_err(LogError::AlreadySet)?;
    Ok(guard)
}

/// Waits on drop until the lines logged so far are written, at most [`FLUSH`].
#[derive(Debug)]
pub struct LogGuard {
    sender: SyncSender<Message>,
}

impl LogGuard {
    /// Waits until the lines logged so far are written, at most [`FLUSH`].
    pub fn flush(&self) {
        let (done, wait) = sync_channel(1);
        let mut message = Message::Flush(done);
        // A full queue means a reader that has stopped or is slow; give it a few chances, then go.
        for _ in 0..FLUSH_TRIES {
            match self.sender.try_send(message) {
                Ok(()) => {
                    // Too late is all that can go wrong, and then the lines are lost anyway.
                    let _ = wait.recv_timeout(FLUSH);
                    return;
                }
                Err(TrySendError::Full(back)) => {
                    message = back;
                    std::thread::sleep(FLUSH / FLUSH_TRIES);
                }
                Err(TrySendError::Disconnected(_)) => return,
            }
        }
    }
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        self.flush();
    }
}

fn start(queue: usize, dropped: Arc<Tally>, out: impl Write + Send + 'static) -> io::Result<(Lines, LogGuard)> {
    let (sender, receiver) = sync_channel(queue.max(1));
    let seen = Arc::clone(&dropped);
    std::thread::Builder::new().name("log".to_owned()).spawn(move || write_lines(&receiver, &seen, out))?;
    Ok((Lines { sender: sender.clone(), dropped }, LogGuard { sender }))
}

fn write_lines(queue: &Receiver<Message>, dropped: &Tally, mut out: impl Write) {
    let mut reported = 0;
    while let Ok(message) = queue.recv() {
        match message {
            Message::Line(line) => {
                // Nobody is left to be told about a broken standard error.
                let _ = out.write_all(&line);
                let lost = dropped.value();
                if lost != reported {
                    let _ = writeln!(out, "{{\"level\":\"WARN\",\"log_lines_dropped\":{}}}", lost - reported);
                    reported = lost;
                }
            }
            Message::Flush(done) => {
                let _ = out.flush();
                let _ = done.try_send(());
            }
        }
    }
}

enum Message {
    Line(Vec<u8>),
    Flush(SyncSender<()>),
}

/// Hands each line to the queue.
#[derive(Clone)]
struct Lines {
    sender: SyncSender<Message>,
    dropped: Arc<Tally>,
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

impl Write for &Lines {
    /// The formatter calls this once per event with the whole line.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.sender.try_send(Message::Line(one_line(line))).is_err() {
            self.dropped.up();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One event is one line, whatever it holds: control characters, line separators and direction marks are written as
/// JSON escapes, and very long lines are cut.
fn one_line(event: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(event);
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let mut line = Vec::with_capacity(text.len() + 1);
    for character in text.chars() {
        if line.len() > MAX_LINE {
            line.extend_from_slice("…".as_bytes());
            break;
        }
        if is_unsafe_to_show(character) {
            line.extend_from_slice(format!("\\u{:04x}", u32::from(character)).as_bytes());
        } else {
            line.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
    line.push(b'\n');
    line
}

/// Characters with which a value could end its line, move the cursor or reorder what is shown (Unicode UTS 55).
fn is_unsafe_to_show(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

const MAX_LINE: usize = 16 * 1024;
/// The longest that [`LogGuard`] waits for its last lines.
const FLUSH: Duration = Duration::from_secs(1);
const FLUSH_TRIES: u32 = 20;

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_hostile_value_stays_on_one_line() {
        let out = Shared::default();
        let (lines, guard) = start(16, Arc::default(), out.clone()).unwrap();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(lines).finish();
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(path = %"x\n{\"level\":\"info\"}\r\x1b[2J\u{2028}\u{202e}y", "request");
        });
        guard.flush();
        let text = String::from_utf8(out.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(!text.trim_end().chars().any(is_unsafe_to_show), "{text}");
        assert!(text.contains("\\u000a") || text.contains("\\n"), "{text}");
    }

    #[test]
    fn a_blocked_reader_costs_lines_but_never_the_writer() {
        let gate = Arc::new(Mutex::new(()));
        let out = Shared::default();
        let dropped = Arc::new(Tally::default());
        let closed = gate.lock().unwrap();
        let (lines, guard) =
            start(4, Arc::clone(&dropped), Gated { gate: Arc::clone(&gate), out: out.clone() }).unwrap();
        for _ in 0..100 {
            (&lines).write_all(b"line\n").unwrap();
        }
        // Four wait in the queue and at most one is in the blocked writer's hands.
        assert!(dropped.value() >= 95, "{}", dropped.value());
        drop(closed);
        guard.flush();
        let text = String::from_utf8(out.0.lock().unwrap().clone()).unwrap();
        let written = u64::try_from(text.lines().filter(|line| *line == "line").count()).unwrap();
        assert_eq!(written + dropped.value(), 100);
        assert!(text.contains("log_lines_dropped"), "{text}");
    }

    #[test]
    fn a_level_that_is_not_one_is_refused() {
        let config = LogConfig { level: "portcullis=loud".to_owned(), ..LogConfig::default() };
        assert!(matches!(init(&config, Arc::default()), Err(LogError::Level(_))));
    }

    struct Gated {
        gate: Arc<Mutex<()>>,
        out: Shared,
    }

    impl Write for Gated {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _open = self.gate.lock().unwrap();
            self.out.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}
