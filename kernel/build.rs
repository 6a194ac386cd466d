//! Has the linker lay the image out as `link.ld` says, when building for the bare machine.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=link.ld");
    println!("cargo::rerun-if-changed=build.rs");
    // On a host the package is a library with tests and a program that says where it boots.
    if env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "none") {
        let folder = env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
        for argument in [
            format!("-T{folder}/link.ld"),
            "--no-dynamic-linker".into(),
            "-zmax-page-size=0x10000".into(),
            "-znorelro".into(),
            "--build-id=none".into(),
        ] {
            println!("cargo::rustc-link-arg-bins={argument}");
        }
    }
}
