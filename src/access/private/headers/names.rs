//! What a header name means to a gateway: one look at the first byte, then a few comparisons.

use http::HeaderName;

/// What happens to a request header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// It passes.
    Pass,
    /// It never passes: hop-by-hop, forwarding, or a header some server takes for identity or for the method or URL.
    Drop,
    /// Names further hop-by-hop headers.
    Connection,
    /// May hold our cookie.
    Cookie,
    /// Passes only to apps that ask for it.
    Authorization,
    /// Passes as `trailers` to HTTP/2 upstreams.
    Te,
    /// Answered here.
    Expect,
}

/// Classifies a request header by name.
pub(super) fn request_class(name: &str) -> Class {
    let bytes = name.as_bytes();
    match bytes.first() {
        Some(b'a') => match name {
            "authorization" => Class::Authorization,
            "alt-used" => Class::Drop,
            _ => plain(bytes),
        },
        Some(b'c') => match name {
            "cookie" => Class::Cookie,
            "connection" => Class::Connection,
            "cf-connecting-ip" | "cf-connecting-ipv6" | "cf-ipcountry" => Class::Drop,
            _ if name.starts_with("client-cert") => Class::Drop,
            _ => plain(bytes),
        },
        Some(b'e') => match name {
            "expect" => Class::Expect,
            "early-data" => Class::Drop,
            _ => plain(bytes),
        },
        Some(b'f') => match name {
            "forwarded" | "fastly-client-ip" | "front-end-https" => Class::Drop,
            _ => plain(bytes),
        },
        Some(b'h') if name == "http2-settings" => Class::Drop,
        Some(b'k') if name == "keep-alive" => Class::Drop,
        // `Proxy` becomes HTTP_PROXY in CGI (CVE-2016-5385).
        Some(b'p') if name == "proxy" || name.starts_with("proxy-") => Class::Drop,
        Some(b'r') if name.starts_with("remote-") => Class::Drop,
        Some(b's') if name.starts_with("ssl-client") => Class::Drop,
        Some(b't') => match name {
            "te" => Class::Te,
            "trailer" | "transfer-encoding" | "true-client-ip" => Class::Drop,
            _ => plain(bytes),
        },
        Some(b'u') if name == "upgrade" => Class::Drop,
        Some(b'x') => extension(name),
        Some(_) => plain(bytes),
        None => Class::Drop,
    }
}

/// `X-...` headers: those by which proxies tell servers who, where from and what is asked.
fn extension(name: &str) -> Class {
    const PREFIXES: [&str; 22] = [
        "x-forward",
        "x-original-",
        "x-rewrite-",
        "x-envoy-",
        "x-ssl-",
        "x-client-cert",
        "x-client-ip",
        "x-ms-client-principal",
        "x-http-method",
        "x-method-override",
        "x-real-",
        "x-remote-",
        "x-auth-request-",
        "x-authenticated-",
        "x-accel-",
        "x-sendfile",
        "x-arr-",
        "x-amzn-oidc-",
        "x-goog-authenticated-",
        "x-goog-iap-",
        "x-portcullis-",
        "x-cluster-client-ip",
    ];
    if matches!(name, "x-host" | "x-scheme" | "x-url-scheme") || PREFIXES.iter().any(|p| name.starts_with(p)) {
        Class::Drop
    } else {
        plain(name.as_bytes())
    }
}

/// Names outside letters, digits and hyphen are aliases of something, or of no use.
fn plain(name: &[u8]) -> Class {
    let ordinary = name.iter().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    if ordinary { Class::Pass } else { Class::Drop }
}

/// Request headers that may come once. Two of them mean two things to two readers.
pub(super) fn is_singleton(name: &str) -> bool {
    matches!(
        name,
        "host"
            | "authorization"
            | "content-type"
            | "content-length"
            | "content-location"
            | "content-range"
            | "expect"
            | "from"
            | "if-modified-since"
            | "if-range"
            | "if-unmodified-since"
            | "max-forwards"
            | "origin"
            | "range"
            | "referer"
            | "transfer-encoding"
            | "upgrade"
            | "user-agent"
            | "sec-websocket-key"
            | "sec-websocket-version"
    )
}

/// Headers that `Connection` must not name (HD-03): without them the request would mean something else.
pub(super) fn is_protected(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "host"
            | "content-length"
            | "transfer-encoding"
            | "content-type"
            | "cookie"
            | "authorization"
            | "origin"
            | "expect"
    )
}

/// What happens to a response header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ResponseClass {
    /// It passes.
    Pass,
    /// It never passes: hop-by-hop, an instruction to a proxy, or the gateway's own to set.
    Drop,
    /// Names further hop-by-hop headers.
    Connection,
    /// May set our cookie.
    SetCookie,
    /// May point to the upstream's own address.
    Location,
    /// Frames the body.
    TransferEncoding,
    /// Frames the body.
    ContentLength,
}

/// Classifies a response header by name.
pub(super) fn response_class(name: &str) -> ResponseClass {
    match name.as_bytes().first() {
        Some(b'a') if name == "alt-svc" => ResponseClass::Drop,
        Some(b'c') => match name {
            "connection" => ResponseClass::Connection,
            "content-length" => ResponseClass::ContentLength,
            "content-location" => ResponseClass::Location,
            _ => ResponseClass::Pass,
        },
        Some(b'k') if name == "keep-alive" => ResponseClass::Drop,
        Some(b'l') if name == "location" => ResponseClass::Location,
        Some(b'p') if name.starts_with("proxy-") => ResponseClass::Drop,
        Some(b's') => match name {
            "set-cookie" => ResponseClass::SetCookie,
            "strict-transport-security" => ResponseClass::Drop,
            _ => ResponseClass::Pass,
        },
        Some(b't') => match name {
            "transfer-encoding" => ResponseClass::TransferEncoding,
            "te" | "trailer" => ResponseClass::Drop,
            _ => ResponseClass::Pass,
        },
        Some(b'u') if name == "upgrade" => ResponseClass::Drop,
        Some(b'x')
            if name.starts_with("x-accel-")
                || name.starts_with("x-sendfile")
                || name.starts_with("x-lighttpd-send") =>
        {
            ResponseClass::Drop
        }
        _ => ResponseClass::Pass,
    }
}
