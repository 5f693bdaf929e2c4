//! The actor that owns one Asterisk: its REST connections, its event socket, and what is known of its calls.

mod requests;

use std::time::Duration;

use actix::fut::WrapFuture as _;
use actix::{Actor, ActorFutureExt as _, AsyncContext as _, Context, SpawnHandle, StreamHandler};
use actix_rt::task::JoinHandle;
use futures_util::FutureExt as _;
use futures_util::future::{Either, ready, select};
use jiff::Timestamp;
use metrics::Counter;
use tokio::sync::mpsc::WeakSender;
use tokio::time::{Instant, sleep};
use tokio_stream::wrappers::ReceiverStream;

use self::requests::RequestCounter;
use super::calls::Calls;
use super::client::AriClient;
use super::connection::{self, Connection, Detail, Opened, Snapshot};
use super::error::{AriError, OriginateError};
use super::event::Event;
use super::recovery;
use super::socket::Received;
use super::tracker::CallTracker;
use crate::actor::{self, ActorHandle, Backoff, Class, Health, Placement, Spawn};
use crate::call::{self, LiveCalls};
use crate::ledger::LedgerHandle;
use crate::metric;
use crate::settings::AsteriskSettings;

/// Between two looks for calls of which Asterisk has shown nothing yet, and for a trunk it did not know.
const CHECK_INTERVAL: Duration = Duration::from_secs(10);

/// Between two reports of how it stands.
const STATUS_INTERVAL: Duration = Duration::from_secs(1);

/// Between two resynchronisations without a cause.
const RESYNC_INTERVAL: Duration = Duration::from_secs(300);

/// How long events that were sent before a snapshot may be on their way when it has arrived.
const EVENT_LAG: Duration = Duration::from_millis(500);

/// How long a connection waits for the ledger to tell of the calls that live already.
const RECOVERY_WAIT: Duration = Duration::from_secs(1);

/// How soon to ask Asterisk about a call whose request was not answered.
const UNKNOWN_CHECK_DELAY: Duration = Duration::from_secs(1);

/// A connection that lasted less counts as one more failure: an Asterisk that takes a socket and drops it at once must
/// not be tried several times a second.
const STABLE_AFTER: Duration = Duration::from_secs(10);

/// At most a dozen tries in a minute of an Asterisk that is down, however the jitter falls.
const RECONNECT: Backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(15));

/// A handle to one Asterisk.
pub type AriHandle = ActorHandle<AriActor>;

/// What an [`AriActor`] is built from.
#[derive(Debug, Clone)]
pub struct AriSettings {
    /// The name of the integration, such as `asterisk.main`.
    pub name: String,
    /// The Asterisk.
    pub asterisk: AsteriskSettings,
    /// Where calls of an earlier process, and the instance, are kept.
    pub ledger: LedgerHandle,
    /// The instance while the ledger does not say. The same at each start: Asterisk keeps what it subscribed to, and the
    /// ledger finds the calls.
    pub provisional_instance: String,
    /// Which calls live: those of the actor's earlier incarnations too.
    pub live_calls: LiveCalls,
}

/// Owns one Asterisk.
#[derive(derive_more::Debug)]
#[debug("AriActor({connection:?})")]
pub struct AriActor {
    settings: AriSettings,
    client: AriClient,
    calls: Calls,
    connection: Connection,
    since: Timestamp,
    /// The Stasis application, once the instance is known.
    app: Option<String>,
    /// None: not asked yet.
    trunk_known: Option<bool>,
    attempt: u32,
    connects: u64,
    /// Asterisk's, as it last told.
    version: Option<String>,
    connected_at: Option<Instant>,
    /// What the actor hears of the socket, and what holds it.
    socket: Option<(SpawnHandle, JoinHandle<()>)>,
    /// The queue of the event socket, to see how full it is.
    queue: Option<WeakSender<Received>>,
    /// Whether Asterisk is being asked what lives on it.
    taking_snapshot: bool,
    /// Whether something may have been missed since Asterisk was last asked.
    snapshot_outdated: bool,
    counter: RequestCounter,
    health: Health,
}

/// Starts the actor of one Asterisk under supervision.
pub fn spawn(settings: AriSettings, placement: Placement) -> AriHandle {
    let mut originate = settings.asterisk.limits;
    if settings.asterisk.trunk_limits.calls_per_s.is_some() {
        // They have waited for their turn: out of a second queue they would leave together.
        originate.waiting = 0;
    }
    let name = || settings.name.clone();
    for counter in [
        metric::ari_connect_attempts(name()),
        metric::ari_connects(name()),
        metric::ari_gaps(name()),
        metric::ari_frames_dropped(name()),
        metric::ari_bad_frames(name()),
    ] {
        counter.increment(0);
    }
    let spawn = Spawn::new(
        settings.name.clone(),
        placement,
        vec![
            (Class::Originate, originate),
            (Class::Hangup, settings.asterisk.hangup_limits()),
        ],
    );
    actor::spawn(spawn, move |health| {
        AriActor::new(settings.clone(), health.clone())
    })
}

impl AriActor {
    fn new(settings: AriSettings, health: Health) -> Self {
        Self {
            client: AriClient::new(&settings.asterisk),
            calls: Calls::new(
                CallTracker::new(settings.asterisk.ring_timeout()),
                settings.live_calls.clone(),
                &settings.name,
                Instant::now() + settings.asterisk.request_timeout(),
            ),
            connection: Connection::Connecting,
            since: Timestamp::now(),
            app: None,
            trunk_known: None,
            attempt: 0,
            connects: 0,
            version: None,
            connected_at: None,
            socket: None,
            queue: None,
            taking_snapshot: false,
            snapshot_outdated: false,
            counter: RequestCounter::new(health.clone()),
            settings,
            health,
        }
    }

    /// Whether an originate may leave now.
    fn ready(&self) -> Result<(), OriginateError> {
        self.connection.ready()?;
        match self.trunk_known {
            Some(false) => Err(OriginateError::UnknownTrunk(
                self.settings.asterisk.trunk.to_string(),
            )),
            Some(true) | None => Ok(()),
        }
    }

    /// `→ Connecting`
    fn connect(&mut self, ctx: &mut Context<Self>) {
        let Some(app) = self.app.clone() else { return };
        if self.has_left() {
            return;
        }
        self.enter(Connection::Connecting);
        self.count(metric::ari_connect_attempts);
        let opening = connection::open(
            self.client.clone(),
            self.settings.asterisk.clone(),
            app,
            self.health.clone(),
        );
        ctx.spawn(opening.into_actor(self).map(|opened, actor, ctx| match opened {
            Ok(opened) => actor.connected(opened, ctx),
            Err(AriError::Unauthorized) => actor.wait(AriError::Unauthorized.into(), ctx),
            Err(error) => actor.wait(OriginateError::NotConnected(error.to_string()), ctx),
        }));
    }

    /// `Connecting → Connected`: the events since the socket was opened first, then what lives on Asterisk.
    fn connected(&mut self, opened: Opened, ctx: &mut Context<Self>) {
        if self.has_left() {
            return;
        }
        self.connects += 1;
        self.count(metric::ari_connects);
        if self.connects > 1 {
            self.count(metric::ari_gaps);
        }
        self.queue = Some(opened.queue);
        self.connected_at = Some(Instant::now());
        self.trunk_known = Some(opened.trunk_known);
        self.reconcile_later(opened.snapshot, ctx);
        let heard = ctx.add_stream(ReceiverStream::new(opened.frames));
        self.socket = Some((heard, opened.reader));
        self.enter(Connection::Connected);
        // Beside all else: nothing depends on it.
        let client = self.client.clone();
        let version = async move { client.version().await.ok() };
        ctx.spawn(version.into_actor(self).map(|version, actor, _| {
            if version.is_some() {
                actor.version = version;
                actor.publish();
            }
        }));
    }

    /// `Connecting | Connected | Replaced → Waiting`
    fn wait(&mut self, error: OriginateError, ctx: &mut Context<Self>) {
        if self.has_left() {
            return;
        }
        tracing::warn!(actor = self.health.name(), %error, "no connection to Asterisk");
        let lasted = self.connected_at.take().map(|since| since.elapsed());
        if lasted.is_some_and(|lasted| lasted >= STABLE_AFTER) {
            self.attempt = 0;
        }
        let delay = RECONNECT.delay(self.attempt);
        self.attempt = self.attempt.saturating_add(1);
        self.enter(Connection::Waiting(error));
        ctx.run_later(delay, |actor, ctx| actor.connect(ctx));
    }

    fn has_left(&self) -> bool {
        matches!(self.connection, Connection::Left)
    }

    fn enter(&mut self, connection: Connection) {
        self.connection = connection;
        self.since = Timestamp::now();
        self.publish();
    }

    fn count(&self, counter: fn(String) -> Counter) {
        counter(self.health.name().to_owned()).increment(1);
    }

    fn publish(&self) {
        let queue = self.queue.as_ref().and_then(WeakSender::upgrade);
        let frames = queue.map_or(0, |queue| queue.max_capacity() - queue.capacity());
        metric::ari_queue_frames(self.health.name().to_owned()).set(frames as f64);
        let ready = self.ready();
        let detail = Detail {
            connection: self.connection.name(),
            since: self.since,
            app: self.app.clone(),
            trunk: self.settings.asterisk.trunk.to_string(),
            trunk_known: self.trunk_known,
            open_calls: self.calls.len(),
            live_calls: self.calls.live(),
            connects: self.connects,
            version: self.version.clone(),
            error: ready.as_ref().err().map(ToString::to_string),
        };
        self.health.publish(ready.is_ok(), &detail);
    }

    /// Holds the calls against a snapshot once the events from before it are through: the end of a call that waits in the
    /// queue has a cause, and a channel that is merely missing has none.
    fn reconcile_later(&mut self, snapshot: Snapshot, ctx: &mut Context<Self>) {
        self.taking_snapshot = true;
        ctx.run_later(EVENT_LAG, move |actor, ctx| {
            actor.taking_snapshot = false;
            actor.reconcile(&snapshot);
            if actor.snapshot_outdated {
                actor.resynchronise(ctx);
            }
        });
    }

    fn reconcile(&mut self, snapshot: &Snapshot) {
        let freed = self.calls.reconcile(snapshot, call::now());
        if freed > 0 {
            tracing::info!(
                actor = self.health.name(),
                freed,
                "calls that nobody followed are over"
            );
        }
    }

    /// Something may have been missed: what is under way may have been asked too early to show it.
    fn events_missed(&mut self, ctx: &mut Context<Self>) {
        self.snapshot_outdated = true;
        self.resynchronise(ctx);
    }

    /// Asks Asterisk what lives on it, unless that is under way. Without our application too: our calls go on.
    fn resynchronise(&mut self, ctx: &mut Context<Self>) {
        let answers = matches!(self.connection, Connection::Connected | Connection::Replaced);
        if self.taking_snapshot || !answers {
            return;
        }
        self.taking_snapshot = true;
        self.snapshot_outdated = false;
        ctx.spawn(
            connection::snapshot(self.client.clone())
                .into_actor(self)
                .map(|snapshot, actor, ctx| match snapshot {
                    Ok(snapshot) => actor.reconcile_later(snapshot, ctx),
                    Err(error) => {
                        tracing::warn!(actor = actor.health.name(), %error, "resynchronisation failed");
                        // The next review tries again.
                        actor.taking_snapshot = false;
                        actor.snapshot_outdated = true;
                    }
                }),
        );
    }

    /// The slow, regular look at what no event tells.
    fn check_calls(&mut self, ctx: &mut Context<Self>) {
        let blind = matches!(self.connection, Connection::Replaced);
        if self.snapshot_outdated || blind || self.calls.are_uncertain() {
            self.resynchronise(ctx);
        }
        self.calls.expire(Instant::now(), call::now());
        if self.trunk_known == Some(false) && matches!(self.connection, Connection::Connected) {
            self.look_for_trunk(ctx);
        }
    }

    /// A trunk that was not there may have been configured since.
    fn look_for_trunk(&mut self, ctx: &mut Context<Self>) {
        let Some(app) = self.app.clone() else { return };
        let look = connection::look_for_trunk(self.client.clone(), app);
        ctx.spawn(look.into_actor(self).map(|found, actor, _| {
            if found == Ok(true) {
                actor.trunk_known = Some(true);
                actor.publish();
            }
        }));
    }

    fn event(&mut self, frame: &[u8]) {
        match Event::parse(frame) {
            Ok(Event::ApplicationReplaced) => {
                tracing::error!(
                    actor = self.health.name(),
                    "another gateway took our application over"
                );
                self.enter(Connection::Replaced);
            }
            Ok(event) => self.calls.apply(&event, call::now(), Instant::now()),
            Err(_) => self.count(metric::ari_bad_frames),
        }
    }
}

impl Actor for AriActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.publish();
        let settings = &self.settings;
        let (ledger, name) = (settings.ledger.clone(), settings.name.clone());
        let prefix = settings.asterisk.app_prefix().to_owned();
        let recovered = settings.live_calls.has_recovered();
        let instance = recovery::instance(ledger.clone(), settings.provisional_instance.clone());
        // The calls that live come before those that are placed once there is a connection; but not for long.
        let early = instance.into_actor(self).then(move |instance, actor, _| {
            actor.calls.name_instance(&instance);
            actor.app = Some(format!("{prefix}-{instance}"));
            let open_calls = async move {
                // Once in a process: what it has taken over or begun itself it knows better than the ledger.
                if recovered {
                    Vec::new()
                } else {
                    recovery::open_calls(ledger, name).await
                }
            };
            select(Box::pin(open_calls), Box::pin(sleep(RECOVERY_WAIT))).into_actor(actor)
        });
        let open_calls = early.then(|early, actor, ctx| {
            actor.connect(ctx);
            let calls = match early {
                Either::Left((calls, _)) => ready(calls).left_future(),
                Either::Right(((), later)) => later.right_future(),
            };
            calls.into_actor(actor)
        });
        ctx.spawn(open_calls.map(|calls, actor, ctx| {
            let requests_end_at = Instant::now() + actor.settings.asterisk.request_timeout();
            actor.calls.recover(calls, Instant::now(), requests_end_at);
            actor.events_missed(ctx);
        }));
        ctx.run_interval(STATUS_INTERVAL, |actor, _| actor.publish());
        ctx.run_interval(CHECK_INTERVAL, Self::check_calls);
        ctx.run_interval(RESYNC_INTERVAL, Self::resynchronise);
    }
}

impl StreamHandler<Received> for AriActor {
    fn handle(&mut self, received: Received, ctx: &mut Self::Context) {
        match received {
            Received::Frame(frame, _room) => self.event(&frame),
            Received::Gap(missed) => {
                tracing::warn!(actor = self.health.name(), missed, "events were dropped");
                self.count(metric::ari_gaps);
                self.events_missed(ctx);
            }
            Received::Closed(reason) => self.wait(OriginateError::NotConnected(reason), ctx),
        }
    }

    /// After `Closed`, nothing more; without it the reader itself has failed. The default would stop the actor.
    fn finished(&mut self, ctx: &mut Self::Context) {
        if matches!(self.connection, Connection::Connected | Connection::Replaced) {
            self.wait(
                OriginateError::NotConnected("the reader of events failed".to_owned()),
                ctx,
            );
        }
    }
}

#[cfg(test)]
mod tests;
