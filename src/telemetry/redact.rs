//! What may be written of a request's head: secrets are masked before anything reaches a log line.

use std::fmt;

use http::{HeaderMap, HeaderName, Uri};

/// Shows headers with the values of secret ones masked.
#[derive(Clone, Copy)]
pub struct RedactedHeaders<'a>(pub &'a HeaderMap);

impl fmt::Debug for RedactedHeaders<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for (name, value) in self.0 {
            if is_secret_header(name) {
                map.entry(&name.as_str(), &MASK);
            } else {
                map.entry(&name.as_str(), value);
            }
        }
        map.finish()
    }
}

/// Shows a target with the values of secret query parameters masked and at most [`MAX_TARGET`] bytes.
#[derive(Clone, Copy)]
pub struct RedactedUri<'a>(&'a Uri);

/// See [`RedactedUri`].
#[must_use]
pub const fn redact_uri(uri: &Uri) -> RedactedUri<'_> {
    RedactedUri(uri)
}

impl fmt::Display for RedactedUri<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = Limited { f, left: MAX_TARGET };
        // User information in an authority (`user:password@`) is never shown.
        if let (Some(scheme), Some(host)) = (self.0.scheme_str(), self.0.host()) {
            out.put(scheme)?;
            out.put("://")?;
            out.put(host)?;
        } else if let Some(host) = self.0.host() {
            out.put(host)?;
        }
        if let Some(port) = self.0.port() {
            out.put(":")?;
            out.put(port.as_str())?;
        }
        out.put(self.0.path())?;
        let Some(query) = self.0.query() else { return Ok(()) };
        for (at, pair) in query.split('&').enumerate() {
            out.put(if at == 0 { "?" } else { "&" })?;
            match pair.split_once('=') {
                Some((key, _)) if is_secret_parameter(key) => {
                    out.put(key)?;
                    out.put("=")?;
                    out.put(MASK)?;
                }
                // A parameter without a name may be a bare token.
                None if pair.len() > MAX_BARE => out.put(MASK)?,
                _ => out.put(pair)?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for RedactedUri<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whether a header's value must not be shown.
#[must_use]
pub fn is_secret_header(name: &HeaderName) -> bool {
    let name = name.as_str();
    SECRET_HEADERS.contains(&name) || SECRET_WORDS.iter().any(|word| name.contains(word))
}

/// Whether the value of a query or form parameter must not be shown. An escaped name is taken for a secret one.
#[must_use]
pub fn is_secret_parameter(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.contains('%')
        || SECRET_PARAMETERS.contains(&name.as_str())
        || SECRET_WORDS.iter().any(|word| name.contains(word))
}

struct Limited<'a, 'f> {
    f: &'a mut fmt::Formatter<'f>,
    left: usize,
}

impl Limited<'_, '_> {
    fn put(&mut self, text: &str) -> fmt::Result {
        if self.left == 0 {
            return Ok(());
        }
        if text.len() <= self.left {
            self.left -= text.len();
            return self.f.write_str(text);
        }
        let end = (0..=self.left).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        self.left = 0;
        self.f.write_str(text.get(..end).unwrap_or_default())?;
        self.f.write_str("…")
    }
}

/// Longest target shown.
pub const MAX_TARGET: usize = 2048;
const MAX_BARE: usize = 32;
const MASK: &str = "[masked]";
const SECRET_HEADERS: [&str; 5] = ["cookie", "set-cookie", "authorization", "proxy-authorization", "www-authenticate"];
const SECRET_PARAMETERS: [&str; 9] = ["code", "state", "nonce", "sid", "sig", "key", "samlresponse", "wresult", "hint"];
const SECRET_WORDS: [&str; 12] = [
    "token",
    "secret",
    "passw",
    "assertion",
    "auth",
    "jwt",
    "credential",
    "session",
    "apikey",
    "api-key",
    "api_key",
    "signature",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_headers_are_masked_and_others_shown() {
        let mut headers = HeaderMap::new();
        for name in ["cookie", "set-cookie", "authorization", "proxy-authorization", "x-auth-assertion", "x-api-key"] {
            headers.append(HeaderName::from_static(name), "canary".parse().unwrap());
        }
        headers.append("accept", "text/html".parse().unwrap());
        let shown = format!("{:?}", RedactedHeaders(&headers));
        assert!(!shown.contains("canary"), "{shown}");
        assert!(shown.contains("text/html"), "{shown}");
        assert_eq!(shown.matches(MASK).count(), 6, "{shown}");
    }

    #[test]
    fn secrets_in_a_target_are_masked() {
        for target in [
            "/cb?code=canary&state=canary",
            "/cb?a=1&CODE=canary",
            "/x?access_token=canary&id_token=canary",
            "/x?%63ode=canary",
            "https://user:canary@host.example/x",
            "/x?canarycanarycanarycanarycanarycanary",
            "/x?client_secret=canary#",
        ] {
            let shown = redact_uri(&target.parse().unwrap()).to_string();
            assert!(!shown.contains("canary"), "{shown}");
        }
        let shown = redact_uri(&"https://h.example:8443/a/b?page=2&code=x".parse().unwrap()).to_string();
        assert_eq!(shown, "https://h.example:8443/a/b?page=2&code=[masked]");
    }

    #[test]
    fn a_long_target_is_cut() {
        let target = format!("/{}", "a".repeat(10_000));
        assert!(redact_uri(&target.parse().unwrap()).to_string().len() <= MAX_TARGET + 3);
    }
}
