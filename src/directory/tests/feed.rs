//! How old risk is, when somebody steps the wall clock.

use super::*;

/// a step of the wall clock makes risk neither fresh nor stale.
#[test]
fn rs_04_the_age_of_risk_is_unmoved_by_steps_of_the_wall_clock() {
    let world = World::new();
    let (clock, directory) = (Arc::clone(&world.clock), &*world);
    clock.advance(Duration::from_secs(100));
    directory.set_feed(CONTOSO, RiskFeed { source: RiskSource::Answers, confirmed: clock.now() });
    clock.advance(Duration::from_secs(30));
    let feed = directory.feed(CONTOSO);
    let age = || clock.now().since(feed.at(clock.now(), clock.tick()).confirmed);
    for wall in [1_900_000_000, 1_000, 1_800_000_000] {
        clock.step_wall(UnixTime(wall));
        assert_eq!(age(), Duration::from_secs(30), "{wall}");
    }
    clock.advance(Duration::from_secs(7));
    assert_eq!(age(), Duration::from_secs(37));
}

#[test]
fn what_was_confirmed_before_the_start_goes_by_the_wall_clock() {
    let world = World::new();
    let (clock, directory) = (Arc::clone(&world.clock), &*world);
    let confirmed = UnixTime(clock.now().0 - 3600);
    directory.set_feed(CONTOSO, RiskFeed { source: RiskSource::Answers, confirmed });
    assert_eq!(directory.feed(CONTOSO).at(clock.now(), clock.tick()).confirmed, confirmed);
}
