//! The canonical path: what is not already canonical is refused, never repaired.
//!
//! The policy sees exactly the bytes that are forwarded, so every spelling that another program could read as a
//! different path must not get that far. RFC 3986 section 6.2.2 describes the equivalences; this check leaves one
//! spelling per path, with one exception: the hex digits of an encoded non-ASCII or reserved character may be of
//! either case, because both occur in practice and neither changes where the path leads.

/// Why a path is not canonical. Closed; the words go to logs and metrics, not to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum PathFault {
    /// It does not begin with a slash.
    #[error("the path does not begin with a slash")]
    NotAbsolute,
    /// `//`, or a segment that has only parameters (`/;x/`), which some servers read as `//`.
    #[error("the path has an empty segment")]
    EmptySegment,
    /// A segment that is `.` or `..`, parameters left aside.
    #[error("the path has a dot segment")]
    DotSegment,
    /// A backslash, raw or encoded.
    #[error("the path has a backslash")]
    Backslash,
    /// An encoded slash.
    #[error("the path has an encoded slash")]
    EncodedSlash,
    /// An encoded control character.
    #[error("the path has an encoded control character")]
    EncodedControl,
    /// `%` without two hex digits.
    #[error("the path has a broken percent-encoding")]
    BrokenEncoding,
    /// An encoding of a character that needs none (`%61`, `%2e`): a second spelling of the same path.
    #[error("the path encodes a character that needs no encoding")]
    NeedlessEncoding,
    /// `%25` followed by two hex digits: another path once it is decoded twice.
    #[error("the path is encoded twice")]
    DoubleEncoding,
    /// Encoded bytes that are not UTF-8, overlong forms included.
    #[error("the path has encoded bytes that are not UTF-8")]
    NotUtf8,
    /// A raw byte that has no place in a path: non-ASCII, control, space, `#`, `?`.
    #[error("the path has a character that is not allowed")]
    RawCharacter,
}

impl PathFault {
    /// The word in logs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::NotAbsolute => "not_absolute",
            Self::EmptySegment => "empty_segment",
            Self::DotSegment => "dot_segment",
            Self::Backslash => "backslash",
            Self::EncodedSlash => "encoded_slash",
            Self::EncodedControl => "encoded_control",
            Self::BrokenEncoding => "broken_encoding",
            Self::NeedlessEncoding => "needless_encoding",
            Self::DoubleEncoding => "double_encoding",
            Self::NotUtf8 => "not_utf8",
            Self::RawCharacter => "raw_character",
        }
    }
}

/// Checks that `path` (without query) has its one canonical spelling.
///
/// # Errors
/// The first fault found.
pub fn canonical(path: &str) -> Result<(), PathFault> {
    let rest = path.as_bytes().strip_prefix(b"/").ok_or(PathFault::NotAbsolute)?;
    let mut segment = Segment::default();
    let mut rest = rest;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'/' => {
                segment.close(false)?;
                segment = Segment::default();
            }
            b'%' => rest = encoded(rest, &mut segment)?,
            b';' => segment.parameters(),
            b'.' => segment.dot(),
            b'\\' => return Err(PathFault::Backslash),
            0..=b' ' | 0x7f.. | b'#' | b'?' => return Err(PathFault::RawCharacter),
            _ => segment.other(),
        }
    }
    segment.close(true)
}

/// What the segment being read looks like so far, parameters (`;...`) left aside.
#[derive(Default)]
struct Segment {
    /// Dots at its beginning; saturates, three dots are an ordinary name.
    dots: u8,
    /// Whether anything else was seen before the parameters.
    named: bool,
    /// Whether parameters have begun.
    parameters: bool,
}

impl Segment {
    const fn dot(&mut self) {
        if !self.parameters {
            self.dots = self.dots.saturating_add(1);
        }
    }

    const fn other(&mut self) {
        if !self.parameters {
            self.named = true;
        }
    }

    const fn parameters(&mut self) {
        self.parameters = true;
    }

    /// Judges the finished segment; only the last one may be empty (`/dir/`).
    const fn close(&self, last: bool) -> Result<(), PathFault> {
        match (self.named, self.dots) {
            (false, 1 | 2) => Err(PathFault::DotSegment),
            (false, 0) if self.parameters || !last => Err(PathFault::EmptySegment),
            _ => Ok(()),
        }
    }
}

/// Judges the encoded character whose `%` has just been read; returns what follows it.
fn encoded<'p>(rest: &'p [u8], segment: &mut Segment) -> Result<&'p [u8], PathFault> {
    let (byte, rest) = hex_pair(rest).ok_or(PathFault::BrokenEncoding)?;
    match byte {
        b'/' => Err(PathFault::EncodedSlash),
        b'\\' => Err(PathFault::Backslash),
        0..=0x1f | 0x7f => Err(PathFault::EncodedControl),
        b'%' if hex_pair(rest).is_some() => Err(PathFault::DoubleEncoding),
        b'.' => Err(PathFault::DotSegment),
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'~' => Err(PathFault::NeedlessEncoding),
        b';' => {
            segment.parameters();
            Ok(rest)
        }
        0x80.. => {
            segment.other();
            utf8_rest(byte, rest)
        }
        _ => {
            segment.other();
            Ok(rest)
        }
    }
}

/// Reads the continuation bytes of an encoded UTF-8 character.
fn utf8_rest(first: u8, mut rest: &[u8]) -> Result<&[u8], PathFault> {
    let length = match first {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return Err(PathFault::NotUtf8),
    };
    let mut character = [first, 0, 0, 0];
    for slot in character.iter_mut().take(length).skip(1) {
        let after = rest.strip_prefix(b"%").ok_or(PathFault::NotUtf8)?;
        let (byte, after) = hex_pair(after).ok_or(PathFault::BrokenEncoding)?;
        *slot = byte;
        rest = after;
    }
    let text = character.get(..length).and_then(|bytes| std::str::from_utf8(bytes).ok()).ok_or(PathFault::NotUtf8)?;
    if text.chars().any(char::is_control) { Err(PathFault::EncodedControl) } else { Ok(rest) }
}

fn hex_pair(rest: &[u8]) -> Option<(u8, &[u8])> {
    let (&high, rest) = rest.split_first()?;
    let (&low, rest) = rest.split_first()?;
    Some(((hex(high)? << 4) | hex(low)?, rest))
}

const fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
