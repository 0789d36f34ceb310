//! Coming and going, and what is found by who hears of it.

use super::mpmc::{consumer, filled_with, producer, settle};
use super::{Memory, WRAP_32};
use crate::ring::roll::{OrphanHint, Roll};
use crate::ring::tenancy::{Phase, Tenancy};
use crate::sync::modelling::{Extent, check, spawn};
use crate::sys::clock::Instant;
use crate::terms::{Delivery, Fences};
use std::sync::Arc;

/// L carries the entry of who left, and by it what that one pushed. No fence of a wake-up orders
/// it: a consumer that never slept counts as well.
#[test]
fn who_hears_of_a_departure_finds_it() {
    check(Extent::Preemptions(4), 10, &[false, true], || {
        let memory = Memory::at(WRAP_32);
        let (tenancy, roll) = (Arc::new(Tenancy::new()), Arc::new(Roll::new()));
        tenancy.begin();
        let counted = roll.count();
        let mut producer = producer(&memory, 0);
        let leaving = spawn({
            let (tenancy, roll) = (Arc::clone(&tenancy), Arc::clone(&roll));
            move || {
                assert_eq!(producer.push_some(1, &[11]), [11]);
                tenancy.end();
                roll.turn();
            }
        });
        let mut consumer = consumer(&memory, 3);
        let hearing = spawn(move || {
            let has_heard = roll.count() != counted;
            if has_heard {
                assert_eq!(tenancy.stay().phase(), Phase::Left);
                assert_eq!(consumer.pop_some(1, 1), [11]);
            }
            has_heard
        });
        leaving.join().unwrap();
        hearing.join().unwrap()
    });
}

/// Who took the new stay for the one that it knows would not hear of the end of that one.
#[test]
fn no_stay_is_seen_that_was_not_counted() {
    check(Extent::Preemptions(4), 5, &[false, true], || {
        let (tenancy, roll) = (Arc::new(Tenancy::new()), Arc::new(Roll::new()));
        let counted = roll.count();
        let arriving = spawn({
            let (tenancy, roll) = (Arc::clone(&tenancy), Arc::clone(&roll));
            move || {
                roll.turn();
                tenancy.begin();
            }
        });
        let looking = spawn(move || {
            let is_there = tenancy.stay().phase() == Phase::Active;
            assert!(!is_there || roll.count() != counted);
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
        memory.bury(1);
        let hint = Arc::new(OrphanHint::new());
        let finding = spawn({
            let (memory, hint) = (Arc::clone(&memory), Arc::clone(&hint));
            move || {
                let slots = memory.slots();
                let _locked = memory.recovery.lock().unwrap();
                let swept = memory.party(&slots, 1).sweep(None, Delivery::AtLeastOnce);
                hint.set(swept.waiting > 0);
                memory.not_empty.notify_all();
            }
        });
        let mut consumer = consumer(&memory, 3);
        let waiting = spawn(move || {
            let mut has_waited = false;
            while hint.call().is_none() {
                has_waited = true;
                let is_over = || hint.call().is_some() || consumer.is_due();
                let not_empty = &consumer.memory.not_empty;
                not_empty.wait(Fences::Symmetric, Instant::NEVER, is_over);
            }
            consumer.sweep(1);
            (has_waited, consumer.pop_held())
        });
        finding.join().unwrap();
        let (has_waited, popped) = waiting.join().unwrap();
        assert_eq!(popped, [1]);
        settle(&memory, &[], &[popped]);
        has_waited
    });
}

/// Each time that messages come to wait, the hint says something else.
#[test]
fn each_call_of_orphans_is_another_one() {
    check(Extent::Whole, 1, &[()], || {
        let hint = OrphanHint::new();
        hint.set(false);
        assert_eq!(hint.call(), None);
        hint.set(true);
        let first = hint.call();
        hint.set(false);
        assert_eq!(hint.call(), None);
        hint.set(true);
        assert!(first.is_some() && hint.call().is_some() && hint.call() != first);
    });
}
