//! The directory told naively: sets instead of numbers, everything worked out anew each time.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::facts::AccountRisk;

/// See the module.
#[derive(Debug, Default, Clone)]
pub(super) struct Model {
    users: BTreeMap<u128, MUser>,
    groups: BTreeMap<u128, MGroup>,
    users_read: bool,
    groups_read: bool,
    /// Who came in the full reading under way.
    users_seen: Option<BTreeSet<u128>>,
    /// Members as the full reading under way tells them.
    groups_seen: Option<BTreeMap<u128, BTreeSet<u128>>>,
    risk: BTreeMap<u128, RiskReading>,
    words: BTreeMap<u128, BTreeSet<String>>,
    /// Whom the full list under way has named.
    risk_seen: Option<BTreeSet<u128>>,
    holds: BTreeMap<u128, (Hold, UnixTime)>,
}

#[derive(Debug, Default, Clone)]
struct MUser {
    enabled: Option<bool>,
    valid_from: Option<UnixTime>,
    gone: Option<Removal>,
}

#[derive(Debug, Default, Clone)]
struct MGroup {
    gone: Option<Removal>,
    members: BTreeSet<u128>,
}

impl Model {
    pub(super) fn is_read(&self) -> bool {
        self.users_read && self.groups_read
    }

    pub(super) fn apply(&mut self, update: &Update) {
        let full = |round: &Option<Round>| {
            matches!(round, Some(Round::FullBegins { .. } | Round::Ends { was_full: true, .. }))
        };
        if full(&update.users_round) {
            self.users_seen = Some(BTreeSet::new());
        }
        if full(&update.groups_round) {
            self.groups_seen = Some(BTreeMap::new());
        }
        let in_full = |seen: bool, round: &Option<Round>| seen && round.is_some();
        let users_in_full = in_full(self.users_seen.is_some(), &update.users_round);
        let groups_in_full = in_full(self.groups_seen.is_some(), &update.groups_round);
        update.users.iter().for_each(|change| self.user(change, users_in_full));
        update.groups.iter().for_each(|change| self.group(change, groups_in_full));
        if let Some(risk) = &update.risk {
            self.risk(risk);
        }
        if matches!(update.users_round, Some(Round::Ends { .. }))
            && let Some(seen) = self.users_seen.take()
        {
            self.users_read = true;
            for (id, user) in &mut self.users {
                if !seen.contains(id) {
                    user.gone.get_or_insert(Removal::Changed);
                }
            }
        }
        if matches!(update.groups_round, Some(Round::Ends { .. }))
            && let Some(mut seen) = self.groups_seen.take()
        {
            self.groups_read = true;
            for (id, group) in &mut self.groups {
                if !seen.contains_key(id) {
                    group.gone.get_or_insert(Removal::Changed);
                }
                group.members = seen.remove(id).unwrap_or_default();
            }
        }
    }

    fn user(&mut self, change: &UserChange, in_full: bool) {
        match change {
            UserChange::Seen(told) => {
                let user = self.users.entry(told.id.0.as_u128()).or_default();
                if user.gone == Some(Removal::Deleted) && !in_full {
                    return;
                }
                user.gone = None;
                user.enabled = told.enabled.or(user.enabled);
                user.valid_from = told.sign_in_sessions_valid_from.or(user.valid_from);
                if let Some(seen) = &mut self.users_seen {
                    seen.insert(told.id.0.as_u128());
                }
            }
            UserChange::Removed(id, how) => {
                let user = self.users.entry(id.0.as_u128()).or_default();
                if user.gone != Some(Removal::Deleted) {
                    user.gone = Some(*how);
                }
            }
        }
    }

    fn group(&mut self, change: &GroupChange, in_full: bool) {
        match change {
            GroupChange::Seen(told) => {
                let id = told.id.0.as_u128();
                let group = self.groups.entry(id).or_default();
                if group.gone == Some(Removal::Deleted) && !in_full {
                    return;
                }
                group.gone = None;
                let take = |members: &mut BTreeSet<u128>| {
                    members.extend(told.added.iter().map(|member| member.id.0.as_u128()));
                    members.retain(|member| told.removed.iter().all(|gone| gone.id != super::id(*member)));
                };
                if !in_full {
                    take(&mut group.members);
                }
                if let Some(seen) = &mut self.groups_seen {
                    take(seen.entry(id).or_default());
                }
            }
            GroupChange::Removed(id, how) => {
                if let Some(group) = self.groups.get_mut(&id.0.as_u128())
                    && group.gone != Some(Removal::Deleted)
                {
                    group.gone = Some(*how);
                }
            }
        }
    }

    /// Readings of the property test are plain: known levels, never in processing.
    fn risk(&mut self, update: &RiskUpdate) {
        if update.full_begins {
            self.risk_seen = Some(BTreeSet::new());
        }
        let mut named = BTreeSet::new();
        for (id, reading) in &update.readings {
            let id = id.0.as_u128();
            named.insert(id);
            let known = self.risk.entry(id).or_insert(*reading);
            if (reading.updated, reading.read) >= (known.updated, known.read) {
                *known = *reading;
            }
            if known.state == RiskState::Dismissed || known.level == RiskLevel::None {
                self.words.remove(&id);
            }
        }
        for (id, word) in &update.detections {
            named.insert(id.0.as_u128());
            self.words.entry(id.0.as_u128()).or_default().insert(word.clone());
        }
        if let Some(seen) = &mut self.risk_seen {
            seen.extend(named);
            if update.full_ends {
                self.risk.retain(|id, _| seen.contains(id));
                self.words.retain(|id, _| seen.contains(id));
                self.risk_seen = None;
            }
        }
    }

    pub(super) fn hold(&mut self, id: u128, hold: Hold, watched: UnixTime) {
        self.holds.insert(id, (hold, watched));
    }

    /// A full list of risk does not go on after a restart.
    pub(super) fn restart(&mut self) {
        self.risk_seen = None;
    }

    pub(super) fn standing(&self, id: u128) -> Standing {
        let user = self.users.get(&id);
        let account = match user {
            None => Account::Unknown,
            Some(MUser { gone: Some(_), .. }) => Account::Deleted,
            Some(MUser { enabled: Some(true), .. }) => Account::Enabled,
            Some(MUser { enabled: Some(false), .. }) => Account::Disabled,
            Some(_) => Account::Unknown,
        };
        let groups = match user {
            _ if !self.is_read() => Groups::known(vec![super::id(TOKEN_GROUP)]),
            Some(MUser { gone: None, .. }) => Groups::known(self.groups_of(id).into_iter().map(super::id).collect()),
            _ => Groups::Unknown,
        };
        let (hold, watched_until) = self.holds.get(&id).copied().unwrap_or_default();
        let words = self.words.get(&id).into_iter().flatten().map(|word| Arc::from(word.as_str()));
        let risk = self.risk.get(&id).map(|reading| AccountRisk { reading: *reading, detections: words.collect() });
        Standing { groups, account, valid_from: user.and_then(|user| user.valid_from), risk, hold, watched_until }
    }

    /// Grows the set until nothing is added.
    fn groups_of(&self, id: u128) -> BTreeSet<u128> {
        let mut found = BTreeSet::new();
        loop {
            let living = self.groups.iter().filter(|(_, group)| group.gone.is_none());
            let holds = |group: &MGroup| group.members.iter().any(|member| *member == id || found.contains(member));
            let more: BTreeSet<u128> = living.filter(|(_, group)| holds(group)).map(|(id, _)| *id).collect();
            if more == found {
                return found;
            }
            found = more;
        }
    }
}
