//! What the build made of `proto/pac/`.
#![expect(
    unreachable_pub,
    clippy::enum_variant_names,
    reason = "generated; the names are the wire's"
)]

pub mod call {
    tonic::include_proto!("call");
}
pub mod sql {
    tonic::include_proto!("sql");
}
