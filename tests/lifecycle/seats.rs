//! The seats of an MPMC ring: how many there are, who is refused one, and when they are free again.

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

/// Who holds the seats, sorted.
fn holders(refused: AttachError, of: Role) -> Vec<u32> {
    let text = refused.to_string();
    match refused {
        AttachError::NoSeat {
            role, mut holders, ..
        } => {
            assert_eq!(role, of);
            let count = holders.len();
            assert_eq!(
                text,
                format!(
                    "the ring has {count} {role} seats, and all are taken, by processes {holders:?}"
                )
            );
            holders.sort_unstable();
            holders
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn without_a_seat_left_the_error_names_the_holders() {
    let name = Name::new("seats");
    let ring = Ring::<u64>::create_with(&name, &seats(3, 2)).unwrap();
    let us = process::id();
    let _producers = [ring.producer().unwrap(), ring.producer().unwrap()];
    let _consumer = ring.consumer().unwrap();
    let mut child = fork_child(|| {
        let ring = Ring::<u64>::open(&name).unwrap();
        // The test takes the last seats for a moment each time it asks.
        let mut ends = (None, None);
        until("a producer's seat is left", || {
            ends.0 = ring.producer().ok();
            ends.0.is_some()
        });
        until("a consumer's seat is left", || {
            ends.1 = ring.consumer().ok();
            ends.1.is_some()
        });
        until("the test has seen enough", || false);
    });
    let it = child.pid();
    let refused = || (ring.producer().err(), ring.consumer().err());
    until("both seats are taken", || {
        matches!(refused(), (Some(_), Some(_)))
    });
    for ring in [&ring, &Ring::<u64>::open(&name).unwrap()] {
        let mut expected = [us, us, it];
        expected.sort_unstable();
        assert_eq!(
            holders(ring.producer().unwrap_err(), Role::Producer),
            expected
        );
        let mut expected = [us, it];
        expected.sort_unstable();
        assert_eq!(
            holders(ring.consumer().unwrap_err(), Role::Consumer),
            expected
        );
    }
    child.kill_and_reap();
    let ends = (ring.producer().unwrap(), ring.consumer().unwrap());
    assert_eq!(
        holders(ring.producer().unwrap_err(), Role::Producer),
        [us; 3]
    );
    drop(ends);
    for _ in 0..10 {
        ring.producer().unwrap();
        ring.consumer().unwrap();
    }
}

#[test]
fn seats_are_free_again_after_every_kind_of_death() {
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
        // By whoever asks first.
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

/// Takes an end of a ring that very many come to at once: so many on a busy machine that one of them
/// may be told that another has taken too long.
fn come<E>(attach: impl Fn() -> Result<E, AttachError>) -> E {
    loop {
        match attach() {
            Err(AttachError::Recovering(_)) => {}
            attached => return attached.unwrap(),
        }
    }
}

#[test]
fn as_many_as_there_are_seats_attach_and_detach_at_the_same_time() {
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
                        0 => drop(come(|| ring.producer())),
                        _ => drop(come(|| ring.consumer())),
                    }
                }
                let ends = match number % 2 {
                    0 => (Some(come(|| ring.producer())), None),
                    _ => (None, Some(come(|| ring.consumer()))),
                };
                present.fetch_add(1, SeqCst);
                start.wait();
                assert_eq!(present.load(SeqCst), THREADS);
                start.wait();
                drop(ends);
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
fn handles_go_from_thread_to_thread() {
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
    // A seat is the process's, not the thread's.
    assert!(ring.producer().is_ok());
    let _second = ring.producer().unwrap();
    assert!(ring.producer().is_err());
}

#[test]
fn a_peer_is_anybody_who_is_there_or_one_who_died_or_the_last_who_left() {
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
