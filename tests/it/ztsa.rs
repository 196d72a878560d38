//! The statements T1 to T20 about the identity and access screen of the product that this one is measured by, and what
//! else issue 3 names by an id. Here are those that only the running gateway shows; the table says where each is shown.
//! A test below `src` is named by its module, one of this folder begins with `it`, one in a browser with `browser`.
//!
//! | id | shown by |
//! |---|---|
//! | T1 | `it sign_in::navigation_is_redirected_and_everything_else_is_told_with_401`, `it actions::an_account_is_disabled_enabled_and_made_to_change_its_password`, `it actions::sign_out_ends_sessions_here_and_at_microsoft`; one service so far, private access |
//! | T2 | `it admin_v1::t02_switching_the_provider_ends_the_old_ones_sessions_and_a_broken_switch_ends_none`, `admin::tests::tenants::t02_a_second_provider_is_refused_with_the_name_of_the_active_one` |
//! | T3 | [`t03_t07_t16_without_its_permissions_the_provider_is_incomplete_and_says_so_until_they_are_back`]; private access only |
//! | T4 | [`t04_t05_t12_t15_one_switch_for_the_upload_and_what_stops_with_it`], `it directory::permissions::without_upload_graph_is_asked_nothing_about_risk` |
//! | T5 | the same, and `policy::tests::doubts::rs_04_every_source_that_does_not_answer_has_its_configured_outcome_and_none_is_silent` |
//! | T6 | `admin::tests::tenants::t06_one_address_shows_every_tenant_with_permission_upload_sign_in_and_reading` |
//! | T7 | as T3, and `it actions::an_administrator_and_a_missing_permission_are_told_apart_and_sessions_end_all_the_same` |
//! | T8 | `admin::tests::consents::t08_a_consent_is_begun_with_a_state_of_its_own_and_comes_back_here`, `…::t08_a_foreign_used_or_old_state_is_refused_and_nothing_is_looked_at` |
//! | T9 | `it directory::permissions::consent_opens_one_tenant_and_is_proven_not_believed` |
//! | T10 | `admin::tests::consents::t10_what_is_granted_is_what_the_gateway_finds_not_what_came_back` |
//! | T11 | `admin::tests::tenants::t11_sign_in_without_consent_and_consent_without_sign_in_are_both_shown` |
//! | T12 | as T4 |
//! | T13 | `admin::tests::tenants::t13_whatever_is_not_as_it_should_be_says_why_and_what_mends_it` |
//! | T14 | `it directory::permissions::each_of_the_eight_combinations_does_what_it_allows_and_no_more`, `it directory::permissions::a_lost_permission_has_a_name_and_comes_back` |
//! | T15 | `admin::tests::tenants::t15_upload_needs_a_consent_and_turning_it_off_keeps_the_consent`, `it directory::permissions::the_switch_needs_the_consent_and_outlives_a_restart` |
//! | T16 | as T3; `browser grantInAnotherTabShowsWithinFiveSecondsWithoutAReload` |
//! | T17 | `directory::schedule::tests::ztsa_begins_at_ten_minutes_and_goes_on_every_eight_hours`, `it directory::reading::ztsa_begins_at_ten_minutes_and_keeps_its_grid_through_failures` |
//! | T18 | the same, and `directory::schedule::tests::ztsa_retries_a_failed_cycle_within_it_and_keeps_the_next_slot` |
//! | T19 | `it directory::reading::the_first_reading_brings_everybody_and_changes_follow`, `admin::tests::tenants::t06_one_address_shows_every_tenant_with_permission_upload_sign_in_and_reading` |
//! | T20 | `it faults::provider_that_is_gone_leaves_sessions_alone_and_newcomers_get_a_clear_page`, `it outage::r14_an_outage_beyond_the_age_goes_by_each_apps_word` |
//! | RS-01 | `it private_access::cut_by_directory::rs01_high_risk_ends_everything_open` |
//! | RS-02 | `directory::tests::risk::rs02_nothing_vague_lowers_a_high_risk`, `policy::tests::doubts::rs_02_what_is_hidden_or_unknown_is_never_read_as_good`, `it directory::faults::unknown_words_are_unknown_risk_and_never_none` |
//! | RS-03 | `it directory::faults::every_fault_is_counted_survived_and_lowers_nothing`, `directory::schedule::tests::a_wait_that_was_asked_for_is_obeyed_but_not_for_ever` |
//! | RS-04 | `directory::tests::feed::rs_04_the_age_of_risk_is_unmoved_by_steps_of_the_wall_clock`, `policy::tests::doubts::rs_04_the_age_switches_within_the_second_and_each_app_may_say_its_own` |
//! | RS-05 | `directory::tests::risk::rs05_only_a_complete_list_takes_people_off`, `directory::tests::readings::rs05_changes_take_effect_while_a_full_reading_is_unfinished`, `entra::graph::tests::a_graph_page_that_leads_elsewhere_or_nowhere_is_refused` |
//! | RS-06 | `entra::graph::tests::a_refused_graph_token_is_renewed_once`, `…::each_token_failure_has_its_own_fault_and_is_not_asked_for_in_a_loop`, `it directory::permissions::a_disabled_or_deleted_application_is_told_apart` |
//! | RS-07 | `it actions::an_action_survives_sudden_death_and_is_done_once`, `risk_control::tests::crash::an_action_without_an_answer_is_asked_for_again_once_and_then_never`, `risk_control::tests::by_hand::microsofts_wish_to_wait_is_obeyed_and_the_budget_ends_it` |
//! | RS-08 | `risk_control::tests::brakes::a_provider_that_holds_everybody_for_risky_runs_into_the_quota_until_a_person_looks`, `…::people_and_groups_kept_for_emergencies_are_never_touched` |
//! | RS-09 | `directory::tests::readings::rs09_an_id_that_is_gone_for_good_does_not_come_back_with_an_old_page`, `directory::tests::tenants::equal_ids_and_names_in_two_tenants_stay_apart`; ids are UUIDs by type (`facts::UserKey`) |
//! | RS-10 | `directory::tests::risk::rs05_rs10_the_providers_time_of_change_puts_readings_in_order`, `risk_control::tests::brakes::whom_a_person_let_in_again_no_rule_touches_until_the_risk_changes` |
//! | RS-11 | no webhook is used |
//! | RS-12 | `risk_control::tests::by_hand::a_second_person_has_to_agree_where_that_is_asked_for`; one kind of administrator, so no low-privilege one |
//! | AD-01 | `it admin::only_the_token_and_no_web_page_gets_at_the_api`, `it admin_v1::a_change_through_the_console_needs_its_own_origin_and_is_written_down_with_who`, `admin::tests::a_name_pointed_at_this_machine_is_not_enough` |
//! | AD-02 | `admin::tests::paths_are_exact_and_unlisted_ones_are_refused`, `admin::tests::other_methods_get_405_and_overrides_are_ignored` |
//! | AD-03 | [`ad03_no_way_leads_through_the_gateway_to_its_own_administration`], `it admin_v1::forged_identity_headers_make_no_administrator` |
//! | AD-04 | `admin::tests::metrics_hold_no_person_and_reload_says_what_is_wrong`, `admin::tests::the_api_needs_the_token_and_health_and_metrics_do_not` |
//! | AD-05 | [`ad05_no_answer_of_the_api_holds_a_secret`], `it admin::no_secret_is_in_any_log_page_or_metric` |
//! | AD-06 | not tried: nothing in the configuration is expanded but a whole secret that is `env:NAME` or `file:path` |
//! | AD-07 | `it faults::broken_configuration_changes_nothing`, `it admin::reload_by_api_says_what_became_of_it` |
//! | AD-08 | not there: one role; every change is recorded with who (`admin::tests::sessions_are_listed_and_ended_and_every_change_is_recorded`), without hashes |
//! | AD-09 | `admin::tests::entrance::a_wrong_token_is_told_so_and_written_down`; the comparison takes constant time by its library, which no test measures |
//! | R-13 | `it directory::faults::an_hour_without_graph_is_an_hour_of_old_knowledge_and_few_calls`, `it directory::faults::every_fault_is_counted_survived_and_lowers_nothing`; the latency of requests meanwhile is not measured |
//! | R-14 | `it outage::r14_an_outage_beyond_the_age_goes_by_each_apps_word`, `policy::tests::doubts::rs_04_every_source_that_does_not_answer_has_its_configured_outcome_and_none_is_silent` |
//! | R-16 | `directory::tests::feed::rs_04_the_age_of_risk_is_unmoved_by_steps_of_the_wall_clock`, `session::tests::lifetime::steps_of_the_wall_clock_change_no_running_session`, `…::a_wall_clock_that_went_back_over_a_restart_prolongs_nothing_that_was_used_up`; a step of the running gateway's clock is not tried |
//! | R-18 | `it actions::an_action_survives_sudden_death_and_is_done_once`, `it outage::a_sync_survives_sudden_death_and_loses_nobody`, `risk_control::tests::crash::an_action_without_an_answer_is_asked_for_again_once_and_then_never`; not a thousand seeds |
//! | R-19 | `audit::tests::what_the_queue_cannot_hold_is_counted_and_the_rest_is_written_once_the_disk_has_room`, `…::closing_on_a_full_disk_ends_and_counts_what_is_lost`; best effort only: no request is refused for want of a log |

use std::time::Duration;

use serde_json::{Value, json};

use crate::world::graph::{HIGH_IS_BLOCKED, key, reads_graph};
use crate::world::provider::Kind;
use crate::world::raw::Raw;
use crate::world::upstream::Answer;
use crate::world::{ALICE, APP, TENANT, World, eventually, shapes};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t03_t07_t16_without_its_permissions_the_provider_is_incomplete_and_says_so_until_they_are_back() {
    let world = world().await;
    world.read().await;
    eventually("complete", WATCHED, || async { world.tenant().await["complete"] == true }).await;
    let principal = format!("/sim/v1/apps/{}/principals/{TENANT}", shapes::CLIENT_ID);
    world.provider.control("PUT", &principal, &json!({ "roles": [] })).await;
    eventually("it shows by itself", WATCHED, || async { gate(&world, "directory").await["status"] == "revoked" })
        .await;
    assert_eq!(world.tenant().await["complete"], false);
    for name in ["directory", "risk"] {
        let gate = gate(&world, name).await;
        assert!(gate["reason"].is_string() && gate["fix"]["text"].is_string(), "T13: {gate}");
    }
    // T7: an action is a task that ends with its reason, and the lists for rules say why they may be empty or old.
    for list in ["users", "groups"] {
        let (status, list) = world.api("GET", &format!("/api/v1/{list}"), None).await;
        assert!(status == 200 && list["reason"].is_string(), "{list}");
    }
    let order = format!("/api/v1/users/{}/actions", key(ALICE));
    let (_, task) = world.api("POST", &order, Some(&json!({ "action": "disable" }))).await;
    let task = format!("/api/v1/actions/{}", task["id"]);
    eventually("the task has ended", Duration::from_secs(20), || async {
        let (_, task) = world.api("GET", &task, None).await;
        task["state"] == "unsuccessful" && task["reason"] == "insufficient_permission"
    })
    .await;
    let some = json!({ "roles": ["User.Read.All", "GroupMember.Read.All"] });
    world.provider.control("PUT", &principal, &some).await;
    eventually("T16: a grant shows by itself", WATCHED, || async {
        gate(&world, "directory").await["status"] == "partial"
    })
    .await;
    assert_eq!(gate(&world, "risk").await["status"], "revoked", "T14: the other is another");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t04_t05_t12_t15_one_switch_for_the_upload_and_what_stops_with_it() {
    let world = world().await;
    world.read().await;
    let cookie = world.cookie(ALICE).await;
    let rules = async || world.api("GET", "/api/v1/rules", None).await.1["risk"][0].clone();
    assert_eq!(rules().await["state"], "active");
    let upload = format!("/api/v1/tenants/{TENANT}/data-upload");
    let (status, tenant) = world.api("PUT", &upload, Some(&json!({ "on": false }))).await;
    assert_eq!(status, 200, "{tenant}");
    eventually("risk is unknown and nobody is let in for it", WATCHED, || async {
        world.answer(APP, &cookie).await == (403, "risk_unavailable".to_owned())
    })
    .await;
    let inactive = rules().await;
    assert_eq!((&inactive["state"], &inactive["source"]), (&json!("inactive: no data"), &json!("upload_off")));
    let risk = gate(&world, "risk").await;
    assert_eq!(risk["status"], "granted", "T15: the consent stays");
    let log = world.gateway.log();
    for event in ["risk_source", "admin_action", "permission"] {
        assert!(log.contains(&format!("\"event\":\"{event}\"")), "{event} is written down");
    }
    let (status, tenant) = world.api("PUT", &upload, Some(&json!({ "on": true }))).await;
    assert_eq!(status, 200, "{tenant}");
    eventually("it is known again", Duration::from_secs(30), || world.lets_in(&cookie)).await;
    assert_eq!(rules().await["state"], "active");
}

#[tokio::test]
async fn ad03_no_way_leads_through_the_gateway_to_its_own_administration() {
    let mut world = World::start(Kind::Simulator).await;
    let cookie = world.cookie(ALICE).await;
    let admin = world.gateway.admin();
    for (line, host) in [
        ("GET /metrics HTTP/1.1".to_owned(), admin.to_string()),
        (format!("GET http://{admin}/metrics HTTP/1.1"), APP.to_owned()),
        (format!("CONNECT {admin} HTTP/1.1"), admin.to_string()),
    ] {
        let mut raw = world.raw(APP).await;
        raw.send(format!("{line}\r\nHost: {host}\r\nCookie: {cookie}\r\n\r\n").as_bytes()).await;
        let answer = raw.response().await.unwrap();
        assert!((400..500).contains(&answer.status), "{line}: {}", answer.head);
        assert!(!answer.text().contains("portcullis_"), "{line}");
    }
    // As an app it is refused where the configuration is read, and what runs goes on.
    let text = std::fs::read_to_string(world.gateway.config_file()).unwrap();
    let listen = text.replace("listen = \"127.0.0.1:0\"", &format!("listen = \"{admin}\""));
    assert_ne!(text, listen);
    std::fs::write(world.gateway.config_file(), listen.replace(&world.app.address.to_string(), &admin.to_string()))
        .unwrap();
    let (status, problem) = world.api("POST", "/api/v1/reload", Some(&json!({}))).await;
    assert_eq!(status, 422, "{problem}");
    assert!(problem.to_string().contains("administration listener"), "{problem}");
    assert!(world.lets_in(&cookie).await);
    world.gateway.kill();
}

#[tokio::test]
async fn ad05_no_answer_of_the_api_holds_a_secret() {
    let world = world().await;
    world.read().await;
    let cookie = world.cookie(ALICE).await;
    let (_, value) = cookie.split_once('=').unwrap();
    let secrets = [shapes::CLIENT_SECRET.to_owned(), world.gateway.admin_token(), value.to_owned(), "eyJ".to_owned()];
    let (_, api) = world.api("GET", "/api/v1/openapi.json", None).await;
    let paths = api["paths"].as_object().unwrap();
    let plain = paths.iter().filter(|(path, methods)| !path.contains('{') && methods.get("get").is_some());
    let mut paths: Vec<String> = plain.map(|(path, _)| path.clone()).collect();
    assert!(paths.len() > 8, "{paths:?}");
    let person = format!("/api/v1/users/{}", key(ALICE));
    paths.extend([format!("{person}/sessions"), person, "/metrics".to_owned()]);
    for path in paths {
        let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n", secrets[1]);
        let mut raw = Raw::tcp(world.gateway.admin()).await.unwrap();
        raw.send(format!("{head}Connection: close\r\n\r\n").as_bytes()).await;
        let answer = raw.response().await.unwrap();
        assert!(answer.status < 500, "{path}: {}", answer.head);
        for secret in &secrets {
            assert!(!answer.text().contains(secret.as_str()), "{path} holds {secret}");
        }
    }
}

/// One of the tenant's permissions.
async fn gate(world: &World, name: &str) -> Value {
    let tenant = world.tenant().await;
    let gates = tenant["gates"].as_array().unwrap();
    gates.iter().find(|gate| gate["gate"] == name).unwrap_or_else(|| panic!("no {name} in {tenant}")).clone()
}

async fn world() -> World {
    World::with(
        Kind::Simulator,
        |request| Answer::text(request.target()),
        |settings| {
            settings.rules.push_str(HIGH_IS_BLOCKED);
            reads_graph(settings);
        },
    )
    .await
}

/// While somebody looks, a change shows within five seconds; a busy machine gets twice that.
const WATCHED: Duration = Duration::from_secs(10);
