//! Tests of `session ls | kill` against a live admin listener.

use clap::Parser as _;

use super::*;
use crate::admin::tests::{ALICE, Running, TOKEN};

#[tokio::test]
async fn sessions_are_listed_and_their_names_cannot_steer_the_terminal() {
    let admin = Running::start().await;
    let (code, out, problems) = portcullis(&admin, TOKEN, &["ls"]).await;
    assert_eq!((code, problems.as_str()), (0, ""));
    assert_eq!(
        out.lines().nth(1).unwrap().split_whitespace().collect::<Vec<_>>(),
        ["0000000000000001", "Alice", "a@contoso.example", "1m", "ago", "5h33m", "0", ALICE]
    );
    assert_eq!(out.lines().count(), 4);
    assert!(out.contains("Bob?[2J") && !out.contains('\u{1b}'), "{out}");
    let (code, out, _) = portcullis(&admin, TOKEN, &["ls", "--json", "--user", ALICE]).await;
    let list: SessionList = serde_json::from_str(&out).unwrap();
    assert_eq!((code, list.sessions.len()), (0, 2));
    admin.stop().await;
}

#[tokio::test]
async fn sessions_are_ended_by_id_and_by_person() {
    let admin = Running::start().await;
    let id = "0000000000000001";
    assert_eq!(portcullis(&admin, TOKEN, &["kill", id]).await, (0, "ended 1 session\n".into(), String::new()));
    let (code, out, problems) = portcullis(&admin, TOKEN, &["kill", id]).await;
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(problems.contains("no such session"), "{problems}");
    let ended = portcullis(&admin, TOKEN, &["kill", "--user", ALICE, "--json"]).await;
    assert_eq!(ended, (0, "{\"ended\":1}\n".into(), String::new()));
    assert_eq!(portcullis(&admin, TOKEN, &["kill", "--user", ALICE]).await.0, 1);
    assert_eq!(admin.sessions.count(), 1);
    admin.stop().await;
}

#[tokio::test]
async fn what_went_wrong_is_said_clearly() {
    let admin = Running::start().await;
    let (code, _, problems) = portcullis(&admin, &"x".repeat(32), &["ls"]).await;
    assert_eq!(code, 1);
    assert!(problems.contains("does not accept this token"), "{problems}");
    let (code, _, problems) = portcullis(&admin, TOKEN, &["kill", "../reload"]).await;
    assert_eq!(code, 2);
    assert!(problems.contains("16 hex digits"), "{problems}");
    let folder = token_file(TOKEN);
    let file = folder.path().join("token");
    let parsed = parse(&["--token-file", &file.to_string_lossy(), "--admin", "http://192.0.2.1:9090", "ls"]);
    let (code, _, problems) = capture(parsed).await;
    assert_eq!(code, 2);
    assert!(problems.contains("loopback"), "{problems}");
    let (code, _, problems) = capture(parse(&["ls"])).await;
    assert_eq!(code, 2);
    assert!(problems.contains("--token-file"), "{problems}");
    // A port that was just free: nobody listens there any more.
    let address = admin.address;
    admin.stop().await;
    let parsed = parse(&["--token-file", &file.to_string_lossy(), "--admin", &format!("http://{address}"), "ls"]);
    let (code, _, problems) = capture(parsed).await;
    assert_eq!(code, 1);
    assert!(problems.contains("is it running"), "{problems}");
}

#[tokio::test]
async fn a_configuration_file_names_address_and_token_file() {
    let admin = Running::start().await;
    let folder = token_file(TOKEN);
    let target = Target { admin: format!("http://{}/", admin.address), token_file: folder.path().join("token") };
    let (mut out, mut problems) = (Vec::new(), Vec::new());
    let args = parse(&["ls", "--config", "portcullis.toml"]);
    let code = run(
        args,
        |path| {
            assert_eq!(path, Path::new("portcullis.toml"));
            Ok(target)
        },
        &mut out,
        &mut problems,
    )
    .await;
    assert_eq!(code, 0, "{}", String::from_utf8_lossy(&problems));
    admin.stop().await;
}

#[derive(clap::Parser)]
struct Wrapper {
    #[command(flatten)]
    session: SessionArgs,
}

fn parse(args: &[&str]) -> SessionArgs {
    Wrapper::try_parse_from(std::iter::once(&"session").chain(args)).unwrap().session
}

async fn portcullis(admin: &Running, token: &str, args: &[&str]) -> (u8, String, String) {
    let folder = token_file(token);
    let file = folder.path().join("token").to_string_lossy().into_owned();
    let address = format!("http://{}", admin.address);
    let mut all = vec!["--admin", &address, "--token-file", &file];
    all.extend(args);
    capture(parse(&all)).await
}

async fn capture(args: SessionArgs) -> (u8, String, String) {
    let (mut out, mut problems) = (Vec::new(), Vec::new());
    let code = run(args, |_| Err("no configuration here".to_owned()), &mut out, &mut problems).await;
    (code, String::from_utf8(out).unwrap(), String::from_utf8(problems).unwrap())
}

fn token_file(token: &str) -> tempfile::TempDir {
    use std::os::unix::fs::OpenOptionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path).unwrap();
    writeln!(file, "{token}").unwrap();
    folder
}
