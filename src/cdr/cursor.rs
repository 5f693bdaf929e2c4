//! The old cursor: what a `call_id` that a client was given says of what it has.
//!
//! A client of the original polls with the greatest `call_id` it has seen, some with that of the last row. A call's id
//! is minted at its start and its legs are stored at its end, so a long call is stored with a smaller id than others
//! before it: comparing ids never finds it. So a store remembers, for each client, the `seq` up to which a reply was
//! whole when it handed out an id, and answers that id with what was stored since.
//!
//! **The invariant.** If `seq` is remembered for a client's `call_id`, every leg up to `seq` was in the reply that handed
//! the id out, or in one before it, or was stored before the client's first and is not for it. From it follows that a
//! client that takes replies as a whole, however many it loses on the way, ends with every leg. What keeps it:
//! * The head of the feed is read before the first page, so what is stored during the reading counts as stored since.
//! * The id is remembered before the reply is whole, and the reply fails if it cannot be. A reply that breaks off hands
//!   nothing out.
//! * Handed out again, an id keeps its smallest `seq`: two processes of one client, or two clients that look like one and
//!   send what they were handed, get more rows, never fewer. One that comes with an id from elsewhere, which another that
//!   looks like it was handed, is taken for that other.
//! * Of legs with no greater id than the one asked with at most [`LATE`] are in a reply, those stored first, and what
//!   such a reply hands out stands for no more than they do. So a client whose id does not move on, since nobody calls,
//!   gets the same few again and not all that a backfill stores meanwhile; each younger call moves it on.
//! * The id of a reply's last row stands for less where the reply has greater ones: these are answered again, as the
//!   original does. So a client that takes half a reply and goes on with the greatest id of that half loses no more than
//!   with the original: a reply has every leg with a greater id than any that the client has seen.
//! * An id from elsewhere is answered as the original does, and remembered from then on: legs with a smaller id that are
//!   stored later are answered to it too, and those with a greater one again, as the original does. Of a client
//!   that has many of them only some are written: after a stop the others are new again.
//! * An id from the future, of a call during which 3CX's clock was ahead, stays a client's greatest until that clock is there
//!   again. So it does not keep its smallest `seq`: each reply to it goes on where the one before the last ended, and a
//!   client that loses two replies one after the other loses what was in both. Such an id is nobody's last one.
//! * An id that is not remembered (any more), or whose `seq` the feed has not reached, says nothing: it is compared
//!   with others, as the original does.

use uuid::Uuid;

/// How many legs with no greater id than the one asked with a reply has at most: some 2 MiB.
pub(super) const LATE: usize = 5_000;

/// For how many days an id is remembered after it was last handed out.
pub(super) const REMEMBERED_DAYS: i32 = 90;

/// How many ids of one client at one 3CX are remembered: those handed out last. Two go with each reply.
pub(super) const REMEMBERED_IDS: usize = 10_000;

/// How many ids are remembered in all: 73 MB in SQLite.
pub(super) const REMEMBERED_IN_ALL: usize = 200_000;

/// Ids that are too old or too many are looked for once in so many replies whose ids are written.
pub(super) const FORGET_EVERY: u32 = 64;

/// How many of each are forgotten then: more than were written since, and few enough to delay nobody.
pub(super) const FORGET_AT_ONCE: usize = 500;

/// What is remembered of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Since {
    /// Legs stored after this are answered,
    pub seq: i64,
    /// and legs with a greater id that were stored after this, which is not greater.
    pub greater: i64,
}

/// What a poll answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resumed {
    /// What is remembered. None: legs with a greater id are answered, as the original does.
    pub since: Option<Since>,
    /// Up to which `seq` the reply will be whole. Of what was stored since, later legs are in it only if their id is
    /// greater than the one asked with.
    pub until: i64,
    /// What the id stands for from here on, where it is from the future: where the reply before this one ended.
    pub next: Option<i64>,
}

/// The ids that a client may come back with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandedOut {
    /// The reply's greatest; none where it has no row.
    pub greatest: Option<Uuid>,
    /// That of its last row.
    pub last: Option<Uuid>,
    /// The one that it was asked with, where that came from elsewhere, such as the original.
    pub asked: Option<Uuid>,
    /// Since which `seq` the reply answers greater ids; 0 where it answers as the original.
    pub from: i64,
    /// See [`Resumed::until`].
    pub until: i64,
}

#[cfg(test)]
mod tests;
