//! What a rule did is taken back when its reason is gone, unless a person has had a hand in it since.

use super::*;

async fn disabled_by_rule(running: &Running) {
    running.high(user(1)).await;
    running.work().await;
    assert_eq!(running.states(user(1)).await, [(ActionKind::Disable, "successful")]);
}

#[tokio::test]
async fn when_the_risk_falls_the_account_is_enabled_once() {
    let world = World::wanting(&[ActionKind::Disable]);
    let running = world.open();
    disabled_by_rule(&running).await;
    world.clock.advance(HOUR);
    running.risk(user(1), RiskLevel::High, RiskState::Remediated).await;
    // The real rules do not match a closed risk; this one looks at the level alone.
    world.wants.lock().unwrap().clear();
    for _ in 0..3 {
        running.actions.look_at_everybody().await;
        running.work().await;
    }
    assert_eq!(world.hands.calls(), [Call::SetEnabled(false), Call::SetEnabled(true)]);
    let filter = Filter { user: None, state: None, limit: 10 };
    let tasks = running.actions.list(&filter).await;
    let [undo, first] = &tasks[..] else { panic!("{tasks:?}") };
    assert_eq!((first.undone_by, undo.order.by.clone()), (Some(undo.id), By::Undo(first.id)));
}

#[tokio::test]
async fn when_nothing_new_happens_for_a_day_it_is_taken_back_too() {
    let world = World::wanting(&[ActionKind::Disable]);
    let running = world.open();
    disabled_by_rule(&running).await;
    world.clock.advance(DAY - HOUR);
    running.source(RiskSource::Answers);
    running.actions.look_at_everybody().await;
    running.work().await;
    assert_eq!(world.hands.calls().len(), 1);
    world.clock.advance(HOUR);
    running.source(RiskSource::Answers);
    running.actions.look_at_everybody().await;
    running.work().await;
    assert_eq!(world.hands.calls(), [Call::SetEnabled(false), Call::SetEnabled(true)]);
    // The rule still matches the same old risk, and leaves it at that.
    world.clock.advance(DAY);
    running.source(RiskSource::Answers);
    running.actions.look_at_everybody().await;
    running.work().await;
    assert_eq!(world.hands.calls().len(), 2);
}

#[tokio::test]
async fn a_lost_source_takes_nothing_back() {
    let world = World::wanting(&[ActionKind::Disable]);
    let running = world.open();
    disabled_by_rule(&running).await;
    world.clock.advance(2 * DAY);
    running.source(RiskSource::NoPermission);
    running.actions.look_at_everybody().await;
    running.work().await;
    assert_eq!(world.hands.calls().len(), 1);
}

#[tokio::test]
async fn what_a_person_has_had_a_hand_in_stays() {
    let world = World::wanting(&[ActionKind::Disable]);
    let running = world.open();
    disabled_by_rule(&running).await;
    running.actions.submit(by_hand(ActionKind::Disable, user(1))).await.unwrap();
    running.work().await;
    running.risk(user(1), RiskLevel::Low, RiskState::AtRisk).await;
    running.actions.look_at_everybody().await;
    running.work().await;
    let undone = world.hands.calls().contains(&Call::SetEnabled(true));
    assert!(!undone, "{:?}", running.states(user(1)).await);
}

#[tokio::test]
async fn mass_forgiveness_runs_into_the_quota_as_well() {
    let mut world = World::wanting(&[ActionKind::Disable]);
    world.settings.quota_per_hour = 3;
    let running = world.open();
    for n in 1..=6 {
        if n == 4 {
            world.clock.advance(2 * HOUR);
        }
        running.high(user(n)).await;
    }
    running.work().await;
    assert_eq!(world.hands.calls().len(), 6);
    world.wants.lock().unwrap().clear();
    running.actions.look_at_everybody().await;
    running.work().await;
    let enabled = world.hands.calls().iter().filter(|call| **call == Call::SetEnabled(true)).count();
    assert_eq!(enabled, 3);
    assert!(running.actions.brakes().await.stopped.is_some());
}
