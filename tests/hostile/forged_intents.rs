//! Intents that a hostile peer forges in the entries of an MPMC ring: recovery ends in bounded
//! time, and takes nothing from live participants.

use crate::support::names::Name;
use crate::support::time_limit::bounded;
use core::time::Duration;
use slipring::error::{TryPopError, TryPushError};
use slipring::mpmc::Ring;
use slipring::{Delivery, Options};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Instant;

const COUNTS: [u32; 5] = [0, 1, 5, 1 << 31, u32::MAX];
const SEATS: u64 = 64;

/// Sets the intent of a seat. `after_start` is the first position plus 1, or 0 for no intent.
fn forge(file: &File, seat: u64, after_start: u64, count: u32) {
    let entry = 0x400 + 0x80 * seat;
    file.write_all_at(&count.to_le_bytes(), entry + 0x28)
        .unwrap();
    file.write_all_at(&after_start.to_le_bytes(), entry + 0x20)
        .unwrap();
}

fn is_intent_set(file: &File, seat: u64) -> bool {
    let mut word = [0; 8];
    file.read_exact_at(&mut word, 0x420 + 0x80 * seat).unwrap();
    word != [0; 8]
}

/// Intents near the positions of the ring, and at powers of two and the last positions.
fn forgeries(first: u64) -> impl Iterator<Item = u64> {
    let near = (0..40).map(move |ahead| first.wrapping_add(ahead).wrapping_sub(20));
    near.chain([1, 2, 1 << 32, 1 << 63, u64::MAX - 1, u64::MAX])
}

#[test]
fn forged_intents_of_dead_seats_lose_no_message_and_no_slot() {
    for first in [0, 100, (1 << 32) - 2, (1 << 63) - 61] {
        for delivery in [Delivery::AtLeastOnce, Delivery::AtMostOnce] {
            let name = Name::new();
            let options = Options::new().capacity(8).first_position(first);
            let ring = Ring::<u64>::create_with(&name, &options.delivery(delivery)).unwrap();
            let file = name.file();
            let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
            producer.push_slice(&[1, 2, 3, 4, 5]).unwrap();
            assert_eq!((consumer.try_pop(), consumer.try_pop()), (Ok(1), Ok(2)));
            for after_start in forgeries(first.wrapping_add(3)) {
                for count in COUNTS {
                    // Every seat but those of the two live participants.
                    let others = || (1..SEATS).chain(SEATS + 1..2 * SEATS);
                    others().for_each(|seat| forge(&file, seat, after_start, count));
                    let intents = u64::from(after_start != 0) * (2 * SEATS - 2);
                    let recovery = bounded(|| ring.recover().unwrap());
                    assert_eq!(
                        recovery.settled, intents,
                        "{first:#x} {after_start:#x} {count}"
                    );
                    assert_eq!(recovery.tombstones + recovery.waiting + recovery.dropped, 0);
                    assert_eq!(recovery.undecided, 0);
                    assert!(others().all(|seat| !is_intent_set(&file, seat)));
                }
            }
            assert_eq!(consumer.try_iter().collect::<Vec<_>>(), [3, 4, 5]);
            assert_eq!(producer.try_push_slice(&[6; 9]), Ok(8));
            assert_eq!(producer.try_push(&7), Err(TryPushError::Full));
            assert_eq!(consumer.try_iter().count(), 8);
        }
    }
}

#[test]
fn forged_intents_of_dead_seats_take_no_claim_of_live_process() {
    let name = Name::new();
    let options = Options::new()
        .capacity(8)
        .liveness_interval(Duration::from_millis(1));
    let ring = Ring::<u64>::create_with(&name, &options).unwrap();
    let file = name.file();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    let mut other = ring.consumer().unwrap();
    producer.push_slice(&[1, 2]).unwrap();
    let guard = consumer.try_read().unwrap();
    let mut claim = producer.try_claim().unwrap();
    claim.write(&3);
    for count in COUNTS {
        for seat in (1..SEATS).chain(SEATS + 2..2 * SEATS) {
            forge(&file, seat, 1, count);
        }
        let recovery = bounded(|| ring.recover().unwrap());
        assert_eq!(recovery.tombstones + recovery.waiting, 0);
        // An intent of no positions covers none. Any other covers the first position. A live
        // consumer holds its message.
        assert_eq!(recovery.undecided > 0, count > 0);
    }
    assert_eq!(other.try_pop(), Ok(2));
    assert_eq!(other.try_pop(), Err(TryPopError::Empty));
    claim.commit();
    assert_eq!(other.try_pop(), Ok(3));
    assert_eq!(guard.get(), 1);
    drop(guard);
    assert_eq!(ring.recover().unwrap().undecided, 0);
    assert_eq!(other.try_pop(), Err(TryPopError::Empty));
    assert_eq!(producer.try_push_slice(&[4; 9]), Ok(8));
    assert_eq!(ring.counters().redelivered, 0);
}

#[test]
fn recovery_from_most_forged_intents_ends_in_bounded_time() {
    let name = Name::new();
    let options = Options::new()
        .capacity(1 << 14)
        .producers(1024)
        .consumers(1024);
    let ring = Ring::<u64>::create_with(&name, &options).unwrap();
    let file = name.file();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    producer.push_slice(&[7; 1 << 13]).unwrap();
    assert_eq!(consumer.try_iter().take(1 << 12).count(), 1 << 12);
    for seat in (1..1024).chain(1025..2048) {
        forge(&file, seat, 1, u32::MAX);
    }
    let start = Instant::now();
    let recovery = bounded(|| ring.recover().unwrap());
    assert!(
        start.elapsed() < Duration::from_secs(20),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(recovery.settled, 2 * 1023);
    assert_eq!(consumer.try_iter().count(), 1 << 12);
}

#[test]
fn forged_intent_of_live_participant_ends_with_its_next_claim() {
    let name = Name::new();
    let ring = Ring::<u64>::create(&name, 8).unwrap();
    let file = name.file();
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    for after_start in forgeries(0) {
        for count in COUNTS {
            forge(&file, 0, after_start, count);
            forge(&file, SEATS, after_start, count);
            bounded(|| ring.recover().unwrap());
            producer.push(&7).unwrap();
            assert_eq!(consumer.pop(), Ok(7));
            assert_eq!(producer.try_push_slice(&[1, 2, 3]), Ok(3));
            assert_eq!(consumer.try_pop_slice(&mut [0; 4]), Ok(3));
            assert!(!is_intent_set(&file, 0) && !is_intent_set(&file, SEATS));
        }
    }
}
