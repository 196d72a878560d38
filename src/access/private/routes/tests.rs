//! Tests of routing: host, prefix, and what cannot be built.

use std::time::Duration;

use super::*;
use crate::access::private::config::{HealthCheck, Scheme};
use crate::access::private::testing::app_config;

fn app(name: &str, host: &str, path: &str) -> AppConfig {
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
    AppConfig { name: name.into(), host: host.into(), path: path.into(), ..app_config(&[address]) }
}

#[test]
fn the_longest_prefix_on_whole_segments_wins() {
    let routes = Routes::build(vec![
        app("root", "wiki.test", "/"),
        app("docs", "wiki.test", "/docs"),
        app("deep", "wiki.test", "/docs/deep/"),
        app("other", "other.test", "/only"),
    ])
    .unwrap();
    for (host, path, name) in [
        ("wiki.test", "/", Some("root")),
        ("wiki.test", "/docs", Some("docs")),
        ("wiki.test", "/docs/", Some("docs")),
        ("wiki.test", "/docs/a", Some("docs")),
        ("wiki.test", "/docsy", Some("root")),
        ("wiki.test", "/docs/deep", Some("deep")),
        ("wiki.test", "/docs/deeper", Some("docs")),
        ("wiki.test", "/docs/deep/x", Some("deep")),
        ("wiki.test", "/Docs", Some("root")),
        ("other.test", "/", None),
        ("other.test", "/only/x", Some("other")),
        ("test", "/", None),
        ("a.wiki.test", "/", None),
        ("wiki.test.", "/", None),
    ] {
        assert_eq!(routes.find(host, path).map(|app| &*app.name), name, "{host}{path}");
    }
    assert!(routes.apps().iter().enumerate().all(|(index, app)| app.id.0 == u32::try_from(index).unwrap()));
}

#[test]
fn many_hosts_are_each_found() {
    let configs = (0..200).map(|n| app(&format!("app{n}"), &format!("h{n}.test"), "/")).collect();
    let routes = Routes::build(configs).unwrap();
    for n in 0..200 {
        assert_eq!(routes.find(&format!("h{n}.test"), "/x").unwrap().name, format!("app{n}").into());
    }
}

#[test]
fn mistakes_name_the_app_and_the_key() {
    type Change = fn(&mut AppConfig);
    let cases: Vec<(&str, Change)> = vec![
        ("\"b\": host", |a| a.host = "Wiki.test".into()),
        ("\"b\": host", |a| a.host = "wiki.test:443".into()),
        ("\"b\": host", |a| a.host = "wiki.test.".into()),
        ("\"b\": host", |a| a.host = String::new()),
        ("\"b\": path", |a| a.path = "docs".into()),
        ("\"b\": path", |a| a.path = "/a/../b".into()),
        ("\"b\": path", |a| a.path = "/%61".into()),
        ("\"a\": name", |a| a.name = "a".into()),
        ("\"b\": path: app \"a\" already has wiki.test", |a| a.host = "wiki.test".into()),
        ("\"b\": audience", |a| a.audience = String::new()),
        ("\"b\": methods", |a| a.methods = Vec::new()),
        ("\"b\": methods", |a| a.methods = vec![http::Method::CONNECT]),
        ("\"b\": cors_origins", |a| a.cors_origins = vec!["https://x/".into()]),
        ("\"b\": cors_origins", |a| a.cors_origins = vec!["*".into()]),
        ("\"b\": max_connections", |a| a.upstream.max_connections = 0),
        ("\"b\": connect_timeout", |a| a.upstream.connect_timeout = Duration::ZERO),
        ("\"b\": upstream: endpoints", |a| a.upstream.endpoints = Vec::new()),
        ("\"b\": upstream: endpoints", |a| a.upstream.endpoints = vec!["host".into()]),
        ("\"b\": upstream: endpoints", |a| a.upstream.endpoints = vec!["u@host:1".into()]),
        ("\"b\": upstream: endpoints", |a| a.upstream.endpoints = vec!["host:0".into()]),
        ("\"b\": upstream: tls.extra_ca", |a| {
            a.upstream.scheme = Scheme::Https;
            a.upstream.tls.extra_ca = Some("/nonexistent".into());
        }),
        ("\"b\": health", |a| {
            a.upstream.health = Some(HealthCheck {
                path: "no".into(),
                interval: Duration::from_secs(1),
                timeout: Duration::from_secs(1),
                healthy_after: 1,
                unhealthy_after: 1,
            });
        }),
    ];
    for (expected, change) in cases {
        let mut b = app("b", "b.test", "/");
        change(&mut b);
        let error = Routes::build(vec![app("a", "wiki.test", "/"), b]).unwrap_err().to_string();
        assert!(error.contains(expected), "{expected}: {error}");
    }
}
