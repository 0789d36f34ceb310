//! Many producers and many consumers, all of them alive. Nobody waits: of three threads two that
//! spin could take turns for ever.

use super::{Memory, Popper, Pusher, WRAP_32, WRAP_64};
use crate::error::Corrupt;
use crate::ring::intent::Run;
use crate::ring::mpmc::{Reader, Writer};
use crate::ring::slot::Stamp;
use crate::ring::{PopSide, PushSide};
use crate::sync::modelling::{Extent, check, spawn};
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
        for &message in messages {
            if !self.write_first_of(most, message) {
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
            let Some(message) = self.read_first_of(most) else {
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

/// Lets producers push and consumers pop at the same time, in claims of up to `most`. Tells how
/// much everybody got done.
fn mingle(
    memory: &Arc<Memory>,
    most: u64,
    pushing: &'static [&'static [u64]],
    popping: &[usize],
) -> Vec<usize> {
    let pushing = pushing.iter().enumerate().map(|(seat, &messages)| {
        let mut producer = producer(memory, seat);
        spawn(move || producer.push_some(most, messages))
    });
    let popping = popping.iter().enumerate().map(|(nth, &messages)| {
        let mut consumer = consumer(memory, 2 + nth);
        spawn(move || consumer.pop_some(most, messages))
    });
    let (pushing, popping) = (pushing.collect::<Vec<_>>(), popping.collect::<Vec<_>>());
    let pushed = pushing.into_iter().map(|thread| thread.join().unwrap());
    let mut pushed = pushed.collect::<Vec<_>>();
    let popped = popping.into_iter().map(|thread| thread.join().unwrap());
    let popped = popped.collect::<Vec<_>>();
    let done = pushed.iter().chain(&popped).map(Vec::len).collect();
    // What lay there before.
    let lay_there = memory.was_filled_with.get().into_iter().flatten();
    pushed.push(lay_there.copied().collect());
    settle(memory, &pushed, &popped);
    done
}

/// A ring in which so many messages lie already.
fn filled_with(memory: Arc<Memory>, messages: u64) -> Arc<Memory> {
    let messages = (1..=messages).collect::<Vec<_>>();
    assert_eq!(producer(&memory, 0).push_some(1, &messages), messages);
    memory.was_filled_with.set(messages).unwrap();
    memory
}

fn any_of(many: &[usize]) -> Vec<Vec<usize>> {
    many.iter().fold(vec![Vec::new()], |all, &most| {
        let longer = |done: Vec<usize>| (0..=most).map(move |more| [&done[..], &[more]].concat());
        all.into_iter().flat_map(longer).collect()
    })
}

/// Capacity 2, of which one slot is taken: somebody is refused, or waits in between.
#[test]
fn two_producers_are_heard_in_their_order() {
    let outcomes = any_of(&[2, 1, 3]);
    check(Extent::Preemptions(3), 1000, &outcomes, || {
        let memory = filled_with(Memory::at(WRAP_32 - 1), 1);
        mingle(&memory, 1, &[&[11, 12], &[21]], &[3])
    });
}

#[test]
fn two_consumers_share_what_there_is() {
    let outcomes = any_of(&[2, 2, 2]);
    check(Extent::Preemptions(3), 1000, &outcomes, || {
        let memory = filled_with(Memory::at(WRAP_32 - 1), 1);
        mingle(&memory, 1, &[&[11, 12]], &[2, 2])
    });
}

/// loom goes no further than two preemptions here.
#[test]
fn two_by_two_lose_nothing() {
    let outcomes = any_of(&[1, 1, 1, 1]);
    check(Extent::Preemptions(2), 1000, &outcomes, || {
        let memory = filled_with(Memory::at(WRAP_32), 1);
        mingle(&memory, 1, &[&[11], &[21]], &[1, 1])
    });
}

/// Claims of two, which may get one only, against each other.
#[test]
fn batches_take_turns() {
    let outcomes = any_of(&[2, 1, 3]);
    check(Extent::Preemptions(3), 1000, &outcomes, || {
        let memory = filled_with(Memory::at(WRAP_32), 1);
        mingle(&memory, 2, &[&[11, 12], &[21]], &[3])
    });
}

#[test]
fn batches_are_shared_out() {
    let outcomes = any_of(&[2, 2, 2]);
    check(Extent::Preemptions(3), 1000, &outcomes, || {
        let memory = filled_with(Memory::at(WRAP_32), 2);
        mingle(&memory, 2, &[&[11, 12]], &[2, 2])
    });
}
