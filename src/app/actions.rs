//! Account actions, put together: who acts at Microsoft, and what the rules of the running generation want.

use std::sync::Arc;

use super::Base;
use crate::access::World;
use crate::config::Config;
use crate::generation::Generation;
use crate::risk_control::{Accounts, Actions, GraphHands, Parts, wanted_by};
use crate::store::StoreError;

/// Opens the tasks. Rules are those of whatever generation runs when they are asked.
pub(super) fn open(base: &Base, config: &Config, world: &Arc<Generation<World>>) -> Result<Actions, StoreError> {
    let (clock, world, sync) = (Arc::clone(&base.clock), Arc::clone(world), base.sync.clone());
    Actions::open(Parts {
        settings: config.actions.clone(),
        tenants: config.entra.tenants.clone(),
        store: base.store.clone(),
        keyring: Arc::clone(&base.keyring),
        sessions: base.sessions.clone(),
        directory: base.directory.clone(),
        hands: Arc::new(GraphHands::new(Box::new(move |tenant| sync.graph(tenant)))),
        judge: Arc::new(move |user, standing, feed| {
            wanted_by(&world.current().policy, user, standing, feed, clock.now())
        }),
        audit: base.audit.clone(),
        metrics: Arc::clone(&base.metrics),
        clock: Arc::clone(&base.clock),
    })
}

/// Watches the directory for the sessions' sake.
pub(super) fn accounts(base: &Base) -> Accounts {
    let (sessions, directory) = (base.sessions.clone(), base.directory.clone());
    Accounts::new(sessions, directory, base.audit.clone(), Arc::clone(&base.metrics))
}
