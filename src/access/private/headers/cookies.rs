//! Our cookie out of `Cookie`, and nobody else's into ours.

use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue};

/// Takes cookies whose name begins with `prefix` out of the request and joins several `Cookie` lines (HTTP/2 sends
/// one per crumb, RFC 9113 section 8.2.3) into one. All other cookies keep their exact bytes and order.
pub(super) fn strip_request(headers: &mut HeaderMap, prefix: &str) {
    let mut lines = headers.get_all(COOKIE).iter();
    let Some(first) = lines.next() else { return };
    let single = lines.next().is_none();
    if single && !crumbs(first).any(|crumb| is_ours(crumb, prefix)) {
        return;
    }
    let mut kept = Vec::with_capacity(first.len());
    for crumb in headers.get_all(COOKIE).iter().flat_map(crumbs) {
        if !crumb.is_empty() && !is_ours(crumb, prefix) {
            if !kept.is_empty() {
                kept.extend_from_slice(b"; ");
            }
            kept.extend_from_slice(crumb);
        }
    }
    match HeaderValue::from_maybe_shared(bytes::Bytes::from(kept)) {
        Ok(value) if !value.is_empty() => {
            headers.insert(COOKIE, value);
        }
        _ => {
            headers.remove(COOKIE);
        }
    }
}

/// Drops `Set-Cookie` lines by which an app would set one of the gateway's cookies.
pub(super) fn strip_response(headers: &mut HeaderMap, prefix: &str) {
    if !headers.get_all(SET_COOKIE).iter().any(|line| is_ours(line.as_bytes(), prefix)) {
        return;
    }
    let kept: Vec<HeaderValue> =
        headers.get_all(SET_COOKIE).iter().filter(|line| !is_ours(line.as_bytes(), prefix)).cloned().collect();
    headers.remove(SET_COOKIE);
    for line in kept {
        headers.append(SET_COOKIE, line);
    }
}

/// The cookies of one line, blanks around them taken off.
fn crumbs(line: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    line.as_bytes().split(|byte| *byte == b';').map(<[u8]>::trim_ascii)
}

/// Compares the name's beginning without regard to case: browsers treat the `__Host-` prefix that way
/// (RFC 6265bis section 5.4), and a name that only differs in case has no honest use.
fn is_ours(crumb: &[u8], prefix: &str) -> bool {
    crumb.trim_ascii_start().get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
}
