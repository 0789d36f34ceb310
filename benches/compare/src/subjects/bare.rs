//! The floor of the one-way workloads: messages are copied into shared memory and out of it, or are
//! built and read there. Each side publishes its position only once per stride of messages.

use crate::channel::{Channel, Setup};
use crate::workload::{Experiment, Workload};
use bench_support::{
    BATCH, Body, CAPACITY, CachePadded, Result, Shared, Sink, Source, SpinWait, share_with_forks,
};
use std::cell::UnsafeCell;
use std::hint::black_box;
use std::mem::MaybeUninit;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Release};

/// Messages between two updates of a position: their bytes are a part of a private cache, and
/// their number divides the messages of every slice.
const fn stride<B>() -> u64 {
    const BYTES: usize = 16 << 10;
    match BYTES / size_of::<B>() {
        0 => 1,
        256.. => 256,
        messages => 1 << messages.ilog2(),
    }
}

#[repr(C)]
struct Memory<B> {
    written: CachePadded<AtomicU64>,
    freed: CachePadded<AtomicU64>,
    slots: [UnsafeCell<B>; CAPACITY],
}

// SAFETY: the positions let only one side at a time access a slot.
unsafe impl<B: Body> Sync for Memory<B> {}

// SAFETY: every field is an atomic or a cell of integers.
unsafe impl<B: Body> Shared for Memory<B> {}

pub(crate) struct Bare<B: Body>(&'static Memory<B>);

impl<B: Body> Channel<B> for Bare<B> {
    type Sink = Writer<B>;
    type Source = Reader<B>;

    fn unsupported(experiment: &Experiment) -> Option<&'static str> {
        match experiment.workload {
            Workload::OneWay | Workload::Batch | Workload::InPlace => None,
            _ => Some("one way only"),
        }
    }

    fn new(_setup: &Setup) -> Result<Self> {
        Ok(Self(share_with_forks()?))
    }

    fn sink(&self, setup: &Setup) -> Result<Self::Sink> {
        Ok(Writer {
            memory: self.0,
            position: 0,
            until: CAPACITY as u64,
            wait: setup.wait,
        })
    }

    fn source(&self, setup: &Setup) -> Result<Self::Source> {
        Ok(Reader {
            memory: self.0,
            position: 0,
            until: 0,
            wait: setup.wait,
        })
    }
}

impl<B: Body> Memory<B> {
    #[inline(always)]
    fn slot(&self, position: u64) -> *mut B {
        self.slots[position as usize % CAPACITY].get()
    }
}

pub(crate) struct Writer<B: Body> {
    memory: &'static Memory<B>,
    position: u64,
    until: u64,
    wait: SpinWait,
}

impl<B: Body> Writer<B> {
    #[inline(always)]
    fn next(&mut self) -> *mut B {
        if self.position == self.until {
            let (freed, position) = (&self.memory.freed, self.position);
            self.until = self.wait.until(|| {
                let until = freed.load(Acquire) + CAPACITY as u64;
                (until > position).then_some(until)
            });
        }
        self.memory.slot(self.position)
    }

    #[inline(always)]
    fn done(&mut self) {
        self.position += 1;
        if self.position.is_multiple_of(stride::<B>()) {
            self.memory.written.store(self.position, Release);
        }
    }
}

impl<B: Body> Sink<B> for Writer<B> {
    #[inline(always)]
    fn send(&mut self, message: &B) -> Result<()> {
        // As for a caller of a library, the message comes from other memory.
        let message = black_box(message);
        let place = self.next();
        // SAFETY: a free slot.
        unsafe { place.copy_from_nonoverlapping(message, 1) }
        self.done();
        Ok(())
    }

    #[inline(always)]
    fn send_batch(&mut self, first: u64) -> Result<()> {
        (first..first + BATCH as u64).try_for_each(|number| self.send_in_place(number))
    }

    #[inline(always)]
    fn send_in_place(&mut self, number: u64) -> Result<()> {
        let place = self.next();
        // SAFETY: a free slot.
        unsafe { B::fill(place, number) }
        self.done();
        Ok(())
    }
}

pub(crate) struct Reader<B: Body> {
    memory: &'static Memory<B>,
    position: u64,
    until: u64,
    wait: SpinWait,
}

impl<B: Body> Reader<B> {
    #[inline(always)]
    fn next(&mut self) -> *const B {
        if self.position == self.until {
            let (written, position) = (&self.memory.written, self.position);
            self.until = self.wait.until(|| {
                let until = written.load(Acquire);
                (until > position).then_some(until)
            });
        }
        self.memory.slot(self.position)
    }

    #[inline(always)]
    fn done(&mut self) {
        self.position += 1;
        if self.position.is_multiple_of(stride::<B>()) {
            self.memory.freed.store(self.position, Release);
        }
    }
}

impl<B: Body> Source<B> for Reader<B> {
    #[inline(always)]
    fn receive(&mut self, visit: impl FnOnce(&B)) -> Result<()> {
        let place = self.next();
        let mut message = MaybeUninit::<B>::uninit();
        // SAFETY: a full slot, and room for a message.
        unsafe { place.copy_to_nonoverlapping(message.as_mut_ptr(), 1) }
        // SAFETY: a message was copied there.
        visit(black_box(unsafe { message.assume_init_ref() }));
        self.done();
        Ok(())
    }

    #[inline(always)]
    fn receive_batch(&mut self, most: usize, mut visit: impl FnMut(&B)) -> Result<usize> {
        for _ in 0..most {
            self.receive_in_place(&mut visit)?;
        }
        Ok(most)
    }

    #[inline(always)]
    fn receive_in_place(&mut self, visit: impl FnOnce(&B)) -> Result<()> {
        // SAFETY: a full slot.
        visit(unsafe { &*self.next() });
        self.done();
        Ok(())
    }
}
