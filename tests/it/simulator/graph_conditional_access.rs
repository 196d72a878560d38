//! Authentication contexts and the policies that target them, as `doctor` reads them (reference section 7.1).

use http::{Method, StatusCode};
use portcullis::simulator::{APP_ID, CONTOSO};
use serde_json::json;

use super::graph::{Client, assert_refused, ids};

/// Section 7.1: which contexts there are, whether or not a policy targets them.
#[tokio::test]
async fn contexts_are_listed_and_policies_need_a_permission_of_their_own() {
    let mut c = Client::demo().await;
    for (context, policy) in [("c1", "mfa"), ("c2", "absent"), ("c3", "report-only"), ("c4", "blocked")] {
        c.order(Method::PUT, &format!("/sim/v1/contexts/{CONTOSO}/{context}"), json!({ "policy": policy })).await;
    }
    c.settings(json!({ "page_size": 3 })).await;
    let path = "identity/conditionalAccess/authenticationContextClassReferences";
    let (contexts, _) = c.all(path).await;
    assert_eq!(ids(&contexts), ["c1", "c2", "c3", "c4"]);
    assert_eq!(contexts[0]["isAvailable"], true);
    assert!(contexts[0]["displayName"].is_string() && contexts[0]["description"].is_string());
    let policies = "identity/conditionalAccess/policies?$select=id,state,conditions";
    assert_refused(&c.get(policies).await, StatusCode::FORBIDDEN, "Authorization_RequestDenied");
    let grant = |roles: Vec<String>| {
        move |w: &mut portcullis::simulator::World| {
            w.app_mut(APP_ID).unwrap().principals.get_mut(CONTOSO).unwrap().roles = roles.into_iter().collect();
        }
    };
    c.b.sim.world().change(grant(vec!["Policy.Read.All".to_owned()]));
    c.renew().await;
    assert_refused(&c.get(path).await, StatusCode::FORBIDDEN, "Authorization_RequestDenied");
    let (found, _) = c.all(policies).await;
    let targets: Vec<_> = found
        .iter()
        .map(|policy| {
            let target = &policy["conditions"]["applications"]["includeAuthenticationContextClassReferences"][0];
            (target.as_str().unwrap(), policy["state"].as_str().unwrap())
        })
        .collect();
    let expected = [("c1", "enabled"), ("c3", "enabledForReportingButNotEnforced"), ("c4", "enabled")];
    assert_eq!(targets, expected, "a context without a policy is in none");
    assert!(found[0].get("grantControls").is_none(), "only what was selected");
}
