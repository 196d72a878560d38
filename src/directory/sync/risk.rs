//! Reads the risk of accounts: the whole list now and then, what changed every few seconds, and what is behind it.
//!
//! There is no delta for risk, and whether Graph filters by time is not documented. So changes are asked for with an
//! overlap, since entries surface minutes late, and the whole list is the truth that mends what the filter missed.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::super::desk::Desk;
use super::super::gates::NOT_IN_CLOUD;
use super::super::schedule::{Last, Schedule};
use super::super::{Phase, RiskUpdate, SyncKind, Update};
use super::{Fault, noise, patiently};
use crate::entra::graph::{Denied, Detection, GraphError, Link, Next, Page, TokenFault, Walk};
use crate::facts::{ObjectId, RiskLevel, RiskReading, RiskSource, Tick, UnixTime};

/// What the job remembers of one tenant.
struct Poll {
    schedule: Schedule,
    last: Last,
    /// When to read the whole list; `None` for at once.
    whole: Option<Tick>,
    /// What was last told of each account, to tell on only what is new.
    known: HashMap<ObjectId, RiskReading>,
    /// Graph does not filter by time: each look is at the whole list.
    unfiltered: bool,
    /// Detections to be fetched, one page a look.
    detections: Option<Detections>,
}

struct Detections {
    since: UnixTime,
    next: Option<Link>,
    walk: Walk,
}

pub(super) async fn run(desk: Arc<Desk>) {
    if !desk.office.config.has_risk {
        desk.set_source(RiskSource::NotInCloud, None);
        desk.show(SyncKind::Risk, |progress| progress.error = Some(NOT_IN_CLOUD.to_owned()));
        return std::future::pending().await;
    }
    let mut first = desk.office.config.rhythm.first;
    loop {
        if desk.upload() {
            Poll::new(&desk, first).run(&desk).await;
        }
        // From here on a turned switch is what began the wait of the rhythm.
        first = desk.office.config.rhythm.first;
        desk.set_source(RiskSource::UploadOff, None);
        desk.show(SyncKind::Risk, |progress| {
            (progress.phase, progress.next, progress.error) = (Phase::Never, None, Some(UPLOAD_OFF.to_owned()));
        });
        while !desk.upload() {
            desk.wake.risk.notified().await;
        }
        desk.show(SyncKind::Risk, |progress| progress.error = None);
        desk.set_source(RiskSource::NeverSynced, None);
    }
}

impl Poll {
    fn new(desk: &Desk, first: Duration) -> Self {
        let rhythm = desk.office.config.rhythm;
        // What is known from before a restart is brought up to date at once.
        let is_known = desk.office.directory.feed(desk.tenant).now().confirmed > UnixTime(0);
        let first = if is_known { Duration::ZERO } else { first };
        Self {
            schedule: Schedule::new(desk.office.clock.tick(), first, rhythm.risk),
            last: Last::Never,
            whole: None,
            known: HashMap::new(),
            unfiltered: false,
            detections: None,
        }
    }

    /// Goes on until upload is turned off.
    async fn run(mut self, desk: &Desk) {
        loop {
            let now = desk.office.clock.tick();
            let due = self.schedule.next(self.last, now, noise());
            desk.plans(SyncKind::Risk, due);
            desk.wait_until(due, &desk.wake.risk).await;
            if !desk.upload() {
                return;
            }
            self.last = match self.cycle(desk).await {
                Ok(()) => Last::Done,
                Err(fault) => self.last.failed(fault.retry_after()),
            };
        }
    }

    async fn cycle(&mut self, desk: &Desk) -> Result<(), Fault> {
        let now = desk.office.clock.tick();
        let is_good = matches!(source(desk), RiskSource::Answers | RiskSource::NoLicence);
        // Half a slot early, or a reading that is due with every slot would come with every second one.
        let early = desk.office.config.rhythm.risk / 2;
        let is_due = self.whole.is_none_or(|due| due.since(now) <= early);
        let whole = self.unfiltered || !is_good || is_due;
        desk.begins(SyncKind::Risk, whole);
        let confirmed = desk.office.clock.now();
        let mut outcome = if whole { self.read_whole(desk).await } else { self.read_changes(desk).await };
        if let (false, Err(Fault::Graph(GraphError::Status(400 | 501)))) = (whole, &outcome) {
            tracing::warn!(tenant = %desk.tenant, "Graph does not filter risk by time; the whole list is read instead");
            self.unfiltered = true;
            outcome = self.read_whole(desk).await;
        }
        match outcome {
            Ok(()) => {
                let is_hidden = self.known.values().any(|reading| reading.level == RiskLevel::Hidden);
                let source = if is_hidden { RiskSource::NoLicence } else { RiskSource::Answers };
                desk.set_source(source, Some(confirmed));
                if whole {
                    self.whole = Some(now.plus(desk.office.config.rhythm.risk_full));
                }
                desk.ended(SyncKind::Risk, whole);
                self.look_at_detections(desk).await;
                Ok(())
            }
            Err(fault) => {
                if let Fault::Graph(error) = &fault {
                    self.refused(desk, error);
                }
                desk.failed(SyncKind::Risk, fault.word(), fault.to_string());
                Err(fault)
            }
        }
    }

    /// What a failure says about where risk comes from. Most say nothing: what is known ages, which readers see.
    fn refused(&mut self, desk: &Desk, error: &GraphError) {
        let source = match error {
            GraphError::Denied(Denied::MissingLicence) => RiskSource::NoLicence,
            GraphError::NoToken { fault: TokenFault::Disabled | TokenFault::Deleted, .. } | GraphError::Denied(_) => {
                RiskSource::NoPermission
            }
            GraphError::NoSuchInterface | GraphError::NotFound => RiskSource::NotInCloud,
            _ => return,
        };
        // After a gap only the whole list tells what was missed.
        self.whole = None;
        desk.set_source(source, None);
        desk.doubt();
    }

    async fn read_whole(&mut self, desk: &Desk) -> Result<(), Fault> {
        let mut read: HashMap<ObjectId, RiskReading> = HashMap::new();
        let (mut link, mut walk, mut broken) = (None, Walk::new(MOST_PAGES), 0);
        let mut begins = true;
        loop {
            let page = patiently(desk, || risky(desk, None, link.clone())).await?;
            broken += page.broken;
            let readings = page.items;
            read.extend(readings.iter().copied());
            count(desk, readings.len());
            let next = if let Next::More(next) = page.next { Some(next) } else { None };
            let full_ends = next.is_none() && broken == 0;
            let risk = RiskUpdate { readings, full_begins: begins, full_ends, ..RiskUpdate::default() };
            apply(desk, risk).await?;
            begins = false;
            let Some(next) = next else { break };
            walk.follow(&next)?;
            link = Some(next);
        }
        self.ask_for_detections(&read);
        if broken > 0 {
            self.known.extend(read);
            return Err(Fault::Incomplete(broken));
        }
        self.known = read;
        Ok(())
    }

    async fn read_changes(&mut self, desk: &Desk) -> Result<(), Fault> {
        let newest = self.known.values().map(|reading| reading.updated).max().unwrap_or_default();
        // A time ahead of our clock would hide everything before it.
        let since = UnixTime(newest.min(desk.office.clock.now()).0.saturating_sub(OVERLAP.as_secs()));
        let since = (newest > UnixTime(0)).then_some(since);
        let (mut link, mut walk, mut broken) = (None, Walk::new(MOST_PAGES), 0);
        loop {
            let page = patiently(desk, || risky(desk, since, link.clone())).await?;
            broken += page.broken;
            let readings: Vec<_> = page.items.into_iter().filter(|(who, new)| !self.is_known(*who, new)).collect();
            count(desk, readings.len());
            let fresh: HashMap<_, _> = readings.iter().copied().collect();
            if !readings.is_empty() {
                apply(desk, RiskUpdate { readings, ..RiskUpdate::default() }).await?;
            }
            self.ask_for_detections(&fresh);
            self.known.extend(fresh);
            let Next::More(next) = page.next else { break };
            walk.follow(&next)?;
            link = Some(next);
        }
        if broken > 0 {
            self.whole = None;
            return Err(Fault::Incomplete(broken));
        }
        Ok(())
    }

    /// Whether this was told on already. Which of two readings is the later one the directory decides.
    fn is_known(&self, who: ObjectId, new: &RiskReading) -> bool {
        self.known.get(&who).is_some_and(|known| RiskReading { read: new.read, ..*known } == *new)
    }

    /// Detections belong to accounts that have just become risky; those of before a start are fetched once.
    fn ask_for_detections(&mut self, read: &HashMap<ObjectId, RiskReading>) {
        let changed = read.iter().filter(|(who, new)| !self.is_known(**who, new));
        let Some(oldest) = changed.map(|(_, new)| new.updated).min() else { return };
        let since = UnixTime(oldest.0.saturating_sub(BEFORE_RISK.as_secs()));
        let since = self.detections.as_ref().map_or(since, |asked| asked.since.min(since));
        self.detections = Some(Detections { since, next: None, walk: Walk::new(MOST_DETECTION_PAGES) });
    }

    /// One page, so that the next look at risk is not held up.
    async fn look_at_detections(&mut self, desk: &Desk) {
        let Some(mut wanted) = self.detections.take() else { return };
        if !desk.upload() {
            return;
        }
        let graph = desk.graph();
        let page = match &wanted.next {
            Some(link) => graph.risk_detections_at(link).await,
            None => graph.risk_detections(Some(wanted.since)).await,
        };
        let page = match page {
            Ok(page) => page,
            // Only the words for people are missing; the permission's own status says so.
            Err(GraphError::Denied(_)) => return,
            Err(error) => {
                if error.is_passing() {
                    self.detections = Some(wanted);
                }
                desk.count_failure(SyncKind::Risk, error.word());
                return;
            }
        };
        let detections: Vec<_> = page.items.iter().filter_map(|found| self.word_of(found)).collect();
        if !detections.is_empty() {
            let told = apply(desk, RiskUpdate { detections, ..RiskUpdate::default() }).await;
            if told.is_err() {
                self.detections = Some(wanted);
                return;
            }
        }
        if let Next::More(next) = page.next
            && wanted.walk.follow(&next).is_ok()
        {
            wanted.next = Some(next);
            self.detections = Some(wanted);
        }
    }

    fn word_of(&self, found: &Detection) -> Option<(ObjectId, String)> {
        let word = found.kind.as_deref()?;
        let is_word = word.len() <= LONGEST_WORD && word.bytes().all(|byte| byte.is_ascii_alphanumeric());
        (is_word && self.known.contains_key(&found.user)).then(|| (found.user, word.to_owned()))
    }
}

async fn risky(
    desk: &Desk,
    since: Option<UnixTime>,
    link: Option<Link>,
) -> Result<Page<(ObjectId, RiskReading)>, GraphError> {
    let graph = desk.graph();
    match &link {
        Some(link) => graph.risky_users_at(link).await,
        None => graph.risky_users(since).await,
    }
}

/// What was under way when upload was turned off is dropped, and the reading with it: if it went on, and upload were
/// turned on again before its end, whoever was dropped would count as not listed.
async fn apply(desk: &Desk, risk: RiskUpdate) -> Result<(), Fault> {
    if !desk.upload() {
        return Err(Fault::UploadOff);
    }
    let update = Update { risk: Some(risk), ..Update::default() };
    desk.office.directory.apply(desk.tenant, update).await?;
    Ok(())
}

fn count(desk: &Desk, readings: usize) {
    let readings = u64::try_from(readings).unwrap_or(u64::MAX);
    desk.show(SyncKind::Risk, |progress| progress.read = progress.read.saturating_add(readings));
}

fn source(desk: &Desk) -> RiskSource {
    desk.office.directory.feed(desk.tenant).now().source
}

const UPLOAD_OFF: &str = "data upload is off";
/// Real-time detections take five to ten minutes to surface:
/// <https://learn.microsoft.com/entra/id-protection/concept-identity-protection-risks>.
const OVERLAP: Duration = Duration::from_secs(900);
/// A detection is older than the change of risk it causes.
const BEFORE_RISK: Duration = Duration::from_secs(3600);
const MOST_PAGES: usize = 10_000;
/// At 500 a page.
const MOST_DETECTION_PAGES: usize = 20;
/// Microsoft's own words are shorter.
const LONGEST_WORD: usize = 64;
