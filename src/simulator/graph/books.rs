//! What Graph remembers between calls: the links it handed out, the shared quota of the risk API, ordered faults.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde_json::Value;

use super::delta::{Snapshot, Track};
use super::faults::GraphFault;
use super::query::Query;
use crate::simulator::random;
use crate::simulator::shelf::Shelf;
use crate::simulator::time::Moment;

/// Where a link goes on.
#[derive(Debug, Clone)]
pub(super) enum Link {
    /// A further page of a plain collection.
    Page { query: Query, at: u64 },
    /// A further page of a first synchronisation; `since` is the state its changes are counted from.
    First { track: Track, since: Arc<Snapshot>, at: u64, member: usize },
    /// The rest of an incremental answer.
    Rest { track: Track, since: Arc<Snapshot>, items: Arc<Vec<Value>>, at: usize },
    /// The changes since a moment.
    Delta { track: Track, since: Arc<Snapshot>, issued: Moment },
}

struct Handed {
    tid: String,
    path: String,
    link: Link,
}

/// Everything but the world.
pub(in crate::simulator) struct Books {
    links: Shelf<Handed>,
    /// What each tenant's directory looked like when a link last needed it.
    looks: BTreeMap<String, Arc<Snapshot>>,
    /// What happens to how many further calls; `true` for those that change something.
    faults: VecDeque<(GraphFault, u32, bool)>,
    /// The last second in which a tenant's quota was used.
    used: BTreeMap<String, u64>,
    /// How many of sixty seconds other apps use the risk quota up in.
    pub(in crate::simulator) neighbour: u64,
    /// Whether the risk quota is enforced.
    pub(in crate::simulator) limits_risk: bool,
    /// The largest page anybody gets, for tests of paging.
    pub(in crate::simulator) page_size: Option<usize>,
    /// How many empty pages come before the next synchronisations.
    pub(in crate::simulator) empty_pages: u32,
    /// How long an administrator's risk action takes to show.
    pub(in crate::simulator) processing_seconds: u64,
    /// How many delta links are answered with 410 and a `Location` (reference section 5.1, reset case 2).
    pub(in crate::simulator) resets: u32,
}

impl Default for Books {
    fn default() -> Self {
        Self {
            links: Shelf::new(MAX_LINKS),
            looks: BTreeMap::new(),
            faults: VecDeque::new(),
            used: BTreeMap::new(),
            neighbour: 0,
            limits_risk: true,
            page_size: None,
            empty_pages: 0,
            processing_seconds: 2,
            resets: 0,
        }
    }
}

impl Books {
    /// Writes a link down and returns its opaque token.
    pub(super) fn hand_out(&mut self, tid: &str, path: &str, link: Link) -> String {
        let token = random::opaque::<24>();
        self.links.put(token.clone(), Handed { tid: tid.to_owned(), path: path.to_owned(), link });
        token
    }

    /// The link behind a token, for the tenant and path it was made for.
    pub(super) fn link(&self, tid: &str, path: &str, token: &str) -> Option<Link> {
        self.links.look(token).filter(|known| known.tid == tid && known.path == path).map(|known| known.link.clone())
    }

    /// The same look for every link between two changes, so that polling takes no memory.
    pub(super) fn share(&mut self, tid: &str, fresh: Snapshot) -> Arc<Snapshot> {
        if let Some(known) = self.looks.get(tid).filter(|known| ***known == fresh) {
            return Arc::clone(known);
        }
        let fresh = Arc::new(fresh);
        self.looks.insert(tid.to_owned(), Arc::clone(&fresh));
        fresh
    }

    /// Makes the next `times` Graph calls fail, after those already ordered; with `changes` those that change something.
    pub(in crate::simulator) fn order(&mut self, fault: GraphFault, times: u32, changes: bool) {
        if times > 0 && self.faults.len() < MAX_ORDERS {
            self.faults.push_back((fault, times, changes));
        }
    }

    /// Ends every ordered fault.
    pub(in crate::simulator) fn clear_faults(&mut self) {
        self.faults.clear();
        self.resets = 0;
        self.empty_pages = 0;
    }

    /// The fault of this call, used up by asking. `change` tells whether it changes something.
    pub(super) fn next_fault(&mut self, change: bool) -> Option<GraphFault> {
        let (fault, left, changes) = self.faults.front_mut()?;
        if *changes && !change {
            return None;
        }
        let fault = *fault;
        *left -= 1;
        if *left == 0 {
            self.faults.pop_front();
        }
        Some(fault)
    }

    /// Whether this delta link meets a reset of the service.
    pub(super) fn take_reset(&mut self) -> bool {
        let is_on = self.resets > 0;
        self.resets = self.resets.saturating_sub(1);
        is_on
    }

    /// Whether an empty page comes first.
    pub(super) fn take_empty_page(&mut self) -> bool {
        let is_on = self.empty_pages > 0;
        self.empty_pages = self.empty_pages.saturating_sub(1);
        is_on
    }

    /// Takes one request of the tenant's quota: one a second, shared by all apps (reference section 4.3). The
    /// neighbour's seconds are spread evenly over the minute.
    pub(super) fn take_quota(&mut self, tid: &str, now: Moment) -> bool {
        let second = now.seconds();
        let share = self.neighbour.min(60);
        let is_neighbours = (second % 60 + 1) * share / 60 != (second % 60) * share / 60;
        if !self.limits_risk {
            return true;
        }
        if is_neighbours || self.used.get(tid) == Some(&second) {
            return false;
        }
        self.used.insert(tid.to_owned(), second);
        true
    }
}

/// A full synchronisation of the largest crowd has 5,000 pages; each forgets one older link.
const MAX_LINKS: usize = 2_000;
const MAX_ORDERS: usize = 256;
