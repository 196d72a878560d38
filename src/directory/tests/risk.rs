//! Risk: what replaces what, full lists, words, and where it comes from.

use super::*;
use crate::facts::RiskLevel::{High, Low, Medium, None as Safe, Unknown};
use crate::facts::RiskState::{AtRisk, Dismissed};

fn told(readings: &[(u128, RiskReading)]) -> Update {
    let readings = readings.iter().map(|(object, reading)| (id(*object), *reading)).collect();
    Update { risk: Some(RiskUpdate { readings, ..RiskUpdate::default() }), ..Update::default() }
}

fn listed(mut update: Update, begins: bool, ends: bool) -> Update {
    let risk = update.risk.get_or_insert_default();
    (risk.full_begins, risk.full_ends) = (begins, ends);
    update
}

fn stands(world: &World, object: u128) -> Option<(RiskLevel, RiskState)> {
    world.standing(&subject(object)).risk.map(|risk| (risk.reading.level, risk.reading.state))
}

/// RS-05: the newest time of change wins, in whatever order pages come; RS-10: dismissed, at risk, dismissed.
#[tokio::test]
async fn rs05_rs10_the_providers_time_of_change_puts_readings_in_order() {
    let world = World::new();
    let at = |level, state, updated, read| told(&[(1, reading(level, state, updated, read))]);
    assert_eq!(world.apply(at(High, AtRisk, 100, 1_000)).await, Affected::People(vec![key(1)]));
    assert_eq!(world.apply(at(Safe, Dismissed, 90, 1_001)).await, Affected::Nobody, "read later, but older");
    assert_eq!(stands(&world, 1), Some((High, AtRisk)));
    assert_eq!(world.apply(at(High, AtRisk, 100, 1_002)).await, Affected::Nobody, "only read once more");
    for (level, state, updated) in [(Safe, Dismissed, 110), (Medium, AtRisk, 120), (Safe, Dismissed, 130)] {
        assert_eq!(world.apply(at(level, state, updated, 1_003)).await, Affected::People(vec![key(1)]));
        assert_eq!(stands(&world, 1), Some((level, state)));
    }
    // A change of mind without a time, or from a far future, cannot pin the account: reading later counts then.
    let future = 1_004 + 10 * 86_400;
    world.apply(at(High, AtRisk, future, 1_004)).await;
    assert_eq!(stands(&world, 1), Some((High, AtRisk)));
    world.apply(at(Safe, Dismissed, 140, 1_005)).await;
    world.apply(at(Low, AtRisk, 0, 1_006)).await;
    assert_eq!(stands(&world, 1), Some((Low, AtRisk)));
    world.apply(at(Medium, AtRisk, 0, 1_005)).await;
    assert_eq!(stands(&world, 1), Some((Low, AtRisk)), "without a time, the one read last");
}

/// RS-02: neither an unknown word nor an answer in processing lowers what is known.
#[tokio::test]
async fn rs02_nothing_vague_lowers_a_high_risk() {
    let world = World::new();
    let vague = [
        reading(Unknown, AtRisk, 110, 1_001),
        reading(RiskLevel::Hidden, RiskState::Unknown, 111, 1_002),
        reading(Safe, RiskState::Unknown, 112, 1_003),
        RiskReading { processing: true, ..reading(Safe, Dismissed, 113, 1_004) },
        RiskReading { processing: true, ..reading(Low, AtRisk, 114, 1_005) },
    ];
    world.apply(told(&[(1, reading(High, AtRisk, 100, 1_000)), (2, reading(Low, AtRisk, 100, 1_000))])).await;
    for next in vague {
        world.apply(told(&[(1, next)])).await;
        let risk = world.standing(&subject(1)).risk.unwrap();
        assert!(risk.reading.level == High && risk.is_open(), "{next:?} made {risk:?}");
    }
    world.apply(told(&[(1, reading(Safe, Dismissed, 120, 1_006))])).await;
    assert_eq!(stands(&world, 1), Some((Safe, Dismissed)), "the provider is done, and says so clearly");
    // Unknown stays unknown over what was milder, and a new account may begin unknown.
    world.apply(told(&[(2, reading(Unknown, AtRisk, 110, 1_007)), (3, reading(Unknown, AtRisk, 0, 1_007))])).await;
    assert_eq!((stands(&world, 2), stands(&world, 3)), (Some((Unknown, AtRisk)), Some((Unknown, AtRisk))));
}

/// RS-05: who is absent from a complete list has no risk; absent from a partial one changes nothing.
#[tokio::test]
async fn rs05_only_a_complete_list_takes_people_off() {
    let mut world = World::new();
    let high = |object| (object, reading(High, AtRisk, 100, 1_000));
    world.apply(listed(told(&[high(1), high(2), high(3)]), true, true)).await;
    world.apply(listed(told(&[high(1)]), true, false)).await;
    world.apply(listed(told(&[high(1)]), true, false)).await;
    assert_eq!(stands(&world, 2), Some((High, AtRisk)), "broken off and begun anew");
    assert_eq!(world.apply(listed(told(&[high(2)]), false, true)).await, Affected::People(vec![key(3)]));
    assert_eq!((stands(&world, 2), stands(&world, 3)), (Some((High, AtRisk)), None));
    world.apply(listed(told(&[]), true, false)).await;
    world.restart();
    world.apply(listed(told(&[]), false, true)).await;
    assert_eq!(world.risky(CONTOSO).len(), 2, "the end of a list whose beginning is not known");
    assert_eq!(world.rows(Table::Risk), 2);
}

#[tokio::test]
async fn words_wait_for_the_account_to_be_listed_and_go_when_it_is_settled() {
    let mut world = World::new();
    let words = |list: &[&str]| {
        let detections = list.iter().map(|word| (id(1), (*word).to_owned())).collect();
        Update { risk: Some(RiskUpdate { detections, ..RiskUpdate::default() }), ..Update::default() }
    };
    assert_eq!(world.apply(words(&["passwordSpray"])).await, Affected::Nobody);
    assert_eq!(stands(&world, 1), None);
    world.apply(told(&[(1, reading(High, AtRisk, 100, 1_000))])).await;
    let again = words(&["anomalousToken", "passwordSpray", "anomalousToken"]);
    assert_eq!(world.apply(again).await, Affected::People(vec![key(1)]));
    world.restart();
    let shown = world.standing(&subject(1)).risk.unwrap().detections;
    assert_eq!(shown.iter().map(|word| &**word).collect::<Vec<_>>(), ["anomalousToken", "passwordSpray"]);
    world.apply(told(&[(1, reading(Safe, Dismissed, 110, 1_001))])).await;
    assert!(world.standing(&subject(1)).risk.unwrap().detections.is_empty());
    let many: Vec<String> = (0..500).map(|n| format!("{n:03}{}", "ü".repeat(100))).collect();
    world.apply(words(&many.iter().map(String::as_str).collect::<Vec<_>>())).await;
    let kept = world.standing(&subject(1)).risk.unwrap().detections;
    assert!(kept.len() == 48 && kept.iter().all(|word| word.len() <= 64), "bounded whatever the provider sends");
}

/// RS-09: an account that the list of risk calls deleted is deleted, unless the directory knows better.
#[tokio::test]
async fn rs09_a_deleted_account_is_deleted_even_without_a_directory() {
    let world = World::new();
    let deleted = RiskReading { deleted: true, ..reading(High, AtRisk, 100, 1_000) };
    world.apply(told(&[(1, deleted), (2, deleted)])).await;
    world.apply(users(vec![seen(2)])).await;
    for (object, account) in [(1, Account::Deleted), (2, Account::Enabled)] {
        assert_eq!(world.account(object), account);
        assert_eq!(world.person(key(object)).unwrap().account, account, "an administrator sees what decides");
    }
}

/// RS-04, R-14: after a restart risk is as old as it was, or a little older; never younger, never "none".
#[tokio::test]
async fn where_risk_comes_from_survives_a_restart() {
    let mut world = World::new();
    assert_eq!(world.feed(CONTOSO).now(), RiskFeed { source: RiskSource::NeverSynced, confirmed: UnixTime(0) });
    let answers = |confirmed| RiskFeed { source: RiskSource::Answers, confirmed: UnixTime(confirmed) };
    world.set_feed(CONTOSO, answers(5_000));
    world.apply(Update::default()).await;
    world.set_feed(CONTOSO, answers(5_030));
    world.apply(Update::default()).await;
    world.restart_when_alone().await;
    assert_eq!(world.feed(CONTOSO).now(), answers(5_000), "half a minute is not worth a write");
    world.set_feed(CONTOSO, answers(5_060));
    world.apply(told(&[(1, reading(High, AtRisk, 100, 1_000))])).await;
    world.set_feed(CONTOSO, RiskFeed { source: RiskSource::NoPermission, ..answers(5_060) });
    world.restart_when_alone().await;
    assert_eq!(world.feed(CONTOSO).now(), RiskFeed { source: RiskSource::NoPermission, ..answers(5_060) });
    assert_eq!(stands(&world, 1), Some((High, AtRisk)));
    assert_eq!(world.feed(FABRIKAM).now().source, RiskSource::NeverSynced);
}

/// a poll that finds everything as it was writes nothing, however many are listed.
#[tokio::test]
async fn a_list_that_says_the_same_writes_nothing() {
    let world = World::new();
    let list = |read| {
        let readings: Vec<_> = (0..500).map(|object| (object, reading(High, AtRisk, 100, read))).collect();
        listed(told(&readings), true, true)
    };
    world.apply(list(1_000)).await;
    let commits = world.store().commits();
    for read in 1_001..1_010 {
        assert_eq!(world.apply(list(read)).await, Affected::Nobody);
    }
    assert_eq!(world.store().commits(), commits);
}
