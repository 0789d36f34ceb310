//! Many producers and many consumers, all of them live. None of them waits: of three threads, two
//! that spin could alternate for ever.

use super::{Memory, TestConsumer, TestProducer, WRAP_32, get, put};
use crate::ring::mpmc::{Reader, Writer};
use crate::ring::{PopSide, PushSide};
use crate::sync::Relaxed;
use crate::sync::model::{Extent, JoinHandle, check, spawn};
use std::sync::Arc;

pub(super) fn producer(memory: &Arc<Memory>, seat: usize) -> TestProducer<Writer> {
    TestProducer::at_seat(memory, seat)
}

pub(super) fn consumer(memory: &Arc<Memory>, seat: usize) -> TestConsumer<Reader> {
    TestConsumer::at_seat(memory, seat)
}

impl TestProducer<Writer> {
    /// Pushes as many messages as fit, in claims of up to `max`. Returns those pushed.
    pub(super) fn push_some(&mut self, max: u64, messages: &[u64]) -> Vec<u64> {
        let mut pushed = Vec::new();
        while let Some(&next) = messages.get(pushed.len()) {
            if max == 1 && self.push_fast(next) {
                pushed.push(next);
                continue;
            }
            let left = (messages.len() - pushed.len()) as u64;
            let words = self.memory.producer_words(&self.slots, self.seat);
            if !self.writer.claim(&words, max.min(left)).unwrap() {
                self.was_refused = true;
                break;
            }
            self.writer.push_claimed(&words, |slot| {
                let &next = messages.get(pushed.len())?;
                pushed.push(next);
                Some(put(next, slot))
            });
        }
        pushed
    }
}

impl TestConsumer<Reader> {
    /// Pops up to `messages` available messages, in claims of up to `max`.
    pub(super) fn pop_some(&mut self, max: u64, messages: usize) -> Vec<u64> {
        let mut popped = Vec::new();
        while popped.len() < messages {
            if max == 1 {
                if let Some(message) = self.pop_fast() {
                    popped.push(message);
                    continue;
                }
            }
            let left = (messages - popped.len()) as u64;
            if self.claim_and_read(max.min(left)).is_none() {
                break;
            }
            let words = self.memory.consumer_words(&self.slots, self.seat);
            self.reader.pop_claimed(&words, |slot, len| {
                let message = get(slot, len).filter(|_| popped.len() < messages);
                popped.extend(message);
                message.is_some()
            });
        }
        popped
    }
}

/// Asserts that every pushed message is popped once, in the order of its producer. Messages of one
/// producer share their tens digit.
///
/// Pops the remaining messages first. Then asserts that all slots are free and no intent is set.
pub(super) fn assert_delivered_once(
    memory: &Arc<Memory>,
    pushed: &[Vec<u64>],
    popped: &[Vec<u64>],
) {
    let rest = consumer(memory, 3).pop_some(1, 9);
    let mut all = popped.concat();
    all.extend(&rest);
    all.sort_unstable();
    let mut expected = pushed.concat();
    expected.extend(memory.initial_messages.get().into_iter().flatten());
    expected.sort_unstable();
    assert_eq!(all, expected);
    for popped in popped.iter().chain([&rest]) {
        let mut by_producer = popped.clone();
        by_producer.sort_by_key(|message| message / 10);
        assert!(by_producer.is_sorted(), "{popped:?}");
    }
    let (slots, end) = (memory.slots(), memory.head.load(Relaxed));
    assert_eq!(memory.tail.load(Relaxed), end);
    for position in end..end + slots.capacity() {
        assert_eq!(slots.at(position).stamp().ahead_of(position), 0);
    }
    for intent in &memory.intents {
        assert_eq!(intent.read(slots.capacity()), None);
    }
}

/// Lets producers push and consumers pop concurrently, in claims of up to `max`. Returns whether
/// any producer, and whether any consumer, was refused.
fn run_concurrently(
    memory: &Arc<Memory>,
    max: u64,
    pushing: &'static [&'static [u64]],
    popping: &[usize],
) -> (bool, bool) {
    let pushing = pushing.iter().enumerate().map(|(seat, &messages)| {
        let mut producer = producer(memory, seat);
        spawn(move || {
            let pushed = producer.push_some(max, messages);
            (pushed, producer.was_refused)
        })
    });
    let popping = popping.iter().enumerate().map(|(nth, &messages)| {
        let mut consumer = consumer(memory, 2 + nth);
        spawn(move || {
            let popped = consumer.pop_some(max, messages);
            (popped, consumer.was_refused)
        })
    });
    let (pushing, popping) = (pushing.collect::<Vec<_>>(), popping.collect::<Vec<_>>());
    let join = |threads: Vec<JoinHandle<(Vec<u64>, bool)>>| {
        let ended = threads.into_iter().map(|thread| thread.join().unwrap());
        ended.unzip::<_, _, Vec<_>, Vec<_>>()
    };
    let (pushed, was_full) = join(pushing);
    let (popped, was_empty) = join(popping);
    assert_delivered_once(memory, &pushed, &popped);
    (was_full.contains(&true), was_empty.contains(&true))
}

/// Pushes `messages` messages before a model starts.
pub(super) fn with_messages(memory: Arc<Memory>, messages: u64) -> Arc<Memory> {
    let messages = (1..=messages).collect::<Vec<_>>();
    assert_eq!(producer(&memory, 0).push_some(1, &messages), messages);
    memory.initial_messages.set(messages).unwrap();
    memory
}

const EITHER_MAY_BE_REFUSED: [(bool, bool); 4] =
    [(false, false), (false, true), (true, false), (true, true)];

#[test]
fn two_producers_keep_order_per_producer() {
    check(Extent::Preemptions(3), 4000, &EITHER_MAY_BE_REFUSED, || {
        let memory = with_messages(Memory::at(WRAP_32 - 1), 1);
        run_concurrently(&memory, 1, &[&[11, 12], &[21]], &[3])
    });
}

#[test]
fn two_consumers_pop_each_message_once() {
    // If the producer's second message is refused, a consumer is refused too.
    let outcomes = [(false, false), (false, true), (true, true)];
    check(Extent::Preemptions(3), 4000, &outcomes, || {
        let memory = with_messages(Memory::at(WRAP_32 - 1), 1);
        run_concurrently(&memory, 1, &[&[11, 12]], &[2, 1])
    });
}

/// With more than two preemptions, loom takes too long here.
#[test]
fn two_producers_two_consumers_lose_nothing() {
    check(Extent::Preemptions(2), 4000, &EITHER_MAY_BE_REFUSED, || {
        let memory = with_messages(Memory::at(WRAP_32), 1);
        run_concurrently(&memory, 1, &[&[11], &[21]], &[1, 1])
    });
}

/// Claims of two slots, which may get only one, against each other.
#[test]
fn two_producers_in_batches_lose_nothing() {
    check(Extent::Preemptions(3), 4000, &EITHER_MAY_BE_REFUSED, || {
        let memory = with_messages(Memory::at(WRAP_32), 1);
        run_concurrently(&memory, 2, &[&[11, 12], &[21]], &[3])
    });
}

#[test]
fn two_consumers_in_batches_lose_nothing() {
    check(Extent::Preemptions(3), 4000, &EITHER_MAY_BE_REFUSED, || {
        let memory = with_messages(Memory::at(WRAP_32), 2);
        run_concurrently(&memory, 2, &[&[11, 12]], &[2, 1])
    });
}

/// Each slot of a claim is inspected: a free last slot does not imply that those before it are
/// free. Returns how many messages were pushed.
#[test]
fn claim_stops_at_first_slot_not_released() {
    check(Extent::Preemptions(3), 300, &[0, 1, 2], || {
        let memory = with_messages(Memory::at(WRAP_32), 2);
        let consumers = [2, 3].map(|seat| {
            let mut consumer = consumer(&memory, seat);
            spawn(move || consumer.pop_some(1, 1))
        });
        let mut producer = producer(&memory, 0);
        let pushing = spawn(move || {
            let claimed = producer.claim_and_write(2, 11);
            let tail = producer.position();
            let mut pushed = Vec::new();
            if claimed {
                producer.publish();
                pushed.push(11);
            }
            if tail == WRAP_32 + 4 {
                assert!(producer.claim_and_write(1, 12));
                producer.publish();
                pushed.push(12);
            }
            pushed
        });
        let popped = consumers.map(|popping| popping.join().unwrap());
        let pushed = pushing.join().unwrap();
        assert_delivered_once(&memory, &[pushed.clone()], &popped);
        pushed.len()
    });
}
