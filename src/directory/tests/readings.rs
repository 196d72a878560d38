//! Full readings, changes, broken-off readings, and pages in the wrong order.

use super::*;

#[tokio::test]
async fn groups_come_from_the_token_until_users_and_groups_are_read_and_never_after() {
    let world = World::new();
    assert_eq!(world.groups_of(1), Some(vec![TOKEN_GROUP]));
    world.apply(Update { users: vec![seen(1)], users_round: begins(), ..Update::default() }).await;
    world.apply(Update { users_round: ends(), ..Update::default() }).await;
    assert_eq!((world.groups_of(1), world.account(1)), (Some(vec![TOKEN_GROUP]), Account::Enabled));
    world.apply(Update { groups: vec![group(10, &[1], &[])], groups_round: begins(), ..Update::default() }).await;
    assert_eq!(world.groups_of(1), Some(vec![TOKEN_GROUP]), "half a reading decides nothing");
    assert!(!world.is_read(CONTOSO));
    world.apply(Update { groups_round: ends(), ..Update::default() }).await;
    assert_eq!(world.groups_of(1), Some(vec![10]), "the token's group is not believed any more");
    assert_eq!((world.groups_of(2), world.account(2)), (None, Account::Unknown), "nor is a person nobody knows");
    assert!(world.is_read(CONTOSO));
}

#[tokio::test]
async fn whoever_does_not_come_in_a_full_reading_goes_at_its_end_and_not_before() {
    let world = World::new();
    world.apply(whole(vec![seen(1), seen(2)], vec![group(10, &[1, 2], &[]), group(11, &[1], &[])])).await;
    let first = Update { users: vec![seen(1)], groups: vec![group(10, &[1], &[])], ..Update::default() };
    world.apply(Update { users_round: begins(), groups_round: begins(), ..first }).await;
    assert_eq!((world.account(2), world.groups_of(1)), (Account::Enabled, Some(vec![10, 11])), "old data serves");
    let affected = world.apply(Update { users_round: ends(), groups_round: ends(), ..Update::default() }).await;
    assert_eq!(affected, Affected::People(vec![key(1), key(2)]));
    assert_eq!((world.account(2), world.groups_of(1)), (Account::Deleted, Some(vec![10])));
    assert_eq!(world.rows(Table::DirectoryMembers), 1, "rows of the old reading are gone");
}

#[tokio::test]
async fn a_reading_that_is_broken_off_and_begun_anew_removes_nobody() {
    let mut world = World::new();
    world.apply(whole((1..=4).map(seen).collect(), vec![group(10, &[1, 2, 3, 4], &[])])).await;
    let part = |person| Update {
        users: vec![seen(person)],
        groups: vec![group(10, &[person], &[])],
        users_round: begins(),
        groups_round: begins(),
        ..Update::default()
    };
    for person in [1, 2] {
        world.apply(part(person)).await;
        world.restart();
        assert_eq!(world.round(CONTOSO, SyncKind::Users), begins(), "it could go on from there");
    }
    for person in 1..=4 {
        assert_eq!((world.account(person), world.groups_of(person)), (Account::Enabled, Some(vec![10])));
    }
    // This one goes on across a restart to its end; what the broken ones told does not count.
    world.apply(part(3)).await;
    world.restart();
    let rest = Update { users: vec![seen(4)], groups: vec![group(10, &[4], &[])], ..Update::default() };
    world.apply(Update { users_round: ends(), groups_round: ends(), ..rest }).await;
    assert_eq!([1, 2, 3, 4].map(|person| world.account(person) == Account::Enabled), [false, false, true, true]);
    assert_eq!(world.members(CONTOSO, id(10), 9), [key(3), key(4)]);
    assert_eq!(world.rows(Table::DirectoryMembers), 1);
}

#[tokio::test]
async fn what_is_not_told_stays_and_the_order_of_pages_does_not_matter() {
    let world = World::new();
    // Members before the people, the inner group before the outer, the group itself last.
    world.apply(whole(vec![], vec![group(11, &[10], &[]), group(10, &[1], &[])])).await;
    assert_eq!(
        (world.groups_of(1), world.account(1)),
        (None, Account::Unknown),
        "named by a group, not by the directory"
    );
    let moment = Some(UnixTime(1_700_000_000));
    let told = User { mail: Some("p@contoso.example".to_owned()), sign_in_sessions_valid_from: moment, ..user(1) };
    world.apply(users(vec![UserChange::Seen(told)])).await;
    assert_eq!(world.groups_of(1), Some(vec![10, 11]));
    let nothing = User { name: None, upn: None, enabled: None, guest: None, ..user(1) };
    assert_eq!(world.apply(users(vec![UserChange::Seen(nothing.clone())])).await, Affected::Nobody);
    let person = world.person(key(1)).unwrap();
    assert_eq!((person.name.as_str(), person.mail.as_str()), ("Person 1", "p@contoso.example"));
    assert_eq!((person.enabled, person.guest), (Some(true), Some(false)));
    assert_eq!(world.standing(&subject(1)).valid_from, moment);
    // Restored after a soft deletion: sign-ins that were revoked before stay revoked.
    world.apply(users(vec![UserChange::Removed(id(1), Removal::Changed)])).await;
    assert_eq!(world.account(1), Account::Deleted);
    world.apply(users(vec![UserChange::Seen(nothing)])).await;
    assert_eq!((world.account(1), world.standing(&subject(1)).valid_from), (Account::Enabled, moment));
}

#[tokio::test]
async fn rs09_an_id_that_is_gone_for_good_does_not_come_back_with_an_old_page() {
    let mut world = World::new();
    world.apply(whole(vec![seen(1)], vec![group(10, &[1], &[])])).await;
    let gone = UserChange::Removed(id(1), Removal::Deleted);
    world.apply(users(vec![gone.clone(), seen(1)])).await;
    assert_eq!(world.account(1), Account::Deleted);
    world.apply(users(vec![seen(1), UserChange::Removed(id(1), Removal::Changed), seen(1)])).await;
    world.restart();
    assert_eq!((world.account(1), world.groups_of(1)), (Account::Deleted, None));
    assert_eq!(world.person(key(1)).unwrap().name, "", "no name of somebody who is gone is kept");
    // Whom the directory never told of is remembered as gone as well.
    world.apply(users(vec![UserChange::Removed(id(2), Removal::Changed)])).await;
    assert_eq!(world.account(2), Account::Deleted);
}

#[tokio::test]
async fn who_is_gone_is_remembered_for_a_month_and_leaves_no_rows_after() {
    let mut world = World::new();
    world.apply(whole(vec![seen(1), seen(2)], vec![group(10, &[1], &[]), group(11, &[2], &[])])).await;
    world.apply(users(vec![UserChange::Removed(id(2), Removal::Changed)])).await;
    world.apply(groups(vec![GroupChange::Removed(id(11), Removal::Deleted)])).await;
    world.clock.advance(Duration::from_secs(30 * 86_400));
    world.restart();
    assert_eq!((world.account(2), world.counts(CONTOSO).gone), (Account::Deleted, 2));
    world.clock.advance(Duration::from_secs(2 * 86_400));
    world.restart();
    assert_eq!((world.account(2), world.groups_of(2), world.counts(CONTOSO).gone), (Account::Unknown, None, 0));
    world.apply(Update::default()).await;
    assert_eq!((world.rows(Table::DirectoryObjects), world.rows(Table::DirectoryMembers)), (2, 1));
    // Their numbers are given to others, who have nothing of them.
    world.apply(users(vec![seen(3)])).await;
    world.apply(groups(vec![group(12, &[], &[])])).await;
    world.restart();
    assert_eq!((world.groups_of(3), world.account(3)), (Some(vec![]), Account::Enabled));
    assert_eq!((world.rows(Table::DirectoryObjects), world.groups_of(1)), (4, Some(vec![10])));
}

#[tokio::test]
async fn a_group_of_many_comes_in_parts_and_a_change_of_it_writes_little() {
    let mut world = World::new();
    let everybody: Vec<u128> = (1_000..31_000).collect();
    for (nth, part) in everybody.chunks(999).enumerate() {
        let round = if nth == 0 { begins() } else { goes_on() };
        let users = part.iter().map(|object| seen(*object)).collect();
        let groups = vec![group(10, part, &[])];
        world
            .apply(Update { users, groups, users_round: round.clone(), groups_round: round, ..Update::default() })
            .await;
    }
    world.apply(Update { users_round: ends(), groups_round: ends(), ..Update::default() }).await;
    let rows = world.rows(Table::DirectoryMembers);
    assert!((30..=62).contains(&rows), "{rows} rows of 512 to 1,024 members");
    let gone: Vec<u128> = everybody.iter().copied().filter(|object| object % 3 == 0).collect();
    world.apply(groups(vec![group(10, &[7], &gone)])).await;
    world.restart();
    let living: Vec<UserKey> = everybody.iter().filter(|object| *object % 3 != 0).map(|object| key(*object)).collect();
    assert_eq!(world.members(CONTOSO, id(10), 99_999), living);
    assert_eq!(world.counts(CONTOSO).memberships, u64::try_from(living.len()).unwrap() + 1);
    world.apply(groups(vec![group(10, &[], &everybody)])).await;
    world.restart();
    assert_eq!((world.counts(CONTOSO).memberships, world.rows(Table::DirectoryMembers)), (1, 1));
}

/// RS-05: a full reading that stands still, say because a page of it was broken, holds up no update.
#[tokio::test]
async fn rs05_changes_take_effect_while_a_full_reading_is_unfinished() {
    let mut world = World::new();
    world.apply(whole(vec![seen(1), seen(2)], vec![group(10, &[1, 2], &[])])).await;
    let first = Update { users: vec![seen(1)], groups: vec![group(10, &[1, 2], &[])], ..Update::default() };
    world.apply(Update { users_round: begins(), groups_round: begins(), ..first }).await;
    assert_eq!(world.apply(groups(vec![group(10, &[], &[2])])).await, Affected::People(vec![key(2)]));
    let disabled = User { enabled: Some(false), ..user(1) };
    assert_eq!(world.apply(users(vec![UserChange::Seen(disabled)])).await, Affected::People(vec![key(1)]));
    for _ in 0..2 {
        assert_eq!((world.groups_of(2), world.account(1)), (Some(vec![]), Account::Disabled));
        assert_eq!(world.round(CONTOSO, SyncKind::Groups), begins(), "and it moves no link");
        world.restart();
    }
    // Should the reading go on after all, it does not bring back what went meanwhile.
    world.apply(Update { users: vec![seen(2)], users_round: ends(), groups_round: ends(), ..Update::default() }).await;
    assert_eq!((world.groups_of(2), world.account(1)), (Some(vec![]), Account::Disabled));
}
