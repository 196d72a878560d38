//! Takes yeses back: when somebody's standing, the rules or the time changed, every open request, stream and tunnel it
//! may concern is decided anew, and those that would not get a yes any more are ended.
//!
//! One task on the control runtime. It asks the policy that runs now about the facts of now, so whatever the change
//! was, the answer is the one that a new request would get.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use super::World;
use super::gate::{Flight, NOBODY, NOTHING, OpenBook, Person};
use crate::audit::{Event, SessionId, VerdictChange, Who};
use crate::cut::CutReason;
use crate::directory::{Affected, Directory};
use crate::facts::{Destination, Facts, RiskFeed, Standing, TenantId, UnixTime, UserKey};
use crate::generation::{Generation, Held};
use crate::policy::{Decision, Reason, Step, Verdict};
use crate::session::SessionKey;
use crate::telemetry::Metrics;

/// See the module.
pub struct Reviewer {
    world: Arc<Generation<World>>,
    books: Vec<Arc<OpenBook>>,
    directory: Directory,
    metrics: Arc<Metrics>,
}

/// Whom a review is about.
#[derive(Debug, Default)]
struct Whom {
    people: HashSet<UserKey>,
    tenants: HashSet<TenantId>,
    /// Those of whom the provider has said something new since their yes.
    renewed: bool,
    all: bool,
}

impl Reviewer {
    /// A reviewer of every worker's book.
    #[must_use]
    pub const fn new(
        world: Arc<Generation<World>>,
        books: Vec<Arc<OpenBook>>,
        directory: Directory,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self { world, books, directory, metrics }
    }

    /// Reviews until `stop` ends.
    pub async fn run(self, stop: impl Future<Output = ()> + Send) {
        let mut heard = self.directory.subscribe();
        let mut generation = self.world.number();
        let mut renewals = self.world.current().sessions.renewals();
        let mut beat = tokio::time::interval(BEAT);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut beats: u32 = 0;
        let mut stop = std::pin::pin!(stop);
        loop {
            let mut whom = Whom::default();
            let mut directory_moved = false;
            // In no fixed order: a directory that never stops announcing must not keep rules and time from being looked at.
            tokio::select! {
                () = &mut stop => return,
                change = heard.recv() => {
                    directory_moved = true;
                    if !whom.hear(change, &mut heard) {
                        return;
                    }
                }
                _ = beat.tick() => {
                    beats = beats.wrapping_add(1);
                    // A swap is looked at twice: a request that was decided by the old rules in that very moment is in
                    // the book by the second time. One that came still later says so.
                    let late = self.books.iter().any(|book| book.take_late());
                    // Read once: a swap between two reads would never be seen.
                    let current = self.world.number();
                    let swapped = std::mem::replace(&mut generation, current) != current;
                    let second_look = !swapped && beats == 1;
                    if swapped {
                        beats = 0;
                    }
                    let world = self.world.current();
                    let by_time = beats.is_multiple_of(BEATS_BY_TIME) && world.policy.depends_on_time();
                    whom.all = swapped || second_look || late || by_time;
                    let before = std::mem::replace(&mut renewals, world.sessions.renewals());
                    whom.renewed = renewals != before;
                }
            }
            if !whom.is_nobody() {
                self.review(&whom, directory_moved);
            }
        }
    }

    /// One look at everything open of the people in `whom`.
    fn review(&self, whom: &Whom, directory_moved: bool) {
        let world = self.world.current();
        let began = world.clock.tick();
        let mut standings = HashMap::new();
        let mut changes: Vec<(VerdictChange, Option<UnixTime>)> = Vec::new();
        for book in &self.books {
            book.review(|flight| {
                if !whom.is(flight.person.as_deref()) {
                    return None;
                }
                let standing = flight.person.as_deref().map(|person| self.standing(&mut standings, person));
                let decision = judge(&world, flight, standing.as_deref());
                if decision.verdict.forwards() {
                    return None;
                }
                let updated = standing.and_then(|standing| standing.risk.as_ref().map(|risk| risk.reading.updated));
                let reason = cut_reason(decision.reason);
                changes.push((note(flight, decision), updated));
                Some(reason)
            });
        }
        self.report(&world, changes, directory_moved.then_some(began));
    }

    /// By session, not by person: where the token tells the groups, two sessions of one person may tell different ones.
    fn standing(&self, known: &mut HashMap<SessionKey, Arc<Standing>>, person: &Person) -> Arc<Standing> {
        let ask = || Arc::new(self.directory.standing(&person.session.subject()));
        Arc::clone(known.entry(person.session.key).or_insert_with(ask))
    }

    fn report(
        &self,
        world: &Held<World>,
        changes: Vec<(VerdictChange, Option<UnixTime>)>,
        announced: Option<crate::facts::Tick>,
    ) {
        let (now, tick) = (world.clock.now(), world.clock.tick());
        for (change, updated) in changes {
            if let (Some(announced), Step::RiskControl) = (announced, change.decision.step) {
                self.metrics.control.risk_to_cut.observe(tick.since(announced));
                if let Some(updated) = updated.filter(|updated| updated.0 > 0) {
                    self.metrics.control.risk_age_at_cut.observe(now.since(updated));
                }
            }
            world.audit.record(Event::VerdictChanged(Box::new(change)));
        }
    }
}

impl Whom {
    /// Takes in a change and whatever else waits; `false` when nobody will say anything any more.
    fn hear(&mut self, change: Result<Affected, RecvError>, heard: &mut Receiver<Affected>) -> bool {
        match change {
            Ok(affected) => self.add(affected),
            Err(RecvError::Lagged(_)) => self.all = true,
            Err(RecvError::Closed) => return false,
        }
        for _ in 0..MOST_AT_ONCE {
            match heard.try_recv() {
                Ok(affected) => self.add(affected),
                Err(TryRecvError::Lagged(_)) => self.all = true,
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        true
    }

    fn add(&mut self, affected: Affected) {
        match affected {
            Affected::Nobody => {}
            Affected::People(people) => self.people.extend(people),
            Affected::Everybody(tenant) => {
                self.tenants.insert(tenant);
            }
        }
    }

    fn is_nobody(&self) -> bool {
        !self.all && !self.renewed && self.people.is_empty() && self.tenants.is_empty()
    }

    fn is(&self, person: Option<&Person>) -> bool {
        self.all
            || person.is_some_and(|person| {
                let user = person.session.user;
                let renewed = self.renewed && person.version != person.session.version();
                renewed || self.people.contains(&user) || self.tenants.contains(&user.tenant)
            })
    }
}

/// What a new request with the same facts would be answered now.
fn judge(world: &World, flight: &Flight, standing: Option<&Standing>) -> Decision {
    let path = &*flight.path;
    let Some(app) = world.routes.find(&flight.book.host, path) else {
        let (reason, step) = (Reason::NoRuleMatched, Step::Default);
        return Decision { verdict: Verdict::Block, reason, step, rule: None, needs: None };
    };
    let session = flight.person.as_deref().map(|person| &person.session);
    let (subject, passed) = (session.map(|session| session.subject()), session.map(|session| session.passed()));
    let (now, tick) = (world.clock.now(), world.clock.tick());
    world.policy.decide(&Facts {
        subject: subject.as_deref(),
        standing: standing.unwrap_or(NOBODY),
        feed: flight.person.as_deref().map_or(RiskFeed::NONE, |person| person.feed.at(now, tick)),
        authenticated: session.map_or(UnixTime(0), |session| session.authenticated()),
        passed: passed.as_deref().unwrap_or(NOTHING),
        destination: Destination::App { app: app.id, name: &app.name, method: &flight.method, path },
        client: flight.client,
        now,
    })
}

fn note(flight: &Flight, decision: Decision) -> VerdictChange {
    let who = flight.person.as_deref().map(|person| Who {
        user: person.session.user,
        name: Arc::clone(&person.subject.name),
        session: Some(SessionId::of(&person.session.key.0)),
    });
    VerdictChange { request: flight.request, who, app: Arc::clone(&flight.book.name), decision }
}

const fn cut_reason(reason: Reason) -> CutReason {
    match reason {
        Reason::AccountDisabled | Reason::AccountDeleted => CutReason::AccountLost,
        // The word that the session itself ends with; which of the two comes first is chance.
        Reason::SignInRevoked => CutReason::Revoked,
        _ => CutReason::VerdictChanged,
    }
}

/// How often the generation of the rules is looked at.
const BEAT: Duration = Duration::from_millis(200);

/// After so many beats everything is decided anew, if the rules depend on the time.
const BEATS_BY_TIME: u32 = 4;

/// Announcements taken in before a review begins.
const MOST_AT_ONCE: usize = 10_000;
