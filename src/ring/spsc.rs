//! One producer, one consumer. Each keeps its position to itself; what travels between them
//! is the slot's own word, one line a message.
//!
//! In the steady state no index is read. `tail` and `head` are hints: for observers, and for
//! whoever takes an end over from a holder that died. Each is stored after the words it
//! counts, so a hint is never ahead of the truth, and never more than a lap behind.
//!
//! # Being killed
//!
//! A half-written message was never published. A message being read has not been given back.
//! So the next holder of either end walks up from the hint to the first slot that its
//! predecessor was not done with, and goes on there.
//!
//! # Ordering
//!
//! P and R are the slot's (see [`slot`](super::slot)).
//!
//! | edge | store                     | load                      | carries                   | model |
//! |------|---------------------------|---------------------------|---------------------------|-------|
//! | T    | `tail`, Release, `Writer` | `tail`, Acquire, `resume` | the words of the messages before it | `a_producer_that_knows_only_the_tail_finds_its_place` |
//! | H    | `head`, Release, `Reader` | `head`, Acquire, `resume` | the words of the slots given back before it | `a_consumer_that_knows_only_the_head_finds_its_place` |

use super::slot::{Slot, Slots};
use crate::error::Corrupt;
use crate::sync::{Acquire, AtomicU64, Release};

/// The most slots that one probe answers for: beyond some hundred the price of a probe is
/// spread too thin to matter.
const MAX_PROBE: u64 = 256;

/// The producer's private state.
#[derive(Debug)]
pub(crate) struct Writer {
    position: u64,
    /// The slots from `position` up to here are free, and nobody else fills them.
    free_until: u64,
    /// How many slots to ask for at once next time, a power of two: the consumer gives back in
    /// order, so the last one answers for all. It doubles when they are free and halves when
    /// they are not.
    probe: u64,
}

impl Writer {
    /// Goes on where the last producer stopped, or starts.
    pub(crate) fn resume(slots: &Slots, tail: &AtomicU64) -> Result<Self, Corrupt> {
        let lap = slots.capacity() as i32;
        let position = walk(slots, tail.load(Acquire), |ahead| match ahead {
            // T
            0 => Some(Done::No),
            1 => Some(Done::Yes),
            full if full == 1 - lap => Some(Done::No),
            freed if freed == lap => Some(Done::Yes),
            _ => None,
        })?;
        Ok(Self {
            position,
            free_until: position,
            probe: 1,
        })
    }

    #[inline(always)]
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Whether the next slot is free, or something is wrong with it.
    #[inline(always)]
    pub(crate) fn is_due(&self, slots: &Slots) -> bool {
        let full_a_lap_ago = 1 - slots.capacity() as i32;
        self.position != self.free_until
            || slots.at(self.position).stamp().ahead_of(self.position) != full_a_lap_ago
    }

    /// Whether the next slot is free. If so it is the producer's until it is published.
    #[inline(always)]
    pub(crate) fn claim(&mut self, slots: &Slots) -> Result<bool, Corrupt> {
        if self.position == self.free_until {
            self.look(slots)
        } else {
            Ok(true)
        }
    }

    /// The next slot.
    #[inline(always)]
    pub(crate) fn slot<'s>(&self, slots: &'s Slots) -> Slot<'s> {
        slots.at(self.position)
    }

    #[inline(never)]
    fn look(&mut self, slots: &Slots) -> Result<bool, Corrupt> {
        while self.probe > 1 {
            let last = self.position.wrapping_add(self.probe - 1);
            if slots.at(last).stamp().ahead_of(last) == 0 {
                self.free_until = last.wrapping_add(1);
                self.probe = (self.probe * 2).min(MAX_PROBE).min(slots.capacity());
                return Ok(true);
            }
            self.probe /= 2;
        }
        let full_a_lap_ago = 1 - slots.capacity() as i32;
        match self.slot(slots).stamp().ahead_of(self.position) {
            0 => {
                self.free_until = self.position.wrapping_add(1);
                self.probe = 2;
                Ok(true)
            }
            full if full == full_a_lap_ago => Ok(false),
            _ => Err(Corrupt),
        }
    }

    /// Publishes the claimed slot's message and moves on. The caller brings `tail` up to date
    /// with [`Writer::hint`] before it returns, and within a lap.
    #[inline(always)]
    pub(crate) fn publish(&mut self, slots: &Slots, len: u32) {
        self.slot(slots).publish(self.position, len);
        self.position = self.position.wrapping_add(1);
    }

    #[inline(always)]
    pub(crate) fn hint(&self, tail: &AtomicU64) {
        tail.store(self.position, Release); // T
    }
}

/// The consumer's private state. It asks for one slot at a time: the word lies beside the
/// payload, which has to come in any case, and looking further ahead takes lines away that
/// the producer is writing.
#[derive(Debug)]
pub(crate) struct Reader {
    position: u64,
}

impl Reader {
    /// Goes on where the last consumer stopped, or starts.
    pub(crate) fn resume(slots: &Slots, head: &AtomicU64) -> Result<Self, Corrupt> {
        let lap = slots.capacity() as i32;
        let position = walk(slots, head.load(Acquire), |ahead| match ahead {
            // H
            0 | 1 => Some(Done::No),
            done if done == lap || done == lap.wrapping_add(1) => Some(Done::Yes),
            _ => None,
        })?;
        Ok(Self { position })
    }

    #[inline(always)]
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Whether the next slot holds a message, or something is wrong with it.
    #[inline(always)]
    pub(crate) fn is_due(&self, slots: &Slots) -> bool {
        slots.at(self.position).stamp().ahead_of(self.position) != 0
    }

    /// The length of the next message, if there is one. It is the consumer's until it is
    /// released.
    #[inline(always)]
    pub(crate) fn take(&mut self, slots: &Slots) -> Result<Option<u32>, Corrupt> {
        let stamp = self.slot(slots).stamp();
        match stamp.ahead_of(self.position) {
            1 => Ok(Some(stamp.len())),
            0 => Ok(None),
            _ => Err(Corrupt),
        }
    }

    /// The next slot.
    #[inline(always)]
    pub(crate) fn slot<'s>(&self, slots: &'s Slots) -> Slot<'s> {
        slots.at(self.position)
    }

    /// Gives the slot back and moves on. The caller brings `head` up to date with
    /// [`Reader::hint`] before it returns, and within a lap.
    #[inline(always)]
    pub(crate) fn release(&mut self, slots: &Slots) {
        self.slot(slots).release(self.position, slots.capacity());
        self.position = self.position.wrapping_add(1);
    }

    #[inline(always)]
    pub(crate) fn hint(&self, head: &AtomicU64) {
        head.store(self.position, Release); // H
    }
}

/// Whether a predecessor was done with a slot.
enum Done {
    Yes,
    No,
}

/// Walks up from a hint to the first position that was not done. `judge` is told how far the
/// slot's stamp is ahead of the position, and answers `None` to what can't be.
fn walk(slots: &Slots, hint: u64, judge: impl Fn(i32) -> Option<Done>) -> Result<u64, Corrupt> {
    for step in 0..=slots.capacity() {
        let position = hint.wrapping_add(step);
        match judge(slots.at(position).stamp().ahead_of(position)) {
            Some(Done::No) => return Ok(position),
            Some(Done::Yes) => {}
            None => return Err(Corrupt),
        }
    }
    Err(Corrupt)
}
