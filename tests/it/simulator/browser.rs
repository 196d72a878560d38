//! A browser and an app in a few lines: keeps the provider's cookie, never follows a redirect by itself.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use portcullis::simulator::{ALICE, APP_ID, APP_SECRET, CONTOSO, Options, Running, Simulator, World};
use serde_json::Value;
use url::Url;

pub(crate) const REDIRECT: &str = "https://gateway.example.com/auth/callback";
/// Appendix B of RFC 7636.
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub(crate) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

pub(crate) type Form = Vec<(&'static str, String)>;

pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }

    pub(crate) fn location(&self) -> Option<Url> {
        Some(Url::parse(self.headers.get(header::LOCATION)?.to_str().unwrap()).unwrap())
    }

    /// The parameters of an answer by query or fragment.
    pub(crate) fn answer(&self) -> HashMap<String, String> {
        let url = self.location().unwrap_or_else(|| panic!("no redirect: {} {}", self.status, self.text()));
        let text = url.fragment().or_else(|| url.query()).unwrap_or_default().to_owned();
        url::form_urlencoded::parse(text.as_bytes()).into_owned().collect()
    }

    /// The value of a hidden input.
    pub(crate) fn input(&self, name: &str) -> Option<String> {
        let text = self.text();
        let (_, rest) = text.split_once(&format!("name=\"{name}\" value=\""))?;
        Some(rest.split_once('"')?.0.to_owned())
    }

    /// Asserts that this is a page of the provider's own, with this AADSTS number and no redirect.
    pub(crate) fn assert_page(&self, code: u32) {
        assert!(self.location().is_none(), "redirected to {:?}", self.location());
        assert!(self.headers[header::CONTENT_TYPE].to_str().unwrap().starts_with("text/html"));
        assert!(self.text().contains(&format!("AADSTS{code}")), "{}", self.text());
    }

    /// Asserts that this is a failure in the JSON shape of section 10.1.
    pub(crate) fn assert_failure(&self, code: u32, error: &str) -> Value {
        let body = self.json();
        assert_eq!(body["error_codes"], serde_json::json!([code]), "{body}");
        assert_eq!(body["error"], error, "{body}");
        let description = body["error_description"].as_str().unwrap();
        assert!(description.starts_with(&format!("AADSTS{code}: ")), "{description}");
        let trailer = format!(
            "\r\nTrace ID: {}\r\nCorrelation ID: {}\r\nTimestamp: {}",
            body["trace_id"].as_str().unwrap(),
            body["correlation_id"].as_str().unwrap(),
            body["timestamp"].as_str().unwrap()
        );
        assert!(description.ends_with(&trailer), "{description}");
        assert!(body["error_uri"].as_str().unwrap().ends_with(&format!("/error?code={code}")));
        assert_eq!(self.headers["x-ms-request-id"], body["trace_id"].as_str().unwrap());
        body
    }
}

/// One browser in front of one simulator.
pub(crate) struct Browser {
    pub(crate) sim: Running,
    client: Client<HttpConnector, Full<Bytes>>,
    cookie: Option<String>,
}

impl Browser {
    /// A simulator with the demo world.
    pub(crate) async fn demo() -> Self {
        Self::with(World::demo([REDIRECT])).await
    }

    pub(crate) async fn with(world: World) -> Self {
        let sim = Simulator::start(Options::new(world)).await.unwrap();
        Self { sim, client: Client::builder(TokioExecutor::new()).build_http(), cookie: None }
    }

    pub(crate) fn base(&self) -> String {
        self.sim.base().as_str().trim_end_matches('/').to_owned()
    }

    pub(crate) fn forget_cookie(&mut self) {
        self.cookie = None;
    }

    pub(crate) async fn send(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> Result<Reply, hyper_util::client::legacy::Error> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base()));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(cookie) = &self.cookie {
            request = request.header(header::COOKIE, cookie);
        }
        let response = self.client.request(request.body(Full::new(body.into())).unwrap()).await?;
        for line in response.headers().get_all(header::SET_COOKIE) {
            let pair = line.to_str().unwrap().split(';').next().unwrap();
            self.cookie = (!pair.ends_with('=')).then(|| pair.to_owned());
        }
        let (parts, body) = response.into_parts();
        let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        Ok(Reply { status: parts.status, headers: parts.headers, body })
    }

    pub(crate) async fn get(&mut self, path: &str) -> Reply {
        self.send(Method::GET, path, &[], String::new()).await.unwrap()
    }

    pub(crate) async fn json(&mut self, method: Method, path: &str, body: Value) -> Reply {
        self.send(method, path, &[("content-type", "application/json")], body.to_string()).await.unwrap()
    }

    pub(crate) async fn post(&mut self, path: &str, form: &Form) -> Reply {
        self.post_with(path, &[], form).await
    }

    pub(crate) async fn post_with(&mut self, path: &str, headers: &[(&str, &str)], form: &Form) -> Reply {
        let mut all = vec![("content-type", "application/x-www-form-urlencoded")];
        all.extend(headers);
        self.send(Method::POST, path, &all, encoded(form)).await.unwrap()
    }

    pub(crate) async fn authorize(&mut self, request: &Form) -> Reply {
        self.get(&format!("/{CONTOSO}/oauth2/v2.0/authorize?{}", encoded(request))).await
    }

    /// Types `password` for `username` on the page `reply`.
    pub(crate) async fn sign_in_on(&mut self, page: &Reply, username: &str, password: &str) -> Reply {
        let flow = page.input("flow").unwrap_or_else(|| panic!("no sign-in page: {} {}", page.status, page.text()));
        self.post(
            &format!("/{CONTOSO}/login"),
            &vec![
                ("flow", flow),
                ("username", username.to_owned()),
                ("password", password.to_owned()),
                ("action", "sign-in".to_owned()),
            ],
        )
        .await
    }

    /// Presses a button on a page.
    pub(crate) async fn press(&mut self, page: &Reply, action: &str) -> Reply {
        let flow = page.input("flow").unwrap_or_else(|| panic!("no form: {} {}", page.status, page.text()));
        self.post(&format!("/{CONTOSO}/login"), &vec![("flow", flow), ("action", action.to_owned())]).await
    }

    /// A whole sign-in with this request; the answer to the app.
    pub(crate) async fn sign_in(&mut self, who: &str, request: &Form) -> Reply {
        let page = self.authorize(request).await;
        self.sign_in_on(&page, who, "demo").await
    }

    /// The code of a whole sign-in.
    pub(crate) async fn code(&mut self, who: &str, request: &Form) -> String {
        let reply = self.sign_in(who, request).await;
        reply.answer().remove("code").unwrap_or_else(|| panic!("no code: {:?}", reply.location()))
    }

    pub(crate) async fn token(&mut self, form: &Form) -> Reply {
        self.post(&format!("/{CONTOSO}/oauth2/v2.0/token"), form).await
    }

    /// The token response of a whole sign-in with the usual request.
    pub(crate) async fn tokens(&mut self, who: &str) -> Value {
        let code = self.code(who, &request()).await;
        let reply = self.token(&redemption(&code)).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
        reply.json()
    }

    pub(crate) async fn alice(&mut self) -> Value {
        self.tokens(ALICE).await
    }

    pub(crate) async fn refresh(&mut self, refresh_token: &Value) -> Reply {
        self.token(&vec![
            ("grant_type", "refresh_token".to_owned()),
            ("client_id", APP_ID.to_owned()),
            ("client_secret", APP_SECRET.to_owned()),
            ("refresh_token", refresh_token.as_str().unwrap().to_owned()),
        ])
        .await
    }
}

/// The usual authorization request.
pub(crate) fn request() -> Form {
    vec![
        ("client_id", APP_ID.to_owned()),
        ("response_type", "code".to_owned()),
        ("redirect_uri", REDIRECT.to_owned()),
        ("scope", "openid profile email offline_access".to_owned()),
        ("state", "q7Zk2fR1".to_owned()),
        ("nonce", "n-7Gh2Lq".to_owned()),
        ("code_challenge", CHALLENGE.to_owned()),
        ("code_challenge_method", "S256".to_owned()),
    ]
}

/// The usual redemption.
pub(crate) fn redemption(code: &str) -> Form {
    vec![
        ("grant_type", "authorization_code".to_owned()),
        ("client_id", APP_ID.to_owned()),
        ("client_secret", APP_SECRET.to_owned()),
        ("code", code.to_owned()),
        ("redirect_uri", REDIRECT.to_owned()),
        ("code_verifier", VERIFIER.to_owned()),
    ]
}

/// `form` with `name` set to `value`, or without it.
pub(crate) fn but(mut form: Form, name: &'static str, value: Option<&str>) -> Form {
    form.retain(|(n, _)| *n != name);
    form.extend(value.map(|v| (name, v.to_owned())));
    form
}

pub(crate) fn encoded(form: &Form) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish()
}

/// A part of a JWT as text.
pub(crate) fn part(token: &Value, at: usize) -> String {
    let part = token.as_str().unwrap().split('.').nth(at).unwrap();
    String::from_utf8(URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

/// The claims of a JWT.
pub(crate) fn claims(token: &Value) -> Value {
    serde_json::from_str(&part(token, 1)).unwrap()
}

/// The header of a JWT.
pub(crate) fn head(token: &Value) -> Value {
    serde_json::from_str(&part(token, 0)).unwrap()
}

/// Whether the published key of the token's `kid` made its signature.
pub(crate) fn is_signed(token: &Value, jwks: &Value) -> bool {
    let kid = head(token)["kid"].clone();
    let Some(key) = jwks["keys"].as_array().unwrap().iter().find(|k| k["kid"] == kid) else { return false };
    let (signed, signature) = token.as_str().unwrap().rsplit_once('.').unwrap();
    let bytes = |name: &str| URL_SAFE_NO_PAD.decode(key[name].as_str().unwrap()).unwrap();
    let (n, e) = (bytes("n"), bytes("e"));
    aws_lc_rs::rsa::PublicKeyComponents { n: &n, e: &e }
        .verify(
            &aws_lc_rs::signature::RSA_PKCS1_2048_8192_SHA256,
            signed.as_bytes(),
            &URL_SAFE_NO_PAD.decode(signature).unwrap(),
        )
        .is_ok()
}
