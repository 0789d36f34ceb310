//! Threads of a model that stop for good in the middle of what they do.
//!
//! What a thread loads changes nothing for others, so to be killed at any instruction is to be
//! killed before one of its stores.

use super::checker::thread_local;
use core::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

thread_local! {
    /// How many stores the thread has left, if it is to be killed.
    static STORES_LEFT: Cell<Option<u32>> = Cell::new(None);
}

/// What unwinds a thread that is killed.
struct Killed;

/// Before each store to an atomic; a compare-and-swap counts, whether it stores or not.
pub(super) fn count_store() {
    STORES_LEFT.with(|left| match left.get() {
        None => {}
        Some(0) => resume_unwind(Box::new(Killed)),
        Some(more) => left.set(Some(more - 1)),
    });
}

/// Runs `act` until the thread would make one more store than `stores`. What comes after that is
/// not done by the thread but for it: the kernel, or whoever watches.
pub(crate) fn killed_after<T>(stores: u32, act: impl FnOnce() -> T) -> Option<T> {
    STORES_LEFT.with(|left| left.set(Some(stores)));
    let outcome = catch_unwind(AssertUnwindSafe(act));
    STORES_LEFT.with(|left| left.set(None));
    match outcome {
        Ok(done) => Some(done),
        Err(reason) if reason.is::<Killed>() => None,
        Err(reason) => resume_unwind(reason),
    }
}

/// Whether the thread lives to make its next store.
pub(crate) fn will_store() -> bool {
    STORES_LEFT.with(|left| left.get() != Some(0))
}
