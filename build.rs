//! Compiles `proto/` in pure Rust: a build needs no protoc.

use std::error::Error;

const PROTOS: [&str; 2] = ["proto/pac/call.proto", "proto/pac/sql.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    // tonic-prost-build does not tell cargo which files it read.
    for proto in PROTOS {
        println!("cargo:rerun-if-changed={proto}");
    }
    let descriptors = protox::compile(PROTOS, ["proto"])?;
    // The server half is for the simulated PBX.
    tonic_prost_build::configure()
        .build_client(true)
        .build_server(true)
        .compile_fds(descriptors)?;
    Ok(())
}
