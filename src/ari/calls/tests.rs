//! Whatever happens, in whatever order: no call lives without its slot, and no slot is held by a call that is over.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde_json::json;
use tokio::time::advance;

use super::super::event::{Channel, ChannelState};
use super::*;
use crate::call::{Journal, Registry, RequestedBy};
use crate::settings::AsteriskSettings;
use crate::telephony::{Extension, HangupCause, PhoneNumber};

const LIMIT: usize = 12;
const REQUEST: Duration = Duration::from_secs(5);

fn settings() -> AsteriskSettings {
    let settings = json!({
        "host": "127.0.0.1", "user": "mege", "password": "secret", "trunk": "3cx", "context": "outgoing",
        "max_live_calls": LIMIT,
    });
    serde_json::from_value(settings).unwrap()
}

/// A request on its way: it arrives or not, and is answered or not, by `latest`.
#[derive(Debug)]
struct Request {
    id: CallId,
    life: u32,
    latest: Instant,
}

/// A gateway, its ledger and an Asterisk, with everything that can go wrong between them.
struct World {
    random: fastrand::Rng,
    begun: (Instant, Timestamp),
    registry: Registry,
    live: LiveCalls,
    journal: Journal,
    calls: Calls,
    life: u32,
    /// Whether this life has asked the ledger for the calls of those before.
    adopted: bool,
    requests: Vec<Request>,
    /// The channels of Asterisk.
    alive: BTreeMap<String, CallId>,
    connected: bool,
    events: VecDeque<Event>,
    snapshot: Option<Snapshot>,
    placed: usize,
    refused: usize,
}

impl World {
    fn new(seed: u64) -> Self {
        let journal = Journal::default();
        let registry = Registry::new(journal.clone());
        let live = registry.register("asterisk.main", &settings());
        Self {
            random: fastrand::Rng::with_seed(seed),
            begun: (Instant::now(), Timestamp::from_second(1_700_000_000).unwrap()),
            calls: life(&live),
            registry,
            live,
            journal,
            life: 0,
            adopted: true,
            requests: Vec::new(),
            alive: BTreeMap::new(),
            connected: true,
            events: VecDeque::new(),
            snapshot: None,
            placed: 0,
            refused: 0,
        }
    }

    fn at(&self) -> Timestamp {
        self.begun.1 + self.begun.0.elapsed()
    }

    fn begin(&mut self) {
        let call_id = CallId::mint();
        let request = Originate {
            call_id,
            requested_by: RequestedBy {
                key: None,
                extension: None,
            },
            extension: Extension::parse("102", None).unwrap(),
            number: PhoneNumber::parse("79102223311").unwrap(),
        };
        match self.calls.begin(&request, self.at()) {
            Ok(()) => {
                self.placed += 1;
                let (id, life, latest) = (call_id, self.life, Instant::now() + REQUEST);
                self.requests.push(Request { id, life, latest });
                assert!(self.live.len() <= LIMIT);
            }
            Err(full) => {
                self.refused += 1;
                assert_eq!(full, Full::Node);
                assert!(self.live.len() >= LIMIT, "there was room");
            }
        }
    }

    /// One request comes to its end, in any of the ways.
    fn end_request(&mut self, number: usize) {
        let Request { id, life, .. } = self.requests.swap_remove(number);
        let channel = Channel {
            id: id.to_string(),
            name: "PJSIP/3cx".to_owned(),
            state: ChannelState::Other,
        };
        let fate = self.random.u8(..6);
        if fate < 4 {
            self.alive.insert(channel.id.clone(), id);
            self.tell(Event::ChannelCreated {
                channel: channel.clone(),
            });
        }
        let outcome = match fate {
            0 | 1 => Outcome::Accepted(Some(channel)),
            2 => Outcome::Accepted(None),
            // Its answer was lost, or it never arrived: the gateway cannot tell.
            3 | 4 => Outcome::Unknown("no answer".to_owned()),
            _ => Outcome::Rejected("no".to_owned()),
        };
        // What an earlier incarnation had begun, this one does not hear the end of.
        if life == self.life {
            self.calls.end_request(id, outcome, self.at(), Instant::now());
        }
    }

    fn tell(&mut self, event: Event) {
        if self.connected {
            self.events.push_back(event);
        }
    }

    fn hang_up(&mut self, channel: &str) {
        self.alive.remove(channel);
        self.tell(Event::ChannelDestroyed {
            cause: HangupCause::NORMAL,
            channel: Channel {
                id: channel.to_owned(),
                name: "PJSIP/3cx".to_owned(),
                state: ChannelState::Other,
            },
        });
    }

    fn work_on_events(&mut self, most: usize) {
        for _ in 0..most {
            let Some(event) = self.events.pop_front() else {
                return;
            };
            self.calls.apply(&event, self.at(), Instant::now());
        }
    }

    fn look(&mut self) {
        let channels = self.alive.keys().map(|id| Channel {
            id: id.clone(),
            name: "PJSIP/3cx".to_owned(),
            state: ChannelState::Up,
        });
        self.snapshot = Some(Snapshot {
            channels: channels.collect(),
            bridges: Vec::new(),
            asked_at: Instant::now(),
        });
    }

    /// The actor ends, in a panic or by order, and the next life begins.
    fn restart(&mut self) {
        self.calls = life(&self.live);
        self.life += 1;
        self.adopted = false;
        self.connected = false;
        self.events.clear();
        self.snapshot = None;
    }

    async fn adopt(&mut self) {
        if !std::mem::replace(&mut self.adopted, true) {
            let open = self.journal.known(|call| !call.closed).into_values();
            let now = Instant::now();
            self.calls
                .recover(open.map(Arc::unwrap_or_clone).collect(), now, now + REQUEST);
            // As the actor does, which may be connected before the ledger answers.
            advance(Duration::from_millis(1)).await;
            self.look();
        }
    }

    async fn step(&mut self) {
        let time = Duration::from_millis(self.random.u64(..2_000));
        advance(time).await;
        while let Some(late) = self
            .requests
            .iter()
            .position(|request| request.latest <= Instant::now())
        {
            self.end_request(late);
        }
        match self.random.u8(..100) {
            0..40 => self.begin(),
            40..60 if !self.requests.is_empty() => {
                let number = self.random.usize(..self.requests.len());
                self.end_request(number);
            }
            60..75 => {
                let channel = self.random.choice(self.alive.keys().cloned().collect::<Vec<_>>());
                if let Some(channel) = channel {
                    self.hang_up(&channel);
                }
            }
            75..83 => self.work_on_events(3),
            83..86 => self.connected = false,
            86..90 => {
                // A new socket: what the old one had not brought is lost, and everything is looked at.
                self.events.clear();
                self.connected = true;
                self.look();
            }
            90..93 => self.look(),
            93..96 => {
                if let Some(snapshot) = self.snapshot.take() {
                    self.work_on_events(usize::MAX);
                    self.calls.reconcile(&snapshot, self.at());
                }
            }
            96 => self.calls.expire(Instant::now(), self.at()),
            97 => {
                // The queue was full: one is lost, and everything is looked at while others wait in it.
                self.events.pop_front();
                self.look();
            }
            98 => self.restart(),
            99 => self.adopt().await,
            _ => {}
        }
        for id in self.alive.values() {
            assert!(self.registry.get(*id).is_some(), "a call that lives has no slot");
        }
        assert!(self.alive.len() <= LIMIT, "more live than may");
    }

    /// Every call ends, and Asterisk is looked at as the actor does.
    async fn end(&mut self) {
        while !self.requests.is_empty() {
            self.end_request(0);
        }
        for channel in self.alive.keys().cloned().collect::<Vec<_>>() {
            self.hang_up(&channel);
        }
        if !std::mem::replace(&mut self.connected, true) {
            self.events.clear();
            advance(Duration::from_millis(1)).await;
            self.look();
        }
        for _ in 0..12 {
            advance(Duration::from_secs(10)).await;
            self.work_on_events(usize::MAX);
            if let Some(snapshot) = self.snapshot.take() {
                self.calls.reconcile(&snapshot, self.at());
            }
            if self.calls.are_uncertain() {
                self.look();
                let snapshot = self.snapshot.take().unwrap();
                self.calls.reconcile(&snapshot, self.at());
            }
            self.calls.expire(Instant::now(), self.at());
        }
    }
}

fn life(live: &LiveCalls) -> Calls {
    let tracker = CallTracker::new(settings().ring_timeout());
    let mut calls = Calls::new(tracker, live.clone(), "asterisk.main", Instant::now() + REQUEST);
    calls.name_instance("0123abcd");
    calls
}

#[tokio::test(start_paused = true)]
async fn no_history_leaks_a_slot_or_frees_that_of_a_call_that_lives() {
    let (mut placed, mut refused) = (0, 0);
    for seed in 0..300 {
        let mut world = World::new(seed);
        for _ in 0..400 {
            world.step().await;
        }
        world.end().await;
        assert_eq!(
            (world.live.len(), world.calls.len(), world.calls.are_uncertain()),
            (0, 0, false),
            "seed {seed}"
        );
        placed += world.placed;
        refused += world.refused;
    }
    // The histories are worth something.
    assert!(
        placed > 10_000 && refused > 1_000,
        "{placed} placed, {refused} refused"
    );
}

#[tokio::test(start_paused = true)]
async fn a_call_that_stayed_unknown_keeps_its_slot_until_asterisk_was_asked() {
    let mut world = World::new(1);
    world.begin();
    let Request { id, .. } = world.requests.pop().unwrap();
    let lost = Outcome::Unknown("no answer".to_owned());
    world.calls.end_request(id, lost, world.at(), Instant::now());
    // It was placed, and for a long time nobody can be asked.
    world.alive.insert(id.to_string(), id);
    advance(Duration::from_secs(120)).await;
    world.calls.expire(Instant::now(), world.at());
    assert_eq!((world.calls.len(), world.registry.get(id).is_some()), (0, true));
    assert!(world.calls.are_uncertain());
    world.look();
    let snapshot = world.snapshot.take().unwrap();
    assert_eq!(world.calls.reconcile(&snapshot, world.at()), 0, "it lives");
    world.alive.clear();
    world.look();
    let snapshot = world.snapshot.take().unwrap();
    assert_eq!(world.calls.reconcile(&snapshot, world.at()), 1, "it is over");
    assert!(world.registry.get(id).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_life_whose_ledger_never_answers_lets_go_of_the_calls_of_the_one_before() {
    let mut world = World::new(1);
    for _ in 0..LIMIT {
        world.begin();
    }
    let ids: Vec<CallId> = world.requests.drain(..).map(|request| request.id).collect();
    for id in &ids[..6] {
        world.alive.insert(id.to_string(), *id);
    }
    world.restart();
    world.begin();
    assert_eq!(world.refused, 1, "the next life finds them taken");
    assert!(world.calls.are_uncertain());
    advance(Duration::from_secs(120)).await;
    world.look();
    let snapshot = world.snapshot.take().unwrap();
    assert_eq!(world.calls.reconcile(&snapshot, world.at()), 6);
    assert!(ids[..6].iter().all(|id| world.registry.get(*id).is_some()));
    // The ledger comes back after all.
    world.adopt().await;
    world.alive.clear();
    world.end().await;
    assert_eq!(world.live.len(), 0);
}
