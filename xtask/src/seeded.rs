//! Mistakes that the checks other than models are there to find: each is made in a copy of the
//! sources, and its check must fail, with its own words.

mod growth;
mod peers;

use crate::aarch64;
use crate::mistakes::Mistake;
use crate::native::Watcher;
use crate::passes::{Output, root, target};
use crate::tree::{copy_everything, read, write};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// What must find a mistake.
enum Check {
    Watcher(Watcher),
    /// A look at what is compiled for the other processor.
    Instructions,
    /// Rings between the two processors.
    Exchange,
    /// libFuzzer, which may look for [`SECONDS`].
    Fuzz(&'static str),
    /// A test program, and the tests in it whose names contain this.
    Test(&'static str, &'static str),
}

const SECONDS: &str = "120";

/// What a test program says in the end. One that did not compile has not been tried.
const FAILED: &str = "test result: FAILED";

struct Seeded {
    mistake: Mistake,
    found_by: Check,
    /// What the check says then.
    words: &'static str,
}

const RELAXED_PUBLISH: Mistake = Mistake {
    name: "a message is published in no order",
    file: "src/ring/slot.rs",
    right: "self.word.store(Stamp::full(position, len).0, Release); // P",
    wrong: "self.word.store(Stamp::full(position, len).0, Relaxed); // P",
};

const RELAXED_RELEASE: Mistake = Mistake {
    name: "a slot is given back in no order",
    file: "src/ring/slot.rs",
    right: "self.word.store(Stamp::free(next_lap).0, Release); // R",
    wrong: "self.word.store(Stamp::free(next_lap).0, Relaxed); // R",
};

const RELAXED_STAMP: Mistake = Mistake {
    name: "a slot is looked at in no order",
    file: "src/ring/slot.rs",
    right: "Stamp(self.word.load(Acquire)) // P, R",
    wrong: "Stamp(self.word.load(Relaxed)) // P, R",
};

const SEEDED: &[Seeded] = &[
    Seeded {
        mistake: RELAXED_PUBLISH,
        found_by: Check::Watcher(Watcher::Miri { seeds: 4 }),
        words: "Data race detected",
    },
    Seeded {
        mistake: RELAXED_RELEASE,
        found_by: Check::Watcher(Watcher::Miri { seeds: 4 }),
        words: "Data race detected",
    },
    Seeded {
        mistake: RELAXED_STAMP,
        found_by: Check::Watcher(Watcher::Miri { seeds: 4 }),
        words: "Data race detected",
    },
    Seeded {
        mistake: RELAXED_PUBLISH,
        found_by: Check::Watcher(Watcher::Tsan),
        words: "ThreadSanitizer: data race",
    },
    Seeded {
        mistake: RELAXED_RELEASE,
        found_by: Check::Watcher(Watcher::Tsan),
        words: "ThreadSanitizer: data race",
    },
    Seeded {
        mistake: Mistake {
            name: "the mask is the capacity",
            file: "src/ring/slot.rs",
            right: "mask: capacity - 1,",
            wrong: "mask: capacity,",
        },
        found_by: Check::Watcher(Watcher::Asan),
        words: "AddressSanitizer: heap-buffer-overflow",
    },
    Seeded {
        mistake: RELAXED_PUBLISH,
        found_by: Check::Instructions,
        words: "releasing stores, not",
    },
    Seeded {
        mistake: RELAXED_RELEASE,
        found_by: Check::Instructions,
        words: "releasing stores, not",
    },
    Seeded {
        mistake: RELAXED_STAMP,
        found_by: Check::Instructions,
        words: "acquiring loads, not",
    },
    Seeded {
        mistake: Mistake {
            name: "pages are another size on one processor",
            file: "src/layout.rs",
            right: "pub(crate) const PAGE: u64 = 4096;",
            wrong: "pub(crate) const PAGE: u64 = if cfg!(target_arch = \"aarch64\") { 8192 } else { 4096 };",
        },
        found_by: Check::Exchange,
        words: "slots_offset",
    },
    Seeded {
        mistake: Mistake {
            name: "a sleep ends by the wall clock",
            file: "src/sys/futex.rs",
            right: "libc::FUTEX_WAIT_BITSET,",
            wrong: "libc::FUTEX_WAIT_BITSET | libc::FUTEX_CLOCK_REALTIME,",
        },
        found_by: Check::Test("clocks", "monotonic"),
        words: "REALTIME",
    },
    Seeded {
        mistake: Mistake {
            name: "a deadline is the wall clock's",
            file: "src/sys/clock.rs",
            right: "Self::read(ClockId::CLOCK_MONOTONIC)",
            wrong: "Self::read(ClockId::CLOCK_REALTIME)",
        },
        found_by: Check::Test("clocks", "monotonic"),
        words: "test result: FAILED",
    },
    Seeded {
        mistake: Mistake {
            name: "what a consumer holds comes after the dead",
            file: "src/handle/receiving.rs",
            right: "if self.reader.is_holding() {\n            if let Some(len)",
            wrong: "if self.reader.is_holding() && most == usize::MAX {\n            if let Some(len)",
        },
        found_by: Check::Test("files", "after_another_boot"),
        words: "test result: FAILED",
    },
    Seeded {
        mistake: Mistake {
            name: "who holds something adopts",
            file: "src/attachment/end/hearing.rs",
            right: "(self.role == Role::Consumer && is_free)",
            wrong: "(self.role == Role::Consumer && (is_free || most > 0))",
        },
        found_by: Check::Test("tombstones", "adopts_nothing"),
        words: "a slot is lost",
    },
    Seeded {
        mistake: Mistake {
            name: "a lock's mapping stays",
            file: "src/seat.rs",
            right: "Ok(held.map(|held| Self { _held: held, lock }))",
            wrong: "Ok(held.map(|held| { let _ = core::mem::ManuallyDrop::new(object.take(Lock::Seat(4000))); Self { _held: held, lock } }))",
        },
        found_by: Check::Test("leaks", "crashes_in_a_row"),
        words: "mappings",
    },
    Seeded {
        mistake: Mistake {
            name: "a forked child may go on",
            file: "src/attachment/end.rs",
            right: "if self.works_in == Generation::current() {",
            wrong: "if self.works_in != Generation::NONE {",
        },
        found_by: Check::Test("fork", "refuses_everything"),
        words: "panicked",
    },
    Seeded {
        mistake: Mistake {
            name: "who looks asks for the right to write",
            file: "src/region/descriptor.rs",
            right: "Access::Look => OFlag::O_RDONLY,",
            wrong: "Access::Look => OFlag::O_RDWR,",
        },
        found_by: Check::Test("surroundings", "only_look"),
        words: "Permission",
    },
];

impl Check {
    fn name(&self) -> String {
        match self {
            Self::Watcher(watcher) => watcher.name().to_owned(),
            Self::Instructions => "instructions".to_owned(),
            Self::Exchange => "exchange".to_owned(),
            Self::Fuzz(target) => format!("fuzz {target}"),
            Self::Test(program, _) => format!("tests/{program}.rs"),
        }
    }

    fn run(&self, tree: &Path, target: &Path) -> Result<(), String> {
        match self {
            Self::Watcher(watcher) => watcher.watch_models(tree, target, Output::Kept),
            Self::Instructions => aarch64::check_orderings(tree, target),
            Self::Exchange => aarch64::check_exchange(tree, target),
            Self::Fuzz(fuzz) => Output::Kept.of(Command::new("bash")
                .args([".ci/fuzz", SECONDS, fuzz])
                .current_dir(tree)
                .env("CARGO_TARGET_DIR", target.join("fuzz"))),
            Self::Test(program, tests) => Output::Kept.of(Command::new("cargo")
                .args(["test", "--package", "slipring", "--locked"])
                .args(["--test", program, "--", tests])
                .current_dir(tree)
                .env("CARGO_TARGET_DIR", target.join("tests"))
                .env("RUST_BACKTRACE", "0")),
        }
    }
}

/// Makes the mistakes whose name, or whose check's name, contains `part`.
pub(crate) fn run(part: &str) -> Result<(), String> {
    let target = target();
    let tree = target.join("seeded");
    copy_everything(root(), &tree)?;
    let mut missed = 0;
    for Seeded {
        mistake,
        found_by,
        words,
    } in SEEDED.iter().chain(peers::PEERS).chain(growth::GROWTH)
    {
        if !mistake.name.contains(part) && !found_by.name().contains(part) {
            continue;
        }
        let path = tree.join(mistake.file);
        let original = read(&root().join(mistake.file))?;
        write(&path, &mistake.make(&original)?.mutated)?;
        let start = Instant::now();
        let outcome = found_by.run(&tree, &target);
        write(&path, &original)?;
        let verdict = match &outcome {
            Ok(()) => "MISSED",
            Err(said) => match said.lines().find(|line| line.contains(words)) {
                Some(line) => shortened(line.trim()),
                None => {
                    eprintln!("{said}");
                    "FAILED OTHERWISE"
                }
            },
        };
        missed += usize::from(verdict.chars().all(|c| !c.is_lowercase()));
        println!(
            "{:<40} {:<24} {:>4.0} s  {verdict}",
            mistake.name,
            found_by.name(),
            start.elapsed().as_secs_f64()
        );
    }
    match missed {
        0 => Ok(()),
        _ => Err(format!("{missed} missed")),
    }
}

/// What a line begins with: some have pages of what was traced.
fn shortened(line: &str) -> &str {
    const LONGEST: usize = 120;
    let end = line
        .char_indices()
        .nth(LONGEST)
        .map_or(line.len(), |(at, _)| at);
    &line[..end]
}

#[cfg(test)]
mod tests {
    use super::{SEEDED, growth, peers};
    use crate::passes::root;
    use crate::tree::read;

    #[test]
    fn every_mistake_can_still_be_made() {
        for seeded in SEEDED.iter().chain(peers::PEERS).chain(growth::GROWTH) {
            let original = read(&root().join(seeded.mistake.file)).unwrap();
            seeded.mistake.make(&original).unwrap();
        }
    }
}
