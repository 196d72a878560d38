//! Security headers of the gateway's own answers. Everything is forbidden except our one style sheet, our two scripts
//! (both by hash) and forms back to us.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, RETRY_AFTER, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::Audience;
use super::body::{KEEP_POST_SCRIPT, RESUME_POST_SCRIPT, STYLE};
use super::content::Page;

/// The content security policy of each kind of page.
#[derive(Debug, Clone)]
pub(super) struct Policies {
    plain: HeaderValue,
    sign_out_form: HeaderValue,
    continue_form: HeaderValue,
    keep_post: HeaderValue,
    resume_post: HeaderValue,
    framed: HeaderValue,
}

impl Policies {
    pub(super) fn new(provider_origins: &[String]) -> Self {
        let style = source_hash(STYLE);
        let origins: String =
            provider_origins.iter().filter(|origin| is_origin(origin)).flat_map(|o| [" ", o.as_str()]).collect();
        // Browsers hold `form-action` against every redirect that follows, and signing out ends at the provider.
        let sign_out = format!("'self'{origins}");
        let ancestors = if origins.is_empty() { " 'none'" } else { origins.as_str() };
        Self {
            plain: policy(&style, None, "'none'", " 'none'"),
            sign_out_form: policy(&style, None, &sign_out, " 'none'"),
            // Going on ends at the app, which may well redirect to another site.
            continue_form: policy(&style, None, "'self' https:", " 'none'"),
            keep_post: policy(&style, Some(KEEP_POST_SCRIPT), "'none'", " 'none'"),
            // The app answers the form, and may well redirect to another site.
            resume_post: policy(&style, Some(RESUME_POST_SCRIPT), "'self' https:", " 'none'"),
            framed: policy(&style, None, "'none'", ancestors),
        }
    }

    pub(super) fn apply(&self, page: &Page<'_>, audience: Audience, headers: &mut HeaderMap) {
        let policy = match (audience, page) {
            (_, Page::FrontChannelDone) => &self.framed,
            (Audience::Browser, Page::Portal(_) | Page::SignOutConfirm { .. }) => &self.sign_out_form,
            (Audience::Browser, Page::Warning(_)) => &self.continue_form,
            (Audience::Browser, Page::PreservePost(_)) => &self.keep_post,
            (Audience::Browser, Page::ResumePost { .. }) => &self.resume_post,
            _ => &self.plain,
        };
        headers.insert(CONTENT_SECURITY_POLICY, policy.clone());
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(CROSS_ORIGIN_OPENER_POLICY, HeaderValue::from_static("same-origin"));
        if !matches!(page, Page::FrontChannelDone) {
            headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
        }
        if let Some(seconds) = page.retry_after() {
            headers.insert(RETRY_AFTER, HeaderValue::from_static(seconds));
        }
        if page.status() == http::StatusCode::UNAUTHORIZED {
            // A 401 must name a scheme (RFC 9110 section 15.5.2); browsers show no dialogue for one they do not know.
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Portcullis"));
        }
    }
}

/// A CSP source for exactly this inline text.
pub(super) fn source_hash(text: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(digest(&SHA256, text.as_bytes())))
}

fn policy(style: &str, script: Option<&str>, form_action: &str, frame_ancestors: &str) -> HeaderValue {
    let script = script.map(|text| format!(" script-src {};", source_hash(text))).unwrap_or_default();
    let text = format!(
        "default-src 'none'; style-src {style};{script} form-action {form_action}; frame-ancestors{frame_ancestors}; \
         base-uri 'none'"
    );
    // Origins are checked, all else is ours; should it fail all the same, the strictest policy is the one to have.
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"))
}

/// Scheme, host and port only: nothing that could end the directive or name more than one place.
fn is_origin(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|host| {
        !host.is_empty()
            && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'[' | b']'))
    })
}

const CROSS_ORIGIN_OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
