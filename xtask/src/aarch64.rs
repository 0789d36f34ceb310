//! Checks aarch64 under qemu: the tests pass, rings are exchanged with x86-64, and the instructions
//! load and store control words with the required orderings.
//!
//! qemu executes instructions in order. The models cover the effects of weak memory.

use crate::passes::{Output, executables, root};
use std::path::Path;
use std::process::Command;

const TARGET: &str = "aarch64-unknown-linux-gnu";
const RUNNER: &str = "qemu-aarch64 -L /usr/aarch64-linux-gnu";

/// Unit and property tests, and tests with threads and processes.
const TESTS: [&str; 11] = [
    "batches",
    "claims",
    "foreign",
    "instructions",
    "mpmc",
    "mpmc_batches",
    "payloads",
    "positions",
    "properties",
    "redelivery",
    "threads",
];

/// The test program that exchanges rings between the two architectures.
const FOREIGN: &str = "foreign";

/// What qemu does not support, and the test programs that need it.
const SKIPPED: [(&str, &[&str]); 4] = [
    (
        "ptrace",
        &[
            "calls",
            "clocks",
            "growing_kills",
            "kill_points",
            "segments",
        ],
    ),
    ("namespaces", &["environment", "proofs", "surroundings"]),
    (
        "MADV_DONTFORK",
        &["crash", "deaths", "fork", "leaks", "storm"],
    ),
    ("seccomp", &["kernel", "membarrier"]),
];

pub(crate) fn run() -> Result<(), String> {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root());
    let built = build(cargo, &TESTS)?;
    check_instructions(&built)?;
    for test in &built {
        // qemu ignores MADV_DONTFORK: a forked child would inherit the locks of concurrent tests.
        Output::Shown.of(under_qemu(test).args(["--test-threads", "1"]))?;
    }
    for (what, programs) in SKIPPED {
        println!(
            "skipped, as qemu does not support {what}: {}",
            programs.join(", ")
        );
    }
    let count: usize = SKIPPED.iter().map(|(_, programs)| programs.len()).sum();
    println!("skipped under qemu: {count} test programs");
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root());
    exchange(cargo, named(&built, FOREIGN)?, Output::Shown)
}

/// Builds the named tests for aarch64. They are optimised, so that an ordering is one instruction
/// and qemu has less to execute.
fn build(mut cargo: Command, tests: &[&str]) -> Result<Vec<String>, String> {
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
        .args(tests.iter().flat_map(|test| ["--test", test]))
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

fn named<'b>(built: &'b [String], name: &str) -> Result<&'b str, String> {
    let is_it = |path: &&String| {
        let file = Path::new(path)
            .file_name()
            .unwrap_or_default()
            .to_string_lossy();
        file.rsplit_once('-').is_some_and(|(stem, _)| stem == name)
    };
    let found = built.iter().find(is_it).map(String::as_str);
    found.ok_or_else(|| format!("cargo: found no test {name}, expected one"))
}

/// Exchanges rings between the two architectures, in both directions.
fn exchange(mut cargo: Command, foreign: &str, output: Output) -> Result<(), String> {
    cargo
        .args(["test", "--package", "slipring", "--locked", "--no-run"])
        .args(["--test", FOREIGN])
        .args(["--message-format", "json-render-diagnostics"]);
    let built = executables(&mut cargo)?;
    let native = named(&built, FOREIGN)?;
    let mut here = Command::new(native);
    here.env("SLIPRING_TEST_FOREIGN", format!("{RUNNER} {foreign}"));
    output.of(&mut here)?;
    let mut there = under_qemu(foreign);
    there.env("SLIPRING_TEST_FOREIGN", native);
    output.of(&mut there)
}

/// Exchanges rings, built from the sources in `tree`.
pub(crate) fn check_exchange(tree: &Path, target: &Path) -> Result<(), String> {
    let built = build(in_copy(tree, &target.join("aarch64")), &[FOREIGN])?;
    let cargo = in_copy(tree, &target.join("tests"));
    exchange(cargo, named(&built, FOREIGN)?, Output::Captured)
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
        function: &["spsc", "Writer", "look"],
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
    check_instructions(&build(cargo, &["instructions"])?)
}

/// A cargo command for a copy of the sources.
fn in_copy(tree: &Path, target: &Path) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(tree).env("CARGO_TARGET_DIR", target);
    cargo
}

fn check_instructions(built: &[String]) -> Result<(), String> {
    let program = named(built, "instructions")?;
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
