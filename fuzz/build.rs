//! Gives what the tests share the folder that cargo gives to tests only, and tells it to keep nothing.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-env=KEEPS_NO_EVIDENCE=1");
    println!("cargo:rustc-env=CARGO_TARGET_TMPDIR={}", env::var("OUT_DIR").unwrap_or_default());
}
