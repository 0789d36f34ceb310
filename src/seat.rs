//! Who holds an end of a ring, and whether it is alive.
//!
//! A seat is one byte of the ring's object under an open-file-description lock that a mapping
//! holds. The mapping pins the description, so the kernel lets the lock go exactly when the
//! address space is gone, and by then no thread of it can store into the ring any more. A
//! free lock is proof of death; a heartbeat, a pid or a time-out would only be a guess.

use crate::error::SystemError;
use crate::layout::{Entry, PAGE, Person, SEATS_AT};
use crate::region::{Mapping, Object, system};
use crate::ring::tenancy::Phase;
use crate::sys::{fork, lock, process};
use crate::terms::{Peer, Role};
use nix::sys::mman::{MapFlags, ProtFlags};

/// A held seat. Dropping it frees the seat; so does death.
#[derive(Debug)]
pub(crate) struct Seat {
    _lock: Mapping,
    index: u32,
}

impl Seat {
    /// Takes the seat, unless somebody holds it.
    pub(crate) fn take(object: &Object, index: u32) -> Result<Option<Self>, SystemError> {
        fork::without_forks(|| {
            let description = object.reopen()?;
            let mapping = Mapping::new(
                &description,
                PAGE as usize,
                ProtFlags::PROT_NONE,
                MapFlags::empty(),
            )?;
            mapping.keep_out_of_dumps()?;
            let taken = lock::try_lock(&description, byte(index))
                .map_err(|refused| system("fcntl", refused))?;
            Ok(taken.then_some(Self {
                _lock: mapping,
                index,
            }))
        })
    }
}

fn byte(index: u32) -> i64 {
    SEATS_AT + i64::from(index)
}

/// Says in its entry who holds a seat.
pub(crate) fn arrive(entry: &Entry, role: Role) {
    let person = Person {
        pid: process::pid(),
        start_time: process::start_time(),
        pid_namespace: process::pid_namespace(),
    };
    entry.arrive(person, role);
}

/// Whether the holder of a seat is certainly gone. `own` is the asker's seat, which proves that the answers are about this ring: a descriptor that was closed behind the
/// library's back, and its number used again, says "free" to everything. Any doubt is life.
fn is_free(object: &Object, index: u32, own: Option<&Seat>) -> bool {
    let is_held = |index| lock::is_locked(object, byte(index)).unwrap_or(true);
    let is_genuine =
        || own.is_some_and(|own| matches!(lock::is_locked(object, byte(own.index)), Ok(true)));
    !is_held(index) && is_genuine() && !is_held(index) && is_genuine()
}

/// Who holds a seat, or what became of its last holder.
pub(crate) fn ask(object: &Object, entry: &Entry, index: u32, own: Option<&Seat>) -> Peer {
    /// Stays that begin and end while their predecessor is asked about; a peer that changes
    /// its entry faster than that is alive.
    const PATIENCE: u32 = 8;
    for _ in 0..PATIENCE {
        let before = entry.stay();
        if !is_free(object, index, own) {
            break;
        }
        let after = entry.stay();
        // A stay that began meanwhile has a lock that was not asked about.
        if after.is_of(before) {
            return match after.phase() {
                Phase::NeverTaken => Peer::NeverCame,
                Phase::Left => Peer::Left,
                Phase::Active => Peer::Died { pid: entry.pid() },
            };
        }
    }
    Peer::Present { pid: entry.pid() }
}
