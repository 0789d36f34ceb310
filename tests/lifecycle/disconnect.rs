//! When an MPMC ring is over for one side: when the last of the other one has gone and nothing is
//! left to do, and not before.

use crate::support;
use crate::support::{NEVER, Name, PATIENCE, fork_child, is_asleep, thread_id, until};
use slipring::error::{
    Disconnected, PopError, PopTimeoutError, PushError, PushTimeoutError, TryPopError, TryPushError,
};
use slipring::mpmc::Ring;
use slipring::{Options, Peer, WaitStrategy};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::time::Duration;
use std::{mem, process, thread};

const SOON: Duration = Duration::from_millis(10);

fn options(interval: Duration) -> Options {
    let options = Options::new().capacity(2).liveness_interval(interval);
    options.wait(WaitStrategy::Sleep {
        spins: 0,
        yields: 0,
    })
}

fn ring(interval: Duration) -> (Name, Ring<u64>) {
    let name = Name::new("hang-up");
    let ring = Ring::<u64>::create_with(&name, &options(interval)).unwrap();
    (name, ring)
}

#[test]
fn pops_fail_when_the_last_producer_has_left_and_go_on_when_one_comes() {
    let (_name, ring) = ring(NEVER);
    let mut consumer = ring.consumer().unwrap();
    assert_eq!(
        consumer.pop_timeout(SOON),
        Err(PopTimeoutError::TimedOut),
        "nobody came"
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
    let gone = Disconnected::Left;
    assert_eq!(consumer.try_pop(), Err(gone.into()));
    assert_eq!(consumer.pop(), Err(gone.into()));
    assert_eq!(consumer.pop_timeout(PATIENCE), Err(gone.into()));
    assert_eq!(consumer.pop_slice(&mut [0; 2]), Err(gone.into()));
    assert_eq!(consumer.read().unwrap_err(), gone.into());
    let mut third = ring.producer().unwrap();
    assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
    third.push(&4).unwrap();
    assert_eq!(consumer.pop(), Ok(4));
}

#[test]
fn pushes_fail_when_the_last_consumer_has_left_and_go_on_when_one_comes() {
    let (_name, ring) = ring(NEVER);
    let mut producer = ring.producer().unwrap();
    producer.push_slice(&[1, 2]).unwrap();
    assert_eq!(
        producer.push_timeout(&3, SOON),
        Err(PushTimeoutError::TimedOut),
        "nobody came"
    );
    let (first, second) = (ring.consumer().unwrap(), ring.consumer().unwrap());
    drop(first);
    assert_eq!(producer.try_push(&3), Err(TryPushError::Full));
    assert_eq!(
        producer.push_timeout(&3, SOON),
        Err(PushTimeoutError::TimedOut)
    );
    drop(second);
    let gone = Disconnected::Left;
    assert_eq!(producer.try_push(&3), Err(gone.into()));
    assert_eq!(producer.push(&3), Err(gone.into()));
    assert_eq!(producer.push_timeout(&3, PATIENCE), Err(gone.into()));
    assert_eq!(producer.push_slice(&[3]).unwrap_err().reason, gone.into());
    assert_eq!(producer.claim().unwrap_err(), gone.into());
    let mut third = ring.consumer().unwrap();
    assert_eq!(producer.try_push(&3), Err(TryPushError::Full));
    assert_eq!(third.pop(), Ok(1));
    producer.push(&3).unwrap();
    assert_eq!(third.try_iter().collect::<Vec<_>>(), [2, 3]);
}

/// What ends a blocked call: somebody who goes while it sleeps.
fn ends_the_sleep<E, R: Send>(goes: E, blocked: impl FnOnce() -> R + Send) -> R
where
    E: FnOnce(),
{
    let thread = AtomicU32::new(0);
    thread::scope(|scope| {
        let blocked = scope.spawn(|| {
            thread.store(thread_id(), SeqCst);
            blocked()
        });
        until("it sleeps", || {
            is_asleep(process::id(), thread.load(SeqCst))
        });
        goes();
        blocked.join().unwrap()
    })
}

#[test]
fn the_last_to_leave_ends_a_blocked_call_and_the_one_before_does_not() {
    let (_name, ring) = ring(NEVER);
    let mut consumer = ring.consumer().unwrap();
    let (first, second) = (ring.producer().unwrap(), ring.producer().unwrap());
    let popped = ends_the_sleep(|| drop(first), || consumer.pop_timeout(20 * SOON));
    assert_eq!(popped, Err(PopTimeoutError::TimedOut));
    let popped = ends_the_sleep(|| drop(second), || consumer.pop());
    assert_eq!(popped, Err(PopError::Disconnected(Disconnected::Left)));

    let mut producer = ring.producer().unwrap();
    producer.push_slice(&[1, 2]).unwrap();
    let second = ring.consumer().unwrap();
    let pushed = ends_the_sleep(|| drop(second), || producer.push_timeout(&3, 20 * SOON));
    assert_eq!(pushed, Err(PushTimeoutError::TimedOut));
    let pushed = ends_the_sleep(|| drop(consumer), || producer.push(&3));
    assert_eq!(pushed, Err(PushError::Disconnected(Disconnected::Left)));
}

#[test]
fn several_blocked_consumers_all_hear_of_the_last_producers_end() {
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
        let gone = Disconnected::Left;
        assert_eq!(popping.join().unwrap(), Err(gone.into()));
    }
}

#[test]
fn a_death_is_told_when_the_last_has_gone_whoever_went_last() {
    let (name, ring) = ring(SOON);
    let mut consumer = ring.consumer().unwrap();
    let stays = ring.producer().unwrap();
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
    drop(stays);
    let died = Disconnected::Died { pid };
    assert_eq!(consumer.pop(), Err(died.into()));
    assert_eq!(consumer.peer(), Ok(Peer::Died { pid }));
    assert_eq!(ring.counters().tombstones, 1);
    assert!(ring.is_empty());
}

#[test]
fn what_a_dead_producer_pushed_behind_its_own_hole_comes_before_the_hang_up() {
    let (name, ring) = ring(SOON);
    let mut consumer = ring.consumer().unwrap();
    let (mut first, mut second) = (ring.producer().unwrap(), ring.producer().unwrap());
    mem::forget(first.claim().unwrap());
    second.push(&8).unwrap();
    assert_eq!(consumer.try_pop(), Err(TryPopError::Empty), "not its turn");
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
fn closing_ends_every_blocked_call_and_leaves_what_is_there_to_be_popped() {
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
fn a_closed_ring_still_delivers_what_a_consumer_left_behind() {
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
