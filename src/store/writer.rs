//! The one thread that writes: everything that waits goes to disk in one transaction.

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tokio::sync::{mpsc, oneshot};

use super::file::DatabaseFile;
use super::{Batch, MAX_BATCH_BYTES, StoreError};

/// The sending end of the writer thread. Dropping it finishes what is queued, then closes the file.
pub(super) struct Writer {
    queue: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    file: Arc<DatabaseFile>,
}

struct Job {
    batch: Batch,
    done: oneshot::Sender<Result<(), StoreError>>,
}

impl Writer {
    pub(super) fn start(file: Arc<DatabaseFile>) -> Result<Self, StoreError> {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let own = Arc::clone(&file);
        // A thread of its own: it waits for the disk, and must serve callers of every runtime.
        let thread = thread::Builder::new().name("store-writer".to_owned()).spawn(move || run(&own, jobs));
        let thread = thread.map_err(|error| StoreError::new(file.path(), redb::Error::Io(error)))?;
        Ok(Self { queue: Some(queue), thread: Some(thread), file })
    }

    pub(super) async fn write(&self, batch: Batch) -> Result<(), StoreError> {
        let queue = self.queue.as_ref().ok_or_else(|| self.file.stopped())?;
        let (done, written) = oneshot::channel();
        queue.send(Job { batch, done }).await.map_err(|_| self.file.stopped())?;
        written.await.unwrap_or_else(|_| Err(self.file.stopped()))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.take() {
            // A writer that panicked has answered its callers by dropping their jobs.
            let _ended = thread.join();
        }
    }
}

fn run(file: &DatabaseFile, mut jobs: mpsc::Receiver<Job>) {
    let mut group = Vec::new();
    while let Some(job) = jobs.blocking_recv() {
        let mut bytes = job.batch.bytes;
        group.push(job);
        while bytes < MAX_BATCH_BYTES
            && let Ok(job) = jobs.try_recv()
        {
            bytes = bytes.saturating_add(job.batch.bytes);
            group.push(job);
        }
        let result = file.commit(group.iter().flat_map(|job| &job.batch.changes));
        for job in group.drain(..) {
            // Whoever no longer waits has given up; what was written stays written.
            let _gone = job.done.send(result.clone());
        }
    }
}

/// Writers that may wait in line before others wait for a place.
const QUEUE: usize = 1024;
