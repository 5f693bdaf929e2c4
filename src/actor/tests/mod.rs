//! An actor that misbehaves on request, and what the rest of the module promises about it.

mod circuit;
mod lifecycle;
mod load;
mod operate;

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::thread::ThreadId;
use std::time::Duration;

use actix::{Actor, ActorContext as _, Context, Handler, ResponseFuture};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{
    ActorHandle, Ask, Backoff, Class, Classify, FailureClass, Health, Limits, Placement, Reply, Request,
    RestartPolicy, Spawn,
};

const SECOND: Duration = Duration::from_secs(1);
const MILLI: Duration = Duration::from_millis(1);

/// Longer than anything takes on a machine that is busy with other things too.
const LIMIT: Duration = Duration::from_secs(60);

/// Added to a request's number for what it does at its end.
const LATER: usize = 1_000;

/// What the probe is to do.
#[derive(Debug, Clone, Copy)]
enum Act {
    Answer,
    Sleep(Duration),
    /// Works until the world is released.
    Hold,
    /// The same, and only then does something outside.
    HoldFirst,
    /// Blocks its thread until the world is released.
    Block,
    PanicInHandler,
    PanicInWork,
    PanicDetached,
    PanicWhenDropped,
    Refuse(FailureClass),
    StopItself,
}

/// What the probe may answer instead, with what it says of what is behind the probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Refused(FailureClass);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "refused: {:?}", self.0)
    }
}

impl Classify for Refused {
    fn failure_class(&self) -> FailureClass {
        self.0
    }
}

/// One request, told from the others by its number.
#[derive(Debug)]
struct Do(usize, Act);

impl Request for Do {
    type Reply = ThreadId;
    type Error = Refused;
    const OPERATION: &'static str = "do";
    const CLASS: Class = Class::Read;
}

/// What the probe did, as the world outside would have seen it.
#[derive(Debug, Default)]
struct World {
    effects: Mutex<HashSet<usize>>,
    working: AtomicUsize,
    peak: AtomicUsize,
    built: AtomicUsize,
    blocked: AtomicUsize,
    released: CancellationToken,
    /// The name of the span that the latest request was done in.
    span: Mutex<Option<&'static str>>,
}

impl World {
    fn effects(&self) -> MutexGuard<'_, HashSet<usize>> {
        self.effects.lock().unwrap()
    }

    fn begin(self: &Arc<Self>, number: usize) -> Working {
        assert!(self.effects().insert(number), "request {number} was begun twice");
        let now = self.working.fetch_add(1, Ordering::SeqCst) + 1;
        self.peak.fetch_max(now, Ordering::SeqCst);
        *self.span.lock().unwrap() = tracing::Span::current().metadata().map(tracing::Metadata::name);
        Working(Arc::clone(self))
    }
}

struct Working(Arc<World>);

impl Drop for Working {
    fn drop(&mut self) {
        self.0.working.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Blocks the thread.
fn block_until(released: &CancellationToken) {
    while !released.is_cancelled() {
        std::thread::sleep(MILLI);
    }
}

struct Probe {
    world: Arc<World>,
    health: Health,
    panic_in_started: bool,
    panic_when_dropped: bool,
}

impl Drop for Probe {
    fn drop(&mut self) {
        assert!(!self.panic_when_dropped, "in drop");
    }
}

impl Actor for Probe {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Self::Context) {
        assert!(!self.panic_in_started, "in started");
    }
}

impl Handler<Ask<Do>> for Probe {
    type Result = ResponseFuture<Reply<Do>>;

    fn handle(&mut self, ask: Ask<Do>, ctx: &mut Self::Context) -> Self::Result {
        match ask.message().1 {
            Act::Block => {
                self.world.blocked.fetch_add(1, Ordering::SeqCst);
                block_until(&self.world.released);
            }
            Act::PanicInHandler => panic!("in the handler"),
            Act::PanicDetached => {
                super::spawn_detached(&self.health, "background", async { panic!("in the background") });
            }
            Act::PanicWhenDropped => {
                self.panic_when_dropped = true;
                panic!("in the handler");
            }
            Act::StopItself => ctx.stop(),
            Act::Answer | Act::Sleep(_) | Act::Hold | Act::HoldFirst | Act::Refuse(_) | Act::PanicInWork => {}
        }
        let world = Arc::clone(&self.world);
        ask.run(move |Do(number, act), _| async move {
            let _working = world.begin(number);
            if let Act::Sleep(time) = act {
                sleep(time).await;
            }
            if let Act::Hold | Act::HoldFirst = act {
                world.released.cancelled().await;
            }
            if let Act::HoldFirst = act {
                world.effects().insert(LATER + number);
            }
            assert!(!matches!(act, Act::PanicInWork), "in the work");
            if let Act::Refuse(failure_class) = act {
                return Err(Refused(failure_class));
            }
            Ok(std::thread::current().id())
        })
    }
}

fn limits(in_flight: usize, waiting: usize, wait: Duration) -> Limits {
    Limits {
        in_flight,
        waiting,
        wait_ms: u64::try_from(wait.as_millis()).unwrap(),
    }
}

/// Whether it is certain that the work was never begun.
fn never_begun<E>(error: &super::AskError<E>) -> bool {
    use super::AskError::*;
    match error {
        Saturated { .. } | CircuitOpen { .. } | Paused | Restarting { .. } | Failed => true,
        DeadlineExceeded { begun } => !begun,
        Interrupted | Reply(_) => false,
    }
}

/// How the tests start a probe: restarted at once, and as often as need be.
fn how(placement: Placement, limits: Limits) -> Spawn {
    Spawn {
        name: "probe".to_owned(),
        limits: vec![(Class::Read, limits)],
        placement,
        restart: RestartPolicy {
            backoff: Backoff::new(MILLI, MILLI),
            budget: usize::MAX,
            window: 60 * SECOND,
        },
        depends_on: Vec::new(),
    }
}

/// Starts a probe; `panics` says of each life, counted from 0, whether it panics in its factory or in `started`.
fn start_with(
    spawn: Spawn,
    panics: impl Fn(usize) -> (bool, bool) + Send + Sync + 'static,
) -> (ActorHandle<Probe>, Arc<World>) {
    let world = Arc::<World>::default();
    let seen = Arc::clone(&world);
    let handle = super::spawn(spawn, move |health| {
        let (in_factory, panic_in_started) = panics(world.built.fetch_add(1, Ordering::SeqCst));
        assert!(!in_factory, "in the factory");
        Probe {
            world: Arc::clone(&world),
            health: health.clone(),
            panic_in_started,
            panic_when_dropped: false,
        }
    });
    (handle, seen)
}

fn start(placement: Placement) -> (ActorHandle<Probe>, Arc<World>) {
    start_with(how(placement, limits(8, 0, SECOND)), |_| (false, false))
}

async fn ask(handle: &ActorHandle<Probe>, number: usize, act: Act) -> Reply<Do> {
    timeout(2 * LIMIT, handle.ask(Do(number, act), Instant::now() + LIMIT))
        .await
        .expect("an ask never hangs")
}

/// Asks until the probe answers, and says how it did.
async fn answers(handle: &ActorHandle<Probe>, number: usize) {
    until("the probe answers", async || {
        ask(handle, number, Act::Answer).await.is_ok()
    })
    .await;
}

/// Waits until `condition` holds.
async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !condition().await {
        assert!(Instant::now() < deadline, "in vain: {what}");
        sleep(MILLI).await;
    }
}
