//! The Mege API Gateway.

pub mod actor;
pub mod ari;
pub mod cdr;
pub mod cli;
pub mod command;
pub mod database;
pub mod http;
pub mod ledger;
pub mod pac;
pub mod settings;
pub mod simulator;
pub mod startup;
pub mod telemetry;
pub mod telephony;
