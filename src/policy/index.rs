//! The access rules of one app, found without looking at each: a decision costs what the person's own rules cost, not
//! what all rules do.
//!
//! Each rule stands in the lists of one condition that narrows it: the first segment of its paths, else its people, else
//! "general". A request reads its own few lists together, in the order of the rules. What is left out could not have
//! matched; what is read is still examined in full. Where that cannot be known beforehand, all rules are read: for a
//! stranger, who has to see which rules hang on people, and for somebody whose groups are not known.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::Arc;

use crate::facts::{Destination, Facts, Groups, ObjectId, UserKey};

use super::{Rule, Who};

/// Positions of rules, ascending.
type Positions = Box<[u32]>;

type Lists<K> = HashMap<K, Positions, BuildHasherDefault<Mixed>>;

/// The rules that may concern an app, in order.
#[derive(Debug, Clone, Default)]
pub(super) struct Indexed {
    rules: Box<[Arc<Rule>]>,
    lists: Option<Box<ByCondition>>,
}

#[derive(Debug, Clone, Default)]
struct ByCondition {
    general: Positions,
    by_path: Lists<u64>,
    by_user: Lists<UserKey>,
    by_group: Lists<ObjectId>,
}

/// With fewer rules, reading them all is no slower.
const WORTH_IT: usize = 12;

impl Indexed {
    pub(super) fn new(rules: Box<[Arc<Rule>]>) -> Self {
        let lists = (rules.len() >= WORTH_IT).then(|| Box::new(ByCondition::of(&rules)));
        Self { rules, lists }
    }

    pub(super) fn rules(&self) -> &[Arc<Rule>] {
        &self.rules
    }

    /// The rules that a request can match, in order.
    #[inline]
    pub(super) fn candidates(&self, facts: &Facts<'_>) -> Candidates<'_> {
        let merged = match (&self.lists, facts.subject, &facts.standing.groups) {
            (Some(lists), Some(subject), Groups::Known(groups)) => lists.merged(subject.user, groups, facts),
            _ => None,
        };
        merged.map_or_else(
            || Candidates::All(self.rules.iter()),
            |merged| Candidates::Some { rules: &self.rules, merged },
        )
    }
}

impl ByCondition {
    fn of(rules: &[Arc<Rule>]) -> Self {
        let mut general = Vec::new();
        let (mut paths, mut users, mut groups) = (HashMap::new(), HashMap::new(), HashMap::new());
        for (position, rule) in (0u32..).zip(rules) {
            let whole = rule.paths.is_empty() || rule.paths.iter().any(|prefix| &**prefix == "/");
            match &rule.who {
                _ if !whole => rule.paths.iter().for_each(|prefix| push(&mut paths, first_segment(prefix), position)),
                Who::Listed { users: some, groups: others } => {
                    some.iter().for_each(|user| push(&mut users, *user, position));
                    others.iter().for_each(|group| push(&mut groups, *group, position));
                }
                Who::Anyone | Who::SignedIn => general.push(position),
            }
        }
        Self { general: general.into(), by_path: boxed(paths), by_user: boxed(users), by_group: boxed(groups) }
    }

    /// `None` when there are more lists than fit.
    #[inline]
    fn merged(&self, user: UserKey, groups: &[ObjectId], facts: &Facts<'_>) -> Option<Merged<'_>> {
        let Destination::App { path, .. } = facts.destination;
        let mut merged = Merged { lists: [&[]; MOST], used: 0 };
        merged.add(&self.general)?;
        merged.add_from(&self.by_path, &first_segment(path))?;
        merged.add_from(&self.by_user, &user)?;
        // The shorter side is walked: some people are in thousands of groups that no rule names.
        if self.by_group.len() < groups.len() {
            for (group, list) in &self.by_group {
                if groups.binary_search(group).is_ok() {
                    merged.add(list)?;
                }
            }
        } else {
            for group in groups {
                merged.add_from(&self.by_group, group)?;
            }
        }
        Some(merged)
    }
}

fn push<K: Hash + Eq>(lists: &mut HashMap<K, Vec<u32>>, key: K, position: u32) {
    let list = lists.entry(key).or_default();
    if list.last() != Some(&position) {
        list.push(position);
    }
}

fn boxed<K: Hash + Eq>(lists: HashMap<K, Vec<u32>>) -> Lists<K> {
    lists.into_iter().map(|(key, list)| (key, list.into())).collect()
}

/// A number for the first segment of a path, the same for every spelling that `path::covers` could take for the same:
/// path parameters are left aside and case is folded. Different segments may share a number.
#[inline]
fn first_segment(path: &str) -> u64 {
    let mut hash = Mixed::default();
    let segment = path.bytes().skip(1).take_while(|byte| !matches!(byte, b'/' | b';'));
    segment.for_each(|byte| hash.mix(u64::from(byte.to_ascii_lowercase())));
    hash.finish()
}

/// Lists of one request at most; more are rare, and then all rules are read.
const MOST: usize = 32;

/// Several ascending lists read as one.
pub(super) struct Merged<'p> {
    lists: [&'p [u32]; MOST],
    used: usize,
}

impl<'p> Merged<'p> {
    #[inline]
    fn add(&mut self, list: &'p [u32]) -> Option<()> {
        if !list.is_empty() {
            *self.lists.get_mut(self.used)? = list;
            self.used += 1;
        }
        Some(())
    }

    #[inline]
    fn add_from<K: Hash + Eq>(&mut self, lists: &'p Lists<K>, key: &K) -> Option<()> {
        lists.get(key).map_or(Some(()), |list| self.add(list))
    }

    /// The next position; a rule that stands in several lists comes once.
    #[inline]
    fn next(&mut self) -> Option<u32> {
        let lists = self.lists.get_mut(..self.used)?;
        let next = lists.iter().filter_map(|list| list.first().copied()).min()?;
        for list in lists {
            if let Some((first, rest)) = list.split_first()
                && *first == next
            {
                *list = rest;
            }
        }
        Some(next)
    }
}

/// See [`Indexed::candidates`].
#[expect(clippy::large_enum_variant, reason = "it lives on the stack for one decision; a box would be an allocation")]
pub(super) enum Candidates<'p> {
    /// Every rule.
    All(std::slice::Iter<'p, Arc<Rule>>),
    /// Those at some positions.
    Some { rules: &'p [Arc<Rule>], merged: Merged<'p> },
}

impl<'p> Iterator for Candidates<'p> {
    type Item = &'p Arc<Rule>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::All(rules) => rules.next(),
            Self::Some { rules, merged } => rules.get(usize::try_from(merged.next()?).ok()?),
        }
    }
}

/// A quick hash for keys that come from the configuration, so that nobody can choose them to collide.
#[derive(Debug, Clone, Copy, Default)]
struct Mixed(u64);

impl Mixed {
    #[inline]
    const fn mix(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

impl Hasher for Mixed {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(8) {
            let word = part.iter().fold(0u64, |word, byte| (word << 8) | u64::from(*byte));
            self.mix(word);
        }
    }

    #[inline]
    fn write_u64(&mut self, word: u64) {
        self.mix(word);
    }

    #[inline]
    fn finish(&self) -> u64 {
        // The table looks at the highest and the lowest bits.
        self.0 ^ (self.0 >> 32)
    }
}
