//! Mistakes that show in rings that grow.

use super::{Check, FAILED, Seeded};
use crate::mistakes::Mistake;

const HELD_RINGS_GO: Mistake = Mistake {
    name: "a ring goes though somebody has something of it",
    file: "src/stage.rs",
    right: "seats.all(|seat| self.intent(seat).is_none())",
    wrong: "seats.len() > 0",
};

pub(super) const GROWTH: &[Seeded] = &[
    Seeded {
        mistake: Mistake {
            name: "an object's size is asked for too early",
            file: "src/attachment.rs",
            right: "        let size = found.object().properties()?.size;\n",
            wrong: "        let size = found.properties.size;\n",
        },
        found_by: Check::Test("growth", "begins_to_grow"),
        words: "Inconsistent",
    },
    Seeded {
        mistake: Mistake {
            name: "an SPSC consumer goes on before the marker",
            file: "src/ring/spsc.rs",
            right: "        is_marked(words.slots, self.position)\n    }\n}",
            wrong: "        !self.is_due(words)\n    }\n}",
        },
        found_by: Check::Test("crash", "grows_while_everybody"),
        words: "the ring is corrupt",
    },
    Seeded {
        mistake: Mistake {
            name: "what an old ring has taken is kept",
            file: "src/attachment/growth.rs",
            right: "if next <= offset || self.region",
            wrong: "if next > offset || self.region",
        },
        found_by: Check::Test("crash", "grows_while_everybody"),
        words: "allocated: ",
    },
    Seeded {
        mistake: HELD_RINGS_GO,
        found_by: Check::Test("storm", "a_file_that_grows"),
        words: FAILED,
    },
    Seeded {
        mistake: HELD_RINGS_GO,
        found_by: Check::Test("growing_deaths", "in_its_hands"),
        words: "waited in vain",
    },
    Seeded {
        mistake: Mistake {
            name: "only the oldest ring is recovered",
            file: "src/recovery.rs",
            right: "        for stage in live.iter() {\n            let party",
            wrong: "        for stage in live.iter().take(1) {\n            let party",
        },
        found_by: Check::Test("growing_deaths", "holds_the_old"),
        words: FAILED,
    },
    Seeded {
        mistake: Mistake {
            name: "rings that follow are at-least-once",
            file: "src/recovery.rs",
            right: "            let swept = party.sweep(adopter, self.scene.geometry.delivery);\n",
            wrong: "            let delivery = match stage.offset { 0 => self.scene.geometry.delivery, _ => Default::default() };
            let swept = party.sweep(adopter, delivery);\n",
        },
        found_by: Check::Test("growing_deaths", "in_its_hands"),
        words: "is_redelivered",
    },
    Seeded {
        mistake: Mistake {
            name: "no room is taken for corruption",
            file: "src/attachment/end.rs",
            right: "                thread::sleep(A_MOMENT);\n                return Ok(false);\n",
            wrong: "                return Err(self.distrust(Corrupt).into());\n",
        },
        found_by: Check::Test("cramped", "no_room"),
        words: "Corrupt",
    },
    Seeded {
        mistake: Mistake {
            name: "who has no room tries without a pause",
            file: "src/attachment/end.rs",
            right: "                thread::sleep(A_MOMENT);\n                return Ok(false);\n",
            wrong: "                return Ok(false);\n",
        },
        found_by: Check::Test("cramped", "no_room"),
        words: "it was awake",
    },
    Seeded {
        mistake: Mistake {
            name: "who has no room does not hear of the end",
            file: "src/handle/sending.rs",
            right: "            if self.end.is_closed() {\n                return Err(Disconnected::Closed.into());\n            }\n            let may_end",
            wrong: "            let may_end",
        },
        found_by: Check::Test("cramped", "room_to_push"),
        words: "stuck for",
    },
    Seeded {
        mistake: Mistake {
            name: "what there was no room for stays allocated",
            file: "src/attachment/growth.rs",
            right: "        let next = mapped.inspect_err(|_| {\n            let _ = self.region.shorten(offset);\n        })?;\n",
            wrong: "        let next = mapped?;\n",
        },
        found_by: Check::Test("cramped", "no_room"),
        words: FAILED,
    },
    Seeded {
        mistake: Mistake {
            name: "slots are given back that somebody works on",
            file: "src/attachment/growth.rs",
            right: "self.give_back(self.oldest().min(watch.oldest_in_use()));",
            wrong: "self.give_back(self.oldest());",
        },
        found_by: Check::Test("storm", "grows_in_a_storm"),
        words: "the ring is corrupt",
    },
];
