//! Seat locks: which process holds a seat, and whether that process is alive.
//!
//! A seat is one byte of the ring's object under an open-file-description lock. A mapping keeps the
//! description open, so the kernel releases the lock exactly when the address space is gone. From
//! then on no thread of the process can store to the ring. A free lock therefore proves that its
//! holder is dead; a heartbeat, a pid or a time-out would only be a guess.
//!
//! In a System V segment a seat is a semaphore, which the kernel restores when the process exits,
//! after its address space is gone.
//!
//! The recovery lock is a lock of the same kind: it is never left locked.

use crate::backing::{LockGuard, LockId, Object};
use crate::error::SystemError;
use crate::layout::{Entry, ProcessIdentity, View};
use crate::ring::participants::{Arrivals, Phase};
use crate::role::{Peer, Role};
use crate::sys::process;
use core::ops::Range;

/// A lock that is held until the value is dropped or the process is dead.
#[derive(Debug)]
pub(crate) struct OwnedLock {
    _held: LockGuard,
    lock: LockId,
}

impl OwnedLock {
    /// Acquires a seat's lock; `None` if it is held. Never blocks.
    pub(crate) fn seat(object: &Object, seat: u32) -> Result<Option<Self>, SystemError> {
        Self::try_acquire(object, LockId::Seat(seat))
    }

    /// Acquires the recovery lock; `None` if it is held. Never blocks.
    pub(crate) fn recovery(object: &Object) -> Result<Option<Self>, SystemError> {
        Self::try_acquire(object, LockId::Recovery)
    }

    fn try_acquire(object: &Object, lock: LockId) -> Result<Option<Self>, SystemError> {
        let held = object.take(lock)?;
        Ok(held.map(|held| Self { _held: held, lock }))
    }
}

/// Records this process as the holder of a seat, in the seat's entry.
pub(crate) fn announce_arrival(entry: &Entry, arrivals: &Arrivals, role: Role) {
    let identity = ProcessIdentity {
        pid: process::pid(),
        start_time: process::start_time(),
        pid_namespace: process::pid_namespace(),
    };
    // First, so that no peer mistakes the new holder for the last one.
    arrivals.increment();
    entry.activate(identity, role);
}

/// Records that the holder of a seat leaves.
pub(crate) fn announce_departure(entry: &Entry, arrivals: &Arrivals) {
    entry.leave();
    arrivals.increment();
}

/// Returns a seat of the range that is held, or `None` if it is certain that none is. In doubt, a
/// seat counts as held.
///
/// `own` is the caller's seat lock, if it has one. It proves that the answers concern this ring. If
/// foreign code closed the ring's descriptor and the number was reused, every lock would look free.
pub(crate) fn find_held(
    object: &Object,
    seats: &Range<u32>,
    own: Option<&OwnedLock>,
) -> Option<u32> {
    let is_genuine = || match own {
        Some(own) => object.is_held(own.lock) == Ok(true),
        None => object.is_genuine(),
    };
    let first_held = || match object.held_seat(seats) {
        Ok(held) => held,
        Err(_) => Some(seats.start),
    };
    // The second query lies between two proofs, so its answer concerns this ring.
    for _ in 0..2 {
        if let Some(held) = first_held() {
            return Some(held);
        }
        if !is_genuine() {
            return Some(seats.start);
        }
    }
    None
}

/// Whether the last holder of a seat has left or is dead. `true` stays true while the caller holds
/// the recovery lock: without that lock no participant claims the seat.
///
/// A participant that has left stores nothing more, though its lock may stay held for a while. A
/// child that another thread spawns holds it until exec, since `posix_spawn` copies every
/// descriptor.
pub(crate) fn is_gone(object: &Object, view: &View, seat: u32, own: Option<&OwnedLock>) -> bool {
    view.entry(seat).seat_state().phase() == Phase::Left
        || find_held(object, &(seat..seat + 1), own).is_none()
}

/// The state of the participants of a role.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PeerStatus {
    pub(crate) peer: Peer,
    /// Whether a seat is held although its entry is not active: the holder is leaving or has just
    /// arrived.
    /// It may have changed its last signal already, so that only another query shows the outcome.
    pub(crate) is_transient: bool,
}

/// Queries the kernel about the holders of a role's seats. If there are none, returns how the last
/// ones ended.
pub(crate) fn query_peers(
    object: &Object,
    view: &View,
    role: Role,
    seats: &Range<u32>,
    own: Option<&OwnedLock>,
) -> PeerStatus {
    /// Queries that an arrival or a departure may invalidate. Peers that change more often count as
    /// alive.
    const MAX_RETRIES: u32 = 8;
    let arrivals = view.header().status.0.arrivals(role);
    for _ in 0..MAX_RETRIES {
        let before = arrivals.count();
        if let Some(held) = find_held(object, seats, own) {
            let entry = view.entry(held);
            return PeerStatus {
                peer: Peer::Present { pid: entry.pid() },
                is_transient: entry.seat_state().phase() != Phase::Active,
            };
        }
        let peer = last_state(view, seats);
        // The lock of a holder that arrived meanwhile was not queried.
        if arrivals.count() == before {
            return PeerStatus {
                peer,
                is_transient: false,
            };
        }
    }
    PeerStatus {
        peer: Peer::Present {
            pid: view.entry(seats.start).pid(),
        },
        is_transient: true,
    }
}

/// How the last holders of seats ended that are all free. A death takes precedence over departures.
fn last_state(view: &View, seats: &Range<u32>) -> Peer {
    let mut last = Peer::NeverCame;
    for seat in seats.clone() {
        let entry = view.entry(seat);
        match entry.seat_state().phase() {
            Phase::Active => return Peer::Died { pid: entry.pid() },
            Phase::Left => last = Peer::Left,
            Phase::NeverTaken => {}
        }
    }
    last
}
