//! The project's own checks, beyond a single cargo command. [`USAGE`] lists them.

mod aarch64;
mod git;
mod language;
mod mistakes;
mod models;
mod mutants;
mod native;
mod passes;
mod pattern;
mod seeded;
mod selection;
mod soak;
mod spin;
mod test_path;
mod tree;

use native::Analyzer;
use std::env;
use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo run -p xtask -- <command>

  models              Run the models under loom, twice, and under shuttle.
  miri [--seeds N]    Run the models on real threads under Miri, with N schedules of each.
  asan [--models]     Run the models on real threads under ASan, and tests that support it.
  tsan [--models]     Run the models on real threads under TSan, and tests that support it.
  aarch64             Run tests under qemu, and exchange rings between the architectures.
  soak [--minutes M]  Kill and stop processes in rings for M minutes.
  spin [PART]         Run the models of the protocol. Needs Spin and a C compiler.
  mutants [SELECT]    Check that the models find each weakened ordering and each mistake of
                      xtask/mistakes.
  seeded [SELECT]     Check that the other checks find the mistakes of xtask/seeded.
  language            Check words, the width of Markdown lines and the names of tests.

SELECT is any of:
  PART                Only what has PART in its path or name.
  --changed [BASE]    Only what is in files that changed since BASE. The default is the commit
                      that is shared with origin/main, or the commit before the last one.
  --minutes N         Start nothing after N minutes; for mutants, after the unchanged models have
                      run. What was not tried is counted, and is no failure.";

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let rest = arguments.get(1..).unwrap_or_default();
    let done = match arguments.first().map(String::as_str) {
        Some("models") => models::run(),
        Some("miri") => Analyzer::miri(rest).and_then(|miri| miri.run(&[])),
        Some("asan") => Analyzer::Asan.run(rest),
        Some("tsan") => Analyzer::Tsan.run(rest),
        Some("aarch64") => aarch64::run(),
        Some("soak") => soak::run(rest),
        Some("spin") => spin::run(rest.first().map_or("", String::as_str)),
        Some("mutants") => mutants::run(rest),
        Some("seeded") => seeded::run(rest),
        Some("language") => language::run(),
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
