//! Runs the models of loom and shuttle on heap memory, with real threads and atomics, under Miri
//! and the sanitizers. These find errors that a model checker does not look for. The sanitizers
//! also run the tests of the public interface that they support.

use crate::passes::{Output, executables, root, target};
use crate::tree::copy_library;
use std::path::Path;
use std::process::Command;

/// The host. A sanitizer needs an explicit target.
const HOST: &str = "x86_64-unknown-linux-gnu";
/// Builds the models on real threads and atomics.
const NATIVE: &str = "--cfg shuttle --cfg native";

/// A dynamic analysis of the nightly toolchain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Analyzer {
    /// With `seeds` schedules of each model.
    Miri {
        seeds: u32,
    },
    Asan,
    Tsan,
}

impl Analyzer {
    /// Miri, with the options of the command line.
    pub(crate) fn miri(arguments: &[String]) -> Result<Self, String> {
        let seeds = match arguments {
            [] => 16,
            [flag, seeds] if flag == "--seeds" => seeds
                .parse()
                .map_err(|_| format!("--seeds: found \"{seeds}\", expected a number"))?,
            _ => return Err("usage: cargo run -p xtask -- miri [--seeds N]".to_owned()),
        };
        Ok(Self::Miri { seeds })
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Miri { .. } => "miri",
            Self::Asan => "asan",
            Self::Tsan => "tsan",
        }
    }

    /// The tests of the public interface that it supports. Miri cannot map shared memory. TSan
    /// treats two mappings of the same bytes as different memory and does not follow processes, so
    /// it runs only the tests with threads and one mapping.
    fn supported(self) -> &'static [&'static str] {
        match self {
            Self::Miri { .. } => &[],
            Self::Asan => &[
                "batches",
                "claims",
                "hostile",
                "mpmc",
                "mpmc_batches",
                "mpmc_properties",
                "observer",
                "payloads",
                "properties",
                "scribbler",
                "threads",
                "waiting",
            ],
            Self::Tsan => &["threads"],
        }
    }

    /// Runs the models, and the supported tests unless `--models` is given.
    pub(crate) fn run(self, arguments: &[String]) -> Result<(), String> {
        let with_tests = match arguments {
            [] => !self.supported().is_empty(),
            [flag] if flag == "--models" => false,
            _ => {
                return Err(format!(
                    "usage: cargo run -p xtask -- {} [--models]",
                    self.name()
                ));
            }
        };
        self.run_models(root(), &target(), Output::Shown)?;
        if with_tests {
            let mut tests = self.cargo("test", root(), &target());
            tests.arg("--no-run");
            tests.args(self.supported().iter().flat_map(|test| ["--test", test]));
            self.run_all(&executables(&mut tests)?, Output::Shown)?;
        }
        Ok(())
    }

    /// Runs the models and unit tests of the sources in `tree`.
    pub(crate) fn run_models(
        self,
        tree: &Path,
        target: &Path,
        output: Output,
    ) -> Result<(), String> {
        let library = target.join("library");
        copy_library(tree, &library)?;
        if let Self::Miri { seeds } = self {
            let many = format!("-Zmiri-many-seeds=0..{seeds} -Zmiri-preemption-rate=0.05");
            for (rustflags, miriflags) in [(NATIVE, &*many), ("", "")] {
                let mut miri = cargo(&library, &target.join(self.name()), rustflags);
                miri.args(["miri", "test", "--lib"]);
                output.of(miri.env("MIRIFLAGS", miriflags))?;
            }
            return Ok(());
        }
        let mut models = self.cargo("rustc", &library, target);
        models.args(["--lib", "--profile", "test", "--"]);
        models.args(NATIVE.split(' '));
        self.run_all(&executables(&mut models)?, output)
    }

    fn cargo(self, verb: &str, tree: &Path, target: &Path) -> Command {
        let sanitizer = match self {
            Self::Tsan => "-Zsanitizer=thread",
            _ => "-Zsanitizer=address",
        };
        let mut cargo = cargo(tree, &target.join(self.name()), sanitizer);
        cargo.args([verb, "--package", "slipring", "--target", HOST]);
        cargo.args(["--message-format", "json-render-diagnostics"]);
        if self == Self::Tsan {
            // TSan sees the locks of the standard library only if it is instrumented too.
            cargo.arg("-Zbuild-std");
        }
        cargo
    }

    fn run_all(self, tests: &[String], output: Output) -> Result<(), String> {
        for test in tests {
            let mut test = Command::new(test);
            test.current_dir(root());
            // A killed child cannot free its memory.
            test.env("ASAN_OPTIONS", "detect_leaks=0");
            // One report is enough.
            test.env("TSAN_OPTIONS", "halt_on_error=1");
            output.of(&mut test)?;
        }
        Ok(())
    }
}

fn cargo(tree: &Path, target: &Path, rustflags: &str) -> Command {
    let mut cargo = Command::new("cargo");
    cargo
        .arg("+nightly")
        .current_dir(tree)
        .env("RUSTFLAGS", rustflags)
        .env("CARGO_TARGET_DIR", target)
        .env("CARGO_PROFILE_DEV_DEBUG", "line-tables-only")
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    cargo
}
