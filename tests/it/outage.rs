//! Graph away and the gateway killed, seen from outside: what is known goes on to hold, and what is too old is said to be.

use std::time::Duration;

use serde_json::json;

use crate::world::browser::Browser;
use crate::world::graph::{HIGH_IS_BLOCKED, reads_graph};
use crate::world::provider::Kind;
use crate::world::upstream::Answer;
use crate::world::{ALICE, APP, BOB, FIN, World, eventually, shapes};

/// Threats R-14, RS-04: who was blocked stays blocked, an app that fails closed denies with its own reason, one that
/// takes what was last known allows with a mark.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r14_an_outage_beyond_the_age_goes_by_each_apps_word() {
    let world = World::with(
        Kind::Simulator,
        |request| Answer::text(request.target()),
        |settings| {
            settings.first_app = "max_risk_age = \"6s\"\non_stale = \"block\"\n".to_owned();
            settings.more = "max_risk_age = \"6s\"\non_stale = \"last_known\"\n".to_owned();
            settings.rules.push_str(HIGH_IS_BLOCKED);
            reads_graph(settings);
        },
    )
    .await;
    world.read().await;
    let (mut alice, mut bob) = (world.signed_in(ALICE).await, world.signed_in(BOB).await);
    for browser in [&mut alice, &mut bob] {
        assert_eq!(browser.open_silently(&format!("https://{FIN}/")).await.status(), 200);
    }
    let cookie = |browser: &mut Browser, host: &str| {
        format!("{}={}", shapes::COOKIE, browser.jar().value(host, shapes::COOKIE).unwrap())
    };
    let (alice_app, alice_fin) = (cookie(&mut alice, APP), cookie(&mut alice, FIN));
    let (bob_app, bob_fin) = (cookie(&mut bob, APP), cookie(&mut bob, FIN));
    world.set_risk(BOB, "high").await;
    eventually("bob is blocked", Duration::from_secs(10), || async { !world.lets_in(&bob_app).await }).await;
    world.provider.control("POST", "/sim/v1/graph/faults", &json!({ "fault": "unavailable", "times": 100_000 })).await;
    eventually("what is known is too old", Duration::from_secs(30), || async {
        for (host, cookie) in [(APP, &bob_app), (FIN, &bob_fin)] {
            assert_eq!(world.answer(host, cookie).await.0, 403, "bob stays blocked");
        }
        assert_eq!(world.answer(FIN, &alice_fin).await.0, 200, "this app takes what was last known");
        world.answer(APP, &alice_app).await == (403, "risk_too_old".to_owned())
    })
    .await;
    assert_eq!(world.answer(FIN, &alice_fin).await.0, 200);
    let log = world.gateway.log();
    let marked = log.lines().any(|line| {
        line.contains("\"app\":\"fin\"") && line.contains("\"verdict\":\"monitor\"") && line.contains("risk_too_old")
    });
    assert!(marked, "the decision log says that it was old");
    world.provider.control("DELETE", "/sim/v1/graph/faults", &json!({})).await;
    eventually("alice is let in again", Duration::from_secs(90), || world.lets_in(&alice_app)).await;
    assert_eq!(world.answer(APP, &bob_app).await, (403, "risk_rule".to_owned()));
}

/// Sudden death in the middle of a full reading: from the first request on everybody stands as before, and the reading
/// is done again without losing anybody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sync_survives_sudden_death_and_loses_nobody() {
    let mut world = World::with(
        Kind::Simulator,
        |request| Answer::text(request.target()),
        |settings| {
            settings.rules.push_str(HIGH_IS_BLOCKED);
            reads_graph(settings);
        },
    )
    .await;
    world.read().await;
    let (alice, bob) = (world.cookie(ALICE).await, world.cookie(BOB).await);
    world.set_risk(BOB, "high").await;
    eventually("bob is blocked", Duration::from_secs(10), || async { !world.lets_in(&bob).await }).await;
    let known = [world.sync("users").await["items"].clone(), world.sync("groups").await["items"].clone()];
    let anew = json!({ "page_size": 1, "resets": 1 });
    world.provider.control("PUT", "/sim/v1/graph/settings", &anew).await;
    let slow = json!({ "fault": { "slow": 400 }, "times": 100_000 });
    world.provider.control("POST", "/sim/v1/graph/faults", &slow).await;
    for _ in 0..2 {
        eventually("a full reading is under way", Duration::from_secs(30), || async {
            let (users, groups) = (world.sync("users").await, world.sync("groups").await);
            [users, groups].iter().any(|sync| sync["phase"] == "full_running" && sync["read"].as_u64() > Some(1))
        })
        .await;
        world.gateway.kill();
        world.gateway.start_again().await;
        assert_eq!(world.answer(APP, &bob).await, (403, "risk_rule".to_owned()));
        assert!(world.lets_in(&alice).await);
    }
    world.provider.control("DELETE", "/sim/v1/graph/faults", &json!({})).await;
    eventually("everything is read", Duration::from_secs(60), || async {
        let (users, groups) = (world.sync("users").await, world.sync("groups").await);
        world.is_read().await && [&users, &groups].iter().all(|sync| sync["phase"] != "full_running")
    })
    .await;
    assert_eq!([world.sync("users").await["items"].clone(), world.sync("groups").await["items"].clone()], known);
    assert!(world.lets_in(&alice).await);
    assert_eq!(world.answer(APP, &bob).await, (403, "risk_rule".to_owned()));
}
