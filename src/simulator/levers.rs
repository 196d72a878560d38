//! What a test or the control API can move while the simulator runs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::SimulatorError;
use super::faults::{Endpoint, Fault, Hostile};
use super::keys::{KeyDocument, fresh_key};
use super::state::State;
use super::world::{ContextPolicy, Person, World};

/// The people and apps of a running simulator. `who` is an oid, a UPN, or the part of a UPN before the `@`; the first
/// account found counts.
#[derive(Clone)]
pub struct WorldHandle {
    state: Arc<State>,
}

impl WorldHandle {
    pub(super) const fn new(state: Arc<State>) -> Self {
        Self { state }
    }

    /// The world as it is now.
    #[must_use]
    pub fn snapshot(&self) -> World {
        self.state.world().clone()
    }

    /// The account as it is now.
    #[must_use]
    pub fn person(&self, who: &str) -> Option<Person> {
        self.state.world().find(who).map(|(_, person)| person.clone())
    }

    /// Changes anything at once, for what has no lever of its own.
    pub fn change<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        change(&mut self.state.world())
    }

    /// Changes one account.
    ///
    /// # Errors
    /// When there is no such person.
    pub fn change_person(&self, who: &str, change: impl FnOnce(&mut Person)) -> Result<(), SimulatorError> {
        let mut world = self.state.world();
        let person = world.find_mut(who).ok_or_else(|| SimulatorError::UnknownPerson(who.to_owned()))?;
        change(person);
        Ok(())
    }

    /// Disables or enables an account.
    ///
    /// # Errors
    /// When there is no such person.
    pub fn set_disabled(&self, who: &str, disabled: bool) -> Result<(), SimulatorError> {
        self.change_person(who, |p| p.enabled = !disabled)
    }

    /// Deletes or restores an account.
    ///
    /// # Errors
    /// When there is no such person.
    pub fn set_deleted(&self, who: &str, deleted: bool) -> Result<(), SimulatorError> {
        self.change_person(who, |p| p.deleted = deleted)
    }

    /// Revokes every session and refresh token issued so far (50173).
    ///
    /// # Errors
    /// When there is no such person.
    pub fn revoke_sessions(&self, who: &str) -> Result<(), SimulatorError> {
        let now = self.state.now();
        self.change_person(who, |p| p.sessions_valid_from = now.0)
    }

    /// Asks for a second factor at every app (50076).
    ///
    /// # Errors
    /// When there is no such person.
    pub fn require_mfa(&self, who: &str, required: bool) -> Result<(), SimulatorError> {
        self.change_person(who, |p| p.requires_mfa = required)
    }

    /// Makes the second factor fail (500121), or succeed again.
    ///
    /// # Errors
    /// When there is no such person.
    pub fn fail_mfa(&self, who: &str, fails: bool) -> Result<(), SimulatorError> {
        self.change_person(who, |p| p.fails_mfa = fails)
    }

    /// Blocks by Conditional Access (53003).
    ///
    /// # Errors
    /// When there is no such person.
    pub fn block_by_policy(&self, who: &str, blocked: bool) -> Result<(), SimulatorError> {
        self.change_person(who, |p| p.blocked_by_policy = blocked)
    }

    /// Changes the password. Browser sessions end; refresh tokens of confidential clients live on (section 1.5).
    ///
    /// # Errors
    /// When there is no such person.
    pub fn set_password(&self, who: &str, password: &str) -> Result<(), SimulatorError> {
        let now = self.state.now();
        self.change_person(who, |p| {
            password.clone_into(&mut p.password);
            p.password_changed_at = now.0;
        })
    }

    /// Makes an account a guest of this home provider, or a member again.
    ///
    /// # Errors
    /// When there is no such person.
    pub fn set_guest(&self, who: &str, home: Option<&str>) -> Result<(), SimulatorError> {
        self.change_person(who, |p| p.guest_of = home.map(str::to_owned))
    }

    /// Sets the groups an account is in.
    ///
    /// # Errors
    /// When there is no such person.
    pub fn set_groups(&self, who: &str, groups: &[&str]) -> Result<(), SimulatorError> {
        self.change_person(who, |p| p.groups = groups.iter().map(|g| (*g).to_owned()).collect())
    }

    /// Assigns an account to an app or takes the assignment away (50105).
    ///
    /// # Errors
    /// When there is no such person or app.
    pub fn set_assigned(&self, who: &str, client_id: &str, assigned: bool) -> Result<(), SimulatorError> {
        let mut world = self.state.world();
        let (tid, oid) = world
            .find(who)
            .map(|(tenant, person)| (tenant.id.clone(), person.oid.clone()))
            .ok_or_else(|| SimulatorError::UnknownPerson(who.to_owned()))?;
        let principal = world.app_mut(client_id).and_then(|app| app.principals.get_mut(&tid));
        let principal = principal.ok_or_else(|| SimulatorError::UnknownApp(client_id.to_owned()))?;
        if assigned {
            principal.unassigned.remove(&oid);
        } else {
            principal.unassigned.insert(oid);
        }
        Ok(())
    }

    /// Sets the policy behind an auth context (`c1` to `c99`).
    ///
    /// # Errors
    /// When there is no such tenant.
    pub fn set_context_policy(&self, tid: &str, context: &str, policy: ContextPolicy) -> Result<(), SimulatorError> {
        let mut world = self.state.world();
        let tenant = world.tenant_mut(tid).ok_or_else(|| SimulatorError::UnknownTenant(tid.to_owned()))?;
        tenant.auth_contexts.insert(context.to_owned(), policy);
        Ok(())
    }
}

/// Keys, clock, faults and counters of a running simulator.
#[derive(Clone)]
pub struct Levers {
    state: Arc<State>,
}

impl Levers {
    pub(super) const fn new(state: Arc<State>) -> Self {
        Self { state }
    }

    /// Signs with a new key from now on and returns its id. Old keys stay published.
    ///
    /// # Errors
    /// When no key can be made.
    pub async fn rotate_keys(&self) -> Result<String, SimulatorError> {
        let fresh = tokio::task::spawn_blocking(fresh_key).await.map_err(|_| SimulatorError::Key)??;
        Ok(self.state.keys().rotate(fresh))
    }

    /// Takes a key out of the document at once. False when there is none of that id.
    #[must_use]
    pub fn remove_key(&self, kid: &str) -> bool {
        self.state.keys().remove(kid)
    }

    /// The published key ids; the first one for tenants signs.
    #[must_use]
    pub fn key_ids(&self) -> Vec<String> {
        self.state.keys().ids()
    }

    /// Sets how the key document is served.
    pub fn serve_keys(&self, mode: KeyDocument) {
        self.state.keys().serve(mode);
    }

    /// Makes every answer of `endpoint` late, by at most ten minutes; zero ends it.
    pub fn delay(&self, endpoint: Endpoint, by: Duration) {
        self.state.faults().delay(endpoint, by);
    }

    /// Makes the next `times` calls of `endpoint` fail.
    pub fn fail(&self, endpoint: Endpoint, fault: Fault, times: u32) {
        self.state.faults().fail(endpoint, fault, times);
    }

    /// Makes the next `times` token responses wrong.
    pub fn hostile(&self, mode: Hostile, times: u32) {
        self.state.faults().order_hostile(mode, times);
    }

    /// Ends delays, failures and hostile modes.
    pub fn clear_faults(&self) {
        self.state.faults().clear();
    }

    /// Sets how many seconds the clock is ahead (or, negative, behind).
    pub fn skew_clock(&self, seconds: i64) {
        self.state.clock.skew(seconds);
    }

    /// Whether authorization responses carry `iss` (off, as at Entra).
    pub fn send_iss_parameter(&self, on: bool) {
        self.state.iss_parameter.store(on, Ordering::SeqCst);
    }

    /// Whether front-channel logout carries `iss` (off).
    pub fn send_frontchannel_iss(&self, on: bool) {
        self.state.frontchannel_iss.store(on, Ordering::SeqCst);
    }

    /// How often `endpoint` was called.
    #[must_use]
    pub fn calls(&self, endpoint: Endpoint) -> u64 {
        self.counters().get(endpoint.name()).copied().unwrap_or(0)
    }

    /// All counters by name; besides the endpoints there is `token.<grant type>`.
    #[must_use]
    pub fn counters(&self) -> BTreeMap<String, u64> {
        self.state.faults().counters()
    }

    /// Sets all counters to nothing.
    pub fn reset_counters(&self) {
        self.state.faults().reset_counters();
    }
}
