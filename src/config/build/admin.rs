//! The administration listener, and the console behind the gateway: an app like any other, with rules of its own.

use std::sync::Arc;

use http::HeaderName;

use crate::access::AppConfig;
use crate::admin::Console;
use crate::config::file::{self, File};
use crate::config::{AdminSettings, Config};
use crate::document::At;
use crate::entra;
use crate::facts::{AppId, ObjectId, TenantId, UserKey};
use crate::policy::{Rule, Verdict, When, Who};

use super::Build;

impl Build<'_> {
    pub(super) fn admin(&mut self, file: &file::Admin, port: u16, header: &HeaderName) -> AdminSettings {
        let listen = self.address("admin.listen", &file.listen);
        let token_file = file.token_file.as_ref().map(|path| self.file("admin.token_file", path));
        if !listen.ip().is_loopback() && token_file.is_none() {
            let message = "outside the loopback a bearer token is needed, expected admin.token_file";
            self.add("admin.listen", file.listen.span(), message);
        }
        let groups = file.groups.iter().filter_map(|text| self.admin_group(text)).collect();
        let console = match (&file.host, file.groups.first()) {
            (None, None) => None,
            (None, Some(first)) => {
                self.add("admin.groups", first.span(), "without admin.host these would have no effect");
                None
            }
            (Some(host), None) => {
                self.add("admin.host", host.span(), "expected admin.groups too: who the administrators are");
                None
            }
            (Some(host), Some(_)) => {
                let host = self.host("admin.host", host);
                let audience = Console::audience_of(&host);
                Some(Console { host, port, groups, header: header.clone(), audience })
            }
        };
        AdminSettings { listen, token_file, console }
    }

    fn admin_group(&mut self, text: &At<String>) -> Option<(TenantId, ObjectId)> {
        // Written like a person's key: tenant and object id.
        match text.parse::<UserKey>() {
            Ok(UserKey { tenant, object }) => Some((tenant, object)),
            Err(error) => {
                let expected = "expected tenant id:group object id";
                self.add("admin.groups", text.span(), format!("{expected}, \"{}\" is {error}", **text));
                None
            }
        }
    }

    /// The console takes no name, host or audience from an app, and its administrators can sign in.
    pub(super) fn console_fits(
        &mut self,
        file: &File,
        (console, apps): (&Console, &[AppConfig]),
        sign_in_host: &str,
        entra: Option<&entra::Config>,
    ) {
        let at = file.admin.host.as_ref().and_then(At::span);
        for app in apps {
            let taken = [
                ("host", app.host == console.host),
                ("name", app.name == Console::APP),
                // Or that app could show what it is sent to the console, and be taken for an administrator.
                ("audience", app.audience == console.audience),
            ];
            for (what, _) in taken.into_iter().filter(|(_, taken)| *taken) {
                let message = format!("the {what} is the console's, and app \"{}\" has it too", app.name);
                self.add("admin.host", at.clone(), message);
            }
        }
        if console.host == sign_in_host {
            self.add("admin.host", at, "the sign-in host is taken, expected another host");
        }
        let Some(entra) = entra else { return };
        for (text, (tenant, _)) in file.admin.groups.iter().zip(&console.groups) {
            if !entra.tenants.contains(tenant) {
                self.warn("admin.groups", text.span(), "people of this tenant cannot sign in here, see entra.tenants");
            }
        }
    }
}

/// The console's rules, to stand before all others: a rule for every app must not let everybody in.
pub(in crate::config) fn rules(config: &Config) -> Vec<Rule> {
    let Some(console) = &config.admin.console else { return Vec::new() };
    let last = config.apps.iter().position(|app| app.name == Console::APP);
    let Some(id) = last.and_then(|at| u32::try_from(at).ok()).map(AppId) else { return Vec::new() };
    let rule = |name: &str, who: Who, verdict: Verdict| Rule {
        name: Arc::from(name),
        enabled: true,
        apps: vec![id],
        methods: Vec::new(),
        paths: Vec::new(),
        who,
        when: When::default(),
        verdict,
        step_up: None,
    };
    let groups = console.groups.iter().map(|(_, group)| *group).collect();
    vec![
        rule("portcullis-console: administrators", Who::Listed { users: Vec::new(), groups }, Verdict::Allow),
        rule("portcullis-console: nobody else", Who::Anyone, Verdict::Block),
    ]
}
