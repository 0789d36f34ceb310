//! Models of the ring: the code that ships, on private memory. The capacity is 2 unless a model
//! sets another.

#![allow(unsafe_code)]

mod adoption;
mod closing;
mod deaths;
mod exchange;
mod laps;
mod mpmc;
mod participants;
#[cfg(native)]
mod sequences;
mod sweep;
mod takeover;
mod waiting;
mod wakes;

use super::intent::Intent;
use super::slot::{SlotLayout, Slots, TOMBSTONE};
use super::spsc::{Reader, Writer};
use super::{PopSide, PushSide, Words};
use crate::properties::Fences;
use crate::sync::model::{Mutex, yield_now};
use crate::sync::{AtomicU32, AtomicU64, Bytes};
use crate::sys::clock::Instant;
use crate::wait::Event;
use core::ptr::NonNull;
use std::sync::{Arc, OnceLock};

const CAPACITY: u64 = 2;
const PRODUCERS: usize = 2;
const PARTICIPANTS: usize = 4;

/// A start position: its low half, which a stamp carries, wraps in the middle of a model.
const WRAP_32: u64 = u32::MAX as u64;
/// The last position before positions wrap.
const WRAP_64: u64 = u64::MAX;

#[cfg(loom)]
type Payload = crate::sync::Cell;
#[cfg(shuttle)]
type Payload = core::cell::UnsafeCell<u64>;

/// A slot of one cache line, large enough that both sides probe ahead.
#[repr(C, align(64))]
struct SlotMemory {
    word: AtomicU64,
    payload: Payload,
}

/// The memory that the processes of a model share.
struct Memory {
    slot_memory: Box<[SlotMemory]>,
    tail: AtomicU64,
    head: AtomicU64,
    not_empty: Event,
    not_full: Event,
    /// The intents of MPMC producers and consumers, by seat.
    intents: [Intent; PARTICIPANTS],
    /// Whether the holder of a seat is gone, as the kernel would report.
    is_gone: [AtomicU32; PARTICIPANTS],
    /// The recovery lock. Like the kernel, models release it when its holder is killed.
    recovery_lock: Mutex<()>,
    /// The messages that were pushed before the model started.
    initial_messages: OnceLock<Vec<u64>>,
}

// SAFETY: a payload is accessed only through `Slots`, by one thread at a time if the ring is
// correct. The models check that.
unsafe impl Sync for Memory {}

impl Memory {
    /// An empty ring of the default capacity. Its first message gets `position`.
    fn at(position: u64) -> Arc<Self> {
        Self::of(CAPACITY, position)
    }

    fn of(capacity: u64, position: u64) -> Arc<Self> {
        let slot = |_| SlotMemory {
            word: AtomicU64::new(0),
            payload: Payload::new(0),
        };
        let memory = Arc::new(Self {
            slot_memory: (0..capacity).map(slot).collect(),
            tail: AtomicU64::new(position),
            head: AtomicU64::new(position),
            not_empty: Event::new(),
            not_full: Event::new(),
            intents: core::array::from_fn(|_| Intent::new()),
            is_gone: core::array::from_fn(|_| AtomicU32::new(0)),
            recovery_lock: Mutex::new(()),
            initial_messages: OnceLock::new(),
        });
        for step in 0..capacity {
            let position = position.wrapping_add(step);
            memory.slots().at(position).reset(position);
        }
        memory
    }

    /// The slots, for a user that does not outlive the memory.
    fn slots(&self) -> Slots<'static> {
        let layout = SlotLayout {
            stride: size_of::<SlotMemory>(),
            payload_offset: core::mem::offset_of!(SlotMemory, payload),
        };
        let base = NonNull::from(&*self.slot_memory).cast();
        // SAFETY: `base` points to that many slots, each a word and a payload. Both may be changed
        // through a shared reference.
        unsafe { Slots::new(base, self.slot_memory.len() as u64, layout) }
    }

    fn producer_words<'r>(&'r self, slots: &'r Slots<'r>, seat: usize) -> Words<'r> {
        Words {
            slots,
            index: &self.tail,
            tail: &self.tail,
            intent: &self.intents[seat],
        }
    }

    fn consumer_words<'r>(&'r self, slots: &'r Slots<'r>, seat: usize) -> Words<'r> {
        Words {
            index: &self.head,
            tail: &self.tail,
            ..self.producer_words(slots, seat)
        }
    }
}

/// A producer that uses the ring as `Producer` does.
struct TestProducer<W = Writer> {
    writer: W,
    seat: usize,
    slots: Slots<'static>,
    memory: Arc<Memory>,
    /// Whether it ever found no slot ready, and slept or would have slept.
    was_refused: bool,
}

impl TestProducer {
    fn resume(memory: &Arc<Memory>) -> Self {
        Self::at_seat(memory, 0)
    }
}

impl<W: PushSide> TestProducer<W> {
    fn at_seat(memory: &Arc<Memory>, seat: usize) -> Self {
        let slots = memory.slots();
        Self {
            writer: W::resume(&memory.producer_words(&slots, seat)).unwrap(),
            seat,
            slots,
            memory: Arc::clone(memory),
            was_refused: false,
        }
    }

    /// Writes a message into the next slot, if it is free, without publishing it.
    fn write(&mut self, message: u64) -> bool {
        self.claim_and_write(1, message)
    }

    /// As `write`, after a claim of up to `max` slots.
    fn claim_and_write(&mut self, max: u64, message: u64) -> bool {
        let words = self.memory.producer_words(&self.slots, self.seat);
        let free = self.writer.claim(&words, max).unwrap();
        if free {
            // SAFETY: the slot holds a `u64`, and this producer claimed it.
            unsafe { self.writer.slot(&words).payload().store(&message) };
        }
        self.was_refused |= !free;
        free
    }

    /// Pushes a message as the fast path of `Producer` does, with one probe for free slots.
    fn push_fast(&mut self, message: u64) -> bool {
        let words = self.memory.producer_words(&self.slots, self.seat);
        let push_one = |writer: &mut W| writer.push_one(&words, |slot| put(message, slot));
        push_one(&mut self.writer)
            || !W::IS_SHARED && self.writer.claim(&words, 1).unwrap() && push_one(&mut self.writer)
    }

    fn publish(&mut self) {
        let words = self.memory.producer_words(&self.slots, self.seat);
        self.writer.publish(&words, 8);
    }

    fn store_hint(&self) {
        let words = self.memory.producer_words(&self.slots, self.seat);
        self.writer.store_hint(&words);
    }

    fn is_ready(&self) -> bool {
        let words = self.memory.producer_words(&self.slots, self.seat);
        self.writer.is_ready(&words)
    }

    fn position(&self) -> u64 {
        let words = self.memory.producer_words(&self.slots, self.seat);
        self.writer.next(&words)
    }

    fn notify(&self) {
        self.store_hint();
        self.memory.not_empty.notify(Fences::Symmetric);
    }

    fn push(&mut self, message: u64) {
        self.push_until(message, Instant::NEVER);
    }

    /// As `push`, in sleeps that each end when `until` lapses.
    fn push_until(&mut self, message: u64, until: Instant) {
        while !self.write(message) {
            let not_full = &self.memory.not_full;
            not_full.wait(Fences::Symmetric, until, || self.is_ready());
        }
        self.publish();
        self.notify();
    }

    /// Pushes without the event words: their fences and locks order more than a ring does.
    fn push_spinning(&mut self, message: u64) {
        while !self.push_fast(message) {
            self.was_refused = true;
            yield_now();
        }
        self.store_hint();
    }
}

/// A consumer that uses the ring as `Consumer` does.
struct TestConsumer<R = Reader> {
    reader: R,
    seat: usize,
    slots: Slots<'static>,
    memory: Arc<Memory>,
    /// Whether it ever found no slot ready, and slept or would have slept.
    was_refused: bool,
}

impl TestConsumer {
    fn resume(memory: &Arc<Memory>) -> Self {
        Self::at_seat(memory, PRODUCERS)
    }
}

impl<R: PopSide> TestConsumer<R> {
    fn at_seat(memory: &Arc<Memory>, seat: usize) -> Self {
        let slots = memory.slots();
        Self {
            reader: R::resume(&memory.consumer_words(&slots, seat)).unwrap(),
            seat,
            slots,
            memory: Arc::clone(memory),
            was_refused: false,
        }
    }

    /// Reads the next message, if there is one, without releasing it.
    fn read(&mut self) -> Option<u64> {
        self.claim_and_read(1)
    }

    /// As `read`, after a claim of up to `max` messages. Releases tombstones.
    fn claim_and_read(&mut self, max: u64) -> Option<u64> {
        let words = self.memory.consumer_words(&self.slots, self.seat);
        loop {
            let len = self.reader.claim(&words, max).unwrap();
            self.was_refused |= len.is_none();
            if len? == TOMBSTONE {
                self.reader.release(&words);
                continue;
            }
            assert_eq!(len, Some(8));
            // SAFETY: the slot holds a `u64`, and this consumer claimed it.
            return Some(unsafe { self.reader.slot(&words).payload().load() });
        }
    }

    /// Pops a message as the fast path of `Consumer` does.
    fn pop_fast(&mut self) -> Option<u64> {
        let words = self.memory.consumer_words(&self.slots, self.seat);
        self.reader.pop_one(&words, get)
    }

    fn release(&mut self) {
        let words = self.memory.consumer_words(&self.slots, self.seat);
        self.reader.release(&words);
    }

    fn store_hint(&self) {
        let words = self.memory.consumer_words(&self.slots, self.seat);
        self.reader.store_hint(&words);
    }

    fn is_ready(&self) -> bool {
        let words = self.memory.consumer_words(&self.slots, self.seat);
        self.reader.is_ready(&words)
    }

    fn position(&self) -> u64 {
        let words = self.memory.consumer_words(&self.slots, self.seat);
        self.reader.next(&words)
    }

    fn notify(&self) {
        self.store_hint();
        self.memory.not_full.notify(Fences::Symmetric);
    }

    fn try_pop(&mut self) -> Option<u64> {
        let message = self.read()?;
        self.release();
        self.notify();
        Some(message)
    }

    /// Pops without the event words, as `push_spinning` pushes.
    fn pop_spinning(&mut self) -> u64 {
        loop {
            if let Some(message) = self.pop_fast() {
                self.store_hint();
                return message;
            }
            self.was_refused = true;
            yield_now();
        }
    }

    fn pop(&mut self) -> u64 {
        self.pop_until(Instant::NEVER)
    }

    /// As `pop`, in sleeps that each end when `until` lapses.
    fn pop_until(&mut self, until: Instant) -> u64 {
        loop {
            if let Some(message) = self.try_pop() {
                return message;
            }
            let not_empty = &self.memory.not_empty;
            not_empty.wait(Fences::Symmetric, until, || self.is_ready());
        }
    }
}

/// The first producer and the first consumer of an SPSC ring.
fn spsc_handles(memory: &Arc<Memory>) -> (TestProducer, TestConsumer) {
    (TestProducer::resume(memory), TestConsumer::resume(memory))
}

fn put(message: u64, slot: Bytes) -> u32 {
    // SAFETY: the slot holds a `u64`, and the calling producer claimed it.
    unsafe { slot.store(&message) };
    8
}

fn get(slot: Bytes, len: u32) -> Option<u64> {
    // SAFETY: the slot holds a `u64`, and the calling consumer claimed it.
    (len == 8).then(|| unsafe { slot.load() })
}
