//! Claims of many messages at once in MPMC rings.
//!
//! Consumers skip claimed positions without a message. Producers fill slots in order again after
//! they were released out of order.

use crate::support::names::Name;
use slipring::error::{PushError, TooLong, TryPopError, TryPushError};
use slipring::mpmc::Ring;
use slipring::{Counters, Options};
use std::borrow::Borrow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

#[test]
fn batch_push_stops_at_first_occupied_slot() {
    let name = Name::new();
    let ring = Ring::<u64>::create(&name, 8).unwrap();
    let mut producer = ring.producer().unwrap();
    let (mut first, mut second) = (ring.consumer().unwrap(), ring.consumer().unwrap());
    producer.push_slice(&[0, 1, 2, 3, 4, 5, 6, 7]).unwrap();
    assert_eq!(first.try_pop(), Ok(0));
    assert_eq!(first.try_pop(), Ok(1));
    let held = first.try_read().unwrap();
    assert_eq!(held.get(), 2);
    assert_eq!(second.try_iter().collect::<Vec<_>>(), [3, 4, 5, 6, 7]);
    // Only slot 2 is not free.
    let batch: Vec<u64> = (10..20).collect();
    assert_eq!(producer.try_push_slice(&batch), Ok(2));
    assert_eq!(producer.try_push_slice(&batch), Err(TryPushError::Full));
    drop(held);
    assert_eq!(producer.try_push_slice(&batch[2..]), Ok(6));
    let mut popped = Vec::new();
    assert_eq!(second.try_pop_append(&mut popped, 99), Ok(8));
    assert_eq!(popped, batch[..8]);
    assert_eq!(ring.counters(), Counters::default());
}

#[test]
fn batch_pop_stops_at_first_unpublished_message() {
    let name = Name::new();
    let ring = Ring::<u64>::create(&name, 8).unwrap();
    let (mut first, mut second) = (ring.producer().unwrap(), ring.producer().unwrap());
    let mut consumer = ring.consumer().unwrap();
    first.push_slice(&[1, 2]).unwrap();
    let mut claim = first.claim().unwrap();
    claim.write(&3);
    second.push_slice(&[4, 5]).unwrap();
    let mut popped = [0; 8];
    assert_eq!(consumer.try_pop_slice(&mut popped), Ok(2));
    assert_eq!(consumer.try_pop_slice(&mut popped), Err(TryPopError::Empty));
    claim.commit();
    assert_eq!(consumer.try_pop_slice(&mut popped), Ok(3));
    assert_eq!(popped[..3], [3, 4, 5]);
}

#[test]
fn run_of_tombstones_is_skipped_by_one_batch_pop() {
    let name = Name::new();
    let ring = Ring::<u64>::create(&name, 8).unwrap();
    let mut producer = ring.producer().unwrap();
    let mut consumer = ring.consumer().unwrap();
    for (tombstones, message) in [(8, false), (3, true), (7, true), (1, true), (8, false)] {
        for _ in 0..tombstones {
            drop(producer.try_claim().unwrap());
        }
        let mut popped = Vec::new();
        if message {
            producer.push(&7).unwrap();
            assert_eq!(consumer.try_pop_append(&mut popped, 8), Ok(1));
        }
        assert_eq!(
            consumer.try_pop_append(&mut popped, 8),
            Err(TryPopError::Empty)
        );
        assert_eq!(popped.len(), usize::from(message));
        assert!(ring.is_empty());
        assert!(!producer.is_full());
    }
    assert_eq!(ring.counters().tombstones, 27);
    assert_eq!(producer.try_push_slice(&[1; 9]), Ok(8));
}

#[test]
fn messages_between_tombstones_are_popped_together() {
    let name = Name::new();
    let ring = Ring::<u64>::create(&name, 8).unwrap();
    let mut producer = ring.producer().unwrap();
    let mut consumer = ring.consumer().unwrap();
    for number in 0..4 {
        drop(producer.try_claim().unwrap());
        producer.try_push(&number).unwrap();
    }
    let mut popped = [9; 3];
    assert_eq!(consumer.try_pop_slice(&mut popped), Ok(3));
    assert_eq!(popped, [0, 1, 2]);
    assert_eq!(consumer.pop_slice(&mut popped), Ok(1));
    assert_eq!(popped[0], 3);
    assert!(consumer.is_empty());
}

#[test]
fn too_long_message_ends_batch_and_abandons_rest_of_claim() {
    let name = Name::new();
    let ring = Ring::<[u8]>::create_bytes(&name, 8, 3).unwrap();
    let mut producer = ring.producer().unwrap();
    let mut consumer = ring.consumer().unwrap();
    let batch = [&b"a"[..], b"bb", b"long", b"c", b"d"];
    assert_eq!(producer.try_push_slice(&batch), Ok(2));
    producer.push(b"e").unwrap();
    assert_eq!(
        consumer.try_iter().collect::<Vec<_>>(),
        [&b"a"[..], b"bb", b"e"]
    );
    assert!(ring.is_empty());
    let stopped = producer.push_slice(&batch).unwrap_err();
    assert_eq!(stopped.pushed, 2);
    assert!(matches!(
        stopped.reason,
        PushError::TooLong(TooLong { len: 4, max: 3, .. })
    ));
    assert_eq!(consumer.try_iter().count(), 2);
    // The next batch can fill the whole ring.
    assert_eq!(producer.try_push_slice(&[*b"x"; 9]), Ok(8));
}

/// An element of a batch, which panics when the batch reads it if it is 0.
struct Part(u64);

impl Borrow<u64> for Part {
    fn borrow(&self) -> &u64 {
        assert_ne!(self.0, 0, "on purpose");
        &self.0
    }
}

#[test]
fn panic_in_batch_push_abandons_rest_of_claim() {
    let name = Name::new();
    let ring = Ring::<u64>::create(&name, 8).unwrap();
    let mut producer = ring.producer().unwrap();
    let mut consumer = ring.consumer().unwrap();
    for _ in 0..5 {
        let batch = [1, 2, 0, 3, 4].map(Part);
        let pushed = catch_unwind(AssertUnwindSafe(|| producer.try_push_slice(&batch)));
        assert!(pushed.is_err());
        producer.push(&5).unwrap();
        assert_eq!(consumer.try_iter().collect::<Vec<_>>(), [1, 2, 5]);
        assert!(ring.is_empty());
    }
    assert_eq!(ring.counters().tombstones, 15);
}

#[test]
fn slice_larger_than_ring_and_claim_is_pushed_whole() {
    const MESSAGES: u64 = 30_000;
    for capacity in [4, 8192] {
        let name = Name::new();
        let options = Options::new().capacity(capacity);
        let ring = Ring::<u64>::create_with(&name, &options).unwrap();
        let mut producer = ring.producer().unwrap();
        let mut consumers = [ring.consumer().unwrap(), ring.consumer().unwrap()];
        let messages: Vec<u64> = (0..MESSAGES).collect();
        let mut popped = thread::scope(|scope| {
            let popping = consumers.each_mut().map(|consumer| {
                scope.spawn(|| {
                    let mut popped = Vec::new();
                    while consumer.pop_append(&mut popped, 5000).is_ok() {}
                    assert!(popped.is_sorted());
                    popped
                })
            });
            producer.push_slice(&messages).unwrap();
            drop(producer);
            popping.map(|popping| popping.join().unwrap()).concat()
        });
        popped.sort_unstable();
        assert_eq!(popped, messages);
        assert_eq!(ring.counters(), Counters::default());
    }
}

#[test]
fn one_call_moves_more_than_the_largest_claim() {
    let name = Name::new();
    let ring = Ring::<u64>::create(&name, 16_384).unwrap();
    let mut producer = ring.producer().unwrap();
    let mut consumer = ring.consumer().unwrap();
    let messages: Vec<u64> = (0..20_000).collect();
    assert_eq!(producer.try_push_slice(&messages), Ok(16_384));
    let mut popped = Vec::new();
    assert_eq!(consumer.try_pop_append(&mut popped, usize::MAX), Ok(16_384));
    assert_eq!(popped, messages[..16_384]);
}
