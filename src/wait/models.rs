//! Models of the event word alone, with a count of items in place of a ring.

use super::{ASLEEP, Event, decode};
use crate::properties::Fences;
use crate::sync::model::{Extent, JoinHandle, check, spawn};
use crate::sync::{AtomicU32, Relaxed};
use crate::sys::clock::Instant;
use std::sync::Arc;

impl Event {
    /// Lets the deadline of one sleeper pass: the present one, or else the next one.
    pub(crate) fn lapse(&self) {
        self.0.lapse();
    }
}

/// A count of items, and the event word to sleep on until there are any.
struct Work {
    items: AtomicU32,
    closed: AtomicU32,
    event: Event,
}

impl Work {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            items: AtomicU32::new(0),
            closed: AtomicU32::new(0),
            event: Event::new(),
        })
    }

    fn add(&self) {
        self.items.fetch_add(1, Relaxed);
        self.event.notify(Fences::Symmetric);
    }

    fn is_ready(&self) -> bool {
        self.items.load(Relaxed) > 0
    }

    fn try_take(&self) -> bool {
        let items = self.items.load(Relaxed);
        items > 0
            && self
                .items
                .compare_exchange(items, items - 1, Relaxed, Relaxed)
                .is_ok()
    }

    /// Takes an item, and waits until there is one. Returns whether it had to wait.
    fn take(&self) -> bool {
        let mut waited = false;
        while !self.try_take() {
            waited = true;
            self.sleep(Instant::NEVER);
        }
        waited
    }

    fn sleep(&self, until: Instant) {
        self.event
            .wait(Fences::Symmetric, until, || self.is_ready());
    }

    fn close(&self) {
        self.closed.store(1, Relaxed);
        self.event.notify_all();
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Relaxed) != 0
    }

    /// Waits until the work is closed. Returns whether it had to wait.
    fn await_close(&self) -> bool {
        let mut waited = false;
        while !self.is_closed() {
            waited = true;
            self.event
                .wait(Fences::Symmetric, Instant::NEVER, || self.is_closed());
        }
        waited
    }
}

/// How many of the threads had to wait.
fn count_waiting(threads: [JoinHandle<bool>; 2]) -> u8 {
    threads
        .map(|thread| u8::from(thread.join().unwrap()))
        .iter()
        .sum()
}

/// Edge F: either the sleeper finds the work, or the notifier finds the bit.
#[test]
fn notifier_sees_asleep_bit_or_sleeper_sees_work() {
    check(Extent::Exhaustive, 60, &[false, true], || {
        let work = Work::new();
        let adding = spawn({
            let work = Arc::clone(&work);
            move || work.add()
        });
        let taking = spawn(move || work.take());
        adding.join().unwrap();
        taking.join().unwrap()
    });
}

#[test]
fn two_notifies_wake_two_sleepers() {
    check(Extent::Preemptions(2), 1000, &[0, 1, 2], || {
        let work = Work::new();
        let takers = [(); 2].map(|()| {
            let work = Arc::clone(&work);
            spawn(move || work.take())
        });
        let adding = spawn(move || {
            work.add();
            work.add();
        });
        adding.join().unwrap();
        count_waiting(takers)
    });
}

/// The notifier clears a stale bit while a sleeper that has armed may be about to sleep.
#[test]
fn clearing_stale_bit_wakes_sleeper_that_just_armed() {
    check(Extent::Preemptions(3), 1000, &[false, true], || {
        let work = Work::new();
        work.event.wait(Fences::Symmetric, Instant::NEVER, || true);
        let adding = spawn({
            let work = Arc::clone(&work);
            move || {
                work.add();
                work.add();
            }
        });
        let taking = spawn(move || {
            let waited = work.take();
            work.take() || waited
        });
        adding.join().unwrap();
        taking.join().unwrap()
    });
}

/// A sleeper is killed, awake or asleep. Its successor sleeps on the same word.
#[test]
fn killed_sleeper_costs_one_extra_wake() {
    check(Extent::Preemptions(2), 300, &[false, true], || {
        let work = Work::new();
        let killed = spawn({
            let work = Arc::clone(&work);
            move || work.sleep(Instant::now())
        });
        let adding = spawn({
            let work = Arc::clone(&work);
            move || work.add()
        });
        let successor = spawn({
            let work = Arc::clone(&work);
            move || {
                work.event.lapse();
                killed.join().unwrap();
                work.take()
            }
        });
        adding.join().unwrap();
        let waited = successor.join().unwrap();
        work.event.notify(Fences::Symmetric);
        assert_eq!(work.event.0.word().load(Relaxed) & ASLEEP, 0);
        waited
    });
}

/// Edge N: a sleeper that arms too late to be woken sees what was stored before `notify_all`.
#[test]
fn notify_all_makes_earlier_stores_visible() {
    check(Extent::Exhaustive, 40, &[false, true], || {
        let work = Work::new();
        let closing = spawn({
            let work = Arc::clone(&work);
            move || work.close()
        });
        let waiting = spawn(move || work.await_close());
        closing.join().unwrap();
        waiting.join().unwrap()
    });
}

#[test]
fn notify_all_wakes_every_sleeper() {
    check(Extent::Preemptions(2), 400, &[0, 1, 2], || {
        let work = Work::new();
        let waiters = [(); 2].map(|()| {
            let work = Arc::clone(&work);
            spawn(move || work.await_close())
        });
        let closing = spawn(move || work.close());
        closing.join().unwrap();
        count_waiting(waiters)
    });
}

/// Each way of changing the word also changes its epoch. A sleeper that armed the word before then
/// returns at once, also if another sleeper sets the bit again meanwhile. Here no sleeper is in the
/// kernel's queue, so the notifier advances the epoch once and clears the bit with another step.
#[test]
fn notify_without_sleeper_advances_epoch_twice() {
    check(Extent::Exhaustive, 1, &[(false, 2)], || {
        let event = Arc::new(Event::new());
        let notifying = spawn(move || {
            event.wait(Fences::Symmetric, Instant::NEVER, || true);
            event.notify(Fences::Symmetric);
            // Relaxed: no other thread has the word.
            decode(event.0.word().load(Relaxed))
        });
        notifying.join().unwrap()
    });
}
