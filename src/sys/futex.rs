//! A 32-bit word that threads of any process can sleep on.

pub(crate) use self::imp::Futex;

/// As many sleepers as there are.
pub(crate) const ALL: u32 = i32::MAX as u32;

#[cfg(not(any(loom, shuttle)))]
mod imp {
    use crate::sync::AtomicU32;
    use crate::sys::clock::Instant;
    use core::ptr;
    use nix::libc;

    /// The word, and the kernel's queue behind its address. Shared between processes, so the
    /// calls are not `PRIVATE`.
    #[derive(Debug)]
    #[repr(transparent)]
    pub(crate) struct Futex(AtomicU32);

    impl Futex {
        #[inline(always)]
        pub(crate) fn word(&self) -> &AtomicU32 {
            &self.0
        }

        /// Sleeps while the word holds `expected`, at most until `deadline`. It may return
        /// early for any reason (a signal, a changed word): the caller looks again.
        pub(crate) fn wait(&self, expected: u32, deadline: Instant) {
            let until = deadline.to_timespec();
            // SAFETY: FUTEX_WAIT_BITSET reads an aligned 32-bit word that `self` keeps mapped
            // and a timespec that lives here, and writes neither.
            unsafe {
                libc::syscall(
                    libc::SYS_futex,
                    self.0.as_ptr(),
                    libc::FUTEX_WAIT_BITSET,
                    expected,
                    &raw const until,
                    ptr::null::<u32>(),
                    libc::FUTEX_BITSET_MATCH_ANY,
                )
            };
        }

        /// Wakes up to `sleepers` and tells how many it woke.
        pub(crate) fn wake(&self, sleepers: u32) -> u32 {
            // SAFETY: FUTEX_WAKE uses the address as a key and accesses no memory.
            let woken = unsafe {
                libc::syscall(libc::SYS_futex, self.0.as_ptr(), libc::FUTEX_WAKE, sleepers)
            };
            u32::try_from(woken).unwrap_or(0)
        }
    }
}

/// The kernel's futex for models: comparing and falling asleep is one step with regard to
/// waking. There is no clock, so a lost wake-up is a deadlock, which the checkers report.
#[cfg(any(loom, shuttle))]
mod imp {
    use crate::sync::{AtomicU32, Relaxed};
    use crate::sys::clock::Instant;
    #[cfg(loom)]
    use loom::sync::{Condvar, Mutex};
    #[cfg(shuttle)]
    use shuttle::sync::{Condvar, Mutex};

    #[derive(Debug)]
    pub(crate) struct Futex {
        word: AtomicU32,
        queue: Mutex<Queue>,
        woken: Condvar,
    }

    #[derive(Debug, Default)]
    struct Queue {
        asleep: u32,
        wakes: u32,
    }

    impl Futex {
        pub(crate) fn new() -> Self {
            Self {
                word: AtomicU32::new(0),
                queue: Mutex::new(Queue::default()),
                woken: Condvar::new(),
            }
        }

        pub(crate) fn word(&self) -> &AtomicU32 {
            &self.word
        }

        pub(crate) fn wait(&self, expected: u32, _deadline: Instant) {
            let mut queue = self.queue.lock().unwrap();
            // The kernel's comparison sees the newest value: it holds the lock of the queue,
            // with full barriers on both sides.
            if self.word.fetch_or(0, Relaxed) != expected {
                return;
            }
            queue.asleep += 1;
            while queue.wakes == 0 {
                queue = self.woken.wait(queue).unwrap();
            }
            queue.wakes -= 1;
            queue.asleep -= 1;
        }

        pub(crate) fn wake(&self, sleepers: u32) -> u32 {
            let mut queue = self.queue.lock().unwrap();
            let woken = sleepers.min(queue.asleep - queue.wakes);
            queue.wakes += woken;
            self.woken.notify_all();
            woken
        }
    }
}
