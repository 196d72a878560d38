//! Risk rules, and what holds for risk everywhere.

use std::ops::Range;

use super::{Build, Challenged, Narrowed};
use crate::document::At;
use crate::facts::RiskLevel;
use crate::policy::text::file::{Level, LevelWord, Risk, RiskEntry, StateWord};
use crate::policy::{AutoAction, OnDoubt, People, Plane, RiskIs, RiskRule, RiskSettings, Who};

impl Build<'_> {
    pub(super) fn risk_rule(&mut self, entry: &RiskEntry) -> RiskRule {
        let label = self.rule_name("risk rule", &entry.name);
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
        RiskRule {
            name: entry.name.as_str().into(),
            enabled: entry.enabled,
            risk: self.risk_is(&label, entry),
            who: self.accounts(&label, entry),
            except: People {
                users: self.users(&label, "except_users", &entry.except_users),
                groups: self.groups(&label, "except_groups", &entry.except_groups),
            },
            apps: self.apps(&label, &entry.apps),
            plane: self.plane(&label, entry),
            when: self.when(&label, &narrowed),
            verdict,
            step_up: self.challenged(&label, &challenged),
            actions: self.actions(&label, entry),
        }
    }

    fn risk_is(&mut self, label: &str, entry: &RiskEntry) -> RiskIs {
        let any = entry.levels.is_some() || entry.min_level.is_some() || entry.states.is_some();
        if !any && entry.detections.is_none() {
            let message = "say which risk the rule is about: levels, min_level, states or detections";
            self.add(label, "levels", &entry.name, message);
        }
        if let (Some(_), Some(min_level)) = (&entry.levels, &entry.min_level) {
            self.add(label, "min_level", min_level, "expected either \"levels\" or \"min_level\", got both");
        }
        let listed = self.words(label, "levels", entry.levels.as_ref(), |word: LevelWord| word.into());
        let levels = entry.min_level.as_ref().map_or(listed, |least| match **least {
            Level::Low => vec![RiskLevel::Low, RiskLevel::Medium, RiskLevel::High],
            Level::Medium => vec![RiskLevel::Medium, RiskLevel::High],
            Level::High => vec![RiskLevel::High],
        });
        let older_than = entry.older_than.as_ref().map(|text| self.span(label, "older_than", text));
        let newer_than = entry.newer_than.as_ref().map(|text| self.span(label, "newer_than", text));
        if let (Some(least), Some(most), Some(at)) = (older_than, newer_than, &entry.newer_than)
            && most <= least
        {
            self.add(label, "newer_than", at, "expected more than \"older_than\", no risk is both");
        }
        RiskIs {
            levels,
            states: self.words(label, "states", entry.states.as_ref(), |word: StateWord| word.into()),
            detections: self.list(label, "detections", &entry.detections, |_, text| detection(text)),
            older_than,
            newer_than,
        }
    }

    fn accounts(&mut self, label: &str, entry: &RiskEntry) -> Who {
        let users = self.users(label, "users", &entry.users);
        let groups = self.groups(label, "groups", &entry.groups);
        let listed = entry.users.is_some() || entry.groups.is_some();
        if let (true, Some(who)) = (listed, &entry.who) {
            self.add(label, "who", who, "expected either \"who\" or \"users\" and \"groups\", got both");
        }
        if listed { Who::Listed { users, groups } } else { Who::SignedIn }
    }

    fn plane(&mut self, label: &str, entry: &RiskEntry) -> Option<Plane> {
        let plane: Option<Plane> = entry.plane.as_ref().map(|word| (**word).into());
        if let (Some(Plane::Internet), Some(apps)) = (plane, &entry.apps) {
            self.add(label, "apps", apps, "apps are private, so they cannot be on plane = \"internet\"");
        }
        plane
    }

    /// Actions are taken on accounts when nobody asks for anything, so a rule with some cannot hang on a request.
    fn actions(&mut self, label: &str, entry: &RiskEntry) -> Vec<AutoAction> {
        let actions = self.words(label, "actions", entry.actions.as_ref(), AutoAction::from);
        if entry.actions.is_some() {
            let of_requests = [("apps", &entry.apps), ("places", &entry.places), ("not_places", &entry.not_places)];
            for (key, list) in of_requests.into_iter().filter_map(|(key, list)| list.as_ref().map(|list| (key, list))) {
                let message =
                    "actions are taken on the account outside of any request, so the rule cannot hang on this";
                self.add(label, key, list, message);
            }
        }
        actions
    }

    fn words<W: Copy, T>(
        &mut self,
        label: &str,
        key: &str,
        written: Option<&At<Vec<At<W>>>>,
        meaning: impl Fn(W) -> T,
    ) -> Vec<T> {
        let Some(list) = written else { return vec![] };
        self.not_empty(label, key, list);
        list.iter().map(|word| meaning(**word)).collect()
    }

    pub(super) fn settings(&mut self, written: &Risk) -> RiskSettings {
        let step_up = written.context.as_ref().and_then(|at| self.step_up("risk", at, written.lifetime.as_ref()));
        if let (None, Some(lifetime)) = (&written.context, &written.lifetime) {
            self.add("risk", "lifetime", lifetime, "has no effect without \"context\"");
        }
        let has_context = written.context.is_some();
        let usual = if has_context { OnDoubt::Challenge } else { OnDoubt::Block };
        let mut outcome = |key: &str, word: Option<(OnDoubt, Option<Range<usize>>)>| {
            let Some((outcome, at)) = word else { return usual };
            if outcome == OnDoubt::Challenge && !has_context {
                let message = format!("risk, {key}: a challenge needs a context, expected risk.context such as \"c1\"");
                self.problems.push(self.document.problem(at, message));
            }
            outcome
        };
        let settings = RiskSettings {
            max_age: None,
            on_stale: outcome("on_stale", said(&written.on_stale)),
            on_unknown: outcome("on_unknown", said(&written.on_unknown)),
            on_never_synced: outcome("on_never_synced", said(&written.on_never_synced)),
            on_no_permission: outcome("on_no_permission", said(&written.on_no_permission)),
            on_no_licence: outcome("on_no_licence", said(&written.on_no_licence)),
            on_not_in_cloud: outcome("on_not_in_cloud", said(&written.on_not_in_cloud)),
            on_upload_off: outcome("on_upload_off", said(&written.on_upload_off)),
            on_not_configured: outcome("on_not_configured", said(&written.on_not_configured)),
            step_up,
            exempt: People::default(),
        };
        RiskSettings {
            max_age: Some(self.span("risk", "max_age", &written.max_age)),
            exempt: People {
                users: self.users("risk", "exempt_users", &written.exempt_users),
                groups: self.groups("risk", "exempt_groups", &written.exempt_groups),
            },
            ..settings
        }
    }
}

/// What is written for a doubt, with its place.
fn said<W: Copy + Into<OnDoubt>>(word: &Option<At<W>>) -> Option<(OnDoubt, Option<Range<usize>>)> {
    word.as_ref().map(|word| ((**word).into(), word.span()))
}

fn detection(text: &str) -> Result<Box<str>, String> {
    let plain = !text.is_empty() && text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let expected = "expected a detection in the provider's words such as \"leakedCredentials\"";
    if plain { Ok(text.into()) } else { Err(format!("{expected}, got \"{text}\"")) }
}
