//! The event word: participants sleep on it until there is work, and notifiers wake them.
//!
//! # Why no wake-up is lost
//!
//! A sleeper arms the word: it sets the [`ASLEEP`] bit. It passes the heavy fence (F), and only
//! then checks whether there is work. A notifier first creates work: it publishes or releases a
//! slot. It passes the light fence (F), and only then loads the bit.
//!
//! The two fences are ordered, so the later side sees the earlier side's store. Either the sleeper
//! finds the work, or the notifier finds the bit and wakes the sleeper. If the word has changed
//! since it was armed, the kernel does not block the sleeper. Both ways of waking change it first.
//!
//! # Why a killed sleeper adds no later cost
//!
//! The bit means that the kernel's queue may hold a sleeper; it is not a count. If the wake of a
//! notifier finds no sleeper, it clears the bit. If that succeeds, it wakes all sleepers once more.
//! One may have armed between the first wake and the clearing, and would sleep on without the bit.
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

/// A sleeper may be in the kernel's queue.
const ASLEEP: u32 = 1;
/// One step of the epoch, which fills the other 31 bits.
const EPOCH: u32 = 2;

/// The limit of a sleep when the kernel refuses the heavy fence, without which a wake-up may be
/// lost.
const UNFENCED_SLEEP: Duration = Duration::from_millis(1);

/// The parts of a word: whether a sleeper may be asleep, and the epoch, which counts modulo 2^31.
#[cfg(any(test, not(any(loom, shuttle))))]
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

    /// Wakes a sleeper, if there may be one. Otherwise it costs the light fence and one load.
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
        // Relaxed, here and below: the work of a woken sleeper has edges of its own.
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

    /// Wakes all sleepers, asleep or about to sleep, whether the bit is set or not.
    pub(crate) fn notify_all(&self) {
        self.0.word().fetch_add(EPOCH, Release); // N
        self.0.wake(futex::ALL);
    }

    /// Sleeps until notified, at most until `deadline`, unless `is_ready` finds work. It may return
    /// early.
    pub(crate) fn wait(&self, fences: Fences, deadline: Instant, is_ready: impl FnOnce() -> bool) {
        // Relaxed: the fence after it acquires what the value carries.
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
