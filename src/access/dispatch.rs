//! Which host is this request for? One authority, agreeing with the TLS name, or a refusal.

use std::borrow::Cow;

use http::header::HOST;
use http::request::Parts;
use http::uri::{Authority, Scheme};
use http::{Method, Version};

use super::refusal::Refusal;
use crate::facts::ClientConn;

/// The host a request is for, lower case, without port and trailing dot.
///
/// HTTP/1.1 says it in `Host` (RFC 9112 3.2), HTTP/2 in `:authority` (RFC 9113 8.3.1); a `Host` beside `:authority`
/// must say the same. It must also be the name of the TLS handshake: a browser that reuses a connection for another
/// name gets 421 and comes again, so each host is reached only under its own TLS policy.
///
/// With `require_sni` off, a client that sends no server name at all is taken at its `Host`.
pub(super) fn host<'a>(
    parts: &'a Parts,
    client: &ClientConn,
    public_port: u16,
    require_sni: bool,
) -> Result<Cow<'a, str>, Refusal> {
    let named = authority(parts)?;
    let (name, port) = split(named).ok_or(Refusal::BadAuthority)?;
    // Programs often leave the port out; one that is given must be the one browsers use.
    if port.is_some_and(|port| port != public_port) {
        return Err(Refusal::BadAuthority);
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    let host = if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    };
    match &client.sni {
        Some(sni) if **sni == *host => Ok(host),
        None if !require_sni => Ok(host),
        Some(_) | None => Err(Refusal::Misdirected),
    }
}

/// Methods that never reach an app, whatever its configuration says.
pub(super) fn check_method(method: &Method) -> Result<(), Refusal> {
    // TRACE would echo credentials; CONNECT would make this a tunnel to anywhere.
    if *method == Method::CONNECT || *method == Method::TRACE { Err(Refusal::MethodNotAllowed) } else { Ok(()) }
}

fn authority(parts: &Parts) -> Result<&str, Refusal> {
    let mut hosts = parts.headers.get_all(HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(Refusal::BadAuthority);
    }
    let host = host.map(|value| value.to_str().map_err(|_| Refusal::BadAuthority)).transpose()?;
    if parts.version == Version::HTTP_2 {
        if parts.uri.scheme() != Some(&Scheme::HTTPS) {
            return Err(Refusal::BadAuthority);
        }
        let authority = parts.uri.authority().map(Authority::as_str).ok_or(Refusal::BadAuthority)?;
        return match host {
            Some(host) if !host.eq_ignore_ascii_case(authority) => Err(Refusal::BadAuthority),
            _ => Ok(authority),
        };
    }
    // Origin-form only: an absolute-form target could name another host than `Host` does.
    if parts.uri.authority().is_some() || parts.uri.scheme().is_some() {
        return Err(Refusal::BadAuthority);
    }
    host.ok_or(Refusal::BadAuthority)
}

/// Host name and port of `name[:port]`; IP literals and anything unusual are no names of ours.
fn split(authority: &str) -> Option<(&str, Option<u16>)> {
    let (name, port) = match authority.split_once(':') {
        Some((name, port)) => {
            let canonical = !port.is_empty()
                && port.len() <= 5
                && !port.starts_with('0')
                && port.bytes().all(|byte| byte.is_ascii_digit());
            (name, Some(if canonical { port.parse().ok()? } else { return None }))
        }
        None => (authority, None),
    };
    let named = !name.is_empty()
        && name.len() <= 254
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'));
    named.then_some((name, port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::HttpVersion;
    use http::Request;

    fn client(sni: Option<&str>) -> ClientConn {
        let address = "127.0.0.1:1".parse().unwrap();
        ClientConn {
            peer: address,
            socket_peer: address,
            local: address,
            sni: sni.map(Into::into),
            http: HttpVersion::Http1,
        }
    }

    fn check(sni: Option<&str>, hosts: &[&str]) -> Result<String, &'static str> {
        let mut request = Request::builder().uri("/");
        for host in hosts {
            request = request.header(HOST, *host);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        host(&parts, &client(sni), 8443, true).map(Cow::into_owned).map_err(|refusal| refusal.word())
    }

    #[test]
    fn case_and_one_trailing_dot_are_folded() {
        for name in ["app.test:8443", "APP.test:8443", "app.test.:8443", "app.test"] {
            assert_eq!(check(Some("app.test"), &[name]), Ok("app.test".to_owned()), "{name}");
        }
    }

    #[test]
    fn anything_ambiguous_is_refused() {
        for hosts in [
            vec![],
            vec!["app.test:8443", "app.test:8443"],
            vec!["app.test:443"],
            vec!["app.test:08443"],
            vec!["app.test:99999"],
            vec!["app.test:"],
            vec!["app.test/x:8443"],
            vec!["x@app.test:8443"],
            vec!["app.test:8443@fin.test"],
            vec!["app.test, fin.test"],
            vec!["[::1]:8443"],
            vec![""],
        ] {
            assert_eq!(check(Some("app.test"), &hosts), Err("bad_authority"), "{hosts:?}");
        }
    }

    #[test]
    fn another_name_than_the_handshake_is_misdirected() {
        assert_eq!(check(Some("app.test"), &["fin.test:8443"]), Err("misdirected"));
        assert_eq!(check(None, &["app.test:8443"]), Err("misdirected"));
        assert_eq!(check(Some("app.test"), &["app.test..:8443"]), Err("misdirected"));
    }
}
