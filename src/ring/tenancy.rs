//! The word in which the holder of a seat says of its stay. Proof of its death is elsewhere;
//! the word tells what its end was, and one stay from the next. Who says that it has left stores
//! nothing more to the ring, so what it left behind can be finished at once.
//!
//! # Ordering
//!
//! | edge | store                              | load                 | carries                    | model |
//! |------|------------------------------------|----------------------|----------------------------|-------|
//! | S    | the word, Release, `begin` and `end` | the word, Acquire, `stay` | what the holder did before | `what_was_pushed_before_leaving_is_popped`, `who_sees_a_stay_sees_what_its_holder_wrote_before`, `what_who_has_left_held_is_adopted_as_it_left_it` |

use crate::sync::{Acquire, AtomicU32, Release};

#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct Tenancy(AtomicU32);

/// What the word says: which stay, counted modulo 2^30, and whether it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stay(u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    NeverTaken,
    Active,
    Left,
}

const PHASE: u32 = 3;
const ACTIVE: u32 = 1;
const LEFT: u32 = 2;
/// The bits above the phase count stays.
const STAY: u32 = 4;

impl Tenancy {
    #[cfg(any(loom, shuttle))]
    pub(crate) fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    pub(crate) fn stay(&self) -> Stay {
        Stay(self.0.load(Acquire)) // S
    }

    /// Begins the next stay. Only the holder of the seat's lock may.
    pub(crate) fn begin(&self) {
        let stays = (self.stay().0 & !PHASE).wrapping_add(STAY);
        self.0.store(stays | ACTIVE, Release); // S
    }

    /// Ends the stay in good order. Only the holder of the seat's lock may.
    pub(crate) fn end(&self) {
        self.0.store(self.stay().0 & !PHASE | LEFT, Release); // S
    }
}

impl Stay {
    /// A word that was read from a copy of the ring.
    #[cfg(not(any(loom, shuttle)))]
    pub(crate) fn from_word(word: u32) -> Self {
        Self(word)
    }

    /// How many stays there were, this one included, modulo 2^30.
    #[cfg(not(any(loom, shuttle)))]
    pub(crate) fn count(self) -> u32 {
        self.0 / STAY
    }

    /// A peer may write anything; what is no phase counts as an active stay, of which the lock
    /// tells the end.
    pub(crate) fn phase(self) -> Phase {
        match self.0 & PHASE {
            0 => Phase::NeverTaken,
            LEFT => Phase::Left,
            _ => Phase::Active,
        }
    }
}
