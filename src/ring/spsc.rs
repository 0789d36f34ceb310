//! One producer, one consumer. Each keeps its position private. They communicate through the slot's
//! own word, which costs one cache line per message.
//!
//! In the steady state no index is loaded. `tail` and `head` are hints, for observers and for the
//! successor of a dead holder. Each is stored after the words that it counts. So a hint is never
//! ahead of the true position, and never more than a lap behind it.
//!
//! # Being killed
//!
//! A half-written message was never published. A message being read was not released. So the
//! successor walks up from the hint to the first slot that its predecessor had not finished, and
//! continues there. It first stores the hint. If it did not, and died before its next store of the
//! hint too, its own lap would add to its predecessor's.
//!
//! # Ordering
//!
//! P and R are the slot's (see [`slot`](super::slot)).
//!
//! | edge | store                         | load                      | carries                   | model |
//! |------|-------------------------------|---------------------------|---------------------------|-------|
//! | T    | `tail`, Release, `store_hint` | `tail`, Acquire, `resume` | the words of the messages before it | `producer_resuming_from_tail_finds_its_position` |
//! | H    | `head`, Release, `store_hint` | `head`, Acquire, `resume` | the words of the slots released before it | `consumer_resuming_from_head_finds_its_position` |

use super::slot::{SEGMENT_END, Slots};
use super::{PopSide, PushSide, Words};
use crate::error::Corrupt;
use crate::sync::{Acquire, Bytes, Release};
use core::hint::spin_loop;

/// The most slots that one probe covers. With some hundred slots, the cost of a probe per slot is
/// negligible.
const MAX_PROBE: u64 = 256;

/// With fewer free slots than this, a producer pauses to let the consumer get ahead. If it claimed
/// slot by slot, both sides would contend for the same cache lines.
const MIN_RUN: u64 = 64;
/// How many such pauses a producer makes until it finds a run free again. The limit keeps the next
/// message from being delayed by a consumer that is slow or dead.
const MAX_SPINS: u32 = 64;

/// The producer's private state.
#[derive(Debug)]
pub struct Writer {
    position: u64,
    /// The slots from `position` up to here are free, and no other producer fills them.
    free_until: u64,
    /// How many slots the next probe covers, a power of two. The consumer releases in order, so the
    /// last slot's stamp covers all. It doubles when they are free and halves when they are not.
    probe: u64,
    /// How often to probe again, when few slots are free, for a whole [`MIN_RUN`] of them.
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
            words.index.load(Acquire), // T
            |ahead| match ahead {
                0 => Some(Progress::Pending),
                1 => Some(Progress::Finished),
                full if full == 1 - lap => Some(Progress::Pending),
                freed if freed == lap => Some(Progress::Finished),
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
    fn claim(&mut self, words: &Words<'_>, _max: u64) -> Result<bool, Corrupt> {
        if self.position == self.free_until {
            self.find_free(*words.slots)
        } else {
            Ok(true)
        }
    }

    /// [`claim`](Self::claim) itself waits for a run.
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
        let mut cursor = BatchCursor::new(&mut self.position);
        while cursor.position != free_until {
            if slots.fill_lines() {
                slots.prefetch(cursor.position, free_until);
            }
            let slot = slots.at(cursor.position);
            let Some(len) = fill(slot.payload()) else {
                break;
            };
            slot.publish(cursor.position, len);
            cursor.position = cursor.position.wrapping_add(1);
        }
        cursor.position.wrapping_sub(start)
    }

    /// The consumer releases in order, so one free slot answers for all before it.
    fn claimed(&mut self, words: &Words<'_>, max: u64) -> u64 {
        let free = self.free_until.wrapping_sub(self.position);
        let mut wanted = max.min(words.slots.capacity());
        while wanted > free {
            let last = self.position.wrapping_add(wanted - 1);
            if words.slots.at(last).stamp().ahead_of(last) == 0 {
                self.free_until = last.wrapping_add(1);
                return wanted;
            }
            wanted = free + (wanted - free) / 2;
        }
        free.min(max)
    }

    #[inline(always)]
    fn claim_start(&self) -> u64 {
        self.position
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

    /// A claim leaves no trace in shared memory, so there is nothing to undo.
    #[inline(always)]
    fn abandon(&mut self, _words: &Words<'_>) -> u64 {
        0
    }

    /// The end marker is never released: a successor finds it just before its own position.
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

/// The consumer's private state. It loads each slot's word, which is in the payload's cache line.
#[derive(Debug)]
pub struct Reader {
    position: u64,
    lookahead: Lookahead,
}

/// How many messages are known to wait for a consumer. It only decides which lines to prefetch.
#[derive(Debug)]
struct Lookahead {
    /// The slots up to here were full, so their lines may be prefetched.
    full_until: u64,
    /// How many slots the next probe covers, as in [`Writer`].
    probe: u64,
}

impl Lookahead {
    /// The end of the full slots from `position` on, as far as is known. It is above `position`.
    #[inline(always)]
    fn full_until(&mut self, slots: &Slots<'_>, position: u64) -> u64 {
        if (self.full_until.wrapping_sub(position) as i64) <= 0 {
            self.probe_full(*slots, position);
        }
        self.full_until
    }

    /// Probes how many messages wait. The producer publishes in order, so the last slot's stamp
    /// covers all. A line that the producer still writes must not be prefetched: that would take it
    /// from the producer.
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
            words.index.load(Acquire), // H
            |ahead| match ahead {
                0 | 1 => Some(Progress::Pending),
                freed if freed == lap || freed == lap.wrapping_add(1) => Some(Progress::Finished),
                _ => None,
            },
        )?;
        let reader = Self {
            position,
            lookahead: Lookahead {
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
    fn claim(&mut self, words: &Words<'_>, _max: u64) -> Result<Option<u32>, Corrupt> {
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
            slots.prefetch_word(position, self.lookahead.full_until(&slots, position));
        }
        let message = read(slot.payload(), stamp.len())?;
        slot.release(position, slots.capacity());
        self.position = position.wrapping_add(1);
        self.store_hint(words);
        Some(message)
    }

    #[inline(always)]
    fn pop_claimed(
        &mut self,
        words: &Words<'_>,
        mut accept: impl FnMut(Bytes, u32) -> bool,
    ) -> u64 {
        let slots = *words.slots;
        let start = self.position;
        let mut cursor = BatchCursor::new(&mut self.position);
        'batch: while slots.at(cursor.position).stamp().ahead_of(cursor.position) == 1 {
            let until = match slots.fill_lines() {
                true => self.lookahead.full_until(&slots, cursor.position),
                false => cursor.position.wrapping_add(slots.capacity()),
            };
            while cursor.position != until {
                let slot = slots.at(cursor.position);
                let stamp = slot.stamp();
                if stamp.ahead_of(cursor.position) != 1 {
                    break 'batch;
                }
                if slots.fill_lines() {
                    slots.prefetch_word(cursor.position, until);
                }
                if !accept(slot.payload(), stamp.len()) {
                    break 'batch;
                }
                slot.release(cursor.position, slots.capacity());
                cursor.position = cursor.position.wrapping_add(1);
            }
        }
        cursor.position.wrapping_sub(start)
    }

    fn claimed(&self, words: &Words<'_>) -> u64 {
        words.slots.capacity()
    }

    #[inline(always)]
    fn claim_start(&self) -> u64 {
        self.position
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

/// Whether a position holds the marker that ends the ring.
pub(crate) fn is_end_marker(slots: &Slots<'_>, position: u64) -> bool {
    let stamp = slots.at(position).stamp();
    stamp.ahead_of(position) == 1 && stamp.len() == SEGMENT_END
}

/// The position of a batch in progress. It stays in a register, and is saved when the batch ends or
/// panics: a position in memory would make each message wait for the store of the one before it.
struct BatchCursor<'a> {
    position: u64,
    saved: &'a mut u64,
}

impl<'a> BatchCursor<'a> {
    #[inline(always)]
    fn new(saved: &'a mut u64) -> Self {
        Self {
            position: *saved,
            saved,
        }
    }
}

impl Drop for BatchCursor<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        *self.saved = self.position;
    }
}

/// Whether the predecessor had finished a slot.
enum Progress {
    Finished,
    Pending,
}

/// Walks up from a hint to the first position that the predecessor had not finished. `progress`
/// maps how far the slot's stamp is ahead of the position, with `None` for an impossible distance.
fn find_position(
    slots: &Slots<'_>,
    hint: u64,
    progress: impl Fn(i32) -> Option<Progress>,
) -> Result<u64, Corrupt> {
    for step in 0..=slots.capacity() {
        let position = hint.wrapping_add(step);
        match progress(slots.at(position).stamp().ahead_of(position)) {
            Some(Progress::Pending) => return Ok(position),
            Some(Progress::Finished) => {}
            None => return Err(Corrupt),
        }
    }
    Err(Corrupt)
}
