//! Account actions end to end: the real command line, the real gateway, the simulated Microsoft Graph. What happened is
//! asked of the simulator and of the app, never of the gateway alone.

use std::process::{Command, Output};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::world::graph::key;
use crate::world::provider::Kind;
use crate::world::upstream::Answer;
use crate::world::{ALICE, APP, BOB, Person, TENANT, World, eventually, shapes};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sign_out_ends_sessions_here_and_at_microsoft() {
    let world = world().await;
    let (alice, bob) = (world.cookie(ALICE).await, world.cookie(BOB).await);
    let before = simulated(&world, ALICE).await["sessions_valid_from"].as_u64().unwrap();
    let task = done(&portcullis(&world, &["user", "sign-out", &key(ALICE), "--note", "lost", "--json"]).await);
    assert_eq!((task["state"].as_str(), task["name"].as_str()), (Some("successful"), Some("local")), "{task}");
    assert_ne!(world.answer(APP, &alice).await.0, 200);
    assert_eq!(world.answer(APP, &bob).await.0, 200, "nobody else is concerned");
    assert!(simulated(&world, ALICE).await["sessions_valid_from"].as_u64().unwrap() > before);
    let log = world.gateway.log();
    assert!(log.contains("\"event\":\"account_action\"") && log.contains("\"note\":\"lost\""), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_is_disabled_enabled_and_made_to_change_its_password() {
    let world = world().await;
    let cookie = world.cookie(ALICE).await;
    let disabled = done(&portcullis(&world, &["user", "disable", &key(ALICE), "--json"]).await);
    assert_eq!(disabled["state"], "successful", "{disabled}");
    assert_eq!(simulated(&world, ALICE).await["enabled"], false);
    assert_ne!(world.answer(APP, &cookie).await.0, 200);
    let undone = done(&portcullis(&world, &["action", "undo", &disabled["id"].to_string(), "--json"]).await);
    assert_eq!((undone["action"].as_str(), undone["state"].as_str()), (Some("enable"), Some("successful")), "{undone}");
    assert_eq!(simulated(&world, ALICE).await["enabled"], true);
    done(&portcullis(&world, &["user", "reset-password", &key(ALICE), "--json"]).await);
    assert_eq!(simulated(&world, ALICE).await["must_change_password"], true);
    for judgement in ["confirm-compromised", "confirm-safe", "dismiss-risk"] {
        let task = done(&portcullis(&world, &["user", judgement, &key(BOB), "--json"]).await);
        // Risk may be asked once a second only, so the command may not have waited long enough.
        let id = task["id"].to_string();
        eventually(judgement, Duration::from_secs(20), || async {
            done(&portcullis(&world, &["action", "show", &id, "--json"]).await)["state"] == "successful"
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_holds_here_and_asks_nobody() {
    let world = world().await;
    let cookie = world.cookie(ALICE).await;
    let before = world.provider.count("graph_changes").await;
    done(&portcullis(&world, &["user", "block", "--from", "private", &key(ALICE), "--json"]).await);
    assert_eq!(world.answer(APP, &cookie).await.0, 403);
    done(&portcullis(&world, &["user", "unblock", "--from", "private", &key(ALICE), "--json"]).await);
    assert_eq!(world.answer(APP, &cookie).await.0, 200);
    assert_eq!(world.provider.count("graph_changes").await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_administrator_and_a_missing_permission_are_told_apart_and_sessions_end_all_the_same() {
    let mut world = world().await;
    let cookie = world.cookie(ALICE).await;
    let roles = json!({ "directory_roles": ["62e90394-69f5-4237-9190-012177145e10"] });
    world.provider.control("PATCH", &format!("/sim/v1/people/{}", ALICE.oid), &roles).await;
    let output = portcullis(&world, &["user", "disable", &key(ALICE), "--json"]).await;
    assert_eq!(output.status.code(), Some(1));
    let task = json_of(&output);
    assert_eq!((task["state"].as_str(), task["reason"].as_str()), (Some("unsuccessful"), Some("privileged_target")));
    assert_eq!(simulated(&world, ALICE).await["enabled"], true);
    assert_ne!(world.answer(APP, &cookie).await.0, 200, "what ends here has ended");
    let path = format!("/sim/v1/apps/{}/principals/{TENANT}/roles/User.RevokeSessions.All", shapes::CLIENT_ID);
    world.provider.control("DELETE", &path, &json!({})).await;
    // Another token is needed for the change to show.
    world.gateway.kill();
    world.gateway.start_again().await;
    let output = portcullis(&world, &["user", "sign-out", &key(BOB)]).await;
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("unsuccessful (insufficient_permission)") && text.contains("grant it"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn graph_that_is_busy_or_away_is_asked_again_until_it_is_done() {
    let mut world = world().await;
    let fault = json!({ "fault": { "throttled": 1 }, "times": 1, "changes": true });
    world.provider.control("POST", "/sim/v1/graph/faults", &fault).await;
    let task = done(&portcullis(&world, &["user", "disable", &key(ALICE), "--json"]).await);
    assert!(task["attempt"].as_u64() == Some(1) || task["state"] == "successful", "{task}");
    successful(&world, &task, 20).await;
    assert_eq!(simulated(&world, ALICE).await["enabled"], false);
    world.provider.stop();
    let task = done(&portcullis(&world, &["user", "disable", &key(BOB), "--no-wait", "--json"]).await);
    let shown = task["id"].to_string();
    eventually("a try has failed", Duration::from_secs(20), || async {
        done(&portcullis(&world, &["action", "show", &shown, "--json"]).await)["attempt"].as_u64() >= Some(1)
    })
    .await;
    world.provider.start_again();
    successful(&world, &task, 60).await;
    assert_eq!(simulated(&world, BOB).await["enabled"], false);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_action_survives_sudden_death_and_is_done_once() {
    let mut world = world().await;
    let slow = json!({ "fault": { "slow": 60_000 }, "times": 1, "changes": true });
    world.provider.control("POST", "/sim/v1/graph/faults", &slow).await;
    let before = world.provider.count("graph_changes").await;
    let task = done(&portcullis(&world, &["user", "disable", &key(ALICE), "--no-wait", "--json"]).await);
    assert_eq!(task["state"], "in_progress", "{task}");
    eventually("Graph has been asked", Duration::from_secs(10), || async {
        world.provider.count("graph_changes").await == before + 1
    })
    .await;
    world.gateway.kill();
    assert_eq!(simulated(&world, ALICE).await["enabled"], true, "nothing was done yet");
    world.gateway.start_again().await;
    successful(&world, &task, 30).await;
    assert_eq!(simulated(&world, ALICE).await["enabled"], false);
    assert_eq!(world.provider.count("graph_changes").await, before + 2, "asked once more, since there was no answer");
    // Enabled by somebody else meanwhile: a task that is done is never done again.
    world.provider.control("PATCH", &format!("/sim/v1/people/{}", ALICE.oid), &json!({ "enabled": true })).await;
    for _ in 0..2 {
        world.gateway.kill();
        world.gateway.start_again().await;
        successful(&world, &task, 5).await;
    }
    assert_eq!(world.provider.count("graph_changes").await, before + 2);
    assert_eq!(simulated(&world, ALICE).await["enabled"], true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_directory_nothing_pretends_to_have_an_effect() {
    let world = World::start(Kind::Simulator).await;
    for action in ["block", "watch", "disable"] {
        let output = portcullis(&world, &["user", action, &key(ALICE), "--json"]).await;
        assert_eq!(output.status.code(), Some(1), "{action}");
        assert_eq!(json_of(&output)["reason"], "not_configured", "{action}");
    }
}

/// The directory decides about groups, so it is what apps are told too, signed or not, whatever the token says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn apps_are_told_the_groups_that_decide() {
    const GROUP: &str = "7c40f2d9-5e1a-4b36-90cf-1d83a6e5b274";
    let world = World::with(
        Kind::Simulator,
        |request| Answer::text(request.target()),
        |settings| {
            let directory = format!("graph = \"{}\"\nfirst = \"0s\"", settings.authority);
            settings.keys.push(("[directory]", directory));
        },
    )
    .await;
    let cookie = world.cookie(ALICE).await;
    let path = format!("/sim/v1/people/{}", ALICE.oid);
    world.provider.control("PATCH", &path, &json!({ "groups": [GROUP] })).await;
    eventually("the directory has it", Duration::from_secs(45), || async {
        assert_eq!(world.answer(APP, &cookie).await.0, 200);
        world.app.requests().pop().unwrap().header("x-auth-groups") == Some(GROUP)
    })
    .await;
    let token = world.app.requests().pop().unwrap().header("x-auth-assertion").unwrap().to_owned();
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!((&claims["groups"], &claims["groups_complete"]), (&json!([GROUP]), &json!(true)), "{claims}");
}

/// A world whose gateway reads the simulated Graph, and seldom, so that the calls that are counted are its actions.
async fn world() -> World {
    let world = World::with(
        Kind::Simulator,
        |request| Answer::text(request.target()),
        |settings| {
            let directory = format!("graph = \"{}\"\nprofile = \"ztsa\"", settings.authority);
            settings.keys.push(("[directory]", directory));
        },
    )
    .await;
    let settings = json!({ "limits_risk": false, "processing_seconds": 0 });
    world.provider.control("PUT", "/sim/v1/graph/settings", &settings).await;
    world
}

/// What the simulator knows of the account.
async fn simulated(world: &World, person: &Person) -> Value {
    world.provider.control("GET", &format!("/sim/v1/people/{}", person.oid), &json!({})).await
}

async fn successful(world: &World, task: &Value, seconds: u64) {
    let id = task["id"].to_string();
    eventually("the task is done", Duration::from_secs(seconds), || async {
        done(&portcullis(world, &["action", "show", &id, "--json"]).await)["state"] == "successful"
    })
    .await;
}

/// Runs the program against the gateway's admin listener.
async fn portcullis(world: &World, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.args(args).arg("--config").arg(world.gateway.config_file());
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn json_of(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
}

/// The answer of a command that succeeded.
fn done(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    json_of(output)
}

/// The whole way: Microsoft raises the risk, the sync reads it, the rule orders, the brakes let it through, it is taken
/// back when the risk is dismissed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_blocks_a_person_at_risk_and_lets_them_in_again_when_the_risk_is_gone() {
    let world = World::with(
        Kind::Simulator,
        |request| Answer::text(request.target()),
        |settings| {
            let directory =
                format!("graph = \"{}\"\nrisk_every = \"2s\"\nfirst = \"0s\"\ndata_upload = true", settings.authority);
            settings.keys.push(("[directory]", directory));
            settings.keys.push(("[actions]", "dry_run = false".to_owned()));
            settings.rules.push_str("\n[[risk_rule]]\nname = \"high\"\nlevels = [\"high\"]\nverdict = \"monitor\"\nactions = [\"block_private\"]\n");
        },
    )
    .await;
    let settings = json!({ "limits_risk": false, "processing_seconds": 0 });
    world.provider.control("PUT", "/sim/v1/graph/settings", &settings).await;
    world.set_risk(BOB, "high").await;
    let list = ["action", "ls", "--json", "--user", &key(BOB)];
    let tasks = async || done(&portcullis(&world, &list).await)["tasks"].as_array().unwrap().clone();
    eventually("the rule has blocked", Duration::from_secs(30), || async {
        let tasks = tasks().await;
        tasks
            .iter()
            .any(|task| task["action"] == "block_private" && task["state"] == "successful" && task["name"] == "high")
    })
    .await;
    done(&portcullis(&world, &["user", "dismiss-risk", &key(BOB), "--json"]).await);
    eventually("it is taken back", Duration::from_secs(60), || async {
        let tasks = tasks().await;
        tasks
            .iter()
            .any(|task| task["action"] == "unblock_private" && task["by"] == "undo" && task["state"] == "successful")
    })
    .await;
}
