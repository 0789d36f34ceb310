//! Messages that an MPMC consumer has claimed and not released. The same handle receives them
//! again. If that handle is gone, another one does, unless the ring is at-most-once.

use crate::support;
use crate::support::{
    Forked, NEVER, Name, TIME_LIMIT, fork_child, is_asleep, set_lock, thread_id, until,
};
use nix::libc;
use slipring::error::{Disconnected, TryPopError, TryPushError};
use slipring::mpmc::{Consumer, Producer, Ring};
use slipring::{Counters, Delivery, Options, Recovery};
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;
use std::{mem, process, thread};

const SOON: Duration = Duration::from_millis(10);

/// The first byte that locks a seat. Producer seats come first, and the byte before them is the
/// recovery lock.
const SEATS: i64 = 0x400;
const RECOVERY: i64 = SEATS - 1;
const PRODUCERS: i64 = 1;

fn ring(options: Options) -> (Name, Ring<u64>, Producer<u64>) {
    let name = Name::new("redelivery");
    let ring = Ring::<u64>::create_with(&name, &options).unwrap();
    let producer = ring.producer().unwrap();
    (name, ring, producer)
}

fn eight() -> Options {
    // No test depends on the end of a liveness interval.
    Options::new().capacity(8).liveness_interval(NEVER)
}

/// The next message, and whether it is marked as redelivered.
fn next(consumer: &mut Consumer<u64>) -> Result<(u64, bool), TryPopError> {
    let guard = consumer.try_read()?;
    Ok((guard.get(), guard.is_redelivered()))
}

#[test]
fn message_returned_to_same_handle_is_not_marked_redelivered() {
    let (_name, ring, mut producer) = ring(eight());
    let mut consumer = ring.consumer().unwrap();
    producer.push_slice(&[1, 2]).unwrap();
    consumer.try_read().unwrap().put_back();
    mem::forget(consumer.try_read().unwrap());
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _guard = consumer.try_read().unwrap();
        panic!("intended by the test");
    }));
    assert!(panicked.is_err());
    assert_eq!(next(&mut consumer), Ok((1, false)));
    assert_eq!(next(&mut consumer), Ok((2, false)));
    assert_eq!(next(&mut consumer), Err(TryPopError::Empty));
    assert_eq!(ring.counters(), Counters::default());
}

#[test]
fn message_of_dropped_handle_is_redelivered_to_another_at_once() {
    type Detach = fn(Consumer<u64>);
    let ways: [Detach; 3] = [
        |mut consumer| consumer.try_read().unwrap().put_back(),
        |mut consumer| mem::forget(consumer.try_read().unwrap()),
        |mut consumer| {
            let panicked = catch_unwind(AssertUnwindSafe(|| {
                let _guard = consumer.try_read().unwrap();
                panic!("intended by the test");
            }));
            assert!(panicked.is_err());
        },
    ];
    for detach in ways {
        let (_name, ring, mut producer) = ring(eight());
        let mut other = ring.consumer().unwrap();
        let consumer = ring.consumer().unwrap();
        producer.push_slice(&[1, 2]).unwrap();
        detach(consumer);
        assert_eq!(ring.recover().unwrap().waiting, 1);
        // Messages that no consumer has claimed are delivered before orphans.
        assert_eq!(next(&mut other), Ok((2, false)));
        assert_eq!(next(&mut other), Ok((1, true)));
        assert_eq!(next(&mut other), Err(TryPopError::Empty));
        producer.push(&3).unwrap();
        assert_eq!(next(&mut other), Ok((3, false)));
        assert_eq!(ring.counters().redelivered, 1);
    }
}

/// Locks a byte of the ring's object, as a process that holds a seat or recovers does.
fn lock(name: &Name, byte: i64) -> File {
    let file = name.file();
    set_lock(&file, libc::F_WRLCK, byte, 1).unwrap();
    file
}

/// A child that another thread is just spawning has a copy of the lock until its exec.
#[test]
fn message_of_detached_consumer_is_adopted_while_lock_is_held() {
    let (name, ring, mut producer) = ring(eight().producers(PRODUCERS as u32));
    let mut other = ring.consumer().unwrap();
    let mut detaching = ring.consumer().unwrap();
    producer.push_slice(&[1, 2]).unwrap();
    let recovery = lock(&name, RECOVERY);
    detaching.try_read().unwrap().put_back();
    drop(detaching);
    let _seat = lock(&name, SEATS + PRODUCERS + 1);
    drop(recovery);
    assert_eq!(next(&mut other), Ok((2, false)));
    assert_eq!(next(&mut other), Ok((1, true)));
}

#[test]
fn blocked_consumer_is_woken_for_message_of_detached_consumer() {
    let (_name, ring, mut producer) = ring(eight());
    let mut detaching = ring.consumer().unwrap();
    let mut blocked = ring.consumer().unwrap();
    producer.push(&1).unwrap();
    detaching.try_read().unwrap().put_back();
    let this = thread_id();
    thread::scope(|scope| {
        scope.spawn(|| {
            until("the consumer sleeps", || is_asleep(process::id(), this));
            drop(detaching);
        });
        let guard = blocked.read_timeout(TIME_LIMIT).unwrap();
        assert_eq!((guard.get(), guard.is_redelivered()), (1, true));
    });
}

#[test]
fn redelivered_message_put_back_is_redelivered_again() {
    let (_name, ring, mut producer) = ring(eight());
    producer.push_slice(&[1, 2, 3]).unwrap();
    for turn in 0..10 {
        let mut consumer = ring.consumer().unwrap();
        let guard = consumer.read().unwrap();
        assert_eq!(guard.is_redelivered(), turn > 2);
        guard.put_back();
    }
    assert!(ring.is_empty());
    assert_eq!(ring.recover().unwrap().waiting, 3);
    let mut consumer = ring.consumer().unwrap();
    let mut left: Vec<_> = (0..3).map(|_| next(&mut consumer).unwrap()).collect();
    left.sort_unstable();
    assert_eq!(left, [(1, true), (2, true), (3, true)]);
}

/// Runs a consumer that pops some messages, claims the next one, and is killed.
fn kill_after_pops(name: &Name, popped: usize) {
    let mut child = fork_child(|| {
        let mut consumer = Ring::<u64>::open(name).unwrap().consumer().unwrap();
        assert_eq!(consumer.try_iter().take(popped).count(), popped);
        mem::forget(consumer.try_read().unwrap());
        support::kill_process(process::id());
    });
    child.reap();
}

#[test]
fn only_message_held_by_killed_consumer_is_redelivered() {
    let (name, ring, mut producer) = ring(eight().liveness_interval(SOON));
    let mut consumer = ring.consumer().unwrap();
    for turn in 0..5 {
        let popped = turn as usize % 3;
        producer.push_slice(&[1, 2, 3, 4]).unwrap();
        kill_after_pops(&name, popped);
        let mut left = Vec::new();
        while left.len() < 4 - popped {
            let guard = consumer.read_timeout(TIME_LIMIT).unwrap();
            left.push((guard.get(), guard.is_redelivered()));
        }
        left.sort_unstable();
        let expected = (popped as u64 + 1..=4).map(|n| (n, n == popped as u64 + 1));
        assert_eq!(left, expected.collect::<Vec<_>>());
        assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
        assert_eq!(ring.counters().redelivered, turn + 1);
    }
}

#[test]
fn at_most_once_drops_unreleased_message_and_frees_its_slot() {
    let options = eight().capacity(2).delivery(Delivery::AtMostOnce);
    let (name, ring, mut producer) = ring(options);
    let mut consumer = ring.consumer().unwrap();
    for turn in 0..6 {
        producer.push_slice(&[turn, turn]).unwrap();
        match turn % 2 {
            0 => ring.consumer().unwrap().try_read().unwrap().put_back(),
            _ => {
                kill_after_pops(&name, 0);
                let expected = Recovery::default();
                let recovery = ring.recover().unwrap();
                assert_eq!((recovery.settled, recovery.dropped), (1, 1));
                assert_eq!(ring.recover().unwrap(), expected);
            }
        }
        assert_eq!(ring.counters().dropped, turn + 1);
        producer.try_push(&(turn + 100)).unwrap();
        assert_eq!(producer.try_push(&0), Err(TryPushError::Full));
        assert_eq!(next(&mut consumer), Ok((turn, false)));
        assert_eq!(next(&mut consumer), Ok((turn + 100, false)));
        assert_eq!(next(&mut consumer), Err(TryPopError::Empty));
    }
    // The same handle receives its message again, because no process died.
    producer.push(&7).unwrap();
    consumer.try_read().unwrap().put_back();
    assert_eq!(next(&mut consumer), Ok((7, false)));
    assert_eq!(ring.counters().redelivered, 0);
}

#[test]
fn blocked_producer_is_woken_for_slot_of_dropped_message() {
    let options = eight().capacity(2).delivery(Delivery::AtMostOnce);
    let (name, ring, mut producer) = ring(options);
    let _live_consumer = ring.consumer().unwrap();
    producer.push_slice(&[1, 2]).unwrap();
    let mut child = fork_reader(&name, &ring);
    let this = thread_id();
    thread::scope(|scope| {
        scope.spawn(|| {
            until("the producer sleeps", || is_asleep(process::id(), this));
            child.kill_and_reap();
            assert_eq!(ring.recover().unwrap().dropped, 1);
        });
        producer.push_timeout(&3, TIME_LIMIT).unwrap();
    });
}

#[test]
fn slot_still_being_read_next_lap_is_full_and_not_corrupt() {
    let (_name, ring, mut producer) = ring(eight().capacity(2));
    let mut slow = ring.consumer().unwrap();
    let mut fast = ring.consumer().unwrap();
    producer.push_slice(&[1, 2]).unwrap();
    let guard = slow.try_read().unwrap();
    assert_eq!(fast.try_pop(), Ok(2));
    for _ in 0..3 {
        // The slot of the next position still holds the message of a lap ago that is being read.
        assert_eq!(fast.try_pop(), Err(TryPopError::Empty));
        assert!(fast.is_empty());
        assert_eq!(producer.try_push(&3), Err(TryPushError::Full));
        assert!(producer.is_full());
        assert_eq!(ring.len(), 0);
    }
    assert_eq!(guard.get(), 1);
    drop(guard);
    producer.push_slice(&[3, 4]).unwrap();
    assert_eq!(fast.try_iter().collect::<Vec<_>>(), [3, 4]);
}

#[test]
fn pop_while_other_consumer_holds_message_is_not_disconnected() {
    let (_name, ring, mut producer) = ring(eight().liveness_interval(SOON));
    let mut holding = ring.consumer().unwrap();
    let mut other = ring.consumer().unwrap();
    producer.push(&1).unwrap();
    let guard = holding.try_read().unwrap();
    drop(producer);
    for _ in 0..3 {
        assert_eq!(other.try_pop(), Err(TryPopError::Empty));
    }
    guard.put_back();
    assert_eq!(other.try_pop(), Err(TryPopError::Empty));
    drop(holding);
    assert_eq!(next(&mut other), Ok((1, true)));
    assert_eq!(other.pop(), Err(Disconnected::Left.into()));
}

/// Forks a child that holds the next message in a guard until it is killed.
fn fork_reader(name: &Name, ring: &Ring<u64>) -> Forked {
    let left = ring.len() - 1;
    let child = fork_child(|| {
        let mut consumer = Ring::<u64>::open(name).unwrap().consumer().unwrap();
        mem::forget(consumer.try_read().unwrap());
        until("the test kills this process", || false);
    });
    until("the child holds a message", || ring.len() == left);
    child
}

/// Kills a consumer that holds the next message in a guard.
fn kill_reader(name: &Name, ring: &Ring<u64>) {
    fork_reader(name, ring).kill_and_reap();
}

/// Pops until the ring is empty, and checks that every slot can be used again.
fn drain(ring: &Ring<u64>, producer: &mut Producer<u64>, consumer: &mut Consumer<u64>) -> Vec<u64> {
    let mut popped: Vec<u64> = consumer.try_iter().collect();
    popped.sort_unstable();
    let capacity = ring.capacity() as u64;
    for number in 0..3 * capacity {
        assert_eq!(producer.try_push(&number), Ok(()), "a slot is lost");
        if number >= capacity - 1 {
            assert_eq!(consumer.try_pop(), Ok(number + 1 - capacity));
        }
    }
    popped
}

#[test]
fn consumer_pops_orphans_of_its_own_seat_before_adopting() {
    let (name, ring, mut producer) = ring(eight().consumers(2));
    producer.push_slice(&[1, 2, 3]).unwrap();
    kill_reader(&name, &ring);
    kill_reader(&name, &ring);
    // Both seats have an orphan: the consumer gets one with its seat, and adopts the other one.
    let mut consumer = ring.consumer().unwrap();
    assert_eq!(drain(&ring, &mut producer, &mut consumer), [1, 2, 3]);
}

#[test]
fn consumer_pops_message_it_put_back_before_adopting() {
    let (name, ring, mut producer) = ring(eight().liveness_interval(Duration::from_nanos(1)));
    let mut consumer = ring.consumer().unwrap();
    producer.push_slice(&[1, 2, 3]).unwrap();
    consumer.try_read().unwrap().put_back();
    kill_reader(&name, &ring);
    assert_eq!(consumer.try_pop(), Ok(1));
    assert_eq!(drain(&ring, &mut producer, &mut consumer), [2, 3]);
}

#[test]
fn consumer_releases_claimed_tombstone_before_adopting() {
    let (name, ring, mut producer) = ring(eight());
    let mut consumer = ring.consumer().unwrap();
    producer.push(&1).unwrap();
    kill_reader(&name, &ring);
    drop(producer.try_claim().unwrap());
    producer.push(&2).unwrap();
    assert_eq!(drain(&ring, &mut producer, &mut consumer), [1, 2]);
}
