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
//! predecessor was not done with, and goes on there. Before anything else it stores the hint: if it
//! died untold as well, its own lap would come to its predecessor's.
//!
//! # Ordering
//!
//! P and R are the slot's (see [`slot`](super::slot)).
//!
//! | edge | store                     | load                      | carries                   | model |
//! |------|---------------------------|---------------------------|---------------------------|-------|
//! | T    | `tail`, Release, `Writer` | `tail`, Acquire, `resume` | the words of the messages before it | `producer_resuming_from_tail_finds_its_position` |
//! | H    | `head`, Release, `Reader` | `head`, Acquire, `resume` | the words of the slots given back before it | `consumer_resuming_from_head_finds_its_position` |

use super::slot::{SEGMENT_END, Slot, Slots};
use super::{PopSide, PushSide, Words};
use crate::error::Corrupt;
use crate::sync::{Acquire, Bytes, Release};
use core::hint::spin_loop;

/// The most slots that one probe answers for: beyond some hundred the price of a probe is
/// spread too thin to matter.
const MAX_PROBE: u64 = 256;

/// A producer that is at the consumer's heels, with fewer free slots than this, lets it go ahead
/// for a moment. Slot by slot both would want the same lines all the time.
const MIN_RUN: u64 = 64;
/// How many pauses that moment has, together until a run was free again: where the consumer is slow
/// or gone the next message does not wait in vain.
const MAX_SPINS: u32 = 64;

/// The producer's private state.
#[derive(Debug)]
pub struct Writer {
    position: u64,
    /// The slots from `position` up to here are free, and nobody else fills them.
    free_until: u64,
    /// How many slots to ask for at once next time, a power of two: the consumer gives back in
    /// order, so the last one answers for all. It doubles when they are free and halves when
    /// they are not.
    probe: u64,
    /// How often to look again, when few slots are free, for a whole [`MIN_RUN`] of them.
    spins_left: u32,
}

impl Writer {
    #[inline(never)]
    fn find_free(&mut self, slots: Slots<'_>) -> Result<bool, Corrupt> {
        let run = MIN_RUN.min(slots.capacity() / 4);
        while self.probe > 1 {
            let last = self.position.wrapping_add(self.probe - 1);
            loop {
                if slots.at(last).stamp().ahead_of(last) == 0 {
                    self.free_until = last.wrapping_add(1);
                    if self.probe >= run {
                        self.spins_left = MAX_SPINS;
                    }
                    self.probe = (self.probe * 2).min(MAX_PROBE).min(slots.capacity());
                    return Ok(true);
                }
                if self.probe > run || self.spins_left == 0 {
                    break;
                }
                self.spins_left -= 1;
                spin_loop();
            }
            self.probe /= 2;
        }
        let full_a_lap_ago = 1 - slots.capacity() as i32;
        match slots.at(self.position).stamp().ahead_of(self.position) {
            0 => {
                self.free_until = self.position.wrapping_add(1);
                self.probe = 2;
                Ok(true)
            }
            full if full == full_a_lap_ago => Ok(false),
            _ => Err(Corrupt),
        }
    }
}

impl PushSide for Writer {
    const IS_SHARED: bool = false;

    fn resume(words: &Words<'_>) -> Result<Self, Corrupt> {
        let lap = words.slots.capacity() as i32;
        let position = find_position(
            words.slots,
            words.index.load(Acquire),
            |ahead| match ahead {
                // T
                0 => Some(Phase::Pending),
                1 => Some(Phase::Done),
                full if full == 1 - lap => Some(Phase::Pending),
                freed if freed == lap => Some(Phase::Done),
                _ => None,
            },
        )?;
        let writer = Self {
            position,
            free_until: position,
            probe: 1,
            spins_left: 0,
        };
        writer.store_hint(words);
        Ok(writer)
    }

    #[inline(always)]
    fn next(&self, _words: &Words<'_>) -> u64 {
        self.position
    }

    #[inline(always)]
    fn is_ready(&self, words: &Words<'_>) -> bool {
        let full_a_lap_ago = 1 - words.slots.capacity() as i32;
        self.position != self.free_until
            || self.slot(words).stamp().ahead_of(self.position) != full_a_lap_ago
    }

    #[inline(always)]
    fn claim(&mut self, words: &Words<'_>, _most: u64) -> Result<bool, Corrupt> {
        if self.position == self.free_until {
            self.find_free(*words.slots)
        } else {
            Ok(true)
        }
    }

    /// [`claim`](Self::claim) has waited for one.
    fn has_free_run(&self, _words: &Words<'_>) -> bool {
        true
    }

    #[inline(always)]
    fn push_one(&mut self, words: &Words<'_>, fill: impl FnOnce(Bytes) -> u32) -> bool {
        let slots = *words.slots;
        let position = self.position;
        if position == self.free_until {
            return false;
        }
        if slots.fill_lines() {
            slots.prefetch(position, self.free_until);
        }
        let slot = slots.at(position);
        let len = fill(slot.payload());
        slot.publish(position, len);
        self.position = position.wrapping_add(1);
        self.store_hint(words);
        true
    }

    #[inline(always)]
    fn push_claimed(
        &mut self,
        words: &Words<'_>,
        mut fill: impl FnMut(Bytes) -> Option<u32>,
    ) -> u64 {
        let slots = *words.slots;
        let free_until = self.free_until;
        let start = self.position;
        let mut at = BatchCursor::new(&mut self.position);
        while at.position != free_until {
            if slots.fill_lines() {
                slots.prefetch(at.position, free_until);
            }
            let slot = slots.at(at.position);
            let Some(len) = fill(slot.payload()) else {
                break;
            };
            slot.publish(at.position, len);
            at.position = at.position.wrapping_add(1);
        }
        at.position.wrapping_sub(start)
    }

    #[inline(always)]
    fn slot<'r>(&self, words: &Words<'r>) -> Slot<'r> {
        words.slots.at(self.position)
    }

    #[inline(always)]
    fn publish(&mut self, words: &Words<'_>, len: u32) {
        self.slot(words).publish(self.position, len);
        self.position = self.position.wrapping_add(1);
    }

    #[inline(always)]
    fn store_hint(&self, words: &Words<'_>) {
        words.index.store(self.position, Release); // T
    }

    /// Nobody knows of a claim, so it is this end's next one again.
    #[inline(always)]
    fn abandon(&mut self, _words: &Words<'_>) -> u64 {
        0
    }

    /// The marker is never given back: a successor finds it just before its own place.
    fn end_segment(&mut self, words: &Words<'_>) -> Result<bool, Corrupt> {
        if is_end_marker(words.slots, self.position.wrapping_sub(1)) {
            return Ok(true);
        }
        if !self.claim(words, 1)? {
            return Ok(false);
        }
        self.publish(words, SEGMENT_END);
        self.store_hint(words);
        Ok(true)
    }
}

/// The consumer's private state. It looks at each slot's word, which lies beside the payload.
#[derive(Debug)]
pub struct Reader {
    position: u64,
    ahead: Lookahead,
}

/// What a consumer knows of the messages that wait for it.
#[derive(Debug)]
struct Lookahead {
    /// The slots up to here were full: their lines may be asked for.
    full_until: u64,
    /// How far ahead to look next time, as the [`Writer`]'s.
    probe: u64,
}

impl Lookahead {
    /// Up to where the slots from `position` on are full, as far as is known; not `position`
    /// itself.
    #[inline(always)]
    fn of(&mut self, slots: &Slots<'_>, position: u64) -> u64 {
        if (self.full_until.wrapping_sub(position) as i64) <= 0 {
            self.probe_full(*slots, position);
        }
        self.full_until
    }

    /// Looks how many messages wait. The producer publishes in order, so the last one answers for
    /// all. What follows is no more than which lines to ask for: one that the producer is still
    /// writing would only be taken from it.
    #[inline(always)]
    fn probe_full(&mut self, slots: Slots<'_>, position: u64) {
        let last = position.wrapping_add(self.probe - 1);
        if slots.at(last).stamp().ahead_of(last) == 1 {
            self.full_until = last.wrapping_add(1);
            self.probe = (self.probe * 2).min(MAX_PROBE).min(slots.capacity());
        } else {
            self.full_until = position.wrapping_add(1);
            self.probe = (self.probe / 2).max(2);
        }
    }
}

impl PopSide for Reader {
    const IS_SHARED: bool = false;

    fn resume(words: &Words<'_>) -> Result<Self, Corrupt> {
        let lap = words.slots.capacity() as i32;
        let position = find_position(
            words.slots,
            words.index.load(Acquire),
            |ahead| match ahead {
                // H
                0 | 1 => Some(Phase::Pending),
                done if done == lap || done == lap.wrapping_add(1) => Some(Phase::Done),
                _ => None,
            },
        )?;
        let reader = Self {
            position,
            ahead: Lookahead {
                full_until: position,
                probe: 2,
            },
        };
        reader.store_hint(words);
        Ok(reader)
    }

    #[inline(always)]
    fn next(&self, _words: &Words<'_>) -> u64 {
        self.position
    }

    #[inline(always)]
    fn is_ready(&self, words: &Words<'_>) -> bool {
        self.slot(words).stamp().ahead_of(self.position) != 0
    }

    #[inline(always)]
    fn claim(&mut self, words: &Words<'_>, _most: u64) -> Result<Option<u32>, Corrupt> {
        let stamp = self.slot(words).stamp();
        match stamp.ahead_of(self.position) {
            1 => Ok(Some(stamp.len())),
            0 => Ok(None),
            _ => Err(Corrupt),
        }
    }

    #[inline(always)]
    fn pop_one<R>(
        &mut self,
        words: &Words<'_>,
        read: impl FnOnce(Bytes, u32) -> Option<R>,
    ) -> Option<R> {
        let slots = *words.slots;
        let position = self.position;
        let slot = slots.at(position);
        let stamp = slot.stamp();
        if stamp.ahead_of(position) != 1 {
            return None;
        }
        if slots.fill_lines() {
            slots.prefetch_word(position, self.ahead.of(&slots, position));
        }
        let message = read(slot.payload(), stamp.len())?;
        slot.release(position, slots.capacity());
        self.position = position.wrapping_add(1);
        self.store_hint(words);
        Some(message)
    }

    #[inline(always)]
    fn pop_claimed(&mut self, words: &Words<'_>, mut keep: impl FnMut(Bytes, u32) -> bool) -> u64 {
        let slots = *words.slots;
        let start = self.position;
        let mut at = BatchCursor::new(&mut self.position);
        'batch: while slots.at(at.position).stamp().ahead_of(at.position) == 1 {
            let until = match slots.fill_lines() {
                true => self.ahead.of(&slots, at.position),
                false => at.position.wrapping_add(slots.capacity()),
            };
            while at.position != until {
                let slot = slots.at(at.position);
                let stamp = slot.stamp();
                if stamp.ahead_of(at.position) != 1 {
                    break 'batch;
                }
                if slots.fill_lines() {
                    slots.prefetch_word(at.position, until);
                }
                if !keep(slot.payload(), stamp.len()) {
                    break 'batch;
                }
                slot.release(at.position, slots.capacity());
                at.position = at.position.wrapping_add(1);
            }
        }
        at.position.wrapping_sub(start)
    }

    #[inline(always)]
    fn slot<'r>(&self, words: &Words<'r>) -> Slot<'r> {
        words.slots.at(self.position)
    }

    #[inline(always)]
    fn release(&mut self, words: &Words<'_>) {
        self.slot(words)
            .release(self.position, words.slots.capacity());
        self.position = self.position.wrapping_add(1);
    }

    #[inline(always)]
    fn store_hint(&self, words: &Words<'_>) {
        words.index.store(self.position, Release); // H
    }

    fn is_past_end(&self, words: &Words<'_>) -> bool {
        is_end_marker(words.slots, self.position)
    }
}

/// Whether a position is where the ring ended.
pub(crate) fn is_end_marker(slots: &Slots<'_>, position: u64) -> bool {
    let stamp = slots.at(position).stamp();
    stamp.ahead_of(position) == 1 && stamp.len() == SEGMENT_END
}

/// How far a batch has come. It is oldest_allocated in a register and remembered at the end, also
/// of a batch that panics: what goes through memory for every message makes each wait for the one
/// before it.
struct BatchCursor<'end> {
    position: u64,
    remembered: &'end mut u64,
}

impl<'end> BatchCursor<'end> {
    #[inline(always)]
    fn new(remembered: &'end mut u64) -> Self {
        Self {
            position: *remembered,
            remembered,
        }
    }
}

impl Drop for BatchCursor<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        *self.remembered = self.position;
    }
}

/// Whether a predecessor was done with a slot.
enum Phase {
    Done,
    Pending,
}

/// Walks up from a hint to the first position that was not done. `for_each_unfinished` is told how
/// far the slot's stamp is ahead of the position, and answers `None` to what can't be.
fn find_position(
    slots: &Slots<'_>,
    hint: u64,
    for_each_unfinished: impl Fn(i32) -> Option<Phase>,
) -> Result<u64, Corrupt> {
    for step in 0..=slots.capacity() {
        let position = hint.wrapping_add(step);
        match for_each_unfinished(slots.at(position).stamp().ahead_of(position)) {
            Some(Phase::Pending) => return Ok(position),
            Some(Phase::Done) => {}
            None => return Err(Corrupt),
        }
    }
    Err(Corrupt)
}
