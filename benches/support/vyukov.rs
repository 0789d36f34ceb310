//! Reference for the library's MPMC ring: Dmitry Vyukov's bounded queue (1024cores.net).
//!
//! Its layout and its waiting match the library's rings. A process killed in it blocks all others
//! forever. A variant adds only an intent in both endpoints, which measures the cost of intents.

use crate::memory::{Shared, share};
use crate::message::Body;
use crate::spin::SpinWait;
use crate::transport::{Sink, Source};
use crate::{CAPACITY, Result};
use crossbeam_utils::CachePadded;
use std::cell::UnsafeCell;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use std::sync::atomic::{AtomicU32, AtomicU64, compiler_fence};
use std::{arch, ptr};

/// The offset of the slots in a ring with 64 seats per role.
const SLOTS_AT: usize = 0x5000;

#[repr(C)]
struct Ring<B> {
    identity: CachePadded<[AtomicU64; 2]>,
    tail: CachePadded<AtomicU64>,
    head: CachePadded<AtomicU64>,
    not_empty: CachePadded<AtomicU32>,
    not_full: CachePadded<AtomicU32>,
    closed: CachePadded<AtomicU32>,
    _entries: [u8; SLOTS_AT - 6 * size_of::<CachePadded<AtomicU64>>()],
    slots: [Slot<B>; CAPACITY],
}

#[repr(C)]
struct Slot<B> {
    /// Low half: the position, plus one when the slot is full. High half: the length.
    word: AtomicU64,
    payload: UnsafeCell<B>,
}

// SAFETY: only the endpoint that claimed a slot accesses its payload.
unsafe impl<B: Body> Sync for Slot<B> {}

// SAFETY: every field is an atomic or a cell of integers; a body is plain bytes.
unsafe impl<B: Body> Shared for Ring<B> {}

/// Either endpoint of a queue. It reads the layout when it opens the queue, as the library's
/// endpoints do: constants would let the compiler generate cheaper code.
pub struct VyukovQueue<B: Body, const HAS_INTENT: bool = false> {
    ring: &'static Ring<B>,
    mask: u64,
    stride: usize,
    /// On a cache line that no other process accesses.
    intent: Box<CachePadded<AtomicU64>>,
}

/// A position and its slot.
type Claim<B> = (u64, &'static Slot<B>);

impl<B: Body, const HAS_INTENT: bool> VyukovQueue<B, HAS_INTENT> {
    pub fn create(name: &str) -> Result<()> {
        let ring = share::<Ring<B>>(name)?;
        let [capacity, stride] = &*ring.identity;
        capacity.store(CAPACITY as u64, Relaxed);
        stride.store(size_of::<Slot<B>>() as u64, Relaxed);
        for (position, slot) in (0..).zip(&ring.slots) {
            slot.word.store(position, Relaxed);
        }
        Ok(())
    }

    pub fn open(name: &str) -> Result<Self> {
        let ring = share::<Ring<B>>(name)?;
        let [capacity, stride] = &*ring.identity;
        let (capacity, stride) = (capacity.load(Relaxed), stride.load(Relaxed) as usize);
        if capacity != CAPACITY as u64 || stride != size_of::<Slot<B>>() {
            return Err("the reference queue has another layout".into());
        }
        Ok(Self {
            ring,
            mask: capacity - 1,
            stride,
            intent: Box::new(CachePadded::new(AtomicU64::new(0))),
        })
    }

    #[inline(always)]
    fn slot(&self, position: u64) -> &'static Slot<B> {
        let offset = (position & self.mask) as usize * self.stride;
        let first: *const Slot<B> = self.ring.slots.as_ptr();
        // SAFETY: the mask keeps the slot within the ring.
        let slot = unsafe { first.byte_add(offset) };
        // SAFETY: a slot of the ring, which is mapped until the process ends.
        unsafe { &*slot }
    }

    #[inline(always)]
    fn set_intent(&self, intent: u64) {
        if HAS_INTENT {
            self.intent.store(intent, Release);
        }
    }

    /// Claims the slot at the index if its word is `ready` ahead of its position.
    #[inline(always)]
    fn claim_at(&self, index: &AtomicU64, ready: i32) -> Option<Claim<B>> {
        let mut position = index.load(Relaxed);
        loop {
            let slot = self.slot(position);
            let word = slot.word.load(Acquire);
            let ahead = (word as u32).wrapping_sub(position as u32) as i32 - ready;
            if ahead == 0 {
                self.set_intent(position + 1);
                match index.compare_exchange(position, position + 1, Relaxed, Relaxed) {
                    Ok(_) => return Some((position, slot)),
                    Err(now) => position = now,
                }
            } else if ahead < 0 {
                self.set_intent(0);
                return None;
            } else {
                position = index.load(Relaxed);
            }
        }
    }

    #[inline(always)]
    fn claim_slot(&self) -> Option<Claim<B>> {
        self.claim_at(&self.ring.tail, 0)
    }

    #[inline(always)]
    fn claim_message(&self) -> Option<Claim<B>> {
        self.claim_at(&self.ring.head, 1)
    }

    #[inline(always)]
    fn publish(&self, (position, slot): Claim<B>, message: &B) {
        // SAFETY: this endpoint owns the slot until it stores the word, and no message is a slot.
        unsafe { ptr::copy_nonoverlapping(message, slot.payload.get(), 1) }
        let len = (size_of::<B>() as u64) << 32;
        let full = len | u64::from((position as u32).wrapping_add(1));
        slot.word.store(full, Release);
        self.set_intent(0);
        notify(&self.ring.not_empty);
    }

    #[inline(always)]
    fn release(&self, (position, slot): Claim<B>) -> B {
        let payload = slot.payload.get();
        let message = if size_of::<B>() <= size_of::<usize>() {
            // SAFETY: this endpoint owns the slot until it stores the word.
            unsafe { ptr::read_volatile(payload) }
        } else {
            // SAFETY: as above.
            let mut copy = unsafe { payload.read() };
            keep_copy(&raw mut copy);
            copy
        };
        let free = (position as u32).wrapping_add(CAPACITY as u32);
        slot.word.store(free.into(), Release);
        self.set_intent(0);
        notify(&self.ring.not_full);
        message
    }

    #[inline(always)]
    pub fn push(&mut self, message: &B) -> Result<()> {
        if self.ring.closed.load(Relaxed) != 0 {
            return Err("closed".into());
        }
        let claimed = SpinWait::SHARED.until(|| self.claim_slot());
        self.publish(claimed, message);
        Ok(())
    }

    #[inline(always)]
    pub fn pop(&mut self) -> Result<B> {
        let claimed = SpinWait::SHARED.until(|| self.claim_message());
        Ok(self.release(claimed))
    }

    /// Pushes until the queue is full.
    pub fn fill(&mut self) {
        while let Some(claimed) = self.claim_slot() {
            self.publish(claimed, &B::numbered(0));
        }
    }

    /// Pops until the queue is empty.
    pub fn drain(&mut self) {
        while let Some(claimed) = self.claim_message() {
            self.release(claimed);
        }
    }
}

impl<B: Body, const HAS_INTENT: bool> Sink<B> for VyukovQueue<B, HAS_INTENT> {
    #[inline(always)]
    fn send(&mut self, message: &B) -> Result<()> {
        self.push(message)
    }
}

impl<B: Body, const HAS_INTENT: bool> Source<B> for VyukovQueue<B, HAS_INTENT> {
    #[inline(always)]
    fn receive(&mut self, visit: impl FnOnce(&B)) -> Result<()> {
        visit(&self.pop()?);
        Ok(())
    }

    #[inline(always)]
    fn receive_value(&mut self) -> Result<B> {
        self.pop()
    }
}

/// Forces a full copy of the message, which the library also makes before its checks.
#[inline(always)]
fn keep_copy<B>(copy: *mut B) {
    // SAFETY: an empty instruction sequence.
    unsafe {
        arch::asm!("/* {0} */", in(reg) copy, options(nostack, preserves_flags));
    }
}

/// The library's check for blocked peers. In this queue no process ever blocks.
#[inline(always)]
fn notify(event: &AtomicU32) {
    compiler_fence(SeqCst);
    if event.load(Relaxed) & 1 != 0 {
        wake(event);
    }
}

#[cold]
fn wake(event: &AtomicU32) {
    event.fetch_add(2, Relaxed);
}
