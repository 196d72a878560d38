//! One user or group: 48 bytes and one packed text, in memory as in the store.

use crate::entra::graph::{Removal, User};
use crate::facts::{Account, UnixTime};

/// What an object is, as far as the directory told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Kind {
    /// The number is free.
    #[default]
    Vacant,
    /// Named as a member; never seen itself.
    Named,
    /// A user.
    User,
    /// A group.
    Group,
}

/// Whether an object is still there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Gone {
    /// It is.
    #[default]
    No,
    /// Deleted, or it did not come in a full reading; it may come back.
    Restorable,
    /// For good. Ids are never given out again, so a later word of it is an old one.
    ForGood,
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Object {
    pub(super) id: u128,
    /// Name, user principal name and mail, see [`pack`].
    text: Box<[u8]>,
    /// Seconds since 1970, zero for never told; a moment after 2106 is kept as the last that fits.
    valid_from: u32,
    /// When it went, in seconds since 1970.
    pub(super) gone_at: u32,
    /// The full reading that saw it last.
    pub(super) mark: u32,
    pub(super) kind: Kind,
    pub(super) gone: Gone,
    enabled: Option<bool>,
    guest: Option<bool>,
}

impl Object {
    /// Somebody of whom only the id is known.
    pub(super) fn named(id: u128) -> Self {
        Self { id, kind: Kind::Named, ..Self::default() }
    }

    /// Takes over what a page tells of a user; what it does not tell stays.
    pub(super) fn take_user(&mut self, user: &User) {
        self.kind = Kind::User;
        self.gone = Gone::No;
        self.gone_at = 0;
        self.enabled = user.enabled.or(self.enabled);
        self.guest = user.guest.or(self.guest);
        if let Some(moment) = user.sign_in_sessions_valid_from {
            self.valid_from = seconds(moment);
        }
        if user.name.is_some() || user.upn.is_some() || user.mail.is_some() {
            let [name, upn, mail] = self.texts();
            self.text = pack([
                user.name.as_deref().unwrap_or(name),
                user.upn.as_deref().unwrap_or(upn),
                user.mail.as_deref().unwrap_or(mail),
            ]);
        }
    }

    /// Takes over what a page tells of a group itself.
    pub(super) fn take_group(&mut self, name: Option<&str>) {
        self.kind = Kind::Group;
        self.gone = Gone::No;
        self.gone_at = 0;
        if let Some(name) = name {
            self.text = pack([name, "", ""]);
        }
    }

    /// It went away. What is gone for good keeps no name.
    pub(super) fn leave(&mut self, how: Removal, now: UnixTime) {
        if self.gone == Gone::No {
            self.gone_at = seconds(now);
        }
        match how {
            Removal::Changed if self.gone == Gone::No => self.gone = Gone::Restorable,
            Removal::Changed => {}
            Removal::Deleted => {
                self.gone = Gone::ForGood;
                self.text = Box::default();
            }
        }
    }

    pub(super) const fn is_living(&self, kind: Kind) -> bool {
        self.kind as u8 == kind as u8 && matches!(self.gone, Gone::No)
    }

    /// How the account stands; [`Account::Unknown`] also while nobody said whether it may sign in.
    pub(super) const fn account(&self) -> Account {
        match (self.kind, self.gone, self.enabled) {
            (Kind::User, Gone::No, Some(true)) => Account::Enabled,
            (Kind::User, Gone::No, Some(false)) => Account::Disabled,
            (Kind::User, Gone::Restorable | Gone::ForGood, _) => Account::Deleted,
            _ => Account::Unknown,
        }
    }

    pub(super) fn valid_from(&self) -> Option<UnixTime> {
        (self.valid_from != 0).then(|| UnixTime(u64::from(self.valid_from)))
    }

    pub(super) const fn enabled(&self) -> Option<bool> {
        self.enabled
    }

    pub(super) const fn guest(&self) -> Option<bool> {
        self.guest
    }

    /// Name, user principal name, mail; empty when not told.
    pub(super) fn texts(&self) -> [&str; 3] {
        unpack(&self.text)
    }

    /// Its row in the store.
    pub(super) fn row(&self) -> Vec<u8> {
        let mut row = Vec::with_capacity(32 + self.text.len());
        row.push(self.kind as u8);
        row.push(self.gone as u8 | trit(self.enabled) << 2 | trit(self.guest) << 4);
        for number in [self.mark, self.valid_from, self.gone_at] {
            row.extend_from_slice(&number.to_le_bytes());
        }
        row.extend_from_slice(&self.id.to_be_bytes());
        row.extend_from_slice(&self.text);
        row
    }

    /// Reads a row; `None` when it is not one.
    pub(super) fn of_row(row: &[u8]) -> Option<Self> {
        let (head, rest) = row.split_first_chunk::<2>()?;
        let (mark, rest) = rest.split_first_chunk()?;
        let (valid_from, rest) = rest.split_first_chunk()?;
        let (gone_at, rest) = rest.split_first_chunk()?;
        let (id, text) = rest.split_first_chunk()?;
        let [kind, flags] = *head;
        Some(Self {
            id: u128::from_be_bytes(*id),
            text: text.into(),
            valid_from: u32::from_le_bytes(*valid_from),
            gone_at: u32::from_le_bytes(*gone_at),
            mark: u32::from_le_bytes(*mark),
            kind: [Kind::Vacant, Kind::Named, Kind::User, Kind::Group]
                .into_iter()
                .find(|known| *known as u8 == kind)?,
            gone: [Gone::No, Gone::Restorable, Gone::ForGood].into_iter().find(|known| *known as u8 == flags & 3)?,
            enabled: of_trit(flags >> 2),
            guest: of_trit(flags >> 4),
        })
    }
}

/// Seconds that fit four bytes.
pub(super) fn seconds(moment: UnixTime) -> u32 {
    u32::try_from(moment.0).unwrap_or(u32::MAX)
}

const fn trit(answer: Option<bool>) -> u8 {
    match answer {
        None => 0,
        Some(false) => 1,
        Some(true) => 2,
    }
}

const fn of_trit(bits: u8) -> Option<bool> {
    match bits & 3 {
        1 => Some(false),
        2 => Some(true),
        _ => None,
    }
}

/// Three texts in one: the lengths of the first two, then all three. A mail that equals the user principal name is
/// written as [`SAME`], which no text contains.
fn pack([name, upn, mail]: [&str; 3]) -> Box<[u8]> {
    let [name, upn] = [name, upn].map(capped);
    let mail = if !mail.is_empty() && capped(mail) == upn { SAME } else { capped(mail) };
    let mut text = Vec::with_capacity(4 + name.len() + upn.len() + mail.len());
    for part in [name, upn] {
        text.extend_from_slice(&u16::try_from(part.len()).unwrap_or(0).to_le_bytes());
    }
    for part in [name, upn, mail] {
        text.extend_from_slice(part.as_bytes());
    }
    text.into()
}

fn unpack(text: &[u8]) -> [&str; 3] {
    let read = || {
        let (name, rest) = text.split_first_chunk::<2>()?;
        let (upn, rest) = rest.split_first_chunk::<2>()?;
        let (name, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*name)))?;
        let (upn, mail) = rest.split_at_checked(usize::from(u16::from_le_bytes(*upn)))?;
        let [name, upn, mail] = [name, upn, mail].map(|part| std::str::from_utf8(part).unwrap_or_default());
        Some([name, upn, if mail == SAME { upn } else { mail }])
    };
    read().unwrap_or_default()
}

fn capped(text: &str) -> &str {
    cut(text, MOST_TEXT)
}

/// The longest beginning of `text` that fits `most` bytes.
pub(super) fn cut(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}

/// Longer than any name or address the directory allows, short enough to bound what a page can make us keep.
const MOST_TEXT: usize = 512;
const SAME: &str = "\u{0}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_reads_back_as_it_was_and_a_cut_one_does_not() {
        assert_eq!(size_of::<Object>(), 48, "a million of them are counted on");
        let mut object = Object::named(7);
        for mail in ["ada@contoso.example", "other@contoso.example", ""] {
            object.take_user(&User {
                id: crate::facts::ObjectId(crate::facts::Guid::from_u128(7)),
                name: Some("Ada Löwe".to_owned()),
                upn: Some("ada@contoso.example".to_owned()),
                mail: Some(mail.to_owned()),
                enabled: Some(true),
                guest: Some(false),
                sign_in_sessions_valid_from: Some(UnixTime(1_800_000_000)),
            });
            object.mark = 3;
            assert_eq!(object.texts(), ["Ada Löwe", "ada@contoso.example", mail]);
            assert_eq!(Object::of_row(&object.row()), Some(object.clone()));
        }
        object.leave(Removal::Changed, UnixTime(5));
        assert_eq!(Object::of_row(&object.row()), Some(object.clone()));
        object.leave(Removal::Deleted, UnixTime(6));
        assert_eq!((object.gone, object.gone_at, object.texts()), (Gone::ForGood, 5, ["", "", ""]));
        assert_eq!(Object::of_row(&object.row()[..29]), None);
    }

    #[test]
    fn a_text_without_end_is_cut_between_two_letters() {
        let long = "ö".repeat(5_000);
        let text = pack([&long, &long, &long]);
        assert_eq!(unpack(&text).map(str::len), [512, 512, 512]);
    }
}
