//! The person behind a connection, with what their apps are told about them ready made.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::{HeaderName, HeaderValue};

use crate::access::private::{App, Asserted, AssertionError, Assertions, CachedAssertion, IdentityHeaders};
use crate::directory::{Directory, Feed};
use crate::facts::{Groups, Passed, Standing, Subject, UnixTime};
use crate::session::Session;

/// A person, as one worker last met them with one cookie. Their connections on this worker share it.
pub struct Person {
    /// The session.
    pub session: Arc<Session>,
    /// Who, at the version the decision was made on, with the groups that decide: what apps are told is what the gate
    /// went by, not what the token said an hour ago.
    pub subject: Arc<Subject>,
    /// How the account stood when they were met.
    pub standing: Standing,
    /// Where the risk of their tenant's accounts comes from.
    pub(in crate::access) feed: Arc<Feed>,
    /// The step-ups and warnings their session has passed.
    pub(super) passed: Arc<Passed>,
    /// [`Directory::epoch`] that `standing` was last seen to hold at.
    pub(super) epoch: AtomicU64,
    /// The identity headers for the upstream, ready made.
    pub headers: Arc<[(HeaderName, HeaderValue)]>,
    /// [`Session::version`] that `subject` belongs to.
    pub version: u64,
    /// The last assertion signed for them.
    pub(super) asserted: CachedAssertion,
}

impl Person {
    /// Whether all of this still holds. When the directory has moved it is asked again; mostly somebody else changed.
    pub(super) fn is_current(&self, directory: &Directory) -> bool {
        if self.version != self.session.version() {
            return false;
        }
        let epoch = directory.epoch();
        if self.epoch.load(Ordering::Relaxed) == epoch {
            return true;
        }
        // The epoch was read first: a change in between is found the next time.
        let same = directory.standing(&self.subject) == self.standing;
        if same {
            self.epoch.store(epoch, Ordering::Relaxed);
        }
        same
    }

    /// The signed assertion about this person for `app`; signed anew every 30 s, for each of a few apps.
    ///
    /// # Errors
    /// When it cannot be signed; the request must then not be forwarded.
    pub fn assertion(&self, assertions: &Assertions, app: &App, now: UnixTime) -> Result<HeaderValue, AssertionError> {
        let wanted = Asserted { subject: &self.subject, session: &self.session.key, version: self.version, app };
        self.asserted.header(assertions, wanted, now)
    }
}

/// `subject` with the groups that decide.
pub(super) fn in_groups(subject: Arc<Subject>, groups: &Groups) -> Arc<Subject> {
    if subject.groups == *groups {
        return subject;
    }
    Arc::new(Subject { groups: groups.clone(), ..Subject::clone(&subject) })
}

/// The identity headers for `subject`. Values are printable ASCII: display names and addresses are percent-encoded
/// where they are not (RFC 3986 2.1), so that no upstream has to guess an encoding.
pub(super) fn headers(names: &IdentityHeaders, subject: &Subject) -> Arc<[(HeaderName, HeaderValue)]> {
    let mut headers = Vec::with_capacity(5);
    let mut add = |name: &HeaderName, text: &str| {
        if let Ok(value) = HeaderValue::from_str(text) {
            headers.push((name.clone(), value));
        }
    };
    add(&names.subject, &subject.user.to_string());
    add(&names.tenant, &subject.user.tenant.to_string());
    add(&names.name, &printable(&subject.name));
    add(&names.email, &printable(&subject.email));
    if let Groups::Known(groups) = &subject.groups {
        let list: Vec<String> = groups.iter().map(ToString::to_string).collect();
        add(&names.groups, &list.join(","));
    }
    headers.into()
}

fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if matches!(byte, b' '..=b'~') && byte != b'%' {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Guid, ObjectId, TenantId, UserKey};

    fn subject(groups: Groups) -> Subject {
        let user = UserKey { tenant: TenantId(Guid::from_u128(1)), object: ObjectId(Guid::from_u128(2)) };
        Subject { user, name: "Zoë 100%\r\nX: y".into(), email: "zoe@example.test".into(), groups }
    }

    #[test]
    fn names_are_encoded_and_never_split_a_header() {
        let made = headers(
            &IdentityHeaders::default(),
            &in_groups(Arc::new(subject(Groups::Unknown)), &Groups::known(vec![])),
        );
        let name = made.iter().find(|(name, _)| name == "x-auth-name").map(|(_, value)| value.clone());
        assert_eq!(name.unwrap(), "Zo%C3%AB 100%25%0D%0AX: y");
        assert!(made.iter().any(|(name, value)| name == "x-auth-groups" && value.is_empty()));
    }

    #[test]
    fn unknown_groups_send_no_group_header() {
        let made = headers(&IdentityHeaders::default(), &subject(Groups::Unknown));
        assert!(made.iter().all(|(name, _)| name != "x-auth-groups"));
    }
}
