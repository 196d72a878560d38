//! How the two permissions that Microsoft keeps stand: what the application's token says and what Graph really lets us
//! do. The third, data upload, is a switch of our own and stands in [`super::switches`].

use super::{Gate, GateStatus};
use crate::entra::graph::{Capability, Denied, Graph, GraphError, Role, TokenFault};
use crate::facts::TenantId;

/// What is known before looking.
#[derive(Debug, Clone, Copy)]
pub(super) struct Before<'a> {
    /// The last status.
    pub(super) status: &'a GateStatus,
    /// Whether it was ever there.
    pub(super) seen: bool,
    /// Who is asked besides the token.
    pub(super) witness: Witness,
}

/// Who besides the token says whether reading works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Witness {
    /// Graph, with a small question.
    Graph,
    /// The job, which reads well just now; saves one of the few questions about risk.
    Job,
    /// Nobody: Graph may be asked nothing.
    Nobody,
}

/// What was found out about a permission.
#[derive(Debug)]
pub(super) struct Verdict {
    /// How it stands.
    pub(super) status: GateStatus,
    /// Whether reading works, which is all that the sync job needs.
    pub(super) reads: bool,
}

/// What a permission consists of: reading first, then the rest.
const fn capabilities(gate: Gate) -> &'static [Capability] {
    match gate {
        Gate::Directory => &[
            Capability::ReadDirectory,
            Capability::RevokeSessions,
            Capability::EnableDisable,
            Capability::ForcePasswordChange,
        ],
        Gate::Risk => &[Capability::ReadRiskyUsers, Capability::ReadDetections, Capability::WriteRisk],
        Gate::DataUpload => &[],
    }
}

/// How both permissions stand, seen for the first time; for `doctor`.
pub async fn examine(graph: &Graph, has_risk: bool) -> [(Gate, GateStatus); 2] {
    let never = GateStatus::NeverGranted;
    let before = Before { status: &never, seen: false, witness: Witness::Graph };
    let directory = look(graph, Gate::Directory, before).await.status;
    let risk = if has_risk {
        look(graph, Gate::Risk, before).await.status
    } else {
        GateStatus::Error { reason: NOT_IN_CLOUD.to_owned() }
    };
    [(Gate::Directory, directory), (Gate::Risk, risk)]
}

/// Looks at one permission.
pub(super) async fn look(graph: &Graph, gate: Gate, before: Before<'_>) -> Verdict {
    let roles = match graph.roles().await {
        Ok(roles) => roles,
        Err(error) => return without_token(&error, before),
    };
    let read = match (capabilities(gate).first(), before.witness) {
        (Some(read), Witness::Graph) => graph.try_reading(*read).await,
        // What the job reads with may be the token before.
        (Some(read), Witness::Job) if roles.as_ref().is_none_or(|roles| read.is_met_by(roles)) => Ok(()),
        _ => Err(GraphError::Throttled(None)),
    };
    judge(gate, roles.as_deref(), read, before)
}

/// Sorts what the token says and what trying to read gave.
fn judge(gate: Gate, roles: Option<&[Role]>, read: Result<(), GraphError>, before: Before<'_>) -> Verdict {
    let granted = roles.unwrap_or_default();
    let by_token = |capability: &Capability| capability.is_met_by(granted);
    let told = capabilities(gate).first().is_some_and(by_token);
    let error = |reason: &str| Verdict { status: GateStatus::Error { reason: reason.to_owned() }, reads: false };
    let reads = match read {
        Ok(()) => true,
        Err(GraphError::Denied(Denied::MissingLicence)) => return error(NO_LICENCE),
        Err(GraphError::NoSuchInterface | GraphError::NotFound) => return error(NOT_IN_CLOUD),
        Err(GraphError::Denied(_)) => false,
        // Not asked, or asked too often: the token is the best witness there is.
        Err(GraphError::Throttled(_)) if roles.is_some() => told,
        Err(GraphError::Throttled(_)) if before.status.is_ok() => {
            return Verdict { status: before.status.clone(), reads: true };
        }
        Err(other) => return error(&other.to_string()),
    };
    let mut missing: Vec<Role> = Vec::new();
    for (at, capability) in capabilities(gate).iter().enumerate() {
        let is_there = if at == 0 { reads } else { roles.is_none() || by_token(capability) };
        let least = capability.needs().first().copied().unwrap_or_default();
        if !is_there {
            let refused = at == 0 && told;
            missing.extend(least.iter().filter(|role| refused || !granted.contains(role)));
        }
    }
    missing.dedup();
    let has_some =
        capabilities(gate).iter().flat_map(|one| one.needs().iter()).any(|set| set.iter().any(|r| granted.contains(r)));
    let status = if missing.is_empty() {
        GateStatus::Granted
    } else if reads || has_some {
        GateStatus::Partial { missing: missing.iter().map(|role| role.name().to_owned()).collect() }
    } else {
        absent(before)
    };
    Verdict { status, reads }
}

/// What mends a permission that is not whole.
pub(super) fn cure(gate: Gate, status: &GateStatus, tenant: TenantId, client: &str) -> Option<String> {
    let portal = "https://entra.microsoft.com/#view/Microsoft_AAD_RegisteredApps/ApplicationMenuBlade";
    Some(match (gate, status) {
        (_, GateStatus::Granted) => return None,
        (Gate::DataUpload, _) => format!("turn on data upload for tenant {tenant}; risk has to be granted first"),
        // Waiting or the configuration mends these, or nothing does.
        (_, GateStatus::Error { reason }) if reason == NOT_IN_CLOUD => {
            "use rules without risk in this cloud; nothing can be granted".to_owned()
        }
        (_, GateStatus::Error { reason }) if reason == NO_LICENCE => {
            "https://learn.microsoft.com/entra/id-protection/overview-identity-protection#license-requirements"
                .to_owned()
        }
        (_, GateStatus::Error { .. }) => "portcullis doctor".to_owned(),
        (_, GateStatus::Partial { .. }) => format!("{portal}/~/CallAnAPI/appId/{client}"),
        (_, GateStatus::NeverGranted | GateStatus::Revoked) => {
            format!(
                "grant the permissions for tenant {tenant} as its administrator; they are listed at {portal}/~/CallAnAPI/appId/{client}"
            )
        }
    })
}

fn absent(before: Before<'_>) -> GateStatus {
    if before.seen { GateStatus::Revoked } else { GateStatus::NeverGranted }
}

fn without_token(error: &GraphError, before: Before<'_>) -> Verdict {
    let GraphError::NoToken { fault, .. } = error else {
        return Verdict { status: GateStatus::Error { reason: error.to_string() }, reads: false };
    };
    let reason = match fault {
        TokenFault::Deleted => return Verdict { status: absent(before), reads: false },
        TokenFault::Throttled if !matches!(before.status, GateStatus::NeverGranted) => {
            return Verdict { status: before.status.clone(), reads: before.status.is_ok() };
        }
        TokenFault::Disabled => "the application is disabled in the tenant's enterprise applications",
        TokenFault::Credential => "Microsoft does not accept this gateway's credential; look at entra.client_secret",
        TokenFault::Throttled => "the login host asks to slow down",
        TokenFault::ProviderDown => "the login host does not answer",
        TokenFault::Other => "the login host gives no token",
    };
    Verdict { status: GateStatus::Error { reason: reason.to_owned() }, reads: false }
}

const NO_LICENCE: &str = "the tenant has no licence that includes this (Microsoft Entra ID P2)";
pub(super) const NOT_IN_CLOUD: &str = "this cloud of Microsoft has no interface for the risk of accounts";

#[cfg(test)]
mod tests {
    use super::*;

    fn before(status: &GateStatus, seen: bool) -> Before<'_> {
        Before { status, seen, witness: Witness::Graph }
    }

    fn roles(names: &[&str]) -> Vec<Role> {
        names.iter().map(|name| Role::from_name(name)).collect()
    }

    const DENIED: Result<(), GraphError> = Err(GraphError::Denied(Denied::MissingRole));

    #[test]
    fn nothing_granted_is_never_or_revoked_and_a_part_names_what_is_missing() {
        let never = GateStatus::NeverGranted;
        for gate in [Gate::Directory, Gate::Risk] {
            let other: &[&str] = if gate == Gate::Risk { &["User.Read.All"] } else { &["IdentityRiskyUser.Read.All"] };
            for granted in [&[][..], other] {
                assert_eq!(judge(gate, Some(&roles(granted)), DENIED, before(&never, false)).status, never);
                let seen = judge(gate, Some(&roles(granted)), DENIED, before(&never, true));
                assert_eq!((seen.status, seen.reads), (GateStatus::Revoked, false));
            }
        }
        let least = judge(Gate::Risk, Some(&roles(&["IdentityRiskyUser.Read.All"])), Ok(()), before(&never, false));
        let missing = ["IdentityRiskEvent.Read.All", "IdentityRiskyUser.ReadWrite.All"].map(str::to_owned);
        assert_eq!((least.status, least.reads), (GateStatus::Partial { missing: missing.into() }, true));
        let half = judge(Gate::Directory, Some(&roles(&["User.Read.All"])), DENIED, before(&never, false));
        let GateStatus::Partial { missing } = half.status else { panic!("{half:?}") };
        assert!(!half.reads && missing.contains(&"GroupMember.Read.All".to_owned()), "{missing:?}");
        assert!(!missing.contains(&"User.Read.All".to_owned()));
    }

    #[test]
    fn graph_is_believed_over_the_token() {
        let granted = GateStatus::Granted;
        let all =
            roles(&["IdentityRiskyUser.Read.All", "IdentityRiskyUser.ReadWrite.All", "IdentityRiskEvent.Read.All"]);
        let lost = judge(Gate::Risk, Some(&all), DENIED, before(&granted, true));
        assert_eq!(lost.status, GateStatus::Partial { missing: vec!["IdentityRiskyUser.Read.All".to_owned()] });
        assert_eq!(judge(Gate::Risk, Some(&all), Ok(()), before(&granted, true)).status, GateStatus::Granted);
        assert_eq!(judge(Gate::Risk, None, Ok(()), before(&granted, true)).status, GateStatus::Granted, "opaque token");
        let licence =
            judge(Gate::Risk, Some(&all), Err(GraphError::Denied(Denied::MissingLicence)), before(&granted, true));
        assert_eq!(licence.status, GateStatus::Error { reason: NO_LICENCE.to_owned() });
        let down = judge(Gate::Risk, Some(&all), Err(GraphError::ServerError(None)), before(&granted, true));
        assert!(matches!(down.status, GateStatus::Error { .. }) && !down.reads);
        let busy = judge(Gate::Risk, Some(&all), Err(GraphError::Throttled(None)), before(&granted, true));
        assert_eq!((busy.status, busy.reads), (GateStatus::Granted, true));
    }
}
