//! What a queue may say, and when.

use std::collections::HashSet;

/// What an operation said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Pushed(u64),
    Full,
    Popped(u64),
    Empty,
}

/// An operation, and two moments between which it happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Operation {
    pub(crate) begin: u64,
    pub(crate) end: u64,
    pub(crate) answer: Answer,
}

/// How many operations began while one that had begun before was under way.
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

/// Each of the messages `0..pushes` was pushed and popped once, none before it was pushed, and
/// none was overtaken by one that was pushed after it.
pub(crate) fn check(history: &[Operation], pushes: u64) -> Result<(), String> {
    let mut messages = vec![(None, None); pushes as usize];
    for operation in history {
        let message = |id: u64| {
            messages
                .get(id as usize)
                .ok_or(format!("{id} never pushed"))
        };
        let (id, is_push) = match operation.answer {
            Answer::Pushed(id) => (id, true),
            Answer::Popped(id) => (id, false),
            Answer::Full | Answer::Empty => continue,
        };
        let (pushed, popped) = message(id)?;
        let known = if is_push { pushed } else { popped };
        if known.is_some() {
            return Err(format!("{id} twice: {known:?}, {operation:?}"));
        }
        let (pushed, popped) = &mut messages[id as usize];
        *if is_push { pushed } else { popped } = Some(*operation);
    }
    let mut whole = Vec::with_capacity(messages.len());
    for (id, message) in messages.iter().enumerate() {
        let (Some(pushed), Some(popped)) = *message else {
            return Err(format!("{id} is lost: {message:?}"));
        };
        if popped.end < pushed.begin {
            return Err(format!("{id} was popped before it was pushed: {message:?}"));
        }
        whole.push((pushed, popped));
    }
    // Against all that were pushed before a message, only the one that was popped last counts.
    let mut by_begin: Vec<_> = whole.iter().collect();
    by_begin.sort_unstable_by_key(|(pushed, _)| pushed.begin);
    let mut by_end: Vec<_> = whole.iter().collect();
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

/// A ring as its documentation has it: places are claimed in order, and each is then published,
/// claimed by a consumer, and given back.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
struct Model {
    /// What was claimed by producers, in order.
    places: Vec<Place>,
    /// How many of them were claimed by consumers.
    popped: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Place {
    id: u64,
    is_published: bool,
    is_free: bool,
}

impl Model {
    fn place(&mut self, id: u64) -> &mut Place {
        let place = self.places.iter_mut().find(|place| place.id == id);
        place.expect("it was claimed")
    }

    fn is_full(&self, capacity: usize) -> bool {
        let a_lap_ago = self.places.len().checked_sub(capacity);
        a_lap_ago.is_some_and(|index| !self.places[index].is_free)
    }

    /// The message whose turn it is, if it is there.
    fn next(&self) -> Option<u64> {
        let place = self.places.get(self.popped)?;
        place.is_published.then_some(place.id)
    }

    /// What an operation does in its first moment, or in its second; `None` if it can't.
    fn after(&self, answer: Answer, is_first: bool, capacity: usize) -> Option<Self> {
        let mut next = self.clone();
        match answer {
            Answer::Full => self.is_full(capacity).then_some(next),
            Answer::Empty => self.next().is_none().then_some(next),
            Answer::Pushed(id) if is_first => {
                next.places.push(Place {
                    id,
                    is_published: false,
                    is_free: false,
                });
                (!self.is_full(capacity)).then_some(next)
            }
            Answer::Pushed(id) => {
                next.place(id).is_published = true;
                Some(next)
            }
            Answer::Popped(id) if is_first => {
                next.popped += 1;
                (self.next() == Some(id)).then_some(next)
            }
            Answer::Popped(id) => {
                next.place(id).is_free = true;
                Some(next)
            }
        }
    }
}

impl Answer {
    /// Moments at which an operation with this answer does something.
    fn moments(self) -> u8 {
        match self {
            Self::Pushed(_) | Self::Popped(_) => 2,
            Self::Full | Self::Empty => 1,
        }
    }
}

/// Whether there is an order of all moments, each between the begin and the end of its operation,
/// in which a ring says just that.
pub(crate) fn explain(history: &[Operation], capacity: usize) -> bool {
    let mut search = Search {
        history,
        capacity,
        seen: HashSet::new(),
    };
    search.goes_on(&mut vec![0; history.len()], &Model::default())
}

struct Search<'h> {
    history: &'h [Operation],
    capacity: usize,
    /// Where it is known that there is no way on.
    seen: HashSet<(Vec<u8>, Model)>,
}

impl Search<'_> {
    fn goes_on(&mut self, done: &mut Vec<u8>, model: &Model) -> bool {
        let is_over = |(operation, &done): (&Operation, &u8)| operation.answer.moments() == done;
        let left = || {
            self.history
                .iter()
                .zip(done.iter())
                .filter(|&o| !is_over(o))
        };
        // Nothing happens after the end of what has not happened yet.
        let Some(limit) = left().map(|(operation, _)| operation.end).min() else {
            return true;
        };
        if !self.seen.insert((done.clone(), model.clone())) {
            return false;
        }
        for (index, &operation) in self.history.iter().enumerate() {
            if is_over((&operation, &done[index])) || operation.begin > limit {
                continue;
            }
            let is_first = done[index] == 0;
            if let Some(next) = model.after(operation.answer, is_first, self.capacity) {
                done[index] += 1;
                if self.goes_on(done, &next) {
                    return true;
                }
                done[index] -= 1;
            }
        }
        false
    }
}
