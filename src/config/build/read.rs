//! Reading single values: each has its bounds and says what was expected.

use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use ipnet::IpNet;

use crate::config::file::{Size, Span};
use crate::config::size::{format_size, parse_size};
use crate::document::At;
use crate::facts::{format_duration, parse_duration};

use super::Build;

impl Build<'_> {
    /// Notes a problem with `key`.
    pub(super) fn add(&mut self, key: &str, span: Option<Range<usize>>, message: impl Display) {
        self.problems.push(self.document.problem(span, format!("{key}: {message}{}", self.entry)));
    }

    /// Notes something allowed but unwise.
    pub(super) fn warn(&mut self, key: &str, span: Option<Range<usize>>, message: impl Display) {
        self.warnings.push(self.document.problem(span, format!("{key}: {message}{}", self.entry)));
    }

    /// A duration between two bounds; the lower one stands in for a wrong one.
    pub(super) fn span(&mut self, key: &str, text: &Span, least: Duration, most: Duration) -> Duration {
        match parse_duration(text) {
            Ok(span) if (least..=most).contains(&span) => return span,
            Ok(_) => {
                let (least, most) = (format_duration(least), format_duration(most));
                let got = text.value();
                self.add(key, text.span(), format!("expected a duration from {least} to {most}, got \"{got}\""));
            }
            Err(error) => self.add(key, text.span(), error),
        }
        least
    }

    /// A size between two bounds; the lower one stands in for a wrong one.
    pub(super) fn size(&mut self, key: &str, text: &Size, least: u64, most: u64) -> u64 {
        match parse_size(text) {
            Ok(size) if (least..=most).contains(&size) => return size,
            Ok(_) => {
                let (least, most) = (format_size(least), format_size(most));
                let got = text.value();
                self.add(key, text.span(), format!("expected a size from {least} to {most}, got \"{got}\""));
            }
            Err(error) => self.add(key, text.span(), error),
        }
        least
    }

    /// A file that has to exist; it is watched from then on.
    pub(super) fn file(&mut self, key: &str, text: &At<String>) -> PathBuf {
        let path = self.folder.join(text.as_str());
        match std::fs::metadata(&path) {
            Ok(metadata) if metadata.is_file() => self.files.push(path.clone()),
            Ok(_) => self.add(key, text.span(), format!("{} is not a file", path.display())),
            Err(error) => self.add(key, text.span(), format!("{}: {error}", path.display())),
        }
        path
    }

    /// An address with a port.
    pub(super) fn address(&mut self, key: &str, text: &At<String>) -> SocketAddr {
        text.parse().unwrap_or_else(|_| {
            let message =
                format!("expected an address with a port such as 0.0.0.0:443 or [::]:443, got \"{}\"", **text);
            self.add(key, text.span(), message);
            SocketAddr::from((Ipv4Addr::LOCALHOST, 443))
        })
    }

    /// Networks to be trusted; the whole internet is never one.
    pub(super) fn networks(&mut self, key: &str, texts: &[At<String>]) -> Vec<IpNet> {
        let mut networks = Vec::with_capacity(texts.len());
        for text in texts {
            let network = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
            match network {
                Some(network) if network.prefix_len() == 0 => {
                    self.add(
                        key,
                        text.span(),
                        format!("\"{}\" would trust everybody, expected the proxies' networks", **text),
                    );
                }
                Some(network) => networks.push(network),
                None => {
                    let message = format!("expected a network such as 10.0.0.0/8 or an address, got \"{}\"", **text);
                    self.add(key, text.span(), message);
                }
            }
        }
        networks
    }

    /// A host name as it stands in certificates: lower case, no port, no trailing dot.
    pub(super) fn host(&mut self, key: &str, text: &At<String>) -> String {
        let host = text.value().clone();
        if let Some(fault) = host_fault(&host) {
            self.add(
                key,
                text.span(),
                format!("expected a host name such as portal.example.com, {fault}, got \"{host}\""),
            );
        }
        host
    }

    /// The name of a header that may be set.
    pub(super) fn header_name(&mut self, key: &str, text: &str, span: Option<Range<usize>>) -> HeaderName {
        let name = HeaderName::from_bytes(text.as_bytes()).ok().filter(|name| !is_framing(name));
        name.unwrap_or_else(|| {
            self.add(key, span, format!("\"{text}\" is not the name of a header that may be set"));
            HeaderName::from_static("x-invalid")
        })
    }

    /// The value of a header.
    pub(super) fn header_value(&mut self, key: &str, text: &At<String>) -> HeaderValue {
        HeaderValue::from_str(text).unwrap_or_else(|_| {
            self.add(key, text.span(), "expected printable ASCII");
            HeaderValue::from_static("")
        })
    }
}

/// Headers that steer the connection, the message's length, the route or the session; the gateway alone writes them.
fn is_framing(name: &HeaderName) -> bool {
    const FRAMING: [&str; 15] = [
        "connection",
        "content-length",
        "cookie",
        "expect",
        "forwarded",
        "host",
        "http2-settings",
        "keep-alive",
        "proxy-connection",
        "set-cookie",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-forwarded-for",
    ];
    FRAMING.contains(&name.as_str())
}

/// RFC 1123 section 2.1, in the one spelling that is compared with `Host` and SNI.
fn host_fault(host: &str) -> Option<&'static str> {
    if host.contains(':') {
        return Some("without a port");
    }
    if host.ends_with('.') {
        return Some("without a dot at its end");
    }
    if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Some("in lower case");
    }
    if host.contains('*') {
        return Some("without a wildcard");
    }
    if host.parse::<Ipv4Addr>().is_ok() {
        return Some("not an address");
    }
    let label = |label: &str| {
        let inside = label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        (1..=63).contains(&label.len()) && inside && !label.starts_with('-') && !label.ends_with('-')
    };
    if host.len() > 253 || !host.split('.').all(label) {
        return Some("made of letters, digits, hyphens and dots (international names as xn--...)");
    }
    None
}
