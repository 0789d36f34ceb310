//! The floor of a ring whose slots have words of their own: copies into slots and out of them, each announced and
//! given back with one store, and nothing else. No handle that can be refused, no hint for who comes after a dead one,
//! nobody who sleeps, nothing that can close.

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
    /// Twice the lap when it is free, one more when it is full.
    word: AtomicU64,
    payload: UnsafeCell<B>,
}

#[repr(C, align(4096))]
struct Memory<B>([Slot<B>; CAPACITY]);

// SAFETY: a payload is touched only by the side whose turn it is, as the word says.
unsafe impl<B: Body> Sync for Memory<B> {}

// SAFETY: integers in atomics and cells.
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

/// Of either side: they differ in the word that they wait for.
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

    /// Waits until the next slot's word is so far in its lap, lets `copy` copy, and says that it has.
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

/// Word by word, as the library does: a copy in vectors reads other pieces than were written.
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
        // SAFETY: the caller says so.
        let word = unsafe { from.read_volatile() };
        // SAFETY: the caller says so.
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
