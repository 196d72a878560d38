//! The console behind the gateway: one app and two rules that nobody writes, and what may not collide with them.

use crate::admin::Console;
use crate::facts::AppId;
use crate::policy::{Verdict, Who};

use super::*;

const GROUP: &str = "3f1c0b9e-6a52-4d0e-9b7a-5d2f8c4e1a77:b1f0a6d2-7c3e-4a58-9d41-e02c6b8f5a19";
const WIKI: &str = "[[app]]\nname = \"wiki\"\nhost = \"wiki.example.com\"\nupstream = [\"http://10.0.0.5:80\"]\n";

fn with(admin: &str, app: &str) -> String {
    format!("{LEAST}[admin]\n{admin}\n{app}")
}

#[test]
fn its_app_comes_last_and_its_rules_come_first() {
    let everybody = "[[rule]]\nname = \"all\"\nwho = \"signed_in\"\nverdict = \"allow\"\n";
    let admin = format!("host = \"console.example.com\"\ngroups = [\"{GROUP}\"]");
    let config = Folder::with(&with(&admin, WIKI), everybody).load().unwrap();
    let app = config.apps.last().unwrap();
    assert_eq!((app.name.as_str(), app.host.as_str()), (Console::APP, "console.example.com"));
    assert_eq!(app.upstream.endpoints, ["127.0.0.1:9090"]);
    assert!(!app.pass_authorization && app.preserve_host);
    assert_eq!(config.sign_in.apps.len(), 1, "the portal does not show it");
    let [first, second, third] = &config.rules[..] else { panic!("{:?}", config.rules) };
    assert_eq!((&first.apps[..], first.verdict), (&[AppId(1)][..], Verdict::Allow));
    assert!(matches!(&first.who, Who::Listed { users, groups } if users.is_empty() && groups.len() == 1));
    assert_eq!((&second.apps[..], second.verdict, &second.who), (&[AppId(1)][..], Verdict::Block, &Who::Anyone));
    assert_eq!(&*third.name, "all");
    assert!(Folder::with(&with("", WIKI), everybody).load().unwrap().rules.len() == 1);
}

#[test]
fn half_of_it_or_a_collision_is_refused() {
    let groups = format!("groups = [\"{GROUP}\"]");
    let console = format!("host = \"console.example.com\"\n{groups}");
    let app = |from: &str, to: &str| WIKI.replace(from, to);
    for (admin, app, expected) in [
        ("host = \"console.example.com\"".to_owned(), WIKI.to_owned(), "admin.groups too"),
        (groups.clone(), WIKI.to_owned(), "without admin.host these would have no effect"),
        (format!("host = \"portal.example.com\"\n{groups}"), WIKI.to_owned(), "the sign-in host is taken"),
        (console.clone(), app("wiki.example.com", "console.example.com"), "the host is the console's"),
        (console.clone(), app("\"wiki\"", "\"portcullis-console\""), "the name is the console's"),
        (
            console.clone(),
            format!("{WIKI}audience = \"urn:portcullis:console:console.example.com\"\n"),
            "the audience is",
        ),
        (console.replace(GROUP, "b1f0a6d2-7c3e-4a58-9d41-e02c6b8f5a19"), WIKI.to_owned(), "tenant id:group object id"),
        (console, app("10.0.0.5:80", "127.0.0.1:9090"), "this is the administration listener, expected an app"),
    ] {
        let problems = Folder::with(&with(&admin, &app), "").problems();
        assert!(problems.contains(expected), "{admin}: {problems}");
    }
}

#[test]
fn administrators_of_a_tenant_that_cannot_sign_in_are_warned_about() {
    let other = GROUP.replace("3f1c0b9e", "7c0d1a52");
    let admin = format!("host = \"console.example.com\"\ngroups = [\"{GROUP}\", \"{other}\"]");
    let config = Folder::with(&with(&admin, ""), "").load().unwrap();
    assert!(
        config.warnings.iter().any(|warning| warning.to_string().contains("entra.tenants")),
        "{:?}",
        config.warnings
    );
}
