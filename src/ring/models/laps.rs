//! What the slot at the index says to who wants to claim it: of this lap, of the last one, or of
//! one that is long over.

use super::mpmc::{assert_delivered_once, consumer, producer, with_messages};
use super::{Memory, WRAP_32, WRAP_64};
use crate::error::Corrupt;
use crate::ring::PushSide;
use crate::sync::model::{Extent, check, spawn};
use crate::sync::{Relaxed, Release};
use std::sync::Arc;

/// I carries the slots that the claimants before had seen: with them, a slot is a lap behind at
/// most, and what is further off is corrupt. What comes of it is what a visitor finds.
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

/// I of a look: who sees where the ring ends sees at least what its claimants saw, and nothing
/// older, which would look like somebody's going on. Tells whether the end was seen.
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
            let is_drained = visitor.position() == WRAP_32 + 2;
            assert!(!is_drained || !visitor.is_ready());
            is_drained
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
            let is_drained = visitor.position() == WRAP_32 + 4;
            assert!(!is_drained || !visitor.is_ready());
            is_drained
        });
        busy.join().unwrap();
        visiting.join().unwrap()
    });
}

/// Somebody still reads what lay in the slot a lap ago. Tells how far the slot was ahead of the
/// consumer that was refused, if one was.
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
            let looking = spawn({
                let memory = Arc::clone(&memory);
                move || {
                    let mut popped = fast.pop_some(1, 1);
                    // Relaxed: to know which case it is, not to do anything about it.
                    let is_last = memory.head.load(Relaxed) == WRAP_32 + 2;
                    let stamp = memory.slots().at(WRAP_32 + 2).stamp();
                    popped.extend(fast.pop_some(1, 1));
                    let was_refused = is_last && fast.was_refused;
                    (popped, was_refused.then(|| stamp.ahead_of(WRAP_32 + 2)))
                }
            });
            let slow = slow.join().unwrap();
            let (popped, ahead) = looking.join().unwrap();
            assert_delivered_once(&memory, &[], &[slow, popped]);
            ahead
        },
    );
}

/// As above: somebody has claimed the slot a lap ago, and is still writing into it, or somebody
/// has written. Tells how far the slot was ahead of the producer that was refused, if one was.
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
            let looking = spawn({
                let memory = Arc::clone(&memory);
                move || {
                    let mut pushed = fast.push_some(1, &[21]);
                    // Relaxed: as above.
                    let is_last = memory.tail.load(Relaxed) == WRAP_32 + 2;
                    let stamp = memory.slots().at(WRAP_32 + 2).stamp();
                    pushed.extend(fast.push_some(1, &[22]));
                    let was_refused = is_last && fast.was_refused;
                    (pushed, was_refused.then(|| stamp.ahead_of(WRAP_32 + 2)))
                }
            });
            let slow = slow.join().unwrap();
            let (pushed, ahead) = looking.join().unwrap();
            assert_delivered_once(&memory, &[slow, pushed], &[]);
            ahead
        },
    );
}

/// A slot that was looked at belongs to the position that was looked for only as long as the
/// index stands there. A consumer loads the index, and before it looks at the slot, 2^32 messages
/// go through: there is always one to take. The last steps of that history are what it may see.
#[test]
fn claim_after_stamp_wrap_gets_matching_position() {
    const FAR: u64 = 1 << 32;
    check(Extent::Exhaustive, 10, &[1, FAR], || {
        let memory = Memory::at(0);
        let mut early = consumer(&memory, 2);
        let mut first = producer(&memory, 0);
        assert_eq!(first.push_some(1, &[1]), [1]);
        let going_on = spawn({
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
        let looking = spawn(move || {
            assert!(early.read().is_some());
            early.position()
        });
        going_on.join().unwrap();
        looking.join().unwrap().min(FAR)
    });
}

/// Positions end: at `i64::MAX` there is none after it to move the index to, as the highest bit is the seal's.
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
