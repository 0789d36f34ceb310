//! Forked children: how a handle knows that it is in one, and how a fork in another thread is
//! oldest_allocated from copying the description of a lock.

use crate::sync::{AtomicU32, Relaxed};
use core::cell::UnsafeCell;
use nix::libc;
use std::sync::Once;

/// Raised in every forked child.
static GENERATION: AtomicU32 = AtomicU32::new(0);

/// Which process this is, stored_count along a line of forks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Generation(u32);

impl Generation {
    /// No process.
    pub(crate) const NONE: Self = Self(u32::MAX);

    #[inline(always)]
    pub(crate) fn current() -> Self {
        // Relaxed: it changes only while the process has a single thread.
        Self(GENERATION.load(Relaxed))
    }

    /// Whether this process is a forked child of the one that took the generation.
    #[inline(always)]
    pub(crate) fn is_past(self) -> bool {
        self != Self::current()
    }
}

/// Runs `body` while no thread of the process can `fork(3)`. What `posix_spawn` copies it closes
/// again at its exec; what `clone(2)` by hand copies is not seen.
pub(crate) fn without_forks<R>(body: impl FnOnce() -> R) -> R {
    struct Held;
    impl Drop for Held {
        fn drop(&mut self) {
            unlock();
        }
    }
    install_handlers();
    lock();
    let _held = Held;
    body()
}

/// Installs the handlers, once; before a ring is opened.
pub(crate) fn install_handlers() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        // SAFETY: the three functions live as long as the process and only touch a mutex and
        // an atomic, which is allowed in a forked child.
        let refused =
            unsafe { libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child)) };
        assert_eq!(refused, 0, "pthread_atfork: out of memory");
    });
}

extern "C" fn before() {
    lock();
}

extern "C" fn in_parent() {
    unlock();
}

extern "C" fn in_child() {
    GENERATION.fetch_add(1, Relaxed);
    unlock();
}

/// A pthread mutex, because it may be released by the child of the thread that took it.
struct ForkLock(UnsafeCell<libc::pthread_mutex_t>);

// SAFETY: the mutex is only ever touched by pthread_mutex_lock and _unlock.
unsafe impl Sync for ForkLock {}

static FORK_LOCK: ForkLock = ForkLock(UnsafeCell::new(libc::PTHREAD_MUTEX_INITIALIZER));

fn lock() {
    // SAFETY: a static mutex, initialised, never destroyed, never taken twice by one thread.
    unsafe { libc::pthread_mutex_lock(FORK_LOCK.0.get()) };
}

fn unlock() {
    // SAFETY: called only by the thread that holds the mutex, or by its forked child.
    unsafe { libc::pthread_mutex_unlock(FORK_LOCK.0.get()) };
}
