//! What an endpoint knows of its peers: whether they left or died, and what they left unfinished.

use crate::error::Disconnected;
use crate::growth::{RETRY_PAUSE, needs_reclaim, retire_and_reclaim};
use crate::layout::Entry;
use crate::open::OpenRing;
use crate::properties::Kind;
use crate::recovery::Adopted;
use crate::ring::closing::position;
use crate::ring::sweep::Adopter;
use crate::role::{Peer, Role};
use crate::seat::{self, OwnedLock, PeerStatus};
use crate::segment::Segment;
use crate::sync::Acquire;
use crate::sys::clock::Instant;
use core::time::Duration;
use std::sync::Arc;

/// The peers of an endpoint: what it found at its last query, and when it queries next. It also
/// holds the endpoint's own seat, by which the peers recognise it.
#[derive(Debug)]
pub(super) struct Peers {
    role: Role,
    seat: u32,
    lock: Option<OwnedLock>,
    /// Positions that a dead consumer had claimed, and that this one continues with.
    adopted: Option<Adopted>,
    /// The signals before the last query; `None` before the first one.
    signals: Option<PeerSignals>,
    gone: Option<Disconnected>,
    /// The time from that query to the next one if no signal changes. A death changes none.
    pause: Duration,
    next_check: Instant,
    open_ring: Arc<OpenRing>,
}

/// The words of the ring that change when there is a reason to query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct PeerSignals {
    is_closed: bool,
    is_superseded: bool,
    /// Arrivals and departures of peers.
    arrivals: u32,
    /// Changes when orphans begin to wait.
    orphans: Option<u32>,
}

/// What a consumer may still receive from a ring that is empty and has no producer, or is closed.
enum Remainder {
    Nothing,
    /// A message that another consumer has claimed: it is redelivered if that consumer dies.
    Claimed,
    /// Unclaimed positions, perhaps behind one that is not published; or a recovery is in progress.
    Unknown,
}

impl Peers {
    pub(super) fn new(
        open_ring: Arc<OpenRing>,
        role: Role,
        seat: u32,
        lock: OwnedLock,
        adopted: Option<Adopted>,
    ) -> Self {
        Self {
            role,
            seat,
            lock: Some(lock),
            adopted,
            signals: None,
            gone: None,
            pause: Duration::ZERO,
            next_check: Instant::now(),
            open_ring,
        }
    }

    /// Forgets what was found, in a segment that is left.
    pub(super) fn forget(&mut self) {
        self.signals = None;
        self.gone = None;
        self.pause = Duration::ZERO;
        self.next_check = Instant::now();
    }

    pub(super) fn open_ring(&self) -> &OpenRing {
        &self.open_ring
    }

    pub(super) fn role(&self) -> Role {
        self.role
    }

    pub(super) fn seat(&self) -> u32 {
        self.seat
    }

    pub(super) fn next_check(&self) -> Instant {
        self.next_check
    }

    pub(super) fn has_adopted(&self) -> bool {
        self.adopted.is_some()
    }

    pub(super) fn take_adopted(&mut self) -> Option<Adopted> {
        self.adopted.take()
    }

    /// The entry that records the holder of the seat, which lies in the first segment.
    pub(super) fn entry(&self) -> &Entry {
        self.open_ring.chain().view().entry(self.seat)
    }

    /// Returns whether the peers are gone. Queries the kernel if a signal changed or the interval
    /// has ended. A consumer may adopt orphans meanwhile, at most `max` positions.
    pub(super) fn check(
        &mut self,
        segment: &Segment,
        now: Instant,
        max: usize,
    ) -> Option<Disconnected> {
        if self.has_new_signals(segment) || now >= self.next_check {
            self.check_now(segment, now, max);
        }
        self.gone
    }

    /// Queries whether a peer is present, and does what dead participants left to do.
    #[cold]
    fn check_now(&mut self, segment: &Segment, now: Instant, max: usize) {
        let signals = self.signals_of(segment);
        let status = self.query();
        let mut gone = match status.peer {
            _ if signals.is_closed => Some(Disconnected::Closed),
            Peer::NeverCame | Peer::Present { .. } => None,
            Peer::Left => Some(Disconnected::Left),
            Peer::Died { pid } => Some(Disconnected::Died { pid }),
            Peer::Closed => Some(Disconnected::Closed),
        };
        let mut is_transient = status.is_transient;
        if self.open_ring.chain().has_grown() {
            is_transient |= !self.finish_growth(segment);
        }
        if self.open_ring.chain().geometry().kind == Kind::Mpmc {
            is_transient |= !self.recover(segment, max);
            if self.role == Role::Consumer && gone.is_some() {
                match self.remainder(segment, signals.is_closed) {
                    Remainder::Nothing => {}
                    Remainder::Claimed => gone = None,
                    Remainder::Unknown => {
                        gone = None;
                        is_transient = true;
                    }
                }
            }
        }
        if self.signals_of(segment).arrivals != signals.arrivals {
            // A peer arrived or left meanwhile: the next query sees it.
            gone = gone.filter(|_| signals.is_closed);
        }
        let interval = self.open_ring.chain().geometry().liveness_interval;
        let pause = if !is_transient {
            interval
        } else if self.signals == Some(signals) && self.pause < interval {
            // A transient state persists: a process was stopped in the middle of it.
            (self.pause * 2).clamp(RETRY_PAUSE.min(interval), interval)
        } else {
            RETRY_PAUSE.min(interval)
        };
        self.signals = Some(signals);
        self.gone = gone;
        self.pause = pause;
        self.next_check = now.after(pause);
    }

    /// Queries the kernel whether a peer is present.
    pub(super) fn query(&self) -> PeerStatus {
        let chain = self.open_ring.chain();
        let role = self.role.other();
        seat::query_peers(
            chain.object(),
            chain.view(),
            role,
            &chain.geometry().seats(role),
            self.lock.as_ref(),
        )
    }

    /// Finishes a close, an append or a retirement that another process began. Returns `false` if
    /// another participant holds the recovery lock.
    fn finish_growth(&self, segment: &Segment) -> bool {
        let chain = self.open_ring.chain();
        if chain.is_closed() && !segment.is_closed() {
            chain.close();
        }
        let Ok(segments) = chain.active_segments() else {
            return false;
        };
        if !needs_reclaim(chain, &segments) {
            return true;
        }
        let Ok(Ok(guard)) = chain.recovery_context(self.lock.as_ref()).try_lock() else {
            return false;
        };
        let Ok(segments) = chain.active_segments() else {
            return false;
        };
        segments.finish_handovers();
        retire_and_reclaim(chain, &guard, &segments, self.drained_before(segment));
        true
    }

    /// Recovers what dead participants left unfinished. Returns `false` if another participant
    /// holds the recovery lock. A consumer that is refused adopts orphans.
    fn recover(&mut self, segment: &Segment, max: usize) -> bool {
        let chain = self.open_ring.chain();
        let context = chain.recovery_context(self.lock.as_ref());
        let Ok(segments) = chain.active_segments() else {
            return false;
        };
        if !context.is_recovery_needed(&segments) {
            return true;
        }
        // An error of the kernel may be temporary: descriptors may be exhausted.
        let Ok(Ok(guard)) = context.try_lock() else {
            return false;
        };
        let Ok(segments) = chain.active_segments() else {
            return false;
        };
        // A consumer has one intent. To set another one would lose the claim that it records.
        let is_free = self.adopted.is_none() && segment.intent(self.seat).is_none();
        let adopter = (self.role == Role::Consumer && is_free).then_some(Adopter {
            seat: self.seat,
            max: max as u64,
        });
        let (_, adopted) = guard.recover(&segments, adopter);
        if let Some(adopted) = &adopted {
            // Under the lock, so that no participant reclaims the segment first.
            let oldest = adopted.segment.offset.min(segment.offset);
            self.entry().set_oldest_segment(oldest);
        }
        drop(guard);
        self.adopted = adopted;
        true
    }

    fn remainder(&self, segment: &Segment, is_closed: bool) -> Remainder {
        let chain = self.open_ring.chain();
        let Ok(segments) = chain.active_segments() else {
            return Remainder::Unknown;
        };
        let is_empty = |segment: &Arc<Segment>| {
            let header = segment.view.header();
            let head = header.head.0.load(Acquire);
            head == position(header.tail.0.load(Acquire))
        };
        if segments.newest().offset != segment.offset || !segments.iter().all(is_empty) {
            return Remainder::Unknown;
        }
        if is_closed {
            return Remainder::Nothing;
        }
        // The consumer that claimed the last message set its intent before, so the intent is set.
        // An adoption moves a claim from one intent to another, and a reader of one intent after
        // the other could miss both: hence the lock.
        let context = chain.recovery_context(self.lock.as_ref());
        match context.try_lock() {
            Ok(Ok(guard)) if guard.has_claimed_messages(&segments) => Remainder::Claimed,
            Ok(Ok(_)) => Remainder::Nothing,
            _ => Remainder::Unknown,
        }
    }

    fn signals_of(&self, segment: &Segment) -> PeerSignals {
        let closing = &segment.view.header().status.0.closing;
        let status = &self.open_ring.chain().view().header().status.0;
        PeerSignals {
            is_closed: closing.is_closed(),
            is_superseded: closing.is_superseded(),
            arrivals: status.arrivals(self.role.other()).count(),
            orphans: match self.role {
                Role::Producer => None,
                Role::Consumer => status.orphans.waiting(),
            },
        }
    }

    /// Whether a signal changed since the last query.
    pub(super) fn has_new_signals(&self, segment: &Segment) -> bool {
        let now = self.signals_of(segment);
        self.signals.is_none_or(|before| {
            (before.is_closed, before.is_superseded, before.arrivals)
                != (now.is_closed, now.is_superseded, now.arrivals)
                || now.orphans.is_some() && now.orphans != before.orphans
        })
    }

    /// Retires and reclaims segments, unless another participant holds the recovery lock.
    pub(super) fn reclaim_segments(&self, segment: &Segment) {
        let chain = self.open_ring.chain();
        if let Ok(Ok(guard)) = chain.recovery_context(self.lock.as_ref()).try_lock() {
            if let Ok(segments) = chain.active_segments() {
                retire_and_reclaim(chain, &guard, &segments, self.drained_before(segment));
            }
        }
    }

    /// The offset before which a consumer has drained every segment.
    fn drained_before(&self, segment: &Segment) -> Option<u64> {
        (self.role == Role::Consumer).then_some(segment.offset)
    }

    /// Releases the seat, recovers what this endpoint leaves claimed, and wakes the peers.
    pub(super) fn leave(&mut self, segment: &Segment) {
        let chain = self.open_ring.chain();
        if chain.check_process().is_err() {
            return;
        }
        let is_mpmc = chain.geometry().kind == Kind::Mpmc;
        let adopted = self.adopted.as_ref();
        let segment = adopted.map_or(segment, |adopted| &*adopted.segment);
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
