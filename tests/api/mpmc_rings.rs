//! MPMC rings in one process: the guarantees of the API.

use crate::support::Name;
use slipring::Options;
use slipring::error::{Disconnected, PopError, TryPopError, TryPushError};
use slipring::mpmc::Ring;
use std::thread;
use std::time::Duration;

const NUMBERS: u64 = 60_000;

#[test]
fn message_reaches_one_consumer_in_producer_order() {
    let name = Name::new("mpmc-threads");
    for capacity in [2, 64, 1024] {
        let options = Options::new().capacity(capacity).producers(4).consumers(4);
        let ring = Ring::<[u64; 2]>::create_with(&name, &options).unwrap();
        slipring::unlink(&name).unwrap();
        let consumers: Vec<_> = (0..4)
            .map(|_| {
                let mut consumer = ring.consumer().unwrap();
                thread::spawn(move || {
                    let mut last = [0; 4];
                    let mut popped = Vec::new();
                    loop {
                        match consumer.pop() {
                            Ok([producer, number]) => {
                                assert!(last[producer as usize] < number);
                                last[producer as usize] = number;
                                popped.push((producer, number));
                            }
                            Err(error) => {
                                assert_eq!(error, PopError::Disconnected(Disconnected::Left));
                                return popped;
                            }
                        }
                    }
                })
            })
            .collect();
        // All attach before the first one leaves: a consumer stops when no producer is present.
        let handles = [(); 4].map(|()| ring.producer().unwrap());
        let producers: Vec<_> = (0..4)
            .zip(handles)
            .map(|(producer, mut handle)| {
                let numbers = NUMBERS / capacity.min(20) as u64;
                thread::spawn(move || {
                    for number in 1..=numbers {
                        handle.push(&[producer, number]).unwrap();
                    }
                    numbers
                })
            })
            .collect();
        let pushed: u64 = producers.into_iter().map(|p| p.join().unwrap()).sum();
        let mut popped: Vec<_> = consumers
            .into_iter()
            .flat_map(|consumer| consumer.join().unwrap())
            .collect();
        popped.sort_unstable();
        popped.dedup();
        assert_eq!(popped.len() as u64, pushed);
        assert_eq!(ring.counters(), Default::default());
    }
}

#[test]
fn dropped_claim_is_skipped_by_consumer() {
    let name = Name::new("mpmc-claim");
    let ring = Ring::<u64>::create(&name, 4).unwrap();
    let mut producer = ring.producer().unwrap();
    let mut consumer = ring.consumer().unwrap();
    for round in 0..10 {
        producer.push(&round).unwrap();
        drop(producer.claim().unwrap());
        producer.push(&(round + 100)).unwrap();
        assert_eq!(consumer.try_pop(), Ok(round));
        assert_eq!(consumer.try_pop(), Ok(round + 100));
        drop(producer.claim().unwrap());
        assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
    }
    assert_eq!(ring.counters().tombstones, 20);
    for _ in 0..4 {
        producer.try_push(&1).unwrap();
    }
    assert_eq!(producer.try_push(&1), Err(TryPushError::Full));
}

#[test]
fn message_left_by_detached_consumer_is_redelivered() {
    let name = Name::new("mpmc-leave");
    for consumers in [1, 2] {
        let options = Options::new().capacity(4).consumers(consumers);
        let ring = Ring::<u64>::create_with(&name, &options).unwrap();
        slipring::unlink(&name).unwrap();
        let mut producer = ring.producer().unwrap();
        producer.push_slice(&[1, 2, 3]).unwrap();
        let mut first = ring.consumer().unwrap();
        first.read().unwrap().put_back();
        assert_eq!(first.try_pop(), Ok(1));
        first.read().unwrap().put_back();
        drop(first);
        let mut second = ring.consumer().unwrap();
        let mut got = Vec::new();
        for _ in 0..2 {
            let guard = second.read_timeout(Duration::from_secs(5)).unwrap();
            got.push((guard.get(), guard.is_redelivered()));
        }
        got.sort_unstable();
        assert_eq!(got, [(2, true), (3, false)]);
        assert_eq!(ring.counters().redelivered, 1);
        assert_eq!(second.try_pop(), Err(TryPopError::Empty));
        drop(producer);
        assert_eq!(
            second.pop(),
            Err(PopError::Disconnected(Disconnected::Left))
        );
    }
}

#[test]
fn slot_with_open_claim_is_full_to_other_producers() {
    let name = Name::new("mpmc-slow");
    let ring = Ring::<u64>::create(&name, 2).unwrap();
    let (mut slow, mut other) = (ring.producer().unwrap(), ring.producer().unwrap());
    let mut consumer = ring.consumer().unwrap();
    let mut claim = slow.claim().unwrap();
    claim.write(&1);
    other.push(&2).unwrap();
    for _ in 0..3 {
        // The next position uses the slot that the open claim has held since the previous lap.
        assert_eq!(other.try_push(&3), Err(TryPushError::Full));
        assert!(other.is_full());
        assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
    }
    claim.commit();
    assert_eq!(consumer.try_iter().collect::<Vec<_>>(), [1, 2]);
    other.push(&3).unwrap();
    assert_eq!(consumer.try_pop(), Ok(3));
}
