//! Sleepers of an MPMC ring. Its slots are published in any order, so a wake-up may be spent on a
//! consumer that finds an unpublished slot at the head. Each consumer here pops one message and
//! then stops, so that its later activity cannot hide a lost wake-up.

use super::mpmc::{consumer, producer};
use super::{Memory, TestConsumer, TestProducer, WRAP_32};
use crate::properties::{Delivery, Fences};
use crate::ring::mpmc::{Reader, Writer};
use crate::sync::model::{Extent, JoinHandle, check, spawn};
use crate::sys::clock::Instant;
use std::sync::Arc;

impl TestConsumer<Reader> {
    /// Pops one message, as a handle does: after a sleep it passes the wake-up on, if another
    /// message is ready. Returns the message, and whether it slept.
    fn pop_forwarding_wake(&mut self) -> (u64, bool) {
        let mut has_slept = false;
        loop {
            if let Some(message) = self.read() {
                if has_slept && self.is_ready() {
                    self.memory.not_empty.notify(Fences::Symmetric);
                }
                self.release();
                self.memory.not_full.notify(Fences::Symmetric);
                return (message, has_slept);
            }
            let not_empty = &self.memory.not_empty;
            not_empty.wait(Fences::Symmetric, Instant::NEVER, || self.is_ready());
            has_slept = true;
        }
    }
}

impl TestProducer<Writer> {
    /// Pushes one message as `pop_forwarding_wake` pops one. Returns whether it slept.
    fn push_forwarding_wake(&mut self, message: u64) -> bool {
        let mut has_slept = false;
        while !self.write(message) {
            let not_full = &self.memory.not_full;
            not_full.wait(Fences::Symmetric, Instant::NEVER, || self.is_ready());
            has_slept = true;
        }
        if has_slept && self.is_ready() {
            self.memory.not_full.notify(Fences::Symmetric);
        }
        self.publish();
        self.notify();
        has_slept
    }
}

fn two_consumers(memory: &Arc<Memory>) -> [JoinHandle<(u64, bool)>; 2] {
    [2, 3].map(|seat| {
        let mut consumer = consumer(memory, seat);
        spawn(move || consumer.pop_forwarding_wake())
    })
}

/// Asserts that the consumers popped 11 and 21. Returns how many of them slept.
fn join_consumers(threads: [JoinHandle<(u64, bool)>; 2]) -> u8 {
    let popped = threads.map(|thread| thread.join().unwrap());
    let [(one, one_slept), (other, other_slept)] = popped;
    assert_eq!(one + other, 32);
    u8::from(one_slept) + u8::from(other_slept)
}

/// The second slot is published first. Returns how many consumers slept.
#[test]
fn wake_spent_on_unpublished_slot_is_passed_on() {
    check(Extent::Preemptions(2), 500, &[0, 1, 2], || {
        let memory = Memory::at(WRAP_32);
        let popping = two_consumers(&memory);
        let pushing = spawn(move || {
            let mut producers = [producer(&memory, 0), producer(&memory, 1)];
            for (producer, message) in producers.iter_mut().zip([11, 21]) {
                assert!(producer.write(message));
            }
            for producer in producers.iter_mut().rev() {
                producer.publish();
                producer.notify();
            }
        });
        pushing.join().unwrap();
        join_consumers(popping)
    });
}

/// As above, with each slot published by a producer in a thread of its own. With four threads and
/// more than one preemption, loom takes too long.
#[test]
fn out_of_order_publishes_wake_every_consumer() {
    check(Extent::Preemptions(1), 100, &[0, 1, 2], || {
        let memory = Memory::at(WRAP_32);
        let popping = two_consumers(&memory);
        let pushing = [0, 1].map(|seat| {
            let mut producer = producer(&memory, seat);
            spawn(move || {
                assert!(producer.write(11 + 10 * seat as u64));
                producer.publish();
                producer.notify();
            })
        });
        for pushing in pushing {
            pushing.join().unwrap();
        }
        join_consumers(popping)
    });
}

/// The ring is full, and the second slot is released first. Returns how many producers slept.
#[test]
fn out_of_order_releases_wake_every_producer() {
    check(Extent::Preemptions(2), 500, &[0, 1, 2], || {
        let memory = Memory::at(WRAP_32);
        assert_eq!(producer(&memory, 0).push_some(1, &[1, 2]), [1, 2]);
        let pushing = [0, 1].map(|seat| {
            let mut producer = producer(&memory, seat);
            spawn(move || producer.push_forwarding_wake(11 + 10 * seat as u64))
        });
        let popping = spawn(move || {
            let mut consumers = [consumer(&memory, 2), consumer(&memory, 3)];
            for (consumer, message) in consumers.iter_mut().zip([1, 2]) {
                assert_eq!(consumer.read(), Some(message));
            }
            for consumer in consumers.iter_mut().rev() {
                consumer.release();
                consumer.notify();
            }
        });
        popping.join().unwrap();
        pushing
            .map(|producer| u8::from(producer.join().unwrap()))
            .iter()
            .sum()
    });
}

/// A dead producer had claimed the first slot, and the next two are published. Until there is a
/// tombstone, no consumer finds a message. Returns how many consumers slept.
#[test]
fn tombstone_wakes_consumers_waiting_behind_it() {
    check(Extent::Preemptions(1), 100, &[0, 1, 2], || {
        let memory = Memory::of(4, WRAP_32);
        assert!(producer(&memory, 0).write(99));
        memory.mark_gone(0);
        let popping = two_consumers(&memory);
        let pushing = spawn(move || {
            let mut producer = producer(&memory, 1);
            for message in [11, 21] {
                assert!(producer.write(message));
                producer.publish();
                producer.notify();
            }
            assert_eq!(memory.recover(2, Delivery::AtLeastOnce).tombstones, 1);
            memory.not_empty.notify_all();
        });
        pushing.join().unwrap();
        join_consumers(popping)
    });
}
