//! The sweep: finishing the operations of dead participants.
//!
//! Exactly one claimant owns a position that is claimed and not finished, and its intent covers the
//! position. So for each position in the intent of each dead participant, the sweep checks in this
//! order:
//!
//! 1. The index has not passed the position: it is not claimed.
//! 2. The intent of a live participant of the same role covers it: the claimant is not known yet.
//!    The dead participant's intent stays set, for a later sweep.
//! 3. The slot's stamp does not mean "claimed and not finished": the position is finished.
//! 4. The index is more than a lap ahead: the position was finished long ago, and the 32-bit stamp
//!    has wrapped to the same value.
//! 5. Otherwise the dead participant is the claimant. A dead producer's slot becomes a tombstone. A
//!    dead consumer's message is an orphan: a live consumer adopts it, or it is dropped, as the
//!    ring's [`Delivery`] requires.
//!
//! An intent is cleared when nothing is left to do for it. 2 comes before 3, because a live
//! claimant may finish the slot and clear its intent between the two loads. 3 comes before 4,
//! because a stamp that was loaded may wrap before the index is.
//!
//! The process that recovers holds the recovery lock, which the kernel releases when the process
//! dies. It claims nothing itself. No participant takes a seat without that lock, so a participant
//! found dead stays dead. Each step may be repeated: the next recovery finishes one that was
//! killed.
//!
//! # Ordering
//!
//! P and R are the slot's, A and B the intent's, I the index's. All loads but the last must be
//! Acquire, because their order matters. The stores of a dead participant are visible to a process
//! that finds its locks free: the kernel first ends the process and then releases its locks. The
//! stores of a participant that left are visible to a process that sees that it left (S,
//! [`participants`](super::participants)).

use super::closing;
use super::intent::{Intent, MAX_CLAIM, Run};
use super::slot::{Slots, Stamp, TOMBSTONE};
use crate::properties::Delivery;
use crate::role::Role;
use crate::sync::{Acquire, AtomicU64, Relaxed};
use core::ops::Range;

/// The input of a sweep: the intents of all participants, and which participants are gone.
#[derive(Debug)]
pub(crate) struct Sweep<'r, I, G> {
    pub(crate) slots: &'r Slots<'r>,
    pub(crate) tail: &'r AtomicU64,
    pub(crate) head: &'r AtomicU64,
    /// The intent of each participant, producers first.
    pub(crate) intent: I,
    /// Whether a participant is gone: certainly dead, or certainly left. In doubt it is live.
    pub(crate) is_gone: G,
    pub(crate) producers: u32,
    pub(crate) participants: u32,
}

/// What a sweep did, in positions except for `settled`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SweepStats {
    /// Gone participants for which nothing is left to do.
    pub(crate) settled: u64,
    pub(crate) tombstones: u64,
    pub(crate) dropped: u64,
    /// Orphans that were adopted, or inherited with a seat.
    pub(crate) redelivered: u64,
    /// The orphans that the recovering consumer adopted and must pop.
    pub(crate) adopted: Option<Run>,
    /// Orphans that wait for a consumer.
    pub(crate) waiting: u64,
    /// Positions claimed by either a gone or a live participant. A later sweep decides.
    pub(crate) undecided: u64,
}

/// The claim that a new holder of a dead consumer's seat inherits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inheritance {
    Nothing,
    /// Positions that the new holder must pop first.
    Held(Run),
    /// The seat cannot be taken yet.
    Undecided,
}

/// A consumer that recovers and can adopt orphans. Its intent is not set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Adopter {
    pub(crate) seat: u32,
    /// The most messages that it adopts. The rest are left to other consumers.
    pub(crate) max: u64,
}

/// The messages that a dead consumer had claimed and not released.
#[derive(Clone, Copy)]
struct Orphans {
    first_run: Run,
    last: u64,
    count: u64,
    /// Those of them that were counted with another gone consumer, of a lower seat, because its
    /// intent covers them too.
    already_counted: u64,
}

impl Orphans {
    const NONE: Self = Self {
        first_run: Run::NONE,
        last: 0,
        count: 0,
        already_counted: 0,
    };

    fn add(&mut self, position: u64, is_counted: bool) {
        self.already_counted += u64::from(is_counted);
        let run = &mut self.first_run;
        if self.count == 0 {
            run.start = position;
        }
        if run.len == self.count && run.end() == position {
            run.len += 1;
        }
        self.last = position;
        self.count += 1;
    }

    /// All positions from the first orphan to the last.
    fn span(&self) -> Run {
        Run {
            start: self.first_run.start,
            len: self.last - self.first_run.start + 1,
        }
    }
}

/// A set of positions within one intent, as offsets from its start, one bit each.
struct OffsetSet([u64; MAX_CLAIM as usize / 64]);

impl OffsetSet {
    const EMPTY: Self = Self([0; MAX_CLAIM as usize / 64]);

    fn insert(&mut self, offsets: Range<u64>) {
        let mut offset = offsets.start;
        while offset < offsets.end {
            let (word, bit) = (offset / 64, offset % 64);
            let len = (64 - bit).min(offsets.end - offset);
            self.0[word as usize] |= (u64::MAX >> (64 - len)) << bit;
            offset += len;
        }
    }

    fn contains(&self, offset: u64) -> bool {
        self.0[offset as usize / 64] & 1 << (offset % 64) != 0
    }
}

impl<'r, I, G> Sweep<'r, I, G>
where
    I: Fn(u32) -> &'r Intent,
    G: Fn(u32) -> bool,
{
    /// Whether the intent of a gone participant is set. Needs no lock.
    pub(crate) fn is_needed(&self) -> bool {
        (0..self.participants).any(|seat| self.dead_intent(seat).is_some())
    }

    /// Finishes the operations of all gone participants, as far as they are decided.
    pub(crate) fn sweep(&self, adopter: Option<Adopter>, delivery: Delivery) -> SweepStats {
        let mut stats = SweepStats::default();
        for seat in 0..self.participants {
            let Some(run) = self.dead_intent(seat) else {
                continue;
            };
            let undecided = if seat < self.producers {
                self.sweep_producer(seat, run, &mut stats)
            } else {
                let adopter = adopter.filter(|_| stats.adopted.is_none());
                self.sweep_consumer(seat, run, adopter, delivery, &mut stats)
            };
            stats.undecided += undecided;
        }
        stats
    }

    /// Checks the intent that a dead holder left in a seat. The caller holds the seat lock.
    ///
    /// The intent stays set until the caller has popped what it inherits. So no other consumer gets
    /// the positions meanwhile. Positions between two orphans may have been finished by others, and
    /// their slots may be in use again. Their stamps do not mean "claimed and not released", so the
    /// caller skips them.
    pub(crate) fn inherit(
        &self,
        seat: u32,
        delivery: Delivery,
        stats: &mut SweepStats,
    ) -> Inheritance {
        let intent = (self.intent)(seat);
        let Some(run) = intent.read(self.slots.capacity()) else {
            return Inheritance::Nothing;
        };
        let (orphans, undecided) = self.orphans(seat, run, delivery, stats);
        if undecided > 0 {
            return Inheritance::Undecided;
        }
        if orphans.count == 0 {
            intent.clear();
            return Inheritance::Nothing;
        }
        stats.redelivered += orphans.count;
        Inheritance::Held(orphans.span())
    }

    /// The intent of a participant, if it is set and the participant is gone.
    fn dead_intent(&self, seat: u32) -> Option<Run> {
        let intent = (self.intent)(seat);
        let capacity = self.slots.capacity();
        intent.read(capacity)?;
        if !(self.is_gone)(seat) {
            return None;
        }
        // Read again: the participant may have changed its intent before it died or left.
        intent.read(capacity)
    }

    fn sweep_producer(&self, seat: u32, run: Run, stats: &mut SweepStats) -> u64 {
        let undecided = self.for_each_unfinished(seat, run, |position, found, _| {
            let tombstone = Stamp::full(position, TOMBSTONE);
            if self.slots.at(position).finish(found, tombstone) {
                stats.tombstones += 1;
            }
        });
        if undecided == 0 {
            (self.intent)(seat).clear();
            stats.settled += 1;
        }
        undecided
    }

    fn sweep_consumer(
        &self,
        seat: u32,
        run: Run,
        adopter: Option<Adopter>,
        delivery: Delivery,
        stats: &mut SweepStats,
    ) -> u64 {
        let (orphans, undecided) = self.orphans(seat, run, delivery, stats);
        let mut remaining = orphans.count;
        if let Some(adopter) = adopter.filter(|_| remaining > 0) {
            let adopted = Run {
                len: orphans.first_run.len.min(adopter.max),
                ..orphans.first_run
            };
            // The adopter's intent is set before the dead one's is cleared. If the adopter is
            // killed in between, both are set, and no orphan is lost.
            (self.intent)(adopter.seat).set(adopted, &mut 0);
            stats.adopted = Some(adopted);
            stats.redelivered += adopted.len;
            remaining -= adopted.len;
        }
        if undecided == 0 && remaining == 0 {
            (self.intent)(seat).clear();
            stats.settled += 1;
        }
        // An adopter takes the first orphans of the sweep, so none of them was counted before.
        stats.waiting += remaining.saturating_sub(orphans.already_counted);
        undecided
    }

    /// The messages that a dead consumer had claimed and not released, and how many positions are
    /// undecided. With at-most-once delivery it drops them instead.
    fn orphans(
        &self,
        seat: u32,
        run: Run,
        delivery: Delivery,
        stats: &mut SweepStats,
    ) -> (Orphans, u64) {
        let mut orphans = Orphans::NONE;
        let undecided =
            self.for_each_unfinished(seat, run, |position, found, is_counted| match delivery {
                Delivery::AtLeastOnce => orphans.add(position, is_counted),
                Delivery::AtMostOnce => {
                    let free = Stamp::free(position.wrapping_add(self.slots.capacity()));
                    if self.slots.at(position).finish(found, free) {
                        stats.dropped += 1;
                    }
                }
            });
        (orphans, undecided)
    }

    /// Calls `unfinished` for each position in a gone participant's intent that it claimed and did
    /// not finish, lowest first. Returns how many positions are undecided.
    ///
    /// The last argument is whether the intent of another gone participant, of a lower seat, covers
    /// the position too.
    fn for_each_unfinished(
        &self,
        seat: u32,
        run: Run,
        mut unfinished: impl FnMut(u64, Stamp, bool),
    ) -> u64 {
        // `claimed` is how far the stamp of a claimed and unfinished slot is ahead.
        let (index, role, peers, claimed) = if seat < self.producers {
            (self.tail, Role::Producer, 0..self.producers, 0)
        } else {
            let peers = self.producers..self.participants;
            (self.head, Role::Consumer, peers, 1)
        };
        debug_assert!(peers.contains(&seat), "{role} {seat}");
        let start = run.start;
        let end = run.end().min(closing::position(index.load(Acquire))); // I
        let mut live = OffsetSet::EMPTY;
        let mut counted = OffsetSet::EMPTY;
        for peer in peers.filter(|&peer| peer != seat) {
            let Some(run) = (self.intent)(peer).read(self.slots.capacity()) else {
                continue;
            };
            let (from, to) = (run.start.max(start), run.end().min(end));
            if from >= to {
                continue;
            }
            if !(self.is_gone)(peer) {
                live.insert(from - start..to - start);
            } else if peer < seat {
                counted.insert(from - start..to - start);
            }
        }
        let mut undecided = 0;
        for position in start..end {
            if live.contains(position - start) {
                undecided += 1;
                continue;
            }
            let found = self.slots.at(position).stamp();
            let is_finished = found.ahead_of(position) != claimed;
            // Relaxed: the participant that stored a wrapped stamp had seen the index pass the
            // position before, and the stamp's load acquired that.
            let distance = closing::position(index.load(Relaxed)).wrapping_sub(position);
            if !is_finished && distance <= self.slots.capacity() {
                unfinished(position, found, counted.contains(position - start));
            }
        }
        undecided
    }
}
