//! When recovery runs, and what follows from it: the lock, the counts, the wake-ups.
//!
//! What it does is in [`ring::recovery`](crate::ring::recovery).

use crate::error::{Recovering, SystemError};
use crate::layout::{Geometry, MAX_SEATS, View};
use crate::region::Object;
use crate::ring::intent::{Intent, Run};
use crate::ring::recovery::{Adopter, Inheritance, Party, Swept};
use crate::seat::{self, Hold};
use crate::stage::{Live, Stage};
use crate::sync::{Relaxed, Release};
use crate::sys::process;
use crate::terms::Role;
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
pub(crate) struct Inherited {
    pub(crate) stage: Arc<Stage>,
    pub(crate) run: Run,
}

/// The object whose rings may need recovery, and who looks at it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scene<'a> {
    /// The first ring.
    pub(crate) view: &'a View,
    pub(crate) geometry: &'a Geometry,
    pub(crate) object: &'a Object,
    /// The looker's seat.
    pub(crate) own: Option<&'a Hold>,
}

/// The right to recover, and what is known of who is gone: of the dead it stays true as long as
/// nobody else can take a seat.
#[derive(Debug)]
pub(crate) struct Watch<'a> {
    scene: Scene<'a>,
    muster: Muster,
    _lock: Hold,
}

/// Who was asked about, and who was gone, one bit for each seat.
#[derive(Debug, Default)]
struct Muster(RefCell<[Bits; 2]>);

#[derive(Debug)]
struct Bits([u64; MAX_SEATS as usize * 2 / 64]);

impl Default for Bits {
    fn default() -> Self {
        Self([0; MAX_SEATS as usize * 2 / 64])
    }
}

impl Muster {
    fn is_gone(&self, scene: &Scene<'_>, seat: u32) -> bool {
        let [asked, gone] = &mut *self.0.borrow_mut();
        let (word, bit) = (seat as usize / 64, 1 << (seat % 64));
        if asked.0[word] & bit == 0 {
            asked.0[word] |= bit;
            if seat::is_gone(scene.object, scene.view, seat, scene.own) {
                gone.0[word] |= bit;
            }
        }
        gone.0[word] & bit != 0
    }
}

impl<'a> Scene<'a> {
    /// Whether somebody is gone who left something to be done.
    pub(crate) fn is_recovery_due(&self, live: &Live) -> bool {
        let muster = Muster::default();
        live.iter().any(|stage| self.party(stage, &muster).is_due())
    }

    /// Takes the right to recover, unless somebody has it.
    pub(crate) fn watch(self) -> Result<Result<Watch<'a>, Recovering>, SystemError> {
        let recoverer = &self.view.header().status.0.recoverer;
        Ok(match Hold::recovery(self.object)? {
            Some(lock) => {
                recoverer.store(process::pid(), Relaxed);
                Ok(Watch {
                    scene: self,
                    muster: Muster::default(),
                    _lock: lock,
                })
            }
            None => Err(Recovering {
                pid: recoverer.load(Relaxed),
            }),
        })
    }

    fn party<'p>(
        &'p self,
        stage: &'p Stage,
        muster: &'p Muster,
    ) -> Party<'p, impl Fn(u32) -> &'p Intent, impl Fn(u32) -> bool> {
        let view = &stage.view;
        let header = view.header();
        Party {
            slots: view.slots(),
            tail: &header.tail.0,
            head: &header.head.0,
            intent: |seat| view.entry(seat).intent(),
            is_gone: |seat| muster.is_gone(self, seat),
            producers: self.geometry.producers,
            participants: self.geometry.participants(),
        }
    }
}

impl Watch<'_> {
    /// Finishes what the dead had begun, and says what the adopter has to go on with.
    pub(crate) fn recover(
        &self,
        live: &Live,
        mut adopter: Option<Adopter>,
    ) -> (Recovery, Option<Inherited>) {
        for (stage, next) in live.pairs() {
            stage.end_before(next);
        }
        let (mut recovery, mut inherited) = (Recovery::default(), None);
        for stage in live.iter() {
            let party = self.scene.party(stage, &self.muster);
            let swept = party.sweep(adopter, self.scene.geometry.delivery);
            self.publish(stage, &swept);
            recovery.settled += swept.settled;
            recovery.tombstones += swept.tombstones;
            recovery.dropped += swept.dropped;
            recovery.waiting += swept.waiting;
            recovery.undecided += swept.undecided;
            if let Some(run) = swept.adopted {
                let stage = Arc::clone(stage);
                // One at a time.
                adopter = None;
                inherited = Some(Inherited { stage, run });
            }
        }
        let orphans = &self.scene.view.header().status.0.orphans;
        orphans.set(recovery.waiting > 0);
        if recovery.waiting > 0 {
            // Whoever takes them may be asleep at a later ring.
            let events = live.iter().map(|stage| &stage.view.header().not_empty.0);
            events.for_each(|event| event.notify_all());
        }
        (recovery, inherited)
    }

    /// Takes what a dead consumer held over, by whoever now holds its seat.
    pub(crate) fn inherit(&self, stage: &Stage, seat: u32) -> Inheritance {
        let mut swept = Swept::default();
        let party = self.scene.party(stage, &self.muster);
        let inheritance = party.inherit(seat, self.scene.geometry.delivery, &mut swept);
        self.publish(stage, &swept);
        inheritance
    }

    /// Whether any consumer, dead or alive, may have taken a message that it has not given back.
    pub(crate) fn is_anything_held(&self, live: &Live) -> bool {
        let held_in = |stage: &Arc<Stage>| {
            let mut consumers = self.scene.geometry.seats(Role::Consumer);
            consumers.any(|seat| stage.intent(seat).is_some())
        };
        live.iter().any(held_in)
    }

    /// Lets nobody begin in the oldest rings any more, nor recover them, as far as each of them `is_done`.
    pub(crate) fn retire(&self, live: &Live, is_done: impl Fn(&Stage) -> bool) {
        let oldest = &self.scene.view.header().status.0.oldest;
        for (_, next) in live.pairs().take_while(|(stage, _)| is_done(stage)) {
            oldest.store(next.offset, Release); // O
        }
    }

    /// The oldest ring that somebody who is there may look at, as far as participants say.
    pub(crate) fn oldest_in_use(&self) -> u64 {
        let seats = 0..self.scene.geometry.participants();
        let in_use = |seat: &u32| !self.muster.is_gone(&self.scene, *seat);
        let places = seats
            .filter(in_use)
            .map(|seat| self.scene.view.entry(seat).works_at());
        places.min().unwrap_or(u64::MAX)
    }

    /// Counts what was done, and wakes who waits for it.
    fn publish(&self, stage: &Stage, swept: &Swept) {
        let status = &self.scene.view.header().status.0;
        // Relaxed: counts to look at, by which nothing is reached.
        for (count, by) in [
            (&status.tombstones, swept.tombstones),
            (&status.redelivered, swept.redelivered),
            (&status.dropped, swept.dropped),
        ] {
            if by > 0 {
                count.fetch_add(by, Relaxed);
            }
        }
        if swept.settled + swept.tombstones + swept.redelivered + swept.dropped > 0 {
            status.recoveries.fetch_add(1, Relaxed);
        }
        let header = stage.view.header();
        if swept.tombstones > 0 {
            header.not_empty.0.notify_all();
        }
        if swept.dropped > 0 {
            header.not_full.0.notify_all();
        }
    }
}
