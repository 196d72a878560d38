//! What a sync job found, and whom it concerns.

use crate::entra::graph::{Group, GroupChange, UserChange};
use crate::facts::{ObjectId, RiskReading, TenantId, UserKey};

/// One step of a sync job; applied whole, together with the link it goes on from.
#[derive(Debug, Default)]
pub struct Update {
    /// What happened to users.
    pub users: Vec<UserChange>,
    /// What happened to groups and memberships.
    pub groups: Vec<GroupChange>,
    /// What is known of risk.
    pub risk: Option<RiskUpdate>,
    /// Where the reading of users stands after this step. `None`: the step belongs to no reading. It takes effect at
    /// once even while a full reading is under way, and moves no link.
    pub users_round: Option<Round>,
    /// Where the reading of groups stands after this step; as for users.
    pub groups_round: Option<Round>,
}

/// Where a reading by delta stands after a page. Also what [`super::Directory::round`] tells after a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Round {
    /// The first page of a full reading: what does not come until it ends is gone.
    FullBegins {
        /// Where it goes on.
        next: String,
    },
    /// A further page.
    GoesOn {
        /// Where it goes on.
        next: String,
    },
    /// The last page. After a full reading, whoever did not come in it is removed.
    Ends {
        /// Where to ask for what changes from now on.
        delta: String,
        /// Whether this page is also the first of a full reading.
        was_full: bool,
    },
}

/// What was read about risk.
#[derive(Debug, Default)]
pub struct RiskUpdate {
    /// Readings, newest last.
    pub readings: Vec<(ObjectId, RiskReading)>,
    /// Words for what the provider saw, per account, to be added.
    pub detections: Vec<(ObjectId, String)>,
    /// Whether this is the last part of a full list that began with `full_begins`: who was not in it has no risk.
    pub full_ends: bool,
    /// Whether this is the first part of a full list.
    pub full_begins: bool,
}

/// Whose standing changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Affected {
    /// Nobody's.
    Nobody,
    /// These people's.
    People(Vec<UserKey>),
    /// Perhaps everybody's in this tenant.
    Everybody(TenantId),
}

impl Affected {
    /// Both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Nobody, one) | (one, Self::Nobody) => one,
            (Self::Everybody(tenant), _) | (_, Self::Everybody(tenant)) => Self::Everybody(tenant),
            (Self::People(mut people), Self::People(more)) => {
                people.extend(more);
                Self::of(people)
            }
        }
    }

    /// These people, each once; nobody if there are none.
    pub(super) fn of(mut people: Vec<UserKey>) -> Self {
        people.sort_unstable();
        people.dedup();
        if people.is_empty() { Self::Nobody } else { Self::People(people) }
    }
}

/// A piece of an update that fits one batch of the store. Only the last one moves the link, so if a later piece fails
/// the job reads the same page again; taking a piece twice changes nothing.
#[derive(Debug, Default)]
pub(super) struct Piece {
    pub(super) users: Vec<UserChange>,
    pub(super) groups: Vec<GroupChange>,
    pub(super) risk: Option<RiskUpdate>,
    pub(super) users_step: Step,
    pub(super) groups_step: Step,
    size: usize,
}

/// What a piece does to a reading.
#[derive(Debug, Default)]
pub(super) struct Step {
    /// It belongs to a page of the reading, whose link moves with the last piece.
    pub(super) is_page: bool,
    /// A full reading begins with it.
    pub(super) begins: bool,
    /// Where it then stands.
    pub(super) then: Option<Round>,
}

impl Update {
    /// In pieces, in order; nearly always one.
    pub(super) fn pieces(self) -> Vec<Piece> {
        let mut pieces = vec![Piece::default()];
        for user in self.users {
            put(&mut pieces, 1, |piece| piece.users.push(user));
        }
        for group in self.groups {
            let GroupChange::Seen(group) = group else {
                put(&mut pieces, 1, |piece| piece.groups.push(group));
                continue;
            };
            for part in parts(group) {
                let size = 1 + part.added.len() + part.removed.len();
                put(&mut pieces, size, |piece| piece.groups.push(GroupChange::Seen(part)));
            }
        }
        for part in self.risk.into_iter().flat_map(risk_parts) {
            if pieces.last().is_some_and(|piece| piece.risk.is_some()) {
                pieces.push(Piece::default());
            }
            let size = part.readings.len() + part.detections.len();
            put(&mut pieces, size, |piece| piece.risk = Some(part));
        }
        let begins = |round: &Option<Round>| {
            matches!(round, Some(Round::FullBegins { .. } | Round::Ends { was_full: true, .. }))
        };
        for piece in &mut pieces {
            piece.users_step.is_page = self.users_round.is_some();
            piece.groups_step.is_page = self.groups_round.is_some();
        }
        if let Some(first) = pieces.first_mut() {
            first.users_step.begins = begins(&self.users_round);
            first.groups_step.begins = begins(&self.groups_round);
        }
        if let Some(last) = pieces.last_mut() {
            last.users_step.then = self.users_round;
            last.groups_step.then = self.groups_round;
        }
        pieces
    }
}

/// Puts `size` more into the last piece, or into a new one if they do not fit.
fn put(pieces: &mut Vec<Piece>, size: usize, put: impl FnOnce(&mut Piece)) {
    let mut piece = pieces.pop().unwrap_or_default();
    if piece.size > 0 && piece.size + size > MOST_AT_ONCE {
        pieces.push(std::mem::take(&mut piece));
    }
    piece.size += size;
    put(&mut piece);
    pieces.push(piece);
}

/// A large group in parts.
fn parts(group: Group) -> Vec<Group> {
    if group.added.len() + group.removed.len() < MOST_AT_ONCE {
        return vec![group];
    }
    let part = |added: &[_], removed: &[_]| Group {
        id: group.id,
        name: group.name.clone(),
        added: added.to_vec(),
        removed: removed.to_vec(),
    };
    let added = group.added.chunks(MOST_AT_ONCE / 2).map(|added| part(added, &[]));
    added.chain(group.removed.chunks(MOST_AT_ONCE / 2).map(|removed| part(&[], removed))).collect()
}

fn risk_parts(mut risk: RiskUpdate) -> Vec<RiskUpdate> {
    if risk.readings.len() + risk.detections.len() < MOST_AT_ONCE {
        return vec![risk];
    }
    let (begins, ends) = (std::mem::take(&mut risk.full_begins), std::mem::take(&mut risk.full_ends));
    let readings = risk.readings.chunks(MOST_AT_ONCE / 2);
    let readings = readings.map(|some| RiskUpdate { readings: some.to_vec(), ..RiskUpdate::default() });
    let detections = risk.detections.chunks(MOST_AT_ONCE / 2);
    let detections = detections.map(|some| RiskUpdate { detections: some.to_vec(), ..RiskUpdate::default() });
    let mut parts: Vec<_> = readings.chain(detections).collect();
    if let Some(first) = parts.first_mut() {
        first.full_begins = begins;
    }
    if let Some(last) = parts.last_mut() {
        last.full_ends = ends;
    }
    parts
}

/// Changes in one batch: at about 150 bytes each far below what the store takes.
const MOST_AT_ONCE: usize = 20_000;
