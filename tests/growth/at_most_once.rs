//! What a consumer had in its hands that died in a ring that grew, where nothing may come twice.

use crate::support::{NEVER, Name, fork_child, kill_process, until};
use slipring::error::TryPopError;
use slipring::mpmc::{Consumer, Ring};
use slipring::{Delivery, Observer, Options};
use std::time::Duration;
use std::{process, thread};

const SOON: Duration = Duration::from_millis(10);

/// Who finds that a consumer of an at-most-once ring has died, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Finder {
    /// Who has gone on to the newest ring before.
    Ahead,
    /// Who pops nothing before.
    Behind,
    /// Who recovers, and then that one.
    Recoverer,
    Newcomer,
    /// Who gets the dead one's own seat, since there is no other.
    Heir,
}

/// All that is there to be popped at once.
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

/// Three messages in a ring and two in the next. A consumer pops some, and is killed with the one after them in its hands.
fn kill_with_a_message(popped: u64, finder: Finder) {
    let options = Options::new()
        .capacity(4)
        .consumers(if finder == Finder::Heir { 1 } else { 2 })
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
        let held = consumer.read().unwrap();
        assert_eq!(held.get(), popped + 1);
        loop {
            thread::park();
        }
    });
    producer.push_slice(&[1, 2, 3]).unwrap();
    ring.grow(16).unwrap();
    producer.push_slice(&[4, 5]).unwrap();
    until("it has the message", || ring.len() as u64 == 4 - popped);

    let stays = |finder| !matches!(finder, Finder::Newcomer | Finder::Heir);
    let mut consumer = stays(finder).then(|| ring.consumer().unwrap());
    let mut seen = match (finder, &mut consumer) {
        (Finder::Ahead, Some(consumer)) => pop_all(consumer),
        _ => Vec::new(),
    };
    child.kill_and_reap();
    if finder == Finder::Recoverer {
        let recovery = ring.recover().unwrap();
        let told = (recovery.settled, recovery.dropped, recovery.waiting);
        assert_eq!(told, (1, 1, 0));
    }
    let mut consumer = consumer.unwrap_or_else(|| ring.consumer().unwrap());
    let observer = Observer::open(&name).unwrap();
    until("the message is dropped, and the old ring is gone", || {
        seen.extend(pop_all(&mut consumer));
        let snapshot = observer.snapshot().unwrap();
        let is_gone = snapshot.segments.len() == 1 && snapshot.retired == 0;
        is_gone && snapshot.counters.dropped > 0
    });
    assert_eq!(seen, (popped + 2..=5).collect::<Vec<_>>());
    producer.push(&6).unwrap();
    assert_eq!(consumer.pop(), Ok(6));
    let counters = ring.counters();
    assert_eq!((counters.dropped, counters.redelivered), (1, 0));
}

#[test]
fn what_a_consumer_that_dies_has_in_its_hands_is_lost_and_nothing_else_if_at_most_once() {
    // In the old ring, and in the new one.
    for popped in 0..5 {
        for finder in [
            Finder::Ahead,
            Finder::Behind,
            Finder::Recoverer,
            Finder::Newcomer,
            Finder::Heir,
        ] {
            println!("{popped} popped, found by {finder:?}");
            kill_with_a_message(popped, finder);
        }
    }
}

#[test]
fn what_one_had_who_dies_in_the_new_ring_is_dropped_while_another_one_holds_the_old() {
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
        let held = consumer.read().unwrap();
        assert_eq!(held.get(), 3);
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
