//! Many people and groups that are computed from their number instead of stored, so that a tenant of a million fits.
//!
//! Whoever is changed becomes an ordinary [`super::Person`] first and leaves the crowd.

use std::collections::BTreeSet;

use super::{Group, Person, Risk, RiskLevel, RiskStep};

/// A generated population.
#[derive(Debug, Clone, Default)]
pub struct Crowd {
    users: u32,
    groups: u32,
    risky: u32,
    domain: String,
    /// Numbers of those who have become ordinary people.
    taken: BTreeSet<u32>,
}

impl Crowd {
    /// `users` people in `groups` groups, `risky` of them with a risk; cut to 1,000,000, 50,000 and 50,000.
    #[must_use]
    pub fn new(users: u32, groups: u32, risky: u32, domain: &str) -> Self {
        let users = users.min(1_000_000);
        Self {
            users,
            groups: groups.min(50_000),
            risky: risky.min(50_000).min(users),
            domain: domain.to_owned(),
            taken: BTreeSet::new(),
        }
    }

    /// How many people there are numbers for.
    #[must_use]
    pub const fn users(&self) -> u32 {
        self.users
    }

    /// How many groups there are.
    #[must_use]
    pub const fn groups(&self) -> u32 {
        self.groups
    }

    /// How many people have a risk: those with the lowest numbers.
    #[must_use]
    pub const fn risky(&self) -> u32 {
        self.risky
    }

    /// The numbers of those who have become ordinary people.
    pub(in crate::simulator) const fn taken(&self) -> &BTreeSet<u32> {
        &self.taken
    }

    /// The person with this number, unless there is none or they have become an ordinary one.
    #[must_use]
    pub fn person(&self, number: u32) -> Option<Person> {
        if number >= self.users || self.taken.contains(&number) {
            return None;
        }
        let upn = format!("user{number}@{}", self.domain);
        let mut person = Person::new(&user_id(number), &upn, &format!("User {number}"));
        person.groups = self.group_of(number).map(group_id).into_iter().collect();
        if number < self.risky {
            let level = match number % 3 {
                0 => RiskLevel::High,
                1 => RiskLevel::Medium,
                _ => RiskLevel::Low,
            };
            let mut risk = Risk::default();
            risk.push(RiskStep::detected(SINCE + u64::from(number) * 1_000_000, level));
            person.risk = risk;
        }
        Some(person)
    }

    /// The number of the one group a person of the crowd is in.
    pub(in crate::simulator) const fn group_of(&self, number: u32) -> Option<u32> {
        number.checked_rem(self.groups)
    }

    /// The group with this number.
    #[must_use]
    pub fn group(&self, number: u32) -> Option<Group> {
        (number < self.groups).then(|| Group { id: group_id(number), name: format!("Group {number}") })
    }

    /// The ids of the members of a group who are still in the crowd.
    pub(in crate::simulator) fn members(&self, group: u32) -> impl Iterator<Item = String> {
        let step = usize::try_from(self.groups.max(1)).unwrap_or(1);
        (group..self.users).step_by(step).filter(|number| !self.taken.contains(number)).map(user_id)
    }

    /// The number behind an object id, a UPN or the part of a UPN before the `@`.
    pub(in crate::simulator) fn number(&self, who: &str) -> Option<u32> {
        let who = who.to_ascii_lowercase();
        let number = match number_in(&who, USER_PREFIX) {
            Some(number) => number,
            None => {
                let local = match who.split_once('@') {
                    Some((local, domain)) if domain == self.domain => local,
                    Some(_) => return None,
                    None => who.as_str(),
                };
                local.strip_prefix("user")?.parse().ok()?
            }
        };
        (number < self.users).then_some(number)
    }

    /// The number behind a group's object id.
    pub(in crate::simulator) fn group_number(&self, id: &str) -> Option<u32> {
        number_in(id, GROUP_PREFIX).filter(|number| *number < self.groups)
    }

    /// Takes a person out of the crowd.
    pub(in crate::simulator) fn take(&mut self, number: u32) -> Option<Person> {
        let person = self.person(number)?;
        self.taken.insert(number);
        Some(person)
    }
}

/// The object id of a person of the crowd.
pub(in crate::simulator) fn user_id(number: u32) -> String {
    format!("{USER_PREFIX}{number:012x}")
}

/// The object id of a group of the crowd.
pub(in crate::simulator) fn group_id(number: u32) -> String {
    format!("{GROUP_PREFIX}{number:012x}")
}

fn number_in(id: &str, prefix: &str) -> Option<u32> {
    let digits = id.strip_prefix(prefix).filter(|digits| digits.len() == 12)?;
    u32::from_str_radix(digits, 16).ok()
}

const USER_PREFIX: &str = "c0a1d5e2-0001-4000-8000-";
const GROUP_PREFIX: &str = "c0a1d5e2-0002-4000-8000-";
/// 2026-09-01, in microseconds since 1970: when the risk of the first of the crowd was last updated.
const SINCE: u64 = 1_788_220_800_000_000;
