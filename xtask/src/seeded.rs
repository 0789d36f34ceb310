//! Builds mistakes into a copy of the sources that only a broken or hostile peer, or a death at a bad moment,
//! brings to light: the tests that are there for these must fail.

use crate::mistakes::Mistake;
use crate::mutants::{copy_sources, read, write};
use crate::passes::{root, target};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// A mistake, and what must notice it: a test file and the beginning of a test's name.
struct Seeded {
    mistake: Mistake,
    test: &'static str,
    filter: &'static str,
}

const SEEDED: &[Seeded] = &[
    Seeded {
        mistake: Mistake {
            name: "a length is believed",
            file: "src/message.rs",
            right: "        len <= size\n",
            wrong: "        len <= size.max(len & 0xffff)\n",
        },
        test: "scribbler",
        filter: "a_scribbler",
    },
    Seeded {
        mistake: Mistake {
            name: "an object may be shorter than its header says",
            file: "src/layout.rs",
            right: "        if size < identity.total_len {
            return Err(OpenError::Truncated {
                expected: identity.total_len,
                found: size,
            });
        }
        let rounded = identity.total_len.next_multiple_of(page);
        if size != identity.total_len && size != rounded {",
            wrong: "        let rounded = identity.total_len.next_multiple_of(page);
        if size > rounded {",
        },
        test: "scribbler",
        filter: "a_file",
    },
    Seeded {
        mistake: Mistake {
            name: "a claim as long as somebody says",
            file: "src/ring/intent.rs",
            right: "u64::from(count).min(MAX_CLAIM).min(capacity)",
            wrong: "u64::from(count).max(capacity.min(1))",
        },
        test: "scribbler",
        filter: "a_scribbler",
    },
    Seeded {
        mistake: Mistake {
            name: "hints are believed",
            file: "src/ring/mod.rs",
            right: "above if above <= u64::MAX / 2 => capacity as usize,",
            wrong: "above if above <= u64::MAX / 2 => above as usize,",
        },
        test: "scribbler",
        filter: "a_scribbler",
    },
    Seeded {
        mistake: Mistake {
            name: "who only looks believes a length",
            file: "src/observer.rs",
            right: "            forged if forged > self.geometry.shape.size => return Ok(Peek::Gone),\n",
            wrong: "",
        },
        test: "scribbler",
        filter: "a_scribbler",
    },
    Seeded {
        mistake: Mistake {
            name: "who found a ring corrupt forgets it",
            file: "src/attachment/end.rs",
            right: "        self.works_in = Generation::NONE;\n",
            wrong: "",
        },
        test: "scribbler",
        filter: "a_scribbler",
    },
    Seeded {
        mistake: Mistake {
            name: "a stamp that can't be is taken for a free slot",
            file: "src/ring/spsc.rs",
            right: "full if full == full_a_lap_ago => Ok(false),\n            _ => Err(Corrupt),",
            wrong: "full if full == full_a_lap_ago => Ok(false),\n            _ => Ok(true),",
        },
        test: "hostile",
        filter: "",
    },
    Seeded {
        mistake: Mistake {
            name: "a full ring is written over",
            file: "src/ring/spsc.rs",
            right: "full if full == full_a_lap_ago => Ok(false),\n            _ => Err(Corrupt),",
            wrong: "full if full == full_a_lap_ago => Ok(true),\n            _ => Err(Corrupt),",
        },
        test: "properties",
        filter: "a_ring_of_values",
    },
    Seeded {
        mistake: Mistake {
            name: "a successor does not tell where it stands",
            file: "src/ring/spsc.rs",
            right: "        reader.tell(words);\n",
            wrong: "",
        },
        test: "properties",
        filter: "a_ring_of",
    },
    Seeded {
        mistake: Mistake {
            name: "what a dead one was about to claim is buried though a live one has it",
            file: "src/ring/recovery.rs",
            right: "if from < to && !(self.is_gone)(peer) {",
            wrong: "if from > to && !(self.is_gone)(peer) {",
        },
        test: "properties",
        filter: "a_ring_of_several",
    },
    Seeded {
        mistake: Mistake {
            name: "recovery does not look whether a position was claimed at all",
            file: "src/ring/recovery.rs",
            right: "let end = run.end().min(index.load(Acquire)); // I",
            wrong: "let end = run.end(); // I",
        },
        test: "properties",
        filter: "a_ring_of_several",
    },
    Seeded {
        mistake: Mistake {
            name: "a frame as long as it says",
            file: "src/bin/slipring/framing.rs",
            right: "        self.check(len, \"frame\")?;\n",
            wrong: "",
        },
        test: "scribbler",
        filter: "a_stream",
    },
    Seeded {
        mistake: Mistake {
            name: "a lock whose holder nobody knows counts as free",
            file: "src/seat.rs",
            right: "if let Some(held) = held(object, seats, own) {",
            wrong: "if let Some(held) = held(object, seats, own).filter(|_| own.is_none()) {",
        },
        test: "bad_peers",
        filter: "spsc::a_stranger",
    },
    Seeded {
        mistake: Mistake {
            name: "a sleep without an end but the caller's",
            file: "src/attachment/end.rs",
            right: "let until = deadline.min(self.heard.again);",
            wrong: "let until = deadline;",
        },
        test: "bad_peers",
        filter: "spsc::who_sleeps",
    },
    Seeded {
        mistake: Mistake {
            name: "a slice of a slot in safe hands",
            file: "src/handle/guard.rs",
            right: "pub unsafe fn as_slice(&self) -> &[u8] {",
            wrong: "pub fn as_slice(&self) -> &[u8] {",
        },
        test: "references",
        filter: "",
    },
];

/// Tries the mistakes whose name contains `part`.
pub(crate) fn run(part: &str) -> Result<(), String> {
    let target = target().with_file_name("seeded");
    let tree = target.join("tree");
    copy_sources(&tree, &["tests", "examples", "README.md"])?;
    let mut survivors = 0;
    for seeded in SEEDED.iter().filter(|it| it.mistake.name.contains(part)) {
        let Mistake { file, name, .. } = seeded.mistake;
        let mutant = seeded.mistake.make(&read(&root().join(file))?)?;
        let path = tree.join(file);
        write(&path, &mutant.mutated)?;
        let start = Instant::now();
        let is_caught = !passes(&tree, &target, seeded)?;
        write(&path, &read(&root().join(file))?)?;
        survivors += usize::from(!is_caught);
        println!(
            "{:<78} {} in {:.0} s",
            name,
            if is_caught { seeded.test } else { "SURVIVED" },
            start.elapsed().as_secs_f64(),
        );
    }
    match survivors {
        0 => Ok(()),
        _ => Err(format!("{survivors} survived")),
    }
}

/// Whether the tests pass; what does not compile has not been tried.
fn passes(tree: &Path, target: &Path, seeded: &Seeded) -> Result<bool, String> {
    let cargo = |arguments: &[&str]| {
        let mut command = Command::new("cargo");
        command.current_dir(tree).env("CARGO_TARGET_DIR", target);
        command
            .args(["test", "--test", seeded.test])
            .args(arguments);
        let output = command.output();
        output.map_err(|error| format!("cargo: {error}"))
    };
    let built = cargo(&["--no-run"])?;
    if !built.status.success() {
        let told = String::from_utf8_lossy(&built.stderr).into_owned();
        return Err(format!("{}: {told}", seeded.mistake.name));
    }
    Ok(cargo(&[seeded.filter])?.status.success())
}
