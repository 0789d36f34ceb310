//! Who holds the seats of a ring, and whether they are alive.
//!
//! A seat is one byte of the ring's object under an open-file-description lock that a mapping
//! holds. The mapping pins the description, so the kernel lets the lock go exactly when the
//! address space is gone, and by then no thread of it can store into the ring any more. A
//! free lock is proof of death; a heartbeat, a pid or a time-out would only be a guess. Of a System V
//! segment it is a semaphore that the kernel sets back when the process ends, after its address
//! space is gone.
//!
//! The right to recover is such a lock too: it is never left behind.

use crate::backing::{LockGuard, LockId, Object};
use crate::error::SystemError;
use crate::layout::{Entry, ProcessIdentity, View};
use crate::ring::participants::Arrivals;
use crate::ring::participants::Phase;
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
    /// Takes a seat, unless somebody holds it.
    pub(crate) fn seat(object: &Object, seat: u32) -> Result<Option<Self>, SystemError> {
        Self::take(object, LockId::Seat(seat))
    }

    /// Takes the right to recover, unless somebody has it.
    pub(crate) fn recovery(object: &Object) -> Result<Option<Self>, SystemError> {
        Self::take(object, LockId::Recovery)
    }

    fn take(object: &Object, lock: LockId) -> Result<Option<Self>, SystemError> {
        let held = object.take(lock)?;
        Ok(held.map(|held| Self { _held: held, lock }))
    }
}

/// Says in its entry who holds a seat.
pub(crate) fn announce_arrival(entry: &Entry, arrivals: &Arrivals, role: Role) {
    let identity = ProcessIdentity {
        pid: process::pid(),
        start_time: process::start_time(),
        pid_namespace: process::pid_namespace(),
    };
    // First, so that nobody takes the new seat_state for the old one.
    arrivals.increment();
    entry.activate(identity, role);
}

/// Says that the holder of a seat goes in good order.
pub(crate) fn announce_departure(entry: &Entry, arrivals: &Arrivals) {
    entry.leave();
    arrivals.increment();
}

/// One of the seats that is held, or `None` if certainly none is. `own` is the asker's seat, which
/// proves that the answers are about this ring: a descriptor that was closed behind the library's
/// back, and its number used again, says "free" to everything. Any doubt is life.
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
        Ok(found) => found,
        Err(_) => Some(seats.start),
    };
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

/// Whether who held a seat has left it or is dead, for who has the right to recover: nobody takes a seat
/// without that. Who has left does nothing more, though its lock may be held for a while: by a child that another
/// thread is just spawning, as `posix_spawn` copies every descriptor until its exec.
pub(crate) fn is_gone(object: &Object, view: &View, seat: u32, own: Option<&OwnedLock>) -> bool {
    view.entry(seat).seat_state().phase() == Phase::Left
        || find_held(object, &(seat..seat + 1), own).is_none()
}

/// What is known of the holders of some seats.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PeerStatus {
    pub(crate) peer: Peer,
    /// Whether a lock is held whose entry says otherwise: its holder is about to leave or has just
    /// come. Either may have told everybody already.
    pub(crate) is_transient: bool,
}

/// Asks about all who hold seats of a role, or what became of the last ones.
pub(crate) fn query_peers(
    object: &Object,
    view: &View,
    role: Role,
    seats: &Range<u32>,
    own: Option<&OwnedLock>,
) -> PeerStatus {
    /// Stays that begin or end while they are asked about; peers that come and go faster than
    /// that are alive.
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
        // A seat_state that began meanwhile has a lock that was not asked about.
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

/// What became of those who held seats that are all free: that one died says more than that
/// others left.
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
