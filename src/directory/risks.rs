//! The risk of one tenant's accounts: what replaces what, and who is no longer listed.
//!
//! Two readings of an account are put in order by the provider's own time of change, and only if one of them lacks it
//! by the time of reading. Nothing that says less than before lowers what is known: a level that is hidden, missing or
//! unknown leaves a high risk high, and neither does an answer that the provider is still working on.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::RiskUpdate;
use super::object::cut;
use crate::facts::{AccountRisk, ObjectId, RiskLevel, RiskReading, RiskState};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Risks {
    known: HashMap<ObjectId, Entry>,
    /// The full list that began last, and whether it is under way. After a restart none is: the job begins anew.
    last: u32,
    running: bool,
}

/// One account. Words may come before the account is listed; without a reading it has no risk yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Entry {
    reading: Option<RiskReading>,
    words: Option<Arc<[Arc<str>]>>,
    /// The full list that it was seen in last.
    mark: u32,
}

/// What an update makes of it.
#[derive(Debug, Default)]
pub(super) struct RiskPlan {
    /// New values; `None`: no longer listed.
    pub(super) entries: HashMap<ObjectId, Option<Entry>>,
    last: u32,
    running: bool,
}

impl Risks {
    pub(super) fn get(&self, object: ObjectId) -> Option<AccountRisk> {
        self.known.get(&object).and_then(Entry::shown)
    }

    /// Whether the risk list says that the account is gone.
    pub(super) fn says_deleted(&self, object: ObjectId) -> bool {
        self.known.get(&object).and_then(|entry| entry.reading).is_some_and(|reading| reading.deleted)
    }

    pub(super) fn entry(&self, object: ObjectId) -> Option<&Entry> {
        self.known.get(&object)
    }

    /// Everybody who is listed.
    pub(super) fn all(&self) -> impl Iterator<Item = (ObjectId, AccountRisk)> + '_ {
        self.known.iter().filter_map(|(object, entry)| Some((*object, entry.shown()?)))
    }

    pub(super) fn len(&self) -> usize {
        self.known.values().filter(|entry| entry.reading.is_some()).count()
    }

    pub(super) fn plan(&self, update: &RiskUpdate) -> RiskPlan {
        let mut plan = RiskPlan { entries: HashMap::new(), last: self.last, running: self.running };
        if update.full_begins {
            plan.last = plan.last.saturating_add(1);
            plan.running = true;
        }
        let mark = plan.last;
        for (object, reading) in &update.readings {
            let entry = self.planned(&mut plan, *object);
            entry.mark = mark;
            entry.take(*reading);
        }
        for (object, word) in &update.detections {
            let entry = self.planned(&mut plan, *object);
            entry.mark = mark;
            entry.add(word);
        }
        // A last part whose first was never seen here, say because the gateway restarted in between, removes nobody.
        if update.full_ends && plan.running {
            plan.running = false;
            let missing =
                self.known.iter().filter(|(object, entry)| entry.mark != mark && !plan.entries.contains_key(object));
            let missing: Vec<_> = missing.map(|(object, _)| (*object, None)).collect();
            plan.entries.extend(missing);
        }
        plan
    }

    fn planned<'a>(&self, plan: &'a mut RiskPlan, object: ObjectId) -> &'a mut Entry {
        let planned = plan.entries.entry(object).or_insert_with(|| self.known.get(&object).cloned());
        planned.get_or_insert_default()
    }

    /// Makes a plan visible.
    pub(super) fn take(&mut self, plan: RiskPlan) {
        (self.last, self.running) = (plan.last, plan.running);
        for (object, entry) in plan.entries {
            match entry {
                Some(entry) => drop(self.known.insert(object, entry)),
                None => drop(self.known.remove(&object)),
            }
        }
    }

    /// Takes a row of the store.
    pub(super) fn load(&mut self, object: ObjectId, row: &[u8]) -> bool {
        let Some(entry) = Entry::of_row(row) else { return false };
        self.known.insert(object, entry);
        true
    }
}

impl Entry {
    fn shown(&self) -> Option<AccountRisk> {
        Some(AccountRisk { reading: self.reading?, detections: self.words.clone().unwrap_or_else(|| [].into()) })
    }

    /// Whether it says the same as `other`, but for when that was read.
    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        let timeless =
            |entry: &Self| entry.reading.map(|reading| RiskReading { read: crate::facts::UnixTime(0), ..reading });
        timeless(self) == timeless(other) && self.words == other.words
    }

    /// Whether a standing shows the same for both.
    pub(super) fn shows_the_same(&self, other: &Self) -> bool {
        self.is_listed() == other.is_listed() && (!self.is_listed() || self.says_the_same(other))
    }

    /// Whether the account is listed, rather than just named by a detection.
    pub(super) const fn is_listed(&self) -> bool {
        self.reading.is_some()
    }

    fn take(&mut self, reading: RiskReading) {
        let settled = self.reading.map_or(reading, |known| settled(known, reading));
        self.reading = Some(settled);
        if let (false, Some(shown)) = (settled.processing, self.shown())
            && !shown.is_open()
        {
            // What was seen belongs to a risk that has been settled; the next one brings its own.
            self.words = None;
        }
    }

    fn add(&mut self, word: &str) {
        let word = cut(word, MOST_OF_A_WORD);
        let known = self.words.as_deref().unwrap_or_default();
        if let Err(place) = known.binary_search_by(|known| (**known).cmp(word))
            && known.len() < MOST_WORDS
            && !word.is_empty()
        {
            let mut words = known.to_vec();
            words.insert(place, word.into());
            self.words = Some(words.into());
        }
    }

    pub(super) fn row(&self) -> Vec<u8> {
        let mut row = Vec::with_capacity(64);
        match self.reading {
            None => row.extend_from_slice(&[0; 19]),
            Some(reading) => {
                row.push(1 | u8::from(reading.deleted) << 1 | u8::from(reading.processing) << 2);
                row.push(place(&LEVELS, reading.level));
                row.push(place(&STATES, reading.state));
                row.extend_from_slice(&reading.updated.0.to_le_bytes());
                row.extend_from_slice(&reading.read.0.to_le_bytes());
            }
        }
        let words: Vec<&str> = self.words.iter().flat_map(|words| words.iter().map(|word| &**word)).collect();
        row.extend_from_slice(words.join("\n").as_bytes());
        row
    }

    fn of_row(row: &[u8]) -> Option<Self> {
        let ([flags, level, state], rest) = row.split_first_chunk::<3>()?;
        let (updated, rest) = rest.split_first_chunk()?;
        let (read, words) = rest.split_first_chunk()?;
        let moment = |bytes: &[u8; 8]| crate::facts::UnixTime(u64::from_le_bytes(*bytes));
        let reading = RiskReading {
            level: LEVELS.get(usize::from(*level)).copied().unwrap_or(RiskLevel::Unknown),
            state: STATES.get(usize::from(*state)).copied().unwrap_or(RiskState::Unknown),
            updated: moment(updated),
            read: moment(read),
            deleted: flags & 2 != 0,
            processing: flags & 4 != 0,
        };
        let words = std::str::from_utf8(words).ok()?;
        let words = (!words.is_empty()).then(|| words.split('\n').map(Arc::from).collect());
        Some(Self { reading: (flags & 1 != 0).then_some(reading), words, mark: 0 })
    }
}

/// What holds after `new` was read, `known` being what held before.
fn settled(known: RiskReading, new: RiskReading) -> RiskReading {
    if is_older(&new, &known) {
        return known;
    }
    let open = |reading: RiskReading| AccountRisk { reading, detections: [].into() }.is_open();
    let stood_high = open(known) && known.level == RiskLevel::High;
    let (lower, closed) = (rank(new.level) < rank(known.level), !open(new));
    if new.processing && open(known) && (lower || closed) {
        return RiskReading { read: new.read, processing: true, ..known };
    }
    let vague = !new.level.is_known() || new.state == RiskState::Unknown;
    let said_safe = matches!(new.state, RiskState::ConfirmedSafe | RiskState::Remediated | RiskState::Dismissed);
    if stood_high && vague && !said_safe {
        return RiskReading { level: RiskLevel::High, ..new };
    }
    new
}

/// Whether `new` tells of an earlier moment than `known`. A time of change that is missing, or lies in the future by
/// more than clocks differ, says nothing.
fn is_older(new: &RiskReading, known: &RiskReading) -> bool {
    let told = |reading: &RiskReading| reading.updated.0 != 0 && reading.updated <= reading.read.plus(CLOCKS_DIFFER);
    if told(new) && told(known) { (new.updated, new.read) < (known.updated, known.read) } else { new.read < known.read }
}

/// How bad a level is; what is not known may be the worst.
const fn rank(level: RiskLevel) -> u8 {
    match level {
        RiskLevel::None => 0,
        RiskLevel::Low => 1,
        RiskLevel::Medium => 2,
        RiskLevel::High | RiskLevel::Hidden | RiskLevel::Unknown => 3,
    }
}

fn place<T: PartialEq>(list: &[T], value: T) -> u8 {
    list.iter().position(|listed| *listed == value).and_then(|place| u8::try_from(place).ok()).unwrap_or(u8::MAX)
}

/// In the order of their codes in the store; a new one goes to the end.
const LEVELS: [RiskLevel; 6] =
    [RiskLevel::Unknown, RiskLevel::None, RiskLevel::Low, RiskLevel::Medium, RiskLevel::High, RiskLevel::Hidden];
const STATES: [RiskState; 7] = [
    RiskState::Unknown,
    RiskState::None,
    RiskState::ConfirmedSafe,
    RiskState::Remediated,
    RiskState::Dismissed,
    RiskState::AtRisk,
    RiskState::ConfirmedCompromised,
];
/// The provider's clock and ours may differ by this much.
const CLOCKS_DIFFER: Duration = Duration::from_secs(24 * 60 * 60);
/// Kinds of detections kept for one account; there are about forty.
const MOST_WORDS: usize = 48;
const MOST_OF_A_WORD: usize = 64;
