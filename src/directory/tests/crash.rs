//! A process that ends between writing and showing, and pages that come in pieces.

use super::*;
use crate::directory::update::Piece;

/// What is durable before anything is shown, for the first pieces of an update.
async fn write_only(world: &World, pieces: impl Iterator<Item = Piece>) {
    let known = world.tenant(CONTOSO).unwrap();
    for piece in pieces {
        let mut plan = known.look(|snapshot| Plan::of(snapshot, CONTOSO, piece, world.clock.now()));
        std::mem::take(&mut plan.rows).write(world.store()).await.unwrap();
        known.take(plan);
    }
}

#[tokio::test]
async fn a_full_reading_that_ended_in_the_store_alone_has_ended() {
    let mut world = World::new();
    world.apply(whole(vec![seen(1), seen(2)], vec![group(10, &[1, 2], &[]), group(11, &[2], &[])])).await;
    let anew = whole(vec![seen(1)], vec![group(10, &[1], &[])]);
    write_only(&world, anew.pieces().into_iter()).await;
    world.restart();
    assert_eq!((world.account(2), world.groups_of(1)), (Account::Deleted, Some(vec![10])));
    assert_eq!(world.group_name(CONTOSO, id(11)), None);
    assert_eq!(world.rows(Table::DirectoryMembers), 3, "the old reading's rows are still there and count for nothing");
    let affected = world.apply(whole(vec![seen(1)], vec![group(10, &[1], &[])])).await;
    assert_eq!(affected, Affected::Nobody, "the page comes again and doubles nothing");
    assert_eq!(world.rows(Table::DirectoryMembers), 1);
}

#[tokio::test]
async fn a_huge_page_is_applied_in_pieces_and_its_link_counts_with_the_last() {
    let mut world = World::new();
    let everybody: Vec<u128> = (1_000..51_000).collect();
    let page = || {
        let users = everybody.iter().map(|object| seen(*object)).collect();
        let groups = vec![group(10, &everybody, &[])];
        Update { users, groups, users_round: begins(), groups_round: begins(), ..Update::default() }
    };
    let pieces = page().pieces().len();
    assert!(pieces > 4, "{pieces}");
    write_only(&world, page().pieces().into_iter().take(pieces - 1)).await;
    world.restart();
    assert_eq!(world.round(CONTOSO, SyncKind::Users), None, "begin anew");
    assert_eq!(world.round(CONTOSO, SyncKind::Groups), None);
    world.apply(page()).await;
    assert_eq!(world.round(CONTOSO, SyncKind::Groups), begins());
    world.apply(Update { users_round: ends(), groups_round: ends(), ..Update::default() }).await;
    world.restart();
    assert_eq!((world.groups_of(50_999), world.counts(CONTOSO).users), (Some(vec![10]), 50_000));
    assert_eq!(world.counts(CONTOSO).memberships, 50_000);
}
