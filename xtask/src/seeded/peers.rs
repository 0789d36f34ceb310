//! Mistakes that only a broken or hostile peer, or a death at a bad moment, brings to light.

use super::{Check, FAILED, Seeded};
use crate::mistakes::Mistake;

/// What libFuzzer ends with, and ASan.
const FOUND: &str = "SUMMARY: ";

const LENGTH_BELIEVED: Mistake = Mistake {
    name: "a length is believed",
    file: "src/message.rs",
    right: "        len <= size\n",
    wrong: "        len <= size.max(len & 0xffff)\n",
};

const FULL_WRITTEN_OVER: Mistake = Mistake {
    name: "a full ring is written over",
    file: "src/ring/spsc.rs",
    right: "full if full == full_a_lap_ago => Ok(false),\n            _ => Err(Corrupt),",
    wrong: "full if full == full_a_lap_ago => Ok(true),\n            _ => Err(Corrupt),",
};

const FRAME_BELIEVED: Mistake = Mistake {
    name: "a frame as long as it says",
    file: "src/bin/slipring/framing.rs",
    right: "        self.check(len, \"frame\")?;\n",
    wrong: "",
};

pub(super) const PEERS: &[Seeded] = &[
    Seeded {
        mistake: LENGTH_BELIEVED,
        found_by: Check::Fuzz("hostile"),
        words: FOUND,
    },
    Seeded {
        mistake: FULL_WRITTEN_OVER,
        found_by: Check::Fuzz("ops"),
        words: FOUND,
    },
    Seeded {
        mistake: FRAME_BELIEVED,
        found_by: Check::Fuzz("stream"),
        words: FOUND,
    },
    Seeded {
        mistake: LENGTH_BELIEVED,
        found_by: Check::Test("scribbler", "a_scribbler"),
        words: FAILED,
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
        Ok(geometry)",
            wrong: "        Ok(geometry)",
        },
        found_by: Check::Test("scribbler", "a_file"),
        words: FAILED,
    },
    Seeded {
        mistake: Mistake {
            name: "a claim as long as somebody says",
            file: "src/ring/intent.rs",
            right: "u64::from(count).min(MAX_CLAIM).min(capacity)",
            wrong: "u64::from(count).max(capacity.min(1))",
        },
        found_by: Check::Test("scribbler", "a_scribbler"),
        words: "index out of bounds",
    },
    Seeded {
        mistake: Mistake {
            name: "hints are believed",
            file: "src/ring/mod.rs",
            right: "above if above <= u64::MAX / 2 => capacity as usize,",
            wrong: "above if above <= u64::MAX / 2 => above as usize,",
        },
        found_by: Check::Test("scribbler", "a_scribbler"),
        words: FAILED,
    },
    Seeded {
        mistake: Mistake {
            name: "who only looks believes a length",
            file: "src/observer.rs",
            right: "            forged if forged > self.geometry.shape.size => return Ok(Peek::Gone),\n",
            wrong: "",
        },
        found_by: Check::Test("scribbler", "a_scribbler"),
        words: FAILED,
    },
    Seeded {
        mistake: Mistake {
            name: "who found a ring corrupt forgets it",
            file: "src/attachment/end.rs",
            right: "        self.works_in = Generation::NONE;\n",
            wrong: "",
        },
        found_by: Check::Test("scribbler", "a_scribbler"),
        words: FAILED,
    },
    Seeded {
        mistake: Mistake {
            name: "a stamp that can't be is taken for a free slot",
            file: "src/ring/spsc.rs",
            right: "full if full == full_a_lap_ago => Ok(false),\n            _ => Err(Corrupt),",
            wrong: "full if full == full_a_lap_ago => Ok(false),\n            _ => Ok(true),",
        },
        found_by: Check::Test("hostile", ""),
        words: FAILED,
    },
    Seeded {
        mistake: FULL_WRITTEN_OVER,
        found_by: Check::Test("properties", "a_ring_of_values"),
        words: "SIGABRT",
    },
    Seeded {
        mistake: Mistake {
            name: "a successor does not tell where it stands",
            file: "src/ring/spsc.rs",
            right: "        reader.tell(words);\n",
            wrong: "",
        },
        found_by: Check::Test("properties", "a_ring_of"),
        words: FAILED,
    },
    Seeded {
        mistake: Mistake {
            name: "what a dead one was about to claim is buried though a live one has it",
            file: "src/ring/recovery.rs",
            right: "if from >= to {",
            wrong: "if from <= to {",
        },
        found_by: Check::Test("properties", "a_ring_of_several"),
        words: "panicked",
    },
    Seeded {
        mistake: Mistake {
            name: "recovery does not look whether a position was claimed at all",
            file: "src/ring/recovery.rs",
            right: "let end = run.end().min(ending::position(index.load(Acquire))); // I",
            wrong: "let end = run.end(); // I",
        },
        found_by: Check::Test("properties", "a_ring_of_several"),
        words: FAILED,
    },
    Seeded {
        mistake: FRAME_BELIEVED,
        found_by: Check::Test("scribbler", "a_stream"),
        words: FAILED,
    },
    Seeded {
        mistake: Mistake {
            name: "a lock whose holder nobody knows counts as free",
            file: "src/seat.rs",
            right: "if let Some(held) = held(object, seats, own) {",
            wrong: "if let Some(held) = held(object, seats, own).filter(|_| own.is_none()) {",
        },
        found_by: Check::Test("bad_peers", "spsc::a_stranger"),
        words: FAILED,
    },
    Seeded {
        mistake: Mistake {
            name: "a sleep without an end but the caller's",
            file: "src/attachment/end.rs",
            right: "let until = deadline.min(self.heard.again);",
            wrong: "let until = deadline;",
        },
        found_by: Check::Test("bad_peers", "spsc::who_sleeps"),
        words: "stuck for",
    },
    Seeded {
        mistake: Mistake {
            name: "a slice of a slot in safe hands",
            file: "src/handle/guard.rs",
            right: "pub unsafe fn as_slice(&self) -> &[u8] {",
            wrong: "pub fn as_slice(&self) -> &[u8] {",
        },
        found_by: Check::Test("references", ""),
        words: FAILED,
    },
];
