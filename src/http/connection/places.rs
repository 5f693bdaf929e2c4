//! Places for connections: how many a worker has, and who gives way when they run out.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

use super::descriptors::Share;
use super::state::{CHECK_INTERVAL, CloseReason, Connection};
use crate::http::lifecycle::Lifecycle;
use crate::http::site::Site;
use crate::metric;

/// The part of a worker's places that one site may take, this machine excepted: a proxy on it stands for many.
const SITE_PART: usize = 4;

/// The least time between two lines in the log about places that ran out.
const SAY_INTERVAL: Duration = Duration::from_secs(10);

/// The connections of one worker.
///
/// When there is no place for one more, it gets that of a connection that has no request under way: of the site with most of
/// those, the one nearest to its timeout. Where all have requests under way, it is in the reserve, where only health
/// and this machine are served.
#[derive(Debug)]
pub(in crate::http) struct Connections {
    share: Share,
    open: RefCell<Vec<Weak<Connection>>>,
    sites: RefCell<HashMap<Site, Weak<SiteUse>>>,
    taken: Rc<Cell<usize>>,
    /// Since the last line in the log, and when that was.
    gave_way: Cell<u64>,
    said_at: Cell<Option<Instant>>,
}

/// What a site has of a worker's places.
#[derive(Debug)]
pub(super) struct SiteUse {
    site: Site,
    taken: Cell<usize>,
    /// Of its connections, those without a request under way, when they were last counted.
    waiting: Cell<usize>,
}

/// A connection's place, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    taken: Rc<Cell<usize>>,
    of_site: Rc<SiteUse>,
}

impl Place {
    fn take(taken: &Rc<Cell<usize>>, of_site: &Rc<SiteUse>) -> Self {
        taken.update(|count| count + 1);
        of_site.taken.update(|count| count + 1);
        Self {
            taken: Rc::clone(taken),
            of_site: Rc::clone(of_site),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.taken.update(|count| count - 1);
        self.of_site.taken.update(|count| count - 1);
    }
}

impl Connections {
    pub(in crate::http) fn new(share: Share) -> Self {
        Self {
            share,
            open: RefCell::default(),
            sites: RefCell::default(),
            taken: Rc::default(),
            gave_way: Cell::default(),
            said_at: Cell::default(),
        }
    }

    /// A connection of `site`, in a place of its own or in the reserve; none where its site has too many, all at work.
    pub(super) fn enter(&self, site: Site) -> Option<Rc<Connection>> {
        let of_site = self.site(site);
        let has_its_part = || !site.is_this_machine() && of_site.taken.get() >= self.of_one_site();
        if has_its_part() {
            self.shed(Some(&of_site));
        }
        if has_its_part() {
            metric::http_connections_cut(CloseReason::SiteLimit.label()).increment(1);
            self.gave_way.update(|count| count + 1);
            return None;
        }
        let is_full = || self.taken.get() >= self.share.places;
        if is_full() {
            self.shed(None);
        }
        // Full still, where all are at work, or who gave way was in the reserve itself.
        let place = (!is_full()).then(|| Place::take(&self.taken, &of_site));
        let connection = Rc::new(Connection::new(of_site, place));
        self.open.borrow_mut().push(Rc::downgrade(&connection));
        Some(connection)
    }

    fn of_one_site(&self) -> usize {
        self.share.places.div_ceil(SITE_PART)
    }

    fn site(&self, site: Site) -> Rc<SiteUse> {
        let mut sites = self.sites.borrow_mut();
        if let Some(found) = sites.get(&site).and_then(Weak::upgrade) {
            return found;
        }
        let new = Rc::new(SiteUse {
            site,
            taken: Cell::default(),
            waiting: Cell::default(),
        });
        sites.insert(site, Rc::downgrade(&new));
        new
    }

    /// Closes a connection without a request under way, if there is one; of this site if one is given.
    fn shed(&self, of: Option<&Rc<SiteUse>>) {
        let open = self.open.borrow();
        let waiting = || {
            let open = open.iter().filter_map(Weak::upgrade);
            open.filter(|connection| connection.is_waiting())
        };
        for connection in waiting() {
            connection.of_site.waiting.set(0);
        }
        for connection in waiting() {
            connection.of_site.waiting.update(|count| count + 1);
        }
        let may = waiting().filter(|found| of.is_none_or(|site| Rc::ptr_eq(site, &found.of_site)));
        let shed = may.max_by_key(|found| (found.of_site.waiting.get(), found.waited_permille()));
        if let Some(shed) = shed {
            self.gave_way.update(|count| count + 1);
            shed.close(CloseReason::Shed);
        }
    }

    /// Checks their timeouts, until the worker's runtime ends.
    pub(in crate::http) async fn check_timeouts(self: Rc<Self>, lifecycle: Lifecycle) {
        let mut ticks = interval(CHECK_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let now = ticks.tick().await;
            let phase = lifecycle.phase();
            self.open.borrow_mut().retain(|connection| {
                let connection = connection.upgrade();
                connection
                    .inspect(|connection| connection.check_timeout(now, phase))
                    .is_some()
            });
            self.say(now);
            self.sites.borrow_mut().retain(|_, site| site.strong_count() > 0);
        }
    }

    /// Says that places ran out, now and then while they do.
    fn say(&self, now: Instant) {
        let is_early = self.said_at.get().is_some_and(|at| now - at < SAY_INTERVAL);
        if is_early || self.gave_way.get() == 0 {
            return;
        }
        self.said_at.set(Some(now));
        let sites = self.sites.borrow();
        let sites = sites.values().filter_map(Weak::upgrade);
        if let Some(busiest) = sites.max_by_key(|site| site.taken.get()) {
            let (site, its) = (busiest.site, busiest.taken.get());
            let (closed, places) = (self.gave_way.take(), self.share.places);
            tracing::warn!(closed, places, %site, its, "connections without a request gave way to new ones");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::super::state::InFlightRequest;
    use super::*;

    const PLACES: usize = 16;

    fn connections() -> Connections {
        Connections::new(Share {
            places: PLACES,
            reserve: 2,
        })
    }

    fn site(number: u8) -> Site {
        Site::of(IpAddr::from([192, 0, 2, number]))
    }

    fn entered(connections: &Connections, number: u8) -> Rc<Connection> {
        connections.enter(site(number)).expect("a place or the reserve")
    }

    fn is_shed(connection: &Connection) -> bool {
        connection.close_reason() == Some(CloseReason::Shed)
    }

    #[tokio::test(start_paused = true)]
    async fn a_site_over_its_part_gives_way_to_itself() {
        let connections = connections();
        let other = entered(&connections, 9);
        let mut own = Vec::new();
        for _ in 0..PLACES / SITE_PART {
            own.push(entered(&connections, 1));
            tokio::time::advance(Duration::from_millis(10)).await;
        }
        let busy = InFlightRequest::begin(&own[0]);
        let newest = entered(&connections, 1);
        assert!(is_shed(&own[1]), "the oldest without a request");
        assert!(
            !own.iter()
                .skip(2)
                .chain([&own[0], &other, &newest])
                .any(|one| is_shed(one))
        );
        let busy: Vec<_> = own
            .iter()
            .skip(2)
            .chain([&newest])
            .map(InFlightRequest::begin)
            .chain([busy])
            .collect();
        assert!(connections.enter(site(1)).is_none(), "all are at work");
        drop(busy);
        entered(&connections, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn the_busiest_site_gives_way_and_none_whose_request_is_under_way() {
        let connections = connections();
        let kept = |number: u8, count: usize| -> Vec<_> {
            (0..count).map(|_| entered(&connections, number)).collect()
        };
        let machine: Vec<_> = (0..PLACES - 5)
            .map(|_| connections.enter(Site::of(IpAddr::from([127, 0, 0, 1]))).unwrap())
            .collect();
        let (few, more) = (kept(1, 2), kept(2, 3));
        let busy: Vec<_> = machine.iter().map(InFlightRequest::begin).collect();
        let newcomer = entered(&connections, 3);
        let shed = |connections: &[Rc<Connection>]| connections.iter().filter(|one| is_shed(one)).count();
        assert_eq!((shed(&machine), shed(&few), shed(&more)), (0, 0, 1));
        assert!(!newcomer.in_reserve());
        let _at_work: Vec<_> = few
            .iter()
            .chain(&more)
            .chain([&newcomer])
            .map(InFlightRequest::begin)
            .collect();
        let reserved = entered(&connections, 4);
        assert!(reserved.in_reserve());
        assert!(entered(&connections, 5).in_reserve());
        assert!(is_shed(&reserved), "one in the reserve gives way as others do");
        drop(busy);
        assert!(!entered(&connections, 4).in_reserve());
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_is_free_once_its_connection_is_closed_or_gone() {
        let connections = connections();
        let one = entered(&connections, 1);
        let two = entered(&connections, 1);
        one.close(CloseReason::Idle);
        assert_eq!(connections.taken.get(), 1);
        drop((one, two));
        assert_eq!(connections.taken.get(), 0);
    }
}
