//! A person's browser: cookies by the rules, redirects across hosts, forms, and signing in at a provider.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use rustls::RootCertStore;
use url::Url;

use super::Person;
use super::page::Form;
use super::raw::{Raw, Response};
use super::shapes;

/// One browser with one cookie jar.
#[derive(Clone)]
pub(crate) struct Browser {
    /// Where host names lead; addresses in URLs lead to themselves.
    gateway: SocketAddr,
    roots: Arc<RootCertStore>,
    jar: Jar,
}

/// Where a navigation ended.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    pub(crate) url: Url,
    pub(crate) response: Response,
    /// Every address on the way and the status it answered with.
    pub(crate) trail: Vec<(Url, u16)>,
}

/// Cookies by host and name, with what their `Set-Cookie` lines said.
#[derive(Clone, Default)]
pub(crate) struct Jar {
    cookies: BTreeMap<(String, String), Cookie>,
    /// Every `Set-Cookie` line ever received, with its host.
    pub(crate) lines: Vec<(String, String)>,
}

#[derive(Debug, Clone)]
struct Cookie {
    value: String,
    path: String,
    secure: bool,
}

/// What is sent besides method, address and cookies.
#[derive(Clone, Copy, Default)]
struct Sent<'a> {
    method: Option<&'a str>,
    headers: &'a str,
    body: Option<&'a str>,
}

impl Browser {
    /// A browser that finds every host name at `gateway` and trusts only `roots`.
    pub(crate) fn new(gateway: SocketAddr, roots: Arc<RootCertStore>) -> Self {
        Self { gateway, roots, jar: Jar::default() }
    }

    /// The cookies.
    pub(crate) fn jar(&mut self) -> &mut Jar {
        &mut self.jar
    }

    /// The same browser after the gateway came back on another port.
    pub(crate) fn moved_to(mut self, gateway: SocketAddr) -> Self {
        self.gateway = gateway;
        self
    }

    /// Types an address and follows redirects, but sends no form.
    pub(crate) async fn open(&mut self, url: &str) -> Page {
        self.navigate(Url::parse(url).unwrap(), None, Vec::new()).await
    }

    /// Sends a form and follows redirects.
    pub(crate) async fn submit(&mut self, form: &Form) -> Page {
        if form.post {
            return self.navigate(form.action.clone(), Some(form), Vec::new()).await;
        }
        let mut url = form.action.clone();
        url.set_query(Some(&form.encoded()));
        self.navigate(url, None, Vec::new()).await
    }

    /// One request of a script (`fetch`): no redirect is followed.
    pub(crate) async fn fetch(&mut self, url: &str) -> Response {
        let headers = "Accept: application/json\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\nSec-Fetch-Site: same-origin\r\n";
        self.request(&Url::parse(url).unwrap(), Sent { headers, ..Sent::default() }).await
    }

    /// One request with headers of the test's own, besides `Host` and the cookies.
    pub(crate) async fn send(&mut self, method: &str, url: &str, headers: &str, body: Option<&str>) -> Response {
        self.request(&Url::parse(url).unwrap(), Sent { method: Some(method), headers, body }).await
    }

    /// Opens `url` and signs in as `person` if asked to; ends where the browser ends.
    pub(crate) async fn sign_in(&mut self, url: &str, person: &Person) -> Page {
        let page = self.open(url).await;
        self.go_on(page, Some(person)).await
    }

    /// Opens `url`, sends forms that send themselves, and types nothing: single sign-on or nothing.
    pub(crate) async fn open_silently(&mut self, url: &str) -> Page {
        let page = self.open(url).await;
        self.go_on(page, None).await
    }

    /// Goes on from `page` as long as there is something to do without a person, or `person` has something to type.
    pub(crate) async fn go_on(&mut self, mut page: Page, person: Option<&Person>) -> Page {
        for _ in 0..MOST_PAGES {
            let html = page.response.text();
            let forms = page.forms();
            let form = match (forms.iter().find(|form| form.sends_itself(&html)), person) {
                (Some(form), _) => form.clone(),
                (None, Some(person)) => match forms.into_iter().find(|form| form.has("password")) {
                    Some(form) => shapes::filled_sign_in_form(form, person),
                    None => return page,
                },
                (None, None) => return page,
            };
            let trail = std::mem::take(&mut page.trail);
            page = self.navigate(form.action.clone(), Some(&form), trail).await;
        }
        panic!("no end of forms: {:#?}", page.trail)
    }

    /// Navigates without following anything.
    pub(crate) async fn step(&mut self, url: &str) -> Response {
        self.request(&Url::parse(url).unwrap(), Sent { headers: NAVIGATION, ..Sent::default() }).await
    }

    /// Sends a form and follows redirects up to, but not into, the first address that begins with `stop`.
    pub(crate) async fn until_redirect_to(&mut self, form: &Form, stop: &str) -> String {
        let mut url = form.action.clone();
        let (body, headers) = (form.encoded(), form_headers(form));
        let mut sent = Sent { method: Some("POST"), headers: &headers, body: Some(&body) };
        for _ in 0..MOST_REDIRECTS {
            let response = self.request(&url, sent).await;
            let location =
                response.header("location").unwrap_or_else(|| panic!("no redirect at {url}: {}", response.head));
            url = url.join(location).unwrap();
            if url.as_str().starts_with(stop) {
                return url.into();
            }
            sent = Sent { headers: NAVIGATION, ..Sent::default() };
        }
        panic!("no redirect to {stop}, but to {url}")
    }

    /// Opens `url` and follows redirects, but goes nowhere below `dead`: gives the last answer before it.
    pub(crate) async fn sign_in_or_stop(&mut self, url: &str, dead: &str) -> Response {
        let mut url = Url::parse(url).unwrap();
        for _ in 0..MOST_REDIRECTS {
            let response = self.request(&url, Sent { headers: NAVIGATION, ..Sent::default() }).await;
            let Some(location) = response.header("location") else { return response };
            let next = url.join(location).unwrap();
            if next.as_str().starts_with(dead) {
                return response;
            }
            url = next;
        }
        panic!("a redirect loop at {url}")
    }

    async fn navigate(&mut self, start: Url, form: Option<&Form>, mut trail: Vec<(Url, u16)>) -> Page {
        let mut url = start;
        let mut form = form.map(|form| (form.encoded(), form_headers(form)));
        for _ in 0..MOST_REDIRECTS {
            let sent = match &form {
                Some((body, headers)) => Sent { method: Some("POST"), headers, body: Some(body) },
                None => Sent { headers: NAVIGATION, ..Sent::default() },
            };
            let response = self.request(&url, sent).await;
            trail.push((url.clone(), response.status));
            let location = response.header("location").filter(|_| matches!(response.status, 301..=303 | 307 | 308));
            let Some(location) = location else { return Page { url, response, trail } };
            let next = url.join(location).unwrap();
            if !matches!(response.status, 307 | 308) {
                form = None;
            }
            url = next;
        }
        panic!("a redirect loop: {trail:#?}")
    }

    async fn request(&mut self, url: &Url, sent: Sent<'_>) -> Response {
        let host = url.host_str().unwrap().to_owned();
        let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
        let authority = url.port().map_or_else(|| host.clone(), |port| format!("{host}:{port}"));
        let mut head =
            format!("{} {target} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n", sent.method.unwrap_or("GET"));
        head.push_str(sent.headers);
        let cookies = self.jar.header_for(url);
        if !cookies.is_empty() {
            head.push_str(&format!("Cookie: {cookies}\r\n"));
        }
        if let Some(body) = sent.body {
            if !sent.headers.to_ascii_lowercase().contains("content-type:") {
                head.push_str("Content-Type: application/x-www-form-urlencoded\r\n");
            }
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        head.push_str(sent.body.unwrap_or_default());
        let mut raw = self.connect(url, &host).await;
        raw.send(head.as_bytes()).await;
        let response = raw.response().await.unwrap_or_else(|error| panic!("{url}: {error:?}"));
        self.jar.store(url, &response);
        response
    }

    async fn connect(&self, url: &Url, host: &str) -> Raw {
        let to = host
            .parse::<Ipv4Addr>()
            .map_or(self.gateway, |address| (address, url.port_or_known_default().unwrap()).into());
        let raw = match url.scheme() {
            "https" => Raw::tls(to, host, Some(&["http/1.1"]), &self.roots).await,
            _ => Raw::tcp(to).await,
        };
        raw.unwrap_or_else(|error| panic!("{url}: {error}"))
    }
}

impl Page {
    pub(crate) fn forms(&self) -> Vec<Form> {
        Form::all(&self.url, &self.response.text())
    }

    pub(crate) fn status(&self) -> u16 {
        self.response.status
    }

    /// Whether the way led through this host.
    pub(crate) fn passed(&self, host: &str) -> bool {
        self.trail.iter().any(|(url, _)| url.host_str() == Some(host))
    }
}

impl Jar {
    /// The value of the cookie `name` of `host`.
    pub(crate) fn value(&self, host: &str, name: &str) -> Option<String> {
        self.cookies.get(&(host.to_owned(), name.to_owned())).map(|cookie| cookie.value.clone())
    }

    /// Forgets one cookie.
    pub(crate) fn forget(&mut self, host: &str, name: &str) {
        self.cookies.remove(&(host.to_owned(), name.to_owned()));
    }

    /// Puts a cookie in, as somebody does who stole it.
    pub(crate) fn put(&mut self, host: &str, name: &str, value: &str) {
        let cookie = Cookie { value: value.to_owned(), path: "/".to_owned(), secure: true };
        self.cookies.insert((host.to_owned(), name.to_owned()), cookie);
    }

    /// The `Cookie` line for an address; empty if there is none.
    pub(crate) fn header_for(&self, url: &Url) -> String {
        let host = url.host_str().unwrap();
        let fits = |((owner, _), cookie): &(&(String, String), &Cookie)| {
            owner == host && url.path().starts_with(&cookie.path) && (!cookie.secure || url.scheme() == "https")
        };
        let pairs = self.cookies.iter().filter(fits).map(|((_, name), cookie)| format!("{name}={}", cookie.value));
        pairs.collect::<Vec<_>>().join("; ")
    }

    fn store(&mut self, url: &Url, response: &Response) {
        let host = url.host_str().unwrap().to_owned();
        for line in response.headers("set-cookie") {
            self.lines.push((host.clone(), line.to_owned()));
            let mut parts = line.split(';').map(str::trim);
            let (name, value) = parts.next().unwrap().split_once('=').unwrap();
            let attributes: BTreeMap<String, &str> = parts
                .map(|part| part.split_once('=').unwrap_or((part, "")))
                .map(|(name, value)| (name.to_ascii_lowercase(), value))
                .collect();
            let secure = attributes.contains_key("secure");
            let path = attributes.get("path").copied().unwrap_or("/");
            // RFC 6265bis section 4.1.3.2: a browser ignores a `__Host-` cookie that breaks its rules.
            if name.starts_with("__Host-") {
                let keeps_rules =
                    secure && path == "/" && !attributes.contains_key("domain") && url.scheme() == "https";
                assert!(keeps_rules, "a browser would ignore this cookie of {url}: {line}");
            }
            let over = attributes.get("max-age").is_some_and(|age| age.parse::<i64>().unwrap() <= 0)
                || attributes.get("expires").is_some_and(|date| date.contains("1970"));
            let key = (host.clone(), name.to_owned());
            if over {
                self.cookies.remove(&key);
            } else {
                self.cookies.insert(key, Cookie { value: value.to_owned(), path: path.to_owned(), secure });
            }
        }
    }
}

/// What a browser says about where a form stands. The pages of gateway and provider send no referrer to other
/// origins; the Fetch standard (3.2.5) makes the `Origin` of a form "null" then, and `Sec-Fetch-Site` still tells.
fn form_headers(form: &Form) -> String {
    let site = if form.page.origin() == form.action.origin() { "same-origin" } else { "cross-site" };
    format!(
        "Accept: text/html,application/xhtml+xml\r\nOrigin: null\r\nSec-Fetch-Mode: navigate\r\n\
         Sec-Fetch-Dest: document\r\nSec-Fetch-Site: {site}\r\n"
    )
}

pub(crate) const NAVIGATION: &str = "Accept: text/html,application/xhtml+xml\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nSec-Fetch-Site: none\r\nUpgrade-Insecure-Requests: 1\r\n";
const MOST_REDIRECTS: usize = 12;
const MOST_PAGES: usize = 6;
