//! Recovery of a ring: its lock, its counters and its wake-ups.
//!
//! [`ring::sweep`](crate::ring::sweep) has the algorithm.

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

/// The result of one recovery.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovery {
    /// Dead participants that are fully recovered: all their operations are finished.
    pub settled: u64,
    /// Positions that dead producers had claimed and not published. Consumers skip them.
    pub tombstones: u64,
    /// Messages of dead consumers that were dropped, because the ring is at-most-once.
    pub dropped: u64,
    /// Messages of dead consumers that wait for a live one. The next consumer that finds the ring
    /// empty adopts them.
    pub waiting: u64,
    /// Positions with an unknown claimant: a live participant, perhaps a stopped one, is in
    /// the middle of an operation on them.
    pub undecided: u64,
}

/// The totals of all recoveries since a ring was created.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Recoveries that changed something.
    pub recoveries: u64,
    /// Positions without a message: their producer died, or dropped its claim.
    pub tombstones: u64,
    /// Redeliveries: how often a live consumer took over a message of a dead one.
    pub redelivered: u64,
    /// Messages of dead consumers that were dropped.
    pub dropped: u64,
}

/// Orphans that a consumer has adopted, and their segment.
#[derive(Debug)]
pub(crate) struct Adopted {
    pub(crate) segment: Arc<Segment>,
    pub(crate) run: Run,
}

/// An object that may need recovery, and the participant that checks it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecoveryContext<'a> {
    /// Of the first segment.
    pub(crate) view: &'a View,
    pub(crate) geometry: &'a Geometry,
    pub(crate) object: &'a Object,
    /// The caller's seat lock, if it has a seat.
    pub(crate) own: Option<&'a OwnedLock>,
}

/// The recovery lock, and which participants are gone. A participant that was found gone stays gone
/// while the lock is held, since no other process can claim its seat.
#[derive(Debug)]
pub(crate) struct RecoveryGuard<'a> {
    context: RecoveryContext<'a>,
    dead: DeadSet,
    _lock: OwnedLock,
}

/// Caches which participants are gone, so that each lock is queried once.
#[derive(Debug, Default)]
struct DeadSet(RefCell<DeadBits>);

/// One bit for each seat of both roles.
type SeatBits = [u64; MAX_SEATS as usize * 2 / 64];

#[derive(Debug)]
struct DeadBits {
    queried: SeatBits,
    gone: SeatBits,
}

impl Default for DeadBits {
    fn default() -> Self {
        let none = [0; MAX_SEATS as usize * 2 / 64];
        Self {
            queried: none,
            gone: none,
        }
    }
}

impl DeadSet {
    fn is_gone(&self, context: &RecoveryContext<'_>, seat: u32) -> bool {
        let DeadBits { queried, gone } = &mut *self.0.borrow_mut();
        let (word, bit) = (seat as usize / 64, 1 << (seat % 64));
        if queried[word] & bit == 0 {
            queried[word] |= bit;
            if seat::is_gone(context.object, context.view, seat, context.own) {
                gone[word] |= bit;
            }
        }
        gone[word] & bit != 0
    }
}

impl<'a> RecoveryContext<'a> {
    /// Whether a participant that is gone left an operation unfinished.
    pub(crate) fn is_recovery_needed(&self, segments: &ActiveSegments) -> bool {
        let dead = DeadSet::default();
        segments
            .iter()
            .any(|segment| self.sweep_of(segment, &dead).is_needed())
    }

    /// Acquires the recovery lock, or returns which process holds it. Never blocks.
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
    /// Finishes the operations of dead participants. Returns what the adopter has adopted.
    pub(crate) fn recover(
        &self,
        segments: &ActiveSegments,
        mut adopter: Option<Adopter>,
    ) -> (Recovery, Option<Adopted>) {
        segments.finish_handovers();
        let (mut recovery, mut adopted) = (Recovery::default(), None);
        for segment in segments.iter() {
            let sweep = self.context.sweep_of(segment, &self.dead);
            let stats = sweep.sweep(adopter, self.context.geometry.delivery);
            self.record(segment, &stats);
            recovery.settled += stats.settled;
            recovery.tombstones += stats.tombstones;
            recovery.dropped += stats.dropped;
            recovery.waiting += stats.waiting;
            recovery.undecided += stats.undecided;
            if let Some(run) = stats.adopted {
                let segment = Arc::clone(segment);
                // A consumer has one intent, so it adopts one run.
                adopter = None;
                adopted = Some(Adopted { segment, run });
            }
        }
        let orphans = &self.context.view.header().status.0.orphans;
        orphans.set(recovery.waiting > 0);
        if recovery.waiting > 0 {
            // The consumer that will adopt them may sleep on a later segment.
            let events = segments
                .iter()
                .map(|segment| &segment.view.header().not_empty.0);
            events.for_each(|event| event.notify_all());
        }
        (recovery, adopted)
    }

    /// Transfers the unfinished claim of a dead consumer to the new holder of its seat, the caller.
    pub(crate) fn inherit(&self, segment: &Segment, seat: u32) -> Inheritance {
        let mut stats = SweepStats::default();
        let sweep = self.context.sweep_of(segment, &self.dead);
        let inheritance = sweep.inherit(seat, self.context.geometry.delivery, &mut stats);
        self.record(segment, &stats);
        inheritance
    }

    /// Whether any consumer, dead or alive, may have claimed a message that it has not released.
    pub(crate) fn has_claimed_messages(&self, segments: &ActiveSegments) -> bool {
        let has_claims = |segment: &Arc<Segment>| {
            let mut consumers = self.context.geometry.seats(Role::Consumer);
            consumers.any(|seat| segment.intent(seat).is_some())
        };
        segments.iter().any(has_claims)
    }

    /// Retires the oldest segments for which `is_done` is true, but never the newest one. No
    /// participant starts in a retired segment or recovers it.
    pub(crate) fn retire(&self, segments: &ActiveSegments, is_done: impl Fn(&Segment) -> bool) {
        let oldest = &self.context.view.header().status.0.oldest_active;
        for (_, next) in segments
            .with_next()
            .take_while(|(segment, _)| is_done(segment))
        {
            oldest.store(next.offset, Release); // O
        }
    }

    /// The offset of the oldest segment that a live participant may access, by what participants
    /// have recorded; `u64::MAX` if there is no live participant.
    pub(crate) fn oldest_in_use(&self) -> u64 {
        let seats = 0..self.context.geometry.participants();
        let in_use = |seat: &u32| !self.dead.is_gone(&self.context, *seat);
        let offsets = seats
            .filter(in_use)
            .map(|seat| self.context.view.entry(seat).oldest_segment());
        offsets.min().unwrap_or(u64::MAX)
    }

    /// Adds a sweep to the ring's counters, and wakes the participants that can continue.
    fn record(&self, segment: &Segment, stats: &SweepStats) {
        let status = &self.context.view.header().status.0;
        // Relaxed: statistics.
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
