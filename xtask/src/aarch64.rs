//! The other processor that rings are for, under qemu: whether the tests pass there, whether rings
//! go between the two, and whether control words are loaded and stored in order.
//!
//! qemu shows what the instructions do one after the other. What a processor with weak memory makes
//! of them is for the models.

use crate::passes::{Output, executables, root};
use std::path::Path;
use std::process::Command;

const TARGET: &str = "aarch64-unknown-linux-gnu";
const RUNNER: &str = "qemu-aarch64 -L /usr/aarch64-linux-gnu";

/// Unit and property tests, and deliveries between threads and between processes.
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

/// Whose rings go between the two processors.
const FOREIGN: &str = "foreign";

/// What qemu can't do, and the test programs that need it.
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
        // A child that one test forks would have the locks of the others, without MADV_DONTFORK.
        Output::Shown.of(under_qemu(test).args(["--test-threads", "1"]))?;
    }
    for (what, programs) in SKIPPED {
        println!("skipped, as qemu has no {what}: {}", programs.join(", "));
    }
    let count: usize = SKIPPED.iter().map(|(_, programs)| programs.len()).sum();
    println!("skipped under qemu: {count} test programs");
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root());
    exchange(cargo, named(&built, FOREIGN)?, Output::Shown)
}

/// The tests for the other processor, by their names. Optimised, so that an ordering is an
/// instruction, and qemu has less to do.
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
    found.ok_or_else(|| format!("cargo names no test {name}"))
}

/// Rings that go from the one processor to the other, and back.
fn exchange(mut cargo: Command, theirs: &str, output: Output) -> Result<(), String> {
    cargo
        .args(["test", "--package", "slipring", "--locked", "--no-run"])
        .args(["--test", FOREIGN])
        .args(["--message-format", "json-render-diagnostics"]);
    let built = executables(&mut cargo)?;
    let ours = named(&built, FOREIGN)?;
    let mut here = Command::new(ours);
    here.env("SLIPRING_TEST_FOREIGN", format!("{RUNNER} {theirs}"));
    output.of(&mut here)?;
    let mut there = under_qemu(theirs);
    there.env("SLIPRING_TEST_FOREIGN", ours);
    output.of(&mut there)
}

/// The exchange alone, of other sources.
pub(crate) fn check_exchange(tree: &Path, target: &Path) -> Result<(), String> {
    let built = build(in_copy(tree, &target.join("aarch64")), &[FOREIGN])?;
    let cargo = in_copy(tree, &target.join("tests"));
    exchange(cargo, named(&built, FOREIGN)?, Output::Kept)
}

/// How many instructions on control words a function must have, at least.
struct Expected {
    /// What its symbol is made of.
    function: &'static [&'static str],
    loads: usize,
    stores: usize,
    exchanges: usize,
}

const EXPECTED: [Expected; 5] = [
    // The slot's word, and the hint.
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
    // Which finds room for the one above.
    Expected {
        function: &["spsc", "Writer", "look"],
        loads: 1,
        stores: 0,
        exchanges: 0,
    },
    // The index and the slot's word; the intent said, the slot's word, and the intent cleared, for
    // who won and for who lost.
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

/// Whether control words are loaded with acquire, stored with release, and exchanged with both.
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
            .ok_or_else(|| format!("there is no function {name}"))?;
        // Of 64 bits, as all control words are, and no others.
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
                return Err(format!("{name}: {found} {what}, not {expected}"));
            }
            println!("{name}: {found} {what}");
        }
    }
    Ok(())
}
