//! The world the demo and most tests run in, with ids that never change.

use std::collections::{BTreeMap, BTreeSet};

use super::{App, Group, GroupClaims, OptionalClaims, Person, RiskLevel, RiskStep, ServicePrincipal, Tenant, World};

impl World {
    /// Contoso with its people and one app, and Fabrikam, where another account carries alice's e-mail address.
    ///
    /// `redirect_uris` are registered with the app. The app has a secret, every optional claim that a gateway asks
    /// customers for, and `groupMembershipClaims: SecurityGroup`.
    #[must_use]
    pub fn demo<S: Into<String>>(redirect_uris: impl IntoIterator<Item = S>) -> Self {
        let mut app = App::new(APP_ID, "Portcullis", CONTOSO, APP_SECRET);
        app.multi_tenant = true;
        app.redirect_uris = redirect_uris.into_iter().map(Into::into).collect();
        app.group_claims = GroupClaims::SecurityGroup;
        app.optional_claims = OptionalClaims {
            sid: true,
            login_hint: true,
            auth_time: true,
            acrs: true,
            acct: true,
            ipaddr: true,
            email: true,
            xms_edov: true,
            upn: false,
            idtyp: false,
        };
        let roles = GRAPH_ROLES.iter().map(|role| (*role).to_owned()).collect();
        app.principals = BTreeMap::from([
            (
                CONTOSO.to_owned(),
                ServicePrincipal {
                    object_id: APP_OBJECT_ID.to_owned(),
                    disabled: false,
                    consented: true,
                    unassigned: BTreeSet::from([NORA.to_owned()]),
                    roles,
                },
            ),
            (
                FABRIKAM.to_owned(),
                ServicePrincipal {
                    object_id: "0d4f8a7c-52e1-4b96-8c3d-7a1e5f90b264".to_owned(),
                    consented: true,
                    ..ServicePrincipal::default()
                },
            ),
        ]);
        Self { tenants: vec![contoso(), fabrikam()], apps: vec![app] }
    }
}

fn contoso() -> Tenant {
    let mut tenant = Tenant::new(CONTOSO, "Contoso", CONTOSO_DOMAIN);
    tenant.groups = [(STAFF, "staff"), (PAYROLL, "payroll"), (ADMINS, "admins")]
        .into_iter()
        .map(|(id, name)| Group { id: id.to_owned(), name: name.to_owned() })
        .collect();
    let many: Vec<Group> = (0..DORA_GROUPS)
        .map(|n| Group { id: format!("6b0c5d1e-0000-4000-8000-{n:012x}"), name: format!("project {n}") })
        .collect();
    let mut dora = Person::new(DORA, "dora@contoso.example", "Dora Many-Groups");
    dora.groups = std::iter::once(STAFF.to_owned()).chain(many.iter().map(|g| g.id.clone())).collect();
    tenant.groups.extend(many);

    let mut gus = Person::new(GUS, "gus_partner.example#EXT#@contoso.example", "Gus Guest");
    gus.email = Some("gus@partner.example".to_owned());
    gus.guest_of = Some("https://sts.windows.net/c4b7d2e9-61f0-4a83-9d5e-2f8b0c7a1e36/".to_owned());
    let mut dan = Person::new(DAN, "dan@contoso.example", "Dan Disabled").in_groups([STAFF]);
    dan.enabled = false;

    let mut bob = Person::new(BOB, "bob@contoso.example", "Bob Berger").in_groups([STAFF, PAYROLL]);
    bob.risk.push(RiskStep::detected(DETECTED, RiskLevel::Medium));
    let mut mallory = Person::new(MALLORY, "mallory@contoso.example", "Mallory Moss").in_groups([STAFF]);
    mallory.risk.push(RiskStep::detected(DETECTED, RiskLevel::High));

    tenant.people = vec![
        Person::new(ALICE, "alice@contoso.example", "Alice Ahlberg").in_groups([STAFF, PAYROLL, ADMINS]),
        bob,
        mallory,
        dora,
        gus,
        Person::new(NORA, "nora@contoso.example", "Nora Not-Assigned").in_groups([STAFF]),
        dan,
    ];
    tenant
}

/// Another company. Its administrator wrote alice's address into an account of their own (nOAuth).
fn fabrikam() -> Tenant {
    let mut tenant = Tenant::new(FABRIKAM, "Fabrikam", FABRIKAM_DOMAIN);
    let mut alice = Person::new(FABRIKAM_ALICE, "alice@contoso.example", "Alice Ahlberg");
    alice.email_verified = false;
    tenant.people = vec![alice, Person::new(FABRIKAM_MARIO, "mario@fabrikam.example", "Mario Rossi")];
    tenant
}

/// Tenant id of Contoso.
pub const CONTOSO: &str = "3f1c0b9e-6a52-4d0e-9b7a-5d2f8c4e1a77";
/// Verified domain of Contoso.
pub const CONTOSO_DOMAIN: &str = "contoso.example";
/// Tenant id of Fabrikam.
pub const FABRIKAM: &str = "a7d0e4c2-18b3-4f6d-92e5-0c9b7f31d8a4";
/// Verified domain of Fabrikam.
pub const FABRIKAM_DOMAIN: &str = "fabrikam.example";
/// Client id of the demo app.
pub const APP_ID: &str = "8d2b6f10-4c9e-4f3a-a6b1-0e7c5d9f2b34";
/// Secret of the demo app.
pub const APP_SECRET: &str = "demo~Secret.Value+needs/encoding=";
/// Object id of the demo app's service principal in Contoso.
pub const APP_OBJECT_ID: &str = "a4f0c3d1-62be-4f79-8d15-90e7b2c6531f";
/// Everybody's password.
pub const PASSWORD: &str = "demo";
/// Alice: staff, payroll, admins; no risk.
pub const ALICE: &str = "5b7e2a94-13cd-4e68-8f02-9ac46d1e7b50";
/// Bob: staff, payroll; medium risk.
pub const BOB: &str = "1e9c7d36-8a40-4b52-b6f1-d30e5c824a97";
/// Mallory: staff; high risk.
pub const MALLORY: &str = "e2f5a8b1-7c34-4d09-a1b6-58d90c3e7f42";
/// Dora: more than 200 groups.
pub const DORA: &str = "94c1b7e0-2d5f-4a68-8e73-b06f1d9a5c28";
/// Gus: a guest.
pub const GUS: &str = "d80a3f6c-5b92-4e17-9c4d-71e2b8f05a63";
/// Nora: not assigned to the demo app.
pub const NORA: &str = "37b6e9d4-0f81-4c2a-b5d8-6e9a1c740f35";
/// Dan: disabled.
pub const DAN: &str = "c05d8e72-94a6-4b3f-81c0-2f7d6e1b9a48";
/// The account of Fabrikam that carries alice's address.
pub const FABRIKAM_ALICE: &str = "f16b0d83-c7e5-4927-ae4f-83d5b20c9e71";
/// Mario: an ordinary member of Fabrikam.
pub const FABRIKAM_MARIO: &str = "28e4c1f9-b350-4d7a-96e2-4c0d8b5f7a13";
/// 2026-09-14 10:22:31, in microseconds since 1970: when the demo's risks were found.
const DETECTED: u64 = 1_789_381_351_554_012;
/// Group of everybody in Contoso but the guest.
pub const STAFF: &str = "7c40f2d9-5e1a-4b36-90cf-1d83a6e5b274";
/// Group of those who see the payroll.
pub const PAYROLL: &str = "b93e5a07-d26c-4f81-a748-c5e0f19d6b32";
/// Group of administrators.
pub const ADMINS: &str = "0fa7d4e8-691b-4c53-8d2e-a4b7c0e3f596";
/// How many groups Dora is in besides `staff`.
pub const DORA_GROUPS: usize = 240;

const GRAPH_ROLES: [&str; 10] = [
    // Reference section 4: the reading calls are not covered by the writing permission.
    "IdentityRiskyUser.Read.All",
    "IdentityRiskyUser.ReadWrite.All",
    "IdentityRiskEvent.Read.All",
    "User.Read.All",
    "User.RevokeSessions.All",
    "User.EnableDisableAccount.All",
    "User-PasswordProfile.ReadWrite.All",
    "GroupMember.Read.All",
    "AuthenticationContext.Read.All",
    "Application.Read.All",
];
