//! What an endpoint knows of its peers: whether they left or died, and what they left unfinished.

use super::Endpoint;
use crate::error::Disconnected;
use crate::growth::{RETRY_PAUSE, needs_reclaim, retire_and_reclaim};
use crate::properties::Kind;
use crate::ring::closing::position;
use crate::ring::sweep::Adopter;
use crate::role::{Peer, Role};
use crate::seat::{self, PeerStatus};
use crate::segment::Segment;
use crate::sync::Acquire;
use crate::sys::clock::Instant;
use core::time::Duration;
use std::sync::Arc;

/// What the endpoint found at its last query, and when to query next.
#[derive(Debug)]
pub(super) struct PeerState {
    /// The signals before that query; `None` before the first one.
    signals: Option<PeerSignals>,
    gone: Option<Disconnected>,
    /// The time from that query to the next one if no signal changes. A death changes none.
    pause: Duration,
    pub(super) next_check: Instant,
}

impl PeerState {
    pub(super) fn unknown() -> Self {
        Self {
            signals: None,
            gone: None,
            pause: Duration::ZERO,
            next_check: Instant::now(),
        }
    }
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

impl Endpoint {
    /// Returns whether the peers are gone. Queries the kernel if a signal changed or the interval
    /// has ended. A consumer may adopt orphans meanwhile, at most `max` positions.
    pub(super) fn check_peers(&mut self, now: Instant, max: usize) -> Option<Disconnected> {
        if self.has_new_signals() || now >= self.peers.next_check {
            self.query_peers(now, max);
        }
        self.peers.gone
    }

    /// Queries whether a peer is present, and does what dead participants left to do.
    #[cold]
    fn query_peers(&mut self, now: Instant, max: usize) {
        let signals = self.signals();
        let status = self.peer_status();
        let mut gone = match status.peer {
            _ if signals.is_closed => Some(Disconnected::Closed),
            Peer::NeverCame | Peer::Present { .. } => None,
            Peer::Left => Some(Disconnected::Left),
            Peer::Died { pid } => Some(Disconnected::Died { pid }),
            Peer::Closed => Some(Disconnected::Closed),
        };
        let mut is_transient = status.is_transient;
        if self.open_ring.chain().has_grown() {
            is_transient |= !self.finish_growth();
        }
        if self.open_ring.chain().geometry().kind == Kind::Mpmc {
            is_transient |= !self.recover(max);
            if self.role == Role::Consumer && gone.is_some() {
                match self.remainder(signals.is_closed) {
                    Remainder::Nothing => {}
                    Remainder::Claimed => gone = None,
                    Remainder::Unknown => {
                        gone = None;
                        is_transient = true;
                    }
                }
            }
        }
        if self.signals().arrivals != signals.arrivals {
            // A peer arrived or left meanwhile: the next query sees it.
            gone = gone.filter(|_| signals.is_closed);
        }
        let interval = self.open_ring.chain().geometry().liveness_interval;
        let pause = if !is_transient {
            interval
        } else if self.peers.signals == Some(signals) && self.peers.pause < interval {
            // A transient state persists: a process was stopped in the middle of it.
            (self.peers.pause * 2).clamp(RETRY_PAUSE.min(interval), interval)
        } else {
            RETRY_PAUSE.min(interval)
        };
        self.peers = PeerState {
            signals: Some(signals),
            gone,
            pause,
            next_check: now.after(pause),
        };
    }

    pub(super) fn peer_status(&self) -> PeerStatus {
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
    fn finish_growth(&self) -> bool {
        let chain = self.open_ring.chain();
        if chain.is_closed() && !self.segment.is_closed() {
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
        retire_and_reclaim(chain, &guard, &segments, self.drained_before());
        true
    }

    /// Recovers what dead participants left unfinished. Returns `false` if another participant
    /// holds the recovery lock. A consumer that is refused adopts orphans.
    fn recover(&mut self, max: usize) -> bool {
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
        let is_free = self.adopted.is_none() && self.segment.intent(self.seat).is_none();
        let adopter = (self.role == Role::Consumer && is_free).then_some(Adopter {
            seat: self.seat,
            max: max as u64,
        });
        let (_, adopted) = guard.recover(&segments, adopter);
        if let Some(adopted) = &adopted {
            // Under the lock, so that no participant reclaims the segment first.
            let oldest = adopted.segment.offset.min(self.segment.offset);
            self.entry().set_oldest_segment(oldest);
        }
        drop(guard);
        self.adopted = adopted;
        true
    }

    fn remainder(&self, is_closed: bool) -> Remainder {
        let chain = self.open_ring.chain();
        let Ok(segments) = chain.active_segments() else {
            return Remainder::Unknown;
        };
        let is_empty = |segment: &Arc<Segment>| {
            let header = segment.view.header();
            let head = header.head.0.load(Acquire);
            head == position(header.tail.0.load(Acquire))
        };
        if segments.newest().offset != self.segment.offset || !segments.iter().all(is_empty) {
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

    fn signals(&self) -> PeerSignals {
        let closing = &self.view().header().status.0.closing;
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
    pub(super) fn has_new_signals(&self) -> bool {
        let now = self.signals();
        self.peers.signals.is_none_or(|before| {
            (before.is_closed, before.is_superseded, before.arrivals)
                != (now.is_closed, now.is_superseded, now.arrivals)
                || now.orphans.is_some() && now.orphans != before.orphans
        })
    }
}
