//! Rings that end, and the next segment that follows.

use super::mpmc::{consumer, producer};
use super::{Memory, TestConsumer, TestProducer, WRAP_32, spsc_handles};
use crate::ring::closing::{self, Closing, SEALED, is_drained, seal};
use crate::ring::{PopSide, PushSide};
use crate::sync::model::{Extent, check, spawn, yield_now};
use crate::sync::{AtomicU64, Relaxed};
use std::sync::Arc;

impl<W: PushSide> TestProducer<W> {
    fn end_segment(&mut self) -> bool {
        let words = self.memory.producer_words(&self.slots, self.seat);
        self.writer.end_segment(&words).unwrap()
    }
}

impl<R: PopSide> TestConsumer<R> {
    fn is_past_end(&self) -> bool {
        let words = self.memory.consumer_words(&self.slots, self.seat);
        self.reader.is_past_end(&words)
    }
}

/// Edge I carries the next segment: a producer that is refused by a seal finds it. Returns whether
/// the push succeeded.
#[test]
fn push_refused_by_seal_sees_next_segment() {
    check(Extent::Preemptions(4), 10, &[false, true], || {
        let memory = Memory::at(WRAP_32);
        let next_segment = Arc::new(AtomicU64::new(0));
        let sealing = spawn({
            let (memory, next_segment) = (Arc::clone(&memory), Arc::clone(&next_segment));
            move || {
                next_segment.store(7, Relaxed);
                seal(&memory.tail);
            }
        });
        let mut producer = producer(&memory, 0);
        let pushing = spawn(move || {
            let is_pushed = producer.push_some(1, &[11]) == [11];
            let is_past_end = producer.end_segment();
            assert!(is_pushed || is_past_end);
            if is_past_end {
                assert_eq!(next_segment.load(Relaxed), 7);
            }
            is_pushed
        });
        sealing.join().unwrap();
        pushing.join().unwrap()
    });
}

/// Two producers claim one and two positions while the ring is sealed. The messages that they
/// pushed are exactly those below the end. Returns how many were pushed.
#[test]
fn push_while_sealing_is_refused_or_below_final_tail() {
    check(Extent::Preemptions(3), 100, &[0, 1, 2, 3], || {
        let memory = Memory::of(4, WRAP_32);
        let sealing = spawn({
            let memory = Arc::clone(&memory);
            move || seal(&memory.tail)
        });
        let pushing = [(0, 1, &[11][..]), (1, 2, &[21, 22])].map(|(seat, max, messages)| {
            let mut producer = producer(&memory, seat);
            spawn(move || producer.push_some(max, messages))
        });
        let pushed = pushing.map(|producer| producer.join().unwrap()).concat();
        sealing.join().unwrap();
        let tail = memory.tail.load(Relaxed);
        assert_eq!(tail, (WRAP_32 + pushed.len() as u64) | SEALED);
        let mut consumer = consumer(&memory, 3);
        let mut popped = consumer.pop_some(1, 9);
        assert!(is_drained(&memory.tail, &memory.head));
        popped.sort_unstable();
        let mut expected = pushed.clone();
        expected.sort_unstable();
        assert_eq!(popped, expected);
        pushed.len()
    });
}

/// A consumer advances when each position below the end was claimed. It does not while a producer
/// has not published such a position. Returns how many messages it popped.
#[test]
fn consumer_advances_only_after_last_message() {
    check(Extent::Preemptions(3), 100, &[0, 1, 2], || {
        let memory = Memory::at(WRAP_32);
        let mut producer = producer(&memory, 0);
        let pushing = spawn(move || producer.push_some(1, &[11, 12]));
        let sealing = spawn({
            let memory = Arc::clone(&memory);
            move || seal(&memory.tail)
        });
        let mut consumer = consumer(&memory, 3);
        let popping = spawn(move || {
            let mut popped = consumer.pop_some(1, 9);
            let is_past_end = consumer.is_past_end();
            if !is_past_end {
                yield_now();
            }
            popped.extend(consumer.pop_some(1, if is_past_end { 0 } else { 9 }));
            (popped, consumer.is_past_end())
        });
        let pushed = pushing.join().unwrap();
        sealing.join().unwrap();
        let (popped, is_past_end) = popping.join().unwrap();
        assert_eq!(popped, pushed[..popped.len()]);
        if is_past_end {
            assert_eq!(popped, pushed);
        }
        popped.len()
    });
}

/// In a drained ring, a consumer that has not released a message has its intent set. Returns
/// whether the ring was drained with no intent set.
#[test]
fn drained_ring_without_intents_has_no_unreleased_slot() {
    check(Extent::Preemptions(4), 20, &[false, true], || {
        let memory = Memory::at(WRAP_32);
        producer(&memory, 0).push_some(1, &[11]);
        seal(&memory.tail);
        let mut consumer = consumer(&memory, 3);
        let popping = spawn(move || consumer.pop_some(1, 1));
        let retiring = spawn({
            let memory = Arc::clone(&memory);
            move || {
                let is_drained = is_drained(&memory.tail, &memory.head)
                    && memory.intents.iter().all(|intent| intent.read(2).is_none());
                if is_drained {
                    let next_lap = WRAP_32 + memory.slots().capacity();
                    assert_eq!(memory.slots().at(WRAP_32).stamp().ahead_of(next_lap), 0);
                }
                is_drained
            }
        });
        assert_eq!(popping.join().unwrap(), [11]);
        retiring.join().unwrap()
    });
}

/// Either `close` sees that the next segment follows, or `supersede` sees that the ring is closed.
/// Returns which of the two closed the next segment.
#[test]
fn close_while_growing_closes_next_segment() {
    check(
        Extent::Exhaustive,
        3,
        &[(false, true), (true, false)],
        || {
            let segments = Arc::new([Closing::new(), Closing::new()]);
            let next_segment = Arc::new(AtomicU64::new(0));
            let growing = spawn({
                let (segments, next_segment) = (Arc::clone(&segments), Arc::clone(&next_segment));
                move || {
                    next_segment.store(7, Relaxed);
                    let is_closed = segments[0].supersede();
                    if is_closed {
                        segments[1].close();
                    }
                    is_closed
                }
            });
            let closing = spawn({
                let segments = Arc::clone(&segments);
                move || {
                    let has_next_segment = segments[0].close();
                    if has_next_segment {
                        assert_eq!(next_segment.load(Relaxed), 7);
                        segments[1].close();
                    }
                    has_next_segment
                }
            });
            let closed = (growing.join().unwrap(), closing.join().unwrap());
            assert!(segments[1].is_closed() && !segments[1].is_superseded());
            closed
        },
    );
}

/// The end marker of an SPSC ring follows the messages in order. Returns whether the consumer had
/// to wait.
#[test]
fn messages_before_end_marker_are_popped_first() {
    check(Extent::Preemptions(5), 100, &[false, true], || {
        let memory = Memory::at(WRAP_32);
        let (mut producer, mut consumer) = spsc_handles(&memory);
        let pushing = spawn(move || {
            (1..=2).for_each(|message| producer.push_spinning(message));
            while !producer.end_segment() {
                yield_now();
            }
            // A successor finds the ring ended.
            assert!(TestProducer::resume(&producer.memory).end_segment());
        });
        let popping = spawn(move || {
            let mut popped = Vec::new();
            while !consumer.is_past_end() {
                match consumer.pop_fast() {
                    Some(message) => popped.push(message),
                    None => {
                        consumer.was_refused = true;
                        yield_now();
                    }
                }
            }
            assert_eq!(popped, [1, 2]);
            consumer.was_refused
        });
        pushing.join().unwrap();
        popping.join().unwrap()
    });
}

#[test]
fn seal_keeps_position() {
    check(Extent::Exhaustive, 1, &[()], || {
        let tail = AtomicU64::new(WRAP_32);
        seal(&tail);
        seal(&tail);
        assert_eq!(closing::position(tail.load(Relaxed)), WRAP_32);
    });
}
