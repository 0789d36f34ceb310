//! Arrivals and departures, and the memory that they make visible.

use super::mpmc::{assert_delivered_once, consumer, producer, with_messages};
use super::{Memory, WRAP_32};
use crate::properties::{Delivery, Fences};
use crate::ring::participants::{Arrivals, OrphanHint, Phase, SeatState};
use crate::sync::model::{Extent, check, spawn};
use crate::sys::clock::Instant;
use std::sync::Arc;

/// Edge L carries the entry of the producer that left, and thereby its messages. No fence of a
/// wake-up orders it, because the consumer may never have slept.
#[test]
fn changed_count_makes_departed_seat_visible() {
    check(Extent::Preemptions(4), 10, &[false, true], || {
        let memory = Memory::at(WRAP_32);
        let (state, arrivals) = (Arc::new(SeatState::new()), Arc::new(Arrivals::new()));
        state.activate();
        let initial_count = arrivals.count();
        let mut producer = producer(&memory, 0);
        let leaving = spawn({
            let (state, arrivals) = (Arc::clone(&state), Arc::clone(&arrivals));
            move || {
                assert_eq!(producer.push_some(1, &[11]), [11]);
                state.leave();
                arrivals.increment();
            }
        });
        let mut consumer = consumer(&memory, 3);
        let checking = spawn(move || {
            let has_changed = arrivals.count() != initial_count;
            if has_changed {
                assert_eq!(state.load().phase(), Phase::Left);
                assert_eq!(consumer.pop_some(1, 1), [11]);
            }
            has_changed
        });
        leaving.join().unwrap();
        checking.join().unwrap()
    });
}

/// A peer that mistook the new holder for the one that it knows would not check for the death of
/// that one.
#[test]
fn active_seat_is_visible_only_after_its_count() {
    check(Extent::Preemptions(4), 5, &[false, true], || {
        let (state, arrivals) = (Arc::new(SeatState::new()), Arc::new(Arrivals::new()));
        let initial_count = arrivals.count();
        let arriving = spawn({
            let (state, arrivals) = (Arc::clone(&state), Arc::clone(&arrivals));
            move || {
                arrivals.increment();
                state.activate();
            }
        });
        let probing = spawn(move || {
            let is_active = state.load().phase() == Phase::Active;
            assert!(!is_active || arrivals.count() != initial_count);
            is_active
        });
        arriving.join().unwrap();
        probing.join().unwrap()
    });
}

/// A process without a seat finds an orphan, and wakes the only consumer, which may be asleep.
#[test]
fn orphan_wakes_sleeping_consumer() {
    check(Extent::Preemptions(3), 20, &[false, true], || {
        let memory = with_messages(Memory::at(WRAP_32), 1);
        assert!(consumer(&memory, 1).read().is_some());
        memory.mark_gone(1);
        let hint = Arc::new(OrphanHint::new());
        let finding = spawn({
            let (memory, hint) = (Arc::clone(&memory), Arc::clone(&hint));
            move || {
                let slots = memory.slots();
                let _locked = memory.recovery_lock.lock().unwrap();
                let stats = memory
                    .new_sweep(&slots, 1)
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
                let has_work = || hint.waiting().is_some() || consumer.is_ready();
                let not_empty = &consumer.memory.not_empty;
                not_empty.wait(Fences::Symmetric, Instant::NEVER, has_work);
            }
            consumer.recover(1);
            (has_waited, consumer.pop_claimed_rest())
        });
        finding.join().unwrap();
        let (has_waited, popped) = waiting.join().unwrap();
        assert_eq!(popped, [1]);
        assert_delivered_once(&memory, &[], &[popped]);
        has_waited
    });
}

/// The value of the hint differs each time that it is set.
#[test]
fn orphan_hint_differs_each_time_it_is_set() {
    check(Extent::Exhaustive, 1, &[()], || {
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
