//! Any sequence of operations by one thread, on a ring and on a `VecDeque`: they agree after every
//! step.

use super::mpmc::{consumer, producer};
use super::{Memory, Popper, Pusher, WRAP_32, WRAP_64};
use crate::ring::sweep::SweepStats;
use crate::ring::{PopSide, PushSide};
use std::collections::VecDeque;
use std::sync::Arc;

/// Numbers that look random; the same for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % bound
    }
}

const SEEDS: u64 = if cfg!(miri) { 3 } else { 300 };
const STEPS: u64 = 120;

/// Runs `sequence` from positions of all sizes, the largest being `last`.
fn from_everywhere(last: u64, mut sequence: impl FnMut(u64, u64, &mut Dice)) {
    for seed in 1..=SEEDS {
        let near = 30 + seed % 20;
        for first in [0, WRAP_32 - near, last / 2 - near, last] {
            for capacity in [2, 4, 16] {
                sequence(capacity, first, &mut Dice(seed << 8 | capacity));
            }
        }
    }
}

/// Pushes or pops, in one of the ways that there are.
fn step<W: PushSide, R: PopSide>(
    pusher: &mut Pusher<W>,
    popper: &mut Popper<R>,
    model: &mut VecDeque<u64>,
    next: &mut u64,
    dice: &mut Dice,
) {
    let capacity = pusher.slots.capacity();
    let has_room = (model.len() as u64) < capacity;
    match dice.below(8) {
        0 | 1 => {
            // What the quick way does not do, the other one does.
            let is_sent = pusher.send(*next);
            assert!(has_room || !is_sent);
            if is_sent {
                model.push_back(*next);
                *next += 1;
            }
        }
        2 | 3 => {
            let most = 1 + dice.below(5);
            let words = pusher.memory.for_pushing(&pusher.slots, pusher.seat);
            let is_free = pusher.writer.claim(&words, most).unwrap();
            assert_eq!(is_free, has_room);
            if is_free {
                let mut left = most;
                pusher.writer.push_claimed(&words, |slot| {
                    left = left.checked_sub(1)?;
                    model.push_back(*next);
                    *next += 1;
                    Some(super::put(model[model.len() - 1], slot))
                });
            }
        }
        4 | 5 => {
            if let Some(message) = popper.receive() {
                assert_eq!(Some(message), model.pop_front());
            }
        }
        _ => {
            let most = 1 + dice.below(5);
            let first = popper.read_first_of(most);
            assert_eq!(first, model.front().copied());
            if first.is_some() {
                let words = popper.memory.for_popping(&popper.slots, popper.seat);
                let mut left = most;
                popper.reader.pop_claimed(&words, |slot, len| {
                    if left == 0 {
                        return false;
                    }
                    left -= 1;
                    assert_eq!(super::get(slot, len), model.pop_front());
                    true
                });
            }
        }
    }
    pusher.store_hint();
    popper.store_hint();
    assert_eq!(
        popper.is_ready() || popper.reader.has_claim(),
        !model.is_empty()
    );
    assert_eq!(
        pusher.is_ready() || pusher.writer.has_claim(),
        (model.len() as u64) < capacity
    );
}

#[test]
fn one_to_one_is_a_queue_whoever_takes_over() {
    from_everywhere(WRAP_64 - 40, |capacity, first, dice| {
        let memory = Memory::of(capacity, first);
        let (mut pusher, mut popper) = (Pusher::resume(&memory), Popper::resume(&memory));
        let (mut model, mut next) = (VecDeque::new(), 1);
        for _ in 0..STEPS {
            step(&mut pusher, &mut popper, &mut model, &mut next, dice);
            match dice.below(20) {
                0 => pusher = Pusher::resume(&memory),
                1 => popper = Popper::resume(&memory),
                _ => {}
            }
        }
    });
}

#[test]
fn many_to_many_is_a_queue_whoever_has_a_turn() {
    // It ends where positions do.
    from_everywhere((WRAP_64 >> 1) - 6 * STEPS, |capacity, first, dice| {
        let memory = Memory::of(capacity, first);
        let mut pushers = [0, 1].map(|seat| producer(&memory, seat));
        let mut poppers = [2, 3].map(|seat| consumer(&memory, seat));
        let (mut model, mut next) = (VecDeque::new(), 1);
        for _ in 0..STEPS {
            let (pusher, popper) = (dice.below(2) as usize, dice.below(2) as usize);
            let (pusher, popper) = (&mut pushers[pusher], &mut poppers[popper]);
            step(pusher, popper, &mut model, &mut next, dice);
            // Nobody holds on to what another one's turn is about.
            let words = memory.for_pushing(&pusher.slots, pusher.seat);
            assert_eq!(pusher.writer.abandon(&words), 0);
        }
        assert_eq!(sweep(&memory), SweepStats::default());
    });
}

fn sweep(memory: &Arc<Memory>) -> SweepStats {
    memory.sweep(2, crate::terms::Delivery::AtLeastOnce)
}
