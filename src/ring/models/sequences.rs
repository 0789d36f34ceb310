//! Random sequences of operations by one thread, on a ring and on a `VecDeque`. Both agree after
//! every step.

use super::mpmc::{consumer, producer};
use super::{Memory, TestConsumer, TestProducer, WRAP_32, WRAP_64};
use crate::ring::sweep::SweepStats;
use crate::ring::{PopSide, PushSide};
use std::collections::VecDeque;
use std::sync::Arc;

/// A deterministic generator of pseudo-random numbers.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % bound
    }
}

const SEEDS: u64 = if cfg!(miri) { 3 } else { 300 };
const STEPS: u64 = 120;

/// Runs `sequence` from start positions of all magnitudes, up to `last`.
fn for_start_positions(last: u64, mut sequence: impl FnMut(u64, u64, &mut Random)) {
    for seed in 1..=SEEDS {
        let near = 30 + seed % 20;
        for first in [0, WRAP_32 - near, last / 2 - near, last] {
            for capacity in [2, 4, 16] {
                sequence(capacity, first, &mut Random(seed << 8 | capacity));
            }
        }
    }
}

/// Pushes or pops, by one of the four ways.
fn step<W: PushSide, R: PopSide>(
    producer: &mut TestProducer<W>,
    consumer: &mut TestConsumer<R>,
    model: &mut VecDeque<u64>,
    next: &mut u64,
    random: &mut Random,
) {
    let capacity = producer.slots.capacity();
    let has_room = (model.len() as u64) < capacity;
    match random.below(8) {
        0 | 1 => {
            // The fast path may refuse a message that fits.
            let is_pushed = producer.push_fast(*next);
            assert!(has_room || !is_pushed);
            if is_pushed {
                model.push_back(*next);
                *next += 1;
            }
        }
        2 | 3 => {
            let max = 1 + random.below(5);
            let words = producer
                .memory
                .producer_words(&producer.slots, producer.seat);
            let is_free = producer.writer.claim(&words, max).unwrap();
            assert_eq!(is_free, has_room);
            if is_free {
                let mut left = max;
                producer.writer.push_claimed(&words, |slot| {
                    left = left.checked_sub(1)?;
                    model.push_back(*next);
                    *next += 1;
                    Some(super::put(model[model.len() - 1], slot))
                });
            }
        }
        4 | 5 => {
            if let Some(message) = consumer.pop_fast() {
                assert_eq!(Some(message), model.pop_front());
            }
        }
        _ => {
            let max = 1 + random.below(5);
            let first = consumer.claim_and_read(max);
            assert_eq!(first, model.front().copied());
            if first.is_some() {
                let words = consumer
                    .memory
                    .consumer_words(&consumer.slots, consumer.seat);
                let mut left = max;
                consumer.reader.pop_claimed(&words, |slot, len| {
                    if left == 0 {
                        return false;
                    }
                    left -= 1;
                    assert_eq!(super::get(slot, len), model.pop_front());
                    true
                });
            }
        }
    }
    producer.store_hint();
    consumer.store_hint();
    assert_eq!(
        consumer.is_ready() || consumer.reader.has_claim(),
        !model.is_empty()
    );
    assert_eq!(
        producer.is_ready() || producer.writer.has_claim(),
        (model.len() as u64) < capacity
    );
}

#[test]
fn spsc_random_operations_match_queue_across_takeovers() {
    for_start_positions(WRAP_64 - 40, |capacity, first, random| {
        let memory = Memory::of(capacity, first);
        let (mut producer, mut consumer) =
            (TestProducer::resume(&memory), TestConsumer::resume(&memory));
        let (mut model, mut next) = (VecDeque::new(), 1);
        for _ in 0..STEPS {
            step(&mut producer, &mut consumer, &mut model, &mut next, random);
            match random.below(20) {
                0 => producer = TestProducer::resume(&memory),
                1 => consumer = TestConsumer::resume(&memory),
                _ => {}
            }
        }
    });
}

#[test]
fn mpmc_random_operations_match_queue() {
    // MPMC positions end at 2^63.
    for_start_positions((WRAP_64 >> 1) - 6 * STEPS, |capacity, first, random| {
        let memory = Memory::of(capacity, first);
        let mut producers = [0, 1].map(|seat| producer(&memory, seat));
        let mut consumers = [2, 3].map(|seat| consumer(&memory, seat));
        let (mut model, mut next) = (VecDeque::new(), 1);
        for _ in 0..STEPS {
            let (producer, consumer) = (random.below(2) as usize, random.below(2) as usize);
            let (producer, consumer) = (&mut producers[producer], &mut consumers[consumer]);
            step(producer, consumer, &mut model, &mut next, random);
            // No claim is kept for the turn of another handle.
            let words = memory.producer_words(&producer.slots, producer.seat);
            assert_eq!(producer.writer.abandon(&words), 0);
        }
        assert_eq!(sweep(&memory), SweepStats::default());
    });
}

fn sweep(memory: &Arc<Memory>) -> SweepStats {
    memory.recover(2, crate::properties::Delivery::AtLeastOnce)
}
