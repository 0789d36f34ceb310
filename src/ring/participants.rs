//! Words that record the participants of a ring: arrivals and departures, the state of each seat,
//! and whether orphans wait.
//!
//! A waiter compares these words with what it saw before: a change is the reason to query the
//! kernel. The seat lock alone proves that a holder is dead. The word of its seat then records
//! whether the holder left first, and distinguishes one holder from the next. A holder that
//! recorded LEFT stores nothing more to the ring, so recovery may finish its claims at once.
//!
//! # Ordering
//!
//! | edge | store                                  | load                       | carries                    | model |
//! |------|----------------------------------------|----------------------------|----------------------------|-------|
//! | L    | the count, Release, `increment`        | the count, Acquire, `count` | the entry of a participant that left | `changed_count_makes_departed_seat_visible` |
//! | S    | the word, Release, `activate` and `leave` | the word, Acquire, `load` | what the holder did before | `messages_pushed_before_leave_are_popped`, `active_seat_makes_pid_of_holder_visible`, `claim_of_departed_consumer_is_adopted_where_it_stopped` |

use crate::sync::{Acquire, AtomicU32, Relaxed, Release};

/// The number of arrivals and departures of one role.
///
/// It is incremented before a holder's entry becomes active: an observer that sees the entry active
/// also sees the count. It is incremented after an entry records that its holder left.
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

/// Whether messages of dead consumers wait for a live one.
///
/// It is stored only under the recovery lock. A consumer that sees the hint takes that lock before
/// it adopts messages. So the word itself carries nothing, and its accesses are relaxed.
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct OrphanHint(AtomicU32);

/// Set while messages wait. The bits above count how often it was set.
const WAITING: u32 = 1;

impl OrphanHint {
    #[cfg(any(loom, shuttle))]
    pub(crate) fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// `None` if no messages wait; otherwise a value that differs each time the hint is set.
    #[inline(always)]
    pub(crate) fn waiting(&self) -> Option<u32> {
        let word = self.0.load(Relaxed);
        (word & WAITING != 0).then_some(word)
    }

    /// Whether a word from a copy of the header records that messages wait.
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

/// Whether a seat is held, and how many holders it has had.
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct SeatState(AtomicU32);

/// One value of a [`SeatState`]: the phase, and the number of holders modulo 2^30.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SeatSnapshot(u32);

/// The phase of a seat, as its holders recorded it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The seat has had no holder.
    NeverTaken,
    /// The last holder did not record that it left. It may be dead.
    Active,
    /// The last holder left in good order.
    Left,
}

const PHASE: u32 = 3;
const ACTIVE: u32 = 1;
const LEFT: u32 = 2;
/// One holder, in the bits above the phase.
const HOLDER: u32 = 4;

impl SeatState {
    #[cfg(any(loom, shuttle))]
    pub(crate) fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    pub(crate) fn load(&self) -> SeatSnapshot {
        SeatSnapshot(self.0.load(Acquire)) // S
    }

    /// Records a new holder. Only the holder of the seat lock may call it.
    pub(crate) fn activate(&self) {
        let holders = (self.load().0 & !PHASE).wrapping_add(HOLDER);
        self.0.store(holders | ACTIVE, Release); // S
    }

    /// Records that the holder left in good order. Only the holder of the seat lock may call it.
    pub(crate) fn leave(&self) {
        self.0.store(self.load().0 & !PHASE | LEFT, Release); // S
    }
}

impl SeatSnapshot {
    /// A word from a copy of the header.
    #[cfg(not(any(loom, shuttle)))]
    pub(crate) fn from_word(word: u32) -> Self {
        Self(word)
    }

    /// The number of holders so far, this one included, modulo 2^30.
    #[cfg(not(any(loom, shuttle)))]
    pub(crate) fn count(self) -> u32 {
        self.0 / HOLDER
    }

    /// The phase. A hostile peer may store any value. An invalid phase counts as active: the seat
    /// lock then proves when the holder is dead.
    pub(crate) fn phase(self) -> Phase {
        match self.0 & PHASE {
            0 => Phase::NeverTaken,
            LEFT => Phase::Left,
            _ => Phase::Active,
        }
    }
}
