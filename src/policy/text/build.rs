//! From what is written to what it means: names become ids, and everything that could only be a mistake is refused.

use std::collections::HashSet;

use crate::document::{At, Document, Problem, Problems, nearest};
use crate::facts::{AppId, ObjectId, UserKey};
use crate::policy::{Rule, Who, check_path};

use super::file::{Entry, People, Rules};

/// A list as it is written: left out, or with the place of each element.
type Written = Option<At<Vec<At<String>>>>;

/// Every rule, or everything that is wrong with them.
pub(super) fn rules(document: &Document<'_>, file: &Rules, apps: &[&str]) -> Result<Vec<Rule>, Problems> {
    let mut build = Build { document, apps, problems: vec![] };
    let mut seen = HashSet::new();
    let mut rules = Vec::with_capacity(file.rule.len());
    for entry in &file.rule {
        if !seen.insert(entry.name.as_str()) {
            build.add(entry, "name", &entry.name, "an earlier rule has the same name");
        }
        rules.push(build.rule(entry));
    }
    if build.problems.is_empty() { Ok(rules) } else { Err(Problems::new(build.problems)) }
}

struct Build<'a> {
    document: &'a Document<'a>,
    apps: &'a [&'a str],
    problems: Vec<Problem>,
}

impl Build<'_> {
    fn rule(&mut self, entry: &Entry) -> Rule {
        let printable = !entry.name.is_empty() && entry.name.chars().all(|c| c.is_ascii_graphic() || c == ' ');
        if !printable || entry.name.len() > 64 {
            self.add(entry, "name", &entry.name, "expected 1 to 64 printable ASCII characters");
        }
        let apps = self.list(entry, "apps", &entry.apps, |build, text| build.app(text));
        let methods = self.list(entry, "methods", &entry.methods, |_, text| method(text));
        let paths = self.list(entry, "paths", &entry.paths, |_, text| {
            check_path(text).map(|()| text.into()).map_err(|fault| format!("\"{text}\": {fault}"))
        });
        let who = self.who(entry);
        Rule { apps, methods, paths, ..Rule::new(&entry.name, who, (*entry.verdict).into()) }
    }

    fn who(&mut self, entry: &Entry) -> Who {
        let users = self.list(entry, "users", &entry.users, |_, text| user(text));
        let groups = self.list(entry, "groups", &entry.groups, |_, text| group(text));
        let listed = entry.users.is_some() || entry.groups.is_some();
        match entry.who.as_ref() {
            None if !listed => {
                let expected = "say whom the rule is about: who = \"signed_in\", who = \"anyone\", users or groups";
                self.add(entry, "who", &entry.name, expected);
            }
            Some(who) if listed => {
                self.add(entry, "who", who, "expected either \"who\" or \"users\" and \"groups\", got both");
            }
            _ => {}
        }
        match entry.who.as_ref().map(|who| **who) {
            Some(People::SignedIn) => Who::SignedIn,
            Some(People::Anyone) => Who::Anyone,
            None => Who::Listed { users, groups },
        }
    }

    /// Reads each element; a list that is written must not be empty, because nobody can tell whether "none" or "any"
    /// was meant.
    fn list<T>(
        &mut self,
        entry: &Entry,
        key: &str,
        written: &Written,
        mut read: impl FnMut(&Self, &str) -> Result<T, String>,
    ) -> Vec<T> {
        let Some(list) = written else { return vec![] };
        if list.is_empty() {
            self.add(entry, key, list, "an empty list could mean none or any; leave the key out for any");
        }
        let mut values = Vec::with_capacity(list.len());
        for text in list.iter() {
            match read(self, text) {
                Ok(value) => values.push(value),
                Err(message) => self.add(entry, key, text, &message),
            }
        }
        values
    }

    fn app(&self, name: &str) -> Result<AppId, String> {
        let index = self.apps.iter().position(|app| *app == name).and_then(|index| u32::try_from(index).ok());
        index.map(AppId).ok_or_else(|| match nearest(name, self.apps.iter().copied()) {
            Some(app) => format!("no app is called \"{name}\", did you mean \"{app}\"?"),
            None => format!("no app is called \"{name}\", the apps are {}", self.apps.join(", ")),
        })
    }

    fn add<T>(&mut self, entry: &Entry, key: &str, at: &At<T>, message: &str) {
        let message = format!("rule \"{}\", {key}: {message}", entry.name.escape_debug());
        self.problems.push(self.document.problem(at.span(), message));
    }
}

fn method(text: &str) -> Result<http::Method, String> {
    if text.bytes().any(|byte| byte.is_ascii_lowercase()) {
        let upper = text.to_ascii_uppercase();
        return Err(format!("methods are case-sensitive, expected \"{upper}\", got \"{text}\""));
    }
    http::Method::from_bytes(text.as_bytes()).map_err(|_| format!("expected a method such as \"GET\", got \"{text}\""))
}

fn user(text: &str) -> Result<UserKey, String> {
    if text.contains('@') {
        return Err(format!(
            "\"{text}\" looks like an e-mail address or user name, which can change hands; \
             a person is written \"tenant id:object id\", both shown on the person's page in the Entra admin centre"
        ));
    }
    text.parse().map_err(|_| format!("expected \"tenant id:object id\", two GUIDs, got \"{text}\""))
}

fn group(text: &str) -> Result<ObjectId, String> {
    text.parse().map_err(|_| format!("expected the group's object id, a GUID, got \"{text}\""))
}
