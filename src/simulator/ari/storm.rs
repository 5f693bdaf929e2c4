//! Events at a constant rate, about calls that come and go on a trunk.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use super::channel::Channel;
use super::event::Event;
use super::exchange::Exchange;
use super::state::State;
use super::writes::SocketWrites;

/// Between two bursts.
const TICK: Duration = Duration::from_millis(5);

/// How much of the storm is made up for at once by a machine that was late.
const CATCH_UP: Duration = Duration::from_millis(50);

/// How long sockets may take with what waits at the end.
const DRAIN: Duration = Duration::from_secs(10);

/// Stands for a channel's id in texts that are made once. As long as an id.
const ID: &str = "1790000000.00000000";

/// What became of a storm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StormReport {
    /// Events that there were to be.
    pub planned: u64,
    /// Events that there were: fewer where this machine was not fast enough.
    pub published: u64,
    /// What was written to event sockets meanwhile, other events too.
    pub writes: SocketWrites,
}

/// Tells of it all, and waits until it is written.
pub(super) async fn run(exchange: Arc<Exchange>, events_per_s: u32, lasts: Duration) -> StormReport {
    let trunk = exchange.settings.trunks.first();
    let mut calls = Calls::new(trunk.map_or("", String::as_str));
    let due = |elapsed: Duration| {
        let events = elapsed.as_micros() * u128::from(events_per_s) / 1_000_000;
        u64::try_from(events).unwrap_or(u64::MAX)
    };
    let planned = due(lasts);
    let burst = due(CATCH_UP).max(1);
    let mut published = 0;
    exchange.writes.take();
    let begun = Instant::now();
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    while published < planned && begun.elapsed() < lasts + TICK {
        ticks.tick().await;
        let until = due(begun.elapsed().min(lasts)).min(published + burst);
        let state = exchange.state();
        for number in published..until {
            calls.publish(&state, number);
        }
        published = until;
    }
    let ended = Instant::now();
    while exchange.state().is_behind() && ended.elapsed() < DRAIN {
        sleep(TICK).await;
    }
    StormReport {
        planned,
        published,
        writes: exchange.writes.take(),
    }
}

/// The events of one call, told of again and again with other ids.
struct Calls {
    events: Vec<Event>,
    /// By the event's place and the application: to write them anew each time would take most of a storm's time.
    texts: HashMap<(usize, String), String>,
}

impl Calls {
    fn new(trunk: &str) -> Self {
        let mut channel = Channel {
            id: ID.to_owned(),
            name: format!("PJSIP/{trunk}-00000001"),
            trunk: trunk.to_owned(),
            state: "Down",
            caller: (String::new(), "79000000000".to_owned()),
            context: "incoming".to_owned(),
            exten: "s".to_owned(),
            dialplan_app: ("AppDial2", "(Outgoing Line)".to_owned()),
            created: Timestamp::now(),
            in_stasis: false,
            hangup: CancellationToken::new(),
            hangup_cause: None,
        };
        let dial = |status: &str, channel: &Channel| {
            let event = Event::new("Dial").with("dialstatus", status).with("forward", "");
            let dial_string = format!("79000000000@{trunk}");
            event.with("dialstring", dial_string).channel("peer", channel)
        };
        let mut events = vec![
            Event::new("ChannelCreated").channel("channel", &channel),
            dial("", &channel),
        ];
        for (state, status) in [("Ringing", "RINGING"), ("Up", "ANSWER")] {
            channel.state = state;
            events.push(Event::new("ChannelStateChange").channel("channel", &channel));
            events.push(dial(status, &channel));
        }
        let end = |kind| Event::new(kind).with("cause", 16);
        let hung_up = end("ChannelHangupRequest");
        let destroyed = end("ChannelDestroyed").with("cause_txt", "Normal Clearing");
        events.push(hung_up.channel("channel", &channel));
        events.push(destroyed.channel("channel", &channel));
        Self {
            events,
            texts: HashMap::new(),
        }
    }

    /// Tells of one event of the storm, by its number in it.
    fn publish(&mut self, state: &State, number: u64) {
        let length = self.events.len() as u64;
        let place = usize::try_from(number % length).unwrap_or_default();
        let event = &self.events[place];
        let id = format!("1790000000.{:08}", number / length);
        for (name, application) in &state.applications {
            let Some(socket) = &application.socket else {
                continue;
            };
            for _ in 0..application.copies(event) {
                let text = self.texts.entry((place, name.clone()));
                let text = text.or_insert_with(|| event.text(name));
                socket.send(text.replace(ID, &id));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storms_call_is_told_of_in_order_with_an_id_of_its_own() {
        let calls = Calls::new("3cx");
        let kinds: Vec<_> = calls.events.iter().map(|event| event.kind).collect();
        assert_eq!(kinds.len(), 8, "as `SimulatedAsterisk::storm` says");
        assert_eq!((kinds[0], kinds[7]), ("ChannelCreated", "ChannelDestroyed"));
        for event in &calls.events {
            assert!(event.text("gw").contains(&format!(r#""id":"{ID}""#)), "{event:?}");
            assert!(event.endpoints.contains("PJSIP/3cx"));
        }
    }
}
