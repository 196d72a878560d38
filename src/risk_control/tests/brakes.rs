//! Every brake on what the gateway does by itself: each holds alone, is seen, and lets go when its reason is gone.

use super::*;

async fn held(running: &Running, who: UserKey) -> Option<&'static str> {
    let filter = Filter { user: Some(who), state: None, limit: 1 };
    running.actions.list(&filter).await.first().and_then(|task| task.state.reason())
}

#[tokio::test]
async fn by_default_rules_only_propose_and_a_person_may_let_it_go() {
    let mut world = World::wanting(&[ActionKind::Disable, ActionKind::SignOut]);
    world.settings = Settings::default();
    let running = world.open();
    running.signed_in(user(1)).await;
    running.high(user(1)).await;
    running.high(user(1)).await;
    running.work().await;
    assert_eq!(running.states(user(1)).await, [(ActionKind::Disable, "proposed"), (ActionKind::SignOut, "proposed")]);
    assert!(world.hands.calls().is_empty());
    assert_eq!(running.alive(user(1)), 1);
    let proposed = running.actions.list(&Filter { user: None, state: Some("proposed".into()), limit: 10 }).await;
    let disable = proposed.iter().find(|task| task.order.kind == ActionKind::Disable).unwrap();
    running.actions.approve(disable.id, &"ann".into()).await.unwrap();
    running.work().await;
    assert_eq!(world.hands.calls(), [Call::SetEnabled(false)]);
    // What was proposed begins when the dry run ends, as the same task.
    running.actions.configure(world_without_dry_run());
    running.high(user(1)).await;
    running.work().await;
    assert_eq!(running.states(user(1)).await.first(), Some(&(ActionKind::Disable, "successful")));
}

fn world_without_dry_run() -> Settings {
    Settings { dry_run: false, ..Settings::default() }
}

#[tokio::test]
async fn a_rule_acts_once_as_long_as_the_risk_stays_as_it_is() {
    let world = World::wanting(&[ActionKind::SignOut]);
    let running = world.open();
    running.high(user(1)).await;
    for _ in 0..3 {
        running.actions.look_at_everybody().await;
        running.work().await;
    }
    assert_eq!(world.hands.calls(), [Call::RevokeSessions]);
    // Low or closed risk is no reason.
    running.risk(user(2), RiskLevel::Low, RiskState::AtRisk).await;
    running.risk(user(3), RiskLevel::High, RiskState::Dismissed).await;
    running.actions.look_at_everybody().await;
    running.work().await;
    assert_eq!(world.hands.calls().len(), 1);
}

#[tokio::test]
async fn people_and_groups_kept_for_emergencies_are_never_touched() {
    let mut world = World::wanting(&[ActionKind::Disable]);
    world.settings.exempt.users.insert(user(1));
    let running = world.open();
    running.high(user(1)).await;
    assert_eq!(held(&running, user(1)).await, Some("break_glass"));
    let mut settings = world.settings.clone();
    settings.exempt.groups.insert(ObjectId(Guid::from_u128(7)));
    running.actions.configure(settings);
    // Nobody knows this person's groups, so they may be among them.
    running.high(user(2)).await;
    assert_eq!(held(&running, user(2)).await, Some("groups_unknown"));
    running.work().await;
    assert!(world.hands.calls().is_empty());
    // Not even when a person lets a proposal go.
    running.actions.configure(Settings { dry_run: true, ..world.settings.clone() });
    world.clock.advance(HOUR);
    running.high(user(1)).await;
    let task = running.actions.list(&Filter { user: Some(user(1)), state: None, limit: 1 }).await.remove(0);
    assert_eq!(task.state, TaskState::Proposed);
    let refused = running.actions.approve(task.id, &"ann".into()).await;
    assert!(matches!(refused, Err(Refused::Braked(Brake::BreakGlass))));
    // By hand they can be reached.
    running.actions.submit(by_hand(ActionKind::Disable, user(1))).await.unwrap();
    running.work().await;
    assert_eq!(world.hands.calls(), [Call::SetEnabled(false)]);
}

#[tokio::test]
async fn whom_a_person_let_in_again_no_rule_touches_until_the_risk_changes() {
    let world = World::wanting(&[ActionKind::Disable, ActionKind::SignOut]);
    let running = world.open();
    running.high(user(1)).await;
    running.work().await;
    running.actions.submit(by_hand(ActionKind::Enable, user(1))).await.unwrap();
    running.work().await;
    let calls = world.hands.calls().len();
    world.clock.advance(2 * HOUR);
    running.source(RiskSource::Answers);
    running.actions.look_at_everybody().await;
    running.work().await;
    assert_eq!(world.hands.calls().len(), calls, "the same risk");
    running.high(user(1)).await;
    running.work().await;
    assert_eq!(world.hands.calls().len(), calls + 2, "a new one");
}

#[tokio::test]
async fn what_a_person_did_is_neither_done_again_nor_taken_back_by_a_rule() {
    let world = World::wanting(&[ActionKind::Block(Reach::Private)]);
    let running = world.open();
    running.actions.submit(by_hand(ActionKind::Block(Reach::Private), user(1))).await.unwrap();
    running.high(user(1)).await;
    assert_eq!(held(&running, user(1)).await, Some("manual"));
    running.risk(user(1), RiskLevel::None, RiskState::Remediated).await;
    running.actions.look_at(&[user(1)]).await;
    assert!(running.actions.standing(user(1)).hold.private);
}

#[tokio::test]
async fn what_is_so_already_is_left_to_whoever_made_it_so() {
    let world = World::wanting(&[ActionKind::Block(Reach::Private)]);
    let running = world.open();
    running.directory.set_hold(user(1), crate::facts::Hold { private: true, internet: false }).await.unwrap();
    running.high(user(1)).await;
    assert_eq!(held(&running, user(1)).await, Some("already_so"));
}

#[tokio::test]
async fn the_same_is_not_done_twice_within_the_cool_down_but_after_it() {
    let world = World::wanting(&[ActionKind::SignOut]);
    let running = world.open();
    running.high(user(1)).await;
    running.work().await;
    world.clock.advance(HOUR / 2);
    running.high(user(1)).await;
    running.work().await;
    assert_eq!(held(&running, user(1)).await, Some("cool_down"));
    assert_eq!(world.hands.calls().len(), 1);
    world.clock.advance(HOUR / 2);
    running.source(RiskSource::Answers);
    running.actions.look_at_everybody().await;
    running.work().await;
    assert_eq!(world.hands.calls().len(), 2, "the rule still wants it");
    assert_eq!(running.states(user(1)).await.len(), 2);
}

#[tokio::test]
async fn a_provider_that_holds_everybody_for_risky_runs_into_the_quota_until_a_person_looks() {
    let mut world = World::wanting(&[ActionKind::Disable]);
    world.settings.quota_per_hour = 5;
    let crowd: Vec<UserKey> = (1..=500).map(user).collect();
    {
        let running = world.open();
        running.readings(&crowd, RiskLevel::High, RiskState::AtRisk).await;
        running.actions.look_at_everybody().await;
        running.work().await;
        assert_eq!(world.hands.calls().len(), 5);
        let brakes = running.actions.brakes().await;
        assert_eq!(brakes.stopped, Some(Stop { since: START, tenant: Some(TENANT), kind: Some(ActionKind::Disable) }));
        assert_eq!(brakes.used, [(TENANT, ActionKind::Disable, 5)]);
        let held = running.actions.list(&Filter { user: None, state: Some("held".into()), limit: 1000 }).await;
        assert_eq!(held.len(), 1, "the one that hit the quota; the others leave no task each");
        assert_eq!(running.actions.inner.metrics.actions.stopped.value(), 1);
    }
    // Neither a restart nor time releases it.
    world.clock.advance(2 * HOUR);
    let running = world.open();
    running.readings(&crowd, RiskLevel::High, RiskState::AtRisk).await;
    running.actions.look_at_everybody().await;
    running.work().await;
    assert_eq!(world.hands.calls().len(), 5);
    // People are not held up by it.
    running.actions.submit(by_hand(ActionKind::Enable, user(1))).await.unwrap();
    running.work().await;
    assert_eq!(world.hands.calls().len(), 6);
    assert!(running.actions.release(&"ann".into()).await.unwrap());
    assert!(!running.actions.release(&"ann".into()).await.unwrap());
    world.clock.advance(Duration::from_secs(1));
    running.actions.look_at_everybody().await;
    running.work().await;
    assert_eq!(world.hands.calls().len(), 11, "another quota's worth, then the stop again");
    assert!(running.actions.brakes().await.stopped.is_some());
}

#[tokio::test]
async fn rules_wait_for_a_person_where_that_is_asked_for() {
    let mut world = World::wanting(&[ActionKind::Disable]);
    world.settings.approval = Approval::Automatic;
    let running = world.open();
    running.high(user(1)).await;
    running.work().await;
    assert_eq!(running.states(user(1)).await, [(ActionKind::Disable, "awaiting_approval")]);
    let task = running.actions.list(&Filter { user: None, state: None, limit: 1 }).await.remove(0);
    running.actions.approve(task.id, &"ann".into()).await.unwrap();
    running.work().await;
    assert_eq!(world.hands.calls(), [Call::SetEnabled(false)]);
    // A person's own order needs nobody then.
    running.actions.submit(by_hand(ActionKind::SignOut, user(2))).await.unwrap();
    running.work().await;
    assert_eq!(world.hands.calls().len(), 2);
}

#[tokio::test]
async fn a_source_that_is_lost_or_in_doubt_starts_nothing() {
    for source in RiskSource::ALL.into_iter().filter(|source| *source != RiskSource::Answers) {
        let world = World::wanting(&[ActionKind::Disable]);
        let running = world.open();
        running.risk(user(1), RiskLevel::High, RiskState::AtRisk).await;
        running.source(source);
        running.actions.look_at_everybody().await;
        assert!(running.states(user(1)).await.is_empty(), "{}", source.word());
    }
    let world = World::wanting(&[ActionKind::Disable]);
    let running = world.open();
    for (level, state) in [(RiskLevel::Hidden, RiskState::AtRisk), (RiskLevel::High, RiskState::Unknown)] {
        running.risk(user(1), level, state).await;
        running.actions.look_at_everybody().await;
    }
    running.risk(user(1), RiskLevel::High, RiskState::AtRisk).await;
    world.clock.advance(2 * HOUR);
    running.actions.look_at_everybody().await;
    assert!(running.states(user(1)).await.is_empty(), "nobody confirmed it for two hours");
    running.source(RiskSource::Answers);
    running.actions.look_at_everybody().await;
    assert_eq!(running.states(user(1)).await.len(), 1);
}

#[tokio::test]
async fn a_preview_tells_whom_a_rule_would_hit_and_changes_nothing() {
    let mut world = World::wanting(&[ActionKind::Disable]);
    world.settings = Settings { quota_per_hour: 2, ..Settings::default() };
    world.settings.exempt.users.insert(user(1));
    let running = world.open();
    running.readings(&[user(1), user(2), user(3), user(4)], RiskLevel::High, RiskState::AtRisk).await;
    let preview = running.actions.preview(Some("risky")).await;
    assert!(preview.dry_run);
    let said = |who: UserKey| preview.lines.iter().find(|line| line.user == who).unwrap().brake;
    assert_eq!(said(user(1)), Some(Brake::BreakGlass));
    let free = preview.lines.iter().filter(|line| line.brake.is_none()).count();
    let over = preview.lines.iter().filter(|line| line.brake == Some(Brake::Quota)).count();
    assert_eq!((preview.lines.len(), free, over), (4, 2, 1));
    assert!(running.actions.preview(Some("another")).await.lines.is_empty());
    assert!(running.actions.list(&Filter { user: None, state: None, limit: 10 }).await.is_empty());
    assert!(running.actions.brakes().await.stopped.is_none());
}

#[tokio::test]
async fn rules_cannot_use_up_what_people_need_to_act_by_hand() {
    let mut world = World::wanting(&[ActionKind::Disable]);
    world.settings.approval = Approval::Automatic;
    world.settings.quota_per_hour = 1_000;
    let running = world.open();
    let people: Vec<UserKey> = (1..=MOST_OPEN as u128 + 5).map(user).collect();
    running.readings(&people, RiskLevel::High, RiskState::AtRisk).await;
    running.actions.look_at(&people).await;
    assert_eq!(running.actions.list(&Filter { limit: 1_000, ..Filter::default() }).await.len(), MOST_OPEN);
    let task = running.actions.submit(by_hand(ActionKind::SignOut, user(9_999))).await;
    assert!(task.is_ok(), "{task:?}");
}

#[tokio::test]
async fn the_end_of_the_process_does_not_wait_for_a_look_at_everybody() {
    let mut world = World::wanting(&[ActionKind::Disable]);
    world.settings.dry_run = true;
    let running = world.open();
    let people: Vec<UserKey> = (1..=300).map(user).collect();
    running.readings(&people, RiskLevel::High, RiskState::AtRisk).await;
    let all = Filter { limit: 1_000, ..Filter::default() };
    let begun = async {
        while running.actions.list(&all).await.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    running.actions.clone().run_background(begun).await;
    let seen = running.actions.list(&all).await.len();
    assert!((1..300).contains(&seen), "{seen}");
}

#[tokio::test]
async fn a_proposal_whose_risk_or_rule_is_gone_is_not_let_go() {
    let mut world = World::wanting(&[ActionKind::ConfirmCompromised]);
    world.settings.dry_run = true;
    let running = world.open();
    for (n, gone) in [(1, "risk"), (2, "rule")] {
        running.high(user(n)).await;
        let task = running.actions.list(&Filter { limit: 1, ..Filter::default() }).await.remove(0);
        match gone {
            "risk" => running.risk(user(n), RiskLevel::None, RiskState::Dismissed).await,
            _ => world.wants.lock().unwrap().clear(),
        }
        let refused = running.actions.approve(task.id, &"ben".into()).await;
        assert!(matches!(refused, Err(Refused::OutOfDate)), "{gone}: {refused:?}");
        running.work().await;
    }
    assert!(world.hands.calls().is_empty());
}
