//! Somebody stops for good, before any of the stores that it would make, while others go on. What
//! the dead one stores is stored_count: in a model of each number, it makes so many.

use super::mpmc::{apply_policy, consumer, filled_with, producer};
use super::{Memory, Popper, Pusher, WRAP_32, get, put};
use crate::properties::Delivery;
use crate::ring::mpmc::{Reader, Writer};
use crate::ring::{PopSide, PushSide};
use crate::sync::kill::{killed_after, will_store};
use crate::sync::model::{Extent, check, spawn};
use std::sync::Arc;

impl Pusher<Writer> {
    /// As `push_some`, of one claim, and killed in the middle of it.
    fn push_until_killed(&mut self, stores: u32, messages: &[u64]) -> Vec<u64> {
        let mut pushed = Vec::new();
        let mut left = messages.len() as u64;
        killed_after(stores, || {
            if let &[message] = messages {
                let words = self.memory.for_pushing(&self.slots, self.seat);
                let is_sent = self.writer.push_one(&words, |slot| {
                    if will_store() {
                        pushed.push(message);
                    }
                    put(message, slot)
                });
                if is_sent {
                    return;
                }
            }
            for &message in messages {
                if !self.write_first_of(left, message) {
                    break;
                }
                if will_store() {
                    pushed.push(message);
                }
                self.publish();
                left -= 1;
            }
        });
        self.memory.sweep_producer(self.seat);
        pushed
    }
}

impl Popper<Reader> {
    /// As `pop_some`, of one claim, and killed in the middle of it. What was not given back is not
    /// popped.
    fn pop_until_killed(&mut self, stores: u32, messages: u64) -> Vec<u64> {
        let mut popped = Vec::new();
        killed_after(stores, || {
            if messages == 1 {
                let words = self.memory.for_popping(&self.slots, self.seat);
                let received = self.reader.pop_one(&words, |slot, len| {
                    let message = get(slot, len)?;
                    if will_store() {
                        popped.push(message);
                    }
                    Some(message)
                });
                if received.is_some() {
                    return;
                }
            }
            for left in (1..=messages).rev() {
                let Some(message) = self.read_first_of(left) else {
                    break;
                };
                if will_store() {
                    popped.push(message);
                }
                self.release();
            }
        });
        self.memory.sweep_producer(self.seat);
        popped
    }
}

/// Finishes everything that the dead had begun, now that nobody lives but the consumer that does
/// it. Returns what it popped on the way.
pub(super) fn finish_all(memory: &Arc<Memory>, producers: u32) -> Vec<u64> {
    let mut last = consumer(memory, 3);
    let mut popped = Vec::new();
    loop {
        let stats = last.sweep(producers);
        popped.extend(last.pop_held());
        if stats.adopted.is_none() {
            assert_eq!((stats.undecided, stats.waiting), (0, 0));
            return popped;
        }
    }
}

/// A producer stops in a push of `messages`, while another one pushes and a consumer recovers and
/// pops. Tells how many were pushed.
fn a_producer_stops(stores: u32, messages: &'static [u64]) -> usize {
    let memory = Memory::of(4, WRAP_32);
    let mut dying = producer(&memory, 0);
    let dying = spawn(move || dying.push_until_killed(stores, messages));
    let mut other = producer(&memory, 1);
    let pushing = spawn(move || other.push_some(1, &[21]));
    let mut consumer = consumer(&memory, 3);
    let popping = spawn(move || {
        consumer.sweep(2);
        consumer.pop_some(1, 1)
    });
    let pushed = [dying.join().unwrap(), pushing.join().unwrap()];
    let popped = popping.join().unwrap();
    let rest = finish_all(&memory, 2);
    apply_policy(&memory, &pushed, &[popped, rest]);
    pushed[0].len()
}

#[test]
fn a_producer_that_is_killed_has_pushed_or_not() {
    let ends = [
        (1, &[0][..]),
        (2, &[0]),
        (3, &[0]),
        (4, &[0, 1]),
        (5, &[0, 1]),
    ];
    for (stores, outcomes) in ends {
        check(Extent::Preemptions(2), 50, outcomes, move || {
            a_producer_stops(stores, &[11])
        });
    }
}

#[test]
fn a_producer_that_is_killed_has_pushed_the_first_of_its_batch() {
    for (stores, outcomes) in [(3, &[0][..]), (4, &[0, 1]), (5, &[0, 2]), (6, &[1, 2])] {
        check(Extent::Preemptions(2), 50, outcomes, move || {
            a_producer_stops(stores, &[11, 12])
        });
    }
}

/// A consumer stops in a pop of `messages` of the two that there are, while another one pops and a
/// third one recovers and pops. Tells how many it popped.
fn a_consumer_stops(stores: u32, messages: u64) -> usize {
    let memory = filled_with(Memory::at(WRAP_32), 2);
    let mut dying = consumer(&memory, 1);
    let dying = spawn(move || dying.pop_until_killed(stores, messages));
    let mut other = consumer(&memory, 2);
    let popping = spawn(move || other.pop_some(1, 1));
    let mut heir = consumer(&memory, 3);
    let inheriting = spawn(move || {
        heir.sweep(1);
        heir.pop_held()
    });
    let popped = [dying, popping, inheriting].map(|thread| thread.join().unwrap());
    let rest = [finish_all(&memory, 1)];
    apply_policy(&memory, &[], &[&popped[..], &rest].concat());
    popped[0].len()
}

#[test]
fn a_consumer_that_is_killed_has_popped_or_not() {
    let ends = [
        (1, &[0][..]),
        (2, &[0]),
        (3, &[0]),
        (4, &[0, 1]),
        (5, &[0, 1]),
    ];
    for (stores, outcomes) in ends {
        check(Extent::Preemptions(2), 50, outcomes, move || {
            a_consumer_stops(stores, 1)
        });
    }
}

#[test]
fn a_consumer_that_is_killed_has_popped_the_first_of_its_batch() {
    for (stores, outcomes) in [(3, &[0][..]), (4, &[0, 1]), (5, &[0, 1, 2])] {
        check(Extent::Preemptions(2), 50, outcomes, move || {
            a_consumer_stops(stores, 2)
        });
    }
}

/// P of a tombstone carries what the dead one wrote into the slot: the next producer to write
/// there knows of its death by that alone.
#[test]
fn a_slot_that_was_half_written_is_written_again() {
    check(Extent::Preemptions(3), 50, &[1, 2], || {
        let memory = Memory::at(WRAP_32);
        let mut dying = producer(&memory, 0);
        let words = memory.for_pushing(&dying.slots, 0);
        assert_eq!(dying.writer.claim(&words, 1), Ok(true));
        let dying = spawn(move || {
            assert!(dying.write(99));
            dying.memory.sweep_producer(0);
        });
        let sweeping = spawn({
            let memory = Arc::clone(&memory);
            move || memory.sweep(2, Delivery::AtLeastOnce)
        });
        let (mut producer, mut consumer) = (producer(&memory, 1), consumer(&memory, 2));
        let going_on = spawn(move || {
            let mut pushed = producer.push_some(1, &[11]);
            let popped = consumer.pop_some(1, 1);
            pushed.extend(producer.push_some(1, &[12]));
            (pushed, popped)
        });
        dying.join().unwrap();
        sweeping.join().unwrap();
        let (pushed, popped) = going_on.join().unwrap();
        let rest = finish_all(&memory, 2);
        apply_policy(&memory, &[pushed.clone()], &[popped, rest]);
        pushed.len()
    });
}

/// R of what is dropped carries the end of the dead one's reading, as above.
#[test]
fn a_slot_that_was_half_read_is_written_again() {
    check(Extent::Preemptions(3), 50, &[1, 2], || {
        let memory = Memory::at(WRAP_32);
        assert_eq!(producer(&memory, 0).push_some(1, &[1]), [1]);
        let mut dying = consumer(&memory, 2);
        let words = memory.for_popping(&dying.slots, 2);
        assert_eq!(dying.reader.claim(&words, 1), Ok(Some(8)));
        let dying = spawn(move || {
            assert_eq!(dying.read(), Some(1));
            dying.memory.sweep_producer(2);
        });
        let sweeping = spawn({
            let memory = Arc::clone(&memory);
            move || memory.sweep(2, Delivery::AtMostOnce)
        });
        let mut producer = producer(&memory, 1);
        let going_on = spawn(move || producer.push_some(1, &[11, 12]));
        dying.join().unwrap();
        sweeping.join().unwrap();
        let pushed = going_on.join().unwrap();
        memory.sweep(2, Delivery::AtMostOnce);
        apply_policy(&memory, &[pushed.clone()], &[]);
        pushed.len()
    });
}

/// Nobody gets a second time what may have been worked on already.
#[test]
fn what_a_dead_consumer_had_is_dropped_at_most_once() {
    for (stores, outcomes) in [
        (2, &[(0, 0)][..]),
        (3, &[(0, 0), (0, 1)]),
        (4, &[(0, 0), (1, 0)]),
    ] {
        check(Extent::Preemptions(2), 50, outcomes, move || {
            let memory = filled_with(Memory::at(WRAP_32), 2);
            let mut dying = consumer(&memory, 1);
            let dying = spawn(move || dying.pop_until_killed(stores, 1));
            let mut other = consumer(&memory, 2);
            let popping = spawn(move || other.pop_some(1, 2));
            let sweeping = spawn({
                let memory = Arc::clone(&memory);
                move || memory.sweep(1, Delivery::AtMostOnce)
            });
            let died_with = dying.join().unwrap();
            let popped = popping.join().unwrap();
            let stats = sweeping.join().unwrap();
            let dropped = stats.dropped + memory.sweep(1, Delivery::AtMostOnce).dropped;
            let rest = consumer(&memory, 3).pop_some(1, 9);
            let all = died_with.len() + popped.len() + rest.len();
            assert_eq!(all as u64 + dropped, 2);
            (died_with.len(), dropped)
        });
    }
}
