//! The Mege API Gateway.

pub mod actor;
pub mod pac;
pub mod telephony;
