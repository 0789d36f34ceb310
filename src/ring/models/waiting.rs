//! The ring and its two event words.

use super::{CAPACITY, Memory, Popper, Pusher, WRAP_32};
use crate::properties::Fences;
use crate::ring::closing::Closing;
use crate::ring::participants::{Phase, SeatState};
use crate::sync::model::{Extent, check, spawn};
use crate::sync::{AtomicU32, Relaxed};
use crate::sys::clock::Instant;
use std::sync::Arc;

#[test]
fn a_push_wakes_the_consumer() {
    check(Extent::Preemptions(4), 3000, &[false, true], || {
        let memory = Memory::at(0);
        let mut pusher = Pusher::resume(&memory);
        let mut popper = Popper::resume(&memory);
        let pushing = spawn(move || (1..=2).for_each(|message| pusher.push(message)));
        let popping = spawn(move || {
            (1..=2).for_each(|message| assert_eq!(popper.pop(), message));
            popper.was_refused
        });
        pushing.join().unwrap();
        popping.join().unwrap()
    });
}

#[test]
fn a_pop_wakes_the_producer() {
    check(Extent::Preemptions(5), 400, &[false, true], || {
        let memory = Memory::at(WRAP_32);
        let mut pusher = Pusher::resume(&memory);
        let mut popper = Popper::resume(&memory);
        (1..=CAPACITY).for_each(|message| pusher.push(message));
        let pushing = spawn(move || {
            pusher.push(3);
            pusher.was_refused
        });
        let popping = spawn(move || {
            assert_eq!(popper.pop_now(), Some(1));
        });
        popping.join().unwrap();
        pushing.join().unwrap()
    });
}

#[test]
fn both_ends_may_sleep() {
    let everything = [(false, false), (false, true), (true, false), (true, true)];
    check(Extent::Preemptions(3), 4000, &everything, || {
        let memory = Memory::at(0);
        let mut pusher = Pusher::resume(&memory);
        let mut popper = Popper::resume(&memory);
        let pushing = spawn(move || {
            (1..=3).for_each(|message| pusher.push(message));
            pusher.was_refused
        });
        let popping = spawn(move || {
            (1..=3).for_each(|message| assert_eq!(popper.pop(), message));
            popper.was_refused
        });
        (pushing.join().unwrap(), popping.join().unwrap())
    });
}

/// The bit may be left over from a wait that found something to do: who clears it must not
/// leave a consumer asleep that came in between.
#[test]
fn a_bit_left_over_is_cleared_without_losing_a_sleeper() {
    check(Extent::Preemptions(4), 5000, &[false, true], || {
        let memory = Memory::at(0);
        let mut pusher = Pusher::resume(&memory);
        let mut popper = Popper::resume(&memory);
        memory
            .not_empty
            .wait(Fences::Symmetric, Instant::NEVER, || true);
        let pushing = spawn(move || (1..=2).for_each(|message| pusher.push(message)));
        let popping = spawn(move || {
            (1..=2).for_each(|message| assert_eq!(popper.pop(), message));
            popper.was_refused
        });
        pushing.join().unwrap();
        popping.join().unwrap()
    });
}

#[test]
fn a_batch_is_announced_once() {
    check(Extent::Preemptions(5), 1000, &[false, true], || {
        let memory = Memory::at(WRAP_32);
        let mut pusher = Pusher::resume(&memory);
        let mut popper = Popper::resume(&memory);
        let pushing = spawn(move || {
            for message in 1..=CAPACITY {
                assert!(pusher.write(message));
                pusher.publish();
            }
            pusher.announce();
        });
        let popping = spawn(move || {
            (1..=CAPACITY).for_each(|message| assert_eq!(popper.pop(), message));
            popper.was_refused
        });
        pushing.join().unwrap();
        popping.join().unwrap()
    });
}

#[test]
fn a_batch_is_given_back_at_once() {
    check(Extent::Preemptions(4), 500, &[false, true], || {
        let memory = Memory::at(WRAP_32);
        let mut pusher = Pusher::resume(&memory);
        let mut popper = Popper::resume(&memory);
        (1..=CAPACITY).for_each(|message| pusher.push(message));
        let pushing = spawn(move || {
            (3..=4).for_each(|message| pusher.push(message));
            pusher.was_refused
        });
        let popping = spawn(move || {
            for message in 1..=CAPACITY {
                assert_eq!(popper.read(), Some(message));
                popper.release();
            }
            popper.announce();
        });
        popping.join().unwrap();
        pushing.join().unwrap()
    });
}

/// Pushes without a word to a sleeper: the fence of telling one is a full fence in models, but
/// for the compiler only where membarrier is used, and edges must do without it.
fn push_untold(pusher: &mut Pusher, message: u64) {
    assert!(pusher.write(message));
    pusher.publish();
    pusher.store_hint();
}

#[test]
fn who_sees_a_stay_sees_what_its_holder_wrote_before() {
    check(Extent::Preemptions(3), 2, &[false, true], || {
        let state = Arc::new(SeatState::new());
        let pid = Arc::new(AtomicU32::new(0));
        let arriving = spawn({
            let (state, pid) = (Arc::clone(&state), Arc::clone(&pid));
            move || {
                pid.store(7, Relaxed);
                state.activate();
            }
        });
        let looking = spawn(move || {
            let has_arrived = state.load().phase() == Phase::Active;
            assert!(!has_arrived || pid.load(Relaxed) == 7);
            has_arrived
        });
        arriving.join().unwrap();
        looking.join().unwrap()
    });
}

/// The order is that of a handle: check_peers of the other end, then look at the ring once more.
#[test]
fn what_was_pushed_before_leaving_is_popped() {
    check(Extent::Preemptions(4), 700, &[false, true], || {
        let memory = Memory::at(0);
        let state = Arc::new(SeatState::new());
        state.activate();
        let mut pusher = Pusher::resume(&memory);
        let popper = Popper::resume(&memory);
        let pushing = spawn({
            let (memory, state) = (Arc::clone(&memory), Arc::clone(&state));
            move || {
                push_untold(&mut pusher, 1);
                state.leave();
                memory.not_empty.notify_all();
            }
        });
        let popping = spawn(move || pop_until_left(popper, &state));
        let (popped, was_nearly_missed) = popping.join().unwrap();
        pushing.join().unwrap();
        assert_eq!(popped, [1]);
        was_nearly_missed
    });
}

/// Tells what there was, and whether some of it was found only after the producer was peers
/// to have left.
fn pop_until_left(mut popper: Popper, state: &SeatState) -> (Vec<u64>, bool) {
    let memory = Arc::clone(&popper.memory);
    let (mut popped, mut was_nearly_missed) = (Vec::new(), false);
    loop {
        if let Some(message) = popper.pop_now() {
            popped.push(message);
            continue;
        }
        let peers = state.load();
        let is_ready = || popper.is_ready();
        if peers.phase() != Phase::Left {
            let is_drained = || is_ready() || state.load() != peers;
            let not_empty = &memory.not_empty;
            not_empty.wait(Fences::Symmetric, Instant::NEVER, is_drained);
        } else if is_ready() {
            was_nearly_missed = true;
        } else {
            return (popped, was_nearly_missed);
        }
    }
}

#[test]
fn what_was_pushed_before_closing_is_popped() {
    check(Extent::Preemptions(3), 200, &[1], || {
        let memory = Memory::at(0);
        let closed = Arc::new(Closing::new());
        let mut pusher = Pusher::resume(&memory);
        let popper = Popper::resume(&memory);
        let pushing = spawn({
            let (memory, closed) = (Arc::clone(&memory), Arc::clone(&closed));
            move || {
                push_untold(&mut pusher, 1);
                closed.close();
                memory.not_empty.notify_all();
            }
        });
        let popping = spawn(move || pop_until_closed(popper, &closed));
        pushing.join().unwrap();
        popping.join().unwrap()
    });
}

/// Tells how many messages there were.
fn pop_until_closed(mut popper: Popper, closed: &Closing) -> usize {
    let memory = Arc::clone(&popper.memory);
    let mut popped = 0;
    loop {
        if popper.pop_now().is_some() {
            popped += 1;
            continue;
        }
        let is_closed = closed.is_closed();
        let is_ready = || popper.is_ready();
        if !is_closed {
            let is_drained = || is_ready() || closed.is_closed();
            let not_empty = &memory.not_empty;
            not_empty.wait(Fences::Symmetric, Instant::NEVER, is_drained);
        } else if !is_ready() {
            return popped;
        }
    }
}
