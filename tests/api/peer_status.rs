//! Peer status: how each handle observes the other side attach, detach and close.

use crate::rings::{next_producer, values};
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
        closed_ring_drains_then_reports_closed_permanently
        close_ends_blocked_push_and_pop
        peer_status_follows_attach_detach_and_reattach
        detach_ends_blocked_calls_of_peer
        ring_mapped_twice_in_one_process_works
        handles_work_after_ring_value_is_dropped
    ;
}

const SOON: Duration = Duration::from_millis(20);
/// Longer than any blocked call may last: the other side, not a liveness check, must end the call.
const INTERVAL: Duration = Duration::from_secs(20);

/// Checks that `body` returns well before a liveness check would wake it.
fn within_interval<R>(body: impl FnOnce() -> R) -> R {
    let start = Instant::now();
    let result = body();
    assert!(start.elapsed() < INTERVAL / 2);
    result
}

fn closed_ring_drains_then_reports_closed_permanently<P: Protocol>() {
    type Close<P> = fn(&Ring<u64, P>, &Producer<u64, P>, &Consumer<u64, P>);
    let close_calls: [Close<P>; 3] = [
        |ring, _, _| ring.close(),
        |_, producer, _| producer.close(),
        |_, _, consumer| consumer.close(),
    ];
    for close in close_calls {
        let (name, ring, mut producer, mut consumer) = values::<P>(4);
        producer.push_slice(&[1, 2]).unwrap();
        assert!(!ring.is_closed());
        close(&ring, &producer, &consumer);
        assert!(ring.is_closed());
        assert_eq!(producer.peer(), Ok(Peer::Closed));
        assert_eq!(consumer.peer(), Ok(Peer::Closed));
        let closed = Disconnected::Closed;
        assert_eq!(
            producer.try_push(&3),
            Err(TryPushError::Disconnected(closed))
        );
        assert_eq!(producer.push(&3), Err(PushError::Disconnected(closed)));
        assert_eq!(
            producer.push_timeout(&3, SOON),
            Err(PushTimeoutError::Disconnected(closed))
        );
        assert_eq!(consumer.iter().collect::<Vec<_>>(), [1, 2]);
        assert_eq!(consumer.try_pop(), Err(TryPopError::Disconnected(closed)));
        assert_eq!(consumer.pop(), Err(PopError::Disconnected(closed)));
        assert_eq!(
            consumer.pop_timeout(SOON),
            Err(PopTimeoutError::Disconnected(closed))
        );
        drop((producer, consumer));
        let again = Ring::<u64, P>::open(&name).unwrap();
        assert!(again.is_closed());
        assert_eq!(
            again.producer().unwrap().try_push(&3),
            Err(TryPushError::Disconnected(closed))
        );
    }
}

fn close_ends_blocked_push_and_pop<P: Protocol>() {
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
            within_interval(|| popping.join().unwrap()),
            Err(PopError::Disconnected(Disconnected::Closed))
        );

        let name = Name::new();
        let ring = Ring::<u64, P>::create_with(&name, &options).unwrap();
        producer = next_producer(producer, &ring);
        producer.push_slice(&[1, 2]).unwrap();
        let pushing = thread::spawn(move || producer.push(&3));
        thread::sleep(SOON);
        Ring::<u64, P>::open(&name).unwrap().close();
        assert_eq!(
            within_interval(|| pushing.join().unwrap()),
            Err(PushError::Disconnected(Disconnected::Closed))
        );
    }
}

fn peer_status_follows_attach_detach_and_reattach<P: Protocol>() {
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

fn detach_ends_blocked_calls_of_peer<P: Protocol>() {
    let name = Name::new();
    let options = Options::new().capacity(2).liveness_interval(INTERVAL);
    let ring = Ring::<u64, P>::create_with(&name, &options).unwrap();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    let popping = thread::spawn(move || (consumer.pop(), consumer));
    thread::sleep(SOON);
    drop(producer);
    let (popped, consumer) = within_interval(|| popping.join().unwrap());
    assert_eq!(popped, Err(PopError::Disconnected(Disconnected::Left)));
    producer = ring.producer().unwrap();
    producer.push_slice(&[1, 2]).unwrap();
    let pushing = thread::spawn(move || producer.push(&3));
    thread::sleep(SOON);
    drop(consumer);
    assert_eq!(
        within_interval(|| pushing.join().unwrap()),
        Err(PushError::Disconnected(Disconnected::Left))
    );
}

fn ring_mapped_twice_in_one_process_works<P: Protocol>() {
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
    within_interval(|| pushing.join().unwrap()).unwrap();
    drop(consumer);
    assert_eq!((ring.len(), again.len()), (0, 0));
    again.close();
    assert!(ring.is_closed());
}

fn handles_work_after_ring_value_is_dropped<P: Protocol>() {
    let (_name, ring, mut producer, mut consumer) = values::<P>(2);
    drop(ring);
    producer.push(&1).unwrap();
    assert_eq!(consumer.pop(), Ok(1));
}
