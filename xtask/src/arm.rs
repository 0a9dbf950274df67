//! The tests on another kind of host: aarch64, by QEMU's user mode emulation.

use crate::test::{Tally, cargo, closing, count, has_nextest, quietly, root};
use anyhow::{Context, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

const TARGET: &str = "aarch64-unknown-linux-gnu";
const PROFILE: &str = "checked";
/// It finds the other architecture's libraries where Debian has them, and needs no `-L`.
const QEMU: &str = "qemu-aarch64-static";

/// All that is built, at once: another choice of crates would build their dependencies anew, for other features.
const CRATES: [&str; 14] = [
    "isa", "float", "mem", "cpu", "sem", "interp", "jit", "vmm", "dev", "disk", "net", "machine", "ringer",
    "testkit",
];
/// What runs of it. Not so the tests of `ringer` and most of `testkit`: they start programs, which the emulation would
/// have to be registered with the kernel for, boot guests from outside, measure memory, which would be the emulator's,
/// or have an x86 host as their oracle.
const CHOSEN: &str = "not (package(ringer) + package(testkit)) + kind(lib) + kind(bin) \
     + binary(compiled_simd) + binary(engines_agree) + binary(awkward_moments) + binary(second_engine)";

/// What the build needs of the host.
struct Tools {
    rustc: PathBuf,
    clang: &'static str,
}

fn runs(program: &str) -> bool {
    quietly(Command::new(program).arg("--version"))
}

/// A compiler that has the target's standard library: the one that cargo takes, or Debian's.
fn rustc() -> Option<PathBuf> {
    let usual = std::env::var_os("RUSTC").unwrap_or("rustc".into());
    [PathBuf::from(usual), PathBuf::from("/usr/bin/rustc")].into_iter().find(|rustc| {
        let output = Command::new(rustc).args(["--print", "target-libdir", "--target", TARGET]).output();
        output.is_ok_and(|o| {
            o.status.success() && Path::new(String::from_utf8_lossy(&o.stdout).trim()).is_dir()
        })
    })
}

/// Finds the tools, or says which packages have them.
fn tools() -> anyhow::Result<Tools> {
    let mut missing = Vec::new();
    let rustc = rustc();
    if rustc.is_none() {
        missing.extend(["rustc-web", "libstd-rust-web-dev:arm64"]);
    }
    // the newer is what comes with Debian's newer compiler
    let clang = ["clang-22", "clang"].into_iter().find(|c| runs(c));
    if clang.is_none() {
        missing.push("clang-22");
    }
    if !runs("ld.lld") && !runs("ld.lld-22") {
        missing.push("lld-22");
    }
    if !runs(QEMU) {
        missing.push("qemu-user-static");
    }
    if !Path::new("/usr/aarch64-linux-gnu/lib/crt1.o").exists() {
        missing.push("libc6-dev-arm64-cross");
    }
    if !Path::new("/usr/lib/gcc-cross/aarch64-linux-gnu").is_dir() {
        missing.push("libgcc-12-dev-arm64-cross");
    }
    if !Path::new("/lib/ld-linux-aarch64.so.1").exists() {
        missing.push("libc6:arm64");
    }
    if !has_nextest() {
        bail!("cargo-nextest is needed: https://nexte.st");
    }
    match (rustc, clang) {
        (Some(rustc), Some(clang)) if missing.is_empty() => Ok(Tools { rustc, clang }),
        _ => bail!(
            "what aarch64 needs is missing; on Debian 12: dpkg --add-architecture arm64 && apt-get update && \
             apt-get install --no-install-recommends {}",
            missing.join(" ")
        ),
    }
}

fn target_directory() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target-arm"), PathBuf::from)
}

/// cargo for the other architecture, in a directory of its own.
fn cross(tools: &Tools, arguments: &[&str]) -> Command {
    let mut command = cargo(arguments);
    let target = |name: &str| format!("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_{name}");
    command
        .env("RUSTC", &tools.rustc)
        .env(target("LINKER"), tools.clang)
        .env(target("RUNNER"), QEMU)
        .env(target("RUSTFLAGS"), "-Clink-arg=--target=aarch64-linux-gnu -Clink-arg=-fuse-ld=lld")
        .env("CC_aarch64_unknown_linux_gnu", tools.clang)
        .env("CFLAGS_aarch64_unknown_linux_gnu", "--target=aarch64-linux-gnu");
    command.env("CARGO_TARGET_DIR", target_directory());
    // emulated, a case costs some sixty times as much
    for (name, cases) in [("RINGER_FP_CASES", "5"), ("PROPTEST_CASES", "32")] {
        if std::env::var_os(name).is_none() {
            command.env(name, cases);
        }
    }
    command
}

/// Builds and runs the tests that need no x86 host, and the embedded guest. `Ok(false)`: something failed.
///
/// # Errors
/// A tool is missing, or cargo cannot be run.
pub fn all() -> anyhow::Result<bool> {
    let started = Instant::now();
    let tools = tools()?;
    println!("== tests on {TARGET}");
    let mut arguments =
        vec!["nextest", "run", "--target", TARGET, "--cargo-profile", PROFILE, "--profile", "arm"];
    arguments.extend(["--no-fail-fast", "--filterset", CHOSEN]);
    arguments.extend(CRATES.iter().flat_map(|name| ["--package", name]));
    let mut sum = count(cross(&tools, &arguments))?;
    sum.add(Tally::step(embedded()?));
    Ok(closing(started, sum))
}

/// The embedded guest in compiled code, by the program that was built for the tests: whether it powers off, and the
/// meter is shown.
fn embedded() -> anyhow::Result<bool> {
    println!("== the embedded guest");
    let ringer = target_directory().join(TARGET).join(PROFILE).join("ringer");
    let output = Command::new(QEMU).arg(ringer).env("RINGER_HOT", "3").stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("{QEMU} cannot be run"))?;
    let (said, wrong) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    print!("{said}");
    eprint!("{wrong}");
    // a word on the standard error is that there is no JIT
    Ok(output.status.success() && wrong.is_empty() && said.contains("The efficiency meter:"))
}
