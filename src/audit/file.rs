//! Where lines go: a file that is put aside when it is full, or standard output.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The open end of the log.
pub(super) enum Sink {
    Stdout(io::Stdout),
    File(LogFile),
}

impl Sink {
    pub(super) fn open(path: Option<&Path>, max_bytes: Option<u64>, keep: usize) -> io::Result<Self> {
        match path {
            None => Ok(Self::Stdout(io::stdout())),
            Some(path) => {
                let (file, size) = append_to(path)?;
                Ok(Self::File(LogFile { path: path.to_owned(), file, size, max_bytes, keep }))
            }
        }
    }

    /// Writes some of `bytes`; how many.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(out) => out.lock().write(bytes),
            Self::File(log) => {
                let written = log.file.write(bytes)?;
                log.size = log.size.saturating_add(u64::try_from(written).unwrap_or(u64::MAX));
                Ok(written)
            }
        }
    }

    /// Opens the file anew under its name; keeps the old one open if that fails.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        if let Self::File(log) = self {
            (log.file, log.size) = append_to(&log.path)?;
        }
        Ok(())
    }

    /// Puts the file aside if `more` bytes would make it too large. Call it between lines only.
    pub(super) fn make_room(&mut self, more: usize) -> io::Result<()> {
        let Self::File(log) = self else { return Ok(()) };
        let Some(max) = log.max_bytes else { return Ok(()) };
        let grown = log.size.saturating_add(u64::try_from(more).unwrap_or(u64::MAX));
        if log.size == 0 || grown <= max {
            return Ok(());
        }
        log.put_aside()?;
        (log.file, log.size) = append_to(&log.path)?;
        Ok(())
    }

    /// Makes sure that what was written outlives the machine.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(out) => out.flush(),
            Self::File(log) => log.file.sync_data(),
        }
    }
}

pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    size: u64,
    max_bytes: Option<u64>,
    keep: usize,
}

impl LogFile {
    /// `path` becomes `path.1`, `path.1` becomes `path.2`, and so on; the oldest is overwritten.
    fn put_aside(&self) -> io::Result<()> {
        if self.keep == 0 {
            return fs::remove_file(&self.path);
        }
        for number in (1..self.keep).rev() {
            match fs::rename(self.numbered(number), self.numbered(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs::rename(&self.path, self.numbered(1))
    }

    fn numbered(&self, number: usize) -> PathBuf {
        let mut name = self.path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        name.into()
    }
}

/// Opens for appending, readable by the owner only: records name people.
fn append_to(path: &Path) -> io::Result<(File, u64)> {
    use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
    let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    let about = file.metadata()?;
    // Only plain files are put aside; a pipe or device has no size.
    if !about.is_file() {
        return Ok((file, 0));
    }
    // After a crash the last line may be torn; what follows must not be glued to it.
    let mut last = [b'\n'];
    let size = about.len();
    if size > 0 {
        File::open(path)?.read_exact_at(&mut last, size - 1)?;
    }
    if last != *b"\n" {
        file.write_all(b"\n")?;
    }
    Ok((file, size))
}
