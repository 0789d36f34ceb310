//! The engine of a handle: how a producer claims and publishes slots, how a consumer claims and
//! releases them, how both wait, and how they learn of peers that left or died.

mod liveness;
mod pop;
mod push;
mod wait;

pub(crate) use self::pop::PopEndpoint;
pub(crate) use self::push::PushEndpoint;
pub(crate) use self::wait::{WaitLimit, retry_until_done};

use self::liveness::PeerState;
use self::wait::{SPINS_PER_CLOCK_READ, WaitStep, WaitSteps};
use crate::error::{
    AttachError, Corrupt, Disconnected, EndpointError, Forked, Refusal, SegmentError,
};
use crate::growth::{RETRY_PAUSE, retire_and_reclaim};
use crate::layout::{Entry, SeatView, View};
use crate::open::{ClaimedSeat, OpenRing, claim_seat};
use crate::options::WaitStrategy;
use crate::properties::{Fences, Kind};
use crate::recovery::Adopted;
use crate::ring::intent::Run;
use crate::role::{Peer, Role};
use crate::seat::{self, OwnedLock};
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
    role: Role,
    peers: PeerState,
    /// Positions that a dead consumer had claimed, and that this one continues with.
    adopted: Option<Adopted>,
    seat: u32,
    lock: Option<OwnedLock>,
    // Unmapped before the object is released.
    segment: Arc<Segment>,
    open_ring: Arc<OpenRing>,
}

impl Endpoint {
    /// Claims a seat of a role.
    pub(crate) fn attach(open_ring: &Arc<OpenRing>, role: Role) -> Result<Self, AttachError> {
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
            role,
            peers: PeerState::unknown(),
            adopted,
            seat,
            lock: Some(lock),
            segment,
            open_ring: Arc::clone(open_ring),
        })
    }

    /// The words and slots of the current segment.
    #[inline(always)]
    pub(crate) fn words(&self) -> &SeatView {
        &self.view
    }

    #[inline(always)]
    pub(crate) fn view(&self) -> &View {
        self.view.view()
    }

    pub(crate) fn open_ring(&self) -> &OpenRing {
        &self.open_ring
    }

    /// Refuses a handle in a forked child, and one whose ring was found corrupt.
    #[inline(always)]
    pub(crate) fn check_usable(&self) -> Result<(), EndpointError> {
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
    pub(crate) fn poison(&mut self, corrupt: Corrupt) -> EndpointError {
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
    pub(crate) fn is_open(&self) -> bool {
        self.view().header().status.0.closing.is_open()
    }

    pub(crate) fn is_closed(&self) -> bool {
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
    pub(crate) fn advance_segment(&mut self, deadline: Option<Instant>) -> Result<bool, Refusal> {
        let left = match self.open_ring.chain().next_segment(&self.segment) {
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
        left.view.event(self.role).notify_all();
        self.reclaim_segments();
        Ok(true)
    }

    /// Makes another segment the current one. Returns the one before.
    fn switch_segment(&mut self, segment: Arc<Segment>) -> Arc<Segment> {
        // SAFETY: the endpoint holds the segment, which keeps the ring mapped.
        self.view = unsafe { segment.view.of_seat(self.seat) };
        let before = mem::replace(&mut self.segment, segment);
        self.entry().set_oldest_segment(self.segment.offset);
        self.peers = PeerState::unknown();
        before
    }

    /// The entry that records the holder of the seat, which lies in the first segment.
    fn entry(&self) -> &Entry {
        self.open_ring.chain().view().entry(self.seat)
    }

    /// Retires and reclaims segments, unless another participant holds the recovery lock.
    fn reclaim_segments(&self) {
        let chain = self.open_ring.chain();
        if let Ok(Ok(guard)) = chain.recovery_context(self.lock.as_ref()).try_lock() {
            if let Ok(segments) = chain.active_segments() {
                retire_and_reclaim(chain, &guard, &segments, self.drained_before());
            }
        }
    }

    /// The offset before which a consumer has drained every segment.
    fn drained_before(&self) -> Option<u64> {
        (self.role == Role::Consumer).then_some(self.segment.offset)
    }

    /// Queries the kernel about the peers.
    pub(crate) fn peer(&self) -> Result<Peer, Forked> {
        self.open_ring.chain().check_process()?;
        if self.is_closed() {
            return Ok(Peer::Closed);
        }
        Ok(self.peer_status().peer)
    }

    #[inline(always)]
    pub(crate) fn fences(&self) -> Fences {
        self.fences
    }

    /// The positions of a dead consumer that the caller continues with, if it adopted any. Their
    /// segment becomes the current one.
    pub(crate) fn take_adopted(&mut self) -> Option<Run> {
        let Adopted { segment, run } = self.adopted.take()?;
        self.switch_segment(segment);
        Some(run)
    }

    /// Wakes another sleeper of the same role.
    pub(crate) fn forward_wake(&self) {
        self.view().event(self.role).notify(self.fences);
    }

    /// Counts positions that the caller left without a message, and wakes the consumers.
    #[cold]
    pub(crate) fn count_tombstones(&self, tombstones: u64) {
        let status = &self.open_ring.chain().view().header().status.0;
        // Relaxed: a statistic.
        status.tombstones.fetch_add(tombstones, Relaxed);
        self.view().event(Role::Consumer).notify_all();
    }

    /// How many attempts to make before [`wait`](Self::wait), each after one pause. Without a pause
    /// an attempt takes the cache line from the peer that writes it; more pauses add latency.
    #[inline(always)]
    pub(crate) fn spins(&self, deadline: Option<Instant>) -> u32 {
        match (deadline, self.open_ring.wait_strategy()) {
            (None, _) => 0,
            (_, WaitStrategy::Spin) => SPINS_PER_CLOCK_READ,
            (_, WaitStrategy::Sleep { spins, .. }) => spins.min(SPINS_PER_CLOCK_READ),
        }
    }

    /// Waits until `is_ready`, or until orphans were adopted, at most `max` positions of them.
    /// Without a deadline it checks the peers and returns at once. Returns whether it slept.
    pub(crate) fn wait(
        &mut self,
        deadline: Option<Instant>,
        max: usize,
        is_ready: impl Fn(&SeatView) -> bool,
    ) -> Result<bool, Refusal> {
        let Some(deadline) = deadline else {
            let gone = self.check_peers(Instant::now_coarse(), max);
            return self.outcome(gone, is_ready, false);
        };
        let mut steps = WaitSteps::after_first_spins(self.open_ring.wait_strategy());
        let mut has_slept = false;
        loop {
            let now = Instant::now();
            let gone = self.check_peers(now, max);
            if gone.is_some() || self.adopted.is_some() || now >= deadline {
                return self.outcome(gone, is_ready, has_slept);
            }
            let is_over = || is_ready(&self.view) || self.has_new_signals();
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
                    let until = deadline.min(self.peers.next_check);
                    let event = self.view().event(self.role);
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
            _ if self.adopted.is_some() || is_ready(&self.view) => Ok(has_slept),
            Some(gone) => Err(gone.into()),
            None => Err(Refusal::NotReady),
        }
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        let chain = self.open_ring.chain();
        if chain.check_process().is_err() {
            return;
        }
        let is_mpmc = chain.geometry().kind == Kind::Mpmc;
        let adopted = self.adopted.as_ref();
        let segment = adopted.map_or(&self.segment, |adopted| &adopted.segment);
        let leaves_intent = is_mpmc && segment.intent(self.seat).is_some();
        let status = &chain.view().header().status.0;
        seat::announce_departure(self.entry(), status.arrivals(self.role));
        // Released before the peers are woken, since they query the lock. A peer that still finds
        // it held asks again.
        self.lock = None;
        if leaves_intent {
            // Otherwise another participant recovers at the end of its liveness interval.
            if let Ok(Ok(guard)) = chain.recovery_context(None).try_lock() {
                if let Ok(segments) = chain.active_segments() {
                    guard.recover(&segments, None);
                }
            }
        }
        self.open_ring.unlink_when_left();
        chain.wake(self.role.other());
    }
}
