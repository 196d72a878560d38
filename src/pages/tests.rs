//! Tests of the pages: escaping, security headers, JSON twins.

use super::*;
use crate::policy::Reason;

const HOSTILE: &str = "\"><script>alert(1)</script><img src=x onerror=alert(1)>' onload='x";
const ID: &str = "00112233445566778899aabbccddeeff";

#[test]
fn hostile_text_is_escaped_in_every_field_of_every_page() {
    let person = SignedInAs { name: HOSTILE, email: HOSTILE };
    let apps = [AppLink { name: HOSTILE, url: HOSTILE }];
    let fields = [(HOSTILE.to_owned(), HOSTILE.to_owned())];
    let pages = Pages::new(Config { organisation: Some(HOSTILE.to_owned()), help: help(HOSTILE), ..Config::default() });
    for page in every_page(HOSTILE, person, &apps, &fields) {
        let response = pages.respond(&page, Audience::Browser, HOSTILE);
        let html = text(&response);
        // What remains of our own markup and scripts cannot hold any of these.
        assert!(!html.contains("<script>alert"), "{page:?}");
        assert!(!html.contains("<img"), "{page:?}");
        assert!(!html.contains("' onload"), "{page:?}");
        assert!(!html.contains("\"><script"), "{page:?}");
        for value in response.headers().values() {
            assert!(!value.to_str().unwrap().contains("alert"), "{page:?}");
        }
        let twin = pages.respond(&page, Audience::Api, HOSTILE);
        let json: serde_json::Value = serde_json::from_slice(twin.body()).unwrap();
        assert_eq!(json["request_id"], HOSTILE);
    }
}

#[test]
fn every_page_forbids_framing_sniffing_caching_and_foreign_content() {
    let provider_origins = vec!["https://login.microsoftonline.com".to_owned()];
    let pages = Pages::new(Config { provider_origins, ..Config::default() });
    let person = SignedInAs { name: "Alice", email: "alice@contoso.example" };
    for page in every_page("x", person, &[], &[]) {
        for audience in [Audience::Browser, Audience::Api] {
            let response = pages.respond(&page, audience, ID);
            let header = |name: &str| response.headers().get(name).map_or("", |v| v.to_str().unwrap());
            let policy = header("content-security-policy");
            assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
            assert!(policy.contains("base-uri 'none'"), "{policy}");
            assert!(!policy.contains("unsafe"), "{policy}");
            assert_eq!(header("x-content-type-options"), "nosniff");
            assert_eq!(header("referrer-policy"), "no-referrer");
            assert_eq!(header("cache-control"), "no-store");
            if matches!(page, Page::FrontChannelDone) {
                assert!(policy.contains("frame-ancestors https://login.microsoftonline.com;"), "{policy}");
                assert_eq!(header("x-frame-options"), "");
            } else {
                assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
                assert_eq!(header("x-frame-options"), "DENY");
            }
            assert_eq!(response.status(), page.status());
        }
    }
}

#[test]
fn the_policy_names_the_hash_of_the_style_and_script_that_are_sent() {
    let pages = Pages::new(Config::default());
    let kept = KeptPost {
        key: "k",
        action: "/save",
        fields: &[],
        login_url: "https://auth.example/",
        why: KeptWhile::SigningIn,
    };
    for page in [Page::PreservePost(kept), Page::ResumePost { key: "k", fallback: "/" }, Page::NotFound] {
        let response = pages.respond(&page, Audience::Browser, ID);
        let policy = response.headers()["content-security-policy"].to_str().unwrap().to_owned();
        let html = text(&response);
        for (open, close) in [("<style>", "</style>"), ("<script>", "</script>")] {
            let Some((_, rest)) = html.split_once(open) else {
                assert_eq!(open, "<script>");
                assert!(!policy.contains("script-src"), "{policy}");
                continue;
            };
            let (inside, _) = rest.split_once(close).unwrap();
            assert!(policy.contains(&headers::source_hash(inside)), "{open} {policy}");
        }
    }
}

#[test]
fn the_json_twin_of_a_block_names_error_reason_and_request() {
    let blocked = Blocked { reason: Reason::RuleBlocks, app: "wiki", person: None, sign_out: None };
    let response = Pages::new(Config::default()).respond(&Page::Blocked(blocked), Audience::Api, ID);
    assert_eq!(response.status(), 403);
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(
        text(&response),
        "{\"error\":\"blocked\",\"reason\":\"rule_blocks\",\"message\":\"You do not have access. Your organisation's \
         rules do not let your account open this.\",\"request_id\":\"00112233445566778899aabbccddeeff\"}"
    );
}

#[test]
fn an_api_caller_without_a_session_learns_where_to_sign_in() {
    let page = Page::SignInRequired { login_url: "https://auth.example/in?to=1" };
    let response = Pages::new(Config::default()).respond(&page, Audience::Api, ID);
    assert_eq!(response.status(), 401);
    assert!(response.headers().contains_key("www-authenticate"));
    let json: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
    assert_eq!(json["login_url"], "https://auth.example/in?to=1");
    assert_eq!(json["error"], "sign_in_required");
}

#[test]
fn the_block_page_reads_like_this() {
    let blocked = Blocked {
        reason: Reason::NoRuleMatched,
        app: "payroll",
        person: Some(SignedInAs { name: "Alice Arnold", email: "alice@contoso.example" }),
        sign_out: Some("https://auth.example/.portcullis/sign-out"),
    };
    let pages = Pages::new(Config { organisation: Some("Contoso".to_owned()), ..Config::default() });
    let html = text(&pages.respond(&Page::Blocked(blocked), Audience::Browser, ID));
    let (_, card) = html.split_once("<h1>").unwrap();
    let (card, _) = card.split_once("\n</div>").unwrap();
    assert_eq!(
        card,
        "You do not have access</h1>\n<p>No rule gives your account access to this.</p>\n<p class=\"soft\">If you need \
         it, ask your administrator and give them the request id below.</p>\n<div class=\"actions\"><a class=\"button \
         plain\" href=\"https://auth.example/.portcullis/sign-out\">Use another account</a></div>\n<dl><dt>Signed in as</dt>\
         <dd>Alice Arnold<br>alice@contoso.example</dd><dt>App</dt><dd>payroll</dd>\
         <dt>Reason</dt><dd>no_rule_matched</dd><dt>Request id</dt>\
         <dd><code>00112233445566778899aabbccddeeff</code></dd></dl>"
    );
}

#[test]
fn an_origin_that_could_widen_the_policy_is_left_out() {
    let provider_origins = ["https://a; script-src *", "*", "https://ok.example"].map(str::to_owned).into();
    let pages = Pages::new(Config { provider_origins, ..Config::default() });
    let response = pages.respond(&Page::FrontChannelDone, Audience::Browser, ID);
    let policy = response.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("frame-ancestors https://ok.example;"), "{policy}");
    assert!(!policy.contains('*'), "{policy}");
}

#[test]
fn somebody_at_risk_is_told_what_to_do_and_a_warning_can_be_gone_on_from() {
    let help =
        Help { text: Some("Call 4711.".to_owned()), url: Some("https://help.example/".to_owned()), ..Help::default() };
    let pages = Pages::new(Config { help, ..Config::default() });
    let risk = AtRisk { reason: Reason::RiskRule, app: "payroll", person: None, sign_in: "https://auth.example/again" };
    let response = pages.respond(&Page::AtRisk(risk.clone()), Audience::Browser, ID);
    assert_eq!(response.status(), 403);
    let html = text(&response);
    for part in [
        Reason::RiskRule.sentence(),
        "href=\"https://aka.ms/sspr\"",
        "href=\"https://mysignins.microsoft.com/security-info\"",
        "href=\"https://auth.example/again\"",
        "href=\"https://help.example/\"",
        "Call 4711.",
        "payroll",
        ID,
    ] {
        assert!(html.contains(part), "{part}\n{html}");
    }
    let twin = text(&pages.respond(&Page::AtRisk(risk), Audience::Api, ID));
    assert!(twin.starts_with("{\"error\":\"blocked\",\"reason\":\"risk_rule\","), "{twin}");
    let person = SignedInAs { name: "Alice", email: "" };
    let warning = Warning { caution: Caution::Rule, app: "wiki", person, action: "/go", token: "sealed" };
    let response = pages.respond(&Page::Warning(warning), Audience::Browser, ID);
    let policy = response.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("form-action 'self' https:;") && !policy.contains("script-src"), "{policy}");
    let html = text(&response);
    assert!(
        html.contains("<form method=\"post\" action=\"/go\"><input type=\"hidden\" name=\"to\" value=\"sealed\">"),
        "{html}"
    );
    assert!(html.contains("Continue to wiki") && html.contains(ID), "{html}");
}

/// Writes every page to the folder named by `PORTCULLIS_PAGES_OUT`, to be looked at.
#[test]
#[ignore = "writes files to be looked at by a person"]
fn pages_for_looking_at() {
    let Some(folder) = std::env::var_os("PORTCULLIS_PAGES_OUT") else { return };
    let folder = std::path::PathBuf::from(folder);
    let person = SignedInAs { name: "Alice Arnold", email: "alice@contoso.example" };
    let apps = [
        AppLink { name: "Wiki", url: "https://wiki.localhost:8443/" },
        AppLink { name: "Payroll", url: "https://payroll.localhost:8443/" },
        AppLink { name: "Customer relationship management", url: "https://crm.internal.contoso.example/start" },
    ];
    let fields = ["note", "elements", "action", "submit", "appendChild", "dataset"]
        .map(|name| (name.to_owned(), "two\nlines & <more>".to_owned()));
    let pages = Pages::new(Config { organisation: Some("Contoso".to_owned()), ..Config::default() });
    for (at, page) in every_page("wiki", person, &apps, &fields).into_iter().enumerate() {
        let html = pages.respond(&page, Audience::Browser, ID);
        std::fs::write(folder.join(format!("{at:02}-{}.html", page.word())), html.body()).unwrap();
    }
}

fn every_page<'a>(
    any: &'a str,
    person: SignedInAs<'a>,
    apps: &'a [AppLink<'a>],
    fields: &'a [(String, String)],
) -> Vec<Page<'a>> {
    let mut pages = vec![
        Page::Blocked(Blocked { reason: Reason::RuleBlocks, app: any, person: Some(person), sign_out: Some(any) }),
        Page::AtRisk(AtRisk { reason: Reason::RiskRule, app: any, person: Some(person), sign_in: any }),
        Page::Warning(Warning { caution: Caution::Rule, app: any, person, action: any, token: any }),
        Page::Warning(Warning { caution: Caution::Risk, app: any, person, action: any, token: any }),
        Page::StepUpFailed { problem: StepUpProblem::NotConfirmed, retry: any },
        Page::SignInRequired { login_url: any },
        Page::TooManyAttempts { retry: any },
        Page::ProviderDown { retry: Some(any) },
        Page::StoreDown,
        Page::SignOutConfirm { action: any, csrf: any, person: Some(person) },
        Page::SignedOut { sign_in: Some(any) },
        Page::Portal(Portal { person, apps, session: any, sign_out: any, csrf: any }),
        Page::UpstreamDown { app: any },
        Page::UpstreamTimeout { app: any },
        Page::Busy,
        Page::NotFound,
        Page::Misdirected,
        Page::BadRequest { word: BadRequestWord::new("ambiguous_framing") },
        Page::MethodNotAllowed,
        Page::PayloadTooLarge,
        Page::PreservePost(KeptPost { key: any, action: any, fields, login_url: any, why: KeptWhile::SigningIn }),
        Page::PreservePost(KeptPost { key: any, action: any, fields, login_url: any, why: KeptWhile::Warned }),
        Page::ResumePost { key: any, fallback: any },
        Page::FrontChannelDone,
    ];
    pages.extend(SignInProblem::ALL.map(|problem| Page::SignInFailed { problem, retry: Some(any) }));
    pages
}

fn help(any: &str) -> Help {
    let any = || any.to_owned();
    Help { text: Some(any()), url: Some(any()), password_reset_url: any(), security_info_url: any() }
}

fn text(response: &Response<Bytes>) -> String {
    String::from_utf8(response.body().to_vec()).unwrap()
}
