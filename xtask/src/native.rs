//! Runs the models of loom and shuttle on heap memory, with real threads and atomics, under Miri
//! and the sanitizers. These find errors that a model checker does not look for. The sanitizers
//! also run the tests of the public interface that they support.

use crate::passes::{Output, executables, root, target};
use crate::test_path;
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
                "tests/api/batches.rs",
                "tests/api/claims.rs",
                "tests/hostile/corrupt_words.rs",
                "tests/api/mpmc_rings.rs",
                "tests/api/mpmc_batches.rs",
                "tests/lifecycle/observer.rs",
                "tests/api/payloads.rs",
                "tests/api/properties.rs",
                "tests/hostile/random_writes.rs",
                "tests/api/threads.rs",
                "tests/waiting/blocking.rs",
            ],
            Self::Tsan => &["tests/api/threads.rs"],
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
            let programs = test_path::programs(self.supported());
            let mut tests = self.cargo("test", root(), &target());
            tests.arg("--no-run");
            tests.args(programs.keys().flat_map(|program| ["--test", program]));
            for test in executables(&mut tests)? {
                let filters = &programs[test_path::name_of(&test)];
                Self::run_tests(&test, filters, Output::Shown)?;
            }
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
        for test in executables(&mut models)? {
            Self::run_tests(&test, &[], output)?;
        }
        Ok(())
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

    fn run_tests(test: &str, filters: &[String], output: Output) -> Result<(), String> {
        let mut test = Command::new(test);
        test.args(filters).current_dir(root());
        // A killed child cannot free its memory.
        test.env("ASAN_OPTIONS", "detect_leaks=0");
        // One report is enough.
        test.env("TSAN_OPTIONS", "halt_on_error=1");
        output.of(&mut test)
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

#[cfg(test)]
mod tests {
    use super::Analyzer;
    use crate::passes::root;

    #[test]
    fn every_supported_test_file_exists() {
        for path in [Analyzer::Asan, Analyzer::Tsan]
            .map(Analyzer::supported)
            .concat()
        {
            assert!(root().join(path).exists(), "{path}");
        }
    }
}
