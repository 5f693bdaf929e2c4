//! The integration tests: one binary, so that it is linked once.
#![expect(clippy::expect_used, reason = "a test whose set-up fails says why and ends")]

mod access;
mod any_gateway;
mod ari;
#[cfg(feature = "peers")]
mod ari_real;
mod backfill;
mod bad_input;
#[cfg(feature = "peers")]
mod browser;
mod call_centre;
mod calls;
mod check;
mod collector;
mod contract;
mod demo;
mod deployment;
mod drain;
mod drop_in;
mod fault_proxy;
mod faults;
mod hangup;
mod hostile;
mod integrations;
mod isolation;
mod live_calls;
mod load;
mod migrate;
mod monitoring;
mod no_leak;
mod no_lost_cdr;
#[cfg(feature = "peers")]
mod peers;
#[cfg(feature = "peers")]
mod real_call;
mod recordings;
mod recovery;
mod restart;
mod service_manager;
mod start;
mod support;
mod survival;
mod tls;
mod trunk_rate;
