//! Tests of the canonical path: PA-01, PA-02 and PA-04 of the threat catalogue.

use proptest::prelude::*;

use super::*;

#[test]
fn ordinary_paths_are_canonical() {
    for path in [
        "/",
        "/a",
        "/a/",
        "/a/b.c",
        "/.well-known/x",
        "/...",
        "/a..b/..c",
        "/a;v=1/b",
        "/admin;x=/public/",
        "/caf%C3%A9",
        "/caf%c3%a9",
        "/%E2%82%AC/%F0%9F%98%80",
        "/a%20b",
        "/100%25",
        "/a%2Bb,c:d@e!$&'()*+=~|[]",
        "/admin%23/public/",
        "/admin%3f/public/",
    ] {
        assert_eq!(canonical(path), Ok(()), "{path}");
    }
}

/// PA-01, PA-02, PA-04 of the threat catalogue and their neighbours.
#[test]
fn every_other_spelling_is_refused_with_its_reason() {
    use PathFault::*;
    for (path, fault) in [
        ("", NotAbsolute),
        ("*", NotAbsolute),
        ("admin", NotAbsolute),
        ("/public/../admin", DotSegment),
        ("/public/..%2fadmin", EncodedSlash),
        ("/public/%2e%2e/admin", DotSegment),
        ("/public/%2e%2e%2fadmin", DotSegment),
        ("/public/%252e%252e/admin", DoubleEncoding),
        ("/public/.%2e/admin", DotSegment),
        ("/public//../admin", EmptySegment),
        ("/public/./../admin", DotSegment),
        ("/%70ublic/../admin", NeedlessEncoding),
        ("/public/%c0%ae%c0%ae/admin", NotUtf8),
        ("/public/%e0%80%ae/admin", NotUtf8),
        ("/public/%ed%a0%80", NotUtf8),
        ("/public/%80", NotUtf8),
        ("/public/%c3", NotUtf8),
        ("/public/%c3x", NotUtf8),
        ("/public/%c2%85", EncodedControl),
        ("/public/..\\admin", Backslash),
        ("/public/%5c..%5cadmin", Backslash),
        ("/public\\..\\admin", Backslash),
        ("/public/%00/../admin", EncodedControl),
        ("/public/%0d%0a", EncodedControl),
        ("/public/%7f", EncodedControl),
        ("/public/..;/admin", DotSegment),
        ("/public/..%3b/admin", DotSegment),
        ("/public/..;x=y/admin", DotSegment),
        ("/public;/../admin", DotSegment),
        ("/public/.;/..;/admin", DotSegment),
        ("/;/admin", EmptySegment),
        ("/a/;x", EmptySegment),
        ("//admin", EmptySegment),
        ("/admin//", EmptySegment),
        ("/a//b", EmptySegment),
        ("/admin/.", DotSegment),
        ("/admin/..", DotSegment),
        ("/admin%2f", EncodedSlash),
        ("/admin%2F", EncodedSlash),
        ("/%61dmin", NeedlessEncoding),
        ("/a%7eb", NeedlessEncoding),
        ("/a%2", BrokenEncoding),
        ("/a%", BrokenEncoding),
        ("/a%zz", BrokenEncoding),
        ("/a%c3%", BrokenEncoding),
        ("/%2541", DoubleEncoding),
        ("/%25%32%65", NeedlessEncoding),
        ("/é", RawCharacter),
        ("/a b", RawCharacter),
        ("/a\tb", RawCharacter),
        ("/a#b", RawCharacter),
        ("/a?b", RawCharacter),
    ] {
        assert_eq!(canonical(path), Err(fault), "{path}");
    }
}

proptest! {
    /// Decoding an accepted path once, or twice, and taking dot segments out never leads anywhere else.
    #[test]
    fn an_accepted_path_means_the_same_to_a_lenient_reader(path in "/([a-zA-Z0-9./;%\\\\ _~]|%[0-9a-fA-F]{2}|%2e|%2f|\\.\\.){0,24}") {
        if canonical(&path).is_ok() {
            let once = decode(path.as_bytes());
            let twice = decode(&once);
            for reading in [&once, &twice] {
                let text = String::from_utf8_lossy(reading);
                let mut segments = text.split('/').skip(1).map(|segment| segment.split(';').next().unwrap_or("")).collect::<Vec<_>>();
                if segments.last() == Some(&"") { segments.pop(); }
                prop_assert!(segments.iter().all(|segment| !matches!(*segment, "" | "." | "..") && !segment.contains('\\')), "{path} -> {text}");
            }
            prop_assert_eq!(path.matches('/').count(), twice.iter().filter(|byte| **byte == b'/').count());
        }
    }
}

fn decode(mut rest: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some((&byte, after)) = rest.split_first() {
        match hex_pair(after).filter(|_| byte == b'%') {
            Some((decoded, after)) => {
                out.push(decoded);
                rest = after;
            }
            None => {
                out.push(byte);
                rest = after;
            }
        }
    }
    out
}
