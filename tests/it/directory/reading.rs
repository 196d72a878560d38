//! What is read and when: the first reading, changes, the rhythm of ZTSA, a restart.

use portcullis::facts::{Account, ObjectId, RiskLevel};
use portcullis::simulator::{ALICE, BOB, DORA, MALLORY, PAYROLL};

use super::*;

#[tokio::test]
async fn the_first_reading_brings_everybody_and_changes_follow() {
    let mut stand = Stand::usual().await;
    stand.until("everything is read", Stand::is_read).await;
    for kind in [SyncKind::Users, SyncKind::Groups, SyncKind::Risk] {
        let progress = stand.progress(kind);
        assert!(progress.started.is_some() && progress.finished.is_some(), "{progress:?}");
    }
    let level = |stand: &Stand, who| stand.standing(who).risk.map(|risk| risk.reading.level);
    assert_eq!(level(&stand, MALLORY), Some(RiskLevel::High));
    assert_eq!(level(&stand, BOB), Some(RiskLevel::Medium));
    assert_eq!(level(&stand, ALICE), None);
    let before = stand.directory.epoch();
    stand.order(Method::PUT, "/sim/v1/people/alice/risk", json!({ "level": "high" })).await;
    let from = stand.clock.now();
    stand.until("alice's risk arrives", |stand| level(stand, ALICE) == Some(RiskLevel::High)).await;
    assert!(stand.clock.now().since(from) <= Duration::from_secs(20), "within one look");
    assert!(stand.directory.epoch() > before);
    stand.until("changes have been read", |stand| stand.phase(SyncKind::Users) == Phase::UpdateDone).await;
    // Nothing new: looks go on without telling anybody.
    let calls = stand.graph_calls();
    stand.until("what is behind it has come", |stand| stand.graph_calls() > calls + 6).await;
    let (epoch, calls) = (stand.directory.epoch(), stand.graph_calls());
    stand.until("a few looks later", |stand| stand.graph_calls() > calls + 10).await;
    assert_eq!(stand.directory.epoch(), epoch);
}

#[tokio::test]
async fn people_groups_and_membership_follow_the_tenant() {
    let mut stand = Stand::usual().await;
    stand.until("everything is read", Stand::is_read).await;
    let counts = stand.directory.counts(tenant());
    assert!(counts.users >= 6 && counts.groups >= 243 && counts.risky >= 2, "{counts:?}");
    assert_eq!(stand.progress(SyncKind::Users).items, counts.users);
    let payroll: ObjectId = PAYROLL.parse().unwrap();
    let is_in = |stand: &Stand, who| stand.standing(who).groups.contains(payroll);
    assert_eq!((is_in(&stand, ALICE), is_in(&stand, MALLORY)), (Some(true), Some(false)));
    assert!(matches!(&stand.standing(DORA).groups, Groups::Known(groups) if groups.len() > 200), "no overage here");
    let member = |who| format!("/sim/v1/groups/{PAYROLL}/members/{who}");
    stand.order(Method::PUT, &member("mallory"), json!({})).await;
    stand.order(Method::DELETE, &member("alice"), json!({})).await;
    let swapped = |stand: &Stand| is_in(stand, MALLORY) == Some(true) && is_in(stand, ALICE) == Some(false);
    stand.until("membership follows", swapped).await;
    assert_eq!(stand.standing(BOB).account, Account::Enabled);
    stand.b.sim.world().set_disabled("bob", true).unwrap();
    stand.until("bob is disabled", |stand| stand.standing(BOB).account == Account::Disabled).await;
    stand.b.sim.world().set_deleted("bob", true).unwrap();
    stand.until("bob is gone", |stand| stand.standing(BOB).account == Account::Deleted).await;
    let detected = |stand: &Stand| stand.standing(MALLORY).risk.is_some_and(|risk| !risk.detections.is_empty());
    stand.until("what was detected is known", detected).await;
}

/// A first reading of many pages, some of them empty, is one reading; small pages change nothing.
#[tokio::test]
async fn many_pages_are_one_reading() {
    let mut stand = Stand::with(Wish { rhythm: Rhythm { first: LATER, ..Rhythm::FAST }, ..Wish::default() }).await;
    stand.order(Method::PUT, "/sim/v1/graph/settings", json!({ "page_size": 2, "empty_pages": 3 })).await;
    stand.until("everything is read", Stand::is_read).await;
    let counts = stand.directory.counts(tenant());
    assert!(counts.users >= 6 && counts.groups >= 243 && counts.risky >= 2, "{counts:?}");
    assert!(
        stand.progress(SyncKind::Groups).read >= counts.groups || stand.phase(SyncKind::Groups) == Phase::UpdateDone
    );
}

/// Time to order something before anything is read.
pub(super) const LATER: Duration = Duration::from_secs(20);

#[tokio::test]
async fn ztsa_begins_at_ten_minutes_and_keeps_its_grid_through_failures() {
    let mut stand = Stand::with(Wish { rhythm: Rhythm::ZTSA, ..Wish::default() }).await;
    let began = stand.clock.now();
    stand.until("a job is planned", |stand| stand.phase(SyncKind::Users) == Phase::Waiting).await;
    let first = began.plus(Duration::from_secs(600));
    assert!(stand.progress(SyncKind::Users).next.unwrap().since(first) <= Duration::from_secs(1));
    stand.pass(Duration::from_secs(590)).await;
    for kind in [SyncKind::Users, SyncKind::Groups, SyncKind::Risk] {
        assert_eq!(stand.phase(kind), Phase::Waiting, "{kind:?}");
    }
    stand.until("the first reading", |stand| stand.is_read() && stand.progress(SyncKind::Users).next.is_some()).await;
    assert_eq!(stand.phase(SyncKind::Users), Phase::FullDone);
    let (grid, first) = (Duration::from_secs(8 * 3600), stand.progress(SyncKind::Users).next.unwrap());
    assert!(first.since(began) >= grid && first.since(began) <= grid + Duration::from_secs(602), "8 h after 10 min");
    // The next cycle fails for an hour, and is then made up for; the one after comes where it was.
    stand.fault(json!("unavailable"), 100_000).await;
    stand.pass(first.since(stand.clock.now())).await;
    stand.until("it fails", |stand| stand.phase(SyncKind::Users) == Phase::Failed).await;
    let retry = |stand: &Stand| stand.progress(SyncKind::Users).next;
    stand.until("a retry is planned", |stand| retry(stand).is_some_and(|next| next < first.plus(grid))).await;
    stand.no_faults().await;
    let done = |stand: &Stand| stand.phase(SyncKind::Users) == Phase::UpdateDone && retry(stand).is_some();
    stand.until("it is made up for", done).await;
    let next = stand.progress(SyncKind::Users).next.unwrap();
    assert!(next.since(first) <= grid + Duration::from_secs(2), "not 16 hours: {:?}", next.since(first));
    assert!(next.since(first) >= grid - Duration::from_secs(2), "{first:?} {:#?}", stand.status());
}

#[tokio::test]
async fn an_administrator_need_not_wait_for_the_next_slot() {
    let stand = Stand::with(Wish { rhythm: Rhythm::ZTSA, ..Wish::default() }).await;
    stand.until("a job is planned", |stand| stand.phase(SyncKind::Risk) == Phase::Waiting).await;
    let before = stand.clock.now();
    stand.control.sync_now(tenant()).unwrap();
    stand.until("everything is read", Stand::is_read).await;
    assert!(stand.clock.now().since(before) < Duration::from_secs(120));
    let unknown = "aaaaaaaa-6a52-4d0e-9b7a-5d2f8c4e1a77".parse().unwrap();
    assert_eq!(stand.control.sync_now(unknown).unwrap_err().word(), "unknown_tenant");
    assert_eq!(Control::none().sync_now(tenant()).unwrap_err().word(), "not_configured");
}

#[tokio::test]
async fn a_restart_goes_on_with_the_stored_link() {
    let mut stand = Stand::usual().await;
    stand.until("everything is read", Stand::is_read).await;
    stand.until("a link is kept", |stand| stand.directory.round(tenant(), SyncKind::Groups).is_some()).await;
    stand.reopen(&Wish::default()).await;
    let calls = stand.graph_calls();
    assert_eq!(stand.standing(MALLORY).risk.map(|risk| risk.reading.level), Some(RiskLevel::High), "before any call");
    assert_eq!(stand.graph_calls(), calls);
    stand.job = Stand::run(&stand.control);
    let updated = |stand: &Stand| {
        [SyncKind::Users, SyncKind::Groups].into_iter().all(|kind| {
            let phase = stand.phase(kind);
            assert!(!matches!(phase, Phase::FullRunning | Phase::FullDone), "{kind:?} is read anew: {phase:?}");
            phase == Phase::UpdateDone
        })
    };
    stand.until("changes are read", updated).await;
}

/// Graph has another address than before the restart: its links lead elsewhere and are of no use any more.
#[tokio::test]
async fn a_stored_link_to_another_graph_means_all_anew() {
    let mut stand = Stand::usual().await;
    stand.until("everything is read", Stand::is_read).await;
    stand.b = Stand::simulator(World::demo([REDIRECT])).await;
    stand.reopen(&Wish::default()).await;
    assert!(matches!(stand.directory.round(tenant(), SyncKind::Users), Some(Round::Ends { .. })), "a link is stored");
    stand.job = Stand::run(&stand.control);
    stand.until("all is read anew", |stand| stand.phase(SyncKind::Users) == Phase::FullDone && stand.is_read()).await;
}
