//! A process that dies between intention and outcome: asked again at the next start, and never again after a success.

use super::*;
use crate::store::Batch;

#[tokio::test]
async fn an_action_without_an_answer_is_asked_for_again_once_and_then_never() {
    let world = World::new();
    let id = {
        let running = world.open();
        // Microsoft got it, and the process dies while it waits for the answer.
        world.hands.silent.store(true, Ordering::SeqCst);
        let task = running.actions.submit(by_hand(ActionKind::Disable, user(1))).await.unwrap();
        let asked = async {
            while world.hands.calls().is_empty() {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            _ = running.actions.step(TENANT) => panic!("no answer ever comes"),
            () = asked => {}
        }
        world.hands.silent.store(false, Ordering::SeqCst);
        task.id
    };
    for _ in 0..3 {
        let running = world.open();
        running.work().await;
        let task = running.actions.get(id).await.unwrap();
        assert!(matches!(task.state, TaskState::Successful { .. }), "{:?}", task.state);
        assert_eq!(world.hands.calls(), [Call::SetEnabled(false), Call::SetEnabled(false)], "one more, and no third");
    }
}

#[tokio::test]
async fn whoever_came_back_after_the_sign_out_is_not_sent_away_by_the_restart() {
    let world = World::new();
    {
        let running = world.open();
        running.signed_in(user(1)).await;
        // Died after the intention was written and before anything was done.
        let mut ledger = running.actions.inner.ledger.lock().await;
        let state = TaskState::InProgress { attempt: 0, next: START };
        let mut task = Task::new(ledger.next_id(), by_hand(ActionKind::SignOut, user(1)), None, state, START);
        task.started = Some(START);
        ledger.add(task).await.unwrap();
        drop(ledger);
        world.clock.advance(HOUR);
        running.signed_in(user(1)).await;
        assert_eq!(running.alive(user(1)), 2);
    }
    let running = world.open();
    running.work().await;
    assert_eq!(running.alive(user(1)), 1, "the session from before ends, the one from after stays");
    assert_eq!(world.hands.calls(), [Call::RevokeSessions]);
}

#[tokio::test]
async fn tasks_their_keys_and_numbers_outlive_the_process() {
    let world = World::new();
    let order =
        Order { key: Some("k".into()), note: Some("why".into()), ..by_hand(ActionKind::Block(Reach::Both), user(1)) };
    let task = world.open().actions.submit(order.clone()).await.unwrap();
    let running = world.open();
    let again = running.actions.submit(order).await.unwrap();
    assert_eq!(again.id, task.id);
    assert_eq!(again.order.note.as_deref(), Some("why"));
    let next = running.actions.submit(by_hand(ActionKind::SignOut, user(1))).await.unwrap();
    assert_eq!(next.id.0, task.id.0 + 1);
}

#[tokio::test]
async fn old_tasks_are_forgotten_but_not_a_persons_last_word_nor_a_number() {
    let world = World::new();
    let running = world.open();
    running.actions.submit(by_hand(ActionKind::SignOut, user(1))).await.unwrap();
    running.work().await;
    let last = running.actions.submit(by_hand(ActionKind::Enable, user(1))).await.unwrap();
    running.work().await;
    world.clock.advance(100 * DAY);
    let forgotten = running.actions.inner.ledger.lock().await.forget_old(world.clock.now(), 90 * DAY).await.unwrap();
    assert_eq!(forgotten, 1);
    assert_eq!(running.states(user(1)).await, [(ActionKind::Enable, "successful")]);
    drop(running);
    let running = world.open();
    let next = running.actions.submit(by_hand(ActionKind::SignOut, user(1))).await.unwrap();
    assert_eq!(next.id.0, last.id.0 + 1);
}

#[tokio::test]
async fn a_record_that_does_not_open_stops_what_is_automatic() {
    let world = World::wanting(&[ActionKind::Disable]);
    {
        let store = Store::open(world.dir.path()).unwrap();
        let mut batch = Batch::new();
        batch.put(crate::store::Table::Tasks, &7_u64.to_be_bytes(), b"not sealed by us");
        store.write(batch).await.unwrap();
    }
    let running = world.open();
    running.high(user(1)).await;
    running.work().await;
    assert!(world.hands.calls().is_empty());
    let stop = running.actions.brakes().await.stopped.unwrap();
    assert_eq!((stop.kind, stop.tenant), (None, None));
}

#[tokio::test]
async fn no_death_comes_between_a_taking_back_and_what_it_took_back() {
    let world = World::new();
    let running = world.open();
    let task = running.actions.submit(by_hand(ActionKind::Disable, user(1))).await.unwrap();
    running.work().await;
    let undo = running.actions.undo(task.id, &"ann".into()).await.unwrap();
    let commits = running.store.commits();
    assert_eq!(running.actions.step(TENANT).await, Some(Duration::ZERO));
    assert_eq!(running.store.commits(), commits + 1, "both in one write");
    assert_eq!(running.actions.get(task.id).await.unwrap().undone_by, Some(undo.id));
}

#[tokio::test]
async fn what_a_block_blocked_is_known_after_a_crash_in_the_middle_of_it() {
    let world = World::new();
    let id = {
        let running = world.open();
        let mut ledger = running.actions.inner.ledger.lock().await;
        let state = TaskState::InProgress { attempt: 0, next: START };
        let order = by_hand(ActionKind::Block(Reach::Both), user(1));
        let mut task = Task::new(ledger.next_id(), order, None, state, START);
        ledger.add(task.clone()).await.unwrap();
        drop(ledger);
        // The block is on disk, and the process dies before the outcome is.
        running.actions.set_hold(&mut task, Reach::Both, true).await.unwrap();
        task.id
    };
    let running = world.open();
    running.work().await;
    assert_eq!(running.actions.get(id).await.unwrap().newly, Some(Reach::Both));
    running.actions.undo(id, &"ann".into()).await.unwrap();
    assert_eq!(running.actions.standing(user(1)).hold, crate::facts::Hold::default());
}
