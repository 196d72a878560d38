//! The first configuration and the first rules. Values were parsed strictly, so none can break out of its quotes.

use std::fmt::Write as _;

use super::{Arguments, CredentialKind};

pub(super) fn config(arguments: &Arguments) -> String {
    let Arguments { tenant, client_id, host, .. } = arguments;
    let domain = arguments.domain();
    let credential = match arguments.credential {
        CredentialKind::Secret => "client_secret = \"file:entra-client-secret\"",
        CredentialKind::Certificate => "client_certificate = { certificate = \"entra.pem\", key = \"entra.key\" }",
        CredentialKind::Federated => "federated_token_file = \"/var/run/secrets/tokens/entra\"",
    };
    let mut text = format!(
        "# Configuration of Portcullis, written by `portcullis init`. `portcullis check` says what is wrong with it,\n\
         # `portcullis check --schema` prints all keys. Relative paths start at the folder of this file.\n\
         \n\
         # Folder for sessions and keys; keep it private.\n\
         state_dir = \"state\"\n\
         # Access rules. Without a rule that allows it, every request is blocked.\n\
         rules = \"rules.toml\"\n\
         \n\
         [listen]\n\
         https = [\"0.0.0.0:443\"]\n\
         redirect = [\"0.0.0.0:80\"]\n\
         \n\
         # One certificate with all the names below, or one table per certificate. A wildcard (*.{domain}) will do.\n\
         [[tls.certificate]]\n\
         certificate = \"tls.pem\"\n\
         key = \"tls.key\"\n\
         \n\
         # The host where people sign in and find their apps.\n\
         [sign_in]\n\
         host = \"{host}\"\n\
         \n\
         # Microsoft Entra ID, the one identity provider.\n\
         [entra]\n\
         tenants = [\"{tenant}\"]\n\
         client_id = \"{client_id}\"\n\
         {credential}\n"
    );
    for app in &arguments.app {
        let (name, upstream) = (&app.name, &app.upstream);
        // Writing to a string cannot fail.
        let _ = write!(text, "\n[[app]]\nname = \"{name}\"\nhost = \"{name}.{domain}\"\nupstream = [\"{upstream}\"]\n");
    }
    if arguments.app.is_empty() {
        let _ = write!(
            text,
            "\n# One such table per app.\n# [[app]]\n# name = \"wiki\"\n# host = \"wiki.{domain}\"\n\
             # upstream = [\"http://10.0.0.5:8080\"]\n"
        );
    }
    text.push_str(&more(arguments));
    text
}

/// Directory, account actions and administration, with the permissions that each of them takes.
fn more(arguments: &Arguments) -> String {
    let Arguments { tenant, .. } = arguments;
    let domain = arguments.domain();
    format!(
        "\n# Users, groups and risk from Microsoft Graph. Application permissions: User.Read.All, GroupMember.Read.All; for\n\
         # risk IdentityRiskyUser.Read.All, IdentityRiskEvent.Read.All (Entra ID P2). What is not granted is not read.\n\
         [directory]\n\
         # Whether risk is taken from a tenant before an administrator has turned its data upload on or off.\n\
         #data_upload = false\n\
         \n\
         # Brakes on what risk rules do to accounts. Permissions, each for its action alone: User.RevokeSessions.All,\n\
         # User.EnableDisableAccount.All, User-PasswordProfile.ReadWrite.All, IdentityRiskyUser.ReadWrite.All.\n\
         [actions]\n\
         # Rules only write down what they would do: see `portcullis action preview`.\n\
         #dry_run = true\n\
         # Accounts for emergencies, which no rule touches.\n\
         #exempt_users = [\"{tenant}:<object id>\"]\n\
         \n\
         # Console, API and metrics. The token of the first sign-in is in state/admin-token.\n\
         [admin]\n\
         #listen = \"127.0.0.1:9090\"\n\
         # For administrators who sign in like everybody else; its name belongs into the certificate and into DNS.\n\
         #host = \"console.{domain}\"\n\
         #groups = [\"{tenant}:<group object id>\"]\n"
    )
}

pub(super) fn rules(arguments: &Arguments) -> String {
    let mut text =
        "# Access rules of Portcullis. From top to bottom, the first rule whose conditions all hold decides.\n\
         # Without one, the request is blocked. `portcullis explain` shows which rule decides.\n\
         #\n\
         # A rule says whom it is about by `groups` (object ids), `users` (\"tenant id:object id\") or `who`\n\
         # (\"signed_in\" or \"anyone\"), and may be narrowed by `apps`, `methods` and `paths`.\n"
            .to_owned();
    for app in &arguments.app {
        let name = &app.name;
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "\n# Everybody in the tenant; put `groups = [\"<object id>\"]` in place of `who` to let in fewer.\n\
             [[rule]]\nname = \"{name}-for-everybody-here\"\napps = [\"{name}\"]\nwho = \"signed_in\"\nverdict = \"allow\"\n"
        );
    }
    text
}
