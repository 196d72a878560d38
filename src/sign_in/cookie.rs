//! The gateway's cookies: names, strict reading, writing and clearing.

use http::HeaderValue;
use http::header::{COOKIE, HeaderMap};

/// The session cookie. `__Host-`: Secure, `Path=/`, no `Domain`, so no other host can set or shadow it (RFC 6265bis 4.1.3.2).
pub const SESSION: &str = "__Host-portcullis";

/// Marks one browser on one host, from before anybody signs in; what a sign-in is bound to.
pub const BROWSER: &str = "__Host-portcullis-browser";

/// Every cookie whose name begins so is the gateway's own: taken out of requests to apps and out of their responses.
pub const OWN_PREFIX: &str = "__Host-portcullis";

/// What a request carries under one of our names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found<'a> {
    /// No such cookie.
    Absent,
    /// Exactly one.
    One(&'a [u8]),
    /// More than one: somebody is shadowing ours, so none is believed.
    Several,
}

impl<'a> Found<'a> {
    /// The value if there is exactly one.
    #[must_use]
    pub const fn one(self) -> Option<&'a [u8]> {
        match self {
            Self::One(value) => Some(value),
            Self::Absent | Self::Several => None,
        }
    }
}

/// Finds the cookie called exactly `name` in all `Cookie` lines.
///
/// Byte-exact: no quoting, no `$Version`, no trimming beyond spaces and tabs around a pair, because every leniency
/// is a way to smuggle a second value past one of two readers.
#[must_use]
pub fn find<'a>(headers: &'a HeaderMap, name: &str) -> Found<'a> {
    let mut found = Found::Absent;
    for line in headers.get_all(COOKIE) {
        for pair in line.as_bytes().split(|byte| *byte == b';') {
            let pair = trim(pair);
            let Some(rest) = pair.strip_prefix(name.as_bytes()) else { continue };
            let Some(value) = rest.strip_prefix(b"=") else { continue };
            found = match found {
                Found::Absent => Found::One(value),
                Found::One(_) | Found::Several => Found::Several,
            };
        }
    }
    found
}

/// Whether other sites may make the browser send a cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SameSite {
    /// Sent on top-level navigation only.
    Lax,
    /// Sent always; needed only where the provider posts the answer from its own site.
    None,
}

/// A `Set-Cookie` value; `None` if `value` holds a byte that a cookie cannot.
#[must_use]
pub fn set(name: &str, value: &str, same_site: SameSite) -> Option<HeaderValue> {
    let same_site = match same_site {
        SameSite::Lax => "Lax",
        SameSite::None => "None",
    };
    let mut header =
        HeaderValue::from_str(&format!("{name}={value}; Path=/; Secure; HttpOnly; SameSite={same_site}")).ok()?;
    header.set_sensitive(true);
    Some(header)
}

/// A `Set-Cookie` value that makes the browser forget `name`.
#[must_use]
pub fn clear(name: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!("{name}=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0")).ok()
}

const fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[&[u8]]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for line in lines {
            map.append(COOKIE, HeaderValue::from_bytes(line).unwrap());
        }
        map
    }

    #[test]
    fn finds_the_one_value_among_others() {
        let map = headers(&[b"a=1; __Host-portcullis=abc; b=2"]);
        assert_eq!(find(&map, SESSION), Found::One(b"abc"));
    }

    #[test]
    fn two_values_are_none() {
        for lines in [
            vec![b"__Host-portcullis=a; __Host-portcullis=b".as_slice()],
            vec![b"__Host-portcullis=a".as_slice(), b"__Host-portcullis=b".as_slice()],
            vec![b"$Version=1; __Host-portcullis=a; $Path=/; __Host-portcullis=b".as_slice()],
        ] {
            assert_eq!(find(&headers(&lines), SESSION), Found::Several);
        }
    }

    #[test]
    fn look_alikes_are_not_ours() {
        for line in [
            b"\xe2\x80\x80__Host-portcullis=a".as_slice(),
            b"=__Host-portcullis=a",
            b"__host-portcullis=a",
            b"__Host-portcullis =a",
            b"__Host-portcullis-browser=a",
            b"__Host-portcullis",
        ] {
            assert_eq!(find(&headers(&[line]), SESSION), Found::Absent, "{line:?}");
        }
    }

    #[test]
    fn attributes_are_fixed() {
        let header = set(SESSION, "abc", SameSite::Lax).unwrap();
        assert_eq!(header, "__Host-portcullis=abc; Path=/; Secure; HttpOnly; SameSite=Lax");
        assert!(set(SESSION, "a\r\nb", SameSite::Lax).is_none());
    }
}
