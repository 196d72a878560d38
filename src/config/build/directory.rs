//! What is read from Microsoft Graph, and where Graph is.

use std::time::Duration;

use url::Url;

use crate::config::file::{self, ProfileWord};
use crate::directory::{Config, Rhythm};
use crate::document::At;

use super::{Build, days};

/// Login hosts with Graph's address in their cloud, and whether Graph tells risk there.
///
/// Source: <https://learn.microsoft.com/graph/deployments>. The login host of the US government speaks for two clouds;
/// that of the DoD has to be written.
const CLOUDS: [(&str, &str, bool); 8] = [
    ("login.microsoftonline.com", "https://graph.microsoft.com/", true),
    ("login.windows.net", "https://graph.microsoft.com/", true),
    ("login.microsoft.com", "https://graph.microsoft.com/", true),
    ("sts.windows.net", "https://graph.microsoft.com/", true),
    ("login.microsoftonline.us", "https://graph.microsoft.us/", true),
    ("login.usgovcloudapi.net", "https://graph.microsoft.us/", true),
    ("login.partner.microsoftonline.cn", CHINA, false),
    ("login.chinacloudapi.cn", CHINA, false),
];
const CHINA: &str = "https://microsoftgraph.chinacloudapi.cn/";

impl Build<'_> {
    /// `authority` is `None` only together with a problem.
    pub(super) fn directory(&mut self, file: &file::Directory, authority: Option<&Url>) -> Option<Config> {
        let cloud = CLOUDS.iter().find(|(host, _, _)| authority.and_then(Url::host_str) == Some(*host));
        let root = match (&file.graph, cloud) {
            (Some(text), _) => self.graph_root(text),
            (None, Some((_, root, _))) => Url::parse(root).ok(),
            (None, None) => {
                if authority.is_some() {
                    let message =
                        "the login host of entra.authority is of no known cloud, expected the address of Graph";
                    self.add("directory.graph", None, message);
                }
                None
            }
        };
        let profile = match *file.profile.value() {
            ProfileWord::Fast => Rhythm::FAST,
            ProfileWord::Ztsa => Rhythm::ZTSA,
        };
        let second = Duration::from_secs(1);
        let mut span = |key, written: &Option<file::Span>, least, otherwise| {
            written.as_ref().map_or(otherwise, |written| self.span(key, written, least, days(1)))
        };
        let rhythm = Rhythm {
            first: span("directory.first", &file.first, Duration::ZERO, profile.first),
            people: span("directory.people_every", &file.people_every, second, profile.people),
            // Graph allows one request a second for each tenant, to all its apps together.
            risk: span("directory.risk_every", &file.risk_every, second, profile.risk),
            risk_full: span("directory.risk_full_every", &file.risk_full_every, second * 10, profile.risk_full),
        };
        if rhythm.risk_full < rhythm.risk {
            let written = file.risk_full_every.as_ref().or(file.risk_every.as_ref());
            let message = "expected at least directory.risk_every";
            self.add("directory.risk_full_every", written.and_then(|written| written.span()), message);
        }
        let has_risk = cloud.is_none_or(|(_, _, has_risk)| *has_risk) && !root.as_ref().is_some_and(is_china);
        Some(Config { root: root?, rhythm, upload: file.data_upload, has_risk })
    }

    fn graph_root(&mut self, text: &At<String>) -> Option<Url> {
        let url = Url::parse(text).ok().filter(|url| match url.scheme() {
            "https" => true,
            // The simulator; anybody on the way to a remote one could read the token.
            "http" => super::entra::is_loopback(url),
            _ => false,
        });
        let url = url.filter(|url| url.path() == "/" && url.query().is_none() && url.username().is_empty());
        if url.is_none() {
            let expected = "expected the address of Graph, such as https://graph.microsoft.com/ (plain http is for this \
                            machine only)";
            self.add("directory.graph", text.span(), format!("{expected}, got \"{}\"", **text));
        }
        url
    }
}

fn is_china(root: &Url) -> bool {
    root.host_str().is_some_and(|host| host.ends_with(".chinacloudapi.cn"))
}
