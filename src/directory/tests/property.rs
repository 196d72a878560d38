//! Random histories against the model: every step's standings, whom it concerns, and the same after a restart or a
//! crash between writing and showing.

use proptest::prelude::*;

use super::model::Model;
use super::*;

const USERS: u128 = 7;
const GROUPS: std::ops::Range<u128> = 100..106;

#[derive(Debug, Clone)]
enum Step {
    Apply(Rounds, Vec<Change>),
    /// Written, then the process dies before anybody sees it.
    Crash(Rounds, Vec<Change>),
    /// The last one comes once more, as pages do.
    Again,
    Hold(u128, bool, u64),
    Restart,
}

#[derive(Debug, Clone, Copy)]
struct Rounds {
    users: u8,
    groups: u8,
    risk: u8,
}

#[derive(Debug, Clone)]
enum Change {
    User { id: u128, enabled: Option<bool>, valid_from: Option<u64> },
    UserGone { id: u128, for_good: bool },
    Group { id: u128, added: Vec<u128>, removed: Vec<u128> },
    GroupGone { id: u128, for_good: bool },
    Risk { id: u128, level: RiskLevel, dismissed: bool, updated: u64 },
    Word { id: u128, word: u8 },
}

fn anybody() -> impl Strategy<Value = u128> {
    prop_oneof![3 => 0..USERS, 2 => GROUPS]
}

fn change() -> impl Strategy<Value = Change> {
    let level = prop_oneof![Just(RiskLevel::None), Just(RiskLevel::Low), Just(RiskLevel::High)];
    let members = || prop::collection::vec(anybody(), 0..4);
    prop_oneof![
        4 => (0..USERS, prop::option::of(any::<bool>()), prop::option::of(1_u64..9))
            .prop_map(|(id, enabled, valid_from)| Change::User { id, enabled, valid_from }),
        1 => (0..USERS, prop::bool::weighted(0.3)).prop_map(|(id, for_good)| Change::UserGone { id, for_good }),
        6 => (GROUPS, members(), members()).prop_map(|(id, added, removed)| Change::Group { id, added, removed }),
        1 => (GROUPS, prop::bool::weighted(0.3)).prop_map(|(id, for_good)| Change::GroupGone { id, for_good }),
        2 => (0..USERS, level, any::<bool>(), 1_u64..9)
            .prop_map(|(id, level, dismissed, updated)| Change::Risk { id, level, dismissed, updated }),
        1 => (0..USERS, 0_u8..3).prop_map(|(id, word)| Change::Word { id, word }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let rounds = || {
        let round = || prop_oneof![5 => Just(0_u8), 1 => Just(1), 1 => Just(2), 3 => Just(3), 2 => Just(4)];
        (round(), round(), 0_u8..4).prop_map(|(users, groups, risk)| Rounds { users, groups, risk })
    };
    let changes = || prop::collection::vec(change(), 0..7);
    prop_oneof![
        10 => (rounds(), changes()).prop_map(|(rounds, changes)| Step::Apply(rounds, changes)),
        2 => (rounds(), changes()).prop_map(|(rounds, changes)| Step::Crash(rounds, changes)),
        1 => Just(Step::Again),
        1 => (0..USERS, any::<bool>(), 0_u64..3).prop_map(|(id, private, until)| Step::Hold(id, private, until)),
        1 => Just(Step::Restart),
    ]
}

fn round(code: u8) -> Option<Round> {
    match code {
        1 => begins(),
        2 => goes_on(),
        3 => ends(),
        4 => Some(Round::Ends { delta: "https://graph.example/whole".to_owned(), was_full: true }),
        _ => None,
    }
}

fn removal(for_good: bool) -> Removal {
    if for_good { Removal::Deleted } else { Removal::Changed }
}

/// The update of these changes, its readings read at `now`.
fn update(rounds: Rounds, changes: &[Change], now: u64) -> Update {
    let mut update =
        Update { users_round: round(rounds.users), groups_round: round(rounds.groups), ..Update::default() };
    let mut risk = RiskUpdate { full_begins: rounds.risk == 1, full_ends: rounds.risk == 2, ..RiskUpdate::default() };
    for change in changes {
        match change.clone() {
            Change::User { id: object, enabled, valid_from } => update.users.push(UserChange::Seen(User {
                enabled,
                sign_in_sessions_valid_from: valid_from.map(UnixTime),
                ..user(object)
            })),
            Change::UserGone { id: object, for_good } => {
                update.users.push(UserChange::Removed(id(object), removal(for_good)));
            }
            Change::Group { id, added, mut removed } => {
                removed.retain(|member| !added.contains(member));
                update.groups.push(group(id, &added, &removed));
            }
            Change::GroupGone { id: object, for_good } => {
                update.groups.push(GroupChange::Removed(id(object), removal(for_good)));
            }
            Change::Risk { id: object, level, dismissed, updated } => {
                let state = if dismissed { RiskState::Dismissed } else { RiskState::AtRisk };
                risk.readings.push((id(object), reading(level, state, updated, now)));
            }
            Change::Word { id: object, word } => risk.detections.push((id(object), format!("word{word}"))),
        }
    }
    if rounds.risk != 3 {
        update.risk = Some(risk);
    }
    update
}

/// What is durable before anything is shown, and nothing more.
async fn die_after_writing(world: &mut World, update: Update) {
    let known = world.tenant(CONTOSO).unwrap();
    // As `apply` does: a number that is given away again must not keep the row of whom it belonged to.
    known.writer.lock().await.later.write_in_turn(world.store()).await.unwrap();
    for piece in update.pieces() {
        let plan = known.look(|snapshot| Plan::of(snapshot, CONTOSO, piece, world.clock.now()));
        plan.rows.write(world.store()).await.unwrap();
    }
    world.restart();
}

/// Standing without the time of reading, which changes nobody's verdict.
fn shown(mut standing: Standing) -> Standing {
    if let Some(risk) = &mut standing.risk {
        risk.reading.read = UnixTime(0);
    }
    standing
}

fn check(world: &World, model: &Model, step: &Step) {
    for object in (0..USERS).chain(GROUPS) {
        let (is, expected) = (shown(world.standing(&subject(object))), shown(model.standing(object)));
        // A group is no person; nobody signs in as one.
        if object < USERS {
            assert_eq!(is, expected, "{object} after {step:?}");
        }
    }
    assert!(world.tenant(CONTOSO).unwrap().look(|snapshot| snapshot.membership.is_consistent()));
}

async fn run(steps: Vec<Step>) {
    let (mut world, mut model) = (World::new(), Model::default());
    let mut last = (Rounds { users: 0, groups: 0, risk: 3 }, Vec::new());
    for step in steps {
        let before = model.clone();
        let now = world.clock.now().0;
        match step.clone() {
            Step::Apply(rounds, changes) => {
                model.apply(&update(rounds, &changes, now));
                told(&world.apply(update(rounds, &changes, now)).await, &before, &model);
                last = (rounds, changes);
            }
            Step::Again => {
                let (rounds, changes) = &last;
                model.apply(&update(*rounds, changes, now));
                told(&world.apply(update(*rounds, changes, now)).await, &before, &model);
            }
            Step::Crash(rounds, changes) => {
                model.apply(&update(rounds, &changes, now));
                model.restart();
                die_after_writing(&mut world, update(rounds, &changes, now)).await;
            }
            Step::Hold(object, private, until) => {
                let hold = Hold { private, internet: false };
                model.hold(object, hold, UnixTime(until));
                world.set_hold(key(object), hold).await.unwrap();
                world.set_watched(key(object), UnixTime(until)).await.unwrap();
            }
            Step::Restart => {
                model.restart();
                let rounds = |world: &World| [SyncKind::Users, SyncKind::Groups].map(|kind| world.round(CONTOSO, kind));
                let stood = rounds(&world);
                world.restart();
                assert_eq!(rounds(&world), stood);
            }
        }
        check(&world, &model, &step);
    }
}

/// Exactly those who stand differently are told; everybody only when the directory begins to count.
fn told(affected: &Affected, before: &Model, after: &Model) {
    let differs = |object: &u128| shown(before.standing(*object)) != shown(after.standing(*object));
    let people: Vec<UserKey> = (0..USERS).filter(differs).map(key).collect();
    let expected = match (before.is_read() != after.is_read(), people.is_empty()) {
        (true, _) => Affected::Everybody(CONTOSO),
        (false, true) => Affected::Nobody,
        (false, false) => Affected::People(people),
    };
    assert_eq!(*affected, expected);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn any_history_stands_as_the_model_says_across_restarts_and_crashes(steps in prop::collection::vec(step(), 1..24)) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(run(steps));
    }
}
