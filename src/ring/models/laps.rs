//! The stamp at the index, as a claimant sees it: of this lap, of the lap before, or of a much
//! earlier one.

use super::mpmc::{assert_delivered_once, consumer, producer, with_messages};
use super::{CAPACITY, Memory, WRAP_32, WRAP_64};
use crate::error::Corrupt;
use crate::ring::PushSide;
use crate::ring::claim::ClaimedRun;
use crate::sync::model::{Extent, check, spawn};
use crate::sync::{Relaxed, Release};
use std::sync::Arc;

/// Edge I carries the slots that earlier claimants saw. With it, a slot is at most a lap behind,
/// and a stamp further off is corrupt. Returns the message that the visitor popped.
#[test]
fn claim_is_refused_only_by_current_lap() {
    let outcomes = [None, Some(1), Some(2), Some(3)];
    check(Extent::Preemptions(3), 400, &outcomes, || {
        let memory = Memory::at(WRAP_32 - 1);
        let mut producer = producer(&memory, 0);
        let mut regular = consumer(&memory, 2);
        let busy = spawn(move || {
            let mut popped = Vec::new();
            let mut pushed = Vec::new();
            for message in 1..=3 {
                pushed.extend(producer.push_some(1, &[message]));
                popped.extend(regular.pop_some(1, 1));
            }
            (pushed, popped)
        });
        let mut visitor = consumer(&memory, 3);
        let visiting = spawn(move || visitor.pop_some(1, 1));
        let (pushed, popped) = busy.join().unwrap();
        let visited = visiting.join().unwrap();
        assert_delivered_once(&memory, &[pushed], &[popped, visited.clone()]);
        visited.first().copied()
    });
}

/// Edge I, of `is_ready`: a consumer that sees the last index sees at least the slots that the
/// claimants saw. An older stamp would look corrupt. Returns whether it saw the last index.
#[test]
fn empty_ring_is_not_ready_from_stale_lap() {
    check(Extent::Preemptions(4), 50, &[false, true], || {
        let memory = Memory::at(WRAP_32 - 1);
        let (mut producer, mut regular) = (producer(&memory, 0), consumer(&memory, 2));
        let busy = spawn(move || {
            for message in 1..=3 {
                assert_eq!(producer.push_some(1, &[message]), [message]);
                assert_eq!(regular.pop_some(1, 1), [message]);
            }
        });
        let visitor = consumer(&memory, 3);
        let visiting = spawn(move || {
            let sees_last_index = visitor.position() == WRAP_32 + 2;
            assert!(!sees_last_index || !visitor.is_ready());
            sees_last_index
        });
        busy.join().unwrap();
        visiting.join().unwrap()
    });
}

#[test]
fn full_ring_is_not_ready_from_stale_lap() {
    check(Extent::Preemptions(4), 50, &[false, true], || {
        let memory = Memory::at(WRAP_32 - 1);
        let (mut regular, mut consumer) = (producer(&memory, 0), consumer(&memory, 2));
        let busy = spawn(move || {
            for message in 1..=3 {
                assert_eq!(regular.push_some(1, &[message]), [message]);
                assert_eq!(consumer.pop_some(1, 1), [message]);
            }
            assert_eq!(regular.push_some(1, &[4, 5]), [4, 5]);
        });
        let visitor = producer(&memory, 1);
        let visiting = spawn(move || {
            let sees_last_index = visitor.position() == WRAP_32 + 4;
            assert!(!sees_last_index || !visitor.is_ready());
            sees_last_index
        });
        busy.join().unwrap();
        visiting.join().unwrap()
    });
}

/// A consumer still reads the slot's message of the lap before. Returns how far the stamp was ahead
/// of the position when the other consumer was refused, if it was.
#[test]
fn slot_still_being_read_makes_ring_look_empty() {
    check(
        Extent::Preemptions(3),
        100,
        &[None, Some(-1), Some(0)],
        || {
            let memory = with_messages(Memory::at(WRAP_32), 2);
            let mut slow = consumer(&memory, 2);
            let slow = spawn(move || slow.pop_some(1, 1));
            let mut fast = consumer(&memory, 3);
            let probing = spawn({
                let memory = Arc::clone(&memory);
                move || {
                    let mut popped = fast.pop_some(1, 1);
                    // Relaxed: it only classifies the outcome.
                    let is_last = memory.head.load(Relaxed) == WRAP_32 + 2;
                    let stamp = memory.slots().at(WRAP_32 + 2).stamp();
                    popped.extend(fast.pop_some(1, 1));
                    let was_refused = is_last && fast.was_refused;
                    (popped, was_refused.then(|| stamp.ahead_of(WRAP_32 + 2)))
                }
            });
            let slow = slow.join().unwrap();
            let (popped, ahead) = probing.join().unwrap();
            assert_delivered_once(&memory, &[], &[slow, popped]);
            ahead
        },
    );
}

/// The slot is still being written for the lap before, or holds its message. Returns how far the
/// stamp was ahead of the position when the other producer was refused, if it was.
#[test]
fn slot_still_being_written_makes_ring_look_full() {
    check(
        Extent::Preemptions(3),
        100,
        &[None, Some(-2), Some(-1)],
        || {
            let memory = Memory::at(WRAP_32);
            let mut slow = producer(&memory, 0);
            let slow = spawn(move || slow.push_some(1, &[11]));
            let mut fast = producer(&memory, 1);
            let probing = spawn({
                let memory = Arc::clone(&memory);
                move || {
                    let mut pushed = fast.push_some(1, &[21]);
                    // Relaxed: it only classifies the outcome.
                    let is_last = memory.tail.load(Relaxed) == WRAP_32 + 2;
                    let stamp = memory.slots().at(WRAP_32 + 2).stamp();
                    pushed.extend(fast.push_some(1, &[22]));
                    let was_refused = is_last && fast.was_refused;
                    (pushed, was_refused.then(|| stamp.ahead_of(WRAP_32 + 2)))
                }
            });
            let slow = slow.join().unwrap();
            let (pushed, ahead) = probing.join().unwrap();
            assert_delivered_once(&memory, &[slow, pushed], &[]);
            ahead
        },
    );
}

/// A stamp belongs to the expected position only while the index is at that position.
///
/// A consumer loads the index. Before it loads the stamp, 2^32 messages pass through the ring. The
/// model runs the last steps of that history. The consumer always finds a message.
#[test]
fn claim_after_stamp_wrap_gets_matching_position() {
    const FAR: u64 = 1 << 32;
    check(Extent::Exhaustive, 10, &[1, FAR], || {
        let memory = Memory::at(0);
        let mut early = consumer(&memory, 2);
        let mut first = producer(&memory, 0);
        assert_eq!(first.push_some(1, &[1]), [1]);
        let continuing = spawn({
            let memory = Arc::clone(&memory);
            move || {
                let slots = memory.slots();
                slots.at(FAR + 1).publish(FAR + 1, 8);
                let head = &memory.head;
                if head.compare_exchange(0, FAR + 1, Release, Relaxed).is_ok() {
                    slots.at(FAR).release(FAR, 0);
                }
            }
        });
        let probing = spawn(move || {
            assert!(early.read().is_some());
            early.position()
        });
        continuing.join().unwrap();
        probing.join().unwrap().min(FAR)
    });
}

/// Edge I, of a single claim: the stamp that it loads is of the index's lap. The slot's first stamp
/// equals the stamp that makes it free 2^32 messages later. The model runs the last steps of that
/// history, after which the slot holds a message. Returns the position that was claimed.
#[test]
fn single_claim_ignores_stamp_of_earlier_wrap() {
    const FAR: u64 = 1 << 32;
    check(Extent::Exhaustive, 3, &[None, Some(0)], || {
        let memory = Memory::at(0);
        let continuing = spawn({
            let memory = Arc::clone(&memory);
            move || {
                memory.slots().at(FAR).publish(FAR - CAPACITY, 8);
                let tail = &memory.tail;
                let _ = tail.compare_exchange(0, FAR, Release, Relaxed);
            }
        });
        let claiming = spawn({
            let memory = Arc::clone(&memory);
            move || {
                let slots = memory.slots();
                let words = memory.producer_words(&slots, 1);
                let claimed = ClaimedRun::empty().claim_one(&words, 0);
                claimed.map(|claimed| claimed.position)
            }
        });
        continuing.join().unwrap();
        claiming.join().unwrap()
    });
}

/// Positions are finite: from `i64::MAX` the index cannot advance, because the highest bit is the
/// seal.
#[test]
fn last_position_is_claimed_once() {
    check(Extent::Exhaustive, 50, &[(0, 1), (1, 0)], || {
        let memory = Memory::at((WRAP_64 >> 1) - 1);
        let racing = [0, 1].map(|seat| {
            let mut producer = producer(&memory, seat);
            let memory = Arc::clone(&memory);
            spawn(move || {
                let words = memory.producer_words(&producer.slots, seat);
                let claimed = producer.writer.claim(&words, 1);
                if claimed == Ok(true) {
                    assert!(producer.write(1));
                    producer.publish();
                } else {
                    assert_eq!(claimed, Err(Corrupt));
                }
                u8::from(claimed.is_ok())
            })
        });
        let [one, two] = racing.map(|racer| racer.join().unwrap());
        assert!(memory.intents.iter().all(|intent| intent.read(2).is_none()));
        (one, two)
    });
}
