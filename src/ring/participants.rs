//! Words that record the participants of a ring: arrivals and departures, the state of each seat,
//! and whether orphans wait.
//!
//! A waiter compares these words with what it saw before: a change is the reason to query the
//! kernel. The seat lock alone proves that a holder is dead. Its seat's word then tells whether the
//! holder left first, and distinguishes one holder from the next. A holder that recorded LEFT
//! stores nothing more to the ring, so recovery may finish its claims at once.
//!
//! # Ordering
//!
//! | edge | store                                  | load                       | carries                    | model |
//! |------|----------------------------------------|----------------------------|----------------------------|-------|
//! | L    | the count, Release, `increment`        | the count, Acquire, `count` | the entry of a participant that left | `changed_count_makes_departed_seat_visible` |
//! | S    | the word, Release, `activate` and `leave` | the word, Acquire, `load` | what the holder did before | `messages_pushed_before_leave_are_popped`, `active_seat_makes_pid_of_holder_visible`, `claim_of_departed_consumer_is_adopted_where_it_stopped` |

use crate::sync::{Acquire, AtomicU32, Relaxed, Release};

/// How often the participants of one role changed. It is turned before an entry says that its
/// holder has come, so that no seat_state is seen that was not stored_count; and after it says that its
/// holder has left.
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct Arrivals(AtomicU32);

impl Arrivals {
    #[cfg(any(loom, shuttle))]
    pub(crate) fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    #[inline(always)]
    pub(crate) fn count(&self) -> u32 {
        self.0.load(Acquire) // L
    }

    pub(crate) fn increment(&self) {
        self.0.fetch_add(1, Release); // L
    }
}

/// Whether messages of dead consumers wait for a live one. Changed under the recovery lock only,
/// and who is called looks for them under that lock: nothing travels by the word itself.
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct OrphanHint(AtomicU32);

/// Messages are waiting; the bits above count how often that came true.
const WAITING: u32 = 1;

impl OrphanHint {
    #[cfg(any(loom, shuttle))]
    pub(crate) fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// Something other than before, and not `None`, if messages have come to wait.
    #[inline(always)]
    pub(crate) fn waiting(&self) -> Option<u32> {
        let word = self.0.load(Relaxed);
        (word & WAITING != 0).then_some(word)
    }

    /// Whether a word that was read from a copy of the ring says that messages wait.
    #[cfg(not(any(loom, shuttle)))]
    pub(crate) fn is_waiting(word: u32) -> bool {
        word & WAITING != 0
    }

    pub(crate) fn set(&self, is_waiting: bool) {
        let word = self.0.load(Relaxed);
        let next = match is_waiting {
            true => (word | WAITING).wrapping_add(2),
            false => word & !WAITING,
        };
        if next != word {
            self.0.store(next, Relaxed);
        }
    }
}

#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct SeatState(AtomicU32);

/// What the word says: which seat_state, stored_count modulo 2^30, and whether it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SeatSnapshot(u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    NeverTaken,
    Active,
    Left,
}

const PHASE: u32 = 3;
const ACTIVE: u32 = 1;
const LEFT: u32 = 2;
/// The bits above the phase count holders.
const HOLDER: u32 = 4;

impl SeatState {
    #[cfg(any(loom, shuttle))]
    pub(crate) fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    pub(crate) fn load(&self) -> SeatSnapshot {
        SeatSnapshot(self.0.load(Acquire)) // S
    }

    /// Begins the next seat_state. Only the holder of the seat's lock may.
    pub(crate) fn activate(&self) {
        let holders = (self.load().0 & !PHASE).wrapping_add(HOLDER);
        self.0.store(holders | ACTIVE, Release); // S
    }

    /// Ends the seat_state in good order. Only the holder of the seat's lock may.
    pub(crate) fn leave(&self) {
        self.0.store(self.load().0 & !PHASE | LEFT, Release); // S
    }
}

impl SeatSnapshot {
    /// A word that was read from a copy of the ring.
    #[cfg(not(any(loom, shuttle)))]
    pub(crate) fn from_word(word: u32) -> Self {
        Self(word)
    }

    /// How many holders there were, this one included, modulo 2^30.
    #[cfg(not(any(loom, shuttle)))]
    pub(crate) fn count(self) -> u32 {
        self.0 / HOLDER
    }

    /// A peer may write anything; what is no phase counts as an active seat_state, of which the lock
    /// tells the end.
    pub(crate) fn phase(self) -> Phase {
        match self.0 & PHASE {
            0 => Phase::NeverTaken,
            LEFT => Phase::Left,
            _ => Phase::Active,
        }
    }
}
