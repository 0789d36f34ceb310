//! Slices: all processes of a crew go through the same steps together, and note how long each
//! took.

use crate::Result;
use crate::ends::{Pop, Push};
use crate::peers::{Role, Shape};
use common::{BATCH, Body, Floor, Line, Shared, now, sum_of_all};
use std::hint::spin_loop;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use std::thread;
use std::time::Duration;

/// Messages that a process takes upon itself at a time, so that the slow ones of a side leave the
/// rest to the quick ones.
const CHUNK: u64 = 256;
/// What a slice is to last.
const SLICE: f64 = 25e6;
const LANES: usize = 4;
const MOST_STEPS: usize = 4096;

/// One slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Floor,
    /// One after the other.
    Single(usize),
    Batched(usize),
}

/// Where processes wait for each other.
#[repr(C)]
pub(crate) struct Meeting(Line<AtomicU64>);

impl Meeting {
    /// Comes, and says of how many arrivals this is one.
    pub(crate) fn arrive(&self, parties: u64) -> u64 {
        let earlier = self.0.0.fetch_add(1, AcqRel);
        (earlier / parties + 1) * parties
    }

    pub(crate) fn is_complete(&self, arrivals: u64) -> bool {
        self.0.0.load(Acquire) >= arrivals
    }

    /// Returns when all have come as often as this one.
    pub(crate) fn meet(&self, parties: u64) {
        let all = self.arrive(parties);
        let mut looks = 0;
        while !self.is_complete(all) {
            looks += 1;
            match looks {
                0..200 => spin_loop(),
                200..600 => thread::yield_now(),
                _ => thread::sleep(Duration::from_micros(100)),
            }
        }
    }
}

/// What the processes of a crew do together.
#[repr(C)]
pub(crate) struct Board {
    meeting: Meeting,
    pushed: Line<AtomicU64>,
    popped: Line<AtomicU64>,
    sum: Line<AtomicU64>,
    began: Line<AtomicU64>,
    ended: Line<AtomicU64>,
    messages: Line<AtomicU64>,
    floor: Floor,
    /// How many messages each kind of step takes, as its last time taught.
    lessons: [AtomicU64; 2 * LANES],
    /// The nanoseconds of a message or of an exchange, as the bits of a float.
    results: [AtomicU64; MOST_STEPS],
}

// SAFETY: all of it is atomic, and zero is a value.
unsafe impl Shared for Board {}

impl Board {
    pub(crate) fn result(&self, step: usize) -> f64 {
        f64::from_bits(self.results[step].load(Acquire))
    }

    fn lesson(&self, step: Step) -> Option<&AtomicU64> {
        match step {
            Step::Floor => None,
            Step::Single(lane) => Some(&self.lessons[2 * lane]),
            Step::Batched(lane) => Some(&self.lessons[2 * lane + 1]),
        }
    }

    fn prepare(&self, step: Step) {
        let Some(lesson) = self.lesson(step) else {
            return;
        };
        let messages = lesson.load(Relaxed).max(100 * CHUNK);
        self.messages.0.store(messages, Relaxed);
        for count in [&self.pushed, &self.popped, &self.sum, &self.ended] {
            count.0.store(0, Relaxed);
        }
        self.began.0.store(u64::MAX, Relaxed);
    }

    fn conclude(&self, index: usize, step: Step, sum_of_all: impl Fn(u64) -> u64) -> Result<()> {
        let Some(lesson) = self.lesson(step) else {
            return Ok(());
        };
        let messages = self.messages.0.load(Relaxed);
        let (sum, expected) = (self.sum.0.load(Relaxed), sum_of_all(messages));
        if sum != expected {
            return Err(format!("{step:?}: {messages} messages make {sum}, not {expected}").into());
        }
        let nanos = self.ended.0.load(Relaxed) - self.began.0.load(Relaxed);
        let each = nanos as f64 / messages as f64;
        self.results[index].store(each.to_bits(), Relaxed);
        let next = (SLICE / each) as u64;
        // Not much more at a time: the first slices are no measure.
        let next = next.min(4 * messages).next_multiple_of(CHUNK);
        lesson.store(next, Relaxed);
        Ok(())
    }

    /// The numbers of the next messages to be pushed or popped; `None` when all are.
    fn chunk(&self, done: &Line<AtomicU64>) -> Option<std::ops::Range<u64>> {
        let start = done.0.fetch_add(CHUNK, Relaxed);
        (start < self.messages.0.load(Relaxed)).then_some(start..start + CHUNK)
    }
}

/// One end of a ring, as a step needs it.
pub(crate) trait Lane {
    fn run(&mut self, board: &Board, is_batched: bool) -> Result<()>;
    fn sum_of_all(&self, messages: u64) -> u64;
    /// Pushes or pops until there is no room or no message.
    fn until_refused(&mut self) -> Result<()>;
}

/// An end that pushes.
pub(crate) struct Sending<E, B>(pub(crate) E, pub(crate) std::marker::PhantomData<B>);

/// An end that pops.
pub(crate) struct Receiving<E, B>(pub(crate) E, pub(crate) std::marker::PhantomData<B>);

impl<B: Body, E: Push<B>> Lane for Sending<E, B> {
    #[inline(never)]
    fn run(&mut self, board: &Board, is_batched: bool) -> Result<()> {
        board.began.0.fetch_min(now(), Relaxed);
        while let Some(numbers) = board.chunk(&board.pushed) {
            if is_batched {
                for first in numbers.step_by(BATCH) {
                    let messages: [B; BATCH] =
                        std::array::from_fn(|place| B::numbered(first + place as u64));
                    self.0.push_all(&messages)?;
                }
            } else {
                for number in numbers {
                    self.0.push(&B::numbered(number))?;
                }
            }
        }
        Ok(())
    }

    fn sum_of_all(&self, messages: u64) -> u64 {
        sum_of_all::<B>(messages)
    }

    fn until_refused(&mut self) -> Result<()> {
        self.0.fill()
    }
}

impl<B: Body, E: Pop<B>> Lane for Receiving<E, B> {
    #[inline(never)]
    fn run(&mut self, board: &Board, is_batched: bool) -> Result<()> {
        let mut sum = 0_u64;
        let mut messages = [B::zeroed(); BATCH];
        while let Some(numbers) = board.chunk(&board.popped) {
            let mut left = CHUNK as usize;
            while is_batched && left > 0 {
                let room = left.min(BATCH);
                let popped = self.0.pop_some(&mut messages[..room])?;
                sum += messages[..popped].iter().map(Body::sum).sum::<u64>();
                left -= popped;
            }
            if !is_batched {
                for _ in numbers {
                    sum += self.0.pop()?.sum();
                }
            }
        }
        board.sum.0.fetch_add(sum, Relaxed);
        board.ended.0.fetch_max(now(), Relaxed);
        Ok(())
    }

    fn sum_of_all(&self, messages: u64) -> u64 {
        sum_of_all::<B>(messages)
    }

    fn until_refused(&mut self) -> Result<()> {
        self.0.drain()
    }
}

/// Goes through the steps, the first of which is the board's `first`. The first producer keeps the
/// books.
pub(crate) fn run(
    board: &Board,
    role: Role,
    shape: &Shape,
    lanes: &mut [Box<dyn Lane>],
    first: usize,
    steps: &[Step],
) -> Result<()> {
    let parties = 2 * shape.each;
    let keeps_books = role == Role::Producer && shape.index == 0;
    for (index, &step) in (first..).zip(steps) {
        if keeps_books {
            board.prepare(step);
        }
        board.meeting.meet(parties);
        match step {
            Step::Single(lane) => lanes[lane].run(board, false)?,
            Step::Batched(lane) => lanes[lane].run(board, true)?,
            Step::Floor if keeps_books => {
                let nanos = board.floor.probe();
                board.results[index].store(nanos.to_bits(), Relaxed);
            }
            Step::Floor if shape.index == 0 => board.floor.answer_probe(),
            Step::Floor => {}
        }
        board.meeting.meet(parties);
        if let (true, Step::Single(lane) | Step::Batched(lane)) = (keeps_books, step) {
            board.conclude(index, step, |messages| lanes[lane].sum_of_all(messages))?;
        }
    }
    Ok(())
}
