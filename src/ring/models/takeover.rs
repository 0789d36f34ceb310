//! The successor in an SPSC seat continues where the last holder stopped.

use super::{CAPACITY, Memory, TestConsumer, TestProducer, WRAP_32};
use crate::sync::model::{Extent, check, spawn};
use crate::sync::{AtomicU64, Relaxed};
use crate::sys::clock::Instant;
use std::sync::Arc;

/// The point at which a holder is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stop {
    /// The payload is written or read; the stamp is unchanged.
    BeforeStamp,
    /// The stamp is stored; the hint is not.
    BeforeHint,
    /// A whole lap of stamps is stored; the hint is not.
    LapBeforeHint,
    /// Stamp and hint are stored; the peer is not notified.
    BeforeNotify,
}

/// A payload that is written but never published.
const HALF_WRITTEN: u64 = 99;

/// Whether the predecessor reached `position`, which is all that a successor in these models knows.
/// It does not wait: a successor that starts too early does nothing.
fn has_reached(hint: &AtomicU64, position: u64) -> bool {
    // Relaxed: what the hint carries is for `resume` to fetch.
    hint.load(Relaxed) == position
}

/// Edge T carries the stamps of the messages before it.
#[test]
fn producer_resuming_from_tail_finds_its_position() {
    check(Extent::Exhaustive, 15, &[false, true], || {
        let memory = Memory::at(WRAP_32);
        let mut first = TestProducer::resume(&memory);
        let predecessor = spawn(move || {
            (1..=CAPACITY).for_each(|message| first.push_spinning(message));
        });
        let successor = spawn(move || {
            let full = WRAP_32 + CAPACITY;
            let has_resumed = has_reached(&memory.tail, full);
            if has_resumed {
                let mut second = TestProducer::resume(&memory);
                assert_eq!(second.position(), full);
                assert!(!second.write(3));
            }
            has_resumed
        });
        predecessor.join().unwrap();
        successor.join().unwrap()
    });
}

/// Edge H carries the stamps of the slots released before it.
#[test]
fn consumer_resuming_from_head_finds_its_position() {
    check(Extent::Exhaustive, 15, &[false, true], || {
        let memory = Memory::at(WRAP_32);
        let mut producer = TestProducer::resume(&memory);
        (1..=CAPACITY).for_each(|message| producer.push(message));
        let mut first = TestConsumer::resume(&memory);
        let predecessor = spawn(move || {
            (1..=CAPACITY).for_each(|message| assert_eq!(first.pop_spinning(), message));
        });
        let successor = spawn(move || {
            let empty = WRAP_32 + CAPACITY;
            let has_resumed = has_reached(&memory.head, empty);
            if has_resumed {
                let mut second = TestConsumer::resume(&memory);
                assert_eq!(second.position(), empty);
                assert_eq!(second.read(), None);
            }
            has_resumed
        });
        predecessor.join().unwrap();
        successor.join().unwrap()
    });
}

/// As above, while the consumer continues.
#[test]
fn producer_successor_resumes_during_pops() {
    check(Extent::Preemptions(3), 1000, &[false, true], || {
        let memory = Memory::at(WRAP_32 - 1);
        let mut first = TestProducer::resume(&memory);
        let mut consumer = TestConsumer::resume(&memory);
        let predecessor = spawn(move || (1..=2).for_each(|message| first.push_spinning(message)));
        let popping = spawn(move || {
            let popped = [consumer.try_pop(), consumer.try_pop()];
            (consumer, popped)
        });
        let successor = spawn(move || {
            has_reached(&memory.tail, WRAP_32 + 1) && {
                let mut second = TestProducer::resume(&memory);
                let fits = second.write(3);
                if fits {
                    second.publish();
                }
                fits
            }
        });
        predecessor.join().unwrap();
        let pushed_third = successor.join().unwrap();
        let (mut consumer, popped) = popping.join().unwrap();
        let rest = core::iter::from_fn(|| consumer.try_pop());
        let all = popped.into_iter().flatten().chain(rest);
        assert!(all.eq(1..=2 + u64::from(pushed_third)));
        pushed_third
    });
}

#[test]
fn consumer_successor_resumes_during_pushes() {
    check(
        Extent::Preemptions(3),
        1000,
        &[None, Some(2), Some(3)],
        || {
            let memory = Memory::at(WRAP_32 - 1);
            let mut producer = TestProducer::resume(&memory);
            let mut first = TestConsumer::resume(&memory);
            producer.push(1);
            let pushing = spawn(move || {
                for message in 2..=3 {
                    if producer.write(message) {
                        producer.publish();
                        producer.store_hint();
                    }
                }
                producer.position()
            });
            let predecessor = spawn(move || assert_eq!(first.pop_spinning(), 1));
            let successor = spawn({
                let memory = Arc::clone(&memory);
                move || {
                    has_reached(&memory.head, WRAP_32)
                        .then(|| TestConsumer::resume(&memory).try_pop())
                }
            });
            predecessor.join().unwrap();
            let pushed = pushing.join().unwrap().wrapping_sub(WRAP_32 - 1);
            let popped = successor.join().unwrap().flatten();
            assert!(popped.is_none_or(|message| message == 2));
            let mut third = TestConsumer::resume(&memory);
            let rest = core::iter::from_fn(|| third.try_pop());
            assert!(popped.into_iter().chain(rest).eq(2..=pushed));
            popped.map(|_| pushed)
        },
    );
}

/// The first producer pushes 1 and is killed in the next push. The second one starts when the
/// kernel has released the lock of the first, and pushes the rest up to 3. Returns how many
/// messages the first one published.
fn kill_producer_at(stop: Stop) -> u64 {
    let memory = Memory::at(WRAP_32 - 1);
    let mut consumer = TestConsumer::resume(&memory);
    let mut first = TestProducer::resume(&memory);
    let interval = Instant::now();
    let popping = spawn(move || {
        (1..=3).for_each(|message| assert_eq!(consumer.pop_until(interval), message));
    });
    let predecessor = spawn(move || match stop {
        Stop::BeforeStamp => {
            first.push(1);
            first.write(HALF_WRITTEN);
        }
        Stop::LapBeforeHint => {
            for message in 1..=CAPACITY {
                assert!(first.write(message));
                first.publish();
            }
        }
        Stop::BeforeHint | Stop::BeforeNotify => {
            first.push(1);
            assert!(first.write(2));
            first.publish();
            if stop == Stop::BeforeNotify {
                first.store_hint();
            }
        }
    });
    let successor = spawn(move || {
        predecessor.join().unwrap();
        // The end of the liveness interval replaces the notification that was never sent.
        memory.not_empty.lapse();
        let mut second = TestProducer::resume(&memory);
        let pushed = second.position().wrapping_sub(WRAP_32 - 1);
        (pushed + 1..=3).for_each(|message| second.push(message));
        pushed
    });
    popping.join().unwrap();
    successor.join().unwrap()
}

#[test]
fn producer_killed_before_stamp_published_nothing() {
    check(Extent::Preemptions(2), 2000, &[1], || {
        kill_producer_at(Stop::BeforeStamp)
    });
}

#[test]
fn producer_killed_before_hint_published() {
    check(Extent::Preemptions(2), 2000, &[2], || {
        kill_producer_at(Stop::BeforeHint)
    });
}

#[test]
fn producer_killed_a_lap_before_hint_published_the_lap() {
    check(Extent::Preemptions(2), 1000, &[2], || {
        kill_producer_at(Stop::LapBeforeHint)
    });
}

#[test]
fn producer_killed_before_notify_published() {
    check(Extent::Preemptions(2), 2000, &[2], || {
        kill_producer_at(Stop::BeforeNotify)
    });
}

/// The first consumer is killed at its second message, and the second one continues up to 3.
/// Returns how many messages the first one released.
fn kill_consumer_at(stop: Stop) -> u64 {
    let memory = Memory::at(WRAP_32 - 1);
    let mut producer = TestProducer::resume(&memory);
    let mut first = TestConsumer::resume(&memory);
    (1..=CAPACITY).for_each(|message| producer.push(message));
    let interval = Instant::now();
    let pushing = spawn(move || producer.push_until(3, interval));
    let predecessor = spawn(move || match stop {
        Stop::BeforeStamp => {
            assert_eq!(first.pop(), 1);
            assert_eq!(first.read(), Some(2));
        }
        Stop::LapBeforeHint => {
            for message in 1..=CAPACITY {
                assert_eq!(first.read(), Some(message));
                first.release();
            }
        }
        Stop::BeforeHint | Stop::BeforeNotify => {
            assert_eq!(first.pop(), 1);
            assert_eq!(first.read(), Some(2));
            first.release();
            if stop == Stop::BeforeNotify {
                first.store_hint();
            }
        }
    });
    let successor = spawn(move || {
        predecessor.join().unwrap();
        memory.not_full.lapse();
        let mut second = TestConsumer::resume(&memory);
        let popped = second.position().wrapping_sub(WRAP_32 - 1);
        (popped + 1..=3).for_each(|message| assert_eq!(second.pop(), message));
        popped
    });
    pushing.join().unwrap();
    successor.join().unwrap()
}

#[test]
fn consumer_killed_before_stamp_released_nothing() {
    check(Extent::Preemptions(2), 500, &[1], || {
        kill_consumer_at(Stop::BeforeStamp)
    });
}

#[test]
fn consumer_killed_before_hint_released() {
    check(Extent::Preemptions(2), 500, &[2], || {
        kill_consumer_at(Stop::BeforeHint)
    });
}

#[test]
fn consumer_killed_a_lap_before_hint_released_the_lap() {
    check(Extent::Preemptions(2), 500, &[2], || {
        kill_consumer_at(Stop::LapBeforeHint)
    });
}

#[test]
fn consumer_killed_before_notify_released() {
    check(Extent::Preemptions(2), 500, &[2], || {
        kill_consumer_at(Stop::BeforeNotify)
    });
}
