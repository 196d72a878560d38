//! Authentication contexts, and which of them a Conditional Access policy targets.
//!
//! Entra issues a context for which no policy exists without asking anything, so a step-up proves something only if an
//! enabled policy targets its context. Source:
//! <https://learn.microsoft.com/graph/api/resources/authenticationcontextclassreference> and
//! <https://learn.microsoft.com/graph/api/resources/conditionalaccesspolicy>.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::{Capability, Graph, GraphError, Next, Walk, page};
use crate::facts::AuthContext;

/// A context as the tenant's administrators have defined it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextClass {
    /// Which.
    pub context: AuthContext,
    /// Its name, for display.
    pub name: String,
    /// Whether it is published to apps.
    pub available: bool,
}

impl Graph {
    /// Every context that is defined in the tenant.
    ///
    /// # Errors
    /// See [`GraphError`]; also [`GraphError::Malformed`] when an entry cannot be read.
    pub async fn auth_contexts(&self) -> Result<Vec<ContextClass>, GraphError> {
        self.whole(CONTEXTS, Capability::ReadAuthContexts, |text| {
            let raw = serde_json::from_str::<RawContext>(text).ok()?;
            let context = AuthContext::parse(&raw.id)?;
            Some(ContextClass { context, name: raw.display_name.unwrap_or_default(), available: raw.is_available? })
        })
        .await
    }

    /// The contexts that at least one enabled policy targets. Whom such a policy covers and what it asks is not looked
    /// at; a policy that only reports is none.
    ///
    /// # Errors
    /// See [`GraphError`]; also [`GraphError::Malformed`] when an entry cannot be read.
    pub async fn contexts_with_policy(&self) -> Result<BTreeSet<AuthContext>, GraphError> {
        let policies = self.whole(POLICIES, Capability::ReadPolicies, |text| {
            let raw = serde_json::from_str::<RawPolicy>(text).ok()?;
            let named = raw.conditions.applications.contexts.unwrap_or_default();
            Some(if raw.state == "enabled" { named } else { Vec::new() })
        });
        Ok(policies.await?.iter().flatten().filter_map(|id| AuthContext::parse(id)).collect())
    }

    /// A collection whole; an entry that cannot be read makes it unknown.
    async fn whole<T>(
        &self,
        path: &str,
        needs: Capability,
        item: impl Fn(&str) -> Option<T>,
    ) -> Result<Vec<T>, GraphError> {
        let (mut url, mut found, mut walk) = (self.at(path)?, Vec::new(), Walk::new(MAX_PAGES));
        loop {
            let answer = self.get(&url, needs).await?;
            let page = page::read(&self.root, &answer.body, |text| item(text).map(|value| (value, 0)))?;
            if !page.is_complete() {
                return Err(GraphError::Malformed);
            }
            found.extend(page.items);
            match page.next {
                Next::More(link) => {
                    walk.follow(&link)?;
                    url = link.0;
                }
                Next::Delta(_) | Next::End => return Ok(found),
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawContext {
    id: String,
    display_name: Option<String>,
    is_available: Option<bool>,
}

#[derive(Deserialize)]
struct RawPolicy {
    state: String,
    conditions: RawConditions,
}

#[derive(Deserialize)]
struct RawConditions {
    applications: RawApplications,
}

#[derive(Deserialize)]
struct RawApplications {
    #[serde(rename = "includeAuthenticationContextClassReferences")]
    contexts: Option<Vec<String>>,
}

const CONTEXTS: &str = "identity/conditionalAccess/authenticationContextClassReferences";
const POLICIES: &str = "identity/conditionalAccess/policies?$select=id,state,conditions";
/// A tenant has at most 99 contexts and 240 policies; both fit a few pages.
const MAX_PAGES: usize = 50;
