//! The one door to shared atomics and payload bytes: `core` in a build, loom or shuttle in a model.
//!
//! Payload bytes pass through here as well, because loom runs one thread at a time: a plain
//! write is visible to it at once, and a model with untracked payloads passes whatever the
//! orderings say.

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

/// How often this thread has looked at a slot or at an intent. Every loop over shared bytes does either, so
/// a fuzzer, which builds with its own `cfg`, can bound what an operation takes without a clock.
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

/// Whose threads, locks and atomics the models have. With `native`, on top of shuttle's cfg, they
/// are the machine's own: for Miri and the sanitizers, which check what one schedule does.
#[cfg(any(loom, shuttle))]
pub(crate) mod checker {
    #[cfg(loom)]
    pub(crate) use loom::{sync, thread, thread_local};
    #[cfg(all(shuttle, not(native)))]
    pub(crate) use shuttle::{sync, thread, thread_local};
    #[cfg(native)]
    pub(crate) use std::{sync, thread, thread_local};
}
