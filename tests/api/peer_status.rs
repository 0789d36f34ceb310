//! What the two ends of a ring hear of each other: coming, leaving, closing.

use crate::support::names::Name;
use core::time::Duration;
use slipring::error::{
    Disconnected, PopError, PopTimeoutError, PushError, PushTimeoutError, TryPopError, TryPushError,
};
use slipring::{Consumer, Options, Peer, Producer, Protocol, Ring, WaitStrategy};
use std::thread;
use std::time::Instant;

for_each_kind! {
    all_backings:
        a_closed_ring_is_drained_and_then_says_so_for_good
        closing_ends_blocked_calls
        a_peer_has_not_come_is_present_has_left_and_comes_again
        leaving_ends_the_other_sides_wait
        one_process_may_map_a_ring_twice
        ends_go_on_without_the_ring_they_came_from
    ;
}

const SOON: Duration = Duration::from_millis(20);
/// Longer than anybody waits: not its end but the other side must end the calls.
const INTERVAL: Duration = Duration::from_secs(20);

/// Checks that `body` is not what the end of an interval wakes.
fn at_once<R>(body: impl FnOnce() -> R) -> R {
    let start = Instant::now();
    let result = body();
    assert!(start.elapsed() < INTERVAL / 2);
    result
}

/// A ring of values and both its ends.
type Values<P> = (Name, Ring<u64, P>, Producer<u64, P>, Consumer<u64, P>);

fn values<P: Protocol>(capacity: usize) -> Values<P> {
    let name = Name::new();
    let ring = Ring::<u64, P>::create(&name, capacity).unwrap();
    let (producer, consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    (name, ring, producer, consumer)
}

fn a_closed_ring_is_drained_and_then_says_so_for_good<P: Protocol>() {
    type Close<P> = fn(&Ring<u64, P>, &Producer<u64, P>, &Consumer<u64, P>);
    let ways: [Close<P>; 3] = [
        |ring, _, _| ring.close(),
        |_, producer, _| producer.close(),
        |_, _, consumer| consumer.close(),
    ];
    for close in ways {
        let (name, ring, mut producer, mut consumer) = values::<P>(4);
        producer.push_slice(&[1, 2]).unwrap();
        assert!(!ring.is_closed());
        close(&ring, &producer, &consumer);
        assert!(ring.is_closed());
        assert_eq!(producer.peer(), Ok(Peer::Closed));
        assert_eq!(consumer.peer(), Ok(Peer::Closed));
        let gone = Disconnected::Closed;
        assert_eq!(producer.try_push(&3), Err(TryPushError::Disconnected(gone)));
        assert_eq!(producer.push(&3), Err(PushError::Disconnected(gone)));
        assert_eq!(
            producer.push_timeout(&3, SOON),
            Err(PushTimeoutError::Disconnected(gone))
        );
        assert_eq!(consumer.iter().collect::<Vec<_>>(), [1, 2]);
        assert_eq!(consumer.try_pop(), Err(TryPopError::Disconnected(gone)));
        assert_eq!(consumer.pop(), Err(PopError::Disconnected(gone)));
        assert_eq!(
            consumer.pop_timeout(SOON),
            Err(PopTimeoutError::Disconnected(gone))
        );
        drop((producer, consumer));
        let again = Ring::<u64, P>::open(&name).unwrap();
        assert!(again.is_closed());
        assert_eq!(
            again.producer().unwrap().try_push(&3),
            Err(TryPushError::Disconnected(gone))
        );
    }
}

fn closing_ends_blocked_calls<P: Protocol>() {
    for strategy in [WaitStrategy::default(), WaitStrategy::Spin] {
        let name = Name::new();
        let options = Options::new()
            .capacity(2)
            .wait(strategy)
            .liveness_interval(INTERVAL);
        let ring = Ring::<u64, P>::create_with(&name, &options).unwrap();
        let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
        let popping = thread::spawn(move || consumer.pop());
        thread::sleep(SOON);
        ring.close();
        assert_eq!(
            at_once(|| popping.join().unwrap()),
            Err(PopError::Disconnected(Disconnected::Closed))
        );

        let name = Name::new();
        let ring = Ring::<u64, P>::create_with(&name, &options).unwrap();
        producer = {
            drop(producer);
            ring.producer().unwrap()
        };
        producer.push_slice(&[1, 2]).unwrap();
        let pushing = thread::spawn(move || producer.push(&3));
        thread::sleep(SOON);
        Ring::<u64, P>::open(&name).unwrap().close();
        assert_eq!(
            at_once(|| pushing.join().unwrap()),
            Err(PushError::Disconnected(Disconnected::Closed))
        );
    }
}

fn a_peer_has_not_come_is_present_has_left_and_comes_again<P: Protocol>() {
    let name = Name::new();
    let ring = Ring::<u64, P>::create(&name, 2).unwrap();
    let pid = std::process::id();
    let mut producer = ring.producer().unwrap();
    assert_eq!(producer.peer(), Ok(Peer::NeverCame));
    producer.push_slice(&[1, 2]).unwrap();
    assert_eq!(producer.try_push(&3), Err(TryPushError::Full));
    let mut consumer = ring.consumer().unwrap();
    assert_eq!(producer.peer(), Ok(Peer::Present { pid }));
    assert_eq!(consumer.peer(), Ok(Peer::Present { pid }));
    drop(consumer);
    assert_eq!(producer.peer(), Ok(Peer::Left));
    assert_eq!(
        producer.try_push(&3),
        Err(TryPushError::Disconnected(Disconnected::Left))
    );
    consumer = ring.consumer().unwrap();
    assert_eq!(producer.try_push(&3), Err(TryPushError::Full));
    drop(producer);
    assert_eq!(consumer.peer(), Ok(Peer::Left));
    assert_eq!(consumer.iter().collect::<Vec<_>>(), [1, 2]);
}

fn leaving_ends_the_other_sides_wait<P: Protocol>() {
    let name = Name::new();
    let options = Options::new().capacity(2).liveness_interval(INTERVAL);
    let ring = Ring::<u64, P>::create_with(&name, &options).unwrap();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    let popping = thread::spawn(move || (consumer.pop(), consumer));
    thread::sleep(SOON);
    drop(producer);
    let (popped, consumer) = at_once(|| popping.join().unwrap());
    assert_eq!(popped, Err(PopError::Disconnected(Disconnected::Left)));
    producer = ring.producer().unwrap();
    producer.push_slice(&[1, 2]).unwrap();
    let pushing = thread::spawn(move || producer.push(&3));
    thread::sleep(SOON);
    drop(consumer);
    assert_eq!(
        at_once(|| pushing.join().unwrap()),
        Err(PushError::Disconnected(Disconnected::Left))
    );
}

fn one_process_may_map_a_ring_twice<P: Protocol>() {
    let (name, ring, mut producer, consumer) = values::<P>(4);
    drop(consumer);
    let again = Ring::<u64, P>::open(&name).unwrap();
    let mut consumer = again.clone().consumer().unwrap();
    let messages: Vec<u64> = (0..100).collect();
    let pushing = thread::spawn(move || producer.push_slice(&messages));
    for i in 0..100 {
        let guard = consumer.read().unwrap();
        assert_eq!(guard.get(), i);
    }
    at_once(|| pushing.join().unwrap()).unwrap();
    drop(consumer);
    assert_eq!((ring.len(), again.len()), (0, 0));
    again.close();
    assert!(ring.is_closed());
}

fn ends_go_on_without_the_ring_they_came_from<P: Protocol>() {
    let (_name, ring, mut producer, mut consumer) = values::<P>(2);
    drop(ring);
    producer.push(&1).unwrap();
    assert_eq!(consumer.pop(), Ok(1));
}
