//! Orphans of dead consumers, and the last operations of an MPMC ring. The tests write the state
//! into the ring that kills would leave, because no kill can be repeated at these instructions.

use crate::support::names::Name;
use slipring::error::{Disconnected, PopError, TryPopError, TryPushError};
use slipring::mpmc::Ring;
use slipring::{Options, Peer, spsc};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;

const HEAD: u64 = 0x100;
const ENTRIES: u64 = 0x400;
const ENTRY: u64 = 128;
const INTENT: u64 = 0x20;
const COUNT: u64 = 0x28;
/// The offset of the slots in a ring with few participants.
const SLOTS: u64 = 0x1000;
const STRIDE: u64 = 16;

const CAPACITY: u64 = 16;
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// A ring with the numbers from 0 on, of which a dead consumer has claimed the first `claimed`.
fn ring_with_dead_consumer(consumers: u32, numbers: u64, claimed: u32) -> (Name, File, Ring<u64>) {
    let name = Name::new();
    let options = Options::new()
        .capacity(CAPACITY as usize)
        .producers(1)
        .consumers(consumers);
    let ring = Ring::<u64>::create_with(&name, &options).unwrap();
    let numbers: Vec<_> = (0..numbers).collect();
    ring.producer().unwrap().push_slice(&numbers).unwrap();
    let file = name.file();
    let write = |bytes: &[u8], at| file.write_all_at(bytes, at).unwrap();
    let entry = ENTRIES + ENTRY;
    write(&1_u64.to_le_bytes(), entry + INTENT);
    write(&claimed.to_le_bytes(), entry + COUNT);
    write(&u64::from(claimed).to_le_bytes(), HEAD);
    (name, file, ring)
}

#[test]
fn pop_of_one_message_adopts_one_orphan() {
    let (_name, _file, ring) = ring_with_dead_consumer(4, 8, 8);
    let mut first = ring.consumer().unwrap();
    let mut second = ring.consumer().unwrap();
    let guard = first.read_timeout(TIME_LIMIT).unwrap();
    assert_eq!((guard.get(), guard.is_redelivered()), (0, true));
    // The other orphans do not wait until the first consumer releases its message.
    let rest: Vec<_> = (1..8)
        .map(|_| second.pop_timeout(TIME_LIMIT).unwrap())
        .collect();
    assert_eq!(rest, [1, 2, 3, 4, 5, 6, 7]);
    drop(guard);
    assert_eq!(ring.counters().redelivered, 8);
    assert_eq!(first.pop(), Err(PopError::Disconnected(Disconnected::Left)));
}

#[test]
fn batch_pop_adopts_as_many_orphans_as_the_slice_holds() {
    let (_name, _file, ring) = ring_with_dead_consumer(4, 8, 8);
    let mut consumer = ring.consumer().unwrap();
    let mut numbers = [0; 5];
    assert_eq!(consumer.pop_slice(&mut numbers).unwrap(), 5);
    assert_eq!(numbers, [0, 1, 2, 3, 4]);
    assert_eq!(consumer.pop_slice(&mut numbers).unwrap(), 3);
    assert_eq!(numbers[..3], [5, 6, 7]);
}

#[test]
fn orphans_beyond_gap_pass_to_next_holder_of_the_seat() {
    let (_name, file, ring) = ring_with_dead_consumer(1, 4, 3);
    // The second orphan was adopted and released, and its slot is free for the next lap.
    let freed = (1 + CAPACITY).to_le_bytes();
    file.write_all_at(&freed, SLOTS + STRIDE).unwrap();
    let mut consumer = ring.consumer().unwrap();
    for (number, is_redelivered) in [(0, true), (2, true), (3, false)] {
        let guard = consumer.read_timeout(TIME_LIMIT).unwrap();
        assert_eq!(
            (guard.get(), guard.is_redelivered()),
            (number, is_redelivered)
        );
    }
    assert_eq!(ring.counters().redelivered, 2);
    assert_eq!(
        consumer.pop(),
        Err(PopError::Disconnected(Disconnected::Left))
    );
    drop(consumer);
    let mut producer = ring.producer().unwrap();
    for number in 0..CAPACITY {
        producer.try_push(&number).unwrap();
    }
    assert_eq!(
        producer.try_push(&0),
        Err(TryPushError::Disconnected(Disconnected::Left))
    );
}

#[test]
fn attach_prevented_by_stopped_participant_names_its_process() {
    let (_name, file, ring) = ring_with_dead_consumer(2, 4, 1);
    let _stopped = ring.consumer().unwrap();
    // The intent of a consumer that is stopped before a compare-and-swap that will fail.
    let entry = ENTRIES + 2 * ENTRY;
    let set_intent = |after_start: u64| {
        let write = |bytes: &[u8], at| file.write_all_at(bytes, at).unwrap();
        write(&1_u32.to_le_bytes(), entry + COUNT);
        write(&after_start.to_le_bytes(), entry + INTENT);
    };
    set_intent(1);
    let refused = ring.consumer().unwrap_err();
    let this = std::process::id();
    assert_eq!(
        refused.to_string(),
        format!("no consumer seat can be taken before process {this}, which is stopped, goes on")
    );
    set_intent(0);
    assert_eq!(ring.consumer().unwrap().try_pop(), Ok(0));
}

#[test]
fn closed_ring_is_drained_past_claims_dropped_after_close() {
    let name = Name::new();
    let ring = Ring::<u64>::create(&name, 4).unwrap();
    let (mut slow, mut quick) = (ring.producer().unwrap(), ring.producer().unwrap());
    let mut consumer = ring.consumer().unwrap();
    let claim = slow.claim().unwrap();
    quick.push(&5).unwrap();
    ring.close();
    assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
    drop(claim);
    assert_eq!(consumer.try_pop(), Ok(5));
    assert_eq!(
        consumer.pop(),
        Err(PopError::Disconnected(Disconnected::Closed))
    );
}

#[test]
fn oversized_message_in_batch_claims_no_positions() {
    let name = Name::new();
    let ring = Ring::<[u8]>::create_bytes(&name, 8, 4).unwrap();
    let mut producer = ring.producer().unwrap();
    let messages: [&[u8]; 4] = [b"ab", b"abc", b"abcde", b"a"];
    assert_eq!(producer.try_push_slice(&messages).unwrap(), 2);
    assert_eq!(producer.push_slice(&messages).unwrap_err().pushed, 2);
    assert_eq!((ring.len(), ring.counters().tombstones), (4, 0));
}

#[test]
fn peer_death_followed_by_a_later_detach_is_not_reported() {
    let name = Name::new();
    let ring = Ring::<u64>::create(&name, 4).unwrap();
    let mut consumer = ring.consumer().unwrap();
    drop(ring.producer().unwrap());
    // The entry of a killed participant still shows an active holder.
    let file = name.file();
    let mut seat_state = [0; 4];
    file.read_exact_at(&mut seat_state, ENTRIES).unwrap();
    seat_state[0] ^= 3;
    file.write_all_at(&seat_state, ENTRIES).unwrap();
    assert!(matches!(consumer.peer(), Ok(Peer::Died { .. })));
    drop(ring.producer().unwrap());
    assert_eq!(consumer.peer(), Ok(Peer::Left));
    assert_eq!(
        consumer.pop(),
        Err(PopError::Disconnected(Disconnected::Left))
    );
}

#[test]
fn forged_intent_in_spsc_ring_is_ignored() {
    let name = Name::new();
    let ring = spsc::Ring::<u64>::create(&name, 4).unwrap();
    let file = name.file();
    for entry in [ENTRIES, ENTRIES + ENTRY] {
        file.write_all_at(&[1], entry + INTENT).unwrap();
        file.write_all_at(&[4], entry + COUNT).unwrap();
    }
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    producer.push(&7).unwrap();
    drop(producer);
    assert_eq!(consumer.pop(), Ok(7));
}
