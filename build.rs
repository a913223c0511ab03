//! Compiles the protos without an installed protoc: Rust code for ours, and one descriptor set with all of them.

use std::{env, error::Error, fmt::Write, fs, path::PathBuf};

use prost_types::FileDescriptorSet;

const PACKAGE: &str = "ipmhub.invitations.v1";

/// What nothing else imports; the other files come along as imports.
const OURS: [&str; 6] = [
    "ipmhub/invitations/v1/account_service.proto",
    "ipmhub/invitations/v1/error_reason.proto",
    "ipmhub/invitations/v1/field_reason.proto",
    "ipmhub/invitations/v1/invitation_service.proto",
    "ipmhub/invitations/v1/mail_service.proto",
    "ipmhub/invitations/v1/organization_service.proto",
];

/// Imported by none of ours, but without them clients of reflection and JSON transcoders cannot show error details.
const DETAILS: [&str; 2] = ["google/rpc/error_details.proto", "google/rpc/status.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    println!("cargo:rerun-if-changed=proto-vendor");
    println!("cargo:rerun-if-env-changed=INVITATIONS_COMMIT");
    // what --version says; the Dockerfile knows the commit
    let commit = env::var("INVITATIONS_COMMIT").unwrap_or_default();
    let commit = if commit.is_empty() { commit } else { format!(" ({commit})") };
    println!("cargo:rustc-env=INVITATIONS_VERSION={}{commit}", env::var("CARGO_PKG_VERSION")?);

    let mut compiler = protox::Compiler::new(["proto", "proto-vendor"])?;
    compiler.include_imports(true).include_source_info(true).open_files(OURS)?.open_files(DETAILS)?;

    // The encoded form keeps the custom options (HTTP routes, field behaviour); `file_descriptor_set()` drops them.
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptor.bin"), compiler.encode_file_descriptor_set())?;

    fs::write(out.join("method.rs"), methods(&compiler.file_descriptor_set()))?;

    // Annotations are no Rust types. The well-known ones are looked at, but come from prost-types.
    let mut rust = compiler.file_descriptor_set();
    rust.file.retain(|file| [PACKAGE, "google.protobuf"].contains(&file.package()));
    let mut names = tonic_prost_build::Config::new();
    names.enable_type_names();
    // a request is digested in the order of its keys
    names.btree_map(["."]);
    names.extern_path(".google.rpc.Status", "::tonic_types::pb::Status");
    let has_server = env::var_os("CARGO_FEATURE_SERVER").is_some();
    tonic_prost_build::configure()
        .build_server(has_server)
        // who only calls reads answers, and these are not bounded
        .codec_path(if has_server { "crate::pb::Bounded" } else { "tonic_prost::ProstCodec" })
        // The derived ones would print the code; `src/pb.rs` has some that do not.
        .skip_debug(["RequestAccessRequest", "VerifyNotificationEmailRequest"].map(|name| format!(".{PACKAGE}.{name}")))
        .compile_fds_with_config(rust, names)?;
    Ok(())
}

/// The enum of our RPCs: what has one `match` over it has a place for each of them, or does not compile.
fn methods(files: &FileDescriptorSet) -> String {
    let services = files.file.iter().filter(|file| file.package() == PACKAGE).flat_map(|file| &file.service);
    let rpcs = services.flat_map(|service| service.method.iter().map(move |method| (service.name(), method.name())));
    let (mut names, mut all, mut paths) = (String::new(), String::new(), String::new());
    for (service, rpc) in rpcs {
        writeln!(names, "    {rpc},").ok();
        write!(all, "Self::{rpc}, ").ok();
        writeln!(paths, "            Self::{rpc} => \"/{PACKAGE}.{service}/{rpc}\",").ok();
    }
    format!(
        "/// An RPC of the contract.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Method {{
{names}}}

impl Method {{
    pub const ALL: &[Self] = &[{all}];

    /// The path of its calls: `/{{package}}.{{service}}/{{name}}`.
    pub fn path(self) -> &'static str {{
        match self {{
{paths}        }}
    }}
}}
"
    )
}
