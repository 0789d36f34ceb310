//! Mistakes that somebody could make, each of which a model must find.

/// A mistake that somebody could make.
pub(crate) struct Mistake {
    pub(crate) name: &'static str,
    pub(crate) file: &'static str,
    pub(crate) right: &'static str,
    pub(crate) wrong: &'static str,
}

pub(crate) const MISTAKES: &[Mistake] = &[
    Mistake {
        name: "no look between arming and sleeping",
        file: "src/wait.rs",
        right: "if !is_due() {",
        wrong: "let _ = is_due();\n        {",
    },
    Mistake {
        name: "no second wake after clearing the bit",
        file: "src/wait.rs",
        right: ".is_ok()\n        {\n            self.0.wake(futex::ALL);",
        wrong: ".is_ok()\n        {",
    },
    Mistake {
        name: "notify_all leaves the epoch",
        file: "src/wait.rs",
        right: "self.0.word().fetch_add(EPOCH, Release);",
        wrong: "self.0.word().fetch_add(0, Release);",
    },
    Mistake {
        name: "the bit is never cleared",
        file: "src/wait.rs",
        right: "word.wrapping_add(EPOCH) & !ASLEEP",
        wrong: "word.wrapping_add(EPOCH)",
    },
    Mistake {
        name: "a slot is given back a position early",
        file: "src/ring/slot.rs",
        right: "position.wrapping_add(capacity)",
        wrong: "position.wrapping_add(capacity - 1)",
    },
    Mistake {
        name: "stamps are compared in 64 bits",
        file: "src/ring/slot.rs",
        right: "(self.0 as u32).wrapping_sub(position as u32) as i32",
        wrong: "u64::from(self.0 as u32).wrapping_sub(position).clamp(0, 99) as i32",
    },
    Mistake {
        name: "a probe answers for one more",
        file: "src/ring/spsc.rs",
        right: "self.free_until = last.wrapping_add(1);",
        wrong: "self.free_until = last.wrapping_add(2);",
    },
    Mistake {
        name: "tail is ahead of the words",
        file: "src/ring/spsc.rs",
        right: "words.index.store(self.position, Release); // T",
        wrong: "words.index.store(self.position.wrapping_add(1), Release); // T",
    },
    Mistake {
        name: "head is ahead of the words",
        file: "src/ring/spsc.rs",
        right: "words.index.store(self.position, Release); // H",
        wrong: "words.index.store(self.position.wrapping_add(1), Release); // H",
    },
    Mistake {
        name: "a successor writes over what was published",
        file: "src/ring/spsc.rs",
        right: "1 => Some(Done::Yes),",
        wrong: "1 => Some(Done::No),",
    },
    Mistake {
        name: "a successor walks a step short of a lap",
        file: "src/ring/spsc.rs",
        right: "for step in 0..=slots.capacity() {",
        wrong: "for step in 0..slots.capacity() {",
    },
    Mistake {
        name: "an intent stands after the claim",
        file: "src/ring/mpmc.rs",
        right: "            words.intent.stand(run, &mut self.counted);\n            is_said = true;\n            match words\n                .index\n                .compare_exchange(position, until, Release, Acquire) // I\n            {\n                Ok(_) => {",
        wrong: "            is_said = true;\n            match words\n                .index\n                .compare_exchange(position, until, Release, Acquire) // I\n            {\n                Ok(_) => {\n                    words.intent.stand(run, &mut self.counted);",
    },
    Mistake {
        name: "no intent",
        file: "src/ring/mpmc.rs",
        right: "words.intent.stand(run, &mut self.counted);\n            is_said = true;",
        wrong: "is_said = true;",
    },
    Mistake {
        name: "no intent for one",
        file: "src/ring/mpmc.rs",
        right: "words.intent.stand(run, &mut self.counted);\n        let claimed",
        wrong: "let claimed",
    },
    Mistake {
        name: "an intent for one stands after the claim",
        file: "src/ring/mpmc.rs",
        right: "        words.intent.stand(run, &mut self.counted);\n        let claimed = words\n            .index\n            .compare_exchange(position, until, Release, Acquire); // I",
        wrong: "        let claimed = words\n            .index\n            .compare_exchange(position, until, Release, Acquire); // I\n        words.intent.stand(run, &mut self.counted);",
    },
    Mistake {
        name: "a refused claim leaves its intent",
        file: "src/ring/mpmc.rs",
        right: "        if is_said {\n            words.intent.clear();",
        wrong: "        if is_said {",
    },
    Mistake {
        name: "a lost claim of one leaves its intent",
        file: "src/ring/mpmc.rs",
        right: "        if claimed.is_err() {\n            words.intent.clear();",
        wrong: "        if claimed.is_err() {",
    },
    Mistake {
        name: "a newcomer believes in a count",
        file: "src/ring/mpmc.rs",
        right: "            // A new holder of the seat finds what its predecessor left.\n            counted: 0,",
        wrong: "            counted: 1,",
    },
    Mistake {
        name: "an heir believes in a count",
        file: "src/ring/mpmc.rs",
        right: "            // The intent stands for the run, or for more.\n            counted: 0,",
        wrong: "            counted: 2,",
    },
    Mistake {
        name: "a producer's intent is over before its message is in",
        file: "src/ring/mpmc.rs",
        right: "        self.slot(words).publish(self.held.position, len);\n        self.held.step(words.intent);",
        wrong: "        let slot = self.slot(words);\n        let position = self.held.position;\n        self.held.step(words.intent);\n        slot.publish(position, len);",
    },
    Mistake {
        name: "a consumer's intent is over before its slot is free",
        file: "src/ring/mpmc.rs",
        right: "        self.slot(words).release(self.held.position, capacity);\n        self.held.step(words.intent);",
        wrong: "        let slot = self.slot(words);\n        let position = self.held.position;\n        self.held.step(words.intent);\n        slot.release(position, capacity);",
    },
    Mistake {
        name: "the intent for one is over before its message is in",
        file: "src/ring/mpmc.rs",
        right: "        claimed.slot.publish(claimed.position, len);\n        words.intent.clear();",
        wrong: "        words.intent.clear();\n        claimed.slot.publish(claimed.position, len);",
    },
    Mistake {
        name: "the intent for one is over before its slot is free",
        file: "src/ring/mpmc.rs",
        right: "        taken.slot.release(taken.position, words.slots.capacity());\n        words.intent.clear();",
        wrong: "        words.intent.clear();\n        taken.slot.release(taken.position, words.slots.capacity());",
    },
    Mistake {
        name: "the intent for one stays",
        file: "src/ring/mpmc.rs",
        right: "        claimed.slot.publish(claimed.position, len);\n        words.intent.clear();",
        wrong: "        claimed.slot.publish(claimed.position, len);",
    },
    Mistake {
        name: "the intent for several is over with the first",
        file: "src/ring/mpmc.rs",
        right: "        if position == until {\n            words.intent.clear();",
        wrong: "        {\n            words.intent.clear();",
    },
    Mistake {
        name: "an intent is over with the first of its positions",
        file: "src/ring/mpmc.rs",
        right: "        self.position += 1;\n        if self.is_empty() {",
        wrong: "        self.position += 1;\n        {",
    },
    Mistake {
        name: "refused without another look at the index",
        file: "src/ring/mpmc.rs",
        right: "if now != position {",
        wrong: "if now != position && !matches!(seen, Look::NotReady) {",
    },
    Mistake {
        name: "corrupt without another look at the index",
        file: "src/ring/mpmc.rs",
        right: "if now != position {",
        wrong: "if now != position && matches!(seen, Look::NotReady) {",
    },
    Mistake {
        name: "a batch takes what is not ready",
        file: "src/ring/mpmc.rs",
        right: "while len < most && is_ready(len) {",
        wrong: "while len < most {\n                let _ = is_ready;",
    },
    Mistake {
        name: "slots are ready beyond those looked at",
        file: "src/ring/mpmc.rs",
        right: "ready_until = until;",
        wrong: "ready_until = until + 1;",
    },
    Mistake {
        name: "slots that were ready are so for ever",
        file: "src/ring/mpmc.rs",
        right: "true => Look::Ready,\n                false",
        wrong: "true | false if ready_until > 0 => Look::Ready,\n                _",
    },
    Mistake {
        name: "a claim goes past the last position",
        file: "src/ring/mpmc.rs",
        right: "let Some(until) = end_of_claim(position, len) else {",
        wrong: "let Some(until) = Some(position.wrapping_add(len)) else {",
    },
    Mistake {
        name: "who still writes is not waited for",
        file: "src/ring/mpmc.rs",
        right: "ahead if ahead == 1 - lap || ahead == lap.wrapping_neg() => Look::NotReady",
        wrong: "ahead if ahead == 1 - lap => Look::NotReady",
    },
    Mistake {
        name: "who has not read is not waited for",
        file: "src/ring/mpmc.rs",
        right: "ahead if ahead == 1 - lap || ahead == lap.wrapping_neg() => Look::NotReady",
        wrong: "ahead if ahead == lap.wrapping_neg() => Look::NotReady",
    },
    Mistake {
        name: "who still reads is not waited for",
        file: "src/ring/mpmc.rs",
        right: "ahead if ahead == 0 || ahead == 1 - lap => Look::NotReady",
        wrong: "0 => Look::NotReady",
    },
    Mistake {
        name: "an heir takes what others have finished",
        file: "src/ring/mpmc.rs",
        right: "            if stamp.ahead_of(self.held.position) == 1 {\n                return",
        wrong: "            {\n                return",
    },
    Mistake {
        name: "an heir gives up at what others have finished",
        file: "src/ring/mpmc.rs",
        right: "_ if self.is_inherited => self.take_next_orphan(words, most),",
        wrong: "_ if false => self.take_next_orphan(words, most),",
    },
    Mistake {
        name: "the living are not asked",
        file: "src/ring/recovery.rs",
        right: "if living.has(position - start) {",
        wrong: "if false {",
    },
    Mistake {
        name: "the living are asked after the slot",
        file: "src/ring/recovery.rs",
        right: "        let mut living = Marks([0; MAX_CLAIM as usize / 64]);\n        let mut gone_before = Marks([0; MAX_CLAIM as usize / 64]);\n        for peer in peers.filter(|&peer| peer != seat) {\n            let Some(run) = (self.intent)(peer).read(self.slots.capacity()) else {\n                continue;\n            };\n            let (from, to) = (run.start.max(start), run.end().min(end));\n            if from >= to {\n                continue;\n            }\n            if !(self.is_gone)(peer) {\n                living.set(from - start..to - start);\n            } else if peer < seat {\n                gone_before.set(from - start..to - start);\n            }\n        }\n        let mut undecided = 0;\n        for position in start..end {\n            if living.has(position - start) {\n                undecided += 1;\n                continue;\n            }\n            let found = self.slots.at(position).stamp();\n",
        wrong: "        let early: Vec<_> = (start..end).map(|at| self.slots.at(at).stamp()).collect();\n        let mut living = Marks([0; MAX_CLAIM as usize / 64]);\n        let mut gone_before = Marks([0; MAX_CLAIM as usize / 64]);\n        for peer in peers.filter(|&peer| peer != seat) {\n            let Some(run) = (self.intent)(peer).read(self.slots.capacity()) else {\n                continue;\n            };\n            let (from, to) = (run.start.max(start), run.end().min(end));\n            if from >= to {\n                continue;\n            }\n            if !(self.is_gone)(peer) {\n                living.set(from - start..to - start);\n            } else if peer < seat {\n                gone_before.set(from - start..to - start);\n            }\n        }\n        let mut undecided = 0;\n        for position in start..end {\n            if living.has(position - start) {\n                undecided += 1;\n                continue;\n            }\n            let found = early[(position - start) as usize];\n",
    },
    Mistake {
        name: "what nobody has claimed is judged",
        file: "src/ring/recovery.rs",
        right: "let end = run.end().min(ending::position(index.load(Acquire))); // I",
        wrong: "let end = run.end();",
    },
    Mistake {
        name: "the stamps of another age are believed",
        file: "src/ring/recovery.rs",
        right: "if !is_finished && passed <= self.slots.capacity() {",
        wrong: "if !is_finished {",
    },
    Mistake {
        name: "the age is looked at before the stamp",
        file: "src/ring/recovery.rs",
        right: "            let found = self.slots.at(position).stamp();\n            let is_finished = found.ahead_of(position) != claimed;\n            // Relaxed: who had the slot say the same again had seen the index pass before.\n            let passed = ending::position(index.load(Relaxed)).wrapping_sub(position);\n",
        wrong: "            let passed = ending::position(index.load(Relaxed)).wrapping_sub(position);\n            let found = self.slots.at(position).stamp();\n            let is_finished = found.ahead_of(position) != claimed;\n",
    },
    Mistake {
        name: "the dead one's intent is over before the adopter's stands",
        file: "src/ring/recovery.rs",
        right: "            // First its own intent, then the dead one's: killed in between, both stand.\n",
        wrong: "            if undecided == 0 && left_over == adopted.len {\n                (self.intent)(seat).clear();\n            }\n",
    },
    Mistake {
        name: "an adopter takes all that the dead one had said",
        file: "src/ring/recovery.rs",
        right: "                len: orphans.first_run.len.min(adopter.most),\n                ..orphans.first_run\n            };",
        wrong: "                len: run.len.min(adopter.most),\n                ..run\n            };",
    },
    Mistake {
        name: "an adopter takes more than it wants",
        file: "src/ring/recovery.rs",
        right: "len: orphans.first_run.len.min(adopter.most),",
        wrong: "len: orphans.first_run.len,",
    },
    Mistake {
        name: "an adopter takes what lies beyond a gap",
        file: "src/ring/recovery.rs",
        right: "                len: orphans.first_run.len.min(adopter.most),\n                ..orphans.first_run\n            };",
        wrong: "                len: orphans.count.min(adopter.most),\n                ..orphans.first_run\n            };",
    },
    Mistake {
        name: "an adopter does not say so",
        file: "src/ring/recovery.rs",
        right: "(self.intent)(adopter.seat).stand(adopted, &mut 0);",
        wrong: "",
    },
    Mistake {
        name: "an adopter takes from two",
        file: "src/ring/recovery.rs",
        right: "let adopter = adopter.filter(|_| swept.adopted.is_none());",
        wrong: "",
    },
    Mistake {
        name: "what is left over is forgotten",
        file: "src/ring/recovery.rs",
        right: "if undecided == 0 && left_over == 0 {",
        wrong: "if undecided == 0 {",
    },
    Mistake {
        name: "what is undecided of a consumer is forgotten",
        file: "src/ring/recovery.rs",
        right: "if undecided == 0 && left_over == 0 {",
        wrong: "if left_over == 0 {",
    },
    Mistake {
        name: "what is undecided of a producer is forgotten",
        file: "src/ring/recovery.rs",
        right: "        if undecided == 0 {\n            (self.intent)(seat).clear();",
        wrong: "        {\n            (self.intent)(seat).clear();",
    },
    Mistake {
        name: "the dead one's last word is not heard",
        file: "src/ring/recovery.rs",
        right: "        intent.read(capacity)?;\n        if !(self.is_gone)(seat) {\n            return None;\n        }\n        // What it said before it went may not have been its last word.\n        intent.read(capacity)",
        wrong: "        let run = intent.read(capacity)?;\n        (self.is_gone)(seat).then_some(run)",
    },
    Mistake {
        name: "an heir takes what is undecided",
        file: "src/ring/recovery.rs",
        right: "        if undecided > 0 {\n            return Inheritance::Undecided;",
        wrong: "        if false {\n            return Inheritance::Undecided;",
    },
    Mistake {
        name: "an heir of nothing keeps the intent",
        file: "src/ring/recovery.rs",
        right: "            intent.clear();\n            return Inheritance::Nothing;",
        wrong: "            return Inheritance::Nothing;",
    },
    Mistake {
        name: "an heir falls short of a gap",
        file: "src/ring/recovery.rs",
        right: "Inheritance::Held(orphans.span())",
        wrong: "Inheritance::Held(orphans.first_run)",
    },
    Mistake {
        name: "an heir asks itself",
        file: "src/ring/recovery.rs",
        right: "for peer in peers.filter(|&peer| peer != seat) {",
        wrong: "for peer in peers {",
    },
    Mistake {
        name: "what is dropped is not counted as free",
        file: "src/ring/recovery.rs",
        right: "Stamp::free(position.wrapping_add(self.slots.capacity()))",
        wrong: "Stamp::free(position)",
    },
    Mistake {
        name: "orphans call but once",
        file: "src/ring/roll.rs",
        right: "(word | WAITING).wrapping_add(2)",
        wrong: "word | WAITING",
    },
    Mistake {
        name: "who wakes one leaves the epoch",
        file: "src/wait.rs",
        right: "self.0.word().fetch_add(EPOCH, Relaxed);",
        wrong: "self.0.word().fetch_add(0, Relaxed);",
    },
    Mistake {
        name: "who clears the bit leaves the epoch",
        file: "src/wait.rs",
        right: "word.wrapping_add(EPOCH) & !ASLEEP",
        wrong: "word & !ASLEEP",
    },
];

#[cfg(test)]
mod tests {
    use super::MISTAKES;
    use crate::passes::root;
    use crate::tree::read;

    #[test]
    fn every_mistake_can_still_be_made() {
        for mistake in MISTAKES {
            let original = read(&root().join(mistake.file)).unwrap();
            mistake.make(&original).unwrap();
        }
    }
}
