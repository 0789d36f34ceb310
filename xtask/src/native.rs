//! The algorithms on heap memory with the machine's own threads and atomics, in the very models
//! that loom and shuttle explore: under Miri and under the sanitizers, which see what a model
//! checker does not look for. Besides, the tests of the surface that a sanitizer can follow.

use crate::passes::{Output, executables, root, target};
use std::path::Path;
use std::process::Command;

/// The host; a sanitizer wants to be told.
const HOST: &str = "x86_64-unknown-linux-gnu";
/// The models, with nothing in between them and the machine.
const NATIVE: [&str; 4] = ["--cfg", "shuttle", "--cfg", "native"];

/// A nightly compiler's way to look at a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Watcher {
    /// With so many schedules of each model.
    Miri { seeds: u32 },
    Asan,
    Tsan,
}

/// The tests of the surface that a watcher follows, the unit tests aside. TSan takes what two
/// threads reach through two mappings for two places, and knows nothing of processes: these share
/// one mapping.
fn surface(watcher: Watcher) -> &'static [&'static str] {
    match watcher {
        // It maps no memory.
        Watcher::Miri { .. } => &[],
        Watcher::Asan => &[
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
            "waiting",
        ],
        Watcher::Tsan => &["threads"],
    }
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

    /// Runs everything that the watcher follows.
    pub(crate) fn run(self) -> Result<(), String> {
        self.watch(root(), &target(), Output::Shown)
    }

    pub(crate) fn watch(self, tree: &Path, target: &Path, output: Output) -> Result<(), String> {
        let target = target.join(self.name());
        match self {
            Self::Miri { seeds } => {
                let seeds = format!("-Zmiri-many-seeds=0..{seeds} -Zmiri-preemption-rate=0.05");
                let native = NATIVE.join(" ");
                for (rustflags, miriflags) in [(&*native, &*seeds), ("", "")] {
                    let mut cargo = cargo(tree, &target, rustflags);
                    cargo.args(["miri", "test", "--package", "slipring", "--lib", "--locked"]);
                    cargo.env("MIRIFLAGS", miriflags);
                    output.of(&mut cargo)?;
                }
                Ok(())
            }
            Self::Asan | Self::Tsan => {
                for test in self.build(tree, &target)? {
                    let mut test = Command::new(test);
                    test.current_dir(tree);
                    // One report is enough, and a killed child need not account for its memory.
                    test.env("ASAN_OPTIONS", "detect_leaks=0");
                    test.env("TSAN_OPTIONS", "halt_on_error=1");
                    output.of(&mut test)?;
                }
                Ok(())
            }
        }
    }

    /// The models first, then the surface: what is in both is built once.
    fn build(self, tree: &Path, target: &Path) -> Result<Vec<String>, String> {
        let sanitizer = match self {
            Self::Tsan => "-Zsanitizer=thread",
            _ => "-Zsanitizer=address",
        };
        let command = |verb: &str| {
            let mut cargo = cargo(tree, target, sanitizer);
            cargo.args([verb, "--package", "slipring", "--target", HOST, "--locked"]);
            cargo.args(["--message-format", "json-render-diagnostics"]);
            if self == Self::Tsan {
                // The standard library's locks are seen only if they are built for it.
                cargo.arg("-Zbuild-std");
            }
            cargo
        };
        let mut models = command("rustc");
        models
            .args(["--lib", "--profile", "test", "--"])
            .args(NATIVE);
        let mut tests = executables(&mut models)?;
        if !surface(self).is_empty() {
            let mut surface_of_it = command("test");
            surface_of_it.arg("--no-run");
            for test in surface(self) {
                surface_of_it.args(["--test", test]);
            }
            tests.extend(executables(&mut surface_of_it)?);
        }
        Ok(tests)
    }
}

fn cargo(tree: &Path, target: &Path, rustflags: &str) -> Command {
    let mut cargo = Command::new("cargo");
    cargo
        .arg("+nightly")
        .current_dir(tree)
        .env("RUSTFLAGS", rustflags)
        .env("CARGO_TARGET_DIR", target)
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    cargo
}
