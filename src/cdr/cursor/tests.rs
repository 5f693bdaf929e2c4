//! The invariant, on random histories: legs that appear in any order and change, clients of every habit, replies that
//! are lost, stores that are closed and opened again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fastrand::Rng;

use super::super::messages::SearchAfterCallId;
use super::super::reading::{Reading, Sizes};
use super::super::store::tests::{Database, call_id, leg_id, leg_of_call};
use super::super::store::{Batch, CdrStore, LegacyRow, Position, open_store};
use super::*;
use crate::actor::ClientId;
use crate::cdr::ids::floor_id;

/// Small, so that replies leave legs for later, and have many pages.
const SIZES: Sizes = Sizes {
    page: 10,
    window: 30,
    late: 7,
};
const CALLS: i64 = 60;

/// Which id a client sends next.
#[derive(Debug, Clone, Copy)]
enum Habit {
    Greatest,
    GreatestOfLatestReply,
    LastRow,
}

/// Legs are numbered by when they began, then by their call: later legs may be of earlier calls.
fn call_of(leg: i64) -> i64 {
    leg % 1_000 / 4
}

#[derive(Debug)]
struct Client {
    id: Option<ClientId>,
    habit: Habit,
    /// Whether it takes only the first rows of some replies.
    halves: bool,
    /// What it sends next; none before its first contact.
    call_id: Option<String>,
    has: BTreeSet<Uuid>,
    /// Stored before its first contact, and not after what it began with.
    not_for_it: BTreeSet<Uuid>,
}

impl Client {
    /// One that sends the greatest id and takes whole replies.
    fn new(id: ClientId) -> Self {
        Self {
            id: Some(id),
            habit: Habit::Greatest,
            halves: false,
            call_id: None,
            has: BTreeSet::new(),
            not_for_it: BTreeSet::new(),
        }
    }

    fn take(&mut self, rows: &[LegacyRow]) {
        self.has.extend(rows.iter().map(|row| row.cdr_id));
        let call_id = |row: &LegacyRow| row.call_history_id.to_string();
        let greatest = rows.iter().map(call_id).max();
        let next = match self.habit {
            Habit::Greatest => greatest.max(self.call_id.clone()),
            Habit::GreatestOfLatestReply => greatest,
            Habit::LastRow => rows.last().map(call_id),
        };
        self.call_id = next.or(self.call_id.take());
    }
}

/// A 3CX whose legs are still to be stored, the next one last; and those that are.
struct World {
    rng: Rng,
    database: Database,
    store: Arc<CdrStore>,
    to_come: Vec<(i64, i64)>,
    /// With their calls' ids.
    stored: BTreeMap<Uuid, String>,
    edition: u32,
}

impl World {
    async fn new(seed: u64, database: Database) -> Self {
        let mut rng = Rng::with_seed(seed);
        let mut to_come = Vec::new();
        for call in 0..CALLS {
            for leg in 0..rng.i64(1..4) {
                let late = if rng.u8(0..5) == 0 { rng.i64(0..60) } else { 0 };
                let begun = call + rng.i64(0..3);
                to_come.push((begun + late, begun * 1_000 + call * 4 + leg));
            }
        }
        rng.shuffle(&mut to_come);
        to_come.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        let store = open_store(&database.settings).await.unwrap();
        Self {
            rng,
            database,
            store,
            to_come,
            stored: BTreeMap::new(),
            edition: 0,
        }
    }

    async fn put(&mut self, legs: &[i64]) {
        self.edition += 1;
        let edition = self.edition.to_string();
        let cdrs = legs
            .iter()
            .map(|leg| leg_of_call(*leg, call_of(*leg), &edition))
            .collect();
        let batch = Batch {
            cdrs,
            ..Batch::default()
        };
        self.store.apply("a", batch).await.unwrap();
        let stored = legs
            .iter()
            .map(|leg| (leg_id(*leg), call_id(call_of(*leg)).to_string()));
        self.stored.extend(stored);
    }

    /// A few legs are stored, or change.
    async fn pass(&mut self) {
        let count = self.rng.usize(0..6);
        let rest = self.to_come.len().saturating_sub(count);
        let legs: Vec<i64> = self.to_come.split_off(rest).iter().map(|(_, leg)| *leg).collect();
        self.put(&legs).await;
        if self.rng.u8(0..4) == 0
            && let Some(leg) = legs.first()
        {
            self.put(&[*leg]).await;
        }
        if self.rng.u8(0..20) == 0 {
            self.store = open_store(&self.database.settings).await.unwrap();
        }
    }

    /// A reply, while legs are being stored.
    async fn reply(&mut self, client: &Client, call_id: &str) -> Vec<LegacyRow> {
        let request = SearchAfterCallId {
            pbx: "a".to_owned(),
            call_id: call_id.to_owned(),
            client: client.id.clone(),
        };
        let mut reading = Reading::begin(self.store.clone(), request, SIZES).await.unwrap();
        self.pass().await;
        let mut rows = Vec::new();
        while !reading.ended() {
            rows.extend(reading.page().await.unwrap());
        }
        self.pass().await;
        reading.hand_out().await.unwrap();
        assert!(rows.is_sorted_by_key(|row| row.cdr_id));
        rows
    }

    async fn poll(&mut self, client: &mut Client) {
        let lost = self.rng.u8(0..3) == 0;
        match client.call_id.clone() {
            Some(call_id) => {
                let before = self.stored.clone();
                let mut rows = self.reply(client, &call_id).await;
                if matches!(client.habit, Habit::Greatest) {
                    // Never less than the original answers.
                    let greater = before.iter().filter(|(_, of)| **of > call_id);
                    let answered: BTreeSet<Uuid> = rows.iter().map(|row| row.cdr_id).collect();
                    assert!(greater.into_iter().all(|(leg, _)| answered.contains(leg)));
                }
                if client.halves && self.rng.bool() {
                    rows.truncate(self.rng.usize(0..=rows.len()));
                }
                if !lost {
                    client.take(&rows);
                }
            }
            // From where it was with another gateway, from the beginning, or from the latest call.
            None if !self.stored.is_empty() && self.rng.u8(0..3) == 0 => {
                let n = self.rng.usize(0..self.stored.len());
                let call_id = self.stored.values().nth(n).cloned().unwrap();
                let behind = self.stored.iter().filter(|(_, of)| **of <= call_id);
                client.not_for_it = behind.map(|(leg, _)| *leg).collect();
                client.call_id = Some(call_id.clone());
                let rows = self.reply(client, &call_id).await;
                if !lost {
                    client.take(&rows);
                }
            }
            None if self.rng.bool() => client.call_id = Some("0".to_owned()),
            None => {
                let (last, head) = self.store.last_call_id("a").await.unwrap();
                let before = self.stored.clone();
                self.pass().await;
                let (Some(last), false) = (last, lost) else { return };
                if let Some(id) = &client.id {
                    let handed_out = HandedOut {
                        greatest: Some(last),
                        last: Some(last),
                        asked: None,
                        from: head,
                        until: head,
                    };
                    self.store.hand_out("a", id, handed_out).await.unwrap();
                }
                client.not_for_it = before.into_keys().collect();
                client.call_id = Some(last.to_string());
            }
        }
    }
}

/// How many legs all clients together miss in the end.
async fn missed(seed: u64, remembered: bool, database: Database) -> usize {
    let mut world = World::new(seed, database).await;
    let mut clients = Vec::new();
    for (n, habit) in [Habit::Greatest, Habit::GreatestOfLatestReply, Habit::LastRow]
        .into_iter()
        .cycle()
        .take(9)
        .enumerate()
    {
        // The sixth looks like the fifth. Those after it take halves; one of them has the first one's habit.
        let id = ClientId::named(format!("client {}", if n == 5 { 4 } else { n }));
        clients.push(Client {
            id: remembered.then(|| id.clone()),
            habit,
            halves: n > 5,
            ..Client::new(id)
        });
    }
    while !world.to_come.is_empty() {
        world.pass().await;
        let n = world.rng.usize(0..clients.len());
        world.poll(&mut clients[n]).await;
    }
    // Calls go on, one at a time, until each client has had the chance to get all of it.
    for call in CALLS..CALLS + 40 {
        world.put(&[call * 1_004]).await;
        for client in &mut clients {
            world.poll(client).await;
        }
    }
    let quiet = world.stored.clone();
    for client in &mut clients {
        for _ in 0..6 {
            world.poll(client).await;
        }
    }
    let missed = |client: &Client| {
        let due = quiet.keys().filter(|leg| !client.not_for_it.contains(leg));
        due.filter(|leg| !client.has.contains(leg)).count()
    };
    clients.iter().filter(|client| !client.halves).map(missed).sum()
}

#[tokio::test]
async fn whoever_takes_whole_replies_ends_with_every_leg() {
    for seed in 0..3 {
        assert_eq!(missed(seed, true, Database::sqlite()).await, 0, "seed {seed}");
    }
}

#[cfg(feature = "peers")]
#[tokio::test]
async fn whoever_takes_whole_replies_ends_with_every_leg_of_postgresql() {
    for seed in 100..103 {
        assert_eq!(
            missed(seed, true, Database::postgres().await).await,
            0,
            "seed {seed}"
        );
    }
}

#[tokio::test]
async fn where_nothing_is_remembered_legs_are_missed() {
    let mut all = 0;
    for seed in 0..3 {
        all += missed(seed, false, Database::sqlite()).await;
    }
    assert!(all > 10, "{all}");
}

#[tokio::test]
async fn the_id_of_the_last_row_brings_the_greater_ones_of_its_reply_again() {
    let mut world = World::new(1, Database::sqlite()).await;
    world.to_come.clear();
    let numbered = |begun: i64, call: i64| begun * 1_000 + call * 4;
    world.put(&[numbered(1, 5), numbered(2, 9), numbered(3, 5)]).await;
    let mut client = Client::new(ClientId::named("crm"));
    let rows = world.reply(&client, "0").await;
    assert_eq!(rows.len(), 3);
    client.take(&rows[..1]);
    let sent = client.call_id.clone().unwrap();
    assert_eq!(sent, rows[2].call_history_id.to_string());
    // As the original, and nothing else of what it was answered.
    let again = world.reply(&client, &sent).await;
    assert_eq!(again, rows[1..2]);
}

/// A leg of a call from a year ahead, and a position of a clock that is right.
async fn ahead(world: &World) -> Uuid {
    let now = jiff::Timestamp::now();
    let in_a_year = now + jiff::SignedDuration::from_hours(24 * 365);
    let mut leg = leg_of_call(900, 900, "ahead");
    let (cdr_id, call_id) = (floor_id(in_a_year), floor_id(in_a_year));
    (leg.row.cdr_id, leg.row.call_history_id) = (cdr_id, call_id);
    let batch = Batch {
        cdrs: vec![leg],
        position: Some(Position {
            clock: Some(now),
            ..Position::default()
        }),
        ..Batch::default()
    };
    world.store.apply("a", batch).await.unwrap();
    call_id
}

#[tokio::test]
async fn an_id_from_the_future_is_nobodys_last_and_its_holder_moves_on() {
    let mut world = World::new(1, Database::sqlite()).await;
    world.to_come.clear();
    world.put(&[1, 2]).await;
    let future = ahead(&world).await;
    assert_eq!(
        world.store.last_call_id("a").await.unwrap().0,
        Some(call_id(call_of(2)))
    );
    let mut client = Client::new(ClientId::named("crm"));
    let rows = world.reply(&client, "0").await;
    client.take(&rows);
    assert_eq!(client.call_id, Some(future.to_string()), "as clients do");
    // More than a few replies hold; each third reply is lost.
    for n in 0..20_i64 {
        let legs: Vec<i64> = (0..5).map(|leg| (n + 1) * 1_000 + leg).collect();
        world.put(&legs).await;
    }
    for n in 0..60 {
        let rows = world.reply(&client, &future.to_string()).await;
        assert!(rows.len() <= SIZES.late + 1, "{}", rows.len());
        if n % 3 != 2 {
            client.take(&rows);
        }
    }
    let missed = world.stored.keys().filter(|leg| !client.has.contains(leg));
    assert_eq!(missed.count(), 0);
    assert!(
        world.reply(&client, &future.to_string()).await.is_empty(),
        "nothing new"
    );
}
