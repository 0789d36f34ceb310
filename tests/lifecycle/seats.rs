//! The seats of an MPMC ring: how many there are, when an attach is refused, and when a seat is
//! free again.

use crate::support;
use crate::support::{Name, fork_child, until};
use slipring::error::AttachError;
use slipring::mpmc::Ring;
use slipring::{Options, Peer, Role};
use std::sync::Barrier;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::{process, thread};

fn seats(producers: u32, consumers: u32) -> Options {
    let options = Options::new().capacity(8).producers(producers);
    options.consumers(consumers)
}

/// The process IDs of the holders that an error names, sorted.
fn holders(refused: AttachError, of: Role) -> Vec<u32> {
    let text = refused.to_string();
    match refused {
        AttachError::NoSeat {
            role, mut holders, ..
        } => {
            assert_eq!(role, of);
            let count = holders.len();
            let pids: Vec<_> = holders.iter().map(u32::to_string).collect();
            let pids = pids.join(", ");
            assert_eq!(
                text,
                format!("{role} seats: all {count} are taken, by processes {pids}")
            );
            holders.sort_unstable();
            holders
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn attach_without_free_seat_names_the_holders() {
    let name = Name::new("seats");
    let ring = Ring::<u64>::create_with(&name, &seats(3, 2)).unwrap();
    let this = process::id();
    let _producers = [ring.producer().unwrap(), ring.producer().unwrap()];
    let _consumer = ring.consumer().unwrap();
    let mut child = fork_child(|| {
        let ring = Ring::<u64>::open(&name).unwrap();
        // Each attempt of the test to attach takes the last seats for a moment.
        let mut handles = (None, None);
        until("a producer seat is free", || {
            handles.0 = ring.producer().ok();
            handles.0.is_some()
        });
        until("a consumer seat is free", || {
            handles.1 = ring.consumer().ok();
            handles.1.is_some()
        });
        until("the test kills this process", || false);
    });
    let other = child.pid();
    let refused = || (ring.producer().err(), ring.consumer().err());
    until("both seats are taken", || {
        matches!(refused(), (Some(_), Some(_)))
    });
    for ring in [&ring, &Ring::<u64>::open(&name).unwrap()] {
        let mut expected = [this, this, other];
        expected.sort_unstable();
        assert_eq!(
            holders(ring.producer().unwrap_err(), Role::Producer),
            expected
        );
        let mut expected = [this, other];
        expected.sort_unstable();
        assert_eq!(
            holders(ring.consumer().unwrap_err(), Role::Consumer),
            expected
        );
    }
    child.kill_and_reap();
    let handles = (ring.producer().unwrap(), ring.consumer().unwrap());
    assert_eq!(
        holders(ring.producer().unwrap_err(), Role::Producer),
        [this; 3]
    );
    drop(handles);
    for _ in 0..10 {
        ring.producer().unwrap();
        ring.consumer().unwrap();
    }
}

#[test]
fn seats_after_every_kind_of_death_are_free_again() {
    let name = Name::new("seats");
    let ring = Ring::<u64>::create_with(&name, &seats(1, 1)).unwrap();
    for turn in 0..6 {
        let mut child = fork_child(|| {
            let ring = Ring::<u64>::open(&name).unwrap();
            let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
            match turn % 3 {
                0 => {}
                1 => std::mem::forget(producer.claim().unwrap()),
                _ => {
                    producer.push(&turn).unwrap();
                    consumer.read().unwrap().put_back();
                }
            }
            support::kill_process(process::id());
        });
        child.reap();
        // The first participant that attaches recovers.
        let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
        if turn % 3 == 2 {
            let guard = consumer.read().unwrap();
            assert_eq!((guard.get(), guard.is_redelivered()), (turn, true));
        }
        producer.push(&99).unwrap();
        assert_eq!(consumer.pop(), Ok(99));
        let counters = ring.counters();
        let so_far = |kind: u64| (turn + 3 - kind) / 3;
        assert_eq!(counters.tombstones, so_far(1));
        assert_eq!(counters.redelivered, so_far(2));
        assert_eq!(counters.dropped, 0);
    }
}

/// Attaches to a ring to which many threads attach at once. On a busy machine an attempt may be
/// refused because another thread holds the recovery lock for too long.
fn attach_with_retries<E>(attach: impl Fn() -> Result<E, AttachError>) -> E {
    loop {
        match attach() {
            Err(AttachError::Recovering(_)) => {}
            attached => return attached.unwrap(),
        }
    }
}

#[test]
fn concurrent_attach_and_detach_on_all_seats_succeeds() {
    const THREADS: u32 = 200;
    let name = Name::new("seats");
    let ring = Ring::<u64>::create_with(&name, &seats(THREADS / 2, THREADS / 2)).unwrap();
    let start = Barrier::new(THREADS as usize);
    let present = AtomicU32::new(0);
    thread::scope(|scope| {
        for number in 0..THREADS {
            let (ring, start, present) = (ring.clone(), &start, &present);
            scope.spawn(move || {
                for _ in 0..3 {
                    start.wait();
                    match number % 2 {
                        0 => drop(attach_with_retries(|| ring.producer())),
                        _ => drop(attach_with_retries(|| ring.consumer())),
                    }
                }
                let handles = match number % 2 {
                    0 => (Some(attach_with_retries(|| ring.producer())), None),
                    _ => (None, Some(attach_with_retries(|| ring.consumer()))),
                };
                present.fetch_add(1, SeqCst);
                start.wait();
                assert_eq!(present.load(SeqCst), THREADS);
                start.wait();
                drop(handles);
            });
        }
    });
    let (producer, consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    let pid = process::id();
    assert_eq!(producer.peer(), Ok(Peer::Present { pid }));
    drop(producer);
    assert_eq!(consumer.peer(), Ok(Peer::Left));
}

#[test]
fn handle_moved_between_threads_works_and_keeps_its_seat() {
    let name = Name::new("seats");
    let ring = Ring::<u64>::create_with(&name, &seats(2, 2)).unwrap();
    let mut producer = ring.producer().unwrap();
    let mut consumer = ring.consumer().unwrap();
    for number in 0..20 {
        producer = thread::spawn(move || {
            producer.push(&number).unwrap();
            producer
        })
        .join()
        .unwrap();
        consumer = thread::spawn(move || {
            assert_eq!(consumer.pop(), Ok(number));
            consumer
        })
        .join()
        .unwrap();
    }
    // The end of the threads has freed no seat: one of the two is held, and one is free.
    assert!(ring.producer().is_ok());
    let _second = ring.producer().unwrap();
    assert!(ring.producer().is_err());
}

#[test]
fn peer_status_follows_attach_detach_death_and_close() {
    let name = Name::new("seats");
    let ring = Ring::<u64>::create_with(&name, &seats(2, 3)).unwrap();
    let pid = process::id();
    let producer = ring.producer().unwrap();
    assert_eq!(producer.peer(), Ok(Peer::NeverCame));
    let first = ring.consumer().unwrap();
    let second = ring.consumer().unwrap();
    drop(first);
    assert_eq!(producer.peer(), Ok(Peer::Present { pid }));
    drop(second);
    assert_eq!(producer.peer(), Ok(Peer::Left));
    let mut child = fork_child(|| {
        let ring = Ring::<u64>::open(&name).unwrap();
        let _consumers = [ring.consumer().unwrap(), ring.consumer().unwrap()];
        support::kill_process(process::id());
    });
    child.reap();
    assert_eq!(producer.peer(), Ok(Peer::Died { pid: child.pid() }));
    let third = ring.consumer().unwrap();
    assert_eq!(producer.peer(), Ok(Peer::Present { pid }));
    drop(third);
    ring.close();
    assert_eq!(producer.peer(), Ok(Peer::Closed));
}
