//! Producer and consumer communicate through the slot's word alone. Neither sleeps, so no lock of a
//! modelled futex orders their accesses.

use super::{CAPACITY, Memory, WRAP_32, WRAP_64, spsc_handles};
use crate::sync::model::{Extent, check, spawn};

/// Passes messages 1 to `last` through a ring that starts at `position`. Returns whether the
/// producer, and whether the consumer, had to wait.
fn exchange(position: u64, last: u64) -> (bool, bool) {
    let memory = Memory::at(position);
    let (mut producer, mut consumer) = spsc_handles(&memory);
    let pushing = spawn(move || {
        (1..=last).for_each(|message| producer.push_spinning(message));
        producer.was_refused
    });
    let popping = spawn(move || {
        (1..=last).for_each(|message| assert_eq!(consumer.pop_spinning(), message));
        consumer.was_refused
    });
    (pushing.join().unwrap(), popping.join().unwrap())
}

const EITHER_MAY_WAIT: [(bool, bool); 4] =
    [(false, false), (false, true), (true, false), (true, true)];

/// Edges P and R: P carries the payload, R the end of the reading before it is overwritten.
#[test]
fn slot_reuse_keeps_message_order() {
    check(Extent::Preemptions(5), 500, &EITHER_MAY_WAIT, || {
        exchange(0, 3)
    });
}

#[test]
fn two_laps_keep_message_order() {
    check(Extent::Preemptions(4), 1000, &EITHER_MAY_WAIT, || {
        exchange(0, 4)
    });
}

#[test]
fn stamp_wrap_at_32_bits_keeps_order() {
    check(Extent::Preemptions(4), 400, &EITHER_MAY_WAIT, || {
        exchange(WRAP_32 - 1, 3)
    });
}

#[test]
fn position_wrap_at_64_bits_keeps_order() {
    check(Extent::Preemptions(4), 400, &EITHER_MAY_WAIT, || {
        exchange(WRAP_64 - 1, 3)
    });
}

/// The first slot of the second lap is written after a load of the second slot's word alone.
#[test]
fn probe_of_last_free_slot_covers_slots_before_it() {
    check(Extent::Preemptions(5), 100, &[false, true], || {
        let memory = Memory::at(WRAP_32);
        let (mut producer, mut consumer) = spsc_handles(&memory);
        (1..=CAPACITY).for_each(|message| producer.push_spinning(message));
        let pushing = spawn(move || {
            (3..=4).for_each(|message| producer.push_spinning(message));
            producer.was_refused
        });
        let popping = spawn(move || {
            (1..=4).for_each(|message| assert_eq!(consumer.pop_spinning(), message));
        });
        popping.join().unwrap();
        pushing.join().unwrap()
    });
}
