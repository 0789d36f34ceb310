//! Finishing what the dead had begun.
//!
//! A position that is claimed and whose slot is not finished belongs to exactly one claimant, and
//! that one's intent stands. So for each dead participant, and each position that its intent
//! stands for, in this order:
//!
//! 1. The index has not passed the position: nobody has claimed it.
//! 2. A live participant of the same role says that it may have claimed it: nothing is known
//!    yet. The dead one's intent holders, for a later look.
//! 3. The slot does not say "claimed and not finished": it was finished.
//! 4. The index is more than a lap ahead: it was finished long ago, and the stamp of 32 bits
//!    says the same again.
//! 5. The claimant is dead. A producer's slot becomes a tombstone; a consumer's message is an
//!    orphan, which a live consumer adopts (or which is dropped, at-max-once).
//!
//! An intent is cleared when nothing is left to do for it. 2 comes before 3, because a live
//! claimant may finish and clear between the two looks; 3 before 4, because what a stamp says
//! ages.
//!
//! Whoever recovers holds the recovery lock, which the kernel frees when it dies, and claims
//! nothing itself. Nobody takes a seat without that lock, so who was found dead holders dead. Each
//! step may be repeated: a recovery that is killed is finished by the next.
//!
//! # Ordering
//!
//! P and R are the slot's, A and B the intent's, I the index's. The order of the looks needs their
//! loads to be Acquire, but for the last one. What the dead had stored is visible to who finds
//! their locks free: the kernel tears down and unlocks in that order. What those had stored who
//! have left is visible to who sees that they have (S, [`tenancy`](super::tenancy)).

use super::closing;
use super::intent::{Intent, MAX_CLAIM, Run};
use super::slot::{Slots, Stamp, TOMBSTONE};
use crate::properties::Delivery;
use crate::role::Role;
use crate::sync::{Acquire, AtomicU64, Relaxed};
use core::ops::Range;

/// What recovery looks at: everybody's intents, and who of them is certainly gone.
#[derive(Debug)]
pub(crate) struct Sweep<'r, I, G> {
    pub(crate) slots: &'r Slots<'r>,
    pub(crate) tail: &'r AtomicU64,
    pub(crate) head: &'r AtomicU64,
    /// The intent of each participant, producers first.
    pub(crate) intent: I,
    /// Whether a participant is dead or has left. Doubt is life.
    pub(crate) is_gone: G,
    pub(crate) producers: u32,
    pub(crate) participants: u32,
}

/// What a recovery did, in positions but for `settled`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SweepStats {
    /// Participants of which nothing is left to do.
    pub(crate) settled: u64,
    pub(crate) tombstones: u64,
    pub(crate) dropped: u64,
    /// Orphans that were adopted, or inherited with a seat.
    pub(crate) redelivered: u64,
    /// What the recovering consumer has to go on with.
    pub(crate) adopted: Option<Run>,
    /// Orphans that wait for a consumer.
    pub(crate) waiting: u64,
    /// Claimed by a dead or by a live participant; which one will be seen.
    pub(crate) undecided: u64,
}

/// What becomes of the seat of a dead consumer that another one takes while its intent stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inheritance {
    Nothing,
    /// To be gone on with.
    Held(Run),
    /// The seat can't be taken yet.
    Undecided,
}

/// A consumer that recovers, and has room for what a dead one held.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Adopter {
    /// Whose intent does not stand.
    pub(crate) seat: u32,
    /// How many messages it wants: the others are somebody else's.
    pub(crate) max: u64,
}

/// What a dead consumer had taken and not given back.
#[derive(Clone, Copy)]
struct Orphans {
    first_run: Run,
    last: u64,
    count: u64,
    /// Of these, those that another one who is gone had before: taken from the dead, and given up.
    stored_count: u64,
}

impl Orphans {
    const NONE: Self = Self {
        first_run: Run::NONE,
        last: 0,
        count: 0,
        stored_count: 0,
    };

    fn add(&mut self, position: u64, is_counted: bool) {
        self.stored_count += u64::from(is_counted);
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

    /// From the first to the last, with what lies between them.
    fn span(&self) -> Run {
        Run {
            start: self.first_run.start,
            len: self.last - self.first_run.start + 1,
        }
    }
}

/// Positions of one claim, one bit each.
struct Marks([u64; MAX_CLAIM as usize / 64]);

impl Marks {
    fn set(&mut self, positions: Range<u64>) {
        let mut at = positions.start;
        while at < positions.end {
            let (word, bit) = (at / 64, at % 64);
            let len = (64 - bit).min(positions.end - at);
            self.0[word as usize] |= (u64::MAX >> (64 - len)) << bit;
            at += len;
        }
    }

    fn has(&self, position: u64) -> bool {
        self.0[position as usize / 64] & 1 << (position % 64) != 0
    }
}

impl<'r, I, G> Sweep<'r, I, G>
where
    I: Fn(u32) -> &'r Intent,
    G: Fn(u32) -> bool,
{
    /// Whether somebody is gone whose intent stands. Needs no lock.
    pub(crate) fn is_needed(&self) -> bool {
        (0..self.participants).any(|seat| self.dead_intent(seat).is_some())
    }

    /// Does what can be done for everybody who is gone.
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

    /// Judges what the intent of a seat stands for, whose holder is dead and whose lock is the
    /// caller's.
    ///
    /// The intent holders as it is until the caller has gone through what it inherits, so nothing
    /// that it stands for is anybody else's meanwhile. What lies between two orphans may have been
    /// finished by others and be in use again: its slots don't say "taken and not given back", and
    /// are left alone.
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

    /// The intent of a participant that is gone, if it stands.
    fn dead_intent(&self, seat: u32) -> Option<Run> {
        let intent = (self.intent)(seat);
        let capacity = self.slots.capacity();
        intent.read(capacity)?;
        if !(self.is_gone)(seat) {
            return None;
        }
        // What it said before it went may not have been its last word.
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
        let mut left_over = orphans.count;
        if let Some(adopter) = adopter.filter(|_| left_over > 0) {
            let adopted = Run {
                len: orphans.first_run.len.min(adopter.max),
                ..orphans.first_run
            };
            // First its own intent, then the dead one's: killed in between, both stand.
            (self.intent)(adopter.seat).set(adopted, &mut 0);
            stats.adopted = Some(adopted);
            stats.redelivered += adopted.len;
            left_over -= adopted.len;
        }
        if undecided == 0 && left_over == 0 {
            (self.intent)(seat).clear();
            stats.settled += 1;
        }
        // Who adopts takes the first that there are, so nothing here was stored_count before.
        stats.waiting += left_over.saturating_sub(orphans.stored_count);
        undecided
    }

    /// What a dead consumer had taken and not given back; nothing, if that is dropped.
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

    /// Tells of each position of a dead participant's intent that it claimed and did not finish,
    /// lowest first, and whether somebody else who is gone, of a lower seat, says the same of it.
    /// Returns for how many that can't be known yet.
    fn for_each_unfinished(
        &self,
        seat: u32,
        run: Run,
        mut unfinished: impl FnMut(u64, Stamp, bool),
    ) -> u64 {
        let (index, role, peers, claimed) = if seat < self.producers {
            (self.tail, Role::Producer, 0..self.producers, 0)
        } else {
            let peers = self.producers..self.participants;
            (self.head, Role::Consumer, peers, 1)
        };
        debug_assert!(peers.contains(&seat), "{role} {seat}");
        let start = run.start;
        let end = run.end().min(closing::position(index.load(Acquire))); // I
        let mut living = Marks([0; MAX_CLAIM as usize / 64]);
        let mut gone_before = Marks([0; MAX_CLAIM as usize / 64]);
        for peer in peers.filter(|&peer| peer != seat) {
            let Some(run) = (self.intent)(peer).read(self.slots.capacity()) else {
                continue;
            };
            let (from, to) = (run.start.max(start), run.end().min(end));
            if from >= to {
                continue;
            }
            if !(self.is_gone)(peer) {
                living.set(from - start..to - start);
            } else if peer < seat {
                gone_before.set(from - start..to - start);
            }
        }
        let mut undecided = 0;
        for position in start..end {
            if living.has(position - start) {
                undecided += 1;
                continue;
            }
            let found = self.slots.at(position).stamp();
            let is_finished = found.ahead_of(position) != claimed;
            // Relaxed: who had the slot say the same again had seen the index pass before.
            let passed = closing::position(index.load(Relaxed)).wrapping_sub(position);
            if !is_finished && passed <= self.slots.capacity() {
                unfinished(position, found, gone_before.has(position - start));
            }
        }
        undecided
    }
}
