//! Steps that all processes of a crew execute together. The board records the time of each.

use crate::Result;
use crate::processes::{Role, Shape};
use bench_support::{BATCH, Body, CachePadded, Floor, Shared, Sink, Source, now, sum_of_all};
use std::hint::spin_loop;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use std::thread;
use std::time::Duration;

/// Messages that a process reserves at a time. Small chunks leave more of them to fast processes.
const CHUNK: u64 = 256;
/// The intended length of a slice, in nanoseconds.
const SLICE: f64 = 25e6;
const LANES: usize = 4;
const MOST_STEPS: usize = 4096;

/// The work of one slice, on the lane with this index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Floor,
    /// Messages one by one.
    Single(usize),
    Batched(usize),
}

/// A barrier between processes.
#[repr(C)]
pub(crate) struct Barrier(CachePadded<AtomicU64>);

impl Barrier {
    /// Registers an arrival, and returns the count of arrivals that completes this phase.
    pub(crate) fn arrive(&self, parties: u64) -> u64 {
        let earlier = self.0.fetch_add(1, AcqRel);
        (earlier / parties + 1) * parties
    }

    pub(crate) fn is_complete(&self, arrivals: u64) -> bool {
        self.0.load(Acquire) >= arrivals
    }

    /// Returns when all parties have arrived as often as this one.
    pub(crate) fn wait(&self, parties: u64) {
        let all = self.arrive(parties);
        let mut checks = 0;
        while !self.is_complete(all) {
            checks += 1;
            match checks {
                0..200 => spin_loop(),
                200..600 => thread::yield_now(),
                _ => thread::sleep(Duration::from_micros(100)),
            }
        }
    }
}

/// The shared state of a crew.
#[repr(C)]
pub(crate) struct Board {
    barrier: Barrier,
    pushed: CachePadded<AtomicU64>,
    popped: CachePadded<AtomicU64>,
    sum: CachePadded<AtomicU64>,
    began: CachePadded<AtomicU64>,
    ended: CachePadded<AtomicU64>,
    messages: CachePadded<AtomicU64>,
    floor: Floor,
    /// The messages per slice of each kind of step, adapted after each slice.
    message_counts: [AtomicU64; 2 * LANES],
    /// Nanoseconds per message or exchange, as the bits of a float.
    results: [AtomicU64; MOST_STEPS],
}

// SAFETY: every field is atomic, and all zeroes are a valid value.
unsafe impl Shared for Board {}

impl Board {
    pub(crate) fn result(&self, step: usize) -> f64 {
        f64::from_bits(self.results[step].load(Acquire))
    }

    fn message_count(&self, step: Step) -> Option<&AtomicU64> {
        match step {
            Step::Floor => None,
            Step::Single(lane) => Some(&self.message_counts[2 * lane]),
            Step::Batched(lane) => Some(&self.message_counts[2 * lane + 1]),
        }
    }

    fn prepare(&self, step: Step) {
        let Some(count) = self.message_count(step) else {
            return;
        };
        let messages = count.load(Relaxed).max(100 * CHUNK);
        self.messages.store(messages, Relaxed);
        for count in [&self.pushed, &self.popped, &self.sum, &self.ended] {
            count.store(0, Relaxed);
        }
        self.began.store(u64::MAX, Relaxed);
    }

    fn record(&self, index: usize, step: Step, sum_of_all: impl Fn(u64) -> u64) -> Result<()> {
        let Some(count) = self.message_count(step) else {
            return Ok(());
        };
        let messages = self.messages.load(Relaxed);
        let (sum, expected) = (self.sum.load(Relaxed), sum_of_all(messages));
        if sum != expected {
            return Err(format!(
                "{step:?}, {messages} messages: found sum {sum}, expected {expected}"
            )
            .into());
        }
        let nanos = self.ended.load(Relaxed) - self.began.load(Relaxed);
        let each = nanos as f64 / messages as f64;
        self.results[index].store(each.to_bits(), Relaxed);
        let next = (SLICE / each) as u64;
        // Grow slowly, because the first slices are not representative.
        let next = next.min(4 * messages).next_multiple_of(CHUNK);
        count.store(next, Relaxed);
        Ok(())
    }

    /// Reserves the next chunk of numbers to push or pop. `None` means that all are reserved.
    fn chunk(&self, done: &CachePadded<AtomicU64>) -> Option<std::ops::Range<u64>> {
        let start = done.fetch_add(CHUNK, Relaxed);
        (start < self.messages.load(Relaxed)).then_some(start..start + CHUNK)
    }
}

/// One endpoint of a ring, as a step uses it.
pub(crate) trait Lane {
    fn run(&mut self, board: &Board, is_batched: bool) -> Result<()>;
    fn sum_of_all(&self, messages: u64) -> u64;
    /// Fills or drains the ring.
    fn fill_or_drain(&mut self) -> Result<()>;
}

/// An endpoint that pushes.
pub(crate) struct SinkLane<E, B>(pub(crate) E, pub(crate) std::marker::PhantomData<B>);

/// An endpoint that pops.
pub(crate) struct SourceLane<E, B>(pub(crate) E, pub(crate) std::marker::PhantomData<B>);

impl<B: Body, E: Sink<B>> Lane for SinkLane<E, B> {
    #[inline(never)]
    fn run(&mut self, board: &Board, is_batched: bool) -> Result<()> {
        board.began.fetch_min(now(), Relaxed);
        while let Some(numbers) = board.chunk(&board.pushed) {
            if is_batched {
                for first in numbers.step_by(BATCH) {
                    self.0.send_batch(first)?;
                }
            } else {
                for number in numbers {
                    self.0.send(&B::numbered(number))?;
                }
            }
        }
        Ok(())
    }

    fn sum_of_all(&self, messages: u64) -> u64 {
        sum_of_all::<B>(messages)
    }

    fn fill_or_drain(&mut self) -> Result<()> {
        self.0.fill()
    }
}

impl<B: Body, E: Source<B>> Lane for SourceLane<E, B> {
    #[inline(never)]
    fn run(&mut self, board: &Board, is_batched: bool) -> Result<()> {
        let mut sum = 0_u64;
        while let Some(numbers) = board.chunk(&board.popped) {
            let mut left = CHUNK as usize;
            while is_batched && left > 0 {
                let most = left.min(BATCH);
                left -= self
                    .0
                    .receive_batch(most, |message: &B| sum += message.sum())?;
            }
            if !is_batched {
                for _ in numbers {
                    sum += self.0.receive_value()?.sum();
                }
            }
        }
        board.sum.fetch_add(sum, Relaxed);
        board.ended.fetch_max(now(), Relaxed);
        Ok(())
    }

    fn sum_of_all(&self, messages: u64) -> u64 {
        sum_of_all::<B>(messages)
    }

    fn fill_or_drain(&mut self) -> Result<()> {
        self.0.drain()
    }
}

/// Executes the steps. Their results start at index `first` of the board. The first producer
/// records the results.
pub(crate) fn run(
    board: &Board,
    role: Role,
    shape: &Shape,
    lanes: &mut [Box<dyn Lane>],
    first: usize,
    steps: &[Step],
) -> Result<()> {
    let parties = 2 * shape.each;
    let is_recorder = role == Role::Producer && shape.index == 0;
    for (index, &step) in (first..).zip(steps) {
        if is_recorder {
            board.prepare(step);
        }
        board.barrier.wait(parties);
        match step {
            Step::Single(lane) => lanes[lane].run(board, false)?,
            Step::Batched(lane) => lanes[lane].run(board, true)?,
            Step::Floor if is_recorder => {
                let nanos = board.floor.probe();
                board.results[index].store(nanos.to_bits(), Relaxed);
            }
            Step::Floor if shape.index == 0 => board.floor.answer_probe(),
            Step::Floor => {}
        }
        board.barrier.wait(parties);
        if let (true, Step::Single(lane) | Step::Batched(lane)) = (is_recorder, step) {
            board.record(index, step, |messages| lanes[lane].sum_of_all(messages))?;
        }
    }
    Ok(())
}
