//! SQLite.

mod connections;
mod error;

pub(crate) use connections::Connections;
