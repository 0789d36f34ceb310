//! A participant is killed before one of the stores that it would make, while others continue. Each
//! model runs once for each number of stores that the killed participant makes.

use super::mpmc::{assert_delivered_once, consumer, producer, with_messages};
use super::{Memory, TestConsumer, TestProducer, WRAP_32, get, put};
use crate::properties::Delivery;
use crate::ring::mpmc::{Reader, Writer};
use crate::ring::{PopSide, PushSide};
use crate::sync::kill::{killed_after, will_store};
use crate::sync::model::{Extent, check, spawn};
use std::sync::Arc;

impl TestProducer<Writer> {
    /// Pushes in one claim, and is killed before it makes more than `stores` stores. Returns the
    /// messages that it published.
    fn push_until_killed(&mut self, stores: u32, messages: &[u64]) -> Vec<u64> {
        let mut pushed = Vec::new();
        let mut left = messages.len() as u64;
        killed_after(stores, || {
            if let &[message] = messages {
                let words = self.memory.producer_words(&self.slots, self.seat);
                let is_pushed = self.writer.push_one(&words, |slot| {
                    if will_store() {
                        pushed.push(message);
                    }
                    put(message, slot)
                });
                if is_pushed {
                    return;
                }
            }
            for &message in messages {
                if !self.claim_and_write(left, message) {
                    break;
                }
                if will_store() {
                    pushed.push(message);
                }
                self.publish();
                left -= 1;
            }
        });
        self.memory.mark_gone(self.seat);
        pushed
    }
}

impl TestConsumer<Reader> {
    /// Pops in one claim, and is killed before it makes more than `stores` stores. Returns the
    /// messages that it released.
    fn pop_until_killed(&mut self, stores: u32, messages: u64) -> Vec<u64> {
        let mut popped = Vec::new();
        killed_after(stores, || {
            if messages == 1 {
                let words = self.memory.consumer_words(&self.slots, self.seat);
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
                let Some(message) = self.claim_and_read(left) else {
                    break;
                };
                if will_store() {
                    popped.push(message);
                }
                self.release();
            }
        });
        self.memory.mark_gone(self.seat);
        popped
    }
}

/// Finishes all operations of dead participants, when no other participant lives. Returns the
/// messages that it adopted and popped.
pub(super) fn recover_all(memory: &Arc<Memory>, producers: u32) -> Vec<u64> {
    let mut last = consumer(memory, 3);
    let mut popped = Vec::new();
    loop {
        let stats = last.recover(producers);
        popped.extend(last.pop_claimed_rest());
        if stats.adopted.is_none() {
            assert_eq!((stats.undecided, stats.waiting), (0, 0));
            return popped;
        }
    }
}

/// A producer is killed in a push of `messages`, while another one pushes and a consumer recovers
/// and pops. Returns how many messages it published.
fn kill_producer_after(stores: u32, messages: &'static [u64]) -> usize {
    let memory = Memory::of(4, WRAP_32);
    let mut dying = producer(&memory, 0);
    let dying = spawn(move || dying.push_until_killed(stores, messages));
    let mut other = producer(&memory, 1);
    let pushing = spawn(move || other.push_some(1, &[21]));
    let mut consumer = consumer(&memory, 3);
    let popping = spawn(move || {
        consumer.recover(2);
        consumer.pop_some(1, 1)
    });
    let pushed = [dying.join().unwrap(), pushing.join().unwrap()];
    let popped = popping.join().unwrap();
    let rest = recover_all(&memory, 2);
    assert_delivered_once(&memory, &pushed, &[popped, rest]);
    pushed[0].len()
}

#[test]
fn producer_killed_in_push_publishes_all_or_nothing() {
    let cases = [
        (1, &[0][..]),
        (2, &[0]),
        (3, &[0]),
        (4, &[0, 1]),
        (5, &[0, 1]),
    ];
    for (stores, outcomes) in cases {
        check(Extent::Preemptions(2), 50, outcomes, move || {
            kill_producer_after(stores, &[11])
        });
    }
}

#[test]
fn producer_killed_in_batch_publishes_a_prefix() {
    for (stores, outcomes) in [(3, &[0][..]), (4, &[0, 1]), (5, &[0, 2]), (6, &[1, 2])] {
        check(Extent::Preemptions(2), 50, outcomes, move || {
            kill_producer_after(stores, &[11, 12])
        });
    }
}

/// A consumer is killed in a pop of `messages` of two messages, while another one pops and a third
/// one recovers and pops. Returns how many messages it released.
fn kill_consumer_after(stores: u32, messages: u64) -> usize {
    let memory = with_messages(Memory::at(WRAP_32), 2);
    let mut dying = consumer(&memory, 1);
    let dying = spawn(move || dying.pop_until_killed(stores, messages));
    let mut other = consumer(&memory, 2);
    let popping = spawn(move || other.pop_some(1, 1));
    let mut adopter = consumer(&memory, 3);
    let inheriting = spawn(move || {
        adopter.recover(1);
        adopter.pop_claimed_rest()
    });
    let popped = [dying, popping, inheriting].map(|thread| thread.join().unwrap());
    let rest = [recover_all(&memory, 1)];
    assert_delivered_once(&memory, &[], &[&popped[..], &rest].concat());
    popped[0].len()
}

#[test]
fn consumer_killed_in_pop_releases_all_or_nothing() {
    let cases = [
        (1, &[0][..]),
        (2, &[0]),
        (3, &[0]),
        (4, &[0, 1]),
        (5, &[0, 1]),
    ];
    for (stores, outcomes) in cases {
        check(Extent::Preemptions(2), 50, outcomes, move || {
            kill_consumer_after(stores, 1)
        });
    }
}

#[test]
fn consumer_killed_in_batch_releases_a_prefix() {
    for (stores, outcomes) in [(3, &[0][..]), (4, &[0, 1]), (5, &[0, 1, 2])] {
        check(Extent::Preemptions(2), 50, outcomes, move || {
            kill_consumer_after(stores, 2)
        });
    }
}

/// Edge P of a tombstone carries what the dead producer wrote into the slot. The next producer that
/// writes there is ordered after it by that edge alone. Returns how many messages that one pushed.
/// A batch ends before its claim, since a message does not fit, and the producer is killed there. A
/// recovery finds the rest by the intent.
#[test]
fn producer_killed_after_partial_batch_leaves_tombstones() {
    check(Extent::Exhaustive, 1, &[1], || {
        let memory = Memory::at(WRAP_32);
        let mut dying = producer(&memory, 0);
        let pushing = spawn(move || {
            let words = dying.memory.producer_words(&dying.slots, dying.seat);
            assert_eq!(dying.writer.claim(&words, 2), Ok(true));
            let mut messages = [11].into_iter();
            let fill = |slot| messages.next().map(|message| put(message, slot));
            assert_eq!(dying.writer.push_claimed(&words, fill), 1);
            dying.memory.mark_gone(dying.seat);
        });
        pushing.join().unwrap();
        let stats = memory.recover(2, Delivery::AtLeastOnce);
        assert_delivered_once(&memory, &[vec![11]], &[]);
        stats.tombstones
    });
}

/// As above, of a consumer: the messages that it did not release are orphans.
#[test]
fn consumer_killed_after_partial_batch_leaves_orphans() {
    check(Extent::Exhaustive, 1, &[1], || {
        let memory = with_messages(Memory::at(WRAP_32), 2);
        let mut dying = consumer(&memory, 2);
        let popping = spawn(move || {
            let words = dying.memory.consumer_words(&dying.slots, dying.seat);
            assert_eq!(dying.reader.claim(&words, 2), Ok(Some(8)));
            let mut popped = Vec::new();
            let keep = |slot, len| {
                let is_first = popped.is_empty();
                popped.extend(get(slot, len).filter(|_| is_first));
                is_first
            };
            assert_eq!(dying.reader.pop_claimed(&words, keep), 1);
            dying.memory.mark_gone(dying.seat);
            popped
        });
        let popped = popping.join().unwrap();
        let rest = recover_all(&memory, 1);
        assert_delivered_once(&memory, &[], &[popped, rest.clone()]);
        rest.len()
    });
}

#[test]
fn slot_half_written_by_dead_producer_is_reused() {
    check(Extent::Preemptions(3), 50, &[1, 2], || {
        let memory = Memory::at(WRAP_32);
        let mut dying = producer(&memory, 0);
        let words = memory.producer_words(&dying.slots, 0);
        assert_eq!(dying.writer.claim(&words, 1), Ok(true));
        let dying = spawn(move || {
            assert!(dying.write(99));
            dying.memory.mark_gone(0);
        });
        let sweeping = spawn({
            let memory = Arc::clone(&memory);
            move || memory.recover(2, Delivery::AtLeastOnce)
        });
        let (mut producer, mut consumer) = (producer(&memory, 1), consumer(&memory, 2));
        let continuing = spawn(move || {
            let mut pushed = producer.push_some(1, &[11]);
            let popped = consumer.pop_some(1, 1);
            pushed.extend(producer.push_some(1, &[12]));
            (pushed, popped)
        });
        dying.join().unwrap();
        sweeping.join().unwrap();
        let (pushed, popped) = continuing.join().unwrap();
        let rest = recover_all(&memory, 2);
        assert_delivered_once(&memory, &[pushed.clone()], &[popped, rest]);
        pushed.len()
    });
}

/// Edge R of a dropped message carries the end of the dead consumer's reading, as above.
#[test]
fn slot_half_read_by_dead_consumer_is_reused() {
    check(Extent::Preemptions(3), 50, &[1, 2], || {
        let memory = Memory::at(WRAP_32);
        assert_eq!(producer(&memory, 0).push_some(1, &[1]), [1]);
        let mut dying = consumer(&memory, 2);
        let words = memory.consumer_words(&dying.slots, 2);
        assert_eq!(dying.reader.claim(&words, 1), Ok(Some(8)));
        let dying = spawn(move || {
            assert_eq!(dying.read(), Some(1));
            dying.memory.mark_gone(2);
        });
        let sweeping = spawn({
            let memory = Arc::clone(&memory);
            move || memory.recover(2, Delivery::AtMostOnce)
        });
        let mut producer = producer(&memory, 1);
        let continuing = spawn(move || producer.push_some(1, &[11, 12]));
        dying.join().unwrap();
        sweeping.join().unwrap();
        let pushed = continuing.join().unwrap();
        memory.recover(2, Delivery::AtMostOnce);
        assert_delivered_once(&memory, &[pushed.clone()], &[]);
        pushed.len()
    });
}

/// A message that a dead consumer may have processed is not delivered again. Returns how many
/// messages it released, and how many were dropped.
#[test]
fn at_most_once_drops_claim_of_dead_consumer() {
    for (stores, outcomes) in [
        (2, &[(0, 0)][..]),
        (3, &[(0, 0), (0, 1)]),
        (4, &[(0, 0), (1, 0)]),
    ] {
        check(Extent::Preemptions(2), 50, outcomes, move || {
            let memory = with_messages(Memory::at(WRAP_32), 2);
            let mut dying = consumer(&memory, 1);
            let dying = spawn(move || dying.pop_until_killed(stores, 1));
            let mut other = consumer(&memory, 2);
            let popping = spawn(move || other.pop_some(1, 2));
            let sweeping = spawn({
                let memory = Arc::clone(&memory);
                move || memory.recover(1, Delivery::AtMostOnce)
            });
            let popped_by_dead = dying.join().unwrap();
            let popped = popping.join().unwrap();
            let stats = sweeping.join().unwrap();
            let dropped = stats.dropped + memory.recover(1, Delivery::AtMostOnce).dropped;
            let rest = consumer(&memory, 3).pop_some(1, 9);
            let all = popped_by_dead.len() + popped.len() + rest.len();
            assert_eq!(all as u64 + dropped, 2);
            (popped_by_dead.len(), dropped)
        });
    }
}
