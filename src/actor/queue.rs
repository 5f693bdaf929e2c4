//! Who waits for a permit, and whose turn it is.
//!
//! Turns are by client: the next permit is for the one that has fewest, of those with as many for the one whose latest turn is longest
//! ago. The gateway's own work comes before that of all clients. A client alone has everything.

use std::collections::{HashMap, VecDeque};

use tokio::sync::oneshot;

use super::bulkhead::Permit;
use super::client::ClientId;

/// Whom work is for; nobody for the gateway's own.
pub(super) type For = Option<ClientId>;

/// What is in flight and what waits, by client.
#[derive(Debug, Default)]
pub(super) struct Queue {
    clients: HashMap<For, Share>,
    waiting: usize,
    /// The number of the next one who waits, and of the next turn.
    next: u64,
    next_turn: u64,
}

#[derive(Debug, Default)]
struct Share {
    in_flight: usize,
    waiting: VecDeque<Waiter>,
    /// The number of its latest turn.
    turn: u64,
}

#[derive(Debug)]
struct Waiter {
    number: u64,
    turn: oneshot::Sender<Permit>,
}

/// A place in the queue.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) of: For,
    number: u64,
    /// The permit when it is its turn; closed when its place was given to another.
    pub(super) turn: oneshot::Receiver<Permit>,
}

impl Queue {
    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// How many permits a client has.
    pub(super) fn in_flight(&self, of: &For) -> usize {
        self.clients.get(of).map_or(0, |share| share.in_flight)
    }

    /// A permit was given out.
    pub(super) fn begin(&mut self, of: For) {
        self.clients.entry(of).or_default().in_flight += 1;
    }

    /// One came back.
    pub(super) fn end(&mut self, of: &For) {
        if let Some(share) = self.clients.get_mut(of) {
            share.in_flight -= 1;
        }
        self.forget(of);
    }

    /// A place at the end of the client's queue.
    pub(super) fn enter(&mut self, of: For) -> Place {
        let (waiter, turn) = oneshot::channel();
        let number = self.next;
        self.next += 1;
        self.waiting += 1;
        let share = self.clients.entry(of.clone()).or_default();
        share.waiting.push_back(Waiter { number, turn: waiter });
        Place { of, number, turn }
    }

    /// Gives up a place, unless it was taken away before.
    pub(super) fn leave(&mut self, place: &Place) {
        if let Some(share) = self.clients.get_mut(&place.of)
            && let Ok(at) = share
                .waiting
                .binary_search_by_key(&place.number, |waiter| waiter.number)
        {
            share.waiting.remove(at);
            self.waiting -= 1;
        }
        self.forget(&place.of);
    }

    /// Takes the last place of the client with most of them, if it has more than this one: who waits there is refused.
    pub(super) fn make_room(&mut self, of: &For) -> bool {
        let own = match of {
            None => 0,
            of => self.clients.get(of).map_or(0, |share| share.waiting.len()),
        };
        let clients = self.clients.iter_mut().filter(|(of, _)| of.is_some());
        let most = clients.max_by_key(|(_, share)| share.waiting.len());
        match most {
            Some((_, share)) if share.waiting.len() > own => {
                share.waiting.pop_back();
                self.waiting -= 1;
                true
            }
            Some(_) | None => false,
        }
    }

    /// Whose turn it is, of those that may have one more than `at_most`.
    pub(super) fn next(&mut self, at_most: usize) -> Option<(For, oneshot::Sender<Permit>)> {
        let waiting = self
            .clients
            .iter_mut()
            .filter(|(_, share)| share.in_flight < at_most);
        let waiting = waiting.filter_map(|(of, share)| {
            let first = share.waiting.front()?.number;
            Some(((of.is_some(), share.in_flight, share.turn, first), of, share))
        });
        let (_, of, share) = waiting.min_by_key(|(rank, ..)| *rank)?;
        let waiter = share.waiting.pop_front()?;
        self.next_turn += 1;
        share.turn = self.next_turn;
        share.in_flight += 1;
        self.waiting -= 1;
        Some((of.clone(), waiter.turn))
    }

    /// Refuses everybody.
    pub(super) fn clear(&mut self) {
        self.waiting = 0;
        self.clients.values_mut().for_each(|share| share.waiting.clear());
        self.clients.retain(|_, share| share.in_flight > 0);
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.clients.is_empty()
    }

    fn forget(&mut self, of: &For) {
        let is_idle = |share: &Share| share.in_flight == 0 && share.waiting.is_empty();
        if self.clients.get(of).is_some_and(is_idle) {
            self.clients.remove(of);
        }
    }
}
