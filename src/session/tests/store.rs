//! Finding, keeping, binding, ending: over the cache, the index and the disk.

use super::*;

#[tokio::test]
async fn a_created_session_is_found_by_its_cookie_and_after_a_restart() {
    let world = World::new();
    let sessions = world.open();
    let (created, cookie) = sessions.create(sign_in(1), HOST).await.unwrap();
    assert!(Arc::ptr_eq(&created, &found(&sessions, HOST, &cookie).await.unwrap()));
    drop((sessions, created));

    let sessions = world.open();
    let again = found(&sessions, HOST, &cookie).await.unwrap();
    assert_eq!(again.user, user(1));
    assert_eq!(*again.subject(), subject(1));
    assert_eq!(again.sid().map(|sid| &**sid), Some("sid-1"));
    assert_eq!(again.login_hint().map(|hint| hint.expose().as_str()), Some("hint"));
    assert_eq!(again.authenticated(), START);
    let token = sessions.refresh_token(&again.key).await.unwrap().unwrap();
    assert_eq!(token.expose(), "refresh-1");
    assert!(again.touch(now(&world)).is_ok());
}

#[tokio::test]
async fn an_evicted_session_comes_back_as_the_same_one_and_its_holder_is_cut() {
    let mut world = World::new();
    world.config.capacity = 1;
    let sessions = world.open();
    let (held, cookie) = sessions.create(sign_in(1), HOST).await.unwrap();
    for n in 2..50 {
        sessions.create(sign_in(n), HOST).await.unwrap();
    }
    sessions.inner.cache.run_pending_tasks();
    let key = sessions.verify_cookie(HOST, cookie.expose().as_bytes()).unwrap();
    assert!(matches!(sessions.lookup(&key), Lookup::Unknown), "a cache of one keeps one");
    let loaded = sessions.load(&key).await.unwrap().unwrap();
    assert!(Arc::ptr_eq(&held, &loaded));

    assert!(sessions.end(&held.key, CutReason::Revoked).await.unwrap());
    assert_eq!(held.touch(now(&world)), Err(CutReason::Revoked));
    assert!(sessions.load(&key).await.unwrap().is_none());
}

#[tokio::test]
async fn a_session_nobody_holds_is_loaded_anew_with_its_old_deadline() {
    let mut world = World::new();
    world.config.capacity = 0;
    let sessions = world.open();
    let (session, cookie) = sessions.create(sign_in(1), HOST).await.unwrap();
    drop(session);
    sessions.inner.cache.run_pending_tasks();
    world.clock.advance(HOUR / 2);
    world.clock.step_wall(UnixTime(START.0 - 7200));
    let again = found(&sessions, HOST, &cookie).await.unwrap();
    assert!(again.touch(now(&world)).is_ok());
    drop(again);
    for _ in 0..15 {
        world.clock.advance(HOUR / 2);
        world.clock.step_wall(UnixTime(START.0 - 7200));
        if let Some(again) = found(&sessions, HOST, &cookie).await {
            let _over_or_not = again.touch(now(&world));
        }
    }
    assert!(found(&sessions, HOST, &cookie).await.is_none(), "8 hours have passed");
}

#[tokio::test]
async fn one_session_serves_every_bound_host_and_ends_on_all() {
    let world = World::new();
    let sessions = world.open();
    let (session, first) = sessions.create(sign_in(1), HOST).await.unwrap();
    let wiki = sessions.bind_host(&session, "wiki.example.test").await.unwrap();
    assert!(Arc::ptr_eq(&session, &found(&sessions, "wiki.example.test", &wiki).await.unwrap()));
    assert!(found(&sessions, HOST, &wiki).await.is_none(), "a cookie of one host is nothing on another");

    assert!(sessions.end(&session.key, CutReason::SignedOut).await.unwrap());
    assert!(!sessions.end(&session.key, CutReason::SignedOut).await.unwrap());
    assert!(found(&sessions, HOST, &first).await.is_none());
    assert!(found(&sessions, "wiki.example.test", &wiki).await.is_none());
    assert!(matches!(sessions.bind_host(&session, "x.test").await, Err(SessionError::Over)));
    let mut left = 0;
    for table in [Table::Sessions, Table::HostBindings, Table::LastUse] {
        sessions.inner.store.scan(table, |_, _| left += 1).unwrap();
    }
    assert_eq!(left, 0, "nothing stays on disk");
    drop((sessions, session));
    assert!(found(&world.open(), HOST, &first).await.is_none());
}

#[tokio::test]
async fn a_host_keeps_few_cookies_and_the_oldest_go() {
    let world = World::new();
    let sessions = world.open();
    let (session, first) = sessions.create(sign_in(1), HOST).await.unwrap();
    let mut wiki = Vec::new();
    for _ in 0..6 {
        wiki.push(sessions.bind_host(&session, "wiki.example.test").await.unwrap());
    }
    assert!(found(&sessions, HOST, &first).await.is_some());
    let mut good = Vec::new();
    for cookie in &wiki {
        good.push(found(&sessions, "wiki.example.test", cookie).await.is_some());
    }
    assert_eq!(good, [false, false, true, true, true, true]);
    for n in 0..600 {
        sessions.bind_host(&session, &format!("app{n}.example.test")).await.unwrap();
    }
    let mut bindings = 0;
    sessions.inner.store.scan(Table::HostBindings, |_, _| bindings += 1).unwrap();
    assert_eq!(bindings, 512);
}

#[tokio::test]
async fn front_channel_logout_ends_the_right_sessions_and_no_others() {
    let world = World::new();
    let sessions = world.open();
    let of = async |n: u128, sid: &str, tenant: u128| {
        let mut new = sign_in(n);
        new.sid = Some(sid.to_owned());
        new.subject.user.tenant = TenantId(Guid::from_u128(tenant));
        sessions.create(new, HOST).await.unwrap().0
    };
    let (one, two) = (of(1, "s1", 0xc0).await, of(1, "s1", 0xc0).await);
    let (other_sid, other_tenant) = (of(1, "s2", 0xc0).await, of(9, "s1", 0xd0).await);

    let contoso = TenantId(Guid::from_u128(0xc0));
    assert_eq!(sessions.end_sid(Some(contoso), "s1", CutReason::SignedOut).await.unwrap(), 2);
    assert!(one.cut.is_raised() && two.cut.is_raised());
    assert!(!other_sid.cut.is_raised() && !other_tenant.cut.is_raised());
    assert_eq!(sessions.end_sid(None, "s1", CutReason::SignedOut).await.unwrap(), 1);
    assert!(other_tenant.cut.is_raised());
    assert_eq!(sessions.end_sid(None, "no such", CutReason::SignedOut).await.unwrap(), 0);
    assert_eq!(sessions.end_user(user(1), CutReason::Revoked).await.unwrap(), 1);
    assert_eq!(other_sid.cut.reason(), Some(CutReason::Revoked));
    assert_eq!(sessions.count(), 0);
}

#[tokio::test]
async fn an_ending_reaches_the_other_gateway() {
    let (here, there) = (World::new(), World::new());
    let (one, other) = Peers::pair();
    let (here_sessions, there_sessions) = (here.open_with(one), there.open_with(other));
    let (session, _) = there_sessions.create(sign_in(1), HOST).await.unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let background = tokio::spawn(there_sessions.clone().run_background(async move { drop(stopped.await) }));
    tokio::task::yield_now().await;

    assert_eq!(here_sessions.end_user(user(1), CutReason::AccountLost).await.unwrap(), 0);
    let reason = tokio::time::timeout(Duration::from_secs(10), session.cut.raised()).await.unwrap();
    assert_eq!(reason, CutReason::AccountLost);
    drop(stop);
    background.await.unwrap();
}

#[tokio::test]
async fn one_session_too_many_ends_the_oldest_of_that_person() {
    let world = World::new();
    let sessions = world.open();
    let (oldest, _) = sessions.create(sign_in(1), HOST).await.unwrap();
    let (second, _) = sessions.create(sign_in(1), HOST).await.unwrap();
    let (other, _) = sessions.create(sign_in(2), HOST).await.unwrap();
    for _ in 2..=index::MAX_PER_USER {
        sessions.create(sign_in(1), HOST).await.unwrap();
    }
    assert!(oldest.cut.is_raised());
    assert!(!second.cut.is_raised() && !other.cut.is_raised());
    assert_eq!(sessions.list(Some(user(1))).len(), index::MAX_PER_USER);
}

#[tokio::test]
async fn the_list_names_sessions_newest_first_and_find_takes_the_short_id() {
    let world = World::new();
    let sessions = world.open();
    let (first, _) = sessions.create(sign_in(1), HOST).await.unwrap();
    world.clock.advance(Duration::from_secs(60));
    let (second, _) = sessions.create(sign_in(2), HOST).await.unwrap();
    let stream = second.hold();
    let list = sessions.list(None);
    assert_eq!(list.iter().map(|line| line.user).collect::<Vec<_>>(), [user(2), user(1)]);
    assert_eq!((list[0].streams, list[1].streams), (1, 0));
    assert_eq!(list[1].last_used, START);
    assert_eq!(sessions.find(&list[1].id), Some(first.key));
    for id in ["", "0", "zzzzzzzzzzzzzzzz", "+123456789abcdef", &list[1].id[..15]] {
        assert_eq!(sessions.find(id), None, "{id}");
    }
    drop(stream);
    assert_eq!(sessions.list(Some(user(2)))[0].streams, 0);
}

#[tokio::test]
async fn an_edited_or_moved_record_is_no_session() {
    let world = World::new();
    let sessions = world.open();
    let (alice, alice_cookie) = sessions.create(sign_in(1), HOST).await.unwrap();
    let (bob, bob_cookie) = sessions.create(sign_in(2), HOST).await.unwrap();
    let store = sessions.inner.store.clone();
    let alices = store.read(Table::Sessions, &alice.key.0).unwrap().unwrap();
    assert!(!alices.windows(6).any(|part| part == b"Person"), "the record is sealed");
    let mut bobs = store.read(Table::Sessions, &bob.key.0).unwrap().unwrap();
    *bobs.last_mut().unwrap() ^= 1;
    let mut batch = Batch::new();
    batch.put(Table::Sessions, &bob.key.0, &bobs);
    store.write(batch).await.unwrap();
    drop((sessions, store));
    let sessions = world.open();
    assert!(found(&sessions, HOST, &bob_cookie).await.is_none(), "edited");
    assert!(found(&sessions, HOST, &alice_cookie).await.is_some());

    let mut batch = Batch::new();
    batch.put(Table::Sessions, &bob.key.0, &alices);
    sessions.inner.store.write(batch).await.unwrap();
    drop(sessions);
    let sessions = world.open();
    assert!(found(&sessions, HOST, &bob_cookie).await.is_none(), "another person's record");
    assert_eq!(sessions.count(), 1);
}

#[tokio::test]
async fn a_refresh_changes_the_subject_for_everybody_and_is_kept() {
    let world = World::new();
    let sessions = world.open();
    let (session, cookie) = sessions.create(sign_in(1), HOST).await.unwrap();
    let every = Duration::from_secs(600);
    assert!(session.begin_refresh(every, now(&world)).is_none(), "the sign-in is fresh");
    world.clock.advance(every);
    let ticket = session.begin_refresh(every, now(&world)).unwrap();
    assert!(session.begin_refresh(every, now(&world)).is_none(), "one at a time");
    let mut changed = subject(1);
    changed.groups = Groups::known(vec![]);
    let before = session.version();
    sessions.refreshed(&session, changed.clone(), Some(Secret::new("next".to_owned()))).await.unwrap();
    drop(ticket);
    assert_ne!(session.version(), before);
    assert_eq!(*session.subject(), changed);
    assert!(session.begin_refresh(every, now(&world)).is_none(), "just done");
    assert!(matches!(sessions.refreshed(&session, subject(2), None).await, Err(SessionError::OtherUser)));
    let key = session.key;
    drop((sessions, session));

    let sessions = world.open();
    assert_eq!(*found(&sessions, HOST, &cookie).await.unwrap().subject(), changed);
    assert_eq!(sessions.refresh_token(&key).await.unwrap().unwrap().expose(), "next");
}

#[tokio::test]
async fn a_late_refresh_does_not_bring_back_an_ended_session() {
    let world = World::new();
    let sessions = world.open();
    let (session, cookie) = sessions.create(sign_in(1), HOST).await.unwrap();
    sessions.end(&session.key, CutReason::Revoked).await.unwrap();
    assert!(matches!(sessions.refreshed(&session, subject(1), None).await, Err(SessionError::Over)));
    drop((sessions, session));
    assert!(found(&world.open(), HOST, &cookie).await.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn once_an_end_has_returned_no_touch_succeeds() {
    let mut world = World::new();
    world.config.capacity = 2;
    let sessions = world.open();
    for round in 0..30 {
        let (session, cookie) = sessions.create(sign_in(round), HOST).await.unwrap();
        let key = session.key;
        drop(session);
        let ended = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let users: Vec<_> = (0..4)
            .map(|_| {
                let (sessions, cookie, ended) = (sessions.clone(), cookie.clone(), Arc::clone(&ended));
                let clock = Arc::clone(&world.clock);
                tokio::spawn(async move {
                    loop {
                        let was_ended = ended.load(std::sync::atomic::Ordering::SeqCst);
                        let used = found(&sessions, HOST, &cookie).await;
                        let used = used.is_some_and(|session| session.touch(clock.tick()).is_ok());
                        assert!(!(was_ended && used), "used after its end");
                        if was_ended {
                            break;
                        }
                        tokio::task::yield_now().await;
                    }
                })
            })
            .collect();
        tokio::task::yield_now().await;
        assert!(sessions.end(&key, CutReason::Revoked).await.unwrap());
        ended.store(true, std::sync::atomic::Ordering::SeqCst);
        for user in users {
            user.await.unwrap();
        }
    }
}

#[tokio::test]
async fn on_a_full_disk_an_end_counts_at_once_and_is_made_durable_later() {
    let Some(disk) = crate::store::tests::SmallDisk::mount(4) else { return };
    let world = World::new();
    let open = || {
        let clock = Arc::clone(&world.clock) as SharedClock;
        open_in(&disk.path, world.config.clone(), Peers::alone(), clock)
    };
    let sessions = open();
    let (session, cookie) = sessions.create(sign_in(1), HOST).await.unwrap();
    let filler = disk.fill();
    let mut n = 2;
    while sessions.create(sign_in(n), HOST).await.is_ok() {
        n += 1;
        assert!(n < 20_000, "the disk never filled");
    }
    let ended = sessions.end(&session.key, CutReason::Revoked).await;
    assert_eq!(session.touch(now(&world)), Err(CutReason::Revoked), "whatever the disk says");
    assert!(!matches!(found(&sessions, HOST, &cookie).await, Some(s) if s.touch(now(&world)).is_ok()));
    if ended.is_err() {
        assert!(sessions.end(&session.key, CutReason::Revoked).await.is_err(), "not durable yet, and it says so");
        assert!(sessions.end_user(user(1), CutReason::Revoked).await.is_err(), "asked for by name, too");
    }
    std::fs::remove_file(filler).unwrap();
    sessions.sweep().await.unwrap();
    drop((sessions, session));
    assert!(found(&open(), HOST, &cookie).await.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_sign_ins_at_once_share_few_commits_and_all_last() {
    let world = World::new();
    let sessions = world.open();
    let people: Vec<_> = (0..1000)
        .map(|n| {
            let sessions = sessions.clone();
            tokio::spawn(async move { sessions.create(sign_in(n), HOST).await.unwrap().1 })
        })
        .collect();
    let mut cookies = Vec::new();
    for person in people {
        cookies.push(person.await.unwrap());
    }
    assert!(sessions.inner.store.commits() < 500, "{} commits", sessions.inner.store.commits());
    drop(sessions);
    let sessions = world.open();
    for (n, cookie) in cookies.iter().enumerate() {
        assert_eq!(found(&sessions, HOST, cookie).await.unwrap().user, user(n as u128));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn loads_at_the_same_time_get_the_same_session() {
    let world = World::new();
    let sessions = world.open();
    let (_, cookie) = sessions.create(sign_in(1), HOST).await.unwrap();
    drop(sessions);
    let sessions = world.open();
    let key = sessions.verify_cookie(HOST, cookie.expose().as_bytes()).unwrap();
    let loads: Vec<_> = (0..32)
        .map(|_| {
            let sessions = sessions.clone();
            tokio::spawn(async move { sessions.load(&key).await.unwrap().unwrap() })
        })
        .collect();
    let mut all = Vec::new();
    for load in loads {
        all.push(load.await.unwrap());
    }
    assert!(all.iter().all(|session| Arc::ptr_eq(session, &all[0])));
}

#[tokio::test]
async fn a_valid_cookie_of_no_session_is_no_session() {
    let (world, other) = (World::new(), World::new());
    std::fs::copy(
        {
            drop(world.open());
            world.dir.path().join("keyring.json")
        },
        other.dir.path().join("keyring.json"),
    )
    .unwrap();
    let (_, cookie) = other.open().create(sign_in(1), HOST).await.unwrap();
    let sessions = world.open();
    assert!(sessions.verify_cookie(HOST, cookie.expose().as_bytes()).is_some(), "same keys, so the MAC is right");
    assert!(found(&sessions, HOST, &cookie).await.is_none());
}
