//! When operations of an MPMC ring fail with `Disconnected`: after the last peer has ended and no
//! message or slot is left, and not before.

use crate::support;
use crate::support::{ASLEEP_AT_ONCE, NEVER, Name, TIME_LIMIT, fork_child, while_asleep};
use slipring::error::{
    Disconnected, PopError, PopTimeoutError, PushError, PushTimeoutError, TryPopError, TryPushError,
};
use slipring::mpmc::Ring;
use slipring::{Options, Peer};
use std::time::Duration;
use std::{mem, process, thread};

const SOON: Duration = Duration::from_millis(10);

fn options(interval: Duration) -> Options {
    let options = Options::new().capacity(2).liveness_interval(interval);
    options.wait(ASLEEP_AT_ONCE)
}

fn ring(interval: Duration) -> (Name, Ring<u64>) {
    let name = Name::new("disconnect");
    let ring = Ring::<u64>::create_with(&name, &options(interval)).unwrap();
    (name, ring)
}

#[test]
fn pop_fails_after_last_producer_left_until_another_attaches() {
    let (_name, ring) = ring(NEVER);
    let mut consumer = ring.consumer().unwrap();
    assert_eq!(
        consumer.pop_timeout(SOON),
        Err(PopTimeoutError::TimedOut),
        "no peer has attached"
    );
    let (mut first, mut second) = (ring.producer().unwrap(), ring.producer().unwrap());
    first.push(&1).unwrap();
    second.push(&2).unwrap();
    drop(first);
    assert_eq!((consumer.pop(), consumer.pop()), (Ok(1), Ok(2)));
    assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
    assert_eq!(consumer.pop_timeout(SOON), Err(PopTimeoutError::TimedOut));
    second.push(&3).unwrap();
    drop(second);
    assert_eq!(consumer.pop(), Ok(3));
    let left = Disconnected::Left;
    assert_eq!(consumer.try_pop(), Err(left.into()));
    assert_eq!(consumer.pop(), Err(left.into()));
    assert_eq!(consumer.pop_timeout(TIME_LIMIT), Err(left.into()));
    assert_eq!(consumer.pop_slice(&mut [0; 2]), Err(left.into()));
    assert_eq!(consumer.read().unwrap_err(), left.into());
    let mut third = ring.producer().unwrap();
    assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
    third.push(&4).unwrap();
    assert_eq!(consumer.pop(), Ok(4));
}

#[test]
fn push_fails_after_last_consumer_left_until_another_attaches() {
    let (_name, ring) = ring(NEVER);
    let mut producer = ring.producer().unwrap();
    producer.push_slice(&[1, 2]).unwrap();
    assert_eq!(
        producer.push_timeout(&3, SOON),
        Err(PushTimeoutError::TimedOut),
        "no peer has attached"
    );
    let (first, second) = (ring.consumer().unwrap(), ring.consumer().unwrap());
    drop(first);
    assert_eq!(producer.try_push(&3), Err(TryPushError::Full));
    assert_eq!(
        producer.push_timeout(&3, SOON),
        Err(PushTimeoutError::TimedOut)
    );
    drop(second);
    let left = Disconnected::Left;
    assert_eq!(producer.try_push(&3), Err(left.into()));
    assert_eq!(producer.push(&3), Err(left.into()));
    assert_eq!(producer.push_timeout(&3, TIME_LIMIT), Err(left.into()));
    assert_eq!(producer.push_slice(&[3]).unwrap_err().reason, left.into());
    assert_eq!(producer.claim().unwrap_err(), left.into());
    let mut third = ring.consumer().unwrap();
    assert_eq!(producer.try_push(&3), Err(TryPushError::Full));
    assert_eq!(third.pop(), Ok(1));
    producer.push(&3).unwrap();
    assert_eq!(third.try_iter().collect::<Vec<_>>(), [2, 3]);
}

#[test]
fn blocked_call_ends_only_when_last_peer_detaches() {
    let (_name, ring) = ring(NEVER);
    let mut consumer = ring.consumer().unwrap();
    let (first, second) = (ring.producer().unwrap(), ring.producer().unwrap());
    let popped = while_asleep(|| consumer.pop_timeout(20 * SOON), || drop(first));
    assert_eq!(popped, Err(PopTimeoutError::TimedOut));
    let popped = while_asleep(|| consumer.pop(), || drop(second));
    assert_eq!(popped, Err(PopError::Disconnected(Disconnected::Left)));

    let mut producer = ring.producer().unwrap();
    producer.push_slice(&[1, 2]).unwrap();
    let second = ring.consumer().unwrap();
    let pushed = while_asleep(|| producer.push_timeout(&3, 20 * SOON), || drop(second));
    assert_eq!(pushed, Err(PushTimeoutError::TimedOut));
    let pushed = while_asleep(|| producer.push(&3), || drop(consumer));
    assert_eq!(pushed, Err(PushError::Disconnected(Disconnected::Left)));
}

#[test]
fn blocked_consumers_return_left_when_last_producer_detaches() {
    let (_name, ring) = ring(NEVER);
    let producer = ring.producer().unwrap();
    let popping: Vec<_> = (0..4)
        .map(|_| {
            let mut consumer = ring.consumer().unwrap();
            thread::spawn(move || consumer.pop())
        })
        .collect();
    thread::sleep(SOON);
    drop(producer);
    for popping in popping {
        let left = Disconnected::Left;
        assert_eq!(popping.join().unwrap(), Err(left.into()));
    }
}

#[test]
fn producer_death_is_reported_after_last_producer_detached() {
    let (name, ring) = ring(SOON);
    let mut consumer = ring.consumer().unwrap();
    let live_producer = ring.producer().unwrap();
    let mut child = fork_child(|| {
        let mut producer = Ring::<u64>::open(&name).unwrap().producer().unwrap();
        producer.push(&7).unwrap();
        mem::forget(producer.claim().unwrap());
        support::kill_process(process::id());
    });
    child.reap();
    let pid = child.pid();
    assert_eq!(consumer.pop(), Ok(7));
    assert_eq!(
        consumer.pop_timeout(3 * SOON),
        Err(PopTimeoutError::TimedOut)
    );
    drop(live_producer);
    let died = Disconnected::Died { pid };
    assert_eq!(consumer.pop(), Err(died.into()));
    assert_eq!(consumer.peer(), Ok(Peer::Died { pid }));
    assert_eq!(ring.counters().tombstones, 1);
    assert!(ring.is_empty());
}

#[test]
fn message_after_abandoned_claim_is_popped_before_disconnect() {
    let (name, ring) = ring(SOON);
    let mut consumer = ring.consumer().unwrap();
    let (mut first, mut second) = (ring.producer().unwrap(), ring.producer().unwrap());
    mem::forget(first.claim().unwrap());
    second.push(&8).unwrap();
    assert_eq!(
        consumer.try_pop(),
        Err(TryPopError::Empty),
        "a claim precedes it"
    );
    drop(second);
    assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
    drop(first);
    assert_eq!(consumer.pop(), Ok(8));
    assert_eq!(consumer.pop(), Err(Disconnected::Left.into()));

    let mut child = fork_child(|| {
        let ring = Ring::<u64>::open(&name).unwrap();
        let (mut first, mut second) = (ring.producer().unwrap(), ring.producer().unwrap());
        mem::forget(first.claim().unwrap());
        second.push(&9).unwrap();
        support::kill_process(process::id());
    });
    child.reap();
    assert_eq!(consumer.pop(), Ok(9));
    let died = Disconnected::Died { pid: child.pid() };
    assert_eq!(consumer.pop(), Err(died.into()));
}

#[test]
fn close_ends_every_blocked_call_and_keeps_pushed_messages() {
    let (_name, full) = ring(NEVER);
    let (_name, empty) = ring(NEVER);
    let pushing: Vec<_> = (0..3)
        .map(|_| {
            let mut producer = full.producer().unwrap();
            while producer.try_push(&7).is_ok() {}
            thread::spawn(move || producer.push(&8))
        })
        .collect();
    let popping: Vec<_> = (0..3)
        .map(|_| {
            let mut consumer = empty.consumer().unwrap();
            thread::spawn(move || consumer.pop())
        })
        .collect();
    thread::sleep(SOON);
    full.close();
    empty.close();
    let closed = Disconnected::Closed;
    for pushing in pushing {
        assert_eq!(pushing.join().unwrap(), Err(closed.into()));
    }
    for popping in popping {
        assert_eq!(popping.join().unwrap(), Err(closed.into()));
    }
    let mut drain = full.consumer().unwrap();
    assert_eq!((drain.pop(), drain.pop()), (Ok(7), Ok(7)));
    assert_eq!(drain.pop(), Err(closed.into()));
    assert_eq!(full.producer().unwrap().try_push(&8), Err(closed.into()));
}

#[test]
fn closed_ring_delivers_message_left_by_detached_consumer() {
    let (_name, ring) = ring(NEVER);
    let mut producer = ring.producer().unwrap();
    let (mut first, mut second) = (ring.consumer().unwrap(), ring.consumer().unwrap());
    producer.push(&7).unwrap();
    first.try_read().unwrap().put_back();
    ring.close();
    drop(first);
    assert_eq!(second.pop(), Ok(7));
    assert_eq!(second.pop(), Err(Disconnected::Closed.into()));
}
