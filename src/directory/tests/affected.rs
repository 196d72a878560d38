//! Whom a change concerns: those whose standing differs, and nobody else.

use super::*;

#[tokio::test]
async fn nesting_a_group_concerns_everybody_below_it_and_cycles_end() {
    let world = World::new();
    let people = (1..=4).map(seen).collect();
    let all = vec![group(10, &[1, 2], &[]), group(11, &[3], &[]), group(12, &[4], &[])];
    assert_eq!(world.apply(whole(people, all)).await, Affected::Everybody(CONTOSO));
    assert_eq!(world.groups_of(1), Some(vec![10]));

    // 10 goes into 11: people 1 and 2 gain a group, 3 was there already.
    let affected = world.apply(groups(vec![group(11, &[10], &[])])).await;
    assert_eq!(affected, Affected::People(vec![key(1), key(2)]));
    assert_eq!(world.groups_of(2), Some(vec![10, 11]));

    // 11 goes into 10 as well: a cycle. 3 gains 10, and nobody loops.
    assert_eq!(world.apply(groups(vec![group(10, &[11], &[])])).await, Affected::People(vec![key(3)]));
    assert_eq!(world.groups_of(3), Some(vec![10, 11]));

    // The group in the middle goes: whoever was in it or in a group below it.
    let gone = GroupChange::Removed(id(11), Removal::Changed);
    assert_eq!(world.apply(groups(vec![gone.clone()])).await, Affected::People(vec![key(1), key(2), key(3)]));
    assert_eq!((world.groups_of(1), world.groups_of(3)), (Some(vec![10]), Some(vec![])));
    assert_eq!(world.apply(groups(vec![gone])).await, Affected::Nobody, "the same page again");

    // It is restored, and Graph does not tell its members once more.
    assert_eq!(world.apply(groups(vec![group(11, &[], &[])])).await, Affected::People(vec![key(1), key(2), key(3)]));
    assert_eq!(world.groups_of(3), Some(vec![10, 11]));
}

#[tokio::test]
async fn what_changes_no_verdict_concerns_nobody() {
    let world = World::new();
    world.apply(whole(vec![seen(1), seen(2)], vec![group(10, &[1], &[]), group(11, &[10], &[])])).await;
    let epoch = world.epoch();
    let mut heard = world.subscribe();
    let renamed = User { name: Some("Other Name".to_owned()), ..user(1) };
    for update in [
        users(vec![UserChange::Seen(renamed)]),
        users(vec![seen(1)]),
        // 1 is in 11 already, through 10.
        groups(vec![group(11, &[1], &[])]),
        groups(vec![group(10, &[1], &[2])]),
        whole(vec![seen(1), seen(2)], vec![group(10, &[1], &[]), group(11, &[10], &[])]),
        Update::default(),
    ] {
        assert_eq!(world.apply(update).await, Affected::Nobody);
    }
    assert_eq!(world.epoch(), epoch);
    assert!(heard.try_recv().is_err());
    let disabled = User { enabled: Some(false), ..user(2) };
    assert_eq!(world.apply(users(vec![UserChange::Seen(disabled)])).await, Affected::People(vec![key(2)]));
    assert_eq!(heard.try_recv().unwrap(), Affected::People(vec![key(2)]));
    assert!(world.epoch() > epoch);
}

#[tokio::test]
async fn more_than_ten_thousand_people_are_everybody() {
    let world = World::new();
    let everybody: Vec<u128> = (1_000..12_000).collect();
    let people = everybody.iter().map(|object| seen(*object)).collect();
    world.apply(whole(people, vec![group(10, &everybody, &[]), group(11, &[], &[])])).await;
    assert_eq!(world.apply(groups(vec![group(11, &[10], &[])])).await, Affected::Everybody(CONTOSO));
    assert_eq!(world.groups_of(1_500), Some(vec![10, 11]));
    assert_eq!(world.apply(groups(vec![group(10, &[], &[1_500])])).await, Affected::People(vec![key(1_500)]));
    assert_eq!(world.groups_of(1_500), Some(vec![]));
}

#[tokio::test]
async fn holding_and_watching_concern_one_person_once() {
    let mut world = World::new();
    let hold = Hold { private: true, internet: false };
    let mut heard = world.subscribe();
    world.set_hold(key(1), hold).await.unwrap();
    world.set_hold(key(1), hold).await.unwrap();
    world.set_watched(key(1), UnixTime(77)).await.unwrap();
    assert_eq!(heard.try_recv().unwrap(), Affected::People(vec![key(1)]));
    assert_eq!(heard.try_recv().unwrap(), Affected::People(vec![key(1)]));
    assert!(heard.try_recv().is_err(), "the same again is no change");
    world.restart();
    let standing = world.standing(&subject(1));
    assert_eq!((standing.hold, standing.watched_until), (hold, UnixTime(77)));
    world.set_hold(key(1), Hold::default()).await.unwrap();
    assert_eq!(world.person(key(1)).unwrap().watched_until, UnixTime(77));
    world.set_watched(key(1), UnixTime(0)).await.unwrap();
    assert_eq!((world.rows(Table::Holds), world.person(key(1))), (0, None));
}
