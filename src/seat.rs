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

use crate::error::SystemError;
use crate::layout::{Entry, Person, View};
use crate::region::{Held, Lock, Object};
use crate::ring::roll::Roll;
use crate::ring::tenancy::Phase;
use crate::sys::process;
use crate::terms::{Peer, Role};
use core::ops::Range;

/// A lock that is held until the value is dropped or the process is dead.
#[derive(Debug)]
pub(crate) struct Hold {
    _held: Held,
    lock: Lock,
}

impl Hold {
    /// Takes a seat, unless somebody holds it.
    pub(crate) fn seat(object: &Object, seat: u32) -> Result<Option<Self>, SystemError> {
        Self::take(object, Lock::Seat(seat))
    }

    /// Takes the right to recover, unless somebody has it.
    pub(crate) fn recovery(object: &Object) -> Result<Option<Self>, SystemError> {
        Self::take(object, Lock::Recovery)
    }

    fn take(object: &Object, lock: Lock) -> Result<Option<Self>, SystemError> {
        let held = object.take(lock)?;
        Ok(held.map(|held| Self { _held: held, lock }))
    }
}

/// Says in its entry who holds a seat.
pub(crate) fn arrive(entry: &Entry, roll: &Roll, role: Role) {
    let person = Person {
        pid: process::pid(),
        start_time: process::start_time(),
        pid_namespace: process::pid_namespace(),
    };
    // First, so that nobody takes the new stay for the old one.
    roll.turn();
    entry.arrive(person, role);
}

/// Says that the holder of a seat goes in good order.
pub(crate) fn leave(entry: &Entry, roll: &Roll) {
    entry.leave();
    roll.turn();
}

/// One of the seats that is held, or `None` if certainly none is. `own` is the asker's seat, which
/// proves that the answers are about this ring: a descriptor that was closed behind the library's
/// back, and its number used again, says "free" to everything. Any doubt is life.
pub(crate) fn held(object: &Object, seats: &Range<u32>, own: Option<&Hold>) -> Option<u32> {
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
pub(crate) fn is_gone(object: &Object, view: &View, seat: u32, own: Option<&Hold>) -> bool {
    view.entry(seat).stay().phase() == Phase::Left || held(object, &(seat..seat + 1), own).is_none()
}

/// What is known of the holders of some seats.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    pub(crate) peer: Peer,
    /// Whether a lock is held whose entry says otherwise: its holder is about to leave or has just
    /// come. Either may have told everybody already.
    pub(crate) is_passing: bool,
}

/// Asks about all who hold seats of a role, or what became of the last ones.
pub(crate) fn ask(
    object: &Object,
    view: &View,
    role: Role,
    seats: &Range<u32>,
    own: Option<&Hold>,
) -> Answer {
    /// Stays that begin or end while they are asked about; peers that come and go faster than
    /// that are alive.
    const PATIENCE: u32 = 8;
    let roll = view.header().status.0.roll(role);
    for _ in 0..PATIENCE {
        let before = roll.count();
        if let Some(held) = held(object, seats, own) {
            let entry = view.entry(held);
            return Answer {
                peer: Peer::Present { pid: entry.pid() },
                is_passing: entry.stay().phase() != Phase::Active,
            };
        }
        let peer = last_of(view, seats);
        // A stay that began meanwhile has a lock that was not asked about.
        if roll.count() == before {
            return Answer {
                peer,
                is_passing: false,
            };
        }
    }
    Answer {
        peer: Peer::Present {
            pid: view.entry(seats.start).pid(),
        },
        is_passing: true,
    }
}

/// What became of those who held seats that are all free: that one died says more than that
/// others left.
fn last_of(view: &View, seats: &Range<u32>) -> Peer {
    let mut last = Peer::NeverCame;
    for seat in seats.clone() {
        let entry = view.entry(seat);
        match entry.stay().phase() {
            Phase::Active => return Peer::Died { pid: entry.pid() },
            Phase::Left => last = Peer::Left,
            Phase::NeverTaken => {}
        }
    }
    last
}
