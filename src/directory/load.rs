//! The start: everything the store kept of the configured tenants, read in a few passes.
//!
//! What the end of a full reading decided but had no time to write down is worked out again, and rows that mean nothing
//! any more are handed over to be deleted with the first update.

use std::collections::HashMap;
use std::time::Duration;

use super::SyncKind;
use super::index::{Index, at};
use super::marks::Mark;
use super::membership::{Members, Membership};
use super::object::{Gone, Kind, Object, seconds};
use super::reading::{Reading, code};
use super::rows::{Rows, members_key, number, object_key, person, split};
use super::snapshot::Snapshot;
use crate::entra::graph::Removal;
use crate::facts::{RiskFeed, RiskSource, TenantId, UnixTime};
use crate::store::{Store, StoreError, Table};

/// One tenant as it was kept.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) tenant: TenantId,
    pub(super) snapshot: Snapshot,
    pub(super) feed: Option<RiskFeed>,
    /// Rows to be set right.
    pub(super) later: Rows,
    /// Rows that could not be read.
    broken: usize,
}

/// Members by group: of the reading that counts, and of the one under way.
#[derive(Debug, Default)]
struct Runs {
    now: HashMap<u32, Members>,
    next: HashMap<u32, Members>,
    later: Rows,
    broken: usize,
}

/// Reads everything. Rows of tenants that are not configured stay where they are.
///
/// # Errors
/// When the store cannot read.
pub(super) fn load(store: &Store, tenants: &[TenantId], now: UnixTime) -> Result<Vec<Loaded>, StoreError> {
    let mut all: Vec<Loaded> = tenants.iter().map(|tenant| Loaded::empty(*tenant)).collect();
    store.scan(Table::DirectoryRounds, |key, row| each(&mut all, key, |one, rest| one.round(rest, row)))?;
    let readings: Vec<(TenantId, Reading)> = all.iter().map(|one| (one.tenant, one.snapshot.groups.clone())).collect();
    // Objects and members are the two long tables; one thread each.
    let runs = std::thread::scope(|threads| {
        let runs = threads.spawn(|| runs(store, &readings));
        store.scan(Table::DirectoryObjects, |key, row| each(&mut all, key, |one, rest| one.object(rest, row)))?;
        for one in &mut all {
            one.settle_objects(now);
        }
        // A start that lost its memberships would find nobody.
        runs.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })?;
    for (one, runs) in all.iter_mut().zip(runs) {
        one.settle_members(runs);
    }
    store.scan(Table::Risk, |key, row| each(&mut all, key, |one, rest| one.risk(rest, row)))?;
    store.scan(Table::Holds, |key, row| each(&mut all, key, |one, rest| one.mark(rest, row)))?;
    for one in all.iter().filter(|one| one.broken > 0) {
        tracing::error!(tenant = %one.tenant, rows = one.broken, "rows of the directory could not be read; the next full reading brings them again");
    }
    Ok(all)
}

fn each(all: &mut [Loaded], key: &[u8], take: impl FnOnce(&mut Loaded, &[u8]) -> Option<()>) {
    let Some((tenant, rest)) = split(key) else { return };
    if let Some(one) = all.iter_mut().find(|one| one.tenant == tenant)
        && take(one, rest).is_none()
    {
        one.broken += 1;
    }
}

/// The members' table, tenant by tenant in the order of `readings`.
fn runs(store: &Store, readings: &[(TenantId, Reading)]) -> Result<Vec<Runs>, StoreError> {
    let mut all: Vec<Runs> = readings.iter().map(|_| Runs::default()).collect();
    store.scan(Table::DirectoryMembers, |key, row| {
        let Some((tenant, rest)) = split(key) else { return };
        let found = readings.iter().zip(&mut all).find(|((known, _), _)| *known == tenant);
        let Some(((_, reading), runs)) = found else { return };
        if runs.run(reading, tenant, rest, row).is_none() {
            runs.broken += 1;
        }
    })?;
    Ok(all)
}

impl Runs {
    fn run(&mut self, reading: &Reading, tenant: TenantId, key: &[u8], row: &[u8]) -> Option<()> {
        let (of, rest) = number(key)?;
        let (group, rest) = number(rest)?;
        let (start, _) = number(rest)?;
        let list = if of == reading.complete {
            &mut self.now
        } else if reading.running && of == reading.last {
            &mut self.next
        } else {
            self.later.delete(Table::DirectoryMembers, members_key(tenant, of, group, start));
            return Some(());
        };
        list.entry(group).or_default().append_row(start, row).then_some(())
    }
}

impl Loaded {
    fn empty(tenant: TenantId) -> Self {
        Self { tenant, snapshot: Snapshot::default(), feed: None, later: Rows::default(), broken: 0 }
    }

    fn round(&mut self, key: &[u8], row: &[u8]) -> Option<()> {
        let kind = SyncKind::ALL.into_iter().find(|kind| [code(*kind)] == *key)?;
        match kind {
            SyncKind::Users => self.snapshot.users = Reading::of_row(row)?,
            SyncKind::Groups => self.snapshot.groups = Reading::of_row(row)?,
            SyncKind::Risk => self.feed = Some(feed_of_row(row)?),
        }
        Some(())
    }

    fn object(&mut self, key: &[u8], row: &[u8]) -> Option<()> {
        let (number, _) = number(key)?;
        let object = Object::of_row(row)?;
        let objects = &mut self.snapshot.objects;
        // Rows come in the order of their numbers; a hole is a number that is free.
        if at(number) >= objects.len() {
            objects.resize_with(at(number) + 1, Object::default);
        }
        *objects.get_mut(at(number))? = object;
        Some(())
    }

    /// Takes leave of whom the last full reading did not bring, and of those who went long ago.
    fn settle_objects(&mut self, now: UnixTime) {
        let Self { snapshot, later, tenant, .. } = self;
        let forget = seconds(now).saturating_sub(seconds(UnixTime(REMEMBERED.as_secs())));
        for (number, object) in (0..).zip(&mut snapshot.objects) {
            let reading = match object.kind {
                Kind::User => &mut snapshot.users,
                Kind::Group => &mut snapshot.groups,
                Kind::Named | Kind::Vacant => continue,
            };
            // Should the row of the reading be lost, the next one must still not get a number that is in use.
            reading.last = reading.last.max(object.mark);
            if object.gone == Gone::No && object.mark < reading.complete {
                object.leave(Removal::Changed, now);
                later.put(Table::DirectoryObjects, object_key(*tenant, number), object.row());
            } else if object.gone != Gone::No && object.gone_at < forget {
                *object = Object::named(object.id);
                later.put(Table::DirectoryObjects, object_key(*tenant, number), object.row());
            }
        }
    }

    fn settle_members(&mut self, mut runs: Runs) {
        let Self { snapshot, later, tenant, broken, .. } = self;
        *broken += runs.broken;
        later.append(&mut runs.later);
        let forgotten = |group: &u32| snapshot.objects.get(at(*group)).is_none_or(|object| object.kind != Kind::Group);
        for (group, members) in runs.now.iter().filter(|(group, _)| forgotten(group)) {
            for start in members.starts() {
                later.delete(Table::DirectoryMembers, members_key(*tenant, snapshot.groups.complete, *group, start));
            }
        }
        runs.now.retain(|group, _| !forgotten(group));
        snapshot.membership = Membership::of(runs.now, snapshot.objects.len());
        snapshot.next = runs.next;
        snapshot.objects.shrink_to_fit();
        snapshot.index = Index::with_room(snapshot.objects.len());
        for number in 0..u32::try_from(snapshot.objects.len()).unwrap_or(u32::MAX) {
            let Some(object) = snapshot.objects.get_mut(at(number)) else { break };
            let named_by_nobody = !snapshot.membership.is_member(number) && !snapshot.groups.running;
            if object.kind == Kind::Named && named_by_nobody {
                *object = Object::default();
                later.delete(Table::DirectoryObjects, object_key(*tenant, number));
            }
            if object.kind == Kind::Vacant {
                snapshot.vacant.push(number);
            } else {
                snapshot.index.add(number, &snapshot.objects);
            }
        }
    }

    fn risk(&mut self, key: &[u8], row: &[u8]) -> Option<()> {
        self.snapshot.risks.load(person(key)?, row).then_some(())
    }

    fn mark(&mut self, key: &[u8], row: &[u8]) -> Option<()> {
        self.snapshot.marks.insert(person(key)?, Mark::of_row(row)?);
        Some(())
    }
}

/// A feed as the store keeps it.
pub(super) fn feed_row(feed: RiskFeed) -> Vec<u8> {
    let mut row = vec![feed.source as u8];
    row.extend_from_slice(&feed.confirmed.0.to_le_bytes());
    row
}

fn feed_of_row(row: &[u8]) -> Option<RiskFeed> {
    let (source, rest) = row.split_first()?;
    let (confirmed, _) = rest.split_first_chunk()?;
    Some(RiskFeed { source: RiskSource::from_code(*source), confirmed: UnixTime(u64::from_le_bytes(*confirmed)) })
}

/// Who is gone is remembered for as long as an account can be restored, and a day: longer than any session lives.
///
/// Source: <https://learn.microsoft.com/entra/fundamentals/users-restore>.
const REMEMBERED: Duration = Duration::from_secs(31 * 24 * 60 * 60);
