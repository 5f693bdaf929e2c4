//! The routes, one file each.

pub(super) mod audit;
pub(super) mod calls;
pub(super) mod cdr;
pub(super) mod documents;
pub(super) mod health;
pub(super) mod integrations;
pub(super) mod keys;
pub(super) mod last_call_id;
pub(super) mod make_call;
pub(super) mod media;
