//! Microsoft's object ids: GUIDs, parsed strictly so that one id has exactly one spelling.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A GUID in its one accepted spelling: 36 characters, hyphens at 8-13-18-23, hex digits of either case.
///
/// Braces, missing hyphens and surrounding blanks are refused, because a comparison of ids must not depend on spelling.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Guid(u128);

/// The text was not a GUID in its canonical 36-character form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a GUID of the form 00000000-0000-0000-0000-000000000000")]
pub struct ParseGuidError;

impl Guid {
    /// A GUID from its 128 bits, most significant first.
    #[must_use]
    pub const fn from_u128(bits: u128) -> Self {
        Self(bits)
    }

    /// The 128 bits, most significant first.
    #[must_use]
    pub const fn as_u128(self) -> u128 {
        self.0
    }
}

impl FromStr for Guid {
    type Err = ParseGuidError;

    fn from_str(text: &str) -> Result<Self, ParseGuidError> {
        let bytes = text.as_bytes();
        if bytes.len() != 36 {
            return Err(ParseGuidError);
        }
        let mut bits = 0u128;
        for (at, byte) in bytes.iter().enumerate() {
            if matches!(at, 8 | 13 | 18 | 23) {
                if *byte != b'-' {
                    return Err(ParseGuidError);
                }
                continue;
            }
            let digit = match byte {
                b'0'..=b'9' => byte - b'0',
                b'a'..=b'f' => byte - b'a' + 10,
                b'A'..=b'F' => byte - b'A' + 10,
                _ => return Err(ParseGuidError),
            };
            bits = (bits << 4) | u128::from(digit);
        }
        Ok(Self(bits))
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [b'-'; 36];
        let places = text.iter_mut().enumerate().filter(|(at, _)| !matches!(at, 8 | 13 | 18 | 23));
        for ((_, place), digit) in places.zip(hex_digits(self.0)) {
            *place = digit;
        }
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Guid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Guid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// 128 bits as 32 lower-case hex digits, without the formatting machinery: each line of the decision log has several.
#[must_use]
pub fn hex_digits(bits: u128) -> [u8; 32] {
    let mut text = [0; 32];
    for (digit, from) in text.iter_mut().zip((0..32).rev()) {
        // Four bits always fit.
        let nibble = u8::try_from((bits >> (4 * from)) & 0xf).unwrap_or(0);
        *digit = if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
    }
    text
}

macro_rules! guid_newtype {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Guid);

        impl FromStr for $name {
            type Err = ParseGuidError;

            fn from_str(text: &str) -> Result<Self, ParseGuidError> {
                text.parse().map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

guid_newtype!(
    /// A Microsoft Entra tenant (`tid` claim).
    TenantId
);
guid_newtype!(
    /// A directory object: a user (`oid` claim) or a group.
    ObjectId
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_case_parses_to_one_value_and_prints_lower_case() {
        let lower: Guid = "3f1c0b9e-6a52-4d0e-9b7a-5d2f8c4e1a77".parse().unwrap();
        let upper: Guid = "3F1C0B9E-6A52-4D0E-9B7A-5D2F8C4E1A77".parse().unwrap();
        assert_eq!(lower, upper);
        assert_eq!(upper.to_string(), "3f1c0b9e-6a52-4d0e-9b7a-5d2f8c4e1a77");
    }

    #[test]
    fn other_spellings_are_refused() {
        for text in [
            "",
            "3f1c0b9e6a524d0e9b7a5d2f8c4e1a77",
            "{3f1c0b9e-6a52-4d0e-9b7a-5d2f8c4e1a77}",
            " 3f1c0b9e-6a52-4d0e-9b7a-5d2f8c4e1a7",
            "3f1c0b9e-6a52-4d0e-9b7a-5d2f8c4e1a7g",
            "3f1c0b9e_6a52-4d0e-9b7a-5d2f8c4e1a77",
        ] {
            assert_eq!(text.parse::<Guid>(), Err(ParseGuidError), "{text}");
        }
    }
}
