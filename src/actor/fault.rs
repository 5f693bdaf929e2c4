//! Injected faults: what a bug in an actor would do to it, when a test says so.
//!
//! They are only there for tests, in the feature `test-support`: this package depends on itself with it for its own tests,
//! since those in `tests/it` are another crate, and nothing else turns it on.

use std::convert::Infallible;
use std::time::Duration;

use actix::{Actor, Context};
use tokio::sync::watch;

use super::handle::ActorHandle;

/// What goes wrong with an actor at its next turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InjectedFault {
    /// It panics, as a bug in it would make it.
    Panic,
    /// It keeps its thread busy for so long, as a call that blocks would.
    Block(Duration),
}

/// The fault of an actor that has not happened yet.
#[derive(Debug, Default)]
pub(super) struct Faults(watch::Sender<Option<InjectedFault>>);

impl Faults {
    /// Does what an actor's thread does, and has it suffer what is injected meanwhile.
    pub(super) async fn beside<T>(&self, work: impl Future<Output = T>) -> T {
        tokio::select! {
            biased;
            done = work => done,
            never = self.happen() => match never {},
        }
    }

    async fn happen(&self) -> Infallible {
        let mut pending = self.0.subscribe();
        loop {
            // An error would mean that the sender is gone, and `self` holds it.
            let _ = pending.wait_for(Option::is_some).await;
            match self.0.send_replace(None) {
                Some(InjectedFault::Panic) => panic!("an injected fault"),
                Some(InjectedFault::Block(time)) => std::thread::sleep(time),
                None => {}
            }
        }
    }
}

impl<A: Actor<Context = Context<A>>> ActorHandle<A> {
    /// Injects a fault. A second one before the first has happened takes its place.
    pub fn inject(&self, fault: InjectedFault) {
        self.faults().0.send_replace(Some(fault));
    }
}
