//! ID tokens no relying party may accept, each wrong in one way only.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::discovery;
use crate::simulator::faults::Hostile;
use crate::simulator::state::State;
use crate::simulator::time::Moment;
use crate::simulator::{jwt, random};

/// Signs `claims` after making them wrong in the way of `mode`.
pub(super) fn id_token(state: &State, mut claims: Map<String, Value>, now: Moment, mode: Hostile) -> String {
    bend(state, &mut claims, now, mode);
    let text = match mode {
        Hostile::DuplicateMembers => duplicated(&claims),
        _ => Value::Object(claims).to_string(),
    };
    let (current, pinned) = {
        let keys = state.keys();
        (keys.current(), keys.pinned())
    };
    let Some(key) = (if mode == Hostile::KeyOfOtherIssuer { pinned.or(current) } else { current }) else {
        return String::new();
    };
    let header = |alg: &str| json!({"typ": "JWT", "alg": alg, "kid": key.kid});
    match mode {
        Hostile::AlgNone => jwt::unsigned(&header("none"), &text),
        Hostile::HmacWithPublicKey => {
            let modulus = URL_SAFE_NO_PAD.decode(&key.modulus).unwrap_or_default();
            jwt::sign_hmac(&header("HS256"), &text, &modulus)
        }
        Hostile::UnknownKid => {
            let header = json!({"typ": "JWT", "alg": "RS256", "kid": random::opaque::<20>()});
            jwt::sign(&header, &text, &key.pair)
        }
        Hostile::MissingKid => jwt::sign(&json!({"typ": "JWT", "alg": "RS256"}), &text, &key.pair),
        Hostile::BadSignature => damaged(&jwt::sign(&header("RS256"), &text, &key.pair)),
        _ => jwt::sign(&header("RS256"), &text, &key.pair),
    }
}

fn bend(state: &State, claims: &mut Map<String, Value>, now: Moment, mode: Hostile) {
    let mut put = |name: &str, value: Value| {
        claims.insert(name.to_owned(), value);
    };
    let own = |tid: &str| json!(discovery::issuer(&state.base, tid));
    match mode {
        Hostile::WrongIssuer => put("iss", json!("https://issuer.attacker.example/v2.0")),
        Hostile::OtherTenantIssuer => put("iss", own(OTHER)),
        Hostile::OtherTenantId => put("tid", json!(OTHER)),
        Hostile::ForeignTenant => {
            put("iss", own(OTHER));
            put("tid", json!(OTHER));
        }
        Hostile::WrongAudience => put("aud", json!(OTHER_APP)),
        Hostile::ExtraAudience => {
            let aud = claims.get("aud").cloned().unwrap_or_default();
            claims.insert("aud".to_owned(), json!([aud, OTHER_APP]));
        }
        Hostile::WrongNonce => put("nonce", json!(random::opaque::<16>())),
        Hostile::Expired => {
            let then = now.seconds().saturating_sub(3_600);
            put("exp", json!(then));
            put("iat", json!(then.saturating_sub(3_900)));
            put("nbf", json!(then.saturating_sub(3_900)));
        }
        Hostile::NotYetValid => {
            put("nbf", json!(now.seconds() + 3_600));
            put("exp", json!(now.seconds() + 7_200));
        }
        Hostile::VersionOne => {
            let tid = claims.get("tid").and_then(Value::as_str).unwrap_or_default().to_owned();
            claims.insert("ver".to_owned(), json!("1.0"));
            claims.insert("iss".to_owned(), json!(format!("https://sts.windows.net/{tid}/")));
        }
        Hostile::TenantNotGuid => {
            put("tid", json!("contoso"));
            put("iss", own("contoso"));
        }
        Hostile::Megabyte => put("aio", json!("A".repeat(1024 * 1024))),
        Hostile::WrongTypes => {
            for name in ["oid", "tid", "name"] {
                let value = claims.get(name).cloned().unwrap_or_default();
                claims.insert(name.to_owned(), json!([value]));
            }
            claims.insert("groups".to_owned(), json!("not-a-list"));
        }
        mode => {
            if let Some(name) = missing(mode) {
                claims.remove(name);
            }
        }
    }
}

/// The claim a mode leaves out.
const fn missing(mode: Hostile) -> Option<&'static str> {
    match mode {
        Hostile::MissingNonce => Some("nonce"),
        Hostile::MissingSub => Some("sub"),
        Hostile::MissingOid => Some("oid"),
        Hostile::MissingTid => Some("tid"),
        Hostile::MissingIat => Some("iat"),
        Hostile::MissingExp => Some("exp"),
        Hostile::MissingVer => Some("ver"),
        Hostile::MissingAud => Some("aud"),
        Hostile::MissingAcrs => Some("acrs"),
        _ => None,
    }
}

/// `sub` and `oid` of somebody else first, the right ones after: readers differ in which they believe.
fn duplicated(claims: &Map<String, Value>) -> String {
    let text = Value::Object(claims.clone()).to_string();
    let rest = text.strip_prefix('{').unwrap_or_default();
    format!("{{\"sub\":\"{OTHER_PERSON}\",\"oid\":\"{OTHER_PERSON}\",{rest}")
}

/// Flips a bit in the middle of the signature.
fn damaged(token: &str) -> String {
    let Some((signed, signature)) = token.rsplit_once('.') else { return String::new() };
    let mut bytes = URL_SAFE_NO_PAD.decode(signature).unwrap_or_default();
    if let Some(byte) = bytes.get_mut(128) {
        *byte ^= 1;
    }
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(bytes))
}

const OTHER: &str = "bb1c2d3e-4f50-4617-8a29-3c4d5e6f7081";
const OTHER_APP: &str = "11f2a3b4-c5d6-4e7f-8091-a2b3c4d5e6f7";
const OTHER_PERSON: &str = "00000000-aaaa-4bbb-8ccc-dddddddddddd";
