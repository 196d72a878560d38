//! What any store must keep, and what this one does when the disk fails.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::*;

fn put(table: Table, key: &[u8], value: &[u8]) -> Batch {
    let mut batch = Batch::new();
    batch.put(table, key, value);
    batch
}

#[tokio::test]
async fn what_was_written_is_read_again_also_after_opening_anew() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    for table in Table::ALL {
        assert_eq!(store.read(table, b"key").unwrap(), None);
        store.write(put(table, b"key", table.name().as_bytes())).await.unwrap();
    }
    drop(store);
    let store = Store::open(dir.path()).unwrap();
    for table in Table::ALL {
        assert_eq!(store.read(table, b"key").unwrap().unwrap(), table.name().as_bytes());
        assert_eq!(store.read_async(table, b"key").await.unwrap().unwrap(), table.name().as_bytes());
    }
    let mut batch = Batch::new();
    batch.delete(Table::Sessions, b"key");
    batch.delete(Table::Sessions, b"never there");
    store.write(batch).await.unwrap();
    assert_eq!(store.read(Table::Sessions, b"key").unwrap(), None);
    assert!(store.read(Table::Secrets, b"key").unwrap().is_some());
}

#[tokio::test]
async fn a_conditional_write_does_not_bring_back_what_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    store.write(put(Table::Sessions, b"alive", b"1")).await.unwrap();
    let mut batch = Batch::new();
    batch.put_if((Table::Sessions, b"alive"), Table::LastUse, b"alive", b"x");
    batch.put_if((Table::Sessions, b"gone"), Table::LastUse, b"gone", b"x");
    batch.put_if((Table::Sessions, b"gone"), Table::Sessions, b"gone", b"x");
    store.write(batch).await.unwrap();
    assert!(store.read(Table::LastUse, b"alive").unwrap().is_some());
    assert!(store.read(Table::LastUse, b"gone").unwrap().is_none());
    assert!(store.read(Table::Sessions, b"gone").unwrap().is_none());
}

#[tokio::test]
async fn a_scan_shows_every_entry_in_key_order() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let mut batch = Batch::new();
    for n in [3_u8, 1, 2] {
        batch.put(Table::HostBindings, &[n], &[n * 10]);
    }
    store.write(batch).await.unwrap();
    let mut seen = Vec::new();
    store.scan(Table::HostBindings, |key, value| seen.push((key[0], value[0]))).unwrap();
    assert_eq!(seen, [(1, 10), (2, 20), (3, 30)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_writes_at_once_share_few_commits() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let writers: Vec<_> = (0..1000_u32)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                store.write(put(Table::Sessions, &n.to_be_bytes(), b"value")).await.unwrap();
                assert!(store.read(Table::Sessions, &n.to_be_bytes()).unwrap().is_some(), "visible once acknowledged");
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let mut count = 0;
    store.scan(Table::Sessions, |_, _| count += 1).unwrap();
    assert_eq!(count, 1000);
    assert!(store.commits() < 500, "{} commits for 1000 writes", store.commits());
}

#[test]
fn writers_on_other_runtimes_and_threads_are_served() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let threads: Vec<_> = (0..4_u8)
        .map(|n| {
            let store = store.clone();
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                runtime.block_on(async {
                    store.write(put(Table::Meta, &[n], b"x")).await.unwrap();
                    assert!(store.read_async(Table::Meta, &[n]).await.unwrap().is_some());
                });
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn a_second_opener_is_told_that_the_file_is_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let first = Store::open(dir.path()).unwrap();
    let error = Store::open(dir.path()).unwrap_err();
    assert!(matches!(error, StoreError::Locked { .. }), "{error}");
    assert!(error.to_string().contains("portcullis.redb"));
    drop(first);
    Store::open(dir.path()).unwrap();
}

#[test]
fn a_file_of_something_else_is_called_damaged_and_left_alone() {
    for content in [&b"this is not a database"[..], &[0; 8192], &[0xff; 70_000]] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("portcullis.redb");
        fs::write(&path, content).unwrap();
        let error = Store::open(dir.path()).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
        assert_eq!(fs::read(&path).unwrap(), content);
    }
}

#[tokio::test]
async fn a_newer_format_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    store.write(put(Table::Meta, b"format", b"2")).await.unwrap();
    drop(store);
    let error = Store::open(dir.path()).unwrap_err();
    assert!(matches!(&error, StoreError::NewerFormat { found, known: 1, .. } if found == "2"), "{error:?}");
}

#[cfg(unix)]
#[test]
fn folder_and_file_are_for_the_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    drop(Store::open(&state).unwrap());
    assert_eq!(fs::metadata(&state).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(fs::metadata(state.join("portcullis.redb")).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn secrets_are_sealed_under_their_name() {
    let dir = tempfile::tempdir().unwrap();
    let (store, keyring) = (Store::open(dir.path()).unwrap(), Keyring::open(dir.path()).unwrap());
    store.save_secret(&keyring, "signing key", b"very secret").await.unwrap();
    assert_eq!(store.load_secret(&keyring, "signing key").unwrap().unwrap(), b"very secret");
    assert_eq!(store.load_secret(&keyring, "other").unwrap(), None);
    let sealed = store.read(Table::Secrets, b"signing key").unwrap().unwrap();
    assert!(!sealed.windows(4).any(|part| part == b"very"));
    store.write(put(Table::Secrets, b"other", &sealed)).await.unwrap();
    assert_eq!(store.load_secret(&keyring, "other").unwrap(), None, "a secret does not open under another name");
}

#[tokio::test]
async fn a_batch_beyond_the_bound_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let error = store.write(put(Table::Meta, b"k", &vec![0; MAX_BATCH_BYTES])).await.unwrap_err();
    assert!(matches!(error, StoreError::TooLarge { .. }));
}

/// A file system of a few megabytes, if this machine lets us mount one.
pub(crate) struct SmallDisk {
    pub(crate) path: PathBuf,
    _dir: tempfile::TempDir,
}

impl SmallDisk {
    pub(crate) fn mount(megabytes: u32) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_path_buf();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={megabytes}M"), "tmpfs"])
            .arg(&path)
            .output()
            .is_ok_and(|output| output.status.success());
        if !mounted {
            return None;
        }
        Some(Self { path, _dir: dir })
    }

    /// Fills the disk to the last byte; removing the file gives the space back.
    pub(crate) fn fill(&self) -> PathBuf {
        use std::io::Write;
        let path = self.path.join("filler");
        let mut file = fs::File::create(&path).unwrap();
        while file.write_all(&[1; 4096]).is_ok() {}
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _unmounted = Command::new("umount").arg("--lazy").arg(&self.path).status();
    }
}

#[tokio::test]
async fn a_full_disk_refuses_writes_keeps_what_was_acknowledged_and_heals() {
    let Some(disk) = SmallDisk::mount(4) else { return };
    let store = Store::open(&disk.path).unwrap();
    store.write(put(Table::Sessions, b"before", b"x")).await.unwrap();
    let filler = disk.fill();
    let (mut acknowledged, mut refused) = (Vec::new(), 0);
    for n in 0..2000_u32 {
        match store.write(put(Table::Sessions, &n.to_be_bytes(), &[7; 4000])).await {
            Ok(()) => acknowledged.push(n),
            Err(StoreError::NoSpace { .. } | StoreError::Closed { .. }) => refused += 1,
            Err(error) => panic!("{error:?}"),
        }
        if refused == 20 {
            break;
        }
    }
    assert_eq!(refused, 20, "{} writes fitted", acknowledged.len());

    fs::remove_file(filler).unwrap();
    store.write(put(Table::Sessions, b"after", b"x")).await.unwrap();
    let check = |store: &Store| {
        assert!(store.read(Table::Sessions, b"before").unwrap().is_some());
        assert!(store.read(Table::Sessions, b"after").unwrap().is_some());
        for n in &acknowledged {
            assert!(store.read(Table::Sessions, &n.to_be_bytes()).unwrap().is_some(), "write {n} was acknowledged");
        }
    };
    check(&store);
    drop(store);
    check(&Store::open(&disk.path).unwrap());
}

#[tokio::test]
async fn reads_go_on_while_the_disk_is_full() {
    let Some(disk) = SmallDisk::mount(4) else { return };
    let store = Store::open(&disk.path).unwrap();
    store.write(put(Table::Sessions, b"before", b"x")).await.unwrap();
    let _filler = disk.fill();
    let mut refused = false;
    for n in 0..2000_u32 {
        refused |= store.write(put(Table::Sessions, &n.to_be_bytes(), &[7; 4000])).await.is_err();
        assert!(store.read(Table::Sessions, b"before").unwrap().is_some(), "after write {n}");
        if refused && n % 50 == 0 {
            return;
        }
    }
    panic!("the disk never filled");
}
