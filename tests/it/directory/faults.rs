//! Graph at its worst: expired links, throttling, broken pages, an hour of silence. Nobody is ever taken for harmless.

use portcullis::facts::{Account, RiskLevel};
use portcullis::simulator::{BOB, MALLORY, NORA};

use super::reading::LATER;
use super::*;

fn is_high(stand: &Stand) -> bool {
    stand.standing(MALLORY).risk.is_some_and(|risk| risk.reading.level == RiskLevel::High)
}

#[tokio::test]
async fn an_expired_link_means_all_anew() {
    let mut stand = Stand::usual().await;
    let updated = |stand: &Stand| stand.phase(SyncKind::Groups) == Phase::UpdateDone && stand.is_read();
    stand.until("changes are read", updated).await;
    stand.order(Method::PUT, "/sim/v1/graph/settings", json!({ "resets": 100_000 })).await;
    stand.until("all is read anew", |stand| stand.phase(SyncKind::Groups) == Phase::FullDone).await;
    assert_eq!(stand.failures("groups", "resync"), 0, "an expired link is no failure");
    // While all was read anew somebody went, of whom no change tells.
    stand.order(Method::DELETE, "/sim/v1/people/nora/account", json!({})).await;
    stand.until("who did not come is gone", |stand| stand.standing(NORA).account == Account::Deleted).await;
    assert!(is_high(&stand));
    stand.order(Method::PUT, "/sim/v1/graph/settings", json!({ "resets": 0 })).await;
    stand.until("changes are read again", updated).await;
}

#[tokio::test]
async fn every_fault_is_counted_survived_and_lowers_nothing() {
    let rows = [
        (json!({ "throttled": 3 }), "throttled"),
        (json!("throttled-without-retry-after"), "throttled"),
        (json!("malformed-json"), "malformed"),
        (json!("truncated"), "malformed"),
        (json!("server-error"), "server_error"),
        (json!("disconnect"), "transport"),
    ];
    for (fault, reason) in rows {
        let mut stand = Stand::usual().await;
        stand.until("everything is read", Stand::is_read).await;
        let counts = stand.directory.counts(tenant());
        stand.fault(fault.clone(), 100_000).await;
        for kind in ["users", "groups", "risk"] {
            let failed = |stand: &Stand| stand.failures(kind, reason) > 0;
            stand.until(&format!("{fault} fails {kind} as {reason}"), failed).await;
        }
        assert!(is_high(&stand), "{fault}");
        assert_eq!(stand.directory.counts(tenant()), counts, "{fault}: nobody went");
        assert_eq!(stand.source(), RiskSource::Answers, "{fault}: what is known ages, and is not taken back");
        let error = stand.progress(SyncKind::Users).error.unwrap();
        assert!(!error.contains("Bearer") && !error.is_empty());
        stand.no_faults().await;
        stand.until(&format!("{fault} is over"), Stand::is_read).await;
    }
}

#[tokio::test]
async fn unknown_words_are_unknown_risk_and_never_none() {
    let mut stand = Stand::usual().await;
    stand.until("everything is read", Stand::is_read).await;
    stand.fault(json!("unknown-enum"), 100_000).await;
    let level = |stand: &Stand| stand.standing(BOB).risk.map(|risk| risk.reading.level);
    stand.until("the word arrives", |stand| level(stand) == Some(RiskLevel::Unknown)).await;
    assert!(is_high(&stand), "what stood high is not lowered by a word nobody knows");
    stand.no_faults().await;
    stand.until("it is medium again", |stand| level(stand) == Some(RiskLevel::Medium)).await;
}

/// RS-05: a change that the provider dates ahead by mistake hides none of those after it.
#[tokio::test]
async fn a_time_of_change_in_the_far_future_pins_nobody() {
    let mut stand = Stand::usual().await;
    stand.until("everything is read", Stand::is_read).await;
    for (skew, word, level) in [(30 * 86_400, "low", RiskLevel::Low), (0, "high", RiskLevel::High)] {
        stand.order(Method::PUT, "/sim/v1/clock", json!({ "skew_seconds": skew })).await;
        stand.order(Method::PUT, "/sim/v1/people/bob/risk", json!({ "level": word })).await;
        let stands = |stand: &Stand| stand.standing(BOB).risk.is_some_and(|risk| risk.reading.level == level);
        stand.until(&format!("bob stands {word}"), stands).await;
    }
}

#[tokio::test]
async fn an_hour_without_graph_is_an_hour_of_old_knowledge_and_few_calls() {
    let mut stand = Stand::usual().await;
    stand.until("everything is read", Stand::is_read).await;
    let confirmed = stand.directory.feed(tenant()).now().confirmed;
    stand.fault(json!("unavailable"), 100_000).await;
    let calls = stand.graph_calls();
    for _ in 0..240 {
        stand.pass(Duration::from_secs(15)).await;
    }
    let feed = stand.directory.feed(tenant()).now();
    assert_eq!(feed.source, RiskSource::Answers);
    let age = stand.clock.now().since(feed.confirmed);
    assert!(age >= Duration::from_secs(3500), "its age says it: {age:?}");
    assert!(feed.confirmed.since(confirmed) < Duration::from_secs(60));
    assert!(is_high(&stand), "and mallory stays blocked");
    let calls = stand.graph_calls() - calls;
    assert!((30..3_000).contains(&calls), "it is tried, but not in a storm: {calls}");
    stand.no_faults().await;
    stand.until("it is known again", |stand| stand.is_read() && stand.source() == RiskSource::Answers).await;
    let age = stand.clock.now().since(stand.directory.feed(tenant()).now().confirmed);
    assert!(age < Duration::from_secs(1200), "{age:?}");
}

/// A page with an item that cannot be read is no proof that anybody is gone.
#[tokio::test]
async fn a_broken_item_removes_nobody_and_ends_no_list() {
    let mut stand = Stand::with(Wish { rhythm: Rhythm { first: LATER, ..Rhythm::FAST }, ..Wish::default() }).await;
    stand.fault(json!("broken-item"), 100_000).await;
    stand.until("risk is read", |stand| stand.failures("risk", "incomplete") > 0).await;
    assert!(is_high(&stand), "what could be read counts");
    assert_eq!(stand.source(), RiskSource::NeverSynced, "and the list is not taken for whole");
    stand.until("people are read", |stand| stand.failures("groups", "incomplete") > 0).await;
    let error = |stand: &Stand| stand.progress(SyncKind::Users).error.unwrap_or_default();
    assert!(error(&stand).contains("nobody is removed"), "{}", error(&stand));
    let kept = stand.directory.round(tenant(), SyncKind::Users);
    assert!(!matches!(kept, Some(Round::Ends { .. })), "no link is kept for an incomplete reading: {kept:?}");
    stand.no_faults().await;
    // Updates go on from the new link, and all is read anew only after a while.
    stand.until("updates go on", |stand| stand.phase(SyncKind::Users) == Phase::UpdateDone).await;
    assert!(error(&stand).contains("nobody is removed"), "an update does not make up for it");
    stand.until("and then all is read anew", Stand::is_read).await;
}
