//! The floor of a ring with stamps in its slots: copies into slots and out of them, each published
//! or released with one store. It has no handles, no hints for a successor, no sleep and no close.

use crate::channel::{Channel, Setup};
use crate::workload::{Experiment, Workload};
use bench_support::{
    BATCH, Body, CAPACITY, Result, Shared, Sink, Source, SpinWait, share_with_forks,
};
use std::cell::UnsafeCell;
use std::hint::black_box;
use std::mem::MaybeUninit;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Release};

#[repr(C)]
struct Slot<B> {
    /// Twice the lap when the slot is free, plus one when it is full.
    word: AtomicU64,
    payload: UnsafeCell<B>,
}

#[repr(C, align(4096))]
struct Memory<B>([Slot<B>; CAPACITY]);

// SAFETY: the word lets only one side at a time access a payload.
unsafe impl<B: Body> Sync for Memory<B> {}

// SAFETY: every field is an atomic or a cell of integers.
unsafe impl<B: Body> Shared for Memory<B> {}

pub(crate) struct Slots<B: Body>(&'static Memory<B>);

impl<B: Body> Channel<B> for Slots<B> {
    type Sink = End<B>;
    type Source = End<B>;

    fn unsupported(experiment: &Experiment) -> Option<&'static str> {
        match experiment.workload {
            Workload::RoundTrip | Workload::OneWay | Workload::Batch => None,
            _ => Some("copies, one to one"),
        }
    }

    fn new(_setup: &Setup) -> Result<Self> {
        Ok(Self(share_with_forks()?))
    }

    fn sink(&self, setup: &Setup) -> Result<Self::Sink> {
        Ok(End::new(self.0, setup.wait))
    }

    fn source(&self, setup: &Setup) -> Result<Self::Source> {
        Ok(End::new(self.0, setup.wait))
    }
}

/// An endpoint of either side. The sides differ in the word that they wait for.
pub(crate) struct End<B: Body> {
    memory: &'static Memory<B>,
    position: u64,
    wait: SpinWait,
}

impl<B: Body> End<B> {
    fn new(memory: &'static Memory<B>, wait: SpinWait) -> Self {
        Self {
            memory,
            position: 0,
            wait,
        }
    }

    /// Waits until the next slot's word reaches `turn` of its lap, copies, and advances the word.
    #[inline(always)]
    fn next<R>(&mut self, turn: u64, copy: impl FnOnce(*mut u64) -> R) -> R {
        let slot = &self.memory.0[self.position as usize % CAPACITY];
        let word = 2 * (self.position / CAPACITY as u64) + turn;
        self.wait
            .until(|| (slot.word.load(Acquire) == word).then_some(()));
        let copied = copy(slot.payload.get().cast());
        slot.word.store(word + 1, Release);
        self.position += 1;
        copied
    }
}

/// Copies word by word, as the library does. Vector copies would read in other units than were
/// written.
///
/// # Safety
///
/// `from` and `to` point to a `B` each.
#[inline(always)]
unsafe fn copy<B: Body>(from: *const u64, to: *mut u64) {
    for place in 0..size_of::<B>() / size_of::<u64>() {
        // SAFETY: one of the words of the message.
        let from = unsafe { from.add(place) };
        // SAFETY: as above.
        let to = unsafe { to.add(place) };
        // SAFETY: guaranteed by the caller.
        let word = unsafe { from.read_volatile() };
        // SAFETY: guaranteed by the caller.
        unsafe { to.write_volatile(word) }
    }
}

impl<B: Body> Sink<B> for End<B> {
    #[inline(always)]
    fn send(&mut self, message: &B) -> Result<()> {
        let message = black_box(message);
        self.next(0, |place| {
            // SAFETY: a message, and a free slot.
            unsafe { copy::<B>((&raw const *message).cast(), place) }
        });
        Ok(())
    }

    #[inline(always)]
    fn send_batch(&mut self, first: u64) -> Result<()> {
        for number in first..first + BATCH as u64 {
            self.next(0, |place| {
                // SAFETY: a free slot.
                unsafe { B::fill(place.cast(), number) }
            });
        }
        Ok(())
    }
}

impl<B: Body> Source<B> for End<B> {
    #[inline(always)]
    fn receive(&mut self, visit: impl FnOnce(&B)) -> Result<()> {
        let mut message = MaybeUninit::<B>::uninit();
        self.next(1, |place| {
            // SAFETY: a full slot, and room for a message.
            unsafe { copy::<B>(place, message.as_mut_ptr().cast()) }
        });
        // SAFETY: a message was copied there.
        visit(unsafe { message.assume_init_ref() });
        Ok(())
    }

    #[inline(always)]
    fn receive_batch(&mut self, most: usize, mut visit: impl FnMut(&B)) -> Result<usize> {
        for _ in 0..most {
            self.receive(&mut visit)?;
        }
        Ok(most)
    }
}
