//! Orders of people: once, at once here, and with a clear answer when Microsoft refuses.

use super::*;
use crate::entra::graph::Denied;

#[tokio::test]
async fn sessions_end_here_at_once_whatever_microsoft_says_later() {
    let world = World::new();
    world.hands.will([Some(Outcome::Denied(Denied::PrivilegedTarget))]);
    let running = world.open();
    running.signed_in(user(1)).await;
    running.signed_in(user(2)).await;
    let task = running.actions.submit(by_hand(ActionKind::SignOut, user(1))).await.unwrap();
    assert_eq!((running.alive(user(1)), running.alive(user(2))), (0, 1), "before anything is asked of Microsoft");
    assert!(matches!(task.state, TaskState::InProgress { attempt: 0, .. }) && world.hands.calls().is_empty());
    running.work().await;
    let task = running.actions.get(task.id).await.unwrap();
    let TaskState::Unsuccessful { fault } = &task.state else { panic!("{:?}", task.state) };
    assert_eq!((*fault, fault.word()), (Fault::PrivilegedTarget, "privileged_target"));
    assert!(fault.sentence().contains("administrator's role"), "{}", fault.sentence());
    assert!(task.history.iter().any(|mark| mark.what == "1 sessions ended here"), "{:?}", task.history);
}

#[tokio::test]
async fn each_refusal_has_its_own_word_and_none_is_tried_again() {
    let rows = [
        (Some(Outcome::Denied(Denied::MissingRole)), "insufficient_permission"),
        (Some(Outcome::Denied(Denied::MissingLicence)), "missing_licence"),
        (Some(Outcome::Denied(Denied::Unclear)), "denied"),
        (Some(Outcome::NotFound), "no_such_account"),
        (None, "not_configured"),
    ];
    for (outcome, word) in rows {
        let world = World::new();
        world.hands.will([outcome]);
        let running = world.open();
        let task = running.actions.submit(by_hand(ActionKind::Disable, user(1))).await.unwrap();
        running.work().await;
        world.clock.advance(DAY);
        running.work().await;
        let task = running.actions.get(task.id).await.unwrap();
        assert_eq!((task.state.word(), task.state.reason()), ("unsuccessful", Some(word)));
        assert_eq!(world.hands.calls().len(), 1, "{word}");
    }
}

#[tokio::test]
async fn microsofts_wish_to_wait_is_obeyed_and_the_budget_ends_it() {
    let mut world = World::new();
    world.settings.retries = 2;
    let wait = Duration::from_secs(100);
    world.hands.will([Some(Outcome::Retry(Some(wait))), Some(Outcome::Retry(None)), Some(Outcome::Retry(None))]);
    let running = world.open();
    let task = running.actions.submit(by_hand(ActionKind::Enable, user(1))).await.unwrap();
    running.work().await;
    world.clock.advance(wait - Duration::from_secs(1));
    running.work().await;
    assert_eq!(world.hands.calls().len(), 1, "not before the time it asked for");
    for calls in [2, 3, 3] {
        world.clock.advance(HOUR);
        running.work().await;
        assert_eq!(world.hands.calls().len(), calls);
    }
    let task = running.actions.get(task.id).await.unwrap();
    assert_eq!(task.state.reason(), Some("gave_up"), "{:?}", task.history);
}

#[tokio::test]
async fn one_task_that_waits_does_not_hold_up_the_next() {
    let world = World::new();
    world.hands.will([Some(Outcome::Retry(Some(HOUR)))]);
    let running = world.open();
    running.actions.submit(by_hand(ActionKind::Enable, user(1))).await.unwrap();
    running.work().await;
    running.actions.submit(by_hand(ActionKind::Enable, user(2))).await.unwrap();
    running.work().await;
    assert_eq!(running.states(user(1)).await, [(ActionKind::Enable, "in_progress")]);
    assert_eq!(running.states(user(2)).await, [(ActionKind::Enable, "successful")]);
}

#[tokio::test]
async fn the_same_order_is_one_task_and_a_key_is_for_one_order() {
    let world = World::new();
    let running = world.open();
    let keyed = Order { key: Some("k1".into()), ..by_hand(ActionKind::Disable, user(1)) };
    let first = running.actions.submit(keyed.clone()).await.unwrap();
    running.work().await;
    let again = running.actions.submit(keyed.clone()).await.unwrap();
    assert_eq!((again.id, again.state.word()), (first.id, "successful"));
    let other = Order { user: user(2), ..keyed };
    assert!(matches!(running.actions.submit(other).await, Err(Refused::KeyReused(id)) if id == first.id));
    // Without a key: while one is under way the second is the same, afterwards it is a new wish.
    let one = running.actions.submit(by_hand(ActionKind::SignOut, user(3))).await.unwrap();
    let two = running.actions.submit(by_hand(ActionKind::SignOut, user(3))).await.unwrap();
    assert_eq!(one.id, two.id);
    running.work().await;
    let three = running.actions.submit(by_hand(ActionKind::SignOut, user(3))).await.unwrap();
    assert_ne!(one.id, three.id);
    running.work().await;
    assert_eq!(world.hands.calls().len(), 3);
    let stranger = UserKey { tenant: TenantId(Guid::from_u128(9)), object: user(1).object };
    let refused = running.actions.submit(by_hand(ActionKind::Disable, stranger)).await;
    assert!(matches!(refused, Err(Refused::UnknownTenant)));
}

#[tokio::test]
async fn a_second_person_has_to_agree_where_that_is_asked_for() {
    let mut world = World::new();
    world.settings.approval = Approval::All;
    let running = world.open();
    running.signed_in(user(1)).await;
    let task = running.actions.submit(by_hand(ActionKind::SignOut, user(1))).await.unwrap();
    running.work().await;
    assert_eq!((task.state.word(), running.alive(user(1))), ("awaiting_approval", 1));
    assert!(matches!(running.actions.approve(task.id, &"ann".into()).await, Err(Refused::SamePerson)));
    assert!(world.hands.calls().is_empty());
    let task = running.actions.approve(task.id, &"ben".into()).await.unwrap();
    assert_eq!((task.approved_by.as_deref(), running.alive(user(1))), (Some("ben"), 0));
    running.work().await;
    assert_eq!(running.states(user(1)).await, [(ActionKind::SignOut, "successful")]);
    assert!(matches!(running.actions.approve(task.id, &"cat".into()).await, Err(Refused::WrongState("successful"))));
    assert!(matches!(running.actions.approve(TaskId(99), &"cat".into()).await, Err(Refused::UnknownTask)));
}

#[tokio::test]
async fn what_is_called_off_is_not_done_and_what_is_done_cannot_be_called_off() {
    let mut world = World::new();
    world.settings.approval = Approval::All;
    let running = world.open();
    let task = running.actions.submit(by_hand(ActionKind::Disable, user(1))).await.unwrap();
    let task = running.actions.cancel(task.id, &"ann".into()).await.unwrap();
    running.work().await;
    assert!(matches!(running.actions.approve(task.id, &"ben".into()).await, Err(Refused::WrongState("cancelled"))));
    assert!(world.hands.calls().is_empty());
    world.hands.will([Some(Outcome::Retry(Some(HOUR)))]);
    running.actions.configure(Settings::default());
    let waits = running.actions.submit(by_hand(ActionKind::Disable, user(2))).await.unwrap();
    running.work().await;
    running.actions.cancel(waits.id, &"ann".into()).await.unwrap();
    world.clock.advance(DAY);
    running.work().await;
    assert_eq!(world.hands.calls().len(), 1);
    let refused = running.actions.cancel(waits.id, &"ann".into()).await;
    assert!(matches!(refused, Err(Refused::WrongState("cancelled"))));
}

#[tokio::test]
async fn taking_back_restores_only_what_the_block_changed() {
    let world = World::new();
    let running = world.open();
    running.actions.submit(by_hand(ActionKind::Block(Reach::Private), user(1))).await.unwrap();
    let both = running.actions.submit(by_hand(ActionKind::Block(Reach::Both), user(1))).await.unwrap();
    let hold = running.actions.standing(user(1)).hold;
    assert!(hold.private && hold.internet);
    let undo = running.actions.undo(both.id, &"ben".into()).await.unwrap();
    assert_eq!(undo.order.kind, ActionKind::Unblock(Reach::Internet));
    let hold = running.actions.standing(user(1)).hold;
    assert!(hold.private && !hold.internet, "the earlier block stays");
    assert!(
        matches!(running.actions.undo(both.id, &"ben".into()).await, Err(Refused::AlreadyUndone(id)) if id == undo.id)
    );
    let out = running.actions.submit(by_hand(ActionKind::SignOut, user(1))).await.unwrap();
    running.work().await;
    assert!(matches!(running.actions.undo(out.id, &"ben".into()).await, Err(Refused::CannotBeUndone(_))));
    assert!(world.hands.calls().len() == 1);
}

#[tokio::test]
async fn a_watch_lasts_as_long_as_configured() {
    let running = World::new().open();
    running.actions.submit(by_hand(ActionKind::Watch, user(1))).await.unwrap();
    assert_eq!(running.actions.standing(user(1)).watched_until, START.plus(DAY));
    running.actions.submit(by_hand(ActionKind::Unwatch, user(1))).await.unwrap();
    assert_eq!(running.actions.standing(user(1)).watched_until, UnixTime(0));
}

#[tokio::test]
async fn whoever_hangs_up_in_the_middle_leaves_no_task_half_begun() {
    let world = World::new();
    let running = world.open();
    for n in 1..=4_u32 {
        let mut order = Box::pin(running.actions.submit(by_hand(ActionKind::Disable, user(n.into()))));
        // Further with each: before the intention is written, and after.
        for _ in 0..n {
            let _waits = futures_poll(order.as_mut()).await;
        }
        drop(order);
        let task = async {
            loop {
                let filter = Filter { user: Some(user(n.into())), state: None, limit: 1 };
                if let Some(task) = running.actions.list(&filter).await.pop().filter(|task| task.done_here) {
                    return task;
                }
                tokio::task::yield_now().await;
            }
        };
        let task = tokio::time::timeout(Duration::from_secs(10), task).await.expect("the task goes on");
        assert!(!running.actions.inner.ledger.lock().await.is_running(task.id));
        running.work().await;
        assert_eq!(running.states(user(n.into())).await, [(ActionKind::Disable, "successful")]);
    }
}

/// Polls once, then lets others go on.
async fn futures_poll<F: Future + Unpin>(mut future: F) -> bool {
    let ready = std::future::poll_fn(|context| {
        std::task::Poll::Ready(std::pin::Pin::new(&mut future).poll(context).is_ready())
    })
    .await;
    tokio::task::yield_now().await;
    ready
}

#[tokio::test]
async fn two_blocks_at_once_of_one_half_each_leave_both_blocked() {
    let world = World::new();
    let running = world.open();
    let orders = [Reach::Private, Reach::Internet].map(|reach| by_hand(ActionKind::Block(reach), user(1)));
    let [one, two] = orders.map(|order| running.actions.submit(order));
    let (one, two) = tokio::join!(one, two);
    assert_eq!((one.unwrap().state.word(), two.unwrap().state.word()), ("successful", "successful"));
    let hold = running.actions.standing(user(1)).hold;
    assert!(hold.private && hold.internet, "{hold:?}");
}

#[tokio::test]
async fn the_token_is_nobodys_second_person() {
    let mut world = World::new();
    world.settings.approval = Approval::All;
    let running = world.open();
    let token: Arc<str> = By::TOKEN.into();
    let of_ann = running.actions.submit(by_hand(ActionKind::SignOut, user(1))).await.unwrap();
    let of_token = Order::of_person(ActionKind::SignOut, user(2), Arc::clone(&token));
    let of_token = running.actions.submit(of_token).await.unwrap();
    assert!(matches!(running.actions.approve(of_ann.id, &token).await, Err(Refused::SamePerson)));
    assert!(matches!(running.actions.approve(of_token.id, &"ann".into()).await, Err(Refused::SamePerson)));
    assert!(running.actions.approve(of_ann.id, &"ben".into()).await.is_ok());
}
