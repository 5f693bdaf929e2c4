//! What the actor is asked for: to place a call, to find one, to end one, and to leave its Asterisk.

use std::rc::Rc;
use std::time::Duration;

use actix::{Addr, AsyncContext as _, Context, Handler, Message, ResponseFuture};
use metrics::Counter;
use tokio::time::Instant;

use super::{AriActor, UNKNOWN_CHECK_DELAY};
use crate::actor::{self, Ask, AskError, Class, Health, Reply, Request};
use crate::ari::connection::Connection;
use crate::ari::error::{AriError, OriginateError};
use crate::ari::event::{Channel, ChannelState};
use crate::ari::messages::{GetChannel, Hangup, Leave, Originate};
use crate::ari::tracker::Outcome;
use crate::call::{self, Call, CallId, CallState, Leg};
use crate::metric::{self, Handles};

/// With less time than this to its deadline an originate is not sent: it would leave, and nobody would wait for the answer.
pub(super) const MIN_TIME_LEFT: Duration = Duration::from_millis(50);

impl AriActor {
    /// Begins a call: from here on it has its slot, is followed, and will be in the ledger.
    fn begin(&mut self, request: &Originate) -> Result<(), OriginateError> {
        self.ready()?;
        self.calls.begin(request, call::now()).map_err(|full| {
            let actor = self.health.name().to_owned();
            metric::shed(actor, Class::Originate.as_str(), "live_calls").increment(1);
            OriginateError::TooManyCalls(full)
        })
    }
}

impl Handler<Ask<Originate>> for AriActor {
    type Result = ResponseFuture<Reply<Originate>>;

    fn handle(&mut self, ask: Ask<Originate>, ctx: &mut Self::Context) -> Self::Result {
        let ask = match ask.begin() {
            Ok(ask) => ask,
            Err(reply) => return reply,
        };
        let id = ask.message().call_id;
        let begun = self.begin(ask.message()).map(|()| PendingOriginate {
            address: ctx.address(),
            id,
            outcome: None,
        });
        let (client, counter) = (self.client.clone(), self.counter.clone());
        // Counted from here: a request that was not even begun by then never leaves.
        let latest = Instant::now() + self.settings.asterisk.request_timeout();
        ask.run_to_end(move |message, deadline| async move {
            let limit = deadline.min(latest);
            let originated = match begun {
                Ok(mut pending) if limit < Instant::now() + MIN_TIME_LEFT => {
                    let late = "too little time was left to ask Asterisk";
                    pending.outcome = Some(Outcome::NotSent(late.to_owned()));
                    counter.count::<Originate>("too_late");
                    return Err(AskError::DeadlineExceeded { begun: false });
                }
                Ok(mut pending) => {
                    let placed = client.originate(&message, limit).await;
                    let error = placed.as_ref().err().cloned();
                    pending.outcome = Some(outcome(placed));
                    error.map_or(Ok(()), |error| Err(error.into()))
                }
                Err(error) => Err(error),
            };
            counter.count::<Originate>(originated.as_ref().err().map_or("ok", OriginateError::outcome));
            originated.map_err(AskError::Reply)
        })
    }
}

impl Handler<Ask<Hangup>> for AriActor {
    type Result = ResponseFuture<Reply<Hangup>>;

    /// Without the event socket too: Asterisk may answer all the same.
    fn handle(&mut self, ask: Ask<Hangup>, _: &mut Self::Context) -> Self::Result {
        let (client, counter) = (self.client.clone(), self.counter.clone());
        ask.run(move |Hangup { channel }, deadline| async move {
            let ended = client.hang_up(&channel, deadline).await;
            counter.count::<Hangup>(match &ended {
                Ok(true) => "ok",
                Ok(false) => "no_such_call",
                Err(error) => error.outcome(),
            });
            ended
        })
    }
}

impl Handler<Ask<GetChannel>> for AriActor {
    type Result = ResponseFuture<Reply<GetChannel>>;

    fn handle(&mut self, ask: Ask<GetChannel>, _: &mut Self::Context) -> Self::Result {
        let (client, counter) = (self.client.clone(), self.counter.clone());
        let integration = self.settings.name.clone();
        ask.run(move |GetChannel { call_id }, _| async move {
            let channel = client.channel(&call_id.to_string()).await;
            counter.count::<GetChannel>(channel.as_ref().err().map_or("ok", AriError::outcome));
            // Other applications on the node have channels of their own.
            let ours = channel?.filter(|channel| client.is_through_trunk(channel));
            Ok(ours.and_then(|channel| shown(call_id, &integration, channel)))
        })
    }
}

/// Counts what comes of requests.
#[derive(Clone)]
pub(super) struct RequestCounter {
    health: Health,
    /// By operation and outcome.
    requests: Rc<Handles<(&'static str, &'static str), Counter>>,
}

impl RequestCounter {
    pub(super) fn new(health: Health) -> Self {
        Self {
            health,
            requests: Rc::default(),
        }
    }

    fn count<M: Request>(&self, outcome: &'static str) {
        let counter = self
            .requests
            .get((M::OPERATION, outcome), |(operation, outcome)| {
                metric::ari_requests(self.health.name().to_owned(), *operation, *outcome)
            });
        counter.increment(1);
    }
}

/// A call of which no record can be had, as its first channel shows it. Of its times only that of its id is known.
fn shown(id: CallId, integration: &str, channel: Channel) -> Option<Call> {
    let created_at = id.minted_at()?;
    Some(Call {
        state: match channel.state {
            ChannelState::Ringing => CallState::Ringing,
            ChannelState::Up => CallState::Answered,
            ChannelState::Other => CallState::Sent,
        },
        legs: vec![Leg::new(channel.id, channel.name, created_at)],
        ..Call::new(id, integration, created_at)
    })
}

fn outcome(placed: Result<Option<Channel>, AriError>) -> Outcome {
    match placed {
        Ok(channel) => Outcome::Accepted(channel),
        Err(error @ (AriError::OutcomeUnknown(_) | AriError::NoAnswer)) => {
            Outcome::Unknown(error.to_string())
        }
        Err(error @ AriError::RequestNotSent(_)) => Outcome::NotSent(error.to_string()),
        Err(error @ (AriError::Unauthorized | AriError::Rejected { .. })) => {
            Outcome::Rejected(error.to_string())
        }
    }
}

/// A request to originate that is under way. However it ends, in a panic too, the actor hears of it.
struct PendingOriginate {
    address: Addr<AriActor>,
    id: CallId,
    /// None until it has one.
    outcome: Option<Outcome>,
}

impl Drop for PendingOriginate {
    fn drop(&mut self) {
        let interrupted = || Outcome::Unknown("the request was interrupted".to_owned());
        let ended = OriginateEnded {
            id: self.id,
            outcome: self.outcome.take().unwrap_or_else(interrupted),
        };
        actor::notify(&self.address, ended);
    }
}

/// Note to self: a request to originate has ended.
#[derive(Debug)]
struct OriginateEnded {
    id: CallId,
    outcome: Outcome,
}

impl Message for OriginateEnded {
    type Result = ();
}

impl Handler<OriginateEnded> for AriActor {
    type Result = ();

    fn handle(&mut self, OriginateEnded { id, outcome }: OriginateEnded, ctx: &mut Context<Self>) {
        if matches!(outcome, Outcome::Unknown(_)) {
            ctx.run_later(UNKNOWN_CHECK_DELAY, Self::events_missed);
        }
        self.calls.end_request(id, outcome, call::now(), Instant::now());
    }
}

impl Handler<Ask<Leave>> for AriActor {
    type Result = ResponseFuture<Reply<Leave>>;

    fn handle(&mut self, ask: Ask<Leave>, ctx: &mut Context<Self>) -> Self::Result {
        let ask = match ask.begin() {
            Ok(ask) => ask,
            Err(reply) => return reply,
        };
        self.enter(Connection::Left);
        let reader = self.socket.take().map(|(heard, reader)| {
            // Nobody listens: the reader closes the socket.
            ctx.cancel_future(heard);
            reader
        });
        ask.run(move |Leave, _| async move {
            // A panic in it was counted.
            if let Some(reader) = reader {
                let _ = reader.await;
            }
            Ok(())
        })
    }
}
