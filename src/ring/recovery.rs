//! Finishing what the dead had begun.
//!
//! A position that is claimed and whose slot is not finished belongs to exactly one claimant, and
//! that one's intent stands. So for each dead participant, and each position that its intent
//! stands for, in this order:
//!
//! 1. The index has not passed the position: nobody has claimed it.
//! 2. A live participant of the same role says that it may have claimed it: nothing is known
//!    yet. The dead one's intent stays, for a later look.
//! 3. The slot does not say "claimed and not finished": it was finished.
//! 4. The index is more than a lap ahead: it was finished long ago, and the stamp of 32 bits
//!    says the same again.
//! 5. The claimant is dead. A producer's slot becomes a tombstone; a consumer's message is an
//!    orphan, which a live consumer adopts (or which is dropped, at-most-once).
//!
//! An intent is cleared when nothing is left to do for it. 2 comes before 3, because a live
//! claimant may finish and clear between the two looks; 3 before 4, because what a stamp says
//! ages.
//!
//! Whoever recovers holds the recovery lock, which the kernel frees when it dies, and claims
//! nothing itself. Nobody takes a seat without that lock, so who was found dead stays dead. Each
//! step may be repeated: a recovery that is killed is finished by the next.
//!
//! # Ordering
//!
//! P and R are the slot's, A and B the intent's, I the index's. The order of the looks needs all
//! of their loads to be Acquire. What the dead had stored is visible to who finds their locks
//! free: the kernel tears down and unlocks in that order.

use super::intent::{Intent, Run};
use super::slot::{Slots, Stamp, TOMBSTONE};
use crate::sync::{Acquire, AtomicU64};
use crate::terms::{Delivery, Role};
use core::ops::Range;

/// What recovery looks at: everybody's intents, and who of them is certainly gone.
#[derive(Debug)]
pub(crate) struct Party<'r, I, G> {
    pub(crate) slots: &'r Slots,
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
pub(crate) struct Swept {
    /// Participants of which nothing is left to do.
    pub(crate) settled: u64,
    pub(crate) tombstones: u64,
    pub(crate) dropped: u64,
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

/// Orphans in a row, as far as they were found.
#[derive(Clone, Copy)]
struct Orphans {
    first_run: Run,
    /// Beyond the first run.
    more: u64,
}

impl Orphans {
    const NONE: Self = Self {
        first_run: Run::NONE,
        more: 0,
    };

    fn add(&mut self, position: u64) {
        let run = &mut self.first_run;
        if run.len == 0 {
            run.start = position;
        }
        if run.end() == position && self.more == 0 {
            run.len += 1;
        } else {
            self.more += 1;
        }
    }

    fn total(&self) -> u64 {
        self.first_run.len + self.more
    }
}

impl<'r, I, G> Party<'r, I, G>
where
    I: Fn(u32) -> &'r Intent,
    G: Fn(u32) -> bool,
{
    /// Whether somebody is gone whose intent stands. Needs no lock.
    pub(crate) fn is_due(&self) -> bool {
        (0..self.participants).any(|seat| self.left_behind(seat).is_some())
    }

    /// Does what can be done for everybody who is gone. A consumer that recovers names its seat,
    /// whose intent does not stand, and adopts what it can go on with.
    pub(crate) fn sweep(&self, adopter: Option<u32>, delivery: Delivery) -> Swept {
        let mut swept = Swept::default();
        for seat in 0..self.participants {
            let Some(run) = self.left_behind(seat) else {
                continue;
            };
            let undecided = if seat < self.producers {
                self.bury(seat, run, &mut swept)
            } else {
                let adopter = adopter.filter(|_| swept.adopted.is_none());
                self.take_over(seat, run, adopter, delivery, &mut swept)
            };
            swept.undecided += undecided;
        }
        swept
    }

    /// Judges what the intent of a seat stands for, whose holder is dead and whose lock is the
    /// caller's, and leaves it standing for what the caller has to go on with.
    ///
    /// Orphans beyond the first run are left to others: a claim's positions are finished in
    /// order and adopted in as long runs as there are, so what lies beyond a gap was adopted
    /// once, and the intent of its adopter stands for it.
    pub(crate) fn inherit(&self, seat: u32, delivery: Delivery, swept: &mut Swept) -> Inheritance {
        let intent = (self.intent)(seat);
        let Some(run) = intent.read(self.slots.capacity()) else {
            return Inheritance::Nothing;
        };
        let (orphans, undecided) = self.orphans(seat, run, delivery, swept);
        if undecided > 0 {
            return Inheritance::Undecided;
        }
        if orphans.total() == 0 {
            intent.clear();
            return Inheritance::Nothing;
        }
        intent.narrow(orphans.first_run);
        Inheritance::Held(orphans.first_run)
    }

    /// The intent of a participant that is gone, if it stands.
    fn left_behind(&self, seat: u32) -> Option<Run> {
        let intent = (self.intent)(seat);
        let capacity = self.slots.capacity();
        intent.read(capacity)?;
        if !(self.is_gone)(seat) {
            return None;
        }
        // What it said before it went may not have been its last word.
        intent.read(capacity)
    }

    fn bury(&self, seat: u32, run: Run, swept: &mut Swept) -> u64 {
        let undecided = self.judge(seat, run, |position, found| {
            let tombstone = Stamp::full(position, TOMBSTONE);
            if self.slots.at(position).finish(found, tombstone) {
                swept.tombstones += 1;
            }
        });
        if undecided == 0 {
            (self.intent)(seat).clear();
            swept.settled += 1;
        }
        undecided
    }

    fn take_over(
        &self,
        seat: u32,
        run: Run,
        adopter: Option<u32>,
        delivery: Delivery,
        swept: &mut Swept,
    ) -> u64 {
        let (orphans, undecided) = self.orphans(seat, run, delivery, swept);
        let mut left_over = orphans.total();
        if let Some(adopter) = adopter.filter(|_| left_over > 0) {
            // First its own intent, then the dead one's: killed in between, both stand.
            (self.intent)(adopter).stand(orphans.first_run, &mut 0);
            swept.adopted = Some(orphans.first_run);
            left_over = orphans.more;
        }
        if undecided == 0 && left_over == 0 {
            (self.intent)(seat).clear();
            swept.settled += 1;
        }
        swept.waiting += left_over;
        undecided
    }

    /// What a dead consumer had taken and not given back; nothing, if that is dropped.
    fn orphans(
        &self,
        seat: u32,
        run: Run,
        delivery: Delivery,
        swept: &mut Swept,
    ) -> (Orphans, u64) {
        let mut orphans = Orphans::NONE;
        let undecided = self.judge(seat, run, |position, found| match delivery {
            Delivery::AtLeastOnce => orphans.add(position),
            Delivery::AtMostOnce => {
                let free = Stamp::free(position.wrapping_add(self.slots.capacity()));
                if self.slots.at(position).finish(found, free) {
                    swept.dropped += 1;
                }
            }
        });
        (orphans, undecided)
    }

    /// Tells of each position of a dead participant's intent that it claimed and did not finish,
    /// lowest first. Returns for how many that can't be known yet.
    fn judge(&self, seat: u32, run: Run, mut unfinished: impl FnMut(u64, Stamp)) -> u64 {
        let (index, role, peers, claimed) = if seat < self.producers {
            (self.tail, Role::Producer, 0..self.producers, 0)
        } else {
            let peers = self.producers..self.participants;
            (self.head, Role::Consumer, peers, 1)
        };
        debug_assert!(peers.contains(&seat), "{role} {seat}");
        let end = run.end().min(index.load(Acquire)); // I
        let mut undecided = 0;
        let mut position = run.start;
        while position < end {
            let stretch = self.stretch(seat, peers.clone(), position, end);
            if stretch.is_claimed_by_the_living {
                undecided += stretch.until - position;
            } else {
                for position in position..stretch.until {
                    let found = self.slots.at(position).stamp();
                    let is_finished = found.ahead_of(position) != claimed;
                    let passed = index.load(Acquire).wrapping_sub(position); // I
                    if !is_finished && passed <= self.slots.capacity() {
                        unfinished(position, found);
                    }
                }
            }
            position = stretch.until;
        }
        undecided
    }

    /// How far from `position` on, and before `end`, it is the same whether one of the living
    /// `peers` says that it may have claimed it.
    fn stretch(&self, seat: u32, peers: Range<u32>, position: u64, end: u64) -> Stretch {
        let mut free_until = end;
        let mut claimed_until = position;
        for peer in peers.filter(|&peer| peer != seat) {
            let Some(run) = (self.intent)(peer).read(self.slots.capacity()) else {
                continue;
            };
            let is_near = run.end() > position && run.start < free_until;
            if is_near && !(self.is_gone)(peer) {
                if run.start <= position {
                    claimed_until = claimed_until.max(run.end());
                } else {
                    free_until = run.start;
                }
            }
        }
        Stretch {
            is_claimed_by_the_living: claimed_until > position,
            until: if claimed_until > position {
                claimed_until.min(end)
            } else {
                free_until
            },
        }
    }
}

struct Stretch {
    is_claimed_by_the_living: bool,
    until: u64,
}
