//! Checks of what each tenant has granted at Microsoft Graph, one line per permission.

use std::sync::Arc;

use crate::config::Config;
use crate::directory::{GateStatus, examine};
use crate::entra::RelyingParty;
use crate::entra::graph::Graph;
use crate::facts::SharedClock;

use super::Finding;

/// Proves the permissions of every tenant; nothing when no directory is read.
pub(super) async fn permissions(config: &Config, clock: &SharedClock) -> Vec<Finding> {
    let Some(directory) = &config.directory else { return Vec::new() };
    // What is wrong with the provider itself has been said already.
    let Ok(party) = RelyingParty::new(config.entra.clone(), Arc::clone(clock)) else { return Vec::new() };
    let mut findings = Vec::new();
    for tenant in &config.entra.tenants {
        let graph = match Graph::new(&party, *tenant, &directory.root) {
            Ok(graph) => graph,
            Err(error) => {
                findings.push(Finding::bad("graph", error.to_string(), "correct [directory] in the configuration"));
                continue;
            }
        };
        for (gate, status) in examine(&graph, directory.has_risk).await {
            let at = format!("{} of tenant {tenant}", gate.word());
            let Some(reason) = status.reason(gate) else {
                findings.push(Finding::good("graph", format!("{at}: granted")));
                continue;
            };
            let advice = match status {
                GateStatus::Error { .. } => "mend what the line says; nothing can be granted before",
                _ => "grant it in the tenant: add the permissions to the app registration and consent as administrator",
            };
            // Everything works without these but what needs them, and that refuses as configured.
            findings.push(Finding::doubtful("graph", format!("{at}: {reason}"), advice));
        }
    }
    findings
}
