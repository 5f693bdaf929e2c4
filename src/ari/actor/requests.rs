//! What the actor is asked for: to place a call, to end one, and to leave its Asterisk.

use std::rc::Rc;

use actix::{Addr, AsyncContext as _, Context, Handler, Message, ResponseFuture};
use jiff::Timestamp;
use metrics::Counter;
use tokio::time::Instant;

use super::{ASK_ABOUT_UNKNOWN, AriActor};
use crate::actor::{self, Ask, AskError, Health, Reply, Request};
use crate::ari::connection::Connection;
use crate::ari::error::AriError;
use crate::ari::event::Channel;
use crate::ari::messages::{Hangup, Leave, Originate, Originated};
use crate::ari::tracker::Outcome;
use crate::call::CallId;
use crate::metric::{self, Handles};

impl AriActor {
    /// Begins a call: from here on it has its slot, is followed, and will be in the ledger.
    fn begin(&mut self, request: &Originate) -> Result<CallId, AriError> {
        self.ready()?;
        self.calls.begin(request, Timestamp::now()).map_err(|full| {
            let actor = self.health.name().to_owned();
            metrics::counter!(metric::SHED, "actor" => actor, "class" => "originate", "reason" => "live_calls").increment(1);
            AriError::TooManyCalls(full)
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
        let begun = self.begin(ask.message()).map(|id| Settling {
            address: ctx.address(),
            id,
            outcome: None,
        });
        let (client, tally) = (self.client.clone(), self.tally.clone());
        // Counted from here: a request that was not even begun by then never leaves.
        let latest = Instant::now() + self.settings.asterisk.request_timeout();
        ask.run_to_end(move |message, deadline| async move {
            let originated = match begun {
                Ok(mut settling) => {
                    let call_id = settling.id;
                    let placed = client.originate(call_id, &message, deadline.min(latest)).await;
                    let reply = match &placed {
                        Ok(_) => Ok(Originated { call_id }),
                        Err(error) => Err(error.clone()),
                    };
                    settling.outcome = Some(outcome(placed));
                    reply
                }
                Err(error) => Err(error),
            };
            tally.count::<Originate, _>(&originated);
            originated.map_err(|error| {
                if error == AriError::TooLate {
                    AskError::DeadlineExceeded { begun: false }
                } else {
                    AskError::Reply(error)
                }
            })
        })
    }
}

impl Handler<Ask<Hangup>> for AriActor {
    type Result = ResponseFuture<Reply<Hangup>>;

    /// Without the event socket too: Asterisk may answer all the same.
    fn handle(&mut self, ask: Ask<Hangup>, _: &mut Self::Context) -> Self::Result {
        let channel = self.calls.channel_to_end(ask.message().call_id);
        let (client, tally) = (self.client.clone(), self.tally.clone());
        ask.run(move |_, deadline| async move {
            let ended = client.hang_up(&channel, deadline).await;
            tally.count::<Hangup, _>(&ended);
            ended
        })
    }
}

/// Counts what comes of requests.
#[derive(Clone)]
pub(super) struct Tally {
    health: Health,
    /// By operation and outcome.
    requests: Rc<Handles<(&'static str, &'static str), Counter>>,
}

impl Tally {
    pub(super) fn new(health: Health) -> Self {
        Self {
            health,
            requests: Rc::default(),
        }
    }

    fn count<M: Request, T>(&self, reply: &Result<T, AriError>) {
        let outcome = match reply {
            Ok(_) => "ok",
            Err(error) => error.outcome(),
        };
        let counter = self.requests.get((M::OPERATION, outcome), |(operation, outcome)| {
            let actor = self.health.name().to_owned();
            metrics::counter!(metric::ARI_REQUESTS, "actor" => actor, "operation" => *operation, "outcome" => *outcome)
        });
        counter.increment(1);
    }
}

fn outcome(placed: Result<Option<Channel>, AriError>) -> Outcome {
    match placed {
        Ok(channel) => Outcome::Accepted(channel),
        Err(error @ (AriError::OutcomeUnknown(_) | AriError::NoAnswer)) => {
            Outcome::Unknown(error.to_string())
        }
        Err(
            error @ (AriError::RequestNotSent(_)
            | AriError::NotConnected(_)
            | AriError::TooManyCalls(_)
            | AriError::TrunkRate { .. }
            | AriError::TooLate
            | AriError::NoSuchCall),
        ) => Outcome::NotSent(error.to_string()),
        Err(
            error @ (AriError::Unauthorized
            | AriError::UnknownTrunk(_)
            | AriError::Rejected { .. }
            | AriError::Decode(_)),
        ) => Outcome::Rejected(error.to_string()),
    }
}

/// A request to originate that is under way. However it ends, in a panic too, the actor hears of it.
struct Settling {
    address: Addr<AriActor>,
    id: CallId,
    /// None until it has one.
    outcome: Option<Outcome>,
}

impl Drop for Settling {
    fn drop(&mut self) {
        let interrupted = || Outcome::Unknown("the request was interrupted".to_owned());
        let settle = Settle {
            id: self.id,
            outcome: self.outcome.take().unwrap_or_else(interrupted),
        };
        actor::notify(&self.address, settle);
    }
}

/// Note to self: a request to originate has ended.
#[derive(Debug)]
struct Settle {
    id: CallId,
    outcome: Outcome,
}

impl Message for Settle {
    type Result = ();
}

impl Handler<Settle> for AriActor {
    type Result = ();

    fn handle(&mut self, Settle { id, outcome }: Settle, ctx: &mut Context<Self>) {
        if matches!(outcome, Outcome::Unknown(_)) {
            ctx.run_later(ASK_ABOUT_UNKNOWN, Self::missed);
        }
        self.calls.settle(id, outcome, Timestamp::now(), Instant::now());
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
        let pump = self.socket.take().map(|(heard, pump)| {
            // Nobody listens: the pump closes the socket.
            ctx.cancel_future(heard);
            pump
        });
        ask.run(move |Leave, _| async move {
            // A panic in it was counted.
            if let Some(pump) = pump {
                let _ = pump.await;
            }
            Ok(())
        })
    }
}
