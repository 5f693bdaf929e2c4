//! What benchmarks stand on: parties on processors of their own, clients, and what is said of pairs of runs.

pub(crate) mod fake_ari;
pub(crate) mod gateway;
pub(crate) mod pairs;
pub(crate) mod process;
pub(crate) mod wrk;
