//! Reading our own assertions back: the gateway's admin console is an app like any other and believes nothing else.

use serde::Deserialize;

use super::{Assertions, URL_SAFE_NO_PAD};
use crate::facts::{ObjectId, TenantId, UnixTime, UserKey};
use base64::Engine;

/// What a good assertion says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    /// Who.
    pub user: UserKey,
    /// Display name.
    pub name: String,
    /// The groups, if the assertion lists all of them.
    pub groups: Option<Vec<ObjectId>>,
    /// The session's short id.
    pub session: String,
}

#[derive(Deserialize)]
struct Header<'a> {
    alg: &'a str,
    kid: &'a str,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    tid: TenantId,
    oid: ObjectId,
    name: String,
    groups: Option<Vec<ObjectId>>,
    groups_complete: bool,
    iat: UnixTime,
    exp: UnixTime,
    sid: String,
}

impl Assertions {
    /// What `token` says, if one of our keys signed it for `audience` and it is good at `now`. `None` for everything
    /// else; there is nobody to be told the difference.
    #[must_use]
    pub fn verify(&self, token: &str, audience: &str, now: UnixTime) -> Option<Proven> {
        if token.len() > LONGEST {
            return None;
        }
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let header = URL_SAFE_NO_PAD.decode(header).ok()?;
        let header: Header<'_> = serde_json::from_slice(&header).ok()?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        if header.alg != "ES256" || !self.ring().verify(header.kid, signed.as_bytes(), &signature) {
            return None;
        }
        let claims: Claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
        let meant = claims.iss == self.shared.issuer && claims.aud == audience;
        let good = claims.iat <= now && now < claims.exp;
        (meant && good).then(|| Proven {
            user: UserKey { tenant: claims.tid, object: claims.oid },
            name: claims.name,
            groups: claims.groups.filter(|_| claims.groups_complete),
            session: claims.sid,
        })
    }
}

/// Nothing we sign comes near it.
const LONGEST: usize = 16 * 1024;
