//! Compiles the protos without an installed protoc: Rust code for ours, and one descriptor set with all of them.

use std::{env, error::Error, fs, path::PathBuf};

const PACKAGE: &str = "ipmhub.invitations.v1";

/// What nothing else imports; the other files come along as imports.
const OURS: [&str; 4] = [
    "ipmhub/invitations/v1/account_service.proto",
    "ipmhub/invitations/v1/error_reason.proto",
    "ipmhub/invitations/v1/invitation_service.proto",
    "ipmhub/invitations/v1/organization_service.proto",
];

/// Imported by none of ours, but without them clients of reflection and JSON transcoders cannot show error details.
const DETAILS: [&str; 2] = ["google/rpc/error_details.proto", "google/rpc/status.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    println!("cargo:rerun-if-changed=proto-vendor");

    let mut compiler = protox::Compiler::new(["proto", "proto-vendor"])?;
    compiler.include_imports(true).include_source_info(true).open_files(OURS)?.open_files(DETAILS)?;

    // The encoded form keeps the custom options (HTTP routes, field behaviour); `file_descriptor_set()` drops them.
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptor.bin"), compiler.encode_file_descriptor_set())?;

    // Annotations are no Rust types. The well-known ones are looked at, but come from prost-types.
    let mut rust = compiler.file_descriptor_set();
    rust.file.retain(|file| [PACKAGE, "google.protobuf"].contains(&file.package()));
    tonic_prost_build::configure()
        // The derived one would print the code; `src/pb.rs` has one that does not.
        .skip_debug([format!(".{PACKAGE}.RequestAccessRequest")])
        .compile_fds(rust)?;
    Ok(())
}
