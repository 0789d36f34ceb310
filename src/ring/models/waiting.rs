//! The ring and its two event words.

use super::{CAPACITY, Memory, Popper, Pusher, WRAP_32};
use crate::ring::ending::Ending;
use crate::ring::tenancy::{Phase, Tenancy};
use crate::sync::modelling::{Extent, check, spawn};
use crate::sync::{AtomicU32, Relaxed};
use crate::sys::clock::Instant;
use crate::terms::Fences;
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
    pusher.tell();
}

#[test]
fn who_sees_a_stay_sees_what_its_holder_wrote_before() {
    check(Extent::Preemptions(3), 2, &[false, true], || {
        let tenancy = Arc::new(Tenancy::new());
        let pid = Arc::new(AtomicU32::new(0));
        let arriving = spawn({
            let (tenancy, pid) = (Arc::clone(&tenancy), Arc::clone(&pid));
            move || {
                pid.store(7, Relaxed);
                tenancy.begin();
            }
        });
        let looking = spawn(move || {
            let has_arrived = tenancy.stay().phase() == Phase::Active;
            assert!(!has_arrived || pid.load(Relaxed) == 7);
            has_arrived
        });
        arriving.join().unwrap();
        looking.join().unwrap()
    });
}

/// The order is that of a handle: hear of the other end, then look at the ring once more.
#[test]
fn what_was_pushed_before_leaving_is_popped() {
    check(Extent::Preemptions(4), 700, &[false, true], || {
        let memory = Memory::at(0);
        let tenancy = Arc::new(Tenancy::new());
        tenancy.begin();
        let mut pusher = Pusher::resume(&memory);
        let popper = Popper::resume(&memory);
        let pushing = spawn({
            let (memory, tenancy) = (Arc::clone(&memory), Arc::clone(&tenancy));
            move || {
                push_untold(&mut pusher, 1);
                tenancy.end();
                memory.not_empty.notify_all();
            }
        });
        let popping = spawn(move || pop_until_left(popper, &tenancy));
        let (popped, was_nearly_missed) = popping.join().unwrap();
        pushing.join().unwrap();
        assert_eq!(popped, [1]);
        was_nearly_missed
    });
}

/// Tells what there was, and whether some of it was found only after the producer was heard
/// to have left.
fn pop_until_left(mut popper: Popper, tenancy: &Tenancy) -> (Vec<u64>, bool) {
    let memory = Arc::clone(&popper.memory);
    let (mut popped, mut was_nearly_missed) = (Vec::new(), false);
    loop {
        if let Some(message) = popper.pop_now() {
            popped.push(message);
            continue;
        }
        let heard = tenancy.stay();
        let is_due = || popper.is_due();
        if heard.phase() != Phase::Left {
            let is_over = || is_due() || tenancy.stay() != heard;
            let not_empty = &memory.not_empty;
            not_empty.wait(Fences::Symmetric, Instant::NEVER, is_over);
        } else if is_due() {
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
        let closed = Arc::new(Ending::new());
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
fn pop_until_closed(mut popper: Popper, closed: &Ending) -> usize {
    let memory = Arc::clone(&popper.memory);
    let mut popped = 0;
    loop {
        if popper.pop_now().is_some() {
            popped += 1;
            continue;
        }
        let is_closed = closed.is_closed();
        let is_due = || popper.is_due();
        if !is_closed {
            let is_over = || is_due() || closed.is_closed();
            let not_empty = &memory.not_empty;
            not_empty.wait(Fences::Symmetric, Instant::NEVER, is_over);
        } else if !is_due() {
            return popped;
        }
    }
}
