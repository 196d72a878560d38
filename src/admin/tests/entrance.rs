//! Who gets in with a browser on this machine, and what another site can make that browser do: nothing.

use super::*;

#[tokio::test]
async fn the_token_typed_in_opens_the_console_for_an_hour() {
    let admin = Running::start().await;
    let page = admin.ask("GET", "/", "").await;
    assert!(page.starts_with("HTTP/1.1 401") && page.contains("<form method=\"post\" action=\"/sign-in\">"), "{page}");
    let (answer, cookie) = admin.sign_in(TOKEN).await;
    assert!(answer.starts_with("HTTP/1.1 303"), "{answer}");
    let set = answer.lines().find(|line| line.starts_with("set-cookie: ")).unwrap();
    for part in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=3600"] {
        assert!(set.contains(part), "{set}");
    }
    assert!(set.contains(&format!("portcullis-admin-{}=", admin.address.port())), "{set}");
    for path in ["/", "/people", "/api/v1/iam", "/api/v1/sessions"] {
        assert_eq!(admin.status("GET", path, &cookie).await, 200, "{path}");
    }
    admin.clock.advance(Duration::from_secs(3600));
    assert_eq!(admin.status("GET", "/api/v1/iam", &cookie).await, 401);
    admin.stop().await;
}

#[tokio::test]
async fn a_wrong_token_is_told_so_and_written_down() {
    let admin = Running::start().await;
    for wrong in ["", "wrong", &TOKEN[..31], &format!("{TOKEN}0")] {
        let (answer, cookie) = admin.sign_in(wrong).await;
        assert!(answer.starts_with("HTTP/1.1 401") && answer.contains("This is not the token"), "{answer}");
        assert_eq!(cookie, "");
    }
    let lines = admin.stop().await;
    let refused = lines.iter().filter(|l| l["action"] == "console_sign_in" && l["outcome"] == "refused").count();
    assert_eq!(refused, 4);
    assert!(!lines.iter().any(|line| line.to_string().contains(&TOKEN[..31])));
}

#[tokio::test]
async fn only_our_own_page_signs_somebody_in() {
    let admin = Running::start().await;
    let body = format!("token={TOKEN}");
    for (origin, kind, status) in [
        ("", "application/x-www-form-urlencoded", 403),
        ("Origin: https://evil.test\r\n", "application/x-www-form-urlencoded", 403),
        ("Origin: null\r\n", "application/x-www-form-urlencoded", 403),
        ("Origin: {own}\r\nSec-Fetch-Site: cross-site\r\n", "application/x-www-form-urlencoded", 403),
        ("Origin: {own}\r\n", "text/plain", 403),
        ("Origin: {own}\r\n", "application/x-www-form-urlencoded", 303),
    ] {
        let origin = origin.replace("{own}", &admin.origin());
        let answer = admin.post("/sign-in", &format!("{origin}Content-Type: {kind}\r\n"), &body).await;
        assert_eq!(status_of(&answer), status, "{origin}{kind}: {answer}");
    }
    admin.stop().await;
}

#[tokio::test]
async fn a_browsers_change_needs_our_origin_and_json() {
    let admin = Running::start().await;
    let (_, cookie) = admin.sign_in(TOKEN).await;
    let own = format!("Origin: {}\r\n", admin.origin());
    let json = "Content-Type: application/json\r\n";
    for (headers, status) in [
        (String::new(), 403),
        (json.to_owned(), 403),
        (own.clone(), 415),
        (format!("{own}Content-Type: text/plain\r\n"), 415),
        (format!("Origin: https://evil.test\r\n{json}"), 403),
        (format!("Origin: http://localhost:1\r\n{json}"), 403),
        (format!("{own}Sec-Fetch-Site: same-site\r\n{json}"), 403),
        (format!("{own}{json}"), 200),
    ] {
        let answer = admin.post("/api/v1/reload", &format!("{cookie}{headers}"), "{}").await;
        assert_eq!(status_of(&answer), status, "{headers}: {answer}");
    }
    assert_eq!(admin.reloads.load(Ordering::SeqCst), 1);
    for method in ["DELETE", "PUT", "PATCH"] {
        assert_eq!(admin.status(method, "/api/v1/sessions/0000000000000001", &cookie).await, 403, "{method}");
    }
    assert_eq!(admin.sessions.count(), 3);
    // Whoever sends the token by hand is no browser that could be misled.
    assert_eq!(admin.status("DELETE", "/api/v1/sessions/0000000000000001", &bearer()).await, 200);
    let lines = admin.stop().await;
    assert!(lines.iter().filter(|line| line["event"] == "admin_action").all(|line| line["by"] == "local"));
}

#[tokio::test]
async fn a_cookie_and_a_wrong_token_is_a_wrong_token() {
    let admin = Running::start().await;
    let (_, cookie) = admin.sign_in(TOKEN).await;
    assert_eq!(admin.status("GET", "/api/v1/iam", &format!("{cookie}Authorization: Bearer x\r\n")).await, 401);
    let twice = format!("{cookie}{cookie}");
    assert_eq!(admin.status("GET", "/api/v1/iam", &twice).await, 401, "somebody shadows the cookie");
    admin.stop().await;
}

#[tokio::test]
async fn signing_out_ends_the_session_here_not_only_the_cookie() {
    let admin = Running::start().await;
    let (_, cookie) = admin.sign_in(TOKEN).await;
    let headers = format!("{cookie}Origin: {}\r\nContent-Type: application/json\r\n", admin.origin());
    let answer = admin.post("/sign-out", &headers, "{}").await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("Max-Age=0"), "{answer}");
    assert_eq!(admin.status("GET", "/api/v1/iam", &cookie).await, 401);
    admin.stop().await;
}

#[tokio::test]
async fn few_sessions_are_kept_and_the_oldest_gives_way() {
    let admin = Running::start().await;
    let (_, first) = admin.sign_in(TOKEN).await;
    let (_, second) = admin.sign_in(TOKEN).await;
    for _ in 0..15 {
        admin.sign_in(TOKEN).await;
    }
    assert_eq!(admin.status("GET", "/api/v1/iam", &first).await, 401);
    assert_eq!(admin.status("GET", "/api/v1/iam", &second).await, 200);
    admin.stop().await;
}

#[tokio::test]
async fn pages_forbid_everything_inline_and_framing() {
    let admin = Running::start().await;
    let (_, cookie) = admin.sign_in(TOKEN).await;
    for (path, headers) in [("/", ""), ("/", &*cookie), ("/people", &cookie), ("/consent/callback?state=x", "")] {
        let answer = admin.ask("GET", path, headers).await;
        let policy = answer.lines().find(|line| line.starts_with("content-security-policy: ")).unwrap();
        for part in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        assert!(answer.contains("referrer-policy: same-origin"), "or a browser's form has no origin: {answer}");
        assert!(answer.contains("x-frame-options: DENY") && answer.contains("cache-control: no-store"), "{answer}");
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(!body.contains("<script>") && !body.contains("style=\"") && !body.contains(" onclick"), "{body}");
    }
    admin.stop().await;
}

impl Running {
    pub(super) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) async fn post(&self, path: &str, headers: &str, body: &str) -> String {
        let (host, length) = (self.address, body.len());
        let head = format!("POST {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}\r\n");
        self.raw(&format!("{head}{headers}\r\n{body}")).await
    }

    /// Fills in the form; the answer, and the cookie as a header line.
    pub(super) async fn sign_in(&self, token: &str) -> (String, String) {
        let headers = format!("Origin: {}\r\nContent-Type: application/x-www-form-urlencoded\r\n", self.origin());
        let answer = self.post("/sign-in", &headers, &format!("token={token}")).await;
        let set = answer.lines().find_map(|line| line.strip_prefix("set-cookie: "));
        let cookie = set.and_then(|set| set.split(';').next()).map(|pair| format!("Cookie: {pair}\r\n"));
        (answer, cookie.unwrap_or_default())
    }
}

pub(super) fn status_of(answer: &str) -> u16 {
    answer.split(' ').nth(1).unwrap_or_default().parse().unwrap_or_else(|_| panic!("{answer}"))
}
