//! The word that says whether a ring was closed.
//!
//! # Ordering
//!
//! | edge | store                      | load                         | carries                     | model |
//! |------|----------------------------|------------------------------|-----------------------------|-------|
//! | C    | the word, Release, `set`   | the word, Acquire, `is_set`  | what was pushed before      | `what_was_pushed_before_closing_is_popped` |

use crate::sync::{Acquire, AtomicU32, Release};

#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct Closed(AtomicU32);

impl Closed {
    #[cfg(any(loom, shuttle))]
    pub(crate) fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    #[inline(always)]
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Acquire) != 0 // C
    }

    pub(crate) fn set(&self) {
        self.0.store(1, Release); // C
    }
}
