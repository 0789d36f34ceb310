//! Many producers and many consumers, all of them alive. Nobody waits: of three threads two that
//! spin could take turns for ever.

use super::{Memory, Popper, Pusher, WRAP_32, WRAP_64};
use crate::error::Corrupt;
use crate::ring::PushSide;
use crate::ring::mpmc::{Reader, Writer};
use crate::sync::modelling::{Extent, JoinHandle, check, spawn};
use crate::sync::{Relaxed, Release};
use std::sync::Arc;

pub(super) fn producer(memory: &Arc<Memory>, seat: usize) -> Pusher<Writer> {
    Pusher::at_seat(memory, seat)
}

pub(super) fn consumer(memory: &Arc<Memory>, seat: usize) -> Popper<Reader> {
    Popper::at_seat(memory, seat)
}

impl Pusher<Writer> {
    /// Pushes what there is room for, in claims of up to `most`. Returns what was pushed.
    pub(super) fn push_some(&mut self, most: u64, messages: &[u64]) -> Vec<u64> {
        let mut pushed = Vec::new();
        for (done, &message) in messages.iter().enumerate() {
            let left = (messages.len() - done) as u64;
            if !self.write_first_of(most.min(left), message) {
                break;
            }
            self.publish();
            pushed.push(message);
        }
        pushed
    }
}

impl Popper<Reader> {
    /// Pops what is there, up to `messages`, in claims of up to `most`.
    pub(super) fn pop_some(&mut self, most: u64, messages: usize) -> Vec<u64> {
        let mut popped = Vec::new();
        while popped.len() < messages {
            let left = (messages - popped.len()) as u64;
            let Some(message) = self.read_first_of(most.min(left)) else {
                break;
            };
            self.release();
            popped.push(message);
        }
        popped
    }
}

/// Every message that was pushed is popped by somebody, once, and everybody hears each producer,
/// which numbers its messages within ten of its own, in its order. What nobody has popped yet is
/// popped here.
pub(super) fn settle(memory: &Arc<Memory>, pushed: &[Vec<u64>], popped: &[Vec<u64>]) {
    let rest = consumer(memory, 3).pop_some(1, 9);
    let mut all = popped.concat();
    all.extend(&rest);
    all.sort_unstable();
    let mut expected = pushed.concat();
    // What lay there before.
    expected.extend(memory.was_filled_with.get().into_iter().flatten());
    expected.sort_unstable();
    assert_eq!(all, expected);
    for popped in popped.iter().chain([&rest]) {
        let mut by_producer = popped.clone();
        by_producer.sort_by_key(|message| message / 10);
        assert!(by_producer.is_sorted(), "{popped:?}");
    }
    let (slots, end) = (memory.slots(), memory.head.load(Relaxed));
    assert_eq!(memory.tail.load(Relaxed), end);
    for position in end..end + slots.capacity() {
        assert_eq!(slots.at(position).stamp().ahead_of(position), 0);
    }
    for intent in &memory.intents {
        assert_eq!(intent.read(slots.capacity()), None);
    }
}

/// Lets producers push and consumers pop at the same time, in claims of up to `most`. Tells
/// whether any of the ones, and of the others, was refused.
fn mingle(
    memory: &Arc<Memory>,
    most: u64,
    pushing: &'static [&'static [u64]],
    popping: &[usize],
) -> (bool, bool) {
    let pushing = pushing.iter().enumerate().map(|(seat, &messages)| {
        let mut producer = producer(memory, seat);
        spawn(move || {
            let pushed = producer.push_some(most, messages);
            (pushed, producer.was_refused)
        })
    });
    let popping = popping.iter().enumerate().map(|(nth, &messages)| {
        let mut consumer = consumer(memory, 2 + nth);
        spawn(move || {
            let popped = consumer.pop_some(most, messages);
            (popped, consumer.was_refused)
        })
    });
    let (pushing, popping) = (pushing.collect::<Vec<_>>(), popping.collect::<Vec<_>>());
    let join = |threads: Vec<JoinHandle<(Vec<u64>, bool)>>| {
        let ended = threads.into_iter().map(|thread| thread.join().unwrap());
        ended.unzip::<_, _, Vec<_>, Vec<_>>()
    };
    let (pushed, was_full) = join(pushing);
    let (popped, was_empty) = join(popping);
    settle(memory, &pushed, &popped);
    (was_full.contains(&true), was_empty.contains(&true))
}

/// A ring in which so many messages lie already.
pub(super) fn filled_with(memory: Arc<Memory>, messages: u64) -> Arc<Memory> {
    let messages = (1..=messages).collect::<Vec<_>>();
    assert_eq!(producer(&memory, 0).push_some(1, &messages), messages);
    memory.was_filled_with.set(messages).unwrap();
    memory
}

const ANYBODY_MAY_BE_REFUSED: [(bool, bool); 4] =
    [(false, false), (false, true), (true, false), (true, true)];

#[test]
fn two_producers_are_heard_in_their_order() {
    check(
        Extent::Preemptions(3),
        4000,
        &ANYBODY_MAY_BE_REFUSED,
        || {
            let memory = filled_with(Memory::at(WRAP_32 - 1), 1);
            mingle(&memory, 1, &[&[11, 12], &[21]], &[3])
        },
    );
}

#[test]
fn two_consumers_share_what_there_is() {
    // With the producer's second message refused, there are not enough.
    let outcomes = [(false, false), (false, true), (true, true)];
    check(Extent::Preemptions(3), 4000, &outcomes, || {
        let memory = filled_with(Memory::at(WRAP_32 - 1), 1);
        mingle(&memory, 1, &[&[11, 12]], &[2, 1])
    });
}

/// loom goes no further than two preemptions here.
#[test]
fn two_by_two_lose_nothing() {
    check(
        Extent::Preemptions(2),
        4000,
        &ANYBODY_MAY_BE_REFUSED,
        || {
            let memory = filled_with(Memory::at(WRAP_32), 1);
            mingle(&memory, 1, &[&[11], &[21]], &[1, 1])
        },
    );
}

/// Claims of two, which may get one only, against each other.
#[test]
fn batches_of_two_producers_stay_whole() {
    check(
        Extent::Preemptions(3),
        4000,
        &ANYBODY_MAY_BE_REFUSED,
        || {
            let memory = filled_with(Memory::at(WRAP_32), 1);
            mingle(&memory, 2, &[&[11, 12], &[21]], &[3])
        },
    );
}

#[test]
fn batches_of_two_consumers_stay_whole() {
    check(
        Extent::Preemptions(3),
        4000,
        &ANYBODY_MAY_BE_REFUSED,
        || {
            let memory = filled_with(Memory::at(WRAP_32), 2);
            mingle(&memory, 2, &[&[11, 12]], &[2, 1])
        },
    );
}

/// The slots of a claim are looked at one by one: the last one being free says nothing of those
/// before it. Tells how many the first claim got.
#[test]
fn consumers_give_back_in_any_order() {
    check(Extent::Preemptions(3), 300, &[0, 1, 2], || {
        let memory = filled_with(Memory::at(WRAP_32), 2);
        let consumers = [2, 3].map(|seat| {
            let mut consumer = consumer(&memory, seat);
            spawn(move || consumer.pop_some(1, 1))
        });
        let mut producer = producer(&memory, 0);
        let pushing = spawn(move || {
            let claimed = producer.write_first_of(2, 11);
            let tail = producer.position();
            let mut pushed = Vec::new();
            if claimed {
                producer.publish();
                pushed.push(11);
            }
            if tail == WRAP_32 + 4 {
                assert!(producer.write_first_of(1, 12));
                producer.publish();
                pushed.push(12);
            }
            pushed
        });
        let popped = consumers.map(|popping| popping.join().unwrap());
        let pushed = pushing.join().unwrap();
        settle(&memory, &[pushed.clone()], &popped);
        pushed.len()
    });
}

/// I carries the slots that the claimants before had seen: with them, a slot is a lap behind at
/// most, and what is further off is corrupt. What comes of it is what a visitor finds.
#[test]
fn a_claim_that_is_refused_was_refused_by_this_lap() {
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
        settle(&memory, &[pushed], &[popped, visited.clone()]);
        visited.first().copied()
    });
}

/// I of a look: who sees where the ring ends sees at least what its claimants saw, and nothing
/// older, which would look like somebody's going on. Tells whether the end was seen.
#[test]
fn an_empty_ring_is_not_due_by_an_old_lap() {
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
            let is_over = visitor.position() == WRAP_32 + 2;
            assert!(!is_over || !visitor.is_due());
            is_over
        });
        busy.join().unwrap();
        visiting.join().unwrap()
    });
}

#[test]
fn a_full_ring_is_not_due_by_an_old_lap() {
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
            let is_over = visitor.position() == WRAP_32 + 4;
            assert!(!is_over || !visitor.is_due());
            is_over
        });
        busy.join().unwrap();
        visiting.join().unwrap()
    });
}

/// Somebody still reads what lay in the slot a lap ago. Tells how far the slot was ahead of the
/// consumer that was refused, if one was.
#[test]
fn a_slow_consumer_makes_the_ring_look_empty() {
    check(
        Extent::Preemptions(3),
        100,
        &[None, Some(-1), Some(0)],
        || {
            let memory = filled_with(Memory::at(WRAP_32), 2);
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
            settle(&memory, &[], &[slow, popped]);
            ahead
        },
    );
}

/// As above: somebody has claimed the slot a lap ago, and is still writing into it, or somebody
/// has written. Tells how far the slot was ahead of the producer that was refused, if one was.
#[test]
fn a_slow_producer_makes_the_ring_look_full() {
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
            settle(&memory, &[slow, pushed], &[]);
            ahead
        },
    );
}

/// A slot that was looked at belongs to the position that was looked for only as long as the
/// index stands there. A consumer loads the index, and before it looks at the slot, 2^32 messages
/// go through: there is always one to take. The last steps of that history are what it may see.
#[test]
fn who_looks_away_for_long_is_not_told_of_another_position() {
    const FAR: u64 = 1 << 32;
    check(Extent::Whole, 10, &[1, FAR], || {
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

/// Positions end: at `u64::MAX` there is no position after it to move the index to.
#[test]
fn the_last_position_is_given_to_one() {
    check(Extent::Whole, 50, &[(0, 1), (1, 0)], || {
        let memory = Memory::at(WRAP_64 - 1);
        let racing = [0, 1].map(|seat| {
            let mut producer = producer(&memory, seat);
            let memory = Arc::clone(&memory);
            spawn(move || {
                let words = memory.for_pushing(&producer.slots, seat);
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
