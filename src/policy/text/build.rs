//! From what is written to what it means: names become ids, and everything that could only be a mistake is refused.

mod access;
mod risk;
mod scope;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::document::{At, Document, Problem, Problems, nearest};
use crate::facts::{AppId, AuthContext, ObjectId, UserKey, format_duration, parse_duration};
use crate::policy::{Place, RiskControl, Schedule, StepUp, Verdict, When};

use super::RulesFile;
use super::file::{List, Rules};

/// Everything the file says, or everything that is wrong with it.
pub(super) fn rules(document: &Document<'_>, file: &Rules, apps: &[&str]) -> Result<RulesFile, Problems> {
    let mut build = Build {
        document,
        apps,
        places: vec![],
        schedules: vec![],
        lifetimes: HashMap::new(),
        names: HashMap::new(),
        problems: vec![],
    };
    build.lifetimes(&file.lifetimes);
    build.scopes(file);
    let access = file.rule.iter().map(|entry| build.rule(entry)).collect();
    let rules = file.risk_rule.iter().map(|entry| build.risk_rule(entry)).collect();
    let settings = build.settings(&file.risk);
    let risk = RiskControl { rules, settings, apps: vec![] };
    if build.problems.is_empty() { Ok(RulesFile { access, risk }) } else { Err(Problems::new(build.problems)) }
}

struct Build<'a> {
    document: &'a Document<'a>,
    apps: &'a [&'a str],
    places: Vec<Arc<Place>>,
    schedules: Vec<Arc<Schedule>>,
    lifetimes: HashMap<AuthContext, Duration>,
    /// Names of rules so far, with the kind of each.
    names: HashMap<String, &'static str>,
    problems: Vec<Problem>,
}

/// How long a step-up counts where nothing else is said.
const LIFETIME: Duration = Duration::from_secs(3600);

/// Bounds of every duration in the file.
const SPANS: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(365 * 86_400);

/// The keys on time and place, which both kinds of rules have.
struct Narrowed<'a> {
    places: &'a List,
    not_places: &'a List,
    schedules: &'a List,
    not_schedules: &'a List,
}

/// The keys on a challenge, which both kinds of rules have.
struct Challenged<'a> {
    verdict: Verdict,
    verdict_at: Option<std::ops::Range<usize>>,
    context: &'a Option<At<String>>,
    lifetime: &'a Option<At<String>>,
}

impl Build<'_> {
    /// Checks a rule's name, which has to be unique among both kinds, because what is passed is kept by it.
    fn rule_name(&mut self, kind: &'static str, name: &At<String>) -> String {
        let label = label(kind, name);
        self.name(&label, name);
        match self.names.insert(name.value().clone(), kind) {
            Some(other) if other == kind => self.add(&label, "name", name, "an earlier rule has the same name"),
            Some(other) => self.add(&label, "name", name, &format!("a {other} has the same name")),
            None => {}
        }
        label
    }

    fn name(&mut self, label: &str, name: &At<String>) {
        let printable = !name.is_empty() && name.chars().all(|c| c.is_ascii_graphic() || c == ' ');
        if !printable || name.len() > 64 {
            self.add(label, "name", name, "expected 1 to 64 printable ASCII characters");
        }
    }

    fn when(&mut self, label: &str, keys: &Narrowed<'_>) -> When {
        let place = |build: &Self, text: &str| find("place", text, &build.places, |place| &place.name, Arc::clone);
        let schedule =
            |build: &Self, text: &str| find("schedule", text, &build.schedules, |schedule| &schedule.name, Arc::clone);
        When {
            places: self.list(label, "places", keys.places, place),
            not_places: self.list(label, "not_places", keys.not_places, place),
            schedules: self.list(label, "schedules", keys.schedules, schedule),
            not_schedules: self.list(label, "not_schedules", keys.not_schedules, schedule),
        }
    }

    /// The step-up of a rule: given exactly when the rule challenges.
    fn challenged(&mut self, label: &str, keys: &Challenged<'_>) -> Option<StepUp> {
        if keys.verdict != Verdict::Challenge {
            let given = [("context", keys.context), ("lifetime", keys.lifetime)];
            for (key, at) in given.into_iter().filter_map(|(key, at)| at.as_ref().map(|at| (key, at))) {
                self.add(label, key, at, "has no effect without verdict = \"challenge\"");
            }
            return None;
        }
        if keys.context.is_none() {
            let message = format!("{label}, verdict: a challenge needs a context such as \"c1\"");
            self.problems.push(self.document.problem(keys.verdict_at.clone(), message));
        }
        self.step_up(label, keys.context.as_ref()?, keys.lifetime.as_ref())
    }

    fn step_up(&mut self, label: &str, context: &At<String>, lifetime: Option<&At<String>>) -> Option<StepUp> {
        let lifetime = lifetime.map(|text| self.span(label, "lifetime", text));
        let Some(known) = AuthContext::parse(context) else {
            let message = format!("expected an authentication context, \"c1\" to \"c99\", got \"{}\"", context.value());
            self.add(label, "context", context, &message);
            return None;
        };
        let usual = self.lifetimes.get(&known).copied().unwrap_or(LIFETIME);
        Some(StepUp { context: known, lifetime: lifetime.unwrap_or(usual) })
    }

    /// A duration within [`SPANS`]; the longest stands in for a wrong one.
    fn span(&mut self, label: &str, key: &str, text: &At<String>) -> Duration {
        match parse_duration(text) {
            Ok(span) if SPANS.contains(&span) => return span,
            Ok(_) => {
                let (least, most) = (format_duration(*SPANS.start()), format_duration(*SPANS.end()));
                let message = format!("expected a duration from {least} to {most}, got \"{}\"", text.value());
                self.add(label, key, text, &message);
            }
            Err(error) => self.add(label, key, text, &error.to_string()),
        }
        *SPANS.end()
    }

    /// Reads each element; a list that is written must not be empty, because nobody can tell whether "none" or "any"
    /// was meant.
    fn list<T>(
        &mut self,
        label: &str,
        key: &str,
        written: &List,
        mut read: impl FnMut(&Self, &str) -> Result<T, String>,
    ) -> Vec<T> {
        let Some(list) = written else { return vec![] };
        self.not_empty(label, key, list);
        let mut values = Vec::with_capacity(list.len());
        for text in list.iter() {
            match read(self, text) {
                Ok(value) => values.push(value),
                Err(message) => self.add(label, key, text, &message),
            }
        }
        values
    }

    fn not_empty<T>(&mut self, label: &str, key: &str, list: &At<Vec<T>>) {
        if list.is_empty() {
            self.add(label, key, list, "an empty list could mean none or any; leave the key out for any");
        }
    }

    fn users(&mut self, label: &str, key: &str, written: &List) -> Vec<UserKey> {
        self.list(label, key, written, |_, text| user(text))
    }

    fn groups(&mut self, label: &str, key: &str, written: &List) -> Vec<ObjectId> {
        self.list(label, key, written, |_, text| group(text))
    }

    fn apps(&mut self, label: &str, written: &List) -> Vec<AppId> {
        self.list(label, "apps", written, |build, text| build.app(text))
    }

    fn app(&self, name: &str) -> Result<AppId, String> {
        let index = self.apps.iter().position(|app| *app == name).and_then(|index| u32::try_from(index).ok());
        index.map(AppId).ok_or_else(|| match nearest(name, self.apps.iter().copied()) {
            Some(app) => format!("no app is called \"{name}\", did you mean \"{app}\"?"),
            None => format!("no app is called \"{name}\", the apps are {}", self.apps.join(", ")),
        })
    }

    fn add<T>(&mut self, label: &str, key: &str, at: &At<T>, message: &str) {
        self.problems.push(self.document.problem(at.span(), format!("{label}, {key}: {message}")));
    }
}

/// How a table with a name is called in messages.
fn label(kind: &str, name: &At<String>) -> String {
    format!("{kind} \"{}\"", name.escape_debug())
}

/// The thing called `text`, or the name that was meant.
fn find<T, U>(
    kind: &str,
    text: &str,
    all: &[T],
    name: impl Fn(&T) -> &Arc<str>,
    take: impl Fn(&T) -> U,
) -> Result<U, String> {
    let found = all.iter().find(|thing| **name(thing) == *text).map(take);
    found.ok_or_else(|| match nearest(text, all.iter().map(|thing| &**name(thing))) {
        Some(meant) => format!("no {kind} is called \"{text}\", did you mean \"{meant}\"?"),
        None => format!("no {kind} is called \"{text}\"; write it as [[{kind}]] in this file"),
    })
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
