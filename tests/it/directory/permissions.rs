//! The three permissions of a tenant: all combinations, each loss, the switch, consent; and what each failure is called.

use portcullis::facts::RiskLevel;
use portcullis::simulator::{Crowd, FABRIKAM, MALLORY};

use super::*;
use crate::simulator::browser::encoded;

#[tokio::test]
async fn each_of_the_eight_combinations_does_what_it_allows_and_no_more() {
    for mask in 0..8u8 {
        let (directory, risk, upload) = (mask & 1 != 0, mask & 2 != 0, mask & 4 != 0);
        let case = format!("directory {directory}, risk {risk}, upload {upload}");
        let stand = Stand::with(Wish { upload, world: no_roles, ..Wish::default() }).await;
        let mut roles = Vec::new();
        roles.extend(READ_DIRECTORY.iter().filter(|_| directory));
        roles.extend(READ_RISK.iter().filter(|_| risk));
        stand.set_roles(CONTOSO, &roles);
        stand.check(tenant()).await;
        let source = match (risk, upload) {
            (_, false) => RiskSource::UploadOff,
            (true, true) => RiskSource::Answers,
            (false, true) => RiskSource::NoPermission,
        };
        stand.until(&format!("{case}: {}", source.word()), |stand| stand.source() == source).await;
        if directory {
            let read = |stand: &Stand| stand.progress(SyncKind::Groups).finished.is_some();
            stand.until(&format!("{case}: people are read"), read).await;
        } else {
            stand.until(&format!("{case}: refused"), |stand| stand.failures("users", "denied") > 0).await;
            assert_eq!(stand.progress(SyncKind::Users).finished, None, "{case}");
        }
        let status = stand.check(tenant()).await;
        let expected = |granted: bool| if granted { "partial" } else { "never_granted" };
        assert_eq!(gate_of(&status, Gate::Directory).word(), expected(directory), "{case}");
        assert_eq!(gate_of(&status, Gate::Risk).word(), expected(risk), "{case}");
        assert_eq!(
            gate_of(&status, Gate::DataUpload).word(),
            if upload { "granted" } else { "never_granted" },
            "{case}"
        );
        for ((gate, status), cure) in status.gates.iter().zip(&status.cures) {
            let reason = status.reason(*gate);
            assert_eq!((reason.is_none(), cure.is_none()), (status.is_ok(), status.is_ok()), "{case}: {gate:?}");
        }
        let high = stand.standing(MALLORY).risk.is_some_and(|risk| risk.reading.level == RiskLevel::High);
        assert_eq!(high, risk && upload, "{case}");
    }
}

fn no_roles(world: &mut World) {
    world.app_mut(APP_ID).unwrap().principals.get_mut(CONTOSO).unwrap().roles.clear();
}

#[tokio::test]
async fn a_lost_permission_has_a_name_and_comes_back() {
    let stand = Stand::usual().await;
    stand.until("everything is read", Stand::is_read).await;
    stand.until("all is granted", |stand| stand.gate(Gate::Risk).is_ok() && stand.gate(Gate::Directory).is_ok()).await;
    let roles = stand.b.sim.world().snapshot().app(APP_ID).unwrap().principals[CONTOSO].roles.clone();
    let all: Vec<&str> = roles.iter().map(String::as_str).collect();
    let rest: Vec<&str> = all.iter().copied().filter(|role| *role != READ_RISK[0]).collect();
    // Somebody watches, since waiting asks how things stand: the loss shows by itself.
    stand.set_roles(CONTOSO, &rest);
    let lost = GateStatus::Partial { missing: vec![READ_RISK[0].to_owned()] };
    let before = stand.clock.now();
    stand.until("the loss shows", |stand| stand.gate(Gate::Risk) == lost).await;
    assert!(stand.clock.now().since(before) <= Duration::from_secs(10), "soon");
    stand.until("risk is unknown", |stand| stand.source() == RiskSource::NoPermission).await;
    assert!(stand.standing(MALLORY).risk.is_some(), "what was known stays");
    assert!(stand.gate(Gate::Directory).is_ok(), "the other permission is another");
    stand.set_roles(CONTOSO, &[]);
    stand.until("all is gone", |stand| stand.gate(Gate::Risk) == GateStatus::Revoked).await;
    assert_eq!(stand.gate(Gate::Directory), GateStatus::Revoked);
    stand.set_roles(CONTOSO, &all);
    stand.until("it is back", |stand| stand.gate(Gate::Risk).is_ok() && stand.is_read()).await;
    assert_eq!(stand.source(), RiskSource::Answers);
}

/// Nobody looks: the next token, an hour later at most, is what tells.
#[tokio::test]
async fn a_loss_that_nobody_watches_is_noticed_with_the_next_token() {
    let stand = Stand::usual().await;
    let feed = stand.directory.feed(tenant());
    stand.until("risk is read", |_| feed.now().source == RiskSource::Answers).await;
    stand.set_roles(CONTOSO, &READ_DIRECTORY);
    let step = Duration::from_secs(20);
    for _ in 0..300 {
        stand.pass(step).await;
        if feed.now().source == RiskSource::NoPermission {
            return;
        }
    }
    panic!("not noticed: {:?}", feed.now());
}

#[tokio::test]
async fn a_disabled_or_deleted_application_is_told_apart() {
    let stand = Stand::usual().await;
    stand.until("everything is read", Stand::is_read).await;
    let disable = |on: bool| {
        stand.b.sim.world().change(|world| {
            world.app_mut(APP_ID).unwrap().principals.get_mut(CONTOSO).unwrap().disabled = on;
        });
    };
    disable(true);
    let status = stand.check(tenant()).await;
    for gate in [Gate::Directory, Gate::Risk] {
        let GateStatus::Error { reason } = gate_of(&status, gate) else { panic!("{status:?}") };
        assert!(reason.contains("disabled"), "{reason}");
    }
    stand.until("risk is unknown", |stand| stand.source() == RiskSource::NoPermission).await;
    disable(false);
    stand.until("it is back", |stand| stand.gate(Gate::Risk).is_ok() && stand.is_read()).await;
    stand.b.sim.world().change(|world| world.app_mut(APP_ID).unwrap().principals.remove(CONTOSO));
    let status = stand.check(tenant()).await;
    assert_eq!(gate_of(&status, Gate::Directory), GateStatus::Revoked);
}

#[tokio::test]
async fn a_missing_licence_and_a_cloud_without_risk_are_named() {
    let rows: [(Change, RiskSource); 2] = [
        (|world| world.tenant_mut(CONTOSO).unwrap().premium = false, RiskSource::NoLicence),
        (|world| world.tenant_mut(CONTOSO).unwrap().china = true, RiskSource::NotInCloud),
    ];
    for (world, source) in rows {
        let stand = Stand::with(Wish { world, ..Wish::default() }).await;
        stand.until(source.word(), |stand| stand.source() == source).await;
        stand.until("people are read", |stand| stand.progress(SyncKind::Users).finished.is_some()).await;
    }
    let stand = Stand::with(Wish { has_risk: false, ..Wish::default() }).await;
    stand.until("people are read", |stand| stand.progress(SyncKind::Groups).finished.is_some()).await;
    assert_eq!(stand.source(), RiskSource::NotInCloud);
    stand.until("the gate says so", |stand| matches!(stand.gate(Gate::Risk), GateStatus::Error { .. })).await;
    assert_eq!(stand.calls("graph_risk"), 0, "and nobody is asked");
}

#[tokio::test]
async fn without_upload_graph_is_asked_nothing_about_risk() {
    let stand = Stand::with(Wish { upload: false, ..Wish::default() }).await;
    stand.until("people are read", |stand| stand.progress(SyncKind::Groups).finished.is_some()).await;
    stand.idle(Duration::from_secs(600)).await;
    assert_eq!((stand.calls("graph_risk"), stand.source()), (0, RiskSource::UploadOff));
    assert!(stand.gate(Gate::Risk).is_ok(), "what is granted is told by the token");
    stand.set_upload(true).await.unwrap();
    stand.until("risk is read", |stand| stand.source() == RiskSource::Answers).await;
    assert!(stand.calls("graph_risk") > 0);
    stand.set_upload(false).await.unwrap();
    assert_eq!(stand.source(), RiskSource::UploadOff, "at once");
    // What was under way may end.
    stand.idle(Duration::from_secs(30)).await;
    let before = stand.calls("graph_risk");
    stand.idle(Duration::from_secs(600)).await;
    assert_eq!(stand.calls("graph_risk"), before);
}

#[tokio::test]
async fn the_switch_needs_the_consent_and_outlives_a_restart() {
    let mut stand = Stand::with(Wish { upload: false, world: no_roles, ..Wish::default() }).await;
    let refused = stand.set_upload(true).await.unwrap_err();
    assert_eq!(refused.word(), "not_granted");
    assert!(refused.to_string().contains("consented"), "{refused}");
    assert_eq!(stand.gate(Gate::DataUpload), GateStatus::NeverGranted);
    stand.set_roles(CONTOSO, &READ_RISK);
    stand.set_upload(true).await.unwrap();
    assert!(stand.gate(Gate::DataUpload).is_ok());
    stand.until("risk is read", |stand| stand.source() == RiskSource::Answers).await;
    stand.set_upload(false).await.unwrap();
    assert_eq!(stand.gate(Gate::DataUpload), GateStatus::Revoked);
    assert!(matches!(stand.gate(Gate::Risk), GateStatus::Partial { .. }), "off keeps what was granted");
    stand.reopen(&Wish { upload: true, ..Wish::default() }).await;
    assert_eq!(stand.gate(Gate::DataUpload), GateStatus::Revoked, "what was said last counts, not the configuration");
}

#[tokio::test]
async fn consent_opens_one_tenant_and_is_proven_not_believed() {
    let wish = Wish { tenants: vec![CONTOSO, FABRIKAM], world: no_fabrikam, ..Wish::default() };
    let mut stand = Stand::with(wish).await;
    let fabrikam: TenantId = FABRIKAM.parse().unwrap();
    stand.until("contoso is read", Stand::is_read).await;
    let before = stand.check(fabrikam).await;
    assert_eq!(gate_of(&before, Gate::Risk), GateStatus::NeverGranted);
    let redirect = REDIRECT.parse().unwrap();
    let url = stand.control.consent_url(fabrikam, Gate::Risk, "s7at3", &redirect).await.unwrap();
    let refused = stand.control.consent_url(fabrikam, Gate::DataUpload, "s7at3", &redirect).await;
    assert_eq!(refused.unwrap_err().word(), "nothing_to_consent");
    let asked: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let page = stand.b.get(&format!("{}?{}", url.path(), url.query().unwrap())).await;
    assert_eq!((page.status, page.input("state").as_deref()), (StatusCode::OK, Some("s7at3")), "{}", page.text());
    // Somebody forges the way back: nothing was granted.
    assert_eq!(gate_of(&stand.check(fabrikam).await, Gate::Risk), GateStatus::NeverGranted);
    let name = |key: &str| asked.iter().find(|(known, _)| known == key).unwrap().1.clone();
    let form = ["client_id", "redirect_uri", "scope", "state"].map(|key| (key, name(key)));
    let form = [&form[..], &[("answer", "accept".to_owned())]].concat();
    let answer = stand.b.post(url.path(), &form).await.answer();
    assert_eq!((answer["tenant"].as_str(), answer["state"].as_str()), (FABRIKAM, "s7at3"), "{}", encoded(&form));
    let after = stand.check(fabrikam).await;
    assert_eq!(gate_of(&after, Gate::Risk), GateStatus::Granted);
    assert_eq!(gate_of(&after, Gate::Directory), GateStatus::Granted);
    let read = |stand: &Stand| stand.directory.feed(fabrikam).now().source == RiskSource::Answers;
    stand.until("its risk is read", read).await;
    assert!(stand.gate(Gate::Risk).is_ok(), "the other tenant is as it was");
}

fn no_fabrikam(world: &mut World) {
    world.app_mut(APP_ID).unwrap().principals.remove(FABRIKAM);
}

/// Whoever was not taken while upload was off is not for that reason "no longer listed".
#[tokio::test]
async fn upload_off_and_on_in_the_middle_of_a_list_clears_nobody() {
    let rhythm = Rhythm { risk_full: Duration::from_secs(60), ..Rhythm::FAST };
    let mut stand = Stand::with(Wish { rhythm, world: risky_crowd, ..Wish::default() }).await;
    stand.until("everything is read", Stand::is_read).await;
    let all = stand.directory.counts(tenant()).risky;
    assert!(all >= 40, "{all}");
    stand.order(Method::PUT, "/sim/v1/graph/settings", json!({ "page_size": 1 })).await;
    let in_the_middle = |stand: &Stand| {
        let progress = stand.progress(SyncKind::Risk);
        progress.phase == Phase::FullRunning && (3..10).contains(&progress.read)
    };
    stand.until("the middle of a list", in_the_middle).await;
    stand.set_upload(false).await.unwrap();
    let kept = |stand: &Stand| assert_eq!(stand.directory.counts(tenant()).risky, all);
    stand.set_upload(true).await.unwrap();
    stand.order(Method::PUT, "/sim/v1/graph/settings", json!({ "page_size": 0 })).await;
    let answers = |stand: &Stand| {
        kept(stand);
        stand.source() == RiskSource::Answers
    };
    stand.until("risk is read again", answers).await;
    kept(&stand);
}

fn risky_crowd(world: &mut World) {
    world.tenant_mut(CONTOSO).unwrap().crowd = Crowd::new(60, 1, 60, "crowd.contoso.example");
}
