//! The JSON twin of each page.

use serde::Serialize;

use super::body::{message, title};
use super::content::Page;

/// `{"error":word,"reason":…,"message":…,"login_url":…,"request_id":…}`; keys without a value are left out.
#[derive(Serialize)]
struct Twin<'a> {
    error: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    login_url: Option<&'a str>,
    request_id: &'a str,
}

pub(super) fn twin(page: &Page<'_>, request_id: &str) -> Vec<u8> {
    let twin = Twin {
        error: page.word(),
        reason: reason(page),
        message: format!("{}. {}", title(page), message(page)),
        login_url: login_url(page),
        request_id,
    };
    // Only strings: serialising cannot fail. An empty body with the right status would still be a refusal.
    serde_json::to_vec(&twin).unwrap_or_default()
}

const fn reason(page: &Page<'_>) -> Option<&'static str> {
    match page {
        Page::Blocked(blocked) => Some(blocked.reason.word()),
        Page::AtRisk(risk) => Some(risk.reason.word()),
        Page::Warning(warning) => Some(warning.caution.word()),
        Page::StepUpFailed { problem, .. } => Some(problem.word()),
        Page::SignInFailed { problem, .. } => Some(problem.word()),
        Page::BadRequest { word } => Some(word.word()),
        _ => None,
    }
}

const fn login_url<'a>(page: &'a Page<'a>) -> Option<&'a str> {
    match page {
        Page::SignInRequired { login_url } => Some(login_url),
        Page::PreservePost(kept) => Some(kept.login_url),
        Page::SignInFailed { retry, .. } | Page::ProviderDown { retry } => *retry,
        Page::TooManyAttempts { retry } | Page::StepUpFailed { retry, .. } => Some(retry),
        Page::AtRisk(risk) => Some(risk.sign_in),
        Page::SignedOut { sign_in } => *sign_in,
        _ => None,
    }
}
