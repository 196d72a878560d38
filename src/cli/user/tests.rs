//! Tests of `user` and `action` against a live admin listener.

use clap::Parser as _;

use super::*;
use crate::admin::TaskList;
use crate::admin::tests::{Running, TOKEN};
use crate::cli::action::{self, ActionArgs};
use crate::facts::{Guid, ObjectId};
use crate::risk_control::tests::TENANT;

#[tokio::test]
async fn an_action_is_ordered_and_said_what_became_of_it() {
    let admin = Running::start().await;
    let (code, out, problems) = portcullis(&admin, &["user", "sign-out", &alice(), "--note", "lost laptop"]).await;
    assert_eq!((code, problems.as_str()), (0, ""));
    assert_eq!(out, format!("task 1: sign_out {}: successful\n", alice()));
    let (code, out, _) = portcullis(&admin, &["user", "block", "--from", "private", &alice(), "--json"]).await;
    let task: TaskLine = serde_json::from_str(&out).unwrap();
    assert_eq!((code, task.action.as_str(), task.state.as_str()), (0, "block_private", "successful"));
    assert_eq!((task.by.as_str(), task.name.as_str()), ("person", "local"));
    let (_, out, _) = portcullis(&admin, &["action", "ls", "--json", "--user", &alice()]).await;
    let list: TaskList = serde_json::from_str(&out).unwrap();
    assert_eq!(list.tasks.iter().map(|task| task.id).collect::<Vec<_>>(), [2, 1]);
    let (_, out, _) = portcullis(&admin, &["action", "show", "1"]).await;
    assert!(out.contains("note: lost laptop") && out.contains("0 sessions ended here"), "{out}");
    admin.stop().await;
}

#[tokio::test]
async fn what_was_done_is_taken_back_and_the_same_key_is_the_same_task() {
    let admin = Running::start().await;
    for _ in 0..2 {
        let (code, out, _) = portcullis(&admin, &["user", "disable", &alice(), "--key", "case-7"]).await;
        assert_eq!((code, out), (0, format!("task 1: disable {}: successful\n", alice())));
    }
    let (code, _, problems) = portcullis(&admin, &["user", "enable", &alice(), "--key", "case-7"]).await;
    assert_eq!(code, 1);
    assert!(problems.contains("belongs to task 1"), "{problems}");
    let (code, out, _) = portcullis(&admin, &["action", "undo", "1"]).await;
    assert_eq!((code, out), (0, format!("task 2: enable {}: successful\n", alice())));
    let (code, _, problems) = portcullis(&admin, &["action", "undo", "1"]).await;
    assert_eq!(code, 1);
    assert!(problems.contains("task 2 has taken it back"), "{problems}");
    let (code, _, problems) = portcullis(&admin, &["action", "approve", "1"]).await;
    assert_eq!(code, 1);
    assert!(problems.contains("the task is successful"), "{problems}");
    admin.stop().await;
}

#[tokio::test]
async fn a_note_cannot_steer_the_terminal() {
    let admin = Running::start().await;
    let (code, _, _) = portcullis(&admin, &["user", "watch", &alice(), "--note", "a\u{1b}[2Jb\u{202e}c"]).await;
    assert_eq!(code, 0);
    let (_, out, _) = portcullis(&admin, &["action", "show", "1"]).await;
    assert!(out.contains("note: a?[2Jb?c\n"), "{out}");
    admin.stop().await;
}

#[tokio::test]
async fn mistakes_are_told_apart() {
    let admin = Running::start().await;
    let stranger = "00000000-0000-0000-0000-0000000000ff:00000000-0000-0000-0000-000000000001";
    let (code, _, problems) = portcullis(&admin, &["user", "disable", stranger]).await;
    assert_eq!(code, 1);
    assert!(problems.contains("does not know the tenant"), "{problems}");
    let (code, _, _) = portcullis(&admin, &["action", "show", "99"]).await;
    assert_eq!(code, 1);
    let (code, _, problems) = portcullis(&admin, &["action", "ls", "--state", "done&limit=1"]).await;
    assert_eq!(code, 1);
    assert!(problems.contains("bad_state"), "{problems}");
    for wrong in ["../../sessions", "alice@contoso.example", "a:b", ""] {
        assert!(Wrapper::try_parse_from(["portcullis", "user", "disable", wrong]).is_err(), "{wrong}");
    }
    admin.stop().await;
}

#[tokio::test]
async fn brakes_and_preview_are_shown() {
    let admin = Running::start().await;
    let (code, out, _) = portcullis(&admin, &["action", "brakes"]).await;
    assert_eq!(code, 0);
    assert!(out.contains("dry run: off") && out.contains("stopped: no"), "{out}");
    let (code, out, _) = portcullis(&admin, &["action", "preview", "a rule & more"]).await;
    assert_eq!((code, out.as_str()), (0, "nobody would be hit\n"));
    let (code, out, _) = portcullis(&admin, &["action", "release"]).await;
    assert_eq!((code, out.as_str()), (0, "nothing was stopped\n"));
    admin.stop().await;
}

#[derive(clap::Parser)]
enum Wrapper {
    User(UserArgs),
    Action(ActionArgs),
}

fn alice() -> String {
    UserKey { tenant: TENANT, object: ObjectId(Guid::from_u128(1)) }.to_string()
}

async fn portcullis(admin: &Running, args: &[&str]) -> (u8, String, String) {
    use std::os::unix::fs::OpenOptionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).unwrap();
    writeln!(file, "{TOKEN}").unwrap();
    let (address, path) = (format!("http://{}", admin.address), path.to_string_lossy().into_owned());
    let more = ["--admin", &address, "--token-file", &path];
    let args = [&["portcullis"], args, &more].concat();
    let (mut out, mut problems) = (Vec::new(), Vec::new());
    let nowhere = |_: &Path| Err("no configuration here".to_owned());
    let code = match Wrapper::try_parse_from(args).unwrap() {
        Wrapper::User(args) => run(args, nowhere, &mut out, &mut problems).await,
        Wrapper::Action(args) => action::run(args, nowhere, &mut out, &mut problems).await,
    };
    (code, String::from_utf8(out).unwrap(), String::from_utf8(problems).unwrap())
}
