//! What the project does with itself beyond one cargo command:
//!
//! - `cargo run -p xtask -- models` runs the models under loom, twice, and under shuttle;
//! - `miri`, `asan` and `tsan` run them on the machine's own threads and atomics, under a nightly
//!   compiler's watch, and with them what else of the tests that can follow;
//! - `aarch64` runs tests under qemu, and rings between the two architectures;
//! - `soak --minutes M` lets processes die in rings for so long;
//! - `spin` runs the models of the protocol, which need Spin and a C compiler;
//! - `mutants` demands that the models find every ordering needed; with part of a path or of a
//!   mistake's name, those only;
//! - `seeded` demands the same of the other checks, of mistakes that each is there to find.

mod aarch64;
mod mistakes;
mod models;
mod mutants;
mod native;
mod passes;
mod seeded;
mod soak;
mod spin;
mod tree;

use native::Watcher;
use std::env;
use std::process::ExitCode;

const USAGE: &str = "usage: cargo run -p xtask -- <models | miri [--seeds N] | asan [--models] | tsan [--models] | aarch64 | \
    soak [--minutes M] | spin [part of a name] | mutants [part of a path or name] | seeded [part of a name]>";

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let rest = arguments.get(1..).unwrap_or_default();
    let part = rest.first().map_or("", String::as_str);
    let done = match arguments.first().map(String::as_str) {
        Some("models") => models::run(),
        Some("miri") => Watcher::miri(rest).and_then(|miri| miri.run(&[])),
        Some("asan") => Watcher::Asan.run(rest),
        Some("tsan") => Watcher::Tsan.run(rest),
        Some("aarch64") => aarch64::run(),
        Some("soak") => soak::run(rest),
        Some("spin") => spin::run(part),
        Some("mutants") => mutants::run(part),
        Some("seeded") => seeded::run(part),
        _ => Err(USAGE.to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    }
}
