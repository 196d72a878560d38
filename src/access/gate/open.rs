//! Every yes of one worker that is still in use, so that it can be taken back when the facts change.
//!
//! A request costs two short locks that only this worker and, when something changed, the reviewer take; places and
//! their signals are used again, so that nothing is allocated per request.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::Method;

use super::Person;
use crate::access::stream::AppBook;
use crate::cut::{Cut, CutReason};
use crate::telemetry::RequestId;

/// What one yes stands on, kept for as long as it is in use.
pub(in crate::access) struct Flight {
    pub(in crate::access) request: RequestId,
    pub(in crate::access) person: Option<Arc<Person>>,
    pub(in crate::access) book: Arc<AppBook>,
    pub(in crate::access) method: Method,
    /// Shared with the line of the decision log, so that it is copied once.
    pub(in crate::access) path: Arc<str>,
    pub(in crate::access) client: IpAddr,
}

/// One worker's open yeses.
#[derive(Default)]
pub struct OpenBook {
    places: Mutex<Places>,
    /// A yes of an earlier generation came in after that generation had been looked through.
    late: AtomicBool,
}

#[derive(Default)]
struct Places {
    all: Vec<Place>,
    free: Vec<usize>,
}

struct Place {
    flight: Option<Flight>,
    cut: Cut,
}

/// A place in the book; leaving is dropping it.
pub(in crate::access) struct Entry {
    book: Arc<OpenBook>,
    at: usize,
}

impl OpenBook {
    /// Writes `flight` down and gives out its own signal, which is raised with `above` too.
    pub(super) fn enter(self: &Arc<Self>, flight: Flight, above: &Cut) -> (Entry, Cut) {
        let mut places = self.locked();
        let at = places.free.pop().unwrap_or(places.all.len());
        let cut = if let Some(place) = places.all.get_mut(at) {
            place.cut = place.cut.renewed(above);
            place.flight = Some(flight);
            place.cut.clone()
        } else {
            let cut = Cut::under(above);
            places.all.push(Place { flight: Some(flight), cut: cut.clone() });
            cut
        };
        (Entry { book: Arc::clone(self), at }, cut)
    }

    /// Notes that a yes was entered by rules that are no longer those in place.
    pub(super) fn came_late(&self) {
        self.late.store(true, Ordering::Release);
    }

    /// Whether one was entered so since the last call; it has to be looked at.
    pub(in crate::access) fn take_late(&self) -> bool {
        self.late.load(Ordering::Relaxed) && self.late.swap(false, Ordering::AcqRel)
    }

    /// Looks at every open yes and takes back those for which `judge` gives a reason. What `judge` takes note of it
    /// keeps itself; it must be quick, because the worker's next request waits for at most [`STEP`] calls of it.
    pub(in crate::access) fn review(&self, mut judge: impl FnMut(&Flight) -> Option<CutReason>) {
        let mut from = 0;
        loop {
            let places = self.locked();
            let mut seen = 0;
            for place in places.all.iter().skip(from).take(STEP) {
                seen += 1;
                // What has been taken back stays here until its stream is gone, which a slow client can put off.
                if place.cut.is_raised() {
                    continue;
                }
                if let Some(reason) = place.flight.as_ref().and_then(&mut judge) {
                    place.cut.raise(reason);
                }
            }
            drop(places);
            if seen < STEP {
                return;
            }
            from += seen;
        }
    }

    /// How many are open.
    #[must_use]
    pub fn len(&self) -> usize {
        let places = self.locked();
        places.all.len() - places.free.len()
    }

    /// Whether none is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn locked(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let left = {
            let mut places = self.book.locked();
            places.free.push(self.at);
            places.all.get_mut(self.at).and_then(|place| place.flight.take())
        };
        // Outside the lock: it may be the last handle of a person.
        drop(left);
    }
}

/// Yeses looked at under one lock.
const STEP: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::AuditLog;
    use crate::facts::SystemClock;
    use crate::telemetry::RequestIds;

    fn flight() -> Flight {
        let book = AppBook {
            name: "wiki".into(),
            host: "wiki.test".into(),
            app: Arc::default(),
            worker: Arc::default(),
            audit: AuditLog::off(),
            clock: Arc::new(SystemClock::new()),
        };
        Flight {
            request: RequestIds::new().unwrap().next(),
            person: None,
            book: Arc::new(book),
            method: Method::GET,
            path: "/x".into(),
            client: std::net::Ipv4Addr::LOCALHOST.into(),
        }
    }

    #[test]
    fn a_place_is_used_again_and_its_old_signal_stays_quiet() {
        let (book, above) = (Arc::new(OpenBook::default()), Cut::new());
        let (first, old) = book.enter(flight(), &above);
        drop(first);
        assert!(book.is_empty());
        let (_second, new) = book.enter(flight(), &above);
        assert_eq!(book.locked().all.len(), 1);
        book.review(|_| Some(CutReason::VerdictChanged));
        assert_eq!((old.reason(), new.reason()), (None, Some(CutReason::VerdictChanged)));
        assert!(!above.is_raised());
    }

    #[test]
    fn a_yes_that_came_late_asks_for_one_more_look() {
        let book = OpenBook::default();
        assert!(!book.take_late());
        book.came_late();
        assert!(book.take_late() && !book.take_late());
    }

    #[test]
    fn a_review_sees_everything_open_once_and_nothing_that_left() {
        let (book, above) = (Arc::new(OpenBook::default()), Cut::new());
        let mut open: Vec<_> = (0..3 * STEP + 7).map(|_| book.enter(flight(), &above)).collect();
        open.truncate(2 * STEP);
        let mut seen = 0;
        book.review(|_| {
            seen += 1;
            (seen % 2 == 0).then_some(CutReason::VerdictChanged)
        });
        assert_eq!((seen, book.len()), (2 * STEP, 2 * STEP));
        assert_eq!(open.iter().filter(|(_, cut)| cut.is_raised()).count(), STEP);
        let mut again = 0;
        book.review(|_| {
            again += 1;
            Some(CutReason::VerdictChanged)
        });
        assert_eq!(again, STEP, "what has been taken back is not judged and noted again");
    }
}
