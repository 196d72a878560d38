//! The data a simulated Entra answers from: tenants, people, groups, app registrations.
//!
//! Plain values, so that a test builds exactly the world it needs and later parts (directory, risk) read the same one.

mod crowd;
mod demo;
mod risk;

use std::collections::{BTreeMap, BTreeSet};

pub use crowd::Crowd;
pub(super) use crowd::{group_id, user_id};
pub use demo::{
    ADMINS, ALICE, APP_ID, APP_OBJECT_ID, APP_SECRET, BOB, CONTOSO, CONTOSO_DOMAIN, DAN, DORA, DORA_GROUPS, FABRIKAM,
    FABRIKAM_ALICE, FABRIKAM_DOMAIN, FABRIKAM_MARIO, GUS, MALLORY, NORA, PASSWORD, PAYROLL, STAFF,
};
pub use risk::{Risk, RiskLevel, RiskStep};

/// Everything the simulator knows.
#[derive(Debug, Clone, Default)]
pub struct World {
    /// The organisations, in the order look-ups by a short name go through them.
    pub tenants: Vec<Tenant>,
    /// The app registrations.
    pub apps: Vec<App>,
}

/// One organisation.
#[derive(Debug, Clone)]
pub struct Tenant {
    /// The tenant id, a lower-case GUID.
    pub id: String,
    /// The name people read.
    pub name: String,
    /// The verified domains; each may stand for the id in a URL.
    pub domains: Vec<String>,
    /// What discovery says as `tenant_region_scope`.
    pub region: String,
    /// The accounts, deleted ones included.
    pub people: Vec<Person>,
    /// The groups.
    pub groups: Vec<Group>,
    /// The policy behind each auth context (`c1` to `c99`). A context without an entry has no policy.
    pub auth_contexts: BTreeMap<String, ContextPolicy>,
    /// The groups each group is itself a member of, by object id.
    pub nesting: BTreeMap<String, Vec<String>>,
    /// People and groups that are computed rather than stored.
    pub crowd: Crowd,
    /// Whether the tenant has Entra ID P2. Without it risk levels are `hidden` (reference section 4.1).
    pub premium: bool,
    /// Whether the tenant is in the China cloud, which has no Identity Protection API (reference section 1.1).
    pub china: bool,
}

/// A group.
#[derive(Debug, Clone)]
pub struct Group {
    /// The object id, a lower-case GUID.
    pub id: String,
    /// The name people read.
    pub name: String,
}

/// What Conditional Access says about an auth context (reference section 7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ContextPolicy {
    /// No policy targets the context: it is issued vacuously.
    #[default]
    Absent,
    /// A policy targets it that only reports: it is issued as without one.
    ReportOnly,
    /// A policy asks for a second factor.
    Mfa,
    /// A policy this person cannot satisfy: the sign-in is blocked.
    Blocked,
}

/// One account in one tenant.
#[derive(Debug, Clone)]
pub struct Person {
    /// The object id, a lower-case GUID, never reused.
    pub oid: String,
    /// The user principal name, which may change.
    pub upn: String,
    /// The display name.
    pub name: String,
    /// The `mail` attribute; anybody who administers the tenant can write any address here.
    pub email: Option<String>,
    /// Whether the owner of the e-mail's domain is verified (`xms_edov`).
    pub email_verified: bool,
    /// The password.
    pub password: String,
    /// `accountEnabled`.
    pub enabled: bool,
    /// Deleted: the account no longer exists for anybody who asks.
    pub deleted: bool,
    /// The home identity provider of a guest; `None` for a member.
    pub guest_of: Option<String>,
    /// The ids of the groups the account is in.
    pub groups: Vec<String>,
    /// The directory role template ids (`wids`).
    pub directory_roles: Vec<String>,
    /// App roles by client id (`roles`).
    pub app_roles: BTreeMap<String, Vec<String>>,
    /// A policy asks for a second factor at every app (50076).
    pub requires_mfa: bool,
    /// The second factor fails (500121).
    pub fails_mfa: bool,
    /// A Conditional Access policy blocks the account (53003).
    pub blocked_by_policy: bool,
    /// `signInSessionsValidFromDateTime` in microseconds since 1970: what was issued up to it is revoked.
    pub sessions_valid_from: u64,
    /// When the password last changed, in microseconds since 1970.
    pub password_changed_at: u64,
    /// `passwordProfile`: the password has to be changed at the next sign-in.
    pub must_change_password: bool,
    /// How risky the account is.
    pub risk: Risk,
}

/// An app registration with its credentials.
#[derive(Debug, Clone)]
pub struct App {
    /// The client id, a lower-case GUID.
    pub client_id: String,
    /// The name people read.
    pub name: String,
    /// The tenant the app is registered in.
    pub home_tenant: String,
    /// Whether other tenants may use it; a single-tenant app is refused at `/common` (50194).
    pub multi_tenant: bool,
    /// Client secrets. An app without any credential is a public client.
    pub secrets: Vec<ClientSecret>,
    /// Certificates for `private_key_jwt`, DER.
    pub certificates: Vec<Vec<u8>>,
    /// Federated identity credentials.
    pub federated: Vec<FederatedCredential>,
    /// The registered redirect addresses.
    pub redirect_uris: Vec<String>,
    /// The front-channel logout address (`web.logoutUrl`).
    pub logout_url: Option<String>,
    /// The optional claims of the ID token.
    pub optional_claims: OptionalClaims,
    /// `groupMembershipClaims` of the manifest.
    pub group_claims: GroupClaims,
    /// `authenticationBehaviors.removeUnverifiedEmailClaim`.
    pub remove_unverified_email: bool,
    /// The service principal in each tenant, by tenant id.
    pub principals: BTreeMap<String, ServicePrincipal>,
}

/// A client secret.
#[derive(Clone)]
pub struct ClientSecret {
    /// The value.
    pub value: String,
    /// Whether it is past its end date (7000222).
    pub expired: bool,
}

impl std::fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientSecret").field("expired", &self.expired).finish_non_exhaustive()
    }
}

/// A federated identity credential: a JWT of another issuer stands for a secret.
#[derive(Debug, Clone)]
pub struct FederatedCredential {
    /// The name in the registration.
    pub name: String,
    /// The `iss` the JWT must carry.
    pub issuer: String,
    /// The `sub` the JWT must carry.
    pub subject: String,
    /// The one `aud` the JWT must carry.
    pub audience: String,
    /// Where the issuer's keys come from.
    pub keys: FederatedKeys,
}

/// The keys of a federated issuer.
#[derive(Debug, Clone)]
pub enum FederatedKeys {
    /// A JWKS document given here.
    Document(serde_json::Value),
    /// A JWKS document fetched over plain HTTP at each use.
    Address(String),
}

/// The optional claims an app asked for (reference section 1.6). All off means Microsoft's defaults.
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a line of the app manifest")]
pub struct OptionalClaims {
    /// `sid`
    pub sid: bool,
    /// `login_hint`
    pub login_hint: bool,
    /// `auth_time`
    pub auth_time: bool,
    /// `acrs`, without being asked, for contexts already satisfied
    pub acrs: bool,
    /// `acct`
    pub acct: bool,
    /// `ipaddr`
    pub ipaddr: bool,
    /// `email`
    pub email: bool,
    /// `xms_edov`
    pub xms_edov: bool,
    /// `upn`
    pub upn: bool,
    /// `idtyp` in app-only tokens
    pub idtyp: bool,
}

/// `groupMembershipClaims`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GroupClaims {
    /// No `groups` and no `wids`.
    #[default]
    None,
    /// `groups`.
    SecurityGroup,
    /// `wids`.
    DirectoryRole,
    /// `groups` and `wids`.
    All,
}

/// An app as it exists in one tenant.
#[derive(Debug, Clone, Default)]
pub struct ServicePrincipal {
    /// The object id, a lower-case GUID.
    pub object_id: String,
    /// Disabled means 7000112.
    pub disabled: bool,
    /// Whether an administrator has consented.
    pub consented: bool,
    /// People refused with 50105.
    pub unassigned: BTreeSet<String>,
    /// Application permissions granted here (`roles` of an app-only token).
    pub roles: Vec<String>,
}

/// Which tenants a path segment stands for (reference section 1.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Authority {
    /// One tenant, by id.
    Tenant(String),
    /// Any tenant and personal accounts.
    Common,
    /// Any tenant.
    Organizations,
    /// Personal accounts; there are none here.
    Consumers,
}

impl World {
    /// The tenant, app or nothing a path segment names.
    pub(super) fn authority(&self, segment: &str) -> Option<Authority> {
        match segment.to_ascii_lowercase().as_str() {
            "common" => return Some(Authority::Common),
            "organizations" => return Some(Authority::Organizations),
            "consumers" | CONSUMERS => return Some(Authority::Consumers),
            _ => {}
        }
        let is_named = |t: &&Tenant| {
            t.id.eq_ignore_ascii_case(segment) || t.domains.iter().any(|d| d.eq_ignore_ascii_case(segment))
        };
        self.tenants.iter().find(is_named).map(|t| Authority::Tenant(t.id.clone()))
    }

    /// The tenant with this id.
    #[must_use]
    pub fn tenant(&self, id: &str) -> Option<&Tenant> {
        self.tenants.iter().find(|t| t.id == id)
    }

    /// The tenant with this id, to change it.
    pub fn tenant_mut(&mut self, id: &str) -> Option<&mut Tenant> {
        self.tenants.iter_mut().find(|t| t.id == id)
    }

    /// The app with this client id.
    #[must_use]
    pub fn app(&self, client_id: &str) -> Option<&App> {
        self.apps.iter().find(|a| a.client_id.eq_ignore_ascii_case(client_id))
    }

    /// The app with this client id, to change it.
    pub fn app_mut(&mut self, client_id: &str) -> Option<&mut App> {
        self.apps.iter_mut().find(|a| a.client_id.eq_ignore_ascii_case(client_id))
    }

    /// The account `oid` of tenant `tid`, deleted or not.
    #[must_use]
    pub fn person(&self, tid: &str, oid: &str) -> Option<&Person> {
        self.tenant(tid)?.people.iter().find(|p| p.oid == oid)
    }

    /// The first account known by this oid, UPN or the part of a UPN before the `@`.
    #[must_use]
    pub fn find(&self, who: &str) -> Option<(&Tenant, &Person)> {
        self.tenants.iter().find_map(|t| Some((t, t.people.iter().find(|p| p.is_called(who))?)))
    }

    /// The same as [`World::find`], to change the account. Somebody of a crowd becomes an ordinary account.
    pub fn find_mut(&mut self, who: &str) -> Option<&mut Person> {
        if self.find(who).is_none() {
            self.tenants.iter_mut().find_map(|tenant| tenant.leave_crowd(who))?;
        }
        self.tenants.iter_mut().find_map(|t| t.people.iter_mut().find(|p| p.is_called(who)))
    }

    /// What Microsoft would refuse to register (reference section 1.4, limits).
    pub(super) fn problem(&self) -> Option<String> {
        self.apps.iter().find_map(App::problem)
    }
}

impl Tenant {
    /// A tenant with no people yet.
    #[must_use]
    pub fn new(id: &str, name: &str, domain: &str) -> Self {
        Self {
            id: id.to_owned(),
            name: name.to_owned(),
            domains: vec![domain.to_owned()],
            region: "NA".to_owned(),
            people: Vec::new(),
            groups: Vec::new(),
            auth_contexts: BTreeMap::new(),
            nesting: BTreeMap::new(),
            crowd: Crowd::default(),
            premium: true,
            china: false,
        }
    }
}

impl Tenant {
    /// Makes somebody of the crowd an ordinary account.
    fn leave_crowd(&mut self, who: &str) -> Option<()> {
        let number = self.crowd.number(who)?;
        self.people.push(self.crowd.take(number)?);
        Some(())
    }

    /// The living account with this object id or UPN, stored or of the crowd.
    pub(super) fn account(&self, who: &str) -> Option<Person> {
        let is_meant = |p: &&Person| p.oid.eq_ignore_ascii_case(who) || p.upn.eq_ignore_ascii_case(who);
        match self.people.iter().find(is_meant) {
            Some(person) => (!person.deleted).then(|| person.clone()),
            None => self
                .crowd
                .number(who)
                .filter(|_| who.len() > 35 || who.contains('@'))
                .and_then(|n| self.crowd.person(n)),
        }
    }

    /// The same, to change it.
    pub(super) fn account_mut(&mut self, who: &str) -> Option<&mut Person> {
        let oid = self.account(who)?.oid;
        if !self.people.iter().any(|p| p.oid == oid) {
            self.leave_crowd(&oid)?;
        }
        self.people.iter_mut().find(|p| p.oid == oid)
    }

    /// Whether there is a group with this object id.
    pub(super) fn has_group(&self, id: &str) -> bool {
        self.groups.iter().any(|g| g.id == id) || self.crowd.group_number(id).is_some()
    }

    /// The ids of the groups a person is in, directly or through another group, nearest first.
    pub(super) fn transitive_groups(&self, person: &Person) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        let mut seen = BTreeSet::new();
        let mut ahead: Vec<&String> = person.groups.iter().rev().collect();
        while let Some(id) = ahead.pop() {
            if seen.insert(id.as_str()) && self.has_group(id) {
                found.push(id.clone());
                ahead.extend(self.nesting.get(id).into_iter().flatten());
            }
        }
        found
    }
}

impl Person {
    /// An enabled member in no group, with the demo password and a verified e-mail equal to the UPN.
    #[must_use]
    pub fn new(oid: &str, upn: &str, name: &str) -> Self {
        Self {
            oid: oid.to_owned(),
            upn: upn.to_owned(),
            name: name.to_owned(),
            email: Some(upn.to_owned()),
            email_verified: true,
            password: PASSWORD.to_owned(),
            enabled: true,
            deleted: false,
            guest_of: None,
            groups: Vec::new(),
            directory_roles: Vec::new(),
            app_roles: BTreeMap::new(),
            requires_mfa: false,
            fails_mfa: false,
            blocked_by_policy: false,
            sessions_valid_from: 0,
            password_changed_at: 0,
            must_change_password: false,
            risk: Risk::default(),
        }
    }

    /// The same account in these groups.
    #[must_use]
    pub fn in_groups<'a>(mut self, groups: impl IntoIterator<Item = &'a str>) -> Self {
        self.groups = groups.into_iter().map(str::to_owned).collect();
        self
    }

    fn is_called(&self, who: &str) -> bool {
        self.oid.eq_ignore_ascii_case(who)
            || self.upn.eq_ignore_ascii_case(who)
            || self.upn.split('@').next().is_some_and(|local| local.eq_ignore_ascii_case(who))
    }
}

impl App {
    /// A confidential single-tenant app with one secret, consented in its home tenant, with no optional claim.
    #[must_use]
    pub fn new(client_id: &str, name: &str, home_tenant: &str, secret: &str) -> Self {
        let principal =
            ServicePrincipal { object_id: client_id.to_owned(), consented: true, ..ServicePrincipal::default() };
        Self {
            client_id: client_id.to_owned(),
            name: name.to_owned(),
            home_tenant: home_tenant.to_owned(),
            multi_tenant: false,
            secrets: vec![ClientSecret { value: secret.to_owned(), expired: false }],
            certificates: Vec::new(),
            federated: Vec::new(),
            redirect_uris: Vec::new(),
            logout_url: None,
            optional_claims: OptionalClaims::default(),
            group_claims: GroupClaims::None,
            remove_unverified_email: false,
            principals: BTreeMap::from([(home_tenant.to_owned(), principal)]),
        }
    }

    /// Whether the app has no credential at all.
    pub(super) fn is_public(&self) -> bool {
        self.secrets.is_empty() && self.certificates.is_empty() && self.federated.is_empty()
    }

    fn problem(&self) -> Option<String> {
        if self.redirect_uris.len() > 256 {
            return Some(format!("app {} has more than 256 redirect addresses", self.client_id));
        }
        self.redirect_uris.iter().find_map(|uri| {
            let why = redirect_problem(uri)?;
            Some(format!("redirect address {uri:?} of app {}: {why}", self.client_id))
        })
    }
}

/// Reference section 1.4, limits. `http://127.0.0.1` is let through because the app manifest allows it, though the
/// portal's form does not.
fn redirect_problem(uri: &str) -> Option<&'static str> {
    if uri.len() > 256 {
        return Some("longer than 256 characters");
    }
    if uri.contains(['!', '$', '\'', '(', ')', ',', ';', '#', '*']) {
        return Some("holds a character that is refused in redirect addresses");
    }
    let Ok(url) = url::Url::parse(uri) else { return Some("not an absolute address") };
    match (url.scheme(), url.host_str()) {
        (_, Some("[::1]")) => Some("[::1] is not supported"),
        ("https", Some(_)) | ("http", Some("localhost" | "127.0.0.1")) => None,
        _ => Some("only https is accepted, except for http://localhost"),
    }
}

/// The tenant id that stands for personal accounts.
pub(super) const CONSUMERS: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";
