//! At-most-once delivery in a ring that has grown: the message that a consumer held when it died
//! is dropped, and no message is delivered twice.

use crate::support::{NEVER, Name, fork_child, kill_process, until};
use slipring::error::TryPopError;
use slipring::mpmc::{Consumer, Ring};
use slipring::{Delivery, Observer, Options};
use std::time::Duration;
use std::{process, thread};

const SOON: Duration = Duration::from_millis(10);

/// The process that detects the death of a consumer of an at-most-once ring, and its state before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Finder {
    /// A consumer that has popped everything before the death, and is in the newest segment.
    Ahead,
    /// A consumer that has popped nothing before the death.
    Behind,
    /// A caller of `recover`, and then a consumer that has popped nothing before.
    Recoverer,
    /// A consumer that attaches after the death, to another seat.
    OtherSeat,
    /// A consumer that attaches after the death, to the dead consumer's seat. There is no other.
    SameSeat,
}

/// Pops all messages that are available without blocking.
fn pop_all(consumer: &mut Consumer<u64>) -> Vec<u64> {
    let mut popped = Vec::new();
    loop {
        match consumer.try_read() {
            Ok(guard) => {
                assert!(!guard.is_redelivered());
                popped.push(guard.get());
            }
            Err(TryPopError::Empty) => return popped,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Pushes three messages into a segment and two into the next one. A consumer pops `popped` of
/// them, and is killed while it holds a read guard of the following message.
fn kill_with_a_message(popped: u64, finder: Finder) {
    let options = Options::new()
        .capacity(4)
        .consumers(if finder == Finder::SameSeat { 1 } else { 2 })
        .liveness_interval(SOON)
        .delivery(Delivery::AtMostOnce);
    let name = Name::new("deaths");
    let ring = Ring::<u64>::create_with(&name, &options).unwrap();
    let mut producer = ring.producer().unwrap();
    let mut child = fork_child(|| {
        let mut consumer = Ring::<u64>::open(&name).unwrap().consumer().unwrap();
        for expected in 1..=popped {
            assert_eq!(consumer.pop(), Ok(expected));
        }
        let guard = consumer.read().unwrap();
        assert_eq!(guard.get(), popped + 1);
        loop {
            thread::park();
        }
    });
    producer.push_slice(&[1, 2, 3]).unwrap();
    ring.grow(16).unwrap();
    producer.push_slice(&[4, 5]).unwrap();
    until("the consumer holds the message", || {
        ring.len() as u64 == 4 - popped
    });

    let attaches_before_kill = |finder| !matches!(finder, Finder::OtherSeat | Finder::SameSeat);
    let mut consumer = attaches_before_kill(finder).then(|| ring.consumer().unwrap());
    let mut seen = match (finder, &mut consumer) {
        (Finder::Ahead, Some(consumer)) => pop_all(consumer),
        _ => Vec::new(),
    };
    child.kill_and_reap();
    if finder == Finder::Recoverer {
        let recovery = ring.recover().unwrap();
        let results = (recovery.settled, recovery.dropped, recovery.waiting);
        assert_eq!(results, (1, 1, 0));
    }
    let mut consumer = consumer.unwrap_or_else(|| ring.consumer().unwrap());
    let observer = Observer::open(&name).unwrap();
    until(
        "the message is dropped, and the old segment is reclaimed",
        || {
            seen.extend(pop_all(&mut consumer));
            let snapshot = observer.snapshot().unwrap();
            let is_reclaimed = snapshot.segments.len() == 1 && snapshot.retired == 0;
            is_reclaimed && snapshot.counters.dropped > 0
        },
    );
    assert_eq!(seen, (popped + 2..=5).collect::<Vec<_>>());
    producer.push(&6).unwrap();
    assert_eq!(consumer.pop(), Ok(6));
    let counters = ring.counters();
    assert_eq!((counters.dropped, counters.redelivered), (1, 0));
}

#[test]
fn at_most_once_drops_only_message_of_killed_consumer() {
    // The consumer dies in the old segment, and in the new one.
    for popped in 0..5 {
        for finder in [
            Finder::Ahead,
            Finder::Behind,
            Finder::Recoverer,
            Finder::OtherSeat,
            Finder::SameSeat,
        ] {
            println!("{popped} popped, found by {finder:?}");
            kill_with_a_message(popped, finder);
        }
    }
}

#[test]
fn at_most_once_drops_message_of_consumer_killed_in_new_ring() {
    let options = Options::new()
        .capacity(4)
        .liveness_interval(NEVER)
        .delivery(Delivery::AtMostOnce);
    let name = Name::new("deaths");
    let ring = Ring::<u64>::create_with(&name, &options).unwrap();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    producer.push_slice(&[1, 2]).unwrap();
    let guard = consumer.read().unwrap();
    ring.grow(2).unwrap();
    producer.push_slice(&[3, 4]).unwrap();
    let mut child = fork_child(|| {
        let mut consumer = Ring::<u64>::open(&name).unwrap().consumer().unwrap();
        assert_eq!(consumer.pop(), Ok(2));
        let guard = consumer.read().unwrap();
        assert_eq!(guard.get(), 3);
        kill_process(process::id());
    });
    child.reap();
    for dropped in [1, 0] {
        let recovery = ring.recover().unwrap();
        assert_eq!((recovery.dropped, recovery.waiting), (dropped, 0));
    }
    producer.try_push(&5).unwrap();
    assert_eq!(guard.get(), 1);
    drop(guard);
    assert_eq!(pop_all(&mut consumer), [4, 5]);
    let snapshot = Observer::open(&name).unwrap().snapshot().unwrap();
    assert_eq!((snapshot.segments.len(), snapshot.retired), (1, 0));
    assert_eq!(ring.counters().redelivered, 0);
}
