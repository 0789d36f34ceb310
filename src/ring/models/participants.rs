//! Coming and going, and what is found by who hears of it.

use super::mpmc::{apply_policy, consumer, filled_with, producer};
use super::{Memory, WRAP_32};
use crate::properties::{Delivery, Fences};
use crate::ring::participants::{Arrivals, OrphanHint};
use crate::ring::participants::{Phase, SeatState};
use crate::sync::model::{Extent, check, spawn};
use crate::sys::clock::Instant;
use std::sync::Arc;

/// L carries the entry of who left, and by it what that one pushed. No fence of a wake-up orders
/// it: a consumer that never slept counts as well.
#[test]
fn who_hears_of_a_departure_finds_it() {
    check(Extent::Preemptions(4), 10, &[false, true], || {
        let memory = Memory::at(WRAP_32);
        let (state, roll) = (Arc::new(SeatState::new()), Arc::new(Arrivals::new()));
        state.activate();
        let stored_count = roll.count();
        let mut producer = producer(&memory, 0);
        let leaving = spawn({
            let (state, roll) = (Arc::clone(&state), Arc::clone(&roll));
            move || {
                assert_eq!(producer.push_some(1, &[11]), [11]);
                state.leave();
                roll.increment();
            }
        });
        let mut consumer = consumer(&memory, 3);
        let hearing = spawn(move || {
            let has_heard = roll.count() != stored_count;
            if has_heard {
                assert_eq!(state.load().phase(), Phase::Left);
                assert_eq!(consumer.pop_some(1, 1), [11]);
            }
            has_heard
        });
        leaving.join().unwrap();
        hearing.join().unwrap()
    });
}

/// Who took the new seat_state for the one that it knows would not check_peers of the end of that one.
#[test]
fn no_stay_is_seen_that_was_not_counted() {
    check(Extent::Preemptions(4), 5, &[false, true], || {
        let (state, roll) = (Arc::new(SeatState::new()), Arc::new(Arrivals::new()));
        let stored_count = roll.count();
        let arriving = spawn({
            let (state, roll) = (Arc::clone(&state), Arc::clone(&roll));
            move || {
                roll.increment();
                state.activate();
            }
        });
        let looking = spawn(move || {
            let is_there = state.load().phase() == Phase::Active;
            assert!(!is_there || roll.count() != stored_count);
            is_there
        });
        arriving.join().unwrap();
        looking.join().unwrap()
    });
}

/// Somebody without a seat finds an orphan, and calls the only consumer, which may be asleep.
#[test]
fn an_orphan_calls_a_consumer_that_sleeps() {
    check(Extent::Preemptions(3), 20, &[false, true], || {
        let memory = filled_with(Memory::at(WRAP_32), 1);
        assert!(consumer(&memory, 1).read().is_some());
        memory.sweep_producer(1);
        let hint = Arc::new(OrphanHint::new());
        let finding = spawn({
            let (memory, hint) = (Arc::clone(&memory), Arc::clone(&hint));
            move || {
                let slots = memory.slots();
                let _locked = memory.recovery.lock().unwrap();
                let stats = memory
                    .sweep_of(&slots, 1)
                    .sweep(None, Delivery::AtLeastOnce);
                hint.set(stats.waiting > 0);
                memory.not_empty.notify_all();
            }
        });
        let mut consumer = consumer(&memory, 3);
        let waiting = spawn(move || {
            let mut has_waited = false;
            while hint.waiting().is_none() {
                has_waited = true;
                let is_drained = || hint.waiting().is_some() || consumer.is_ready();
                let not_empty = &consumer.memory.not_empty;
                not_empty.wait(Fences::Symmetric, Instant::NEVER, is_drained);
            }
            consumer.sweep(1);
            (has_waited, consumer.pop_held())
        });
        finding.join().unwrap();
        let (has_waited, popped) = waiting.join().unwrap();
        assert_eq!(popped, [1]);
        apply_policy(&memory, &[], &[popped]);
        has_waited
    });
}

/// Each time that messages come to wait, the hint says something else.
#[test]
fn each_call_of_orphans_is_another_one() {
    check(Extent::Whole, 1, &[()], || {
        let hint = OrphanHint::new();
        hint.set(false);
        assert_eq!(hint.waiting(), None);
        hint.set(true);
        let first = hint.waiting();
        hint.set(false);
        assert_eq!(hint.waiting(), None);
        hint.set(true);
        assert!(first.is_some() && hint.waiting().is_some() && hint.waiting() != first);
    });
}
