//! The integration tests: one binary, so that it is linked once.
#![expect(clippy::expect_used, reason = "a test whose set-up fails says why and ends")]

mod ari;
#[cfg(feature = "peers")]
mod ari_real;
mod bad_input;
mod check;
mod collector;
mod contract;
mod demo;
mod doors;
mod isolation;
mod no_lost_cdr;
#[cfg(feature = "peers")]
mod peers;
#[cfg(feature = "peers")]
mod real_call;
mod start;
mod support;
mod survival;
