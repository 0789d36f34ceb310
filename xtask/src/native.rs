//! The algorithms on heap memory with the machine's own threads and atomics, in the very models
//! that loom and shuttle explore: under Miri and under the sanitizers, which see what a model
//! checker does not look for. Besides, the tests of the surface that a sanitizer can follow.

use crate::passes::{Output, executables, root, target};
use crate::tree::copy_library;
use std::path::Path;
use std::process::Command;

/// The host; a sanitizer wants to be told.
const HOST: &str = "x86_64-unknown-linux-gnu";
/// The models, with nothing in between them and the machine.
const NATIVE: &str = "--cfg shuttle --cfg native";

/// A nightly compiler's way to look at a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Watcher {
    /// With so many schedules of each model.
    Miri {
        seeds: u32,
    },
    Asan,
    Tsan,
}

impl Watcher {
    /// Miri, as it is asked for.
    pub(crate) fn miri(arguments: &[String]) -> Result<Self, String> {
        let seeds = match arguments {
            [] => 16,
            [flag, seeds] if flag == "--seeds" => seeds
                .parse()
                .map_err(|_| format!("{seeds} is no number of seeds"))?,
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

    /// The tests of the surface that it follows. Miri maps no memory. TSan takes what two threads
    /// reach through two mappings for two places, and knows nothing of processes: these share one
    /// mapping.
    fn surface(self) -> &'static [&'static str] {
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

    /// Runs all that it follows, or the models alone.
    pub(crate) fn run(self, arguments: &[String]) -> Result<(), String> {
        let with_surface = match arguments {
            [] => !self.surface().is_empty(),
            [flag] if flag == "--models" => false,
            _ => {
                return Err(format!(
                    "usage: cargo run -p xtask -- {} [--models]",
                    self.name()
                ));
            }
        };
        self.watch_models(root(), &target(), Output::Shown)?;
        if with_surface {
            let mut tests = self.cargo("test", root(), &target());
            tests.arg("--no-run");
            tests.args(self.surface().iter().flat_map(|test| ["--test", test]));
            self.watch_all(&executables(&mut tests)?, Output::Shown)?;
        }
        Ok(())
    }

    /// The models and unit tests of the sources in `tree`.
    pub(crate) fn watch_models(
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
        self.watch_all(&executables(&mut models)?, output)
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
            // The standard library's locks are seen only if they are built for it.
            cargo.arg("-Zbuild-std");
        }
        cargo
    }

    fn watch_all(self, tests: &[String], output: Output) -> Result<(), String> {
        for test in tests {
            let mut test = Command::new(test);
            test.current_dir(root());
            // A child that is killed need not account for its memory, and one report is enough.
            test.env("ASAN_OPTIONS", "detect_leaks=0");
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
