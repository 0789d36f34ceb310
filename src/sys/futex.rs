//! A 32-bit word that threads of any process can block on.

#![allow(unsafe_code)]

pub(crate) use self::imp::Futex;

/// The number that wakes all blocked threads.
pub(crate) const ALL: u32 = i32::MAX as u32;

#[cfg(not(any(loom, shuttle)))]
mod imp {
    use crate::sync::AtomicU32;
    use crate::sys::clock::Instant;
    use core::ptr;
    use nix::libc;

    /// The word. Its address selects a queue in the kernel. It is shared between processes, so
    /// the calls are not `PRIVATE`.
    #[derive(Debug)]
    #[repr(transparent)]
    pub(crate) struct Futex(AtomicU32);

    impl Futex {
        #[cfg(test)]
        pub(crate) fn new() -> Self {
            Self(AtomicU32::new(0))
        }

        #[inline(always)]
        pub(crate) fn word(&self) -> &AtomicU32 {
            &self.0
        }

        /// Blocks while the word holds `expected`, at most until `deadline`. It may return early
        /// for any reason, such as a signal or a changed word: the caller checks again.
        pub(crate) fn wait(&self, expected: u32, deadline: Instant) {
            // The kernel treats it as unsigned.
            const ANY: u32 = libc::FUTEX_BITSET_MATCH_ANY as u32;
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
                    ANY,
                )
            };
        }

        /// Wakes up to `sleepers` threads and returns how many it woke.
        pub(crate) fn wake(&self, sleepers: u32) -> u32 {
            // SAFETY: FUTEX_WAKE uses the address as a key and writes no memory.
            let woken = unsafe {
                libc::syscall(libc::SYS_futex, self.0.as_ptr(), libc::FUTEX_WAKE, sleepers)
            };
            u32::try_from(woken).unwrap_or(0)
        }
    }
}

/// A model of the kernel's futex: to compare and to block is one step with respect to a wake.
///
/// Time passes only where a model lets it, so a lost wake-up is a deadlock, which the checkers
/// report.
#[cfg(any(loom, shuttle))]
mod imp {
    use crate::sync::checker::sync::{Condvar, Mutex};
    use crate::sync::{AtomicU32, Relaxed};
    use crate::sys::clock::Instant;

    #[derive(Debug)]
    pub(crate) struct Futex {
        word: AtomicU32,
        queue: Mutex<Queue>,
        changed: Condvar,
    }

    /// The blocked threads in the order of their arrival. A wake removes a thread, so a thread that
    /// arrives later can't consume it.
    #[derive(Debug, Default)]
    struct Queue {
        asleep: Vec<Sleeper>,
        tickets: u32,
        lapses: u32,
    }

    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Sleeper {
        ticket: u32,
        until: Instant,
    }

    impl Futex {
        pub(crate) fn new() -> Self {
            Self {
                word: AtomicU32::new(0),
                queue: Mutex::new(Queue::default()),
                changed: Condvar::new(),
            }
        }

        pub(crate) fn word(&self) -> &AtomicU32 {
            &self.word
        }

        pub(crate) fn wait(&self, expected: u32, until: Instant) {
            let mut queue = self.queue.lock().unwrap();
            // The kernel's comparison reads the newest value: it holds the lock of the queue, with
            // full barriers on both sides.
            if self.word.fetch_or(0, Relaxed) != expected {
                return;
            }
            let sleeper = Sleeper {
                ticket: queue.tickets,
                until,
            };
            queue.tickets += 1;
            queue.asleep.push(sleeper);
            while queue.asleep.contains(&sleeper) {
                if until != Instant::NEVER && queue.lapses > 0 {
                    queue.lapses -= 1;
                    queue.asleep.retain(|other| *other != sleeper);
                    return;
                }
                queue = self.changed.wait(queue).unwrap();
            }
        }

        pub(crate) fn wake(&self, sleepers: u32) -> u32 {
            let mut queue = self.queue.lock().unwrap();
            let woken = queue.asleep.len().min(sleepers as usize);
            queue.asleep.drain(..woken);
            self.changed.notify_all();
            woken as u32
        }

        /// Lets the deadline of one thread pass: of one that is blocked with a deadline, or of the
        /// next one. To other threads, a thread that is killed while blocked looks the same.
        pub(crate) fn lapse(&self) {
            self.queue.lock().unwrap().lapses += 1;
            self.changed.notify_all();
        }
    }
}
