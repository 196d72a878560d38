//! `[directory]`: where Graph is in each cloud, how often it is read, and what is refused.

use std::time::Duration;

use super::{Folder, LEAST, refused};
use crate::directory::{Config, Rhythm};

fn directory(authority: &str, lines: &str) -> Config {
    let text = LEAST.replace("[entra]\n", &format!("[entra]\nauthority = \"{authority}\"\n"));
    let folder = Folder::with(&format!("{text}[directory]\n{lines}"), "");
    folder.load().unwrap().directory.unwrap()
}

#[test]
fn each_cloud_has_its_graph_and_china_has_no_risk() {
    assert_eq!(Folder::with(LEAST, "").load().unwrap().directory, None, "nothing is read unless it is asked for");
    for (login, graph, has_risk) in [
        ("https://login.microsoftonline.com/", "https://graph.microsoft.com/", true),
        ("https://login.microsoftonline.us/", "https://graph.microsoft.us/", true),
        ("https://login.partner.microsoftonline.cn/", "https://microsoftgraph.chinacloudapi.cn/", false),
        ("https://login.chinacloudapi.cn/", "https://microsoftgraph.chinacloudapi.cn/", false),
    ] {
        let config = directory(login, "");
        assert_eq!((config.root.as_str(), config.has_risk, config.upload), (graph, has_risk, false), "{login}");
        assert_eq!(config.rhythm, Rhythm::FAST);
    }
    let dod = directory(
        "https://login.microsoftonline.us/",
        "graph = \"https://dod-graph.microsoft.us/\"\ndata_upload = true",
    );
    assert_eq!((dod.root.as_str(), dod.upload), ("https://dod-graph.microsoft.us/", true));
    let simulated = directory("http://127.0.0.1:9444/", "graph = \"http://127.0.0.1:9444/\"");
    assert!(simulated.has_risk);
}

#[test]
fn a_profile_sets_what_is_not_written() {
    let config = directory("https://login.microsoftonline.com/", "profile = \"ztsa\"\nrisk_every = \"1m\"");
    assert_eq!(config.rhythm, Rhythm { risk: Duration::from_secs(60), ..Rhythm::ZTSA });
}

#[test]
fn mistakes_about_graph_are_refused() {
    for (lines, expected) in [
        ("graph = \"http://graph.example/\"", "12:9: directory.graph: expected the address of Graph, such as https://"),
        ("graph = \"https://graph.microsoft.com/v1.0\"", "12:9: directory.graph: expected the address of Graph"),
        ("profile = \"slow\"", "12:11: directory.profile: expected"),
        ("risk_every = \"0s\"", "12:14: directory.risk_every: expected a duration from 1s to 1d"),
        ("risk_every = \"1h\"", "directory.risk_full_every: expected at least directory.risk_every"),
        ("people_every = \"0s\"", "12:16: directory.people_every: expected a duration from 1s to 1d"),
    ] {
        refused("", &format!("[directory]\n{lines}"), &[expected]);
    }
    let text = LEAST.replace("[entra]\n", "[entra]\nauthority = \"http://127.0.0.1:1/\"\n");
    let problems = Folder::with(&format!("{text}[directory]\n"), "").problems();
    assert!(problems.contains("directory.graph: the login host of entra.authority is of no known cloud"), "{problems}");
}
