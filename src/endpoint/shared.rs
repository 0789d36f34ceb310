//! What the endpoints of producers and consumers share.

#![allow(unsafe_code)]

use super::liveness::Peers;
use super::wait::{SPINS_PER_CLOCK_READ, WaitStep, WaitSteps};
use crate::error::{
    AttachError, Corrupt, Disconnected, EndpointError, Forked, Refusal, SegmentError,
};
use crate::growth::RETRY_PAUSE;
use crate::layout::{SeatView, View};
use crate::open::{ClaimedSeat, OpenRing, claim_seat};
use crate::options::WaitStrategy;
use crate::properties::Fences;
use crate::recovery::Adopted;
use crate::ring::intent::Run;
use crate::role::{Peer, Role};
use crate::segment::Segment;
use crate::sync::{Acquire, Relaxed};
use crate::sys::clock::Instant;
use crate::sys::fork::Generation;
use core::hint::spin_loop;
use core::mem;
use std::sync::Arc;
use std::thread;

/// What producers and consumers have in common: a seat, the segment to work on, and what is known
/// of the peers.
#[derive(Debug)]
pub(crate) struct Endpoint {
    /// The fork generation in which the handle works; [`Generation::NONE`] once the ring was found
    /// corrupt.
    generation: Generation,
    fences: Fences,
    /// Of `segment`: [`switch_segment`](Self::switch_segment) replaces both.
    view: SeatView,
    // Unmapped before the object, which `peers` keeps open, is released.
    segment: Arc<Segment>,
    peers: Peers,
}

impl Endpoint {
    /// Claims a seat of a role.
    pub(super) fn attach(open_ring: &Arc<OpenRing>, role: Role) -> Result<Self, AttachError> {
        let chain = open_ring.chain();
        chain.check_process()?;
        let ClaimedSeat {
            seat,
            lock,
            segment,
            adopted,
        } = claim_seat(chain, role)?;
        // The last holder may have died between a store and the wake-up that follows it.
        chain.wake(role.other());
        Ok(Self {
            generation: chain.opened_in(),
            fences: chain.geometry().fences,
            // SAFETY: the endpoint holds the segment, which keeps the ring mapped.
            view: unsafe { segment.view.of_seat(seat) },
            segment,
            peers: Peers::new(Arc::clone(open_ring), role, seat, lock, adopted),
        })
    }

    /// The words and slots of the current segment.
    #[inline(always)]
    pub(super) fn words(&self) -> &SeatView {
        &self.view
    }

    #[inline(always)]
    pub(crate) fn view(&self) -> &View {
        self.view.view()
    }

    pub(crate) fn open_ring(&self) -> &OpenRing {
        self.peers.open_ring()
    }

    /// Refuses a handle in a forked child, and one of a ring that was found corrupt.
    #[inline(always)]
    pub(super) fn check_usable(&self) -> Result<(), EndpointError> {
        if self.is_usable() {
            Ok(())
        } else {
            Err(self.unusable())
        }
    }

    /// Whether slots may be accessed: not in a forked child, nor once the ring was found corrupt.
    #[inline(always)]
    pub(crate) fn is_usable(&self) -> bool {
        self.generation == Generation::current()
    }

    #[cold]
    fn unusable(&self) -> EndpointError {
        if self.generation == Generation::NONE {
            Corrupt.into()
        } else {
            Forked.into()
        }
    }

    /// Records that the ring is corrupt: every later operation of the handle fails.
    #[cold]
    #[inline(never)]
    pub(super) fn poison(&mut self, corrupt: Corrupt) -> EndpointError {
        self.generation = Generation::NONE;
        corrupt.into()
    }

    /// The capacity of the current segment.
    #[inline(always)]
    pub(crate) fn capacity(&self) -> usize {
        self.segment.geometry.capacity as usize
    }

    /// Whether the current segment is neither closed nor superseded, as far as is known.
    #[inline(always)]
    pub(super) fn is_open(&self) -> bool {
        self.view().header().status.0.closing.is_open()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.view().header().status.0.closing.is_closed()
    }

    /// Whether another segment follows the current one.
    #[inline(always)]
    pub(crate) fn has_next_segment(&self) -> bool {
        self.view().next_segment().load(Acquire) != 0 // G
    }

    /// Moves to the next segment, once this endpoint is done with the current one and has no claim.
    /// Returns `false` if that segment can't be mapped at present and the deadline has not passed.
    #[cold]
    pub(super) fn advance_segment(&mut self, deadline: Option<Instant>) -> Result<bool, Refusal> {
        let left = match self.open_ring().chain().next_segment(&self.segment) {
            Ok(Some(next)) => self.switch_segment(next),
            // The segment ended, and no other one follows.
            Ok(None) => return Err(self.poison(Corrupt).into()),
            Err(SegmentError::Corrupt(corrupt)) => return Err(self.poison(corrupt).into()),
            // Memory or descriptors are exhausted, perhaps for a while only.
            Err(SegmentError::Map(_)) => {
                if deadline.is_none_or(|deadline| Instant::now() >= deadline) {
                    return Err(Refusal::NotReady);
                }
                thread::sleep(RETRY_PAUSE);
                return Ok(false);
            }
        };
        if left.is_closed() {
            self.segment.close();
        }
        // Other participants that sleep on the old segment can advance as well.
        left.view.event(self.peers.role()).notify_all();
        self.peers.reclaim_segments(&self.segment);
        Ok(true)
    }

    /// Makes another segment the current one. Returns the one before.
    fn switch_segment(&mut self, segment: Arc<Segment>) -> Arc<Segment> {
        // SAFETY: the endpoint holds the segment, which keeps the ring mapped.
        self.view = unsafe { segment.view.of_seat(self.peers.seat()) };
        let before = mem::replace(&mut self.segment, segment);
        self.peers.entry().set_oldest_segment(self.segment.offset);
        self.peers.forget();
        before
    }

    /// Queries the kernel about the peers.
    pub(crate) fn peer(&self) -> Result<Peer, Forked> {
        self.open_ring().chain().check_process()?;
        if self.is_closed() {
            return Ok(Peer::Closed);
        }
        Ok(self.peers.query().peer)
    }

    #[inline(always)]
    pub(super) fn fences(&self) -> Fences {
        self.fences
    }

    /// The positions of a dead consumer that the caller continues with, if it adopted any. Their
    /// segment becomes the current one.
    pub(super) fn take_adopted(&mut self) -> Option<Run> {
        let Adopted { segment, run } = self.peers.take_adopted()?;
        self.switch_segment(segment);
        Some(run)
    }

    /// Wakes another sleeper of the same role.
    pub(super) fn forward_wake(&self) {
        self.view().event(self.peers.role()).notify(self.fences);
    }

    /// Counts positions that the caller left without a message, and wakes the consumers.
    #[cold]
    pub(super) fn count_tombstones(&self, tombstones: u64) {
        let status = &self.open_ring().chain().view().header().status.0;
        // Relaxed: a statistic.
        status.tombstones.fetch_add(tombstones, Relaxed);
        self.view().event(Role::Consumer).notify_all();
    }

    /// How many attempts to make before [`wait`](Self::wait), each after one pause. Without a pause
    /// an attempt takes the cache line from the peer that writes it; more pauses add latency.
    #[inline(always)]
    pub(super) fn spins(&self, deadline: Option<Instant>) -> u32 {
        match (deadline, self.open_ring().wait_strategy()) {
            (None, _) => 0,
            (_, WaitStrategy::Spin) => SPINS_PER_CLOCK_READ,
            (_, WaitStrategy::Sleep { spins, .. }) => spins.min(SPINS_PER_CLOCK_READ),
        }
    }

    /// Waits until `is_ready`, or until orphans were adopted, at most `max` positions of them.
    /// Without a deadline it checks the peers and returns at once. Returns whether it slept.
    pub(super) fn wait(
        &mut self,
        deadline: Option<Instant>,
        max: usize,
        is_ready: impl Fn(&SeatView) -> bool,
    ) -> Result<bool, Refusal> {
        let Some(deadline) = deadline else {
            let gone = self.peers.check(&self.segment, Instant::now_coarse(), max);
            return self.outcome(gone, is_ready, false);
        };
        let mut steps = WaitSteps::after_first_spins(self.open_ring().wait_strategy());
        let mut has_slept = false;
        loop {
            let now = Instant::now();
            let gone = self.peers.check(&self.segment, now, max);
            if gone.is_some() || self.peers.has_adopted() || now >= deadline {
                return self.outcome(gone, is_ready, has_slept);
            }
            let is_over = || is_ready(&self.view) || self.peers.has_new_signals(&self.segment);
            match steps.next() {
                WaitStep::Spin => {
                    for _ in 0..SPINS_PER_CLOCK_READ {
                        if is_over() {
                            break;
                        }
                        spin_loop();
                    }
                }
                WaitStep::Yield => thread::yield_now(),
                WaitStep::Sleep => {
                    let until = deadline.min(self.peers.next_check());
                    let event = self.view().event(self.peers.role());
                    event.wait(self.fences, until, is_over);
                    has_slept = true;
                }
            }
            if is_ready(&self.view) {
                return Ok(has_slept);
            }
        }
    }

    /// The result of a wait. What became ready before the peers were gone, or before the deadline,
    /// comes first.
    fn outcome(
        &self,
        gone: Option<Disconnected>,
        is_ready: impl Fn(&SeatView) -> bool,
        has_slept: bool,
    ) -> Result<bool, Refusal> {
        match gone {
            _ if self.peers.has_adopted() || is_ready(&self.view) => Ok(has_slept),
            Some(gone) => Err(gone.into()),
            None => Err(Refusal::NotReady),
        }
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.peers.leave(&self.segment);
    }
}
