//! What tests ask an actor's handle.

use actix::{Actor, Context};

use super::{ActorHandle, Class, Load};

impl<A: Actor<Context = Context<A>>> ActorHandle<A> {
    /// What one class of its operations has to do; none of a class that it has not.
    pub fn load_of(&self, class: Class) -> Option<Load> {
        self.load().into_iter().find(|load| load.class == class)
    }

    /// How many requests of a class are in flight.
    pub fn in_flight(&self, class: Class) -> usize {
        self.load_of(class).map_or(0, |load| load.in_flight)
    }
}
