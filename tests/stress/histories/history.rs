//! The outcomes that the operations of a queue may have, and in which orders.

use std::collections::HashSet;

/// The result of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Pushed(u64),
    Full,
    Popped(u64),
    Empty,
}

/// An operation, and the times before and after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Operation {
    pub(crate) begin: u64,
    pub(crate) end: u64,
    pub(crate) outcome: Outcome,
}

/// The number of operations that began while an earlier one was in progress.
pub(crate) fn overlaps(history: &[Operation]) -> usize {
    let mut by_begin: Vec<_> = history.iter().collect();
    by_begin.sort_unstable_by_key(|operation| operation.begin);
    let mut latest = 0;
    let mut overlaps = 0;
    for operation in by_begin {
        overlaps += usize::from(operation.begin < latest);
        latest = latest.max(operation.end);
    }
    overlaps
}

/// Checks that each of the messages `0..pushes` was pushed and popped once, that none was popped
/// before it was pushed, and that none was overtaken by a message that was pushed after it.
pub(crate) fn check(history: &[Operation], pushes: u64) -> Result<(), String> {
    let mut messages = vec![(None, None); pushes as usize];
    for operation in history {
        let message = |id: u64| {
            messages
                .get(id as usize)
                .ok_or(format!("{id} never pushed"))
        };
        let (id, is_push) = match operation.outcome {
            Outcome::Pushed(id) => (id, true),
            Outcome::Popped(id) => (id, false),
            Outcome::Full | Outcome::Empty => continue,
        };
        let (pushed, popped) = message(id)?;
        let known = if is_push { pushed } else { popped };
        if known.is_some() {
            return Err(format!("{id} twice: {known:?}, {operation:?}"));
        }
        let (pushed, popped) = &mut messages[id as usize];
        *if is_push { pushed } else { popped } = Some(*operation);
    }
    let mut complete = Vec::with_capacity(messages.len());
    for (id, message) in messages.iter().enumerate() {
        let (Some(pushed), Some(popped)) = *message else {
            return Err(format!("{id} is lost: {message:?}"));
        };
        if popped.end < pushed.begin {
            return Err(format!("{id} was popped before it was pushed: {message:?}"));
        }
        complete.push((pushed, popped));
    }
    // Of all messages that were pushed before this one, the one that was popped last is decisive.
    let mut by_begin: Vec<_> = complete.iter().collect();
    by_begin.sort_unstable_by_key(|(pushed, _)| pushed.begin);
    let mut by_end: Vec<_> = complete.iter().collect();
    by_end.sort_unstable_by_key(|(pushed, _)| pushed.end);
    let mut before = by_end.into_iter().peekable();
    let mut last: Option<&(Operation, Operation)> = None;
    for message in by_begin {
        while let Some(other) = before.next_if(|(pushed, _)| pushed.end < message.0.begin) {
            if last.is_none_or(|(_, popped)| other.1.begin > popped.begin) {
                last = Some(other);
            }
        }
        if let Some(first) = last.filter(|(_, popped)| message.1.end < popped.begin) {
            return Err(format!("{first:?} was overtaken by {message:?}"));
        }
    }
    Ok(())
}

/// The documented behaviour of a ring: producers claim positions in order. Each position is then
/// published, claimed by a consumer, and released.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
struct Model {
    /// The positions that producers claimed, in order.
    entries: Vec<Entry>,
    /// The number of positions that consumers claimed.
    popped: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Entry {
    id: u64,
    is_published: bool,
    is_free: bool,
}

impl Model {
    fn entry(&mut self, id: u64) -> &mut Entry {
        let entry = self.entries.iter_mut().find(|entry| entry.id == id);
        entry.expect("a claimed position")
    }

    fn is_full(&self, capacity: usize) -> bool {
        let a_lap_ago = self.entries.len().checked_sub(capacity);
        a_lap_ago.is_some_and(|index| !self.entries[index].is_free)
    }

    /// The message at the next position to pop, if it is published.
    fn next(&self) -> Option<u64> {
        let entry = self.entries.get(self.popped)?;
        entry.is_published.then_some(entry.id)
    }

    /// The state after the first or the second step of an operation. `None` if the step is not
    /// possible in this state.
    fn after(&self, outcome: Outcome, is_first: bool, capacity: usize) -> Option<Self> {
        let mut next = self.clone();
        match outcome {
            Outcome::Full => self.is_full(capacity).then_some(next),
            Outcome::Empty => self.next().is_none().then_some(next),
            Outcome::Pushed(id) if is_first => {
                next.entries.push(Entry {
                    id,
                    is_published: false,
                    is_free: false,
                });
                (!self.is_full(capacity)).then_some(next)
            }
            Outcome::Pushed(id) => {
                next.entry(id).is_published = true;
                Some(next)
            }
            Outcome::Popped(id) if is_first => {
                next.popped += 1;
                (self.next() == Some(id)).then_some(next)
            }
            Outcome::Popped(id) => {
                next.entry(id).is_free = true;
                Some(next)
            }
        }
    }
}

impl Outcome {
    /// The number of steps in which an operation with this result takes effect.
    fn steps(self) -> u8 {
        match self {
            Self::Pushed(_) | Self::Popped(_) => 2,
            Self::Full | Self::Empty => 1,
        }
    }
}

/// Returns whether the steps of all operations have an order, each step between the begin and the
/// end of its operation, in which a ring produces these results.
pub(crate) fn explain(history: &[Operation], capacity: usize) -> bool {
    let mut search = Search {
        history,
        capacity,
        seen: HashSet::new(),
    };
    search.is_explainable(&mut vec![0; history.len()], &Model::default())
}

struct Search<'h> {
    history: &'h [Operation],
    capacity: usize,
    /// The states from which the search is known to fail.
    seen: HashSet<(Vec<u8>, Model)>,
}

impl Search<'_> {
    fn is_explainable(&mut self, done: &mut Vec<u8>, model: &Model) -> bool {
        let is_done = |(operation, &done): (&Operation, &u8)| operation.outcome.steps() == done;
        let remaining = || {
            self.history
                .iter()
                .zip(done.iter())
                .filter(|&o| !is_done(o))
        };
        // No step may come after the end of an operation that still has steps left.
        let Some(limit) = remaining().map(|(operation, _)| operation.end).min() else {
            return true;
        };
        if !self.seen.insert((done.clone(), model.clone())) {
            return false;
        }
        for (index, &operation) in self.history.iter().enumerate() {
            if is_done((&operation, &done[index])) || operation.begin > limit {
                continue;
            }
            let is_first = done[index] == 0;
            if let Some(next) = model.after(operation.outcome, is_first, self.capacity) {
                done[index] += 1;
                if self.is_explainable(done, &next) {
                    return true;
                }
                done[index] -= 1;
            }
        }
        false
    }
}
