//! When recovery runs, and what follows from it: the lock, the counts, the wake-ups.
//!
//! What it does is in [`ring::sweep`](crate::ring::sweep).

use crate::backing::Object;
use crate::error::{Recovering, SystemError};
use crate::layout::{Geometry, MAX_SEATS, View};
use crate::ring::intent::{Intent, Run};
use crate::ring::sweep::{Adopter, Inheritance, Sweep, SweepStats};
use crate::role::Role;
use crate::seat::{self, OwnedLock};
use crate::segment::{ActiveSegments, Segment};
use crate::sync::{Relaxed, Release};
use crate::sys::process;
use core::cell::RefCell;
use std::sync::Arc;

/// What a recovery did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovery {
    /// Dead participants of whose operations nothing is left to be done.
    pub settled: u64,
    /// Positions that dead producers had claimed and not filled. Consumers skip them.
    pub tombstones: u64,
    /// Messages of dead consumers that were dropped, as the ring is at-most-once.
    pub dropped: u64,
    /// Messages of dead consumers that wait for a live one. The next consumer that finds the ring
    /// empty takes them.
    pub waiting: u64,
    /// Positions of which it can't be known yet whose they are: a live participant is in the middle
    /// of an operation on them, and perhaps stopped.
    pub undecided: u64,
}

/// What was recovered in the life of a ring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Times that something was recovered.
    pub recoveries: u64,
    /// Positions without a message, because their producer died or gave them up.
    pub tombstones: u64,
    /// Times that a message was taken from a dead consumer to be delivered again.
    pub redelivered: u64,
    /// Messages of dead consumers that were dropped.
    pub dropped: u64,
}

/// What a consumer has taken over, and where.
#[derive(Debug)]
pub(crate) struct Adopted {
    pub(crate) segment: Arc<Segment>,
    pub(crate) run: Run,
}

/// The object whose rings may need recovery, and who looks at it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecoveryContext<'a> {
    /// The first ring.
    pub(crate) view: &'a View,
    pub(crate) geometry: &'a Geometry,
    pub(crate) object: &'a Object,
    /// The looker's seat.
    pub(crate) own: Option<&'a OwnedLock>,
}

/// The right to recover, and what is known of who is gone: of the dead it holders true as long as
/// nobody else can take a seat.
#[derive(Debug)]
pub(crate) struct RecoveryGuard<'a> {
    context: RecoveryContext<'a>,
    dead: DeadSet,
    _lock: OwnedLock,
}

/// Who was asked about, and who was gone, one bit for each seat.
#[derive(Debug, Default)]
struct DeadSet(RefCell<[Bits; 2]>);

#[derive(Debug)]
struct Bits([u64; MAX_SEATS as usize * 2 / 64]);

impl Default for Bits {
    fn default() -> Self {
        Self([0; MAX_SEATS as usize * 2 / 64])
    }
}

impl DeadSet {
    fn is_gone(&self, context: &RecoveryContext<'_>, seat: u32) -> bool {
        let [asked, gone] = &mut *self.0.borrow_mut();
        let (word, bit) = (seat as usize / 64, 1 << (seat % 64));
        if asked.0[word] & bit == 0 {
            asked.0[word] |= bit;
            if seat::is_gone(context.object, context.view, seat, context.own) {
                gone.0[word] |= bit;
            }
        }
        gone.0[word] & bit != 0
    }
}

impl<'a> RecoveryContext<'a> {
    /// Whether somebody is gone who left something to be done.
    pub(crate) fn is_recovery_needed(&self, segments: &ActiveSegments) -> bool {
        let dead = DeadSet::default();
        segments
            .iter()
            .any(|segment| self.sweep_of(segment, &dead).is_needed())
    }

    /// Takes the right to recover, unless somebody has it.
    pub(crate) fn try_lock(self) -> Result<Result<RecoveryGuard<'a>, Recovering>, SystemError> {
        let recoverer = &self.view.header().status.0.recoverer;
        Ok(match OwnedLock::recovery(self.object)? {
            Some(lock) => {
                recoverer.store(process::pid(), Relaxed);
                Ok(RecoveryGuard {
                    context: self,
                    dead: DeadSet::default(),
                    _lock: lock,
                })
            }
            None => Err(Recovering {
                pid: recoverer.load(Relaxed),
            }),
        })
    }

    fn sweep_of<'p>(
        &'p self,
        segment: &'p Segment,
        dead: &'p DeadSet,
    ) -> Sweep<'p, impl Fn(u32) -> &'p Intent, impl Fn(u32) -> bool> {
        let view = &segment.view;
        let header = view.header();
        Sweep {
            slots: view.slots(),
            tail: &header.tail.0,
            head: &header.head.0,
            intent: |seat| view.entry(seat).intent(),
            is_gone: |seat| dead.is_gone(self, seat),
            producers: self.geometry.producers,
            participants: self.geometry.participants(),
        }
    }
}

impl RecoveryGuard<'_> {
    /// Finishes what the dead had begun, and says what the adopter has to go on with.
    pub(crate) fn recover(
        &self,
        segments: &ActiveSegments,
        mut adopter: Option<Adopter>,
    ) -> (Recovery, Option<Adopted>) {
        segments.finish_handovers();
        let (mut recovery, mut adopted) = (Recovery::default(), None);
        for segment in segments.iter() {
            let sweep_of = self.context.sweep_of(segment, &self.dead);
            let stats = sweep_of.sweep(adopter, self.context.geometry.delivery);
            self.record(segment, &stats);
            recovery.settled += stats.settled;
            recovery.tombstones += stats.tombstones;
            recovery.dropped += stats.dropped;
            recovery.waiting += stats.waiting;
            recovery.undecided += stats.undecided;
            if let Some(run) = stats.adopted {
                let segment = Arc::clone(segment);
                // One at a time.
                adopter = None;
                adopted = Some(Adopted { segment, run });
            }
        }
        let orphans = &self.context.view.header().status.0.orphans;
        orphans.set(recovery.waiting > 0);
        if recovery.waiting > 0 {
            // Whoever takes them may be asleep at a later ring.
            let events = segments
                .iter()
                .map(|segment| &segment.view.header().not_empty.0);
            events.for_each(|event| event.notify_all());
        }
        (recovery, adopted)
    }

    /// Takes what a dead consumer held over, by whoever now holds its seat.
    pub(crate) fn inherit(&self, segment: &Segment, seat: u32) -> Inheritance {
        let mut stats = SweepStats::default();
        let sweep_of = self.context.sweep_of(segment, &self.dead);
        let inheritance = sweep_of.inherit(seat, self.context.geometry.delivery, &mut stats);
        self.record(segment, &stats);
        inheritance
    }

    /// Whether any consumer, dead or alive, may have taken a message that it has not given back.
    pub(crate) fn has_claimed_messages(&self, segments: &ActiveSegments) -> bool {
        let held_in = |segment: &Arc<Segment>| {
            let mut consumers = self.context.geometry.seats(Role::Consumer);
            consumers.any(|seat| segment.intent(seat).is_some())
        };
        segments.iter().any(held_in)
    }

    /// Lets nobody begin in the oldest rings any more, nor recover them, as far as each of them `is_done`.
    pub(crate) fn retire(&self, segments: &ActiveSegments, is_done: impl Fn(&Segment) -> bool) {
        let oldest = &self.context.view.header().status.0.oldest_active;
        for (_, next) in segments
            .with_next()
            .take_while(|(segment, _)| is_done(segment))
        {
            oldest.store(next.offset, Release); // O
        }
    }

    /// The oldest ring that somebody who is there may look at, as far as participants say.
    pub(crate) fn oldest_in_use(&self) -> u64 {
        let seats = 0..self.context.geometry.participants();
        let in_use = |seat: &u32| !self.dead.is_gone(&self.context, *seat);
        let places = seats
            .filter(in_use)
            .map(|seat| self.context.view.entry(seat).oldest_segment());
        places.min().unwrap_or(u64::MAX)
    }

    /// Counts what was done, and wakes who waits for it.
    fn record(&self, segment: &Segment, stats: &SweepStats) {
        let status = &self.context.view.header().status.0;
        // Relaxed: counts to look at, by which nothing is reached.
        for (count, by) in [
            (&status.tombstones, stats.tombstones),
            (&status.redelivered, stats.redelivered),
            (&status.dropped, stats.dropped),
        ] {
            if by > 0 {
                count.fetch_add(by, Relaxed);
            }
        }
        if stats.settled + stats.tombstones + stats.redelivered + stats.dropped > 0 {
            status.recoveries.fetch_add(1, Relaxed);
        }
        let header = segment.view.header();
        if stats.tombstones > 0 {
            header.not_empty.0.notify_all();
        }
        if stats.dropped > 0 {
            header.not_full.0.notify_all();
        }
    }
}
