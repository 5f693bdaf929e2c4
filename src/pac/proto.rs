//! PAC's messages and services, generated from `proto/pac`.
#![expect(
    unreachable_pub,
    reason = "generated code is public, this module is the crate's own"
)]

/// Package `call`.
#[expect(clippy::enum_variant_names, reason = "the names are the wire's")]
pub mod call {
    tonic::include_proto!("call");
}

/// Package `sql`.
pub mod sql {
    tonic::include_proto!("sql");
}
