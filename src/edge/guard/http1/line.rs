//! One line of a head: the request line, or a header.

use super::{Seen, Targets};
use crate::edge::guard::Refusal;

/// Headers that may stand once, as bits.
pub(super) type Once = u8;

/// RFC 9112 section 3: `method SP request-target SP HTTP-version`, single spaces, nothing else.
pub(super) fn request_line(line: &[u8], targets: Targets, seen: &mut Seen) -> Result<(), Refusal> {
    let space = line.iter().take(METHOD_MAX + 1).position(|&byte| byte == b' ').ok_or(Refusal::RequestLine)?;
    let (method, rest) = line.split_at_checked(space).ok_or(Refusal::RequestLine)?;
    if method.is_empty() || !method.iter().all(|&byte| is_token(byte)) {
        return Err(Refusal::Method);
    }
    let rest = rest.strip_prefix(b" ").ok_or(Refusal::RequestLine)?;
    let (target, version) = rest.split_last_chunk::<VERSION>().ok_or(Refusal::RequestLine)?;
    seen.http10 = match version {
        b" HTTP/1.1" => false,
        b" HTTP/1.0" => true,
        [b' ', b'H', b'T', b'T', b'P', b'/', b'1', b'.', _] => return Err(Refusal::Version),
        [b' ', b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() && method != b"PRI" =>
        {
            return Err(Refusal::MajorVersion);
        }
        _ => return Err(Refusal::RequestLine),
    };
    seen.connect = method == b"CONNECT";
    seen.expects_body = matches!(method, b"POST" | b"PUT" | b"PATCH");
    check_target(method, target, targets)
}

fn check_target(method: &[u8], target: &[u8], targets: Targets) -> Result<(), Refusal> {
    // A fragment never belongs on the wire, and a backslash is a slash to some upstreams. No early exit, so that the
    // loop is compiled to vector instructions.
    let bad =
        target.iter().fold(false, |bad, &byte| bad | !(0x21..=0x7e).contains(&byte) | (byte == b'#') | (byte == b'\\'));
    if bad {
        return Err(Refusal::Target);
    }
    if method == b"CONNECT" {
        let authority = !target.is_empty() && !target.iter().any(|byte| matches!(byte, b'/' | b'?' | b'@' | b'*'));
        return match targets {
            Targets::Origin => Err(Refusal::Connect),
            Targets::Proxy if authority => Ok(()),
            Targets::Proxy => Err(Refusal::Target),
        };
    }
    let absolute = || target.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"http://"));
    match target {
        [b'/', ..] => Ok(()),
        b"*" if method == b"OPTIONS" => Ok(()),
        _ if targets == Targets::Proxy && absolute() => Ok(()),
        _ => Err(Refusal::Target),
    }
}

/// RFC 9112 section 5: `field-name ":" OWS field-value OWS`; no space before the colon, no folding.
pub(super) fn field_line(line: &[u8], seen: &mut Seen) -> Result<(), Refusal> {
    let (name, value) = split_field(line)?;
    known_field(name, value, seen)
}

/// Name and trimmed value, both of allowed bytes.
pub(super) fn split_field(line: &[u8]) -> Result<(&[u8], &[u8]), Refusal> {
    let colon = line.iter().position(|&byte| !is_token(byte)).ok_or(Refusal::HeaderName)?;
    let (name, rest) = line.split_at_checked(colon).ok_or(Refusal::HeaderName)?;
    let value = match rest {
        [b':', value @ ..] if !name.is_empty() => value,
        _ => return Err(Refusal::HeaderName),
    };
    // No early exit, so that the loop is compiled to vector instructions.
    let bad = value.iter().fold(false, |bad, &byte| bad | ((byte < 0x20) & (byte != b'\t')) | (byte == 0x7f));
    if bad { Err(Refusal::HeaderValue) } else { Ok((name, trim(value))) }
}

/// The headers that decide about framing and identity. Sorted by length first: most names match none.
fn known_field(name: &[u8], value: &[u8], seen: &mut Seen) -> Result<(), Refusal> {
    match name.len() {
        4 if name.eq_ignore_ascii_case(b"host") && std::mem::replace(&mut seen.host, true) => {
            return Err(Refusal::Host);
        }
        6 if name.eq_ignore_ascii_case(b"expect") => {
            once(seen, EXPECT)?;
            if !value.eq_ignore_ascii_case(b"100-continue") {
                return Err(Refusal::Expectation);
            }
        }
        7 if name.eq_ignore_ascii_case(b"upgrade") => {
            once(seen, UPGRADE)?;
            seen.upgrade = true;
        }
        13 if name.eq_ignore_ascii_case(b"authorization") => once(seen, AUTHORIZATION)?,
        14 if alias(name, b"content-length") => {
            if !name.eq_ignore_ascii_case(b"content-length") {
                return Err(Refusal::FramingAlias);
            }
            let length = content_length(value)?;
            if seen.length.replace(length).is_some() {
                return Err(Refusal::RepeatedHeader);
            }
        }
        17 if alias(name, b"transfer-encoding") => {
            if !name.eq_ignore_ascii_case(b"transfer-encoding") {
                return Err(Refusal::FramingAlias);
            }
            if std::mem::replace(&mut seen.chunked, true) {
                return Err(Refusal::RepeatedHeader);
            }
            transfer_encoding(value)?;
        }
        17 if name.eq_ignore_ascii_case(b"sec-websocket-key") => once(seen, WEBSOCKET_KEY)?,
        19 if name.eq_ignore_ascii_case(b"proxy-authorization") => once(seen, PROXY_AUTHORIZATION)?,
        _ => {}
    }
    Ok(())
}

const fn once(seen: &mut Seen, bit: Once) -> Result<(), Refusal> {
    if seen.once & bit != 0 {
        return Err(Refusal::RepeatedHeader);
    }
    seen.once |= bit;
    Ok(())
}

/// RFC 9110 section 8.6 allows any digits; only the shortest spelling below 2^63 is taken, because parsers differ on
/// the others.
fn content_length(value: &[u8]) -> Result<u64, Refusal> {
    let canonical = match value {
        [b'0'] => true,
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    let number = canonical.then(|| std::str::from_utf8(value).ok()?.parse::<u64>().ok()).flatten();
    number.filter(|&length| length < 1 << 63).ok_or(Refusal::ContentLength)
}

fn transfer_encoding(value: &[u8]) -> Result<(), Refusal> {
    if value.eq_ignore_ascii_case(b"chunked") {
        return Ok(());
    }
    // RFC 9112 section 6.1: 501 for codings that exist; anything else is an attempt.
    let mut codings = value.split(|&byte| byte == b',').map(trim).rev();
    let chunked_last = codings.next().is_some_and(|last| last.eq_ignore_ascii_case(b"chunked"));
    let known = |coding: &[u8]| CODINGS.iter().any(|known| known.eq_ignore_ascii_case(coding));
    if chunked_last && codings.all(known) { Err(Refusal::TransferCoding) } else { Err(Refusal::TransferEncoding) }
}

/// Whether `name` is `canonical` when `_`, `.` and `-` are taken for the same, as CGI and its heirs do.
fn alias(name: &[u8], canonical: &[u8]) -> bool {
    name.len() == canonical.len()
        && name.iter().zip(canonical).all(|(&byte, &wanted)| {
            byte.eq_ignore_ascii_case(&wanted) || (wanted == b'-' && matches!(byte, b'_' | b'.'))
        })
}

/// Without spaces and tabs at both ends (RFC 9110 section 5.6.3).
fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// RFC 9110 section 5.6.2.
pub(super) const fn is_token(byte: u8) -> bool {
    matches!(
        byte,
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*'
            | b'+' | b'^' | b'`' | b'|' | b'~'
    )
}

const EXPECT: Once = 1;
const UPGRADE: Once = 2;
const AUTHORIZATION: Once = 4;
const PROXY_AUTHORIZATION: Once = 8;
const WEBSOCKET_KEY: Once = 16;

/// Transfer codings of the IANA registry besides `chunked`.
const CODINGS: [&[u8]; 5] = [b"gzip", b"x-gzip", b"deflate", b"compress", b"x-compress"];

/// The longest registered method has 17 letters.
const METHOD_MAX: usize = 32;

/// Length of ` HTTP/1.1`.
const VERSION: usize = 9;
