//! Access rules.

use super::{Build, Challenged, Narrowed};
use crate::policy::text::file::{Entry, People};
use crate::policy::{Rule, Who, check_path};

impl Build<'_> {
    pub(super) fn rule(&mut self, entry: &Entry) -> Rule {
        let label = self.rule_name("rule", &entry.name);
        let apps = self.apps(&label, &entry.apps);
        let methods = self.list(&label, "methods", &entry.methods, |_, text| method(text));
        let paths = self.list(&label, "paths", &entry.paths, |_, text| {
            check_path(text).map(|()| text.into()).map_err(|fault| format!("\"{text}\": {fault}"))
        });
        let who = self.who(&label, entry);
        let verdict = (*entry.verdict).into();
        let narrowed = Narrowed {
            places: &entry.places,
            not_places: &entry.not_places,
            schedules: &entry.schedules,
            not_schedules: &entry.not_schedules,
        };
        let challenged = Challenged {
            verdict,
            verdict_at: entry.verdict.span(),
            context: &entry.context,
            lifetime: &entry.lifetime,
        };
        Rule {
            enabled: entry.enabled,
            apps,
            methods,
            paths,
            when: self.when(&label, &narrowed),
            step_up: self.challenged(&label, &challenged),
            ..Rule::new(&entry.name, who, verdict)
        }
    }

    fn who(&mut self, label: &str, entry: &Entry) -> Who {
        let users = self.users(label, "users", &entry.users);
        let groups = self.groups(label, "groups", &entry.groups);
        let listed = entry.users.is_some() || entry.groups.is_some();
        match entry.who.as_ref() {
            None if !listed => {
                let expected = "say whom the rule is about: who = \"signed_in\", who = \"anyone\", users or groups";
                self.add(label, "who", &entry.name, expected);
            }
            Some(who) if listed => {
                self.add(label, "who", who, "expected either \"who\" or \"users\" and \"groups\", got both");
            }
            _ => {}
        }
        match entry.who.as_ref().map(|who| **who) {
            Some(People::SignedIn) => Who::SignedIn,
            Some(People::Anyone) => Who::Anyone,
            None => Who::Listed { users, groups },
        }
    }
}

fn method(text: &str) -> Result<http::Method, String> {
    if text.bytes().any(|byte| byte.is_ascii_lowercase()) {
        let upper = text.to_ascii_uppercase();
        return Err(format!("methods are case-sensitive, expected \"{upper}\", got \"{text}\""));
    }
    http::Method::from_bytes(text.as_bytes()).map_err(|_| format!("expected a method such as \"GET\", got \"{text}\""))
}
