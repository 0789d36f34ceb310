//! The event word: sleeping until something happened, and waking who sleeps.
//!
//! # Why no wake-up is lost
//!
//! A sleeper sets the [`ASLEEP`] bit, passes the heavy fence (F), and only then looks whether
//! there is anything to do. A notifier first does something (publishes, gives back), passes
//! the light fence (F), and only then looks at the bit. The two fences are ordered, so the
//! later side sees the earlier side's store: either the sleeper finds the work, or the
//! notifier finds the bit and wakes. The kernel puts nobody to sleep whose word has changed,
//! and both ways of waking change it first.
//!
//! # Why a killed sleeper leaves no tax
//!
//! The bit speaks of the kernel's queue; it counts nothing. Who wakes nobody clears it,
//! and, if that worked, wakes once more: a sleeper may have come between the first wake and
//! the clearing, and would otherwise sleep on with the bit gone.
//!
//! # Ordering
//!
//! | edge | store                           | load                       | carries | model |
//! |------|---------------------------------|----------------------------|---------|-------|
//! | F    | before [`Fences::light`]        | after [`Fences::heavy`]    | the work; the other way, the bit | `notifier_sees_asleep_bit_or_sleeper_sees_work` |
//! | N    | the word, Release, `notify_all` | the word, `wait`; then F   | what was stored before `notify_all` | `notify_all_makes_earlier_stores_visible` |

use crate::properties::Fences;
use crate::sync::{Relaxed, Release};
use crate::sys::clock::Instant;
use crate::sys::futex::{self, Futex};
use core::time::Duration;

#[cfg(all(test, any(loom, shuttle)))]
mod models;
#[cfg(all(test, not(any(loom, shuttle))))]
mod tests;

/// Someone may be asleep.
const ASLEEP: u32 = 1;
/// One step of the epoch, which fills the other 31 bits.
const EPOCH: u32 = 2;

/// How long a sleep may last when the kernel has withdrawn the fence that would have made
/// sure of its end.
const UNFENCED_SLEEP: Duration = Duration::from_millis(1);

/// Whether a word says that someone may be asleep, and how often it was notified, modulo 2^31.
#[cfg(not(any(loom, shuttle)))]
pub(crate) fn decode(word: u32) -> (bool, u32) {
    (word & ASLEEP != 0, word / EPOCH)
}

/// A futex word with an [`ASLEEP`] bit and an epoch.
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct Event(Futex);

impl Event {
    #[cfg(any(test, loom, shuttle))]
    pub(crate) fn new() -> Self {
        Self(Futex::new())
    }

    /// Says that something happened. One load unless someone may be asleep.
    #[inline(always)]
    pub(crate) fn notify(&self, fences: Fences) {
        fences.light(); // F
        // Relaxed: ordered by the fence before it.
        if self.0.word().load(Relaxed) & ASLEEP != 0 {
            self.wake_one();
        }
    }

    #[cold]
    fn wake_one(&self) {
        // Relaxed, here and below: what a woken sleeper takes travels on edges of its own.
        self.0.word().fetch_add(EPOCH, Relaxed);
        if self.0.wake(1) > 0 {
            return;
        }
        let word = self.0.word().load(Relaxed);
        if word & ASLEEP == 0 {
            return;
        }
        let cleared = word.wrapping_add(EPOCH) & !ASLEEP;
        if self
            .0
            .word()
            .compare_exchange(word, cleared, Relaxed, Relaxed)
            .is_ok()
        {
            self.0.wake(futex::ALL);
        }
    }

    /// Wakes every sleeper, now or just falling asleep, whatever the bit says.
    pub(crate) fn notify_all(&self) {
        self.0.word().fetch_add(EPOCH, Release); // N
        self.0.wake(futex::ALL);
    }

    /// Sleeps until notified, at most until `deadline`, unless `is_ready` says that there is
    /// something to do. It may return early.
    pub(crate) fn wait(&self, fences: Fences, deadline: Instant, is_ready: impl FnOnce() -> bool) {
        // Relaxed: the fence after it acquires what it read.
        let armed = self.0.word().fetch_or(ASLEEP, Relaxed) | ASLEEP; // N
        let deadline = if fences.heavy() {
            deadline // F
        } else {
            deadline.min(Instant::now().after(UNFENCED_SLEEP))
        };
        if !is_ready() {
            self.0.wait(armed, deadline);
        }
    }
}
