//! The operations of rings, producers and consumers, all in one process.

use crate::rings::{strings, values};
use crate::support::ASLEEP_AT_ONCE;
use crate::support::names::Name;
use core::time::Duration;
use slipring::error::{
    Disconnected, PopError, PopTimeoutError, PushError, PushTimeoutError, TryPopError, TryPushError,
};
use slipring::{Consumer, Options, Producer, Protocol, Ring, WaitStrategy};
use std::thread;
use std::time::Instant;

for_each_kind! {
    all_backings:
        push_when_full_is_refused_until_a_pop
        blocking_calls_deliver_in_order_with_every_strategy
        push_timeout_when_full_expires_not_before_deadline
        pop_timeout_when_empty_expires_not_before_deadline
        pop_timeout_of_max_duration_waits_without_limit
        try_push_slice_pushes_as_many_as_fit
        push_slice_larger_than_ring_completes_as_peer_pops
        push_slice_stops_before_too_long_message
        pop_slice_pops_as_many_as_available
        pop_append_appends_at_most_the_limit
        pop_into_reuses_memory_of_the_message
        iter_ends_at_disconnect_and_try_iter_when_empty
        capacity_is_rounded_up_to_a_power_of_two
        ring_and_handle_lengths_agree_over_many_laps
    ;
}

const SOON: Duration = Duration::from_millis(20);

fn push_when_full_is_refused_until_a_pop<P: Protocol>() {
    let (_name, _ring, mut producer, mut consumer) = values::<P>(2);
    producer.try_push(&1).unwrap();
    producer.try_push(&2).unwrap();
    assert_eq!(producer.try_push(&3), Err(TryPushError::Full));
    assert_eq!(consumer.try_pop(), Ok(1));
    producer.try_push(&3).unwrap();
    assert_eq!(consumer.try_pop(), Ok(2));
    assert_eq!(consumer.try_pop(), Ok(3));
    assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
}

fn blocking_calls_deliver_in_order_with_every_strategy<P: Protocol>() {
    for strategy in [WaitStrategy::default(), ASLEEP_AT_ONCE, WaitStrategy::Spin] {
        let messages: u64 = if strategy == WaitStrategy::Spin {
            200
        } else {
            3000
        };
        let name = Name::new();
        let options = Options::new().capacity(2).wait(strategy);
        let ring = Ring::<u64, P>::create_with(&name, &options).unwrap();
        let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
        let pushing = thread::spawn(move || (0..messages).for_each(|i| producer.push(&i).unwrap()));
        for i in 0..messages {
            assert_eq!(consumer.pop(), Ok(i));
        }
        pushing.join().unwrap();
        assert_eq!(
            consumer.pop(),
            Err(PopError::Disconnected(Disconnected::Left))
        );
    }
}

fn push_timeout_when_full_expires_not_before_deadline<P: Protocol>() {
    let (_name, _ring, mut producer, consumer) = values::<P>(2);
    producer.push_timeout(&1, Duration::ZERO).unwrap();
    producer.push_timeout(&2, Duration::MAX).unwrap();
    let start = Instant::now();
    assert_eq!(
        producer.push_timeout(&3, SOON),
        Err(PushTimeoutError::TimedOut)
    );
    assert!(start.elapsed() >= SOON);
    assert_eq!(
        producer.push_timeout(&3, Duration::ZERO),
        Err(PushTimeoutError::TimedOut)
    );
    assert_eq!(consumer.len(), 2);
}

fn pop_timeout_when_empty_expires_not_before_deadline<P: Protocol>() {
    let (_name, _ring, mut producer, mut consumer) = values::<P>(2);
    let start = Instant::now();
    assert_eq!(consumer.pop_timeout(SOON), Err(PopTimeoutError::TimedOut));
    assert!(start.elapsed() >= SOON);
    let mut value = 7;
    assert_eq!(
        consumer.pop_timeout_into(&mut value, SOON),
        Err(PopTimeoutError::TimedOut)
    );
    assert_eq!(value, 7);
    producer.push(&1).unwrap();
    assert_eq!(consumer.pop_timeout(Duration::ZERO), Ok(1));
    producer.push(&2).unwrap();
    consumer
        .pop_timeout_into(&mut value, Duration::ZERO)
        .unwrap();
    assert_eq!(value, 2);
}

fn pop_timeout_of_max_duration_waits_without_limit<P: Protocol>() {
    let (_name, _ring, mut producer, mut consumer) = values::<P>(2);
    let popping = thread::spawn(move || consumer.pop_timeout(Duration::MAX));
    thread::sleep(SOON);
    producer.push(&1).unwrap();
    assert_eq!(popping.join().unwrap(), Ok(1));
}

fn try_push_slice_pushes_as_many_as_fit<P: Protocol>() {
    let (_name, _ring, mut producer, mut consumer) = values::<P>(4);
    assert_eq!(producer.try_push_slice::<u64>(&[]), Ok(0));
    assert_eq!(producer.try_push_slice(&[1, 2, 3]), Ok(3));
    assert_eq!(producer.try_push_slice(&[4, 5]), Ok(1));
    assert_eq!(producer.try_push_slice(&[5]), Err(TryPushError::Full));
    assert_eq!(producer.try_push_slice::<u64>(&[]), Ok(0));
    assert_eq!(consumer.try_iter().collect::<Vec<_>>(), [1, 2, 3, 4]);
}

fn push_slice_larger_than_ring_completes_as_peer_pops<P: Protocol>() {
    let (_name, _ring, mut producer, mut consumer) = values::<P>(4);
    let messages: Vec<u64> = (0..1000).collect();
    let popping = thread::spawn(move || consumer.iter().collect::<Vec<_>>());
    producer.push_slice::<u64>(&[]).unwrap();
    producer.push_slice(&messages).unwrap();
    drop(producer);
    assert_eq!(popping.join().unwrap(), messages);
}

fn push_slice_stops_before_too_long_message<P: Protocol>() {
    let (_name, _ring, mut producer, mut consumer) = strings::<P>(8, 3);
    let messages = [&b"abc"[..], b"", b"long", b"d"];
    let Err(TryPushError::TooLong(too_long)) = producer.try_push(b"long") else {
        panic!("a message of 4 bytes fits in a slot of 3");
    };
    assert_eq!(producer.try_push_slice(&messages), Ok(2));
    assert_eq!(
        producer.try_push_slice(&messages[2..]),
        Err(TryPushError::TooLong(too_long))
    );
    let stopped = producer.push_slice(&messages).unwrap_err();
    assert_eq!(stopped.pushed, 2);
    assert_eq!(stopped.reason, PushError::TooLong(too_long));
    let popped: Vec<_> = consumer.try_iter().collect();
    assert_eq!(popped, [&b"abc"[..], b"", b"abc", b""]);
}

fn pop_slice_pops_as_many_as_available<P: Protocol>() {
    let (_name, _ring, mut producer, mut consumer) = values::<P>(4);
    let mut popped = [9; 3];
    assert_eq!(consumer.try_pop_slice(&mut []), Ok(0));
    assert_eq!(consumer.pop_slice(&mut []), Ok(0));
    assert_eq!(consumer.try_pop_slice(&mut popped), Err(TryPopError::Empty));
    producer.push_slice(&[1, 2, 3, 4]).unwrap();
    assert_eq!(consumer.try_pop_slice(&mut popped), Ok(3));
    assert_eq!(popped, [1, 2, 3]);
    assert_eq!(consumer.pop_slice(&mut popped), Ok(1));
    assert_eq!(popped, [4, 2, 3]);
    let popping = thread::spawn(move || {
        let count = consumer.pop_slice(&mut popped);
        (count, popped)
    });
    thread::sleep(SOON);
    producer.push(&5).unwrap();
    assert_eq!(popping.join().unwrap(), (Ok(1), [5, 2, 3]));
}

fn pop_append_appends_at_most_the_limit<P: Protocol>() {
    let (_name, _ring, mut producer, mut consumer) = values::<P>(4);
    let mut popped = vec![0];
    assert_eq!(consumer.try_pop_append(&mut popped, 0), Ok(0));
    assert_eq!(consumer.pop_append(&mut popped, 0), Ok(0));
    assert_eq!(
        consumer.try_pop_append(&mut popped, 9),
        Err(TryPopError::Empty)
    );
    producer.push_slice(&[1, 2, 3, 4]).unwrap();
    assert_eq!(consumer.try_pop_append(&mut popped, 3), Ok(3));
    assert_eq!(consumer.pop_append(&mut popped, usize::MAX), Ok(1));
    assert_eq!(popped, [0, 1, 2, 3, 4]);
    drop(producer);
    let left = Disconnected::Left;
    assert_eq!(
        consumer.try_pop_append(&mut popped, 1),
        Err(TryPopError::Disconnected(left))
    );
    assert_eq!(
        consumer.pop_append(&mut popped, 1),
        Err(PopError::Disconnected(left))
    );
}

fn pop_into_reuses_memory_of_the_message<P: Protocol>() {
    let (_name, _ring, mut producer, mut consumer) = strings::<P>(8, 100);
    let mut message = Vec::with_capacity(100);
    let memory = message.as_ptr();
    for len in [100, 0, 7] {
        let sent = vec![len as u8; len];
        producer.push_slice(&[&*sent, &sent, &sent]).unwrap();
        consumer.try_pop_into(&mut message).unwrap();
        assert_eq!(message, sent);
        consumer.pop_into(&mut message).unwrap();
        assert_eq!(message, sent);
        consumer.try_read().unwrap().get_into(&mut message);
        assert_eq!(message, sent);
        assert_eq!(message.as_ptr(), memory);
    }
    let mut messages = [message, Vec::new()];
    producer.push_slice(&[&b"one"[..], b"two"]).unwrap();
    assert_eq!(consumer.try_pop_slice(&mut messages), Ok(2));
    assert_eq!(messages, [b"one", b"two"]);
    assert_eq!(messages[0].as_ptr(), memory);
}

fn iter_ends_at_disconnect_and_try_iter_when_empty<P: Protocol>() {
    let (_name, ring, mut producer, mut consumer) = values::<P>(8);
    producer.push_slice(&[1, 2]).unwrap();
    assert_eq!(consumer.try_iter().collect::<Vec<_>>(), [1, 2]);
    assert_eq!(consumer.try_iter().next(), None);
    producer.push(&3).unwrap();
    drop(producer);
    assert_eq!(consumer.iter().collect::<Vec<_>>(), [3]);
    ring.producer().unwrap().push(&4).unwrap();
    assert_eq!(consumer.iter().collect::<Vec<_>>(), [4]);
}

fn capacity_is_rounded_up_to_a_power_of_two<P: Protocol>() {
    for (requested, capacity) in [
        (2, 2),
        (3, 4),
        (4, 4),
        (5, 8),
        (1000, 1024),
        (65_537, 131_072),
    ] {
        let (_name, ring, mut producer, consumer) = values::<P>(requested);
        assert_eq!(ring.capacity(), capacity);
        assert_eq!(producer.capacity(), capacity);
        assert_eq!(consumer.capacity(), capacity);
        let pushed = producer.try_push_slice(&vec![7; capacity + 1]);
        assert_eq!(pushed, Ok(capacity));
    }
}

fn ring_and_handle_lengths_agree_over_many_laps<P: Protocol>() {
    let (_name, ring, mut producer, mut consumer) = values::<P>(4);
    let assert_lengths = |producer: &Producer<u64, P>, consumer: &Consumer<u64, P>, len: usize| {
        assert_eq!(
            (ring.len(), producer.len(), consumer.len()),
            (len, len, len)
        );
        let empty = [ring.is_empty(), producer.is_empty(), consumer.is_empty()];
        assert_eq!(empty, [len == 0; 3]);
        let full = [ring.is_full(), producer.is_full(), consumer.is_full()];
        assert_eq!(full, [len == 4; 3]);
    };
    assert_lengths(&producer, &consumer, 0);
    for lap in 0..10 {
        for len in 1..=4 {
            producer.push(&lap).unwrap();
            assert_lengths(&producer, &consumer, len);
        }
        for len in (0..=3).rev() {
            assert_eq!(consumer.pop(), Ok(lap));
            assert_lengths(&producer, &consumer, len);
        }
        producer.push(&lap).unwrap();
        assert_eq!(consumer.pop(), Ok(lap));
    }
}
