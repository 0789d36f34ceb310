//! The slot's word alone between the two ends: nobody sleeps, so that no lock of a modelled
//! futex does the ordering for them.

use super::{CAPACITY, Memory, Popper, Pusher, WRAP_32, WRAP_64};
use crate::sync::model::{Extent, check, spawn};

/// Messages 1 to `last` through a ring that starts at `position`; tells who had to wait.
fn exchange(position: u64, last: u64) -> (bool, bool) {
    let memory = Memory::at(position);
    let mut pusher = Pusher::resume(&memory);
    let mut popper = Popper::resume(&memory);
    let pushing = spawn(move || {
        (1..=last).for_each(|message| pusher.push_spinning(message));
        pusher.was_refused
    });
    let popping = spawn(move || {
        (1..=last).for_each(|message| assert_eq!(popper.pop_spinning(), message));
        popper.was_refused
    });
    (pushing.join().unwrap(), popping.join().unwrap())
}

const ANYBODY_MAY_WAIT: [(bool, bool); 4] =
    [(false, false), (false, true), (true, false), (true, true)];

/// P carries the payload, R the end of the reading before the payload is overwritten.
#[test]
fn a_slot_is_used_again_in_order() {
    check(Extent::Preemptions(5), 500, &ANYBODY_MAY_WAIT, || {
        exchange(0, 3)
    });
}

#[test]
fn two_laps_go_through_in_order() {
    check(Extent::Preemptions(4), 1000, &ANYBODY_MAY_WAIT, || {
        exchange(0, 4)
    });
}

#[test]
fn stamps_wrap_at_32_bits() {
    check(Extent::Preemptions(4), 400, &ANYBODY_MAY_WAIT, || {
        exchange(WRAP_32 - 1, 3)
    });
}

#[test]
fn positions_wrap_at_64_bits() {
    check(Extent::Preemptions(4), 400, &ANYBODY_MAY_WAIT, || {
        exchange(WRAP_64 - 1, 3)
    });
}

/// The first slot of the second lap is written on the word of the second one alone.
#[test]
fn a_probe_of_the_last_slot_answers_for_all() {
    check(Extent::Preemptions(5), 100, &[false, true], || {
        let memory = Memory::at(WRAP_32);
        let mut pusher = Pusher::resume(&memory);
        let mut popper = Popper::resume(&memory);
        (1..=CAPACITY).for_each(|message| pusher.push_spinning(message));
        let pushing = spawn(move || {
            (3..=4).for_each(|message| pusher.push_spinning(message));
            pusher.was_refused
        });
        let popping = spawn(move || {
            (1..=4).for_each(|message| assert_eq!(popper.pop_spinning(), message));
        });
        popping.join().unwrap();
        pushing.join().unwrap()
    });
}
