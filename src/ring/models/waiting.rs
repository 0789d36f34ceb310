//! An SPSC ring and its two event words.

use super::{CAPACITY, Memory, TestConsumer, TestProducer, WRAP_32, spsc_handles};
use crate::properties::Fences;
use crate::ring::closing::Closing;
use crate::ring::participants::{Phase, SeatState};
use crate::sync::model::{Extent, check, spawn};
use crate::sync::{AtomicU32, Relaxed};
use crate::sys::clock::Instant;
use std::sync::Arc;

#[test]
fn push_wakes_sleeping_consumer() {
    check(Extent::Preemptions(4), 3000, &[false, true], || {
        let memory = Memory::at(0);
        let (mut producer, mut consumer) = spsc_handles(&memory);
        let pushing = spawn(move || (1..=2).for_each(|message| producer.push(message)));
        let popping = spawn(move || {
            (1..=2).for_each(|message| assert_eq!(consumer.pop(), message));
            consumer.was_refused
        });
        pushing.join().unwrap();
        popping.join().unwrap()
    });
}

#[test]
fn pop_wakes_sleeping_producer() {
    check(Extent::Preemptions(5), 400, &[false, true], || {
        let memory = Memory::at(WRAP_32);
        let (mut producer, mut consumer) = spsc_handles(&memory);
        (1..=CAPACITY).for_each(|message| producer.push(message));
        let pushing = spawn(move || {
            producer.push(3);
            producer.was_refused
        });
        let popping = spawn(move || {
            assert_eq!(consumer.try_pop(), Some(1));
        });
        popping.join().unwrap();
        pushing.join().unwrap()
    });
}

#[test]
fn producer_and_consumer_that_sleep_both_finish() {
    let outcomes = [(false, false), (false, true), (true, false), (true, true)];
    check(Extent::Preemptions(3), 4000, &outcomes, || {
        let memory = Memory::at(0);
        let (mut producer, mut consumer) = spsc_handles(&memory);
        let pushing = spawn(move || {
            (1..=3).for_each(|message| producer.push(message));
            producer.was_refused
        });
        let popping = spawn(move || {
            (1..=3).for_each(|message| assert_eq!(consumer.pop(), message));
            consumer.was_refused
        });
        (pushing.join().unwrap(), popping.join().unwrap())
    });
}

/// The bit may be stale from a wait that found work. The producer that clears it must not leave a
/// consumer asleep that armed in between.
#[test]
fn stale_asleep_bit_is_cleared_without_losing_sleeper() {
    check(Extent::Preemptions(4), 5000, &[false, true], || {
        let memory = Memory::at(0);
        let (mut producer, mut consumer) = spsc_handles(&memory);
        memory
            .not_empty
            .wait(Fences::Symmetric, Instant::NEVER, || true);
        let pushing = spawn(move || (1..=2).for_each(|message| producer.push(message)));
        let popping = spawn(move || {
            (1..=2).for_each(|message| assert_eq!(consumer.pop(), message));
            consumer.was_refused
        });
        pushing.join().unwrap();
        popping.join().unwrap()
    });
}

#[test]
fn batch_push_with_one_notify_wakes_consumer() {
    check(Extent::Preemptions(5), 1000, &[false, true], || {
        let memory = Memory::at(WRAP_32);
        let (mut producer, mut consumer) = spsc_handles(&memory);
        let pushing = spawn(move || {
            for message in 1..=CAPACITY {
                assert!(producer.write(message));
                producer.publish();
            }
            producer.notify();
        });
        let popping = spawn(move || {
            (1..=CAPACITY).for_each(|message| assert_eq!(consumer.pop(), message));
            consumer.was_refused
        });
        pushing.join().unwrap();
        popping.join().unwrap()
    });
}

#[test]
fn batch_release_with_one_notify_wakes_producer() {
    check(Extent::Preemptions(4), 500, &[false, true], || {
        let memory = Memory::at(WRAP_32);
        let (mut producer, mut consumer) = spsc_handles(&memory);
        (1..=CAPACITY).for_each(|message| producer.push(message));
        let pushing = spawn(move || {
            (3..=4).for_each(|message| producer.push(message));
            producer.was_refused
        });
        let popping = spawn(move || {
            for message in 1..=CAPACITY {
                assert_eq!(consumer.read(), Some(message));
                consumer.release();
            }
            consumer.notify();
        });
        popping.join().unwrap();
        pushing.join().unwrap()
    });
}

/// Pushes without a notification. In models its fence is a full one. With membarrier it is only a
/// compiler fence, so the edges must hold without it.
fn push_without_notify(producer: &mut TestProducer, message: u64) {
    assert!(producer.write(message));
    producer.publish();
    producer.store_hint();
}

#[test]
fn active_seat_makes_pid_of_holder_visible() {
    check(Extent::Preemptions(3), 2, &[false, true], || {
        let state = Arc::new(SeatState::new());
        let pid = Arc::new(AtomicU32::new(0));
        let arriving = spawn({
            let (state, pid) = (Arc::clone(&state), Arc::clone(&pid));
            move || {
                pid.store(7, Relaxed);
                state.activate();
            }
        });
        let probing = spawn(move || {
            let is_active = state.load().phase() == Phase::Active;
            assert!(!is_active || pid.load(Relaxed) == 7);
            is_active
        });
        arriving.join().unwrap();
        probing.join().unwrap()
    });
}

/// The consumer proceeds as a handle does: it loads the peer's state, then inspects the ring again.
#[test]
fn messages_pushed_before_leave_are_popped() {
    check(Extent::Preemptions(4), 700, &[false, true], || {
        let memory = Memory::at(0);
        let state = Arc::new(SeatState::new());
        state.activate();
        let (mut producer, consumer) = spsc_handles(&memory);
        let pushing = spawn({
            let (memory, state) = (Arc::clone(&memory), Arc::clone(&state));
            move || {
                push_without_notify(&mut producer, 1);
                state.leave();
                memory.not_empty.notify_all();
            }
        });
        let popping = spawn(move || pop_until_left(consumer, &state));
        let (popped, was_nearly_missed) = popping.join().unwrap();
        pushing.join().unwrap();
        assert_eq!(popped, [1]);
        was_nearly_missed
    });
}

/// Returns all messages, and whether some of them were found only after the producer was seen to
/// have left.
fn pop_until_left(mut consumer: TestConsumer, state: &SeatState) -> (Vec<u64>, bool) {
    let memory = Arc::clone(&consumer.memory);
    let (mut popped, mut was_nearly_missed) = (Vec::new(), false);
    loop {
        if let Some(message) = consumer.try_pop() {
            popped.push(message);
            continue;
        }
        let snapshot = state.load();
        let is_ready = || consumer.is_ready();
        if snapshot.phase() != Phase::Left {
            let has_work = || is_ready() || state.load() != snapshot;
            let not_empty = &memory.not_empty;
            not_empty.wait(Fences::Symmetric, Instant::NEVER, has_work);
        } else if is_ready() {
            was_nearly_missed = true;
        } else {
            return (popped, was_nearly_missed);
        }
    }
}

#[test]
fn messages_pushed_before_close_are_popped() {
    check(Extent::Preemptions(3), 200, &[1], || {
        let memory = Memory::at(0);
        let closed = Arc::new(Closing::new());
        let (mut producer, consumer) = spsc_handles(&memory);
        let pushing = spawn({
            let (memory, closed) = (Arc::clone(&memory), Arc::clone(&closed));
            move || {
                push_without_notify(&mut producer, 1);
                closed.close();
                memory.not_empty.notify_all();
            }
        });
        let popping = spawn(move || pop_until_closed(consumer, &closed));
        pushing.join().unwrap();
        popping.join().unwrap()
    });
}

/// Returns how many messages it popped.
fn pop_until_closed(mut consumer: TestConsumer, closed: &Closing) -> usize {
    let memory = Arc::clone(&consumer.memory);
    let mut popped = 0;
    loop {
        if consumer.try_pop().is_some() {
            popped += 1;
            continue;
        }
        let is_closed = closed.is_closed();
        let is_ready = || consumer.is_ready();
        if !is_closed {
            let has_work = || is_ready() || closed.is_closed();
            let not_empty = &memory.not_empty;
            not_empty.wait(Fences::Symmetric, Instant::NEVER, has_work);
        } else if !is_ready() {
            return popped;
        }
    }
}
