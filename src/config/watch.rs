//! Notices that a file of the running configuration has changed, by looking, because looking also works on network
//! file systems, through symlinks, and when a whole folder is swapped, as Kubernetes does with mounted secrets.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::signal::unix::Signal;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// How often the files are looked at.
pub const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Looks at a set of files.
#[derive(Debug)]
pub struct Watcher {
    files: Vec<PathBuf>,
    /// What the running generation was made from.
    seen: Vec<Mark>,
    every: Duration,
    hangup: Option<Signal>,
}

/// What asked for the configuration to be read again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// These files are not what they were, and have come to rest.
    Files(Vec<PathBuf>),
    /// SIGHUP.
    Asked,
}

/// What distinguishes a file's states; `None` while it cannot be looked at. The file that symlinks lead to is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark(Option<(u64, u64, u64, i64, i64)>);

impl Watcher {
    /// Watches `files`, beginning with their present state. Call it before the files are read, so that no change
    /// between reading and watching is missed. `hangup` is SIGHUP, if it is to count as a change.
    #[must_use]
    pub fn new(mut files: Vec<PathBuf>, every: Duration, hangup: Option<Signal>) -> Self {
        files.sort();
        files.dedup();
        let seen = files.iter().map(|file| Mark::of(file)).collect();
        Self { files, seen, every, hangup }
    }

    /// Watches other files from now on, because a new generation names others. The state of files that were watched
    /// before is kept, so that a change while the generation was built is still noticed.
    pub fn watch(&mut self, mut files: Vec<PathBuf>) {
        files.sort();
        files.dedup();
        let known = |file: &PathBuf| self.files.iter().position(|old| old == file).and_then(|at| self.seen.get(at));
        let seen = files.iter().map(|file| known(file).copied().unwrap_or_else(|| Mark::of(file))).collect();
        self.files = files;
        self.seen = seen;
    }

    /// Ends when something has changed since the last call (or since watching began). A file must look the same twice
    /// in a row before it counts, so that a file being written and several files being swapped are one change.
    ///
    /// Dropping the future loses nothing.
    pub async fn next_change(&mut self) -> Change {
        let mut ticks = interval_at(Instant::now() + self.every, self.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last = None;
        loop {
            let asked = async {
                match self.hangup.as_mut() {
                    Some(hangup) => hangup.recv().await,
                    None => None,
                }
            };
            tokio::select! {
                Some(()) = asked => {
                    self.seen = look(self.files.clone()).await;
                    return Change::Asked;
                }
                _ = ticks.tick() => {}
            }
            let now = look(self.files.clone()).await;
            if now != self.seen && last.as_ref() == Some(&now) {
                let pairs = self.files.iter().zip(now.iter().zip(&self.seen));
                let changed = pairs.filter(|(_, (now, seen))| now != seen).map(|(file, _)| file.clone()).collect();
                self.seen = now;
                return Change::Files(changed);
            }
            last = Some(now);
        }
    }
}

/// Looks at the files on a thread that may wait for the disk.
async fn look(files: Vec<PathBuf>) -> Vec<Mark> {
    let count = files.len();
    let looked = tokio::task::spawn_blocking(move || files.iter().map(|file| Mark::of(file)).collect()).await;
    looked.unwrap_or_else(|_| vec![Mark(None); count])
}

impl Mark {
    fn of(file: &Path) -> Self {
        let metadata = std::fs::metadata(file).ok();
        Self(metadata.map(|m| (m.dev(), m.ino(), m.size(), m.mtime(), m.mtime_nsec())))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use tokio::signal::unix::{SignalKind, signal};

    use super::*;

    const SHORT: Duration = Duration::from_millis(5);

    async fn next(watcher: &mut Watcher) -> Option<Change> {
        tokio::time::timeout(Duration::from_secs(10), watcher.next_change()).await.ok()
    }

    /// No change within several looks.
    async fn quiet(watcher: &mut Watcher) -> bool {
        tokio::time::timeout(SHORT * 10, watcher.next_change()).await.is_err()
    }

    #[tokio::test]
    async fn a_rewritten_a_replaced_and_a_removed_file_are_noticed_once_each() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a");
        std::fs::write(&file, "1").unwrap();
        let mut watcher = Watcher::new(vec![file.clone()], SHORT, None);
        assert!(quiet(&mut watcher).await);
        std::fs::write(&file, "22").unwrap();
        assert_eq!(next(&mut watcher).await, Some(Change::Files(vec![file.clone()])));
        assert!(quiet(&mut watcher).await);
        std::fs::write(folder.path().join("b"), "33").unwrap();
        std::fs::rename(folder.path().join("b"), &file).unwrap();
        assert_eq!(next(&mut watcher).await, Some(Change::Files(vec![file.clone()])));
        std::fs::remove_file(&file).unwrap();
        assert_eq!(next(&mut watcher).await, Some(Change::Files(vec![file.clone()])));
        assert!(quiet(&mut watcher).await);
    }

    #[tokio::test]
    async fn a_swapped_symlink_to_a_folder_is_one_change() {
        // The layout of a mounted Kubernetes secret: file -> ..data/file, ..data -> a dated folder.
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for dated in ["..1", "..2"] {
            std::fs::create_dir(path(dated)).unwrap();
            for file in ["tls.crt", "tls.key"] {
                std::fs::write(path(dated).join(file), dated).unwrap();
            }
        }
        symlink("..1", path("..data")).unwrap();
        let files = vec![path("tls.crt"), path("tls.key")];
        for file in &files {
            symlink(Path::new("..data").join(file.file_name().unwrap()), file).unwrap();
        }
        let mut watcher = Watcher::new(files.clone(), SHORT, None);
        assert!(quiet(&mut watcher).await);
        symlink("..2", path("..data_tmp")).unwrap();
        std::fs::rename(path("..data_tmp"), path("..data")).unwrap();
        assert_eq!(next(&mut watcher).await, Some(Change::Files(files)));
        assert!(quiet(&mut watcher).await);
    }

    #[tokio::test]
    async fn a_change_made_before_the_watcher_is_asked_is_not_missed() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a"), folder.path().join("b"));
        let mut watcher = Watcher::new(vec![a.clone()], SHORT, None);
        std::fs::write(&a, "1").unwrap();
        watcher.watch(vec![b.clone(), a.clone()]);
        assert_eq!(next(&mut watcher).await, Some(Change::Files(vec![a])));
        std::fs::write(&b, "1").unwrap();
        assert_eq!(next(&mut watcher).await, Some(Change::Files(vec![b])));
    }

    #[tokio::test]
    async fn a_hangup_asks_for_a_change_at_once() {
        let hangup = signal(SignalKind::hangup()).unwrap();
        let mut watcher = Watcher::new(vec![], Duration::from_secs(3600), Some(hangup));
        let me = std::process::id().to_string();
        assert!(std::process::Command::new("kill").args(["-HUP", &me]).status().unwrap().success());
        assert_eq!(next(&mut watcher).await, Some(Change::Asked));
    }
}
