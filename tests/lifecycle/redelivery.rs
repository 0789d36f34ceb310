//! What an MPMC consumer has taken and not given back: it comes again to the same handle, to
//! another one if that handle is gone, and to nobody in a ring that is at-most-once.

use crate::support;
use crate::support::{NEVER, Name, PATIENCE, fork_child, is_asleep, thread_id, until};
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use slipring::error::{Disconnected, TryPopError, TryPushError};
use slipring::mpmc::{Consumer, Producer, Ring};
use slipring::{Counters, Delivery, Options, Recovery};
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;
use std::{mem, process, thread};

const SOON: Duration = Duration::from_millis(10);

/// Where the locks of seats begin, those of producers first; before them is that of who recovers.
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
    // Nothing comes about by an interval that ends.
    Options::new().capacity(8).liveness_interval(NEVER)
}

/// The next message, and whether it is marked as redelivered.
fn next(consumer: &mut Consumer<u64>) -> Result<(u64, bool), TryPopError> {
    let guard = consumer.try_read()?;
    Ok((guard.get(), guard.is_redelivered()))
}

#[test]
fn a_message_that_comes_again_to_the_same_handle_is_not_marked() {
    let (_name, ring, mut producer) = ring(eight());
    let mut consumer = ring.consumer().unwrap();
    producer.push_slice(&[1, 2]).unwrap();
    consumer.try_read().unwrap().put_back();
    mem::forget(consumer.try_read().unwrap());
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _guard = consumer.try_read().unwrap();
        panic!("on purpose");
    }));
    assert!(panicked.is_err());
    assert_eq!(next(&mut consumer), Ok((1, false)));
    assert_eq!(next(&mut consumer), Ok((2, false)));
    assert_eq!(next(&mut consumer), Err(TryPopError::Empty));
    assert_eq!(ring.counters(), Counters::default());
}

#[test]
fn what_a_handle_holds_when_it_is_dropped_comes_to_another_one_at_once() {
    type Leave = fn(Consumer<u64>);
    let ways: [Leave; 3] = [
        |mut consumer| consumer.try_read().unwrap().put_back(),
        |mut consumer| mem::forget(consumer.try_read().unwrap()),
        |mut consumer| {
            let panicked = catch_unwind(AssertUnwindSafe(|| {
                let _guard = consumer.try_read().unwrap();
                panic!("on purpose");
            }));
            assert!(panicked.is_err());
        },
    ];
    for leave in ways {
        let (_name, ring, mut producer) = ring(eight());
        let mut other = ring.consumer().unwrap();
        let consumer = ring.consumer().unwrap();
        producer.push_slice(&[1, 2]).unwrap();
        leave(consumer);
        assert_eq!(ring.recover().unwrap().waiting, 1);
        // What is in the line comes first.
        assert_eq!(next(&mut other), Ok((2, false)));
        assert_eq!(next(&mut other), Ok((1, true)));
        assert_eq!(next(&mut other), Err(TryPopError::Empty));
        producer.push(&3).unwrap();
        assert_eq!(next(&mut other), Ok((3, false)));
        assert_eq!(ring.counters().redelivered, 1);
    }
}

/// Locks a byte of the ring's object, as the holders of seats do and who recovers.
fn lock(name: &Name, byte: i64) -> File {
    let mut options = File::options();
    let file = options.read(true).write(true).open(name.path()).unwrap();
    let lock = libc::flock {
        l_type: libc::F_WRLCK as i16,
        l_whence: libc::SEEK_SET as i16,
        l_start: byte,
        l_len: 1,
        l_pid: 0,
    };
    fcntl(&file, FcntlArg::F_OFD_SETLK(&lock)).unwrap();
    file
}

/// A child that another thread is just spawning has the lock for a moment.
#[test]
fn who_has_left_has_left_though_somebody_still_has_its_lock() {
    let (name, ring, mut producer) = ring(eight().producers(PRODUCERS as u32));
    let mut other = ring.consumer().unwrap();
    let mut leaver = ring.consumer().unwrap();
    producer.push_slice(&[1, 2]).unwrap();
    let recovery = lock(&name, RECOVERY);
    leaver.try_read().unwrap().put_back();
    drop(leaver);
    let _seat = lock(&name, SEATS + PRODUCERS + 1);
    drop(recovery);
    assert_eq!(next(&mut other), Ok((2, false)));
    assert_eq!(next(&mut other), Ok((1, true)));
}

#[test]
fn a_consumer_that_sleeps_is_woken_for_what_another_one_leaves_behind() {
    let (_name, ring, mut producer) = ring(eight());
    let mut leaving = ring.consumer().unwrap();
    let mut sleeping = ring.consumer().unwrap();
    producer.push(&1).unwrap();
    leaving.try_read().unwrap().put_back();
    let this = thread_id();
    thread::scope(|scope| {
        scope.spawn(|| {
            until("it sleeps", || is_asleep(process::id(), this));
            drop(leaving);
        });
        let guard = sleeping.read_timeout(PATIENCE).unwrap();
        assert_eq!((guard.get(), guard.is_redelivered()), (1, true));
    });
}

#[test]
fn redelivered_messages_may_be_left_behind_again() {
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

/// A consumer pops some messages, takes the next one, and is killed.
fn killed_after(name: &Name, popped: usize) {
    let mut child = fork_child(|| {
        let mut consumer = Ring::<u64>::open(name).unwrap().consumer().unwrap();
        assert_eq!(consumer.try_iter().take(popped).count(), popped);
        mem::forget(consumer.try_read().unwrap());
        support::kill_process(process::id());
    });
    child.reap();
}

#[test]
fn what_a_killed_consumer_held_comes_to_another_one_and_the_rest_does_not() {
    let (name, ring, mut producer) = ring(eight().liveness_interval(SOON));
    let mut consumer = ring.consumer().unwrap();
    for turn in 0..5 {
        let popped = turn as usize % 3;
        producer.push_slice(&[1, 2, 3, 4]).unwrap();
        killed_after(&name, popped);
        let mut left = Vec::new();
        while left.len() < 4 - popped {
            let guard = consumer.read_timeout(PATIENCE).unwrap();
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
fn an_at_most_once_ring_drops_what_was_left_behind_and_frees_its_slot() {
    let options = eight().capacity(2).delivery(Delivery::AtMostOnce);
    let (name, ring, mut producer) = ring(options);
    let mut consumer = ring.consumer().unwrap();
    for turn in 0..6 {
        producer.push_slice(&[turn, turn]).unwrap();
        match turn % 2 {
            0 => ring.consumer().unwrap().try_read().unwrap().put_back(),
            _ => {
                killed_after(&name, 0);
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
    // To the same handle it comes again, since nobody died.
    producer.push(&7).unwrap();
    consumer.try_read().unwrap().put_back();
    assert_eq!(next(&mut consumer), Ok((7, false)));
    assert_eq!(ring.counters().redelivered, 0);
}

#[test]
fn a_producer_that_waits_is_woken_for_the_slot_of_a_message_that_was_dropped() {
    let options = eight().capacity(2).delivery(Delivery::AtMostOnce);
    let (name, ring, mut producer) = ring(options);
    let _stays = ring.consumer().unwrap();
    producer.push_slice(&[1, 2]).unwrap();
    let mut child = fork_child(|| {
        let mut consumer = Ring::<u64>::open(&name).unwrap().consumer().unwrap();
        mem::forget(consumer.try_read().unwrap());
        until("it is killed", || false);
    });
    until("it reads", || ring.len() == 1);
    let this = thread_id();
    thread::scope(|scope| {
        scope.spawn(|| {
            until("the producer sleeps", || is_asleep(process::id(), this));
            child.kill_and_reap();
            assert_eq!(ring.recover().unwrap().dropped, 1);
        });
        producer.push_timeout(&3, PATIENCE).unwrap();
    });
}

#[test]
fn a_slot_that_is_read_still_is_full_for_producers_and_not_corrupt_for_anybody() {
    let (_name, ring, mut producer) = ring(eight().capacity(2));
    let mut slow = ring.consumer().unwrap();
    let mut fast = ring.consumer().unwrap();
    producer.push_slice(&[1, 2]).unwrap();
    let guard = slow.try_read().unwrap();
    assert_eq!(fast.try_pop(), Ok(2));
    for _ in 0..3 {
        // The next position's slot is the one that is being read, a lap ago.
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
fn a_message_that_another_consumer_holds_keeps_a_ring_from_being_over() {
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

/// Has a consumer read the next message, and kills it.
fn kill_a_reader(name: &Name, ring: &Ring<u64>) {
    let left = ring.len() - 1;
    let mut child = fork_child(|| {
        let mut consumer = Ring::<u64>::open(name).unwrap().consumer().unwrap();
        mem::forget(consumer.try_read().unwrap());
        until("it is killed", || false);
    });
    until("it reads", || ring.len() == left);
    child.kill_and_reap();
}

/// Pops until the ring is empty, and makes sure that every slot can be used again.
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
fn who_inherits_with_a_seat_goes_through_that_before_it_adopts_anything() {
    let (name, ring, mut producer) = ring(eight().consumers(2));
    producer.push_slice(&[1, 2, 3]).unwrap();
    kill_a_reader(&name, &ring);
    kill_a_reader(&name, &ring);
    // Both seats have something: one is taken with what it has, and the other's is adopted later.
    let mut consumer = ring.consumer().unwrap();
    assert_eq!(drain(&ring, &mut producer, &mut consumer), [1, 2, 3]);
}

#[test]
fn who_has_put_a_message_back_adopts_nothing_before_it_has_that() {
    let (name, ring, mut producer) = ring(eight().liveness_interval(Duration::from_nanos(1)));
    let mut consumer = ring.consumer().unwrap();
    producer.push_slice(&[1, 2, 3]).unwrap();
    consumer.try_read().unwrap().put_back();
    kill_a_reader(&name, &ring);
    assert_eq!(consumer.try_pop(), Ok(1));
    assert_eq!(drain(&ring, &mut producer, &mut consumer), [2, 3]);
}

#[test]
fn who_has_taken_a_tombstone_gives_it_back_before_it_adopts_anything() {
    let (name, ring, mut producer) = ring(eight());
    let mut consumer = ring.consumer().unwrap();
    producer.push(&1).unwrap();
    kill_a_reader(&name, &ring);
    drop(producer.try_claim().unwrap());
    producer.push(&2).unwrap();
    assert_eq!(drain(&ring, &mut producer, &mut consumer), [1, 2]);
}
