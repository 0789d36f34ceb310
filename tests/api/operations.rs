//! What rings and their ends do, both ends in one process.

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
        a_full_ring_refuses_until_there_is_room
        waiting_ends_wait_for_each_other_whatever_the_strategy
        a_push_gives_up_when_its_time_is_over_and_not_before
        a_pop_gives_up_when_its_time_is_over_and_not_before
        a_time_out_beyond_the_end_of_time_is_none
        a_slice_is_pushed_as_far_as_there_is_room
        a_slice_larger_than_the_ring_is_pushed_whole_while_somebody_pops
        a_slice_of_strings_stops_before_one_that_does_not_fit
        messages_are_popped_into_a_slice_as_far_as_there_are_any
        messages_are_appended_to_a_vec_up_to_a_number
        popping_into_a_message_uses_its_memory_again
        iterating_ends_when_the_producer_is_gone_and_trying_when_the_ring_is_empty
        a_capacity_is_rounded_up_to_a_power_of_two
        all_three_agree_on_how_many_messages_there_are_through_many_laps
    ;
}

const SOON: Duration = Duration::from_millis(20);

/// A ring of values and both its ends.
type Values<P> = (Name, Ring<u64, P>, Producer<u64, P>, Consumer<u64, P>);

fn values<P: Protocol>(capacity: usize) -> Values<P> {
    let name = Name::new();
    let ring = Ring::<u64, P>::create(&name, capacity).unwrap();
    let (producer, consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    (name, ring, producer, consumer)
}

/// A ring of strings and both its ends.
type Strings<P> = (Name, Ring<[u8], P>, Producer<[u8], P>, Consumer<[u8], P>);

fn strings<P: Protocol>(capacity: usize, longest: usize) -> Strings<P> {
    let name = Name::new();
    let ring = Ring::<[u8], P>::create(&name, capacity, longest).unwrap();
    let (producer, consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    (name, ring, producer, consumer)
}

fn a_full_ring_refuses_until_there_is_room<P: Protocol>() {
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

fn waiting_ends_wait_for_each_other_whatever_the_strategy<P: Protocol>() {
    let sleepy = WaitStrategy::Sleep {
        spins: 0,
        yields: 0,
    };
    for strategy in [WaitStrategy::default(), sleepy, WaitStrategy::Spin] {
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

fn a_push_gives_up_when_its_time_is_over_and_not_before<P: Protocol>() {
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

fn a_pop_gives_up_when_its_time_is_over_and_not_before<P: Protocol>() {
    let (_name, _ring, mut producer, mut consumer) = values::<P>(2);
    let start = Instant::now();
    assert_eq!(consumer.pop_timeout(SOON), Err(PopTimeoutError::TimedOut));
    assert!(start.elapsed() >= SOON);
    let mut kept = 7;
    assert_eq!(
        consumer.pop_timeout_into(&mut kept, SOON),
        Err(PopTimeoutError::TimedOut)
    );
    assert_eq!(kept, 7);
    producer.push(&1).unwrap();
    assert_eq!(consumer.pop_timeout(Duration::ZERO), Ok(1));
    producer.push(&2).unwrap();
    consumer
        .pop_timeout_into(&mut kept, Duration::ZERO)
        .unwrap();
    assert_eq!(kept, 2);
}

fn a_time_out_beyond_the_end_of_time_is_none<P: Protocol>() {
    let (_name, _ring, mut producer, mut consumer) = values::<P>(2);
    let popping = thread::spawn(move || consumer.pop_timeout(Duration::MAX));
    thread::sleep(SOON);
    producer.push(&1).unwrap();
    assert_eq!(popping.join().unwrap(), Ok(1));
}

fn a_slice_is_pushed_as_far_as_there_is_room<P: Protocol>() {
    let (_name, _ring, mut producer, mut consumer) = values::<P>(4);
    assert_eq!(producer.try_push_slice::<u64>(&[]), Ok(0));
    assert_eq!(producer.try_push_slice(&[1, 2, 3]), Ok(3));
    assert_eq!(producer.try_push_slice(&[4, 5]), Ok(1));
    assert_eq!(producer.try_push_slice(&[5]), Err(TryPushError::Full));
    assert_eq!(producer.try_push_slice::<u64>(&[]), Ok(0));
    assert_eq!(consumer.try_iter().collect::<Vec<_>>(), [1, 2, 3, 4]);
}

fn a_slice_larger_than_the_ring_is_pushed_whole_while_somebody_pops<P: Protocol>() {
    let (_name, _ring, mut producer, mut consumer) = values::<P>(4);
    let messages: Vec<u64> = (0..1000).collect();
    let popping = thread::spawn(move || consumer.iter().collect::<Vec<_>>());
    producer.push_slice::<u64>(&[]).unwrap();
    producer.push_slice(&messages).unwrap();
    drop(producer);
    assert_eq!(popping.join().unwrap(), messages);
}

fn a_slice_of_strings_stops_before_one_that_does_not_fit<P: Protocol>() {
    let (_name, _ring, mut producer, mut consumer) = strings::<P>(8, 3);
    let messages = [&b"abc"[..], b"", b"long", b"d"];
    let Err(TryPushError::TooLong(too_long)) = producer.try_push(b"long") else {
        panic!("it does not fit");
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

fn messages_are_popped_into_a_slice_as_far_as_there_are_any<P: Protocol>() {
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
        let popped_now = consumer.pop_slice(&mut popped);
        (popped_now, popped)
    });
    thread::sleep(SOON);
    producer.push(&5).unwrap();
    assert_eq!(popping.join().unwrap(), (Ok(1), [5, 2, 3]));
}

fn messages_are_appended_to_a_vec_up_to_a_number<P: Protocol>() {
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
    let gone = Disconnected::Left;
    assert_eq!(
        consumer.try_pop_append(&mut popped, 1),
        Err(TryPopError::Disconnected(gone))
    );
    assert_eq!(
        consumer.pop_append(&mut popped, 1),
        Err(PopError::Disconnected(gone))
    );
}

fn popping_into_a_message_uses_its_memory_again<P: Protocol>() {
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

fn iterating_ends_when_the_producer_is_gone_and_trying_when_the_ring_is_empty<P: Protocol>() {
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

fn a_capacity_is_rounded_up_to_a_power_of_two<P: Protocol>() {
    for (asked, given) in [
        (2, 2),
        (3, 4),
        (4, 4),
        (5, 8),
        (1000, 1024),
        (65_537, 131_072),
    ] {
        let (_name, ring, mut producer, consumer) = values::<P>(asked);
        assert_eq!(ring.capacity(), given);
        assert_eq!(producer.capacity(), given);
        assert_eq!(consumer.capacity(), given);
        assert_eq!(producer.try_push_slice(&vec![7; given + 1]), Ok(given));
    }
}

fn all_three_agree_on_how_many_messages_there_are_through_many_laps<P: Protocol>() {
    let (_name, ring, mut producer, mut consumer) = values::<P>(4);
    let agree = |producer: &Producer<u64, P>, consumer: &Consumer<u64, P>, len: usize| {
        assert_eq!(
            (ring.len(), producer.len(), consumer.len()),
            (len, len, len)
        );
        let empty = [ring.is_empty(), producer.is_empty(), consumer.is_empty()];
        assert_eq!(empty, [len == 0; 3]);
        let full = [ring.is_full(), producer.is_full(), consumer.is_full()];
        assert_eq!(full, [len == 4; 3]);
    };
    agree(&producer, &consumer, 0);
    for lap in 0..10 {
        for len in 1..=4 {
            producer.push(&lap).unwrap();
            agree(&producer, &consumer, len);
        }
        for len in (0..=3).rev() {
            assert_eq!(consumer.pop(), Ok(lap));
            agree(&producer, &consumer, len);
        }
        producer.push(&lap).unwrap();
        assert_eq!(consumer.pop(), Ok(lap));
    }
}
