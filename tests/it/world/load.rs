//! A small open-loop load: requests leave on schedule whether or not earlier ones were answered, over HTTP/1.1 and
//! HTTP/2, and a ledger on the client's side says what became of each.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::RootCertStore;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::raw::Raw;
use super::shapes::MARKER_HEADER;

/// How much, and to whom.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) host: &'static str,
    pub(crate) cookie: String,
    pub(crate) roots: Arc<RootCertStore>,
    /// Requests each second, over all connections.
    pub(crate) rate: u32,
    pub(crate) http1: usize,
    pub(crate) http2: usize,
}

/// A load that runs until it is finished.
pub(crate) struct Load {
    stop: CancellationToken,
    lanes: JoinSet<()>,
    ledger: Arc<Mutex<Ledger>>,
    target: watch::Sender<SocketAddr>,
}

/// What became of every request.
#[derive(Debug, Default, Clone)]
pub(crate) struct Ledger {
    pub(crate) answered: Vec<Answered>,
    pub(crate) lost: Vec<Lost>,
    /// Connections that could not be opened, by when that was tried.
    pub(crate) refused: Vec<Instant>,
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Answered {
    pub(crate) sent: Instant,
    pub(crate) took: Duration,
    pub(crate) status: u16,
    /// The generation that answered, if the gateway marks its answers.
    pub(crate) marker: String,
    /// Whether the body was the path that was asked for.
    pub(crate) right: bool,
}

/// A request that was sent and not answered in full.
#[derive(Debug, Clone)]
pub(crate) struct Lost {
    pub(crate) sent: Instant,
    pub(crate) error: String,
}

impl Load {
    /// Starts; the lanes share the rate evenly.
    pub(crate) fn start(to: SocketAddr, plan: Plan) -> Self {
        let (target, _) = watch::channel(to);
        let mut load = Self { stop: CancellationToken::new(), lanes: JoinSet::new(), ledger: Arc::default(), target };
        let lanes = plan.http1 + plan.http2;
        let every = Duration::from_secs(1) * u32::try_from(lanes).unwrap() / plan.rate;
        for number in 0..lanes {
            let lane = Lane {
                http2: number >= plan.http1,
                number,
                every,
                plan: plan.clone(),
                target: load.target.subscribe(),
                ledger: Arc::clone(&load.ledger),
            };
            load.lanes.spawn(lane.run(load.stop.clone()));
        }
        load
    }

    /// New connections go here from now on.
    pub(crate) fn turn_to(&self, to: SocketAddr) {
        self.target.send_replace(to);
    }

    /// How many answers there are by now.
    pub(crate) fn answers(&self) -> usize {
        self.ledger.lock().unwrap().answered.len()
    }

    /// Sends no more, waits for what is under way, and gives the ledger.
    pub(crate) async fn finish(mut self) -> Ledger {
        self.stop.cancel();
        while let Some(ended) = self.lanes.join_next().await {
            ended.unwrap();
        }
        self.ledger.lock().unwrap().clone()
    }
}

impl Ledger {
    /// Answers that are not a right 200.
    pub(crate) fn wrong(&self) -> Vec<&Answered> {
        self.answered.iter().filter(|answer| answer.status != 200 || !answer.right).collect()
    }

    /// Nothing was lost, refused or wrong, and there was a load worth the name.
    #[track_caller]
    pub(crate) fn assert_flawless(&self, at_least: usize) {
        let wrong = self.wrong();
        assert!(self.lost.is_empty(), "lost {} of {}: {:?}", self.lost.len(), self.answered.len(), self.lost.first());
        assert!(wrong.is_empty(), "wrong {} of {}: {:?}", wrong.len(), self.answered.len(), wrong.first());
        assert!(self.refused.is_empty(), "refused {} connections", self.refused.len());
        assert!(self.answered.len() >= at_least, "only {} answers, the load did not run", self.answered.len());
    }

    /// The latency that `share` of the answers did not exceed.
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        let mut took: Vec<_> = self.answered.iter().map(|answer| answer.took).collect();
        took.sort_unstable();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "an index of a sample"
        )]
        let at = (took.len() as f64 * share) as usize;
        took.get(at.min(took.len().saturating_sub(1))).copied().unwrap_or_default()
    }
}

/// One connection at a time, with its share of the schedule.
struct Lane {
    http2: bool,
    number: usize,
    every: Duration,
    plan: Plan,
    target: watch::Receiver<SocketAddr>,
    ledger: Arc<Mutex<Ledger>>,
}

/// A way to send requests, of either version.
enum Sender {
    /// One request at a time.
    Http1(Arc<tokio::sync::Mutex<http1::SendRequest<Empty<Bytes>>>>),
    /// Many at a time.
    Http2(http2::SendRequest<Empty<Bytes>>),
}

impl Lane {
    async fn run(self, stop: CancellationToken) {
        let mut ticks = interval(self.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut running = JoinSet::new();
        let mut sender: Option<Sender> = None;
        let in_flight = Arc::new(Semaphore::new(MOST_IN_FLIGHT));
        for number in 0u64.. {
            let due = tokio::select! {
                () = stop.cancelled() => break,
                due = ticks.tick() => due,
            };
            if sender.as_ref().is_none_or(Sender::is_closed) {
                sender = self.connect().await;
            }
            let Some(open) = &sender else { continue };
            let Ok(slot) = Arc::clone(&in_flight).acquire_owned().await else { break };
            let path = format!("/load/{}/{number}", self.number);
            let request = self.request(&path);
            let (sending, ledger) = (open.send(request), Arc::clone(&self.ledger));
            running.spawn(async move {
                record(due, &path, sending.await, &ledger);
                drop(slot);
            });
            while running.try_join_next().is_some() {}
        }
        while running.join_next().await.is_some() {}
    }

    fn request(&self, path: &str) -> http::Request<Empty<Bytes>> {
        let host = self.plan.host;
        let uri = if self.http2 { format!("https://{host}{path}") } else { path.to_owned() };
        let mut request = http::Request::get(uri).header("cookie", &self.plan.cookie);
        if !self.http2 {
            request = request.header("host", host);
        }
        request.body(Empty::new()).unwrap()
    }

    async fn connect(&self) -> Option<Sender> {
        let alpn: &[&str] = if self.http2 { &["h2"] } else { &["http/1.1"] };
        let (at, to) = (Instant::now(), *self.target.borrow());
        let opened = async {
            let raw = Raw::tls(to, self.plan.host, Some(alpn), &self.plan.roots).await.ok()?;
            let io = TokioIo::new(raw.into_stream());
            if self.http2 {
                let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.ok()?;
                tokio::spawn(connection);
                return Some(Sender::Http2(sender));
            }
            let (sender, connection) = http1::handshake(io).await.ok()?;
            tokio::spawn(connection);
            Some(Sender::Http1(Arc::new(tokio::sync::Mutex::new(sender))))
        };
        let sender = opened.await;
        if sender.is_none() {
            self.ledger.lock().unwrap().refused.push(at);
        }
        sender
    }
}

/// What a request came to. `None`: it was never sent, because the connection had been closed in good order.
type Outcome = Option<Result<(http::response::Parts, Bytes), String>>;

impl Sender {
    fn is_closed(&self) -> bool {
        match self {
            Self::Http1(sender) => sender.try_lock().is_ok_and(|sender| sender.is_closed()),
            Self::Http2(sender) => sender.is_closed(),
        }
    }

    fn send(&self, request: http::Request<Empty<Bytes>>) -> impl Future<Output = Outcome> + Send + 'static {
        let sender = match self {
            Self::Http1(sender) => Self::Http1(Arc::clone(sender)),
            Self::Http2(sender) => Self::Http2(sender.clone()),
        };
        async move {
            let sent = match sender {
                Self::Http1(sender) => {
                    let mut sender = sender.lock().await;
                    if sender.ready().await.is_err() {
                        return None;
                    }
                    let sent = sender.send_request(request).await;
                    // The body is read before the next request may leave.
                    return collected(sent).await;
                }
                Self::Http2(mut sender) => {
                    if sender.ready().await.is_err() {
                        return None;
                    }
                    sender.send_request(request).await
                }
            };
            collected(sent).await
        }
    }
}

async fn collected(sent: hyper::Result<http::Response<hyper::body::Incoming>>) -> Outcome {
    match sent {
        // Given back unsent: the other side had closed the connection between two requests, which it may.
        Err(error) if error.is_canceled() => None,
        Err(error) => Some(Err(format!("{error:?}"))),
        Ok(response) => {
            let (parts, body) = response.into_parts();
            Some(body.collect().await.map(|body| (parts, body.to_bytes())).map_err(|error| format!("{error:?}")))
        }
    }
}

fn record(due: Instant, path: &str, outcome: Outcome, ledger: &Mutex<Ledger>) {
    let mut ledger = ledger.lock().unwrap();
    match outcome {
        None => {}
        Some(Err(error)) => ledger.lost.push(Lost { sent: due, error }),
        Some(Ok((parts, body))) => ledger.answered.push(Answered {
            sent: due,
            took: due.elapsed(),
            status: parts.status.as_u16(),
            marker: parts
                .headers
                .get(MARKER_HEADER)
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default()
                .to_owned(),
            right: body == path.as_bytes(),
        }),
    }
}

const MOST_IN_FLIGHT: usize = 64;
