//! What is noted about one request while it is served: for the decision log, the counters and the request id.

use std::sync::Arc;

use http::{HeaderName, Request, Response, StatusCode};

use super::gate::{Permit, Person};
use super::refusal::Refusal;
use super::stream::{AppBook, Opening};
use super::{AccessError, Asked, Local};
use crate::audit::{AuthKind, Decision as Record, SessionId, Who};
use crate::edge::Body;
use crate::facts::Tick;
use crate::policy::{Decision, Verdict};
use crate::telemetry::metrics::UpstreamFault;
use crate::telemetry::{RequestId, WorkerMetrics};

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// One request being served.
pub(super) struct Served {
    id: RequestId,
    began: Tick,
    worker: Arc<WorkerMetrics>,
    book: Option<Arc<AppBook>>,
    forwarded: bool,
}

impl Served {
    pub(super) fn new(id: RequestId, worker: &Arc<WorkerMetrics>, began: Tick) -> Self {
        Self { id, began, worker: Arc::clone(worker), book: None, forwarded: false }
    }

    pub(super) const fn id(&self) -> RequestId {
        self.id
    }

    /// When its head was read.
    pub(super) const fn began(&self) -> Tick {
        self.began
    }

    /// The request is for this app; its counters are this worker's own.
    pub(super) fn for_app(&mut self, book: &Arc<AppBook>) {
        self.book = Some(Arc::clone(book));
    }

    /// What the app's stream, if one opens, is entered in.
    pub(super) fn opening(&self) -> Option<Opening<'_>> {
        self.book.as_ref().map(|book| Opening { book, request: self.id, began: self.began })
    }

    /// The app answered.
    pub(super) const fn forwarded(&mut self) {
        self.forwarded = true;
    }

    pub(super) const fn is_forwarded(&self) -> bool {
        self.forwarded
    }

    /// The gate said yes.
    pub(super) fn permitted<B>(&self, local: &Local, asked: &Asked<'_>, request: &Request<B>, permit: &Permit) {
        let watched = permit.person().is_some_and(|person| person.standing.watched_until > asked.now);
        let verdict = if watched { Verdict::Monitor } else { permit.decision().verdict };
        local.world.audit.decided(verdict, || {
            self.record(local, asked, request, (permit.decision().clone(), Arc::clone(permit.path())), permit.person())
        });
    }

    /// The gate did not say yes.
    pub(super) fn refused<B>(&self, local: &Local, asked: &Asked<'_>, request: &Request<B>, refusal: &Refusal) {
        if let Refusal::Decided { decision, person } = refusal {
            local.world.audit.decided(decision.verdict, || {
                self.record(local, asked, request, (decision.clone(), request.uri().path().into()), person.as_deref())
            });
        }
    }

    /// The request was turned away before anything was decided.
    pub(super) fn turned_away(&self, refusal: &Refusal) {
        self.worker.refused(refusal.word());
    }

    /// The app did not answer.
    pub(super) fn failed(&self, error: &AccessError) {
        let fault = match error {
            AccessError::UpstreamUnreachable => UpstreamFault::Unreachable,
            AccessError::UpstreamTimeout => UpstreamFault::Timeout,
            AccessError::UpstreamBroken => UpstreamFault::Broken,
            AccessError::UpstreamBusy => UpstreamFault::Busy,
            AccessError::BodyTooLarge
            | AccessError::BodyBroken
            | AccessError::BodyStalled
            | AccessError::Headers(_)
            | AccessError::Expectation
            | AccessError::WebSocketVersion
            | AccessError::WebSocketOrigin
            | AccessError::NotRelayed => return,
            AccessError::Cut(reason) => return self.worker.cut(*reason),
        };
        if let Some(book) = &self.book {
            book.app.upstream_failed(fault);
        }
    }

    /// Counts the response and names the request in it.
    pub(super) fn finish(self, mut response: Response<Body>, now: Tick) -> Response<Body> {
        if let Some(book) = &self.book {
            book.app.responded(response.status());
            // A body that still streams notes the duration when it ends.
            if !matches!(response.body(), Body::Stream(_)) {
                book.app.request_duration.observe(now.since(self.began));
            }
        }
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            let mut id = self.id.header_value();
            // Not secret, but new each time: this keeps HTTP/2 from putting it into its header table (RFC 7541 section
            // 7.1.3), where it would push out what does come again.
            id.set_sensitive(true);
            response.headers_mut().insert(X_REQUEST_ID, id);
        }
        response
    }

    fn record<B>(
        &self,
        local: &Local,
        asked: &Asked<'_>,
        request: &Request<B>,
        (decision, path): (Decision, Arc<str>),
        person: Option<&Person>,
    ) -> Record {
        Record {
            request: self.id,
            client: asked.client,
            who: person.map(|person| Who {
                user: person.subject.user,
                name: Arc::clone(&person.subject.name),
                session: Some(SessionId::of(&person.session.key.0)),
            }),
            // This worker's own handles: those of the configuration are shared by all workers.
            app: Arc::clone(&asked.book.name),
            host: Arc::clone(&asked.book.host),
            method: request.method().clone(),
            path,
            decision,
            policy: local.world.policy.version(),
            auth: if person.is_some() { AuthKind::Cookie } else { AuthKind::None },
        }
    }
}
