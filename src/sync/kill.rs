//! Threads of a model that are killed in the middle of an operation.
//!
//! A load changes nothing for other threads. So killing a thread at any instruction is the same as
//! killing it before one of its stores.

use super::checker::thread_local;
use core::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

thread_local! {
    /// How many stores the thread may still make, if it is to be killed.
    static STORES_LEFT: Cell<Option<u32>> = Cell::new(None);
}

/// The panic payload that unwinds a killed thread.
struct Killed;

/// Called before each store to an atomic. A compare-and-swap counts, whether it stores or not.
pub(super) fn count_store() {
    STORES_LEFT.with(|left| match left.get() {
        None => {}
        Some(0) => resume_unwind(Box::new(Killed)),
        Some(more) => left.set(Some(more - 1)),
    });
}

/// Runs `act`, and kills it before it makes more than `stores` stores. The caller then continues as
/// the kernel or the observer, in place of the killed thread.
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
