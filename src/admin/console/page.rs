//! The HTML of the console. Everything that comes from a tenant or a person is escaped by the templates.

use axum::http::StatusCode;

use super::template::{Frame, GoingOn, Overview, People, Row, SignIn, Small, Told, render};
use crate::admin::v1::{AppVerdict, ConsentOutcome, Iam, Line, PersonLine, Tenant};
use crate::admin::who::Admin;
use crate::directory::{Gate, GateStatus};

pub(super) const STYLE: &str = include_str!("console.css");
pub(super) const SCRIPT: &str = include_str!("console.js");

/// A page with its frame; `part` is what the script asks for again, `body` what it would get.
pub(super) fn framed(title: &str, by: &Admin, path: &str, part: &str, body: &str) -> String {
    render(&Frame { title, who: by.name(), local: *by == Admin::Local, path, part, body })
}

/// Identity and access.
pub(super) fn overview(iam: &Iam) -> String {
    render(&Overview { iam, tenants: iam.tenants.iter().map(|tenant| (tenant, rows(tenant))).collect() })
}

/// People at risk with what they would be answered.
pub(super) fn people(iam: &Iam, people: &[(PersonLine, Vec<AppVerdict>)]) -> String {
    let blind = iam.tenants.iter().filter(|tenant| tenant.risk.line.status != "answers").collect();
    render(&People { blind, people, now: iam.now })
}

/// The form for the token.
pub(super) fn sign_in(here: bool, refused: bool) -> String {
    let body = render(&SignIn { here, refused });
    render(&Small { title: "Sign in to the console", next: None, body: &body })
}

/// Goes on to `next` by itself.
pub(super) fn going_on(next: &str) -> String {
    let body = render(&GoingOn { next });
    render(&Small { title: "Looking at what was granted", next: Some(next), body: &body })
}

/// What became of a consent.
pub(super) fn consented(outcome: &ConsentOutcome) -> (StatusCode, String) {
    let (status, tone, title, text) = match outcome {
        ConsentOutcome::Foreign => (
            StatusCode::FORBIDDEN,
            "bad",
            "This does not belong to you",
            "This answer was not asked for from here, is older than ten minutes, or has been used. Nothing has changed. \
             Begin again from the console."
                .to_owned(),
        ),
        ConsentOutcome::Declined(gate, error) => (
            StatusCode::OK,
            "warn",
            "Not granted",
            format!("The provider said no ({error}), so {} has not changed.", name(*gate)),
        ),
        ConsentOutcome::NotChecked(gate, why) => (
            StatusCode::BAD_GATEWAY,
            "warn",
            "Not known yet",
            format!("The gateway could not look whether {} is granted: {why}. It looks again by itself.", name(*gate)),
        ),
        ConsentOutcome::Checked(gate, _, GateStatus::Granted) => (
            StatusCode::OK,
            "good",
            "Granted",
            format!("The gateway has looked for itself: {} is granted. You can close this tab.", name(*gate)),
        ),
        ConsentOutcome::Checked(gate, _, how) => (
            StatusCode::OK,
            "warn",
            "Not all of it is granted",
            format!(
                "The gateway has looked for itself: {}: {}. New grants may take a minute.",
                name(*gate),
                how.reason(*gate).unwrap_or_default()
            ),
        ),
    };
    let body = render(&Told { tone, title, text: &text });
    (status, render(&Small { title, next: None, body: &body }))
}

const fn name(gate: Gate) -> &'static str {
    match gate {
        Gate::Directory => "reading the directory and acting on accounts",
        Gate::Risk => "reading risk",
        Gate::DataUpload => "data upload",
    }
}

fn row<'a>(key: &'static str, label: &'static str, about: &'static str, line: &'a Line) -> Row<'a> {
    Row {
        key,
        label,
        about,
        status: line.status,
        tone: tone(line.status),
        reason: line.reason.as_deref(),
        fix: line.fix.as_ref().map(|fix| fix.text.as_str()),
        link: line.fix.as_ref().and_then(|fix| fix.link.as_deref()),
        request: line.fix.as_ref().and_then(|fix| fix.request.as_deref()),
    }
}

fn rows(tenant: &Tenant) -> Vec<Row<'_>> {
    let mut rows = vec![row("sso", "Single sign-on", "People of this tenant sign in here", &tenant.sso)];
    rows.extend(tenant.gates.iter().map(|gate| match gate.gate {
        "directory" => row("directory", "Directory and accounts", "Read users and groups, act on accounts", &gate.line),
        "risk" => row("risk", "Risk", "Read how risky accounts are", &gate.line),
        _ => row("data_upload", "Data upload", "Your own switch: may the data be taken", &gate.line),
    }));
    rows
}

fn tone(status: &str) -> &'static str {
    match status {
        "granted" | "active" | "answers" => "good",
        "never_granted" | "off" => "calm",
        "partial" | "not_ready" => "warn",
        _ => "bad",
    }
}
