//! Makes the library that stands between a node and its clocks, which the harness has in itself: whoever has the one has the other.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

fn main() {
    for source in ["build.rs", "clock/preload.rs", "clock/page.rs"] {
        println!("cargo::rerun-if-changed={source}");
    }
    let given = |name: &str| env::var(name).unwrap_or_default();
    let library = PathBuf::from(given("OUT_DIR")).join("clock.so");
    let is_known = given("CARGO_CFG_TARGET_OS") == "linux"
        && given("CARGO_CFG_TARGET_ENV") == "gnu"
        && ["x86_64", "aarch64"].contains(&given("CARGO_CFG_TARGET_ARCH").as_str());
    if !is_known {
        // The harness says that it has none.
        fs::write(&library, []).expect("cargo's folder for what is built can be written");
        return;
    }
    let mut compile = Command::new(given("RUSTC"));
    compile
        .args([
            "clock/preload.rs",
            "--crate-name=clock",
            "--crate-type=cdylib",
            "--edition=2024",
        ])
        .args(["-Copt-level=2", "-Cpanic=abort", "-Cstrip=symbols"])
        .arg(format!("--target={}", given("TARGET")))
        .arg("-o")
        .arg(&library);
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        let mut flag = std::ffi::OsString::from("-Clinker=");
        flag.push(linker);
        compile.arg(flag);
    }
    let status = compile.status().expect("cargo's compiler can be started");
    assert!(
        status.success(),
        "the library of clocks can't be compiled: {status}"
    );
}
