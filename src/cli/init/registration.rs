//! What to do in the Entra admin centre, with the exact addresses, claims and permissions.
//!
//! Sources: <https://learn.microsoft.com/entra/identity-platform/quickstart-register-app>,
//! <https://learn.microsoft.com/entra/identity-platform/optional-claims>,
//! <https://learn.microsoft.com/graph/permissions-reference>.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::{Value, json};

use super::{Arguments, CredentialKind};
use crate::admin::console::CALLBACK;

/// The registration, for people ([`Registration::in_words`]) and as JSON.
#[derive(Debug, Serialize)]
pub(super) struct Registration {
    redirect_uris: [String; 2],
    /// Of the console: on the admin listener, and at `admin.host` if it is set.
    consent_redirect_uris: [String; 2],
    front_channel_logout_url: String,
    manifest: Value,
    permissions: Vec<Permission>,
    steps: Vec<String>,
}

/// One permission of the registration.
#[derive(Debug, Serialize)]
struct Permission {
    /// Which of the gateway's gates it belongs to; they are granted and shown apart.
    gate: &'static str,
    name: &'static str,
    /// `delegated` or `application`.
    kind: &'static str,
    /// Without it nobody can sign in. The others may be left out, with what they are for.
    is_required: bool,
    purpose: &'static str,
}

const SIGN_IN: &str = "sign-in";

/// Gate, name, purpose. Delegated scopes come first. Consent grants everything that the registration lists, so a person
/// strikes what is not wanted.
const PERMISSIONS: [(&str, &str, &str); 13] = [
    (SIGN_IN, "openid", "sign people in"),
    (SIGN_IN, "profile", "the person's object id and display name"),
    (SIGN_IN, "offline_access", "ask again silently whether a session is still good"),
    ("directory", "User.Read.All", "who is disabled, deleted or signed out"),
    ("directory", "GroupMember.Read.All", "who is in which group, also beyond the 200 of a token"),
    ("directory", "User.RevokeSessions.All", "action: sign out"),
    ("directory", "User.EnableDisableAccount.All", "action: disable, enable"),
    ("directory", "User-PasswordProfile.ReadWrite.All", "action: ask for a new password"),
    ("risk", "IdentityRiskyUser.Read.All", "how risky an account is now (Entra ID P2)"),
    ("risk", "IdentityRiskEvent.Read.All", "what was detected"),
    ("risk", "IdentityRiskyUser.ReadWrite.All", "action: confirm compromised or safe, dismiss"),
    ("doctor", "AuthenticationContext.Read.All", "whether a step-up's context is defined"),
    ("doctor", "Policy.Read.All", "whether a policy stands behind it"),
];

impl Registration {
    pub(super) fn of(arguments: &Arguments) -> Self {
        let at = |path: &str| format!("https://{}/.portcullis/{path}", arguments.host);
        let permission = |(gate, name, purpose)| Permission {
            gate,
            name,
            kind: if gate == SIGN_IN { "delegated" } else { "application" },
            is_required: gate == SIGN_IN,
            purpose,
        };
        let mut registration = Self {
            redirect_uris: [at("callback"), at("signed-out")],
            consent_redirect_uris: [
                "http://localhost:9090".to_owned(),
                format!("https://console.{}", arguments.domain()),
            ]
            .map(|origin| format!("{origin}{CALLBACK}")),
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
        let [at_listener, at_console] = &self.consent_redirect_uris;
        let names: Vec<&str> = self.permissions.iter().filter(|p| p.is_required).map(|p| p.name).collect();
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
            format!(
                "Authentication > Add a platform > Web: redirect URIs {redirect} and {signed_out}; for granting permissions \
                 from the console also {at_listener} and {at_console}."
            ),
            format!("Authentication > Front-channel logout URL: {}.", self.front_channel_logout_url),
            "Authentication > Implicit grant and hybrid flows: leave both boxes empty.".to_owned(),
            "Manifest: set optionalClaims and groupMembershipClaims as below. SecurityGroup puts the person's groups into \
             the token; beyond 200 Entra leaves them out, so for people in many groups assign the groups in question to the \
             application and use ApplicationGroup."
                .to_owned(),
            credential(arguments),
            format!(
                "API permissions > Microsoft Graph > Delegated: {}. Application: those below that you want. Then Grant \
                 admin consent, or grant them from the console later; either way everything listed there is granted.",
                names.join(", ")
            ),
            "Protection > Conditional Access, if rules challenge people: define the authentication context (c1) and an \
             enabled policy that targets it. Without a policy Entra vouches for the context and asks nothing."
                .to_owned(),
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
            let Permission { gate, name, kind, is_required, purpose } = permission;
            let mark = if *is_required { "required" } else { "optional" };
            let _ = writeln!(text, "  {mark}  {name:35} {kind:12} {gate}: {purpose}");
        }
        text.push_str(
            "Optional ones do nothing without [directory] in the configuration. Each is used for its purpose alone; without \
             it that purpose fails, and the console and `portcullis doctor` say so. Risk also takes data upload turned on.",
        );
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
