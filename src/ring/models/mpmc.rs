//! Many producers and many consumers, all of them alive. Nobody waits: with three threads of
//! which two spin, the checkers would let these two take turns for ever.

use super::{Memory, Popper, Pusher, WRAP_32, WRAP_64};
use crate::error::Corrupt;
use crate::ring::PushSide;
use crate::ring::mpmc::{Reader, Writer};
use crate::sync::modelling::{Extent, check, spawn};
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
        let fits = |&&message: &&u64| {
            let fits = self.write_first_of(most, message);
            if fits {
                self.publish();
            }
            fits
        };
        messages.iter().take_while(fits).copied().collect()
    }
}

impl Popper<Reader> {
    /// Pops up to `messages` that are there, in claims of up to `most`.
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

#[test]
fn two_producers_are_heard_in_their_order() {
    check(Extent::Preemptions(2), 1000, &[(0, 0)], || {
        let memory = Memory::at(WRAP_32 - 1);
        let producers = [(0, &[11][..]), (1, &[21])].map(|(seat, messages)| {
            let mut producer = producer(&memory, seat);
            spawn(move || producer.push_some(1, messages))
        });
        let mut popping = consumer(&memory, 2);
        let popping = spawn(move || popping.pop_some(1, 2));
        let pushed = producers.map(|pushing| pushing.join().unwrap());
        let popped = popping.join().unwrap();
        let rest = consumer(&memory, 3).pop_some(1, 2);
        (pushed[0].len(), popped.len())
    });
}
