//! What travels through browsers: sealed, purpose-bound, and meaningless to anybody else.
//!
//! Nothing is remembered on the server for somebody who has not signed in; the state of an attempt is inside the
//! sealed value, so unauthenticated requests allocate nothing that outlives them.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::facts::{AuthContext, UnixTime};
use crate::store::Keyring;

/// Longest sealed text that is even looked at.
const MAX_SEALED: usize = 8 * 1024;

/// From leaving an app to coming back: how long a person may take on the provider's pages.
pub(super) const ATTEMPT_LIFETIME: Duration = Duration::from_secs(3600);

/// From the sign-in host to the app: one redirect.
pub(super) const CODE_LIFETIME: Duration = Duration::from_secs(60);

/// A value that can be sealed for one purpose.
pub(super) trait Sealed: Serialize + DeserializeOwned {
    /// Separates its key from every other purpose's.
    const PURPOSE: &'static str;
    /// How long it may be opened.
    const LIFETIME: Duration;
    /// When it was made.
    fn made(&self) -> UnixTime;
}

/// Where a person wanted to go before signing in. Made by the app host, opened by the sign-in host.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Return {
    /// The app's host, without port.
    #[serde(rename = "h")]
    pub(super) host: String,
    /// Path and query on it.
    #[serde(rename = "p")]
    pub(super) path: String,
    /// Hash of the app host's browser cookie: only that browser may come back.
    #[serde(rename = "b")]
    pub(super) browser: String,
    /// A form was held back in the browser under this name and is to be sent again.
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    pub(super) form: Option<String>,
    /// How many rounds lay behind the browser when it was sent away.
    #[serde(rename = "n", default, skip_serializing_if = "is_zero")]
    pub(super) rounds: u32,
    /// The number of the auth context that is asked for, if this is a step-up.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub(super) context: Option<u8>,
    /// When.
    #[serde(rename = "t")]
    pub(super) made: UnixTime,
}

impl Return {
    /// The auth context that is asked for.
    pub(super) fn wants(&self) -> Option<AuthContext> {
        self.context.map(AuthContext)
    }
}

impl Sealed for Return {
    const PURPOSE: &'static str = "sign-in return";
    const LIFETIME: Duration = ATTEMPT_LIFETIME;

    fn made(&self) -> UnixTime {
        self.made
    }
}

/// One attempt to sign in, on its way through the provider as `state`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Attempt {
    /// Names the attempt, for single use.
    #[serde(rename = "i")]
    pub(super) id: String,
    /// Expected in the ID token.
    #[serde(rename = "n")]
    pub(super) nonce: String,
    /// PKCE code verifier (RFC 7636).
    #[serde(rename = "v")]
    pub(super) verifier: String,
    /// Where to go afterwards; `None` for the portal.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub(super) back: Option<Return>,
    /// The person asked to sign in with another account, so a session that is there does not answer it.
    #[serde(rename = "o", default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) other_account: bool,
    /// The key, hex, of the session that steps up; `None` for a sign-in.
    #[serde(rename = "u", default, skip_serializing_if = "Option::is_none")]
    pub(super) session: Option<String>,
    /// How many rounds lay behind the browser at the sign-in host when it was sent away.
    #[serde(rename = "c", default, skip_serializing_if = "is_zero")]
    pub(super) rounds: u32,
    /// When.
    #[serde(rename = "t")]
    pub(super) made: UnixTime,
}

impl Sealed for Attempt {
    const PURPOSE: &'static str = "sign-in attempt";
    const LIFETIME: Duration = ATTEMPT_LIFETIME;

    fn made(&self) -> UnixTime {
        self.made
    }
}

/// The one-time code that carries a session from the sign-in host to an app host.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Code {
    /// Names the code, for single use.
    #[serde(rename = "i")]
    pub(super) id: String,
    /// The session's key, hex.
    #[serde(rename = "s")]
    pub(super) session: String,
    /// Where to go on the app host.
    #[serde(rename = "r")]
    pub(super) back: Return,
    /// When.
    #[serde(rename = "t")]
    pub(super) made: UnixTime,
}

impl Sealed for Code {
    const PURPOSE: &'static str = "sign-in code";
    const LIFETIME: Duration = CODE_LIFETIME;

    fn made(&self) -> UnixTime {
        self.made
    }
}

/// By reference, as serde calls it.
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// What the browser cookie holds: an id to bind attempts to, and how often this browser came back without success.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Browser {
    /// Random, 128 bit.
    #[serde(rename = "i")]
    pub(super) id: String,
    /// How many rounds in a row ended here without a session that stuck; reset after a quiet minute.
    #[serde(rename = "n", default)]
    pub(super) entries: u32,
    /// When it last entered.
    #[serde(rename = "e", default = "never")]
    pub(super) entered: UnixTime,
    /// The step-ups of the last minute that came back, by context, with how many rounds in a row.
    #[serde(rename = "u", default, skip_serializing_if = "Vec::is_empty")]
    pub(super) steps: Vec<Steps>,
    /// The session of this browser at the sign-in host, hex. The provider's posted answer comes without the `Lax`
    /// session cookie; this one comes along and says what a new sign-in replaces.
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    pub(super) session: Option<String>,
    /// When the cookie was first made.
    #[serde(rename = "t")]
    pub(super) made: UnixTime,
}

/// Rounds of one step-up in a row.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Steps {
    /// Number of the context.
    #[serde(rename = "c")]
    pub(super) context: u8,
    /// How many.
    #[serde(rename = "n")]
    pub(super) rounds: u32,
    /// When the last one ended.
    #[serde(rename = "e")]
    pub(super) at: UnixTime,
}

impl Sealed for Browser {
    const PURPOSE: &'static str = "browser cookie";
    /// A browser that stays open for weeks keeps its cookie; a new one costs nothing.
    const LIFETIME: Duration = Duration::from_secs(30 * 86_400);

    fn made(&self) -> UnixTime {
        self.made
    }
}

const fn never() -> UnixTime {
    UnixTime(0)
}

/// Seals a value for its purpose, bound to `context` (for example the browser it belongs to).
#[must_use]
pub(super) fn seal<T: Sealed>(keyring: &Keyring, context: &[u8], value: &T) -> Option<String> {
    let plain = serde_json::to_vec(value).ok()?;
    Some(URL_SAFE_NO_PAD.encode(keyring.seal(T::PURPOSE, context, &plain)))
}

/// Opens a sealed value; `None` for anything that was not sealed for this purpose and context or is past its time.
///
/// One answer for every fault: which check failed is nobody's business.
#[must_use]
pub(super) fn open<T: Sealed>(keyring: &Keyring, context: &[u8], text: &str, now: UnixTime) -> Option<T> {
    if text.len() > MAX_SEALED {
        return None;
    }
    let sealed = URL_SAFE_NO_PAD.decode(text).ok()?;
    let plain = keyring.open_sealed(T::PURPOSE, context, &sealed)?;
    let value: T = serde_json::from_slice(&plain).ok()?;
    // A value from the future was sealed under a clock that has since been set back; it is not believed longer for that.
    let age = now.since(value.made());
    let ahead = value.made().since(now);
    (age <= T::LIFETIME && ahead <= Duration::from_secs(300)).then_some(value)
}

/// A fresh random text of `N` bytes, base64url. `None` only if the system's randomness fails.
#[must_use]
pub(super) fn random<const N: usize>() -> Option<String> {
    let mut bytes = [0u8; N];
    aws_lc_rs::rand::fill(&mut bytes).ok()?;
    Some(URL_SAFE_NO_PAD.encode(bytes))
}

/// A short, one-way name of a browser id, safe to put into a [`Return`].
#[must_use]
pub(super) fn fingerprint(browser_id: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, browser_id.as_bytes());
    URL_SAFE_NO_PAD.encode(digest.as_ref().get(..16).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn browser(made: u64) -> Browser {
        Browser {
            id: "b".to_owned(),
            entries: 0,
            entered: UnixTime(0),
            steps: Vec::new(),
            session: None,
            made: UnixTime(made),
        }
    }

    #[test]
    fn opens_for_its_purpose_context_and_time_only() {
        let folder = tempfile::tempdir().unwrap();
        let keyring = Keyring::open(folder.path()).unwrap();
        let made = UnixTime(1_000_000);
        let id = "i".to_owned();
        let back = Return {
            host: "a".to_owned(),
            path: "/".to_owned(),
            browser: String::new(),
            form: None,
            rounds: 0,
            context: None,
            made,
        };
        let code = Code { id, session: String::new(), back, made };
        let text = seal(&keyring, b"app.test", &code).unwrap();
        let opened =
            |text: &str, context: &[u8], now: u64| open::<Code>(&keyring, context, text, UnixTime(now)).is_some();
        assert!(opened(&text, b"app.test", made.0) && opened(&text, b"app.test", made.0 + CODE_LIFETIME.as_secs()));
        assert!(!opened(&text, b"app.test", made.0 + CODE_LIFETIME.as_secs() + 1), "expired");
        assert!(
            opened(&text, b"app.test", made.0 - 300) && !opened(&text, b"app.test", made.0 - 301),
            "from the future"
        );
        assert!(!opened(&text, b"fin.test", made.0), "another host");
        assert!(open::<Attempt>(&keyring, b"app.test", &text, made).is_none(), "another purpose");
        let browser = seal(&keyring, b"app.test", &browser(made.0)).unwrap();
        assert!(!opened(&browser, b"app.test", made.0), "another purpose");
        for at in 0..text.len() {
            let mut forged = text.clone().into_bytes();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            assert!(!opened(std::str::from_utf8(&forged).unwrap(), b"app.test", made.0), "byte {at}");
            assert!(!opened(&text[..at], b"app.test", made.0), "cut at {at}");
        }
        assert!(!opened(&"A".repeat(MAX_SEALED + 4), b"app.test", made.0));
    }
}
