//! Checks aarch64 under qemu: the tests pass, rings are exchanged with x86-64, and the instructions
//! load and store control words with the required orderings.
//!
//! qemu executes instructions in order. The models cover the effects of weak memory.

use crate::passes::{Output, executables, root};
use crate::test_path;
use std::path::Path;
use std::process::Command;

const TARGET: &str = "aarch64-unknown-linux-gnu";
const RUNNER: &str = "qemu-aarch64 -L /usr/aarch64-linux-gnu";

/// Unit and property tests, and tests with threads and processes.
const TESTS: [&str; 11] = [
    "tests/api/batches.rs",
    "tests/api/claims.rs",
    "tests/lifecycle/foreign.rs",
    "tests/api/instructions.rs",
    "tests/api/mpmc_rings.rs",
    "tests/api/mpmc_batches.rs",
    "tests/api/payloads.rs",
    "tests/api/positions.rs",
    "tests/api/properties.rs",
    "tests/lifecycle/redelivery.rs",
    "tests/api/threads.rs",
];

/// The tests that exchange rings between the two architectures.
const FOREIGN: &str = "tests/lifecycle/foreign.rs";

/// The functions with instructions to check.
const INSTRUCTIONS: &str = "tests/api/instructions.rs";

/// What qemu does not support, and the tests that need it.
const SKIPPED: [(&str, &[&str]); 4] = [
    (
        "ptrace",
        &[
            "tests/waiting/system_calls.rs",
            "tests/process_wide/clocks.rs",
            "tests/stress/growth_kill_points.rs",
            "tests/stress/kill_points.rs",
            "tests/backings/sysv.rs",
        ],
    ),
    (
        "namespaces",
        &[
            "tests/environment/restrictions.rs",
            "tests/liveness/death_proofs.rs",
            "tests/environment/isolation.rs",
        ],
    ),
    (
        "MADV_DONTFORK",
        &[
            "tests/stress/crash.rs",
            "tests/liveness/deaths.rs",
            "tests/lifecycle/fork.rs",
            "tests/stress/leaks.rs",
            "tests/stress/storm.rs",
        ],
    ),
    (
        "seccomp",
        &["tests/errors/kernel.rs", "tests/waiting/membarrier.rs"],
    ),
];

pub(crate) fn run() -> Result<(), String> {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root());
    let built = build(cargo, &TESTS)?;
    check_instructions(&built)?;
    let programs = test_path::programs(&TESTS);
    for test in &built {
        let filters = programs.get(test_path::name_of(test));
        // qemu ignores MADV_DONTFORK: a forked child would inherit the locks of concurrent tests.
        let mut test = under_qemu(test);
        test.args(filters.into_iter().flatten());
        Output::Shown.of(test.args(["--test-threads", "1"]))?;
    }
    for (what, files) in SKIPPED {
        println!(
            "skipped, as qemu does not support {what}: {}",
            files.join(", ")
        );
    }
    let count: usize = SKIPPED.iter().map(|(_, files)| files.len()).sum();
    println!("skipped under qemu: {count} test files");
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root());
    exchange(cargo, foreign_tests(&built)?, Output::Shown)
}

/// Builds the tests of source files, and the unit tests, for aarch64. They are optimised, so that
/// an ordering is one instruction and qemu has less to execute.
fn build(mut cargo: Command, paths: &[&str]) -> Result<Vec<String>, String> {
    let programs = test_path::programs(paths);
    cargo
        .args([
            "test",
            "--package",
            "slipring",
            "--target",
            TARGET,
            "--locked",
        ])
        .args([
            "--no-run",
            "--message-format",
            "json-render-diagnostics",
            "--lib",
        ])
        .args(programs.keys().flat_map(|program| ["--test", program]))
        .env(
            "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER",
            "aarch64-linux-gnu-gcc",
        )
        .env("CARGO_PROFILE_DEV_OPT_LEVEL", "1")
        .env("CARGO_PROFILE_DEV_DEBUG", "0");
    executables(&mut cargo)
}

fn under_qemu(program: &str) -> Command {
    let mut words = RUNNER.split_whitespace();
    let mut qemu = Command::new(words.next().unwrap_or_default());
    qemu.args(words)
        .arg(program)
        .env("SLIPRING_TEST_RUNNER", RUNNER)
        .current_dir(root());
    qemu
}

/// The executable of the tests that exchange rings.
fn foreign_tests(built: &[String]) -> Result<&str, String> {
    test_path::executable(built, test_path::program(FOREIGN))
}

/// Exchanges rings between the two architectures, in both directions. `foreign` is the program
/// for aarch64.
fn exchange(mut cargo: Command, foreign: &str, output: Output) -> Result<(), String> {
    cargo
        .args(["test", "--package", "slipring", "--locked", "--no-run"])
        .args(["--test", test_path::program(FOREIGN)])
        .args(["--message-format", "json-render-diagnostics"]);
    let built = executables(&mut cargo)?;
    let native = foreign_tests(&built)?;
    let module = test_path::module(FOREIGN);
    let mut here = Command::new(native);
    here.arg(&module);
    here.env("SLIPRING_TEST_FOREIGN", format!("{RUNNER} {foreign}"));
    output.of(&mut here)?;
    let mut there = under_qemu(foreign);
    there.arg(&module);
    there.env("SLIPRING_TEST_FOREIGN", native);
    output.of(&mut there)
}

/// Exchanges rings, built from the sources in `tree`.
pub(crate) fn check_exchange(tree: &Path, target: &Path) -> Result<(), String> {
    let built = build(in_copy(tree, &target.join("aarch64")), &[FOREIGN])?;
    let cargo = in_copy(tree, &target.join("tests"));
    exchange(cargo, foreign_tests(&built)?, Output::Captured)
}

/// The least number of instructions on control words that a function must have.
struct Expected {
    /// Parts of its symbol.
    function: &'static [&'static str],
    loads: usize,
    stores: usize,
    exchanges: usize,
}

const EXPECTED: [Expected; 5] = [
    // Two stores: the slot's word and the hint.
    Expected {
        function: &["probe_spsc_push"],
        loads: 0,
        stores: 2,
        exchanges: 0,
    },
    Expected {
        function: &["probe_spsc_pop"],
        loads: 1,
        stores: 2,
        exchanges: 0,
    },
    // Finds free slots for the push above.
    Expected {
        function: &["spsc", "Writer", "find_free"],
        loads: 1,
        stores: 0,
        exchanges: 0,
    },
    // Loads: the index and the slot's word. Stores: the intent set, the slot's word, and the intent
    // cleared after a claim that succeeds and after one that fails.
    Expected {
        function: &["probe_mpmc_push"],
        loads: 2,
        stores: 4,
        exchanges: 1,
    },
    Expected {
        function: &["probe_mpmc_pop"],
        loads: 2,
        stores: 4,
        exchanges: 1,
    },
];

/// Checks that the sources in `tree` load control words with acquire, store them with release and
/// exchange them with both.
pub(crate) fn check_orderings(tree: &Path, target: &Path) -> Result<(), String> {
    let cargo = in_copy(tree, &target.join("aarch64"));
    check_instructions(&build(cargo, &[INSTRUCTIONS])?)
}

/// A cargo command for a copy of the sources.
fn in_copy(tree: &Path, target: &Path) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(tree).env("CARGO_TARGET_DIR", target);
    cargo
}

fn check_instructions(built: &[String]) -> Result<(), String> {
    let program = test_path::executable(built, test_path::program(INSTRUCTIONS))?;
    let output = Command::new("aarch64-linux-gnu-objdump")
        .args(["--disassemble", "--no-show-raw-insn", program])
        .output()
        .map_err(|error| format!("objdump: {error}"))?;
    let listing = String::from_utf8_lossy(&output.stdout);
    for expected in EXPECTED {
        let name = expected.function.join(" ");
        let is_it = |function: &&str| {
            let symbol = function.lines().next().unwrap_or_default();
            expected.function.iter().all(|part| symbol.contains(part))
        };
        let mut functions = listing.split("\n\n");
        let body = functions
            .find(is_it)
            .ok_or_else(|| format!("objdump: found no function {name}, expected one"))?;
        // All control words have 64 bits, so the first operand is an x register.
        let on_words = |mnemonics: &[&str]| {
            let is_one = |line: &&str| {
                let mut words = line.split_whitespace().skip(1);
                words.next().is_some_and(|found| mnemonics.contains(&found))
                    && words.next().is_some_and(|operand| operand.starts_with('x'))
            };
            body.lines().filter(is_one).count()
        };
        let calls = body.matches("<__aarch64_cas8_").count();
        let relaxed = body.matches("<__aarch64_cas8_relax").count();
        let exchanges = on_words(&["casal", "casl", "stlxr"]) + calls - relaxed;
        for (found, expected, what) in [
            (
                on_words(&["ldar", "ldapr"]),
                expected.loads,
                "acquiring loads",
            ),
            (on_words(&["stlr"]), expected.stores, "releasing stores"),
            (exchanges, expected.exchanges, "ordered exchanges"),
        ] {
            if found < expected {
                return Err(format!("{name}: found {found} {what}, expected {expected}"));
            }
            println!("{name}: {found} {what}");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{FOREIGN, INSTRUCTIONS, SKIPPED, TESTS};
    use crate::passes::root;

    #[test]
    fn every_listed_test_file_exists() {
        let skipped = SKIPPED.iter().flat_map(|(_, files)| *files);
        for path in TESTS.iter().chain(skipped).chain(&[FOREIGN, INSTRUCTIONS]) {
            assert!(root().join(path).exists(), "{path}");
        }
    }
}
