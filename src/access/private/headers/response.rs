//! Response headers on their way to the client.

use http::header::{CONTENT_LENGTH, LOCATION};
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::names::{ResponseClass, response_class};
use super::{HeaderRules, cookies};
use crate::access::private::routes::App;

/// The response's framing contradicts itself: two lengths, or a transfer coding other than `chunked`. Somebody could
/// read it otherwise than we do, so it is not relayed and its connection is not used again (HP-18).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::access::private) struct Ambiguous;

/// Takes out what must not reach the client and sets what the gateway and the app's configuration say.
pub(in crate::access::private) fn clean(
    status: StatusCode,
    headers: &mut HeaderMap,
    rules: &HeaderRules,
    app: &App,
    public_host: &HeaderValue,
) -> Result<(), Ambiguous> {
    let mut gone: Vec<HeaderName> = Vec::new();
    let mut seen = Seen::default();
    for (name, value) in &*headers {
        match response_class(name.as_str()) {
            ResponseClass::Pass => {}
            ResponseClass::Drop => gone.push(name.clone()),
            ResponseClass::Connection => {
                gone.push(name.clone());
                nominations(value, &mut gone);
            }
            ResponseClass::SetCookie => seen.set_cookie = true,
            ResponseClass::Location => seen.location = true,
            ResponseClass::TransferEncoding => {
                gone.push(name.clone());
                seen.codings += 1;
                seen.odd_coding |= !value.as_bytes().eq_ignore_ascii_case(b"chunked");
            }
            ResponseClass::ContentLength => seen.lengths += 1,
        }
    }
    if seen.odd_coding || seen.lengths + seen.codings > 1 {
        return Err(Ambiguous);
    }
    for name in gone {
        headers.remove(name);
    }
    // RFC 9110 section 8.6: a 204 has no length.
    if seen.lengths > 0 && status == StatusCode::NO_CONTENT {
        headers.remove(CONTENT_LENGTH);
    }
    if seen.set_cookie {
        cookies::strip_response(headers, &rules.cookie_prefix);
    }
    if seen.location {
        for name in [LOCATION, http::header::CONTENT_LOCATION] {
            if let Some(value) = headers.get(&name).and_then(|value| public_location(value, app, public_host)) {
                headers.insert(name, value);
            }
        }
    }
    for (name, value) in &app.config.response_headers {
        headers.insert(name, value.clone());
    }
    rules.add_hsts(headers);
    Ok(())
}

#[derive(Default)]
struct Seen {
    set_cookie: bool,
    location: bool,
    lengths: u32,
    codings: u32,
    odd_coding: bool,
}

fn nominations(value: &HeaderValue, gone: &mut Vec<HeaderName>) {
    for token in value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
        match HeaderName::from_bytes(token) {
            // An upstream has no business taking away what frames or secures its own response.
            Ok(name)
                if !matches!(
                    name.as_str(),
                    "close"
                        | "keep-alive"
                        | "content-length"
                        | "transfer-encoding"
                        | "content-type"
                        | "set-cookie"
                        | "location"
                ) =>
            {
                gone.push(name);
            }
            _ => {}
        }
    }
}

/// The public form of a `Location` that points to the upstream's own address, to the public host by plain http, or
/// (when the prefix is stripped) to a path of the upstream; `None` if it may stay as it is.
fn public_location(value: &HeaderValue, app: &App, public_host: &HeaderValue) -> Option<HeaderValue> {
    let text = value.to_str().ok()?;
    let prefix = if app.config.strip_path { app.prefix() } else { "" };
    let rest = match text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")) {
        None if text.starts_with('/') && !text.starts_with("//") && !prefix.is_empty() => {
            return HeaderValue::from_str(&format!("{prefix}{text}")).ok();
        }
        None => return None,
        Some(rest) => rest,
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end)?;
    let public = public_host.to_str().ok()?;
    if is_own(authority, app) {
        let slash = if path.starts_with('/') || prefix.is_empty() && path.is_empty() { "" } else { "/" };
        return HeaderValue::from_str(&format!("https://{public}{prefix}{slash}{path}")).ok();
    }
    // An app that sees the public `Host` on a plain connection builds `http://` links to itself.
    if authority.eq_ignore_ascii_case(public) && text.starts_with("http://") {
        let prefix = if path.starts_with(prefix) { "" } else { prefix };
        return HeaderValue::from_str(&format!("https://{public}{prefix}{path}")).ok();
    }
    None
}

/// Whether an authority is one of the app's endpoints, with or without the scheme's own port.
fn is_own(authority: &str, app: &App) -> bool {
    let Ok(authority) = authority.parse::<Authority>() else { return false };
    app.upstream.endpoints().iter().any(|endpoint| {
        endpoint.host.eq_ignore_ascii_case(authority.host().trim_matches(['[', ']']))
            && authority.port_u16().map_or(matches!(endpoint.port, 80 | 443), |port| port == endpoint.port)
    })
}
