//! A stream through a ring that stays as full as an experiment wants it. The ends tell each other
//! how far they are, and who would leave the band waits for the other.

use crate::channel::{Channel, Setup};
use crate::instance::{ProcessLanes, Side};
use crate::workload::{Experiment, Fill};
use bench_support::{
    Board, Body, CachePadded, Lane, Result, Shared, Sink, Source, SpinWait, share_with_forks,
    sum_of_all,
};
use std::marker::PhantomData;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Release};

/// Messages that it may be fuller or emptier by, and those between two words to the other side:
/// many enough for these to cost little, few enough to be nothing beside a large ring.
const WIDTH: u64 = 64;
const WORDS_PER_WIDTH: u64 = 4;

/// The fill of a ring: between slices just so, in them within bounds.
#[derive(Clone, Copy)]
struct Band {
    fill: u64,
    /// Of nothing nobody takes more, so that nobody waits for this.
    least: u64,
    /// Nor for this, where it is all that the ring holds.
    most: u64,
    capacity: u64,
    step: u64,
}

impl Band {
    fn of(capacity: u64, fill: Fill) -> Self {
        let width = WIDTH.min(capacity / 4);
        let fill = match fill {
            Fill::Empty => 0,
            Fill::Half => capacity / 2,
            Fill::AllButFull => capacity - 1,
        };
        Self {
            fill,
            least: fill.saturating_sub(width),
            most: capacity.min(fill + width),
            capacity,
            step: width / WORDS_PER_WIDTH,
        }
    }
}

/// How far both are, said after every step.
#[repr(C)]
struct Progress {
    sent: CachePadded<AtomicU64>,
    received: CachePadded<AtomicU64>,
}

// SAFETY: all of it is atomic, and zero is a value.
unsafe impl Shared for Progress {}

pub(crate) struct Filled<B, L> {
    setup: Setup,
    ring: L,
    band: Band,
    progress: &'static Progress,
    body: PhantomData<B>,
}

impl<B: Body, L: Channel<B>> Filled<B, L> {
    pub(crate) fn new(experiment: &Experiment, name: &str) -> Result<Self> {
        let setup = Setup {
            experiment: *experiment,
            name: name.to_owned(),
            wait: SpinWait::DEDICATED,
        };
        let fill = experiment.fill.ok_or("as full as it happens to be")?;
        Ok(Self {
            ring: L::new(&setup)?,
            setup,
            band: Band::of(experiment.capacity as u64, fill),
            progress: share_with_forks()?,
            body: PhantomData,
        })
    }
}

impl<B: Body, L: Channel<B>> ProcessLanes for Filled<B, L> {
    fn lane(&self, side: Side) -> Result<Box<dyn Lane>> {
        let (band, progress, wait) = (self.band, self.progress, self.setup.wait);
        if let Side::Consumer(_) = side {
            return Ok(Box::new(Emptying::<B, L::Source> {
                source: self.ring.source(&self.setup)?,
                received: 0,
                band,
                progress,
                wait,
                body: PhantomData,
            }));
        }
        let mut sink = self.ring.sink(&self.setup)?;
        (0..band.fill).try_for_each(|number| sink.send_numbered(number))?;
        progress.sent.store(band.fill, Release);
        Ok(Box::new(Filling::<B, L::Sink> {
            sink,
            sent: band.fill,
            band,
            progress,
            wait,
            body: PhantomData,
        }))
    }
}

struct Filling<B, O> {
    sink: O,
    sent: u64,
    band: Band,
    progress: &'static Progress,
    wait: SpinWait,
    body: PhantomData<B>,
}

impl<B: Body, O: Sink<B>> Lane for Filling<B, O> {
    #[inline(never)]
    fn run(&mut self, board: &Board, messages: u64) -> Result<()> {
        let Self { band, progress, .. } = *self;
        let end = self.sent + messages;
        board.start_clock();
        while self.sent < end {
            let until = end.min(self.sent + band.step);
            if band.most < band.capacity {
                self.wait.until(|| {
                    let received = progress.received.load(Acquire);
                    (until <= received + band.most).then_some(())
                });
            }
            (self.sent..until).try_for_each(|number| self.sink.send_numbered(number))?;
            self.sent = until;
            progress.sent.store(until, Release);
        }
        Ok(())
    }
}

struct Emptying<B, I> {
    source: I,
    received: u64,
    band: Band,
    progress: &'static Progress,
    wait: SpinWait,
    body: PhantomData<B>,
}

impl<B: Body, I: Source<B>> Lane for Emptying<B, I> {
    #[inline(never)]
    fn run(&mut self, board: &Board, messages: u64) -> Result<()> {
        let Self { band, progress, .. } = *self;
        let (start, end) = (self.received, self.received + messages);
        let (mut next, mut is_disordered, mut sum) = (start, false, 0_u64);
        while self.received < end {
            let until = end.min(self.received + band.step);
            if band.least > 0 {
                self.wait.until(|| {
                    let sent = progress.sent.load(Acquire);
                    (until + band.least <= sent).then_some(())
                });
            }
            for _ in self.received..until {
                self.source.receive(|message| {
                    is_disordered |= message.number() != next;
                    next = message.number().wrapping_add(1);
                    sum = sum.wrapping_add(message.sum());
                })?;
            }
            self.received = until;
            progress.received.store(until, Release);
        }
        board.stop_clock(0);
        let wanted = sum_of_all::<B>(end).wrapping_sub(sum_of_all::<B>(start));
        match !is_disordered && next == end && sum == wanted {
            true => Ok(()),
            false => Err("messages were lost, changed or out of order".into()),
        }
    }
}
