//! The atomics and payload bytes that all other modules use: those of `core` in a build, those of
//! loom or shuttle in a model.
//!
//! Payload bytes are included because loom runs one thread at a time. A plain write is visible at
//! once, so a model with untracked payloads passes with any orderings.

#[cfg(not(any(loom, shuttle)))]
pub(crate) use core::sync::atomic::{AtomicU32, AtomicU64, compiler_fence, fence};

#[cfg(any(loom, shuttle))]
pub(crate) use self::modelled::{AtomicU32, AtomicU64, fence};

pub(crate) use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};

#[cfg_attr(loom, path = "loom_bytes.rs")]
mod bytes;
#[cfg(any(loom, shuttle))]
mod modelled;

pub(crate) use self::bytes::Bytes;
#[cfg(all(test, loom))]
pub(crate) use self::bytes::Cell;

#[cfg(any(loom, shuttle))]
pub(crate) mod kill;
#[cfg(all(test, any(loom, shuttle)))]
pub(crate) mod model;

/// Counts how often a thread accesses a slot or an intent. Every loop over shared bytes does
/// either. So a fuzzer, which builds with its own `cfg`, can bound an operation without a clock.
#[cfg(fuzzing)]
pub mod steps {
    use core::cell::Cell;

    thread_local! {
        static TAKEN: Cell<u64> = const { Cell::new(0) };
    }

    pub(crate) fn take() {
        TAKEN.set(TAKEN.get() + 1);
    }

    /// The steps of the calling thread so far.
    pub fn taken() -> u64 {
        TAKEN.get()
    }
}

/// The threads, locks and atomics of the checker. With `native`, on top of shuttle's cfg, they are
/// those of `std`, for Miri and the sanitizers, which check one schedule.
#[cfg(any(loom, shuttle))]
pub(crate) mod checker {
    #[cfg(loom)]
    pub(crate) use loom::{sync, thread, thread_local};
    #[cfg(all(shuttle, not(native)))]
    pub(crate) use shuttle::{sync, thread, thread_local};
    #[cfg(native)]
    pub(crate) use std::{sync, thread, thread_local};
}
