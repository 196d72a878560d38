//! What to do in the Entra admin centre, with the exact addresses, claims and permissions.
//!
//! Sources: <https://learn.microsoft.com/entra/identity-platform/quickstart-register-app>,
//! <https://learn.microsoft.com/entra/identity-platform/optional-claims>,
//! <https://learn.microsoft.com/graph/permissions-reference>.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::{Value, json};

use super::{Arguments, CredentialKind};

/// The registration, for people ([`Registration::in_words`]) and as JSON.
#[derive(Debug, Serialize)]
pub(super) struct Registration {
    redirect_uris: [String; 2],
    front_channel_logout_url: String,
    manifest: Value,
    permissions: Vec<Permission>,
    steps: Vec<String>,
}

/// One permission of the registration.
#[derive(Debug, Serialize)]
struct Permission {
    /// What it is for; the three gates of permissions are granted independently.
    gate: &'static str,
    name: &'static str,
    /// `delegated` or `application`.
    kind: &'static str,
    /// Whether this version uses it. Do not grant what is not used.
    used_by_this_version: bool,
    purpose: &'static str,
}

/// Gate, name, whether this version uses it, purpose. Delegated scopes come first.
const PERMISSIONS: [(&str, &str, bool, &str); 11] = [
    ("sign-in", "openid", true, "sign people in"),
    ("sign-in", "profile", true, "the person's object id and display name"),
    ("sign-in", "offline_access", true, "ask again silently whether a session is still good"),
    ("directory and account actions", "User.Read.All", false, "accounts: disabled, deleted"),
    ("directory and account actions", "GroupMember.Read.All", false, "groups beyond the 200 of a token"),
    ("directory and account actions", "User.RevokeSessions.All", false, "end a person's sessions everywhere"),
    ("directory and account actions", "User.EnableDisableAccount.All", false, "disable an account"),
    ("risk", "IdentityRiskyUser.Read.All", false, "how risky an account is now"),
    ("risk", "IdentityRiskEvent.Read.All", false, "why it is risky"),
    ("risk", "IdentityRiskyUser.ReadWrite.All", false, "confirm or dismiss risk"),
    ("data upload", "AuditLog.Read.All", false, "sign-in and audit records"),
];

impl Registration {
    pub(super) fn of(arguments: &Arguments) -> Self {
        let at = |path: &str| format!("https://{}/.portcullis/{path}", arguments.host);
        let permission = |(gate, name, used_by_this_version, purpose)| Permission {
            gate,
            name,
            kind: if gate == "sign-in" { "delegated" } else { "application" },
            used_by_this_version,
            purpose,
        };
        let mut registration = Self {
            redirect_uris: [at("callback"), at("signed-out")],
            front_channel_logout_url: at("frontchannel-logout"),
            manifest: manifest(),
            permissions: PERMISSIONS.into_iter().map(permission).collect(),
            steps: Vec::new(),
        };
        registration.steps = registration.steps(arguments);
        registration
    }

    fn steps(&self, arguments: &Arguments) -> Vec<String> {
        let [redirect, signed_out] = &self.redirect_uris;
        let names: Vec<&str> = self.permissions.iter().filter(|p| p.used_by_this_version).map(|p| p.name).collect();
        let hosts: Vec<String> =
            arguments.app.iter().map(|app| format!("{}.{}", app.name, arguments.domain())).collect();
        let hosts = [std::slice::from_ref(&arguments.host), hosts.as_slice()].concat().join(", ");
        let folder = arguments.dir.display();
        vec![
            format!(
                "Open https://entra.microsoft.com, Identity > Applications > App registrations, application {} in tenant {}. \
                 Supported account types: this organisation only.",
                arguments.client_id, arguments.tenant
            ),
            format!("Authentication > Add a platform > Web: redirect URIs {redirect} and {signed_out}."),
            format!("Authentication > Front-channel logout URL: {}.", self.front_channel_logout_url),
            "Authentication > Implicit grant and hybrid flows: leave both boxes empty.".to_owned(),
            "Manifest: set optionalClaims and groupMembershipClaims as below. SecurityGroup puts the person's groups into \
             the token; beyond 200 Entra leaves them out, so for people in many groups assign the groups in question to the \
             application and use ApplicationGroup."
                .to_owned(),
            credential(arguments),
            format!(
                "API permissions > Microsoft Graph > Delegated: {}. Then Grant admin consent. This version needs nothing else.",
                names.join(", ")
            ),
            "Enterprise applications > the same application > Properties: Assignment required = Yes, if only assigned people \
             may sign in at all."
                .to_owned(),
            format!("DNS: point {hosts} at the gateway, and put a certificate for them at {folder}/tls.pem and {folder}/tls.key."),
            format!("portcullis check --config {folder}/portcullis.toml && portcullis doctor --config {folder}/portcullis.toml"),
        ]
    }

    pub(super) fn in_words(&self) -> String {
        let mut text = String::from("Register the gateway with Entra:\n\n");
        // Writing to a string cannot fail.
        for (number, step) in (1..).zip(&self.steps) {
            let _ = writeln!(text, "{number:2}. {step}");
        }
        let manifest = serde_json::to_string_pretty(&self.manifest).unwrap_or_default();
        let _ = writeln!(text, "\nManifest (step 5):\n{manifest}\n\nPermissions (step 7):");
        for permission in &self.permissions {
            let Permission { gate, name, kind, used_by_this_version, purpose } = permission;
            let mark = if *used_by_this_version { "needed" } else { "later " };
            let _ = writeln!(text, "  {mark}  {name:32} {kind:12} {gate}: {purpose}");
        }
        text.push_str("Those marked \"later\" are not used by this version; do not grant them yet.");
        text
    }
}

fn credential(arguments: &Arguments) -> String {
    let folder = arguments.dir.display();
    match arguments.credential {
        CredentialKind::Secret => format!(
            "Certificates & secrets > New client secret: put its value (not its id) into {folder}/entra-client-secret, \
             mode 0600. A certificate is safer: --credential certificate."
        ),
        CredentialKind::Certificate => format!(
            "Certificates & secrets > Certificates > Upload {folder}/entra.pem; its RSA key stays in {folder}/entra.key, \
             mode 0600."
        ),
        CredentialKind::Federated => {
            "Certificates & secrets > Federated credentials > Add: issuer and subject of the token in \
             federated_token_file, audience api://AzureADTokenExchange. It takes some minutes to work."
                .to_owned()
        }
    }
}

/// `sid` and `login_hint` make signing out work, `auth_time` and `acrs` say how the person proved who they are.
fn manifest() -> Value {
    let claims = ["auth_time", "sid", "login_hint", "acrs", "acct", "ipaddr", "email", "xms_edov"];
    let claims: Vec<Value> = claims.into_iter().map(|name| json!({ "name": name, "essential": false })).collect();
    json!({
        "optionalClaims": { "idToken": claims, "accessToken": [], "saml2Token": [] },
        "groupMembershipClaims": "SecurityGroup",
    })
}
