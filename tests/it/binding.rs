//! What a sign-in is bound to: what one browser was given is worth nothing in another.

use crate::world::provider::Kind;
use crate::world::{ALICE, APP, World, shapes};

/// Somebody makes a signed-in person follow a sign-in address of their own, and gets hold of the code that comes of it.
#[tokio::test]
async fn code_that_another_browser_has_shown_is_spent() {
    let world = World::start(Kind::Simulator).await;
    let mut alice = world.signed_in(ALICE).await;
    let mut thief = world.browser();
    let challenge = thief.step(&format!("https://{APP}/")).await;
    let theirs = challenge.header("location").expect("a redirect to the sign-in").to_owned();
    let answer = alice.step(&theirs).await;
    let code = answer.header("location").expect("a redirect to the app").to_owned();
    assert!(code.starts_with(&format!("https://{APP}/.portcullis/enter?code=")), "{code}");
    alice.step(&code).await;
    thief.step(&code).await;
    assert_eq!(thief.jar().value(APP, shapes::COOKIE), None, "the thief is in as Alice");
}

/// The same, from a browser that never was on the app's host.
#[tokio::test]
async fn code_shown_without_a_browser_cookie_is_spent() {
    let world = World::start(Kind::Simulator).await;
    let mut alice = world.signed_in(ALICE).await;
    let mut thief = world.browser();
    let challenge = thief.step(&format!("https://{APP}/")).await;
    let theirs = challenge.header("location").expect("a redirect to the sign-in").to_owned();
    let code = alice.step(&theirs).await.header("location").expect("a redirect to the app").to_owned();
    world.browser().step(&code).await;
    thief.step(&code).await;
    assert_eq!(thief.jar().value(APP, shapes::COOKIE), None, "the thief is in as Alice");
}
