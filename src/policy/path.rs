//! The condition on paths: prefixes that end on a segment, compared with the canonical path of a request.
//!
//! Case counts, because the path is forwarded as it was compared. Two things a canonical path still leaves open are
//! settled here, so that neither lets anybody around a rule: the hex digits of a percent-encoding may be of either
//! case and compare equal, and path parameters (`/admin;x=1`), which some app servers cut off before they look at a
//! path, count for rules that let in and are left aside for rules that keep out.

use super::Verdict;

/// Whether a rule with `prefix` and `verdict` is about `path`: equal to the prefix, or below it.
pub(super) fn covers(prefix: &str, path: &str, verdict: Verdict) -> bool {
    if prefix == "/" {
        return path.starts_with('/');
    }
    let mut segments = path.split('/');
    prefix.split('/').all(|wanted| {
        segments.next().is_some_and(|found| match verdict {
            Verdict::Allow | Verdict::Monitor => is_same(wanted, found),
            Verdict::Warn | Verdict::Challenge | Verdict::Block => {
                is_same(wanted, found) || is_same(wanted, name(found))
            }
        })
    })
}

/// A segment without its parameters.
fn name(segment: &str) -> &str {
    segment.split_once(';').map_or(segment, |(name, _)| name)
}

/// Byte by byte, but the two digits after a `%` in either case (RFC 3986 section 6.2.2.1).
fn is_same(a: &str, b: &str) -> bool {
    let mut digits = 0;
    a.len() == b.len()
        && a.bytes().zip(b.bytes()).all(|(a, b)| {
            let hex = digits > 0;
            digits = if a == b'%' { 2 } else { u8::saturating_sub(digits, 1) };
            a == b || (hex && a.eq_ignore_ascii_case(&b))
        })
}

/// Why a path prefix cannot be used: no canonical path would ever be compared equal to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathFault {
    /// It does not begin with a slash.
    #[error("a path begins with \"/\"")]
    NotAbsolute,
    /// It ends with a slash; prefixes end on a segment.
    #[error("a prefix covers whole segments, write it without the \"/\" at its end")]
    TrailingSlash,
    /// Two slashes in a row, or nothing but parameters between two.
    #[error("an empty segment (\"//\") never occurs in a canonical path")]
    EmptySegment,
    /// `.` or `..` as a segment, also with a path parameter behind it.
    #[error("the segments \".\" and \"..\" never occur in a canonical path")]
    DotSegment,
    /// `?`, `#`, a backslash, a blank, a control character or a byte beyond ASCII.
    #[error(
        "\"?\", \"#\", \"\\\", blanks and characters beyond ASCII do not belong in a path (percent-encode letters)"
    )]
    ForeignByte,
    /// A `%` that is not followed by two upper-case hex digits, or that encodes what needs no encoding.
    #[error(
        "a percent-encoding is written with two upper-case hex digits, and letters, digits and \"-._~\" are not encoded"
    )]
    Encoding,
}

/// Checks that `prefix` is written the way paths are compared: absolute, canonical, without a slash at its end.
///
/// # Errors
/// The first fault found.
pub fn check_path(prefix: &str) -> Result<(), PathFault> {
    let rest = prefix.strip_prefix('/').ok_or(PathFault::NotAbsolute)?;
    if rest.is_empty() {
        return Ok(());
    }
    let foreign = |byte: u8| matches!(byte, b'?' | b'#' | b'\\') || !byte.is_ascii_graphic();
    if rest.bytes().any(foreign) {
        return Err(PathFault::ForeignByte);
    }
    if prefix.ends_with('/') && !prefix.ends_with("//") {
        return Err(PathFault::TrailingSlash);
    }
    for segment in rest.split('/') {
        let name = segment.split(';').next().unwrap_or_default();
        match name {
            "" => return Err(PathFault::EmptySegment),
            "." | ".." => return Err(PathFault::DotSegment),
            _ => check_encoding(segment)?,
        }
    }
    Ok(())
}

fn check_encoding(segment: &str) -> Result<(), PathFault> {
    for encoded in segment.split('%').skip(1) {
        let digits = encoded.get(..2).ok_or(PathFault::Encoding)?;
        let upper = digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'A'..=b'F'));
        let byte = u8::from_str_radix(digits, 16).map_err(|_| PathFault::Encoding)?;
        // RFC 3986 section 2.3: the unreserved characters. A slash or backslash in disguise is refused on every path.
        let unreserved = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
        if !upper || unreserved || matches!(byte, b'/' | b'\\' | 0) {
            return Err(PathFault::Encoding);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_covers_whole_segments_only() {
        for (prefix, path, expected) in [
            ("/", "/", true),
            ("/", "/a/b", true),
            ("/", "*", false),
            ("/admin", "/admin", true),
            ("/admin", "/admin/", true),
            ("/admin", "/admin/x", true),
            ("/admin", "/administrator", false),
            ("/admin", "/Admin", false),
            ("/admin", "/", false),
            ("/admin/x", "/admin", false),
            ("/admin", "/x/admin", false),
            ("/admin", "admin", false),
        ] {
            assert_eq!(covers(prefix, path, Verdict::Allow), expected, "{prefix} {path}");
            assert_eq!(covers(prefix, path, Verdict::Block), expected, "{prefix} {path}");
        }
    }

    #[test]
    fn parameters_open_no_way_in_and_no_way_around() {
        for (prefix, path, allow, block) in [
            ("/admin", "/admin;x=1", false, true),
            ("/admin", "/admin;x=1/y", false, true),
            ("/a/b", "/a;x/b;y/c", false, true),
            ("/admin;v=1", "/admin;v=1/y", true, true),
            ("/admin;v=1", "/admin", false, false),
            ("/admin", "/administrator;x", false, false),
        ] {
            assert_eq!(covers(prefix, path, Verdict::Allow), allow, "{prefix} {path}");
            assert_eq!(covers(prefix, path, Verdict::Block), block, "{prefix} {path}");
        }
    }

    #[test]
    fn hex_digits_of_an_encoding_compare_in_either_case_and_nothing_else_does() {
        for (path, expected) in [
            ("/%C3%A4b", true),
            ("/%c3%a4b", true),
            ("/%C3%A4b/x", true),
            ("/%C3%A4B", false),
            ("/%C3%A5b", false),
            ("/%C3%A4", false),
        ] {
            assert_eq!(covers("/%C3%A4b", path, Verdict::Block), expected, "{path}");
        }
        assert!(!covers("/ab%20cd", "/ab%20CD", Verdict::Allow));
    }

    #[test]
    fn only_the_canonical_spelling_of_a_prefix_is_accepted() {
        for good in ["/", "/a", "/a/b", "/a;v=1/b", "/%C3%A4", "/a%20b", "/.well-known/x", "/...", "/a:b@c"] {
            assert_eq!(check_path(good), Ok(()), "{good}");
        }
        for (bad, fault) in [
            ("", PathFault::NotAbsolute),
            ("docs", PathFault::NotAbsolute),
            ("/docs/", PathFault::TrailingSlash),
            ("//docs", PathFault::EmptySegment),
            ("/docs//", PathFault::EmptySegment),
            ("//", PathFault::EmptySegment),
            ("/a/;x", PathFault::EmptySegment),
            ("/a/../b", PathFault::DotSegment),
            ("/./b", PathFault::DotSegment),
            ("/a/..;x", PathFault::DotSegment),
            ("/a?b", PathFault::ForeignByte),
            ("/a#b", PathFault::ForeignByte),
            ("/a\\b", PathFault::ForeignByte),
            ("/a b", PathFault::ForeignByte),
            ("/\u{e4}", PathFault::ForeignByte),
            ("/%c3%a4", PathFault::Encoding),
            ("/%2e", PathFault::Encoding),
            ("/%41", PathFault::Encoding),
            ("/%2F", PathFault::Encoding),
            ("/%5C", PathFault::Encoding),
            ("/%", PathFault::Encoding),
            ("/%+1", PathFault::Encoding),
        ] {
            assert_eq!(check_path(bad), Err(fault), "{bad}");
        }
    }
}
