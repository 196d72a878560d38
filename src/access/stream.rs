//! What a stream leaves in the books while it is open and when it ends: bytes, duration, and a line if it was cut.

use std::sync::Arc;

use super::gate::Permit;
use crate::audit::{AuditLog, Event, SessionId, StreamCut, Who};
use crate::cut::CutReason;
use crate::facts::{SharedClock, Tick};
use crate::telemetry::metrics::AppMetrics;
use crate::telemetry::{RequestId, WorkerMetrics};

/// One worker's books about one app. Shared by reference count within the worker only. It holds nothing of the
/// generation it was made in, so a stream that runs for days keeps no old configuration alive.
pub struct AppBook {
    pub(super) name: Arc<str>,
    /// The app's host, to find it again in a later generation.
    pub(super) host: Arc<str>,
    pub(super) app: Arc<AppMetrics>,
    pub(super) worker: Arc<WorkerMetrics>,
    pub(super) audit: AuditLog,
    pub(super) clock: SharedClock,
}

/// The request of a stream that may be opened, and the books to enter it in.
#[derive(Clone, Copy)]
pub struct Opening<'a> {
    pub(super) book: &'a Arc<AppBook>,
    pub(super) request: RequestId,
    pub(super) began: Tick,
}

impl<'a> Opening<'a> {
    /// The counters of the app.
    pub(super) fn app(&self) -> &'a AppMetrics {
        &self.book.app
    }

    pub(super) fn now(&self) -> Tick {
        self.book.clock.tick()
    }

    /// The counters that know how much clients sent.
    pub(super) fn worker(&self) -> &'a Arc<WorkerMetrics> {
        &self.book.worker
    }

    /// Enters a response body. Its end is the end of the request.
    pub(super) fn body(&self) -> StreamEntry {
        self.enter(Some(self.began))
    }

    /// Enters a tunnel. Its request ended with the handshake.
    pub(super) fn tunnel(&self) -> StreamEntry {
        self.enter(None)
    }

    fn enter(&self, began: Option<Tick>) -> StreamEntry {
        self.book.worker.streams_open.up();
        StreamEntry { book: Arc::clone(self.book), request: self.request, began }
    }
}

/// One open stream. It counts as open until this is dropped, on the worker that entered it.
pub(super) struct StreamEntry {
    book: Arc<AppBook>,
    request: RequestId,
    began: Option<Tick>,
}

impl StreamEntry {
    /// Bytes went to the client.
    pub(super) fn sent(&self, bytes: u64) {
        self.book.worker.bytes_out.add(bytes);
    }

    /// Bytes came from the client.
    pub(super) fn received(&self, bytes: u64) {
        self.book.worker.bytes_in.add(bytes);
    }

    /// The permit was taken back, and with it the stream.
    pub(super) fn cut(&self, permit: &Permit, reason: CutReason) {
        self.book.worker.cut(reason);
        let who = permit.person().map(|person| Who {
            user: person.subject.user,
            name: Arc::clone(&person.subject.name),
            session: Some(SessionId::of(&person.session.key.0)),
        });
        let cut = StreamCut { request: self.request, who, app: Arc::clone(&self.book.name), reason };
        self.book.audit.record(Event::StreamCut(Box::new(cut)));
    }
}

impl Drop for StreamEntry {
    fn drop(&mut self) {
        self.book.worker.streams_open.down();
        if let Some(began) = self.began {
            self.book.app.request_duration.observe(self.book.clock.tick().since(began));
        }
    }
}
