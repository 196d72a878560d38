//! Checks of the authentication contexts that the rules ask for.
//!
//! Entra issues a context for which no policy exists without asking anything, so a challenge would pass everybody and
//! look as if it worked. What the gateway may not read is said, with what to look at by hand.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::config::Config;
use crate::entra::RelyingParty;
use crate::entra::graph::{ContextClass, Graph};
use crate::facts::{AuthContext, SharedClock, TenantId};

use super::Finding;

const CHECK: &str = "step-up";
const BY_HAND: &str = "look in the Entra admin centre, Protection, Conditional Access: an enabled policy must have this \
                       authentication context as its target and cover everybody the rules mean; without one Entra \
                       vouches for the context and asks nothing";

/// One line per context and tenant; nothing when no rule asks for one.
pub(super) async fn check(config: &Config, clock: &SharedClock) -> Vec<Finding> {
    let used = used(config);
    if used.is_empty() {
        return Vec::new();
    }
    // What is wrong with the provider itself has been said already.
    let Ok(party) = RelyingParty::new(config.entra.clone(), Arc::clone(clock)) else { return Vec::new() };
    let mut findings = Vec::new();
    for tenant in &config.entra.tenants {
        let seen = match config.directory.as_ref().map(|directory| Graph::new(&party, *tenant, &directory.root)) {
            Some(Ok(graph)) => Seen {
                contexts: graph.auth_contexts().await.map_err(|error| error.to_string()),
                policies: graph.contexts_with_policy().await.map_err(|error| error.to_string()),
            },
            Some(Err(error)) => Seen::nothing(&error.to_string()),
            None => Seen::nothing("without [directory] nothing is read from Microsoft Graph"),
        };
        findings.extend(used.iter().map(|(context, rules)| seen.finding(*tenant, *context, rules)));
    }
    findings
}

/// The contexts that rules ask for, with the names of those rules.
fn used(config: &Config) -> BTreeMap<AuthContext, Vec<&str>> {
    let access = config.rules.iter().filter(|rule| rule.enabled).map(|rule| (&*rule.name, rule.step_up));
    let risk = config.risk.rules.iter().filter(|rule| rule.enabled).map(|rule| (&*rule.name, rule.step_up));
    let doubt = [("[risk]", config.risk.settings.step_up)];
    let mut used: BTreeMap<AuthContext, Vec<&str>> = BTreeMap::new();
    for (name, step_up) in access.chain(risk).chain(doubt) {
        if let Some(step_up) = step_up {
            used.entry(step_up.context).or_default().push(name);
        }
    }
    used
}

/// What could be read of one tenant.
struct Seen {
    contexts: Result<Vec<ContextClass>, String>,
    policies: Result<BTreeSet<AuthContext>, String>,
}

impl Seen {
    fn nothing(why: &str) -> Self {
        Self { contexts: Err(why.to_owned()), policies: Err(why.to_owned()) }
    }

    fn finding(&self, tenant: TenantId, context: AuthContext, rules: &[&str]) -> Finding {
        let what = format!("{context} of tenant {tenant} (asked for by {})", rules.join(", "));
        if let Ok(contexts) = &self.contexts {
            match contexts.iter().find(|class| class.context == context) {
                None => {
                    let advice = "define it in the Entra admin centre (Protection, Conditional Access, Authentication \
                                  contexts) and give it a policy, or let the rules ask for another one";
                    return Finding::bad(CHECK, format!("{what} is not defined, so it proves nothing"), advice);
                }
                Some(class) if !class.available => {
                    let advice = "publish it to apps, or let the rules ask for another one";
                    return Finding::doubtful(CHECK, format!("{what} is not published to apps"), advice);
                }
                Some(_) => {}
            }
        }
        match (&self.policies, &self.contexts) {
            (Ok(with_policy), _) if with_policy.contains(&context) => {
                Finding::good(CHECK, format!("{what}: an enabled policy targets it; whom it covers was not checked"))
            }
            (Ok(_), _) => {
                let advice = "create an enabled Conditional Access policy for it: without one Entra vouches for the \
                              context and asks nothing, so the challenge passes everybody";
                Finding::bad(CHECK, format!("{what}: no enabled policy targets it"), advice)
            }
            (Err(error), Ok(_)) => Finding::doubtful(
                CHECK,
                format!(
                    "{what} is defined; whether a policy targets it could not be read ({error}; needs Policy.Read.All)"
                ),
                BY_HAND,
            ),
            (Err(_), Err(error)) => Finding::doubtful(
                CHECK,
                format!("{what} could not be read ({error}; needs AuthenticationContext.Read.All and Policy.Read.All)"),
                BY_HAND,
            ),
        }
    }
}
