//! Builds `berth-init` as a static program. It runs inside any image, so it can't use the C library that is found there,
//! and Cargo can't link one program of a package statically; what this makes is embedded in `berth-shim`.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

fn main() {
    const SOURCE: &str = "init/berth-init.rs";
    println!("cargo::rerun-if-changed={SOURCE}");
    let variable = |name: &str| env::var_os(name).unwrap_or_else(|| panic!("cargo sets {name} for build scripts"));
    let mut rustc = Command::new(variable("RUSTC"));
    rustc
        .args(["--edition=2024", "--crate-type=bin", "--crate-name=berth_init", SOURCE])
        .args(["-Copt-level=s", "-Cpanic=abort", "-Cstrip=symbols", "-Ctarget-feature=+crt-static"])
        .arg("--target")
        .arg(variable("TARGET"))
        .arg("-o")
        .arg(PathBuf::from(variable("OUT_DIR")).join("berth-init"));
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        let mut option = OsString::from("-Clinker=");
        option.push(linker);
        rustc.arg(option);
    }
    let status = rustc.status().expect("rustc, which compiled this, can be run");
    assert!(status.success(), "building {SOURCE} failed: {status}");
}
