//! Who is in which group: numbers of direct members per group, the same turned round, and the walks up and down.
//!
//! In the store a group's members are rows of sorted numbers. A row that grows too long is cut in two, so that one
//! change of a group of a million writes a few kilobytes.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::index::at;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Membership {
    /// By number of the member: the groups it is in directly, sorted.
    parents: Vec<Box<[u32]>>,
    /// By number of the group.
    members: HashMap<u32, Members>,
}

/// The direct members of one group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Members {
    /// Sorted.
    list: Vec<u32>,
    /// Where each row but the first begins.
    cuts: Vec<u32>,
}

/// What becomes of one group.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) group: u32,
    /// All members afterwards.
    pub(super) members: Members,
    /// Who came.
    pub(super) added: Vec<u32>,
    /// Who went.
    pub(super) removed: Vec<u32>,
}

/// A row that changed: where it begins, and what is in it; nothing when it went.
pub(super) type Row = (u32, Option<Vec<u8>>);

impl Membership {
    /// From what the store kept.
    pub(super) fn of(members: HashMap<u32, Members>, numbers: usize) -> Self {
        let mut counts = vec![0_usize; numbers];
        for member in members.values().flat_map(|members| &members.list) {
            if let Some(count) = counts.get_mut(at(*member)) {
                *count += 1;
            }
        }
        let mut lists: Vec<Vec<u32>> = counts.into_iter().map(Vec::with_capacity).collect();
        let mut groups: Vec<u32> = members.keys().copied().collect();
        groups.sort_unstable();
        for group in groups {
            for member in members.get(&group).map_or(&[][..], |members| &members.list) {
                if let Some(list) = lists.get_mut(at(*member)) {
                    list.push(group);
                }
            }
        }
        Self { parents: lists.into_iter().map(Vec::into_boxed_slice).collect(), members }
    }

    pub(super) fn members(&self, group: u32) -> Option<&Members> {
        self.members.get(&group)
    }

    /// Every group that has members.
    pub(super) fn all(&self) -> &HashMap<u32, Members> {
        &self.members
    }

    /// Whether `number` is a member of anything.
    pub(super) fn is_member(&self, number: u32) -> bool {
        self.parents.get(at(number)).is_some_and(|parents| !parents.is_empty())
    }

    /// Memberships known.
    pub(super) fn len(&self) -> usize {
        self.members.values().map(|members| members.list.len()).sum()
    }

    /// Makes a turn visible.
    pub(super) fn take(&mut self, turn: Turn) {
        for member in &turn.removed {
            if let Some(parents) = self.parents.get_mut(at(*member)) {
                *parents = parents.iter().copied().filter(|parent| *parent != turn.group).collect();
            }
        }
        for member in &turn.added {
            if self.parents.len() <= at(*member) {
                self.parents.resize_with(at(*member) + 1, Box::default);
            }
            if let Some(parents) = self.parents.get_mut(at(*member)) {
                let place = parents.partition_point(|parent| *parent < turn.group);
                let (before, after) = parents.split_at_checked(place).unwrap_or_default();
                *parents = before.iter().chain([&turn.group]).chain(after).copied().collect();
            }
        }
        if turn.members.list.is_empty() {
            self.members.remove(&turn.group);
        } else {
            self.members.insert(turn.group, turn.members);
        }
    }

    /// Every group that `member` is in, nested ones included, as far as `living` lets through. Ends on cycles; the
    /// member itself is not in it, unless it is a group that is in itself.
    pub(super) fn above(&self, member: u32, living: impl Fn(u32) -> bool) -> Vec<u32> {
        let (mut found, mut seen) = (Vec::new(), HashSet::new());
        let (mut from, mut done) = (Some(member), 0);
        while let Some(number) = from {
            for parent in self.parents.get(at(number)).into_iter().flatten() {
                if living(*parent) && seen.insert(*parent) {
                    found.push(*parent);
                }
            }
            // What was found is also the queue.
            from = found.get(done).copied();
            done += 1;
        }
        found
    }

    /// Adds to `found` everybody who is in `top` through any number of groups, and `top` itself. Stops early, and says
    /// so with `false`, once there are more than `most`.
    pub(super) fn below(&self, top: u32, found: &mut HashSet<u32>, most: usize) -> bool {
        if !found.insert(top) {
            return true;
        }
        let mut queue = vec![top];
        while let Some(number) = queue.pop() {
            for member in self.members.get(&number).map_or(&[][..], |members| &members.list) {
                if found.insert(*member) {
                    queue.push(*member);
                }
                if found.len() > most {
                    return false;
                }
            }
        }
        true
    }

    /// Whether both directions tell the same.
    #[cfg(test)]
    pub(super) fn is_consistent(&self) -> bool {
        let forward: usize = self.len();
        let backward: usize = self.parents.iter().map(|parents| parents.len()).sum();
        let agrees = |group: u32, member: u32| {
            self.parents.get(at(member)).is_some_and(|parents| parents.binary_search(&group).is_ok())
        };
        forward == backward
            && self.members.iter().all(|(group, members)| members.list.iter().all(|member| agrees(*group, *member)))
    }
}

impl Turn {
    /// Memberships that change.
    pub(super) const fn size(&self) -> usize {
        self.added.len() + self.removed.len()
    }
}

impl Members {
    pub(super) fn list(&self) -> &[u32] {
        &self.list
    }

    /// Appends a row as the store gives it, in order. `false` when it is not one.
    pub(super) fn append_row(&mut self, start: u32, row: &[u8]) -> bool {
        if start != 0 {
            self.cuts.push(start);
        }
        unpack(row, &mut self.list)
    }

    /// What the group becomes when each of `asked` is in it (`true`) or not, and the rows to write for it.
    pub(super) fn turned(&self, group: u32, asked: &BTreeMap<u32, bool>) -> (Turn, Vec<Row>) {
        let has = |member: u32| self.list.binary_search(&member).is_ok();
        let real = |wanted: bool| {
            let of = asked.iter().filter(move |(member, there)| **there == wanted && has(**member) != wanted);
            of.map(|(member, _)| *member).collect::<Vec<u32>>()
        };
        let (added, removed) = (real(true), real(false));
        let mut list = Vec::with_capacity(self.list.len() + added.len());
        list.extend(self.list.iter().filter(|member| removed.binary_search(member).is_err()));
        list.extend(&added);
        list.sort_unstable();
        let mut members = Self { list, cuts: self.cuts.clone() };
        let mut starts: Vec<u32> = added.iter().chain(&removed).map(|member| self.start_of(*member)).collect();
        starts.sort_unstable();
        starts.dedup();
        let rows = starts.into_iter().flat_map(|start| members.rewritten(start)).collect();
        (Turn { group, members, added, removed }, rows)
    }

    /// From these members to those of a full reading.
    pub(super) fn replaced(&self, group: u32, by: Self) -> Turn {
        let lacking = |in_this: &[u32], of: &[u32]| {
            let lacks = of.iter().filter(|member| in_this.binary_search(member).is_err());
            lacks.copied().collect::<Vec<u32>>()
        };
        let (added, removed) = (lacking(&self.list, &by.list), lacking(&by.list, &self.list));
        Turn { group, members: by, added, removed }
    }

    /// Where its rows begin.
    pub(super) fn starts(&self) -> impl Iterator<Item = u32> + '_ {
        std::iter::once(0).chain(self.cuts.iter().copied())
    }

    fn start_of(&self, member: u32) -> u32 {
        let later = self.cuts.partition_point(|cut| *cut <= member);
        later.checked_sub(1).and_then(|place| self.cuts.get(place)).copied().unwrap_or(0)
    }

    /// The row that begins at `start` as it is now, cut into several if it is too long, or gone if it is empty.
    fn rewritten(&mut self, start: u32) -> Vec<Row> {
        let place = self.cuts.partition_point(|cut| *cut <= start);
        let end = self.cuts.get(place).copied();
        let first = self.list.partition_point(|member| *member < start);
        let last = end.map_or(self.list.len(), |end| self.list.partition_point(|member| *member < end));
        let within = self.list.get(first..last).unwrap_or_default();
        if within.is_empty() {
            self.cuts.retain(|cut| *cut != start);
            return vec![(start, None)];
        }
        let piece = if within.len() > MOST_IN_ROW { MOST_IN_ROW / 2 } else { within.len() };
        let mut rows = Vec::new();
        for (nth, piece) in within.chunks(piece).enumerate() {
            let begins = if nth == 0 { start } else { piece.first().copied().unwrap_or(start) };
            rows.push((begins, Some(pack(piece))));
        }
        let new = rows.iter().skip(1).map(|(begins, _)| *begins);
        self.cuts.splice(place..place, new);
        rows
    }
}

/// Sorted numbers as the differences between them, seven bits a byte.
fn pack(sorted: &[u32]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(sorted.len() * 2);
    let mut before = 0;
    for number in sorted {
        let mut rest = number.wrapping_sub(before);
        before = *number;
        while rest > 0x7f {
            bytes.push(u8::try_from(rest & 0x7f).unwrap_or(0) | 0x80);
            rest >>= 7;
        }
        bytes.push(u8::try_from(rest).unwrap_or(0));
    }
    bytes
}

fn unpack(bytes: &[u8], list: &mut Vec<u32>) -> bool {
    let (mut before, mut number, mut shift) = (0_u32, 0_u32, 0_u32);
    for byte in bytes {
        let Some(part) = u32::from(byte & 0x7f).checked_shl(shift) else { return false };
        number |= part;
        if byte & 0x80 == 0 {
            before = before.wrapping_add(number);
            list.push(before);
            (number, shift) = (0, 0);
        } else {
            shift += 7;
        }
    }
    shift == 0
}

/// Members in one row before it is cut in two.
const MOST_IN_ROW: usize = 1024;
