//! Two tenants with the same ids and names, guests, and what an administrator looks up.

use super::*;

/// OI-15: a group of another tenant with the same id is another group.
#[tokio::test]
async fn equal_ids_and_names_in_two_tenants_stay_apart() {
    let mut world = World::new();
    world.apply(whole(vec![seen(1)], vec![group(10, &[1], &[])])).await;
    let guest = User { guest: Some(true), enabled: Some(false), ..user(1) };
    let there = whole(vec![UserChange::Seen(guest)], vec![group(10, &[], &[]), group(11, &[1], &[])]);
    Directory::apply(&world, FABRIKAM, there).await.unwrap();
    let risk = RiskUpdate {
        readings: vec![(id(1), reading(RiskLevel::High, RiskState::AtRisk, 1, 2))],
        ..RiskUpdate::default()
    };
    Directory::apply(&world, FABRIKAM, Update { risk: Some(risk), ..Update::default() }).await.unwrap();
    let hold = Hold { private: true, internet: true };
    world.set_hold(UserKey { tenant: FABRIKAM, object: id(1) }, hold).await.unwrap();
    for _ in 0..2 {
        let (here, there) = (world.standing(&subject(1)), world.standing(&subject_of(FABRIKAM, 1)));
        assert_eq!((here.account, here.groups, here.risk), (Account::Enabled, Groups::known(vec![id(10)]), None));
        assert_eq!((there.account, there.groups), (Account::Disabled, Groups::known(vec![id(11)])));
        assert_eq!((here.hold, there.hold, there.risk.is_some()), (Hold::default(), hold, true));
        assert_eq!(world.search(CONTOSO, "person", 9).len(), 1);
        assert_eq!(world.person(UserKey { tenant: FABRIKAM, object: id(1) }).unwrap().guest, Some(true));
        assert_eq!(world.members(FABRIKAM, id(10), 9), []);
        assert_eq!((world.counts(CONTOSO).guests, world.counts(FABRIKAM).guests), (0, 1));
        world.restart();
    }
    let elsewhere = TenantId(Guid::from_u128(0xbad));
    let nobody = UserKey { tenant: elsewhere, object: id(1) };
    assert!(world.set_hold(nobody, hold).await.is_err(), "a hold that would not hold is not taken");
    assert_eq!(Directory::apply(&world, elsewhere, whole(vec![seen(1)], vec![])).await.unwrap(), Affected::Nobody);
    assert_eq!(world.standing(&subject_of(elsewhere, 1)), Standing::of_token(&subject_of(elsewhere, 1)));
}

#[tokio::test]
async fn people_and_groups_are_found_by_the_beginning_of_a_word() {
    let world = World::new();
    let named = |object, name: &str, upn: &str, mail: &str| {
        let [name, upn, mail] = [name, upn, mail].map(|text| Some(text.to_owned()));
        UserChange::Seen(User { name, upn, mail, ..user(object) })
    };
    world
        .apply(whole(
            vec![
                named(1, "Ada Löwe", "ada@contoso.example", "a.loewe@contoso.example"),
                named(2, "Grace Hopper", "grace@contoso.example", "grace@contoso.example"),
                named(3, "ADAM Smith", "smith@contoso.example", ""),
            ],
            vec![group(10, &[1, 2], &[]), group(11, &[10, 3], &[])],
        ))
        .await;
    let found = |text: &str| world.search(CONTOSO, text, 10).iter().map(|person| person.user).collect::<Vec<_>>();
    assert_eq!(found("ada"), [key(1), key(3)]);
    assert_eq!(found(" LÖW"), [key(1)]);
    assert_eq!(found("a.loe"), [key(1)]);
    assert_eq!(found("grace@"), [key(2)]);
    assert_eq!(found("opper"), []);
    assert_eq!(world.search(CONTOSO, "", 2).len(), 2);
    assert_eq!(world.groups(CONTOSO, "group 1", 1), [(id(10), "Group 10".to_owned())]);
    assert_eq!(world.group_name(CONTOSO, id(11)).as_deref(), Some("Group 11"));
    assert_eq!(world.members(CONTOSO, id(11), 10), [key(1), key(2), key(3)]);
    assert_eq!(world.members(CONTOSO, id(11), 1).len(), 1);
    world.apply(users(vec![UserChange::Removed(id(3), Removal::Changed)])).await;
    world.apply(groups(vec![GroupChange::Removed(id(10), Removal::Changed)])).await;
    assert_eq!((found("adam"), world.group_name(CONTOSO, id(10))), (vec![], None));
    assert_eq!(world.members(CONTOSO, id(11), 10), []);
    let counts = world.counts(CONTOSO);
    assert_eq!((counts.users, counts.groups, counts.gone, counts.memberships), (2, 1, 2, 4));
}
