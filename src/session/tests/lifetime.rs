//! Lifetimes, to the second, whatever the wall clock does.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn the_absolute_lifetime_ends_to_the_second_even_for_an_open_stream() {
    for (offset, alive) in [(-1_i64, true), (0, false), (1, false)] {
        let world = World::new();
        let sessions = world.open();
        let (session, cookie) = sessions.create(sign_in(1), HOST).await.unwrap();
        let stream = session.hold();
        world.clock.advance(Duration::from_secs((8 * 3600_i64 + offset).unsigned_abs()));
        assert_eq!(session.touch(now(&world)).is_ok(), alive, "{offset} s");
        assert_eq!(found(&sessions, HOST, &cookie).await.is_some_and(|s| !s.cut.is_raised()), alive, "{offset} s");
        drop(stream);
    }
}

#[tokio::test]
async fn the_idle_lifetime_ends_to_the_second_and_use_moves_it() {
    for (offset, alive) in [(-1_i64, true), (0, false), (1, false)] {
        let world = World::new();
        let sessions = world.open();
        let (session, _) = sessions.create(sign_in(1), HOST).await.unwrap();
        world.clock.advance(HOUR / 2);
        session.touch(now(&world)).unwrap();
        world.clock.advance(Duration::from_secs((3600_i64 + offset).unsigned_abs()));
        assert_eq!(session.touch(now(&world)).is_ok(), alive, "{offset} s");
    }
}

#[tokio::test]
async fn an_open_stream_keeps_a_session_from_being_idle() {
    let world = World::new();
    let sessions = world.open();
    let (session, _) = sessions.create(sign_in(1), HOST).await.unwrap();
    let stream = session.hold();
    for _ in 0..6 {
        world.clock.advance(HOUR);
        sessions.sweep().await.unwrap();
    }
    assert!(!session.cut.is_raised());
    drop(stream);
    world.clock.advance(HOUR - SECOND);
    sessions.sweep().await.unwrap();
    assert!(!session.cut.is_raised(), "idle counts from the end of the stream");
    world.clock.advance(SECOND);
    sessions.sweep().await.unwrap();
    assert_eq!(session.cut.reason(), Some(CutReason::Expired));
}

#[tokio::test]
async fn a_request_right_after_a_long_stream_finds_the_session_in_use() {
    let world = World::new();
    let sessions = world.open();
    let (session, cookie) = sessions.create(sign_in(1), HOST).await.unwrap();
    let stream = session.hold();
    world.clock.advance(3 * HOUR);
    assert_eq!(sessions.list(None)[0].last_used, START.plus(3 * HOUR), "a stream is a use");
    drop(stream);
    world.clock.advance(HOUR - SECOND);
    assert!(session.touch(now(&world)).is_ok());
    assert!(found(&sessions, HOST, &cookie).await.is_some());
}

#[tokio::test]
async fn the_sweep_cuts_streams_at_the_deadline_and_clears_the_disk() {
    let world = World::new();
    let sessions = world.open();
    let (session, cookie) = sessions.create(sign_in(1), HOST).await.unwrap();
    let _stream = session.hold();
    world.clock.advance(8 * HOUR);
    sessions.sweep().await.unwrap();
    assert_eq!(session.cut.reason(), Some(CutReason::Expired));
    assert_eq!(sessions.count(), 0);
    let mut left = 0;
    sessions.inner.store.scan(Table::Sessions, |_, _| left += 1).unwrap();
    assert_eq!(left, 0);
    assert!(found(&sessions, HOST, &cookie).await.is_none());
}

#[tokio::test]
async fn steps_of_the_wall_clock_change_no_running_session() {
    let world = World::new();
    let sessions = world.open();
    let (session, _) = sessions.create(sign_in(1), HOST).await.unwrap();
    for wall in [START.0 + 86_400, START.0 - 7200, START.0 + 5 * 31_536_000, 0, START.0] {
        world.clock.step_wall(UnixTime(wall));
        world.clock.advance(HOUR / 2);
        sessions.sweep().await.unwrap();
        sessions.flush().await.unwrap();
        assert!(session.touch(now(&world)).is_ok(), "wall at {wall}");
        assert_eq!(sessions.list(None).len(), 1);
    }
}

#[tokio::test]
async fn a_wall_clock_that_went_back_over_a_restart_prolongs_nothing_that_was_used_up() {
    let mut world = World::new();
    world.config.idle = 8 * HOUR;
    let sessions = world.open();
    let (session, cookie) = sessions.create(sign_in(1), HOST).await.unwrap();
    world.clock.advance(7 * HOUR);
    session.touch(now(&world)).unwrap();
    sessions.flush().await.unwrap();
    drop((sessions, session));

    world.clock.step_wall(START);
    let sessions = world.open();
    let session = found(&sessions, HOST, &cookie).await.unwrap();
    world.clock.advance(HOUR - SECOND);
    assert!(session.touch(now(&world)).is_ok());
    world.clock.advance(SECOND);
    assert!(session.touch(now(&world)).is_err(), "7 of 8 hours were used before the restart");
}

#[tokio::test]
async fn idle_and_absolute_time_go_on_while_the_gateway_is_down() {
    for (down, alive) in [(HOUR - SECOND, true), (HOUR, false), (9 * HOUR, false)] {
        let world = World::new();
        let sessions = world.open();
        let (_, cookie) = sessions.create(sign_in(1), HOST).await.unwrap();
        drop(sessions);
        world.clock.advance(down);
        let sessions = world.open();
        assert_eq!(found(&sessions, HOST, &cookie).await.is_some(), alive, "{down:?}");
        sessions.sweep().await.unwrap();
        let mut on_disk = 0;
        sessions.inner.store.scan(Table::HostBindings, |_, _| on_disk += 1).unwrap();
        assert_eq!(on_disk, usize::from(alive), "what is over is removed after the start");
    }
}

#[tokio::test]
async fn the_last_use_is_kept_over_a_restart() {
    let world = World::new();
    let sessions = world.open();
    let (session, cookie) = sessions.create(sign_in(1), HOST).await.unwrap();
    world.clock.advance(HOUR / 2);
    session.touch(now(&world)).unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let background = tokio::spawn(sessions.clone().run_background(async move { drop(stopped.await) }));
    drop(stop);
    background.await.unwrap();
    drop((sessions, session));
    world.clock.advance(HOUR / 2 + HOUR / 4);
    let sessions = world.open();
    assert!(found(&sessions, HOST, &cookie).await.is_some(), "used 45 minutes ago, begun 75 minutes ago");
    assert_eq!(sessions.list(None)[0].last_used, START.plus(HOUR / 2));
}

#[tokio::test]
async fn a_session_of_a_clock_that_was_ahead_ends_in_time_over_any_number_of_restarts() {
    let world = World::new();
    world.clock.step_wall(START.plus(5 * 8760 * HOUR));
    let (_, cookie) = world.open().create(sign_in(1), HOST).await.unwrap();
    world.clock.step_wall(START);
    let mut restarts = 0;
    while let sessions = world.open()
        && found(&sessions, HOST, &cookie).await.is_some()
    {
        sessions.flush().await.unwrap();
        drop(sessions);
        world.clock.advance(HOUR / 4);
        restarts += 1;
        assert!(restarts <= 5, "idle for {restarts} quarters of an hour");
    }
    assert_eq!(restarts, 4, "one idle lifetime from the first start");
}
