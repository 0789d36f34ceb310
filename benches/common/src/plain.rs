//! What the library's ring is set against: Dmitry Vyukov's bounded queue (1024cores.net) as it is,
//! laid out and waited for as the library's rings are. Who is killed in it stops everybody for good.
//! The same queue with nothing but an intent more, in both its ends, tells what that alone costs.

use crate::body::Body;
use crate::ends::{Inlet, Outlet};
use crate::memory::{Line, Shared, share};
use crate::patience::Patience;
use crate::{CAPACITY, Result};
use std::cell::UnsafeCell;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use std::sync::atomic::{AtomicU32, AtomicU64, compiler_fence};
use std::{arch, ptr};

/// Where the slots of a ring with 64 seats a side begin.
const SLOTS_AT: usize = 0x5000;

#[repr(C)]
struct Ring<B> {
    identity: Line<[AtomicU64; 2]>,
    tail: Line<AtomicU64>,
    head: Line<AtomicU64>,
    not_empty: Line<AtomicU32>,
    not_full: Line<AtomicU32>,
    closed: Line<AtomicU32>,
    _entries: [u8; SLOTS_AT - 6 * 128],
    slots: [Slot<B>; CAPACITY],
}

#[repr(C)]
struct Slot<B> {
    /// The low half: a position, one more when it is full. The high half: the length.
    word: AtomicU64,
    payload: UnsafeCell<B>,
}

// SAFETY: a payload is touched only by whoever claimed its slot.
unsafe impl<B: Body> Sync for Slot<B> {}

// SAFETY: integers in atomics and cells; a body is plain bytes.
unsafe impl<B: Body> Shared for Ring<B> {}

/// Either end of a ring. How the ring is laid out it learns when it opens it, as ends of the
/// library's do: what the compiler does not know it can't make cheaper.
pub struct Plain<B: Body, const HAS_INTENT: bool = false> {
    ring: &'static Ring<B>,
    mask: u64,
    stride: usize,
    /// On a line that nobody else looks at.
    intent: Box<Line<AtomicU64>>,
}

/// A position and its slot.
type Claimed<B> = (u64, &'static Slot<B>);

impl<B: Body, const HAS_INTENT: bool> Plain<B, HAS_INTENT> {
    pub fn create(name: &str) -> Result<()> {
        let ring = share::<Ring<B>>(name)?;
        let [capacity, stride] = &ring.identity.0;
        capacity.store(CAPACITY as u64, Relaxed);
        stride.store(size_of::<Slot<B>>() as u64, Relaxed);
        for (position, slot) in (0..).zip(&ring.slots) {
            slot.word.store(position, Relaxed);
        }
        Ok(())
    }

    pub fn open(name: &str) -> Result<Self> {
        let ring = share::<Ring<B>>(name)?;
        let [capacity, stride] = &ring.identity.0;
        let (capacity, stride) = (capacity.load(Relaxed), stride.load(Relaxed) as usize);
        if capacity != CAPACITY as u64 || stride != size_of::<Slot<B>>() {
            return Err("the reference is laid out otherwise".into());
        }
        Ok(Self {
            ring,
            mask: capacity - 1,
            stride,
            intent: Box::new(Line(AtomicU64::new(0))),
        })
    }

    #[inline(always)]
    fn slot(&self, position: u64) -> &'static Slot<B> {
        let offset = (position & self.mask) as usize * self.stride;
        let first: *const Slot<B> = self.ring.slots.as_ptr();
        // SAFETY: the mask keeps the slot among those of the ring.
        let slot = unsafe { first.byte_add(offset) };
        // SAFETY: a slot of the ring, which is mapped for good.
        unsafe { &*slot }
    }

    #[inline(always)]
    fn stand(&self, intent: u64) {
        if HAS_INTENT {
            self.intent.0.store(intent, Release);
        }
    }

    /// Claims the slot at the index as soon as its word is `ready` ahead of its position.
    #[inline(always)]
    fn seize(&self, index: &AtomicU64, ready: i32) -> Option<Claimed<B>> {
        let mut position = index.load(Relaxed);
        loop {
            let slot = self.slot(position);
            let word = slot.word.load(Acquire);
            let ahead = (word as u32).wrapping_sub(position as u32) as i32 - ready;
            if ahead == 0 {
                self.stand(position + 1);
                match index.compare_exchange(position, position + 1, Relaxed, Relaxed) {
                    Ok(_) => return Some((position, slot)),
                    Err(now) => position = now,
                }
            } else if ahead < 0 {
                self.stand(0);
                return None;
            } else {
                position = index.load(Relaxed);
            }
        }
    }

    #[inline(always)]
    fn claim(&self) -> Option<Claimed<B>> {
        self.seize(&self.ring.tail.0, 0)
    }

    #[inline(always)]
    fn take(&self) -> Option<Claimed<B>> {
        self.seize(&self.ring.head.0, 1)
    }

    #[inline(always)]
    fn publish(&self, (position, slot): Claimed<B>, message: &B) {
        // SAFETY: the slot is this end's alone until its word is stored, and a message is no slot.
        unsafe { ptr::copy_nonoverlapping(message, slot.payload.get(), 1) }
        let len = (size_of::<B>() as u64) << 32;
        let full = len | u64::from((position as u32).wrapping_add(1));
        slot.word.store(full, Release);
        self.stand(0);
        notify(&self.ring.not_empty.0);
    }

    #[inline(always)]
    fn release(&self, (position, slot): Claimed<B>) -> B {
        let payload = slot.payload.get();
        let message = if size_of::<B>() <= size_of::<usize>() {
            // SAFETY: the slot is this end's alone until its word is stored.
            unsafe { ptr::read_volatile(payload) }
        } else {
            // SAFETY: as above.
            let mut copy = unsafe { payload.read() };
            keep_copy(&raw mut copy);
            copy
        };
        let free = (position as u32).wrapping_add(CAPACITY as u32);
        slot.word.store(free.into(), Release);
        self.stand(0);
        notify(&self.ring.not_full.0);
        message
    }

    #[inline(always)]
    pub fn push(&mut self, message: &B) -> Result<()> {
        if self.ring.closed.0.load(Relaxed) != 0 {
            return Err("closed".into());
        }
        let claimed = Patience::AMONG_OTHERS.until(|| self.claim());
        self.publish(claimed, message);
        Ok(())
    }

    #[inline(always)]
    pub fn pop(&mut self) -> Result<B> {
        let claimed = Patience::AMONG_OTHERS.until(|| self.take());
        Ok(self.release(claimed))
    }

    /// Pushes until there is no room.
    pub fn fill(&mut self) {
        while let Some(claimed) = self.claim() {
            self.publish(claimed, &B::numbered(0));
        }
    }

    /// Pops until there is no message.
    pub fn drain(&mut self) {
        while let Some(claimed) = self.take() {
            self.release(claimed);
        }
    }
}

impl<B: Body, const HAS_INTENT: bool> Outlet<B> for Plain<B, HAS_INTENT> {
    #[inline(always)]
    fn send(&mut self, message: &B) -> Result<()> {
        self.push(message)
    }
}

impl<B: Body, const HAS_INTENT: bool> Inlet<B> for Plain<B, HAS_INTENT> {
    #[inline(always)]
    fn receive(&mut self, see: impl FnOnce(&B)) -> Result<()> {
        see(&self.pop()?);
        Ok(())
    }
}

/// Has the library's copy made as well, which has to be taken before anybody looks at it.
#[inline(always)]
fn keep_copy<B>(copy: *mut B) {
    // SAFETY: an empty instruction sequence, which touches nothing.
    unsafe {
        arch::asm!("/* {0} */", in(reg) copy, options(nostack, preserves_flags));
    }
}

/// The library's check, in a ring where nobody ever sleeps.
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
