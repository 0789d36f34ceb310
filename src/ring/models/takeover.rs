//! The next holder of an end goes on where the last one stopped.

use super::{CAPACITY, Memory, Popper, Pusher, WRAP_32};
use crate::sync::model::{Extent, check, spawn};
use crate::sync::{AtomicU64, Relaxed};
use crate::sys::clock::Instant;
use std::sync::Arc;

/// Where a holder stops for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stop {
    /// The payload is written, or read; the word is as it was.
    BeforeTheWord,
    /// The word is stored, the hint is behind.
    BeforeTheHint,
    /// A whole lap of words is stored, the hint is behind.
    ALapBeforeTheHint,
    /// Everything is stored, the other side is not told.
    BeforeTheNotify,
}

/// What is no message: written, but never published.
const HALF_WRITTEN: u64 = 99;

/// Whether the predecessor got as far as `position`, which is all that a successor in the first
/// models knows of it. It does not wait: who comes too early does not come at all.
fn has_reached(hint: &AtomicU64, position: u64) -> bool {
    // Relaxed: what the hint carries is for `resume` to fetch.
    hint.load(Relaxed) == position
}

/// T carries the words of the messages before it.
#[test]
fn a_producer_that_knows_only_the_tail_finds_its_place() {
    check(Extent::Whole, 15, &[false, true], || {
        let memory = Memory::at(WRAP_32);
        let mut first = Pusher::resume(&memory);
        let predecessor = spawn(move || {
            (1..=CAPACITY).for_each(|message| first.push_spinning(message));
        });
        let successor = spawn(move || {
            let full = WRAP_32 + CAPACITY;
            let comes = has_reached(&memory.tail, full);
            if comes {
                let mut second = Pusher::resume(&memory);
                assert_eq!(second.position(), full);
                assert!(!second.write(3));
            }
            comes
        });
        predecessor.join().unwrap();
        successor.join().unwrap()
    });
}

/// H carries the words of the slots given back before it.
#[test]
fn a_consumer_that_knows_only_the_head_finds_its_place() {
    check(Extent::Whole, 15, &[false, true], || {
        let memory = Memory::at(WRAP_32);
        let mut pusher = Pusher::resume(&memory);
        (1..=CAPACITY).for_each(|message| pusher.push(message));
        let mut first = Popper::resume(&memory);
        let predecessor = spawn(move || {
            (1..=CAPACITY).for_each(|message| assert_eq!(first.pop_spinning(), message));
        });
        let successor = spawn(move || {
            let empty = WRAP_32 + CAPACITY;
            let comes = has_reached(&memory.head, empty);
            if comes {
                let mut second = Popper::resume(&memory);
                assert_eq!(second.position(), empty);
                assert_eq!(second.read(), None);
            }
            comes
        });
        predecessor.join().unwrap();
        successor.join().unwrap()
    });
}

/// As above, while the other side goes on.
#[test]
fn a_producer_takes_over_while_messages_are_popped() {
    check(Extent::Preemptions(3), 1000, &[false, true], || {
        let memory = Memory::at(WRAP_32 - 1);
        let mut first = Pusher::resume(&memory);
        let mut popper = Popper::resume(&memory);
        let predecessor = spawn(move || (1..=2).for_each(|message| first.push_spinning(message)));
        let popping = spawn(move || {
            let popped = [popper.pop_now(), popper.pop_now()];
            (popper, popped)
        });
        let successor = spawn(move || {
            has_reached(&memory.tail, WRAP_32 + 1) && {
                let mut second = Pusher::resume(&memory);
                let fits = second.write(3);
                if fits {
                    second.publish();
                }
                fits
            }
        });
        predecessor.join().unwrap();
        let pushed_third = successor.join().unwrap();
        let (mut popper, popped) = popping.join().unwrap();
        let rest = core::iter::from_fn(|| popper.pop_now());
        let all = popped.into_iter().flatten().chain(rest);
        assert!(all.eq(1..=2 + u64::from(pushed_third)));
        pushed_third
    });
}

#[test]
fn a_consumer_takes_over_while_messages_are_pushed() {
    check(
        Extent::Preemptions(3),
        1000,
        &[None, Some(2), Some(3)],
        || {
            let memory = Memory::at(WRAP_32 - 1);
            let mut pusher = Pusher::resume(&memory);
            let mut first = Popper::resume(&memory);
            pusher.push(1);
            let pushing = spawn(move || {
                for message in 2..=3 {
                    if pusher.write(message) {
                        pusher.publish();
                        pusher.store_hint();
                    }
                }
                pusher.position()
            });
            let predecessor = spawn(move || assert_eq!(first.pop_spinning(), 1));
            let successor = spawn({
                let memory = Arc::clone(&memory);
                move || {
                    has_reached(&memory.head, WRAP_32).then(|| Popper::resume(&memory).pop_now())
                }
            });
            predecessor.join().unwrap();
            let pushed = pushing.join().unwrap().wrapping_sub(WRAP_32 - 1);
            let popped = successor.join().unwrap().flatten();
            assert!(popped.is_none_or(|message| message == 2));
            let mut third = Popper::resume(&memory);
            let rest = core::iter::from_fn(|| third.pop_now());
            assert!(popped.into_iter().chain(rest).eq(2..=pushed));
            popped.map(|_| pushed)
        },
    );
}

/// The first producer pushes 1 and stops in the middle of the next; the second one, which
/// comes when the kernel says that the first is gone, pushes from there up to 3.
fn a_producer_stops(stop: Stop) -> u64 {
    let memory = Memory::at(WRAP_32 - 1);
    let mut popper = Popper::resume(&memory);
    let mut first = Pusher::resume(&memory);
    let interval = Instant::now();
    let popping = spawn(move || {
        (1..=3).for_each(|message| assert_eq!(popper.pop_until(interval), message));
    });
    let predecessor = spawn(move || match stop {
        Stop::BeforeTheWord => {
            first.push(1);
            first.write(HALF_WRITTEN);
        }
        Stop::ALapBeforeTheHint => {
            for message in 1..=CAPACITY {
                assert!(first.write(message));
                first.publish();
            }
        }
        Stop::BeforeTheHint | Stop::BeforeTheNotify => {
            first.push(1);
            assert!(first.write(2));
            first.publish();
            if stop == Stop::BeforeTheNotify {
                first.store_hint();
            }
        }
    });
    let successor = spawn(move || {
        predecessor.join().unwrap();
        // A notification that was never sent is made up for by the end of the interval.
        memory.not_empty.lapse();
        let mut second = Pusher::resume(&memory);
        let pushed = second.position().wrapping_sub(WRAP_32 - 1);
        (pushed + 1..=3).for_each(|message| second.push(message));
        pushed
    });
    popping.join().unwrap();
    successor.join().unwrap()
}

#[test]
fn a_producer_that_stops_before_the_word_has_pushed_nothing() {
    check(Extent::Preemptions(2), 2000, &[1], || {
        a_producer_stops(Stop::BeforeTheWord)
    });
}

#[test]
fn a_producer_that_stops_before_the_hint_has_pushed() {
    check(Extent::Preemptions(2), 2000, &[2], || {
        a_producer_stops(Stop::BeforeTheHint)
    });
}

#[test]
fn a_producer_that_stops_a_lap_before_the_hint_has_pushed_it() {
    check(Extent::Preemptions(2), 1000, &[2], || {
        a_producer_stops(Stop::ALapBeforeTheHint)
    });
}

#[test]
fn a_producer_that_stops_before_the_notify_has_pushed() {
    check(Extent::Preemptions(2), 2000, &[2], || {
        a_producer_stops(Stop::BeforeTheNotify)
    });
}

/// The first consumer stops in the middle of its second message; the second one goes on up to
/// 3. Tells how many messages the first one gave back.
fn a_consumer_stops(stop: Stop) -> u64 {
    let memory = Memory::at(WRAP_32 - 1);
    let mut pusher = Pusher::resume(&memory);
    let mut first = Popper::resume(&memory);
    (1..=CAPACITY).for_each(|message| pusher.push(message));
    let interval = Instant::now();
    let pushing = spawn(move || pusher.push_until(3, interval));
    let predecessor = spawn(move || match stop {
        Stop::BeforeTheWord => {
            assert_eq!(first.pop(), 1);
            assert_eq!(first.read(), Some(2));
        }
        Stop::ALapBeforeTheHint => {
            for message in 1..=CAPACITY {
                assert_eq!(first.read(), Some(message));
                first.release();
            }
        }
        Stop::BeforeTheHint | Stop::BeforeTheNotify => {
            assert_eq!(first.pop(), 1);
            assert_eq!(first.read(), Some(2));
            first.release();
            if stop == Stop::BeforeTheNotify {
                first.store_hint();
            }
        }
    });
    let successor = spawn(move || {
        predecessor.join().unwrap();
        memory.not_full.lapse();
        let mut second = Popper::resume(&memory);
        let popped = second.position().wrapping_sub(WRAP_32 - 1);
        (popped + 1..=3).for_each(|message| assert_eq!(second.pop(), message));
        popped
    });
    pushing.join().unwrap();
    successor.join().unwrap()
}

#[test]
fn a_consumer_that_stops_before_the_word_has_popped_nothing() {
    check(Extent::Preemptions(2), 500, &[1], || {
        a_consumer_stops(Stop::BeforeTheWord)
    });
}

#[test]
fn a_consumer_that_stops_before_the_hint_has_popped() {
    check(Extent::Preemptions(2), 500, &[2], || {
        a_consumer_stops(Stop::BeforeTheHint)
    });
}

#[test]
fn a_consumer_that_stops_a_lap_before_the_hint_has_popped_it() {
    check(Extent::Preemptions(2), 500, &[2], || {
        a_consumer_stops(Stop::ALapBeforeTheHint)
    });
}

#[test]
fn a_consumer_that_stops_before_the_notify_has_popped() {
    check(Extent::Preemptions(2), 500, &[2], || {
        a_consumer_stops(Stop::BeforeTheNotify)
    });
}
