//! A stream that keeps the fill of a ring within a band. Both sides publish their positions, and a
//! side that would leave the band waits for its peer.

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

/// The width of the band on each side, in messages, and the updates of a position per width. The
/// width is large enough to make updates cheap, and small compared with a large ring.
const WIDTH: u64 = 64;
const WORDS_PER_WIDTH: u64 = 4;

/// The fill of a ring: exactly `fill` between slices, and within bounds during a slice.
#[derive(Clone, Copy)]
struct Band {
    fill: u64,
    /// Zero means that the consumer does not wait for it.
    least: u64,
    /// The ring's capacity means that the producer does not wait for it.
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

/// The positions of both sides, updated after every step.
#[repr(C)]
struct Progress {
    sent: CachePadded<AtomicU64>,
    received: CachePadded<AtomicU64>,
}

// SAFETY: every field is atomic, and all zeroes are a valid value.
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
        let fill = experiment.fill.ok_or("the experiment sets no fill")?;
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
            false => Err("messages are lost, changed or out of order".into()),
        }
    }
}
