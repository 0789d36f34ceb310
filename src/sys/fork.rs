//! Forked children: how a handle detects that it is in one, and how other threads are kept from
//! forking while the description of a lock could be copied.

#![allow(unsafe_code)]

use crate::sync::{AtomicU32, Relaxed};
use core::cell::UnsafeCell;
use nix::libc;
use std::sync::Once;

/// Incremented in every forked child.
static GENERATION: AtomicU32 = AtomicU32::new(0);

/// A process in a line of forks, by the number of forks before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Generation(u32);

impl Generation {
    /// No process.
    pub(crate) const NONE: Self = Self(u32::MAX);

    #[inline(always)]
    pub(crate) fn current() -> Self {
        // Relaxed: it changes only in a new child, which has a single thread.
        Self(GENERATION.load(Relaxed))
    }

    /// Whether this process is a forked child of the one that took the generation.
    #[inline(always)]
    pub(crate) fn is_past(self) -> bool {
        self != Self::current()
    }
}

/// Runs `body` while no thread of the process can `fork(3)`.
///
/// The copies that `posix_spawn` makes are closed at its exec. A direct call of `clone(2)` is not
/// prevented.
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

/// Installs the fork handlers once. Called before any ring is opened.
pub(crate) fn install_handlers() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        // SAFETY: the three functions live as long as the process. They access only a mutex and an
        // atomic, which is allowed in a forked child.
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

/// A pthread mutex, because the forked child of the thread that locked it may unlock it.
struct ForkLock(UnsafeCell<libc::pthread_mutex_t>);

// SAFETY: only pthread_mutex_lock and _unlock access the mutex, which are thread-safe.
unsafe impl Sync for ForkLock {}

static FORK_LOCK: ForkLock = ForkLock(UnsafeCell::new(libc::PTHREAD_MUTEX_INITIALIZER));

fn lock() {
    // SAFETY: the mutex is static, initialised and never destroyed, and no thread locks it twice.
    unsafe { libc::pthread_mutex_lock(FORK_LOCK.0.get()) };
}

fn unlock() {
    // SAFETY: only the thread that holds the mutex, or its forked child, calls this function.
    unsafe { libc::pthread_mutex_unlock(FORK_LOCK.0.get()) };
}
