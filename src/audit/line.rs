//! One event as one line of JSON, with field names that stay.
//!
//! Every line: `seq` (counts from 1 since the process began), `time` (RFC 3339, UTC), `event`. Then, as far as known:
//! `request_id`, `client`, `user` (`tid:oid`), `name`, `session`, `auth`; of a `decision`: `app`, `host`, `method`,
//! `path`, `verdict`, `reason`, `step`, `rule`, `needs`, `policy`; of a `sign_in`: `outcome`, `provider_code`,
//! `provider_request`; of `warning_continued`: `app`, `rule`; of `session_ended` and `stream_cut`: `reason`, `by`, `app`;
//! of `verdict_changed`: `app`, `verdict`, `reason`, `step`, `rule`; of `config_reloaded` and
//! `config_reload_failed`: `generation`, `problem`; of `permission`: `tenant`, `gate`, `from`, `to`, `reason`; of
//! `risk_source`: `tenant`, `from`, `to`; of `admin_action`: `by`, `action`, `target`, `outcome`, `count`; of
//! `account_action`: `task`, `action`, `by`, `approved_by`, `state`, `reason`, `note`; of `records_dropped`: `count`.
//! Unknown values are left out.
//!
//! A line is printable ASCII: everything else is escaped, so no value can end its line or steer a terminal.

use std::fmt::{Display, Write as _};

use super::event::{
    AccountAction, AdminAction, Decision, Event, SessionEnd, SignIn, StreamCut, VerdictChange, WarningContinued, Who,
};
use crate::facts::UnixTime;
use crate::policy;

/// Appends the line of `event`, with its line break, to `out`.
pub(super) fn write(out: &mut String, seq: u64, at: UnixTime, event: &Event) {
    match event {
        Event::Decision(decision) => write_decision(Line::begin(out, seq, at, "decision"), decision),
        Event::SignIn(sign_in) => write_sign_in(Line::begin(out, seq, at, "sign_in"), sign_in),
        Event::SignOut { request, client, who } => {
            let mut line = Line::begin(out, seq, at, "sign_out");
            line.maybe("request_id", request.as_ref());
            line.maybe("client", client.as_ref());
            line.who(Some(who));
            line.end();
        }
        Event::WarningContinued(went) => write_continued(Line::begin(out, seq, at, "warning_continued"), went),
        Event::SessionEnded(SessionEnd { user, session, reason, by }) => {
            let mut line = Line::begin(out, seq, at, "session_ended");
            line.plain("user", user);
            line.plain("session", format_args!("{:016x}", session.0));
            line.word("reason", reason.word());
            line.word("by", by.word());
            line.end();
        }
        Event::StreamCut(cut) => write_cut(Line::begin(out, seq, at, "stream_cut"), cut),
        Event::VerdictChanged(change) => write_change(Line::begin(out, seq, at, "verdict_changed"), change),
        Event::ConfigReloaded { generation } => {
            let mut line = Line::begin(out, seq, at, "config_reloaded");
            line.number("generation", *generation);
            line.end();
        }
        Event::ConfigReloadFailed { generation, problem } => {
            let mut line = Line::begin(out, seq, at, "config_reload_failed");
            line.number("generation", *generation);
            line.text("problem", problem);
            line.end();
        }
        Event::Permission(change) => {
            let mut line = Line::begin(out, seq, at, "permission");
            line.plain("tenant", change.tenant);
            line.word("gate", change.gate);
            line.word("from", change.from);
            line.word("to", change.to);
            if let Some(reason) = &change.reason {
                line.text("reason", reason);
            }
            line.end();
        }
        Event::RiskSource { tenant, from, to } => {
            let mut line = Line::begin(out, seq, at, "risk_source");
            line.plain("tenant", tenant);
            line.word("from", from.word());
            line.word("to", to.word());
            line.end();
        }
        Event::AdminAction(action) => write_admin(Line::begin(out, seq, at, "admin_action"), action),
        Event::AccountAction(action) => write_account(Line::begin(out, seq, at, "account_action"), action),
    }
}

/// Appends the line that says how many events were lost since the last such line.
pub(super) fn write_dropped(out: &mut String, seq: u64, at: UnixTime, count: u64) {
    let mut line = Line::begin(out, seq, at, "records_dropped");
    line.number("count", count);
    line.end();
}

fn write_decision(mut line: Line<'_>, decision: &Decision) {
    line.plain("request_id", decision.request);
    line.plain("client", decision.client);
    line.who(decision.who.as_ref());
    line.word("auth", decision.auth.word());
    line.text("app", &decision.app);
    line.text("host", &decision.host);
    line.text("method", decision.method.as_str());
    line.text("path", &decision.path);
    write_outcome(&mut line, &decision.decision);
    line.number("policy", decision.policy);
    line.end();
}

fn write_outcome(line: &mut Line<'_>, decision: &policy::Decision) {
    line.word("verdict", decision.verdict.word());
    line.word("reason", decision.reason.word());
    line.word("step", decision.step.word());
    if let Some(rule) = &decision.rule {
        line.text("rule", rule);
    }
    if let Some(context) = &decision.needs {
        line.plain("needs", context);
    }
}

fn write_change(mut line: Line<'_>, change: &VerdictChange) {
    line.plain("request_id", change.request);
    line.who(change.who.as_ref());
    line.text("app", &change.app);
    write_outcome(&mut line, &change.decision);
    line.end();
}

fn write_sign_in(mut line: Line<'_>, sign_in: &SignIn) {
    line.plain("request_id", sign_in.request);
    line.plain("client", sign_in.client);
    line.who(sign_in.who.as_ref());
    line.word("outcome", sign_in.outcome.word());
    if let Some(code) = &sign_in.provider_code {
        line.text("provider_code", code);
    }
    if let Some(request) = &sign_in.provider_request {
        line.text("provider_request", request);
    }
    line.end();
}

fn write_continued(mut line: Line<'_>, went: &WarningContinued) {
    line.plain("request_id", went.request);
    line.plain("client", went.client);
    line.who(Some(&went.who));
    line.text("app", &went.app);
    line.text("rule", &went.rule);
    line.end();
}

fn write_cut(mut line: Line<'_>, cut: &StreamCut) {
    line.plain("request_id", cut.request);
    line.who(cut.who.as_ref());
    line.text("app", &cut.app);
    line.word("reason", cut.reason.word());
    line.end();
}

fn write_admin(mut line: Line<'_>, action: &AdminAction) {
    line.plain("client", action.client);
    line.text("by", &action.by);
    line.word("action", action.action);
    line.text("target", &action.target);
    line.word("outcome", action.outcome);
    line.number("count", action.count);
    line.end();
}

fn write_account(mut line: Line<'_>, action: &AccountAction) {
    line.number("task", action.task);
    line.word("action", action.action);
    line.plain("user", action.user);
    line.text("by", &action.by);
    if let Some(name) = &action.approved_by {
        line.text("approved_by", name);
    }
    line.word("state", action.state);
    if let Some(reason) = action.reason {
        line.word("reason", reason);
    }
    if let Some(note) = &action.note {
        line.text("note", note);
    }
    line.end();
}

/// Writes one object. Writing to a string cannot fail, so the results are not looked at.
struct Line<'a>(&'a mut String);

impl<'a> Line<'a> {
    fn begin(out: &'a mut String, seq: u64, at: UnixTime, event: &'static str) -> Self {
        let _ = write!(out, "{{\"seq\":{seq},\"time\":\"");
        write_time(out, at);
        let mut line = Self(out);
        line.0.push('"');
        line.word("event", event);
        line
    }

    /// The part of a member before its value.
    fn key(&mut self, key: &'static str) {
        self.0.push_str(",\"");
        self.0.push_str(key);
        self.0.push_str("\":\"");
    }

    /// A word of ours.
    fn word(&mut self, key: &'static str, value: &'static str) {
        self.key(key);
        self.0.push_str(value);
        self.0.push('"');
    }

    /// A value of ours that needs no escaping: numbers in quotes, addresses.
    fn plain(&mut self, key: &'static str, value: impl Display) {
        self.key(key);
        let _ = write!(self.0, "{value}");
        self.0.push('"');
    }

    fn maybe(&mut self, key: &'static str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.plain(key, value);
        }
    }

    fn number(&mut self, key: &'static str, value: u64) {
        let _ = write!(self.0, ",\"{key}\":{value}");
    }

    /// A value from outside: escaped and cut at [`MAX_TEXT`] bytes.
    fn text(&mut self, key: &'static str, value: &str) {
        self.key(key);
        // Nearly every value needs no escape: it is copied whole.
        if value.len() <= MAX_TEXT && value.bytes().all(is_plain) {
            self.0.push_str(value);
        } else {
            self.escaped(value);
        }
        self.0.push('"');
    }

    fn escaped(&mut self, value: &str) {
        for (at, character) in value.char_indices() {
            if at >= MAX_TEXT {
                self.0.push_str("\\u2026");
                break;
            }
            match character {
                '"' => self.0.push_str("\\\""),
                '\\' => self.0.push_str("\\\\"),
                ' '..='~' => self.0.push(character),
                other => {
                    for unit in other.encode_utf16(&mut [0; 2]) {
                        let _ = write!(self.0, "\\u{unit:04x}");
                    }
                }
            }
        }
    }

    fn who(&mut self, who: Option<&Who>) {
        let Some(who) = who else { return };
        self.plain("user", who.user);
        self.text("name", &who.name);
        if let Some(session) = who.session {
            self.plain("session", format_args!("{:016x}", session.0));
        }
    }

    fn end(self) {
        self.0.push_str("}\n");
    }
}

/// Whether a byte stands for itself in a line.
const fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\'
}

/// RFC 3339 in UTC, whole seconds. Days to date after Howard Hinnant's `civil_from_days`.
fn write_time(out: &mut String, at: UnixTime) {
    let (days, second) = (at.0 / 86_400, at.0 % 86_400);
    // Days since 0000-03-01; eras of 400 years.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    let _ = write!(out, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z");
}

/// Longest value from outside, in bytes of its own.
pub(super) const MAX_TEXT: usize = 2048;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_rfc_3339() {
        for (at, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_795_478_400, "2026-11-24T00:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
        ] {
            let mut out = String::new();
            write_time(&mut out, UnixTime(at));
            assert_eq!(out, text);
        }
    }
}
