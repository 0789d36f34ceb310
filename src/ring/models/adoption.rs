//! Whoever finishes what a dead one had begun may die as well, before any of its stores, and the
//! next one finishes it.

use super::deaths::finish_all;
use super::mpmc::{apply_policy, consumer, filled_with, producer};
use super::sweep::{dead_who_said, run};
use super::{Memory, Popper, WRAP_32};
use crate::properties::Delivery;
use crate::ring::PopSide;
use crate::ring::mpmc::Reader;
use crate::ring::sweep::{Inheritance, SweepStats};
use crate::sync::kill::{killed_after, will_store};
use crate::sync::model::{Extent, check, spawn};
use crate::sync::{Acquire, Release};
use std::sync::Arc;

impl Popper<Reader> {
    /// Recovers with `recover`, lets go of the recovery lock, and pops what it got; killed in the
    /// middle of it, when the kernel frees the lock.
    fn succeed_until_killed(&mut self, stores: u32, recover: impl FnOnce(&mut Self)) -> Vec<u64> {
        let memory = Arc::clone(&self.memory);
        let mut locked = Some(memory.recovery.lock().unwrap());
        let mut popped = Vec::new();
        killed_after(stores, || {
            recover(self);
            drop(locked.take());
            while self.reader.has_claim() {
                let message = self.read().unwrap();
                if will_store() {
                    popped.push(message);
                }
                self.release();
            }
        });
        drop(locked);
        memory.sweep_producer(self.seat);
        popped
    }

    /// Takes the seat of a dead one with what it holds. Its lock is this one's from now on.
    fn take_seat(&mut self, producers: u32, delivery: Delivery) -> Inheritance {
        let memory = Arc::clone(&self.memory);
        memory.gone[self.seat].store(0, Release);
        let sweep_of = memory.sweep_of(&self.slots, producers);
        let inheritance = sweep_of.inherit(self.seat as u32, delivery, &mut SweepStats::default());
        if let Inheritance::Held(run) = inheritance {
            self.reader.adopt(run);
        }
        inheritance
    }
}

/// A dead consumer had two messages, and has given back the first of them. Two others recover,
/// of which the first one dies of it, while a producer goes on. Tells what these two popped.
#[test]
fn an_adopter_that_is_killed_is_followed_by_another() {
    let ends = [
        (1, &[(0, 1)][..]),
        (2, &[(0, 0), (0, 1)]),
        (3, &[(0, 0), (0, 1)]),
        (4, &[(0, 1), (1, 0)]),
    ];
    for (stores, outcomes) in ends {
        check(Extent::Preemptions(2), 50, outcomes, move || {
            let memory = filled_with(Memory::at(WRAP_32), 2);
            let mut dead = consumer(&memory, 1);
            assert_eq!(dead.read_first_of(2), Some(1));
            dead.release();
            memory.sweep_producer(1);
            let mut first = consumer(&memory, 2);
            let dying = spawn(move || {
                first.succeed_until_killed(stores, |heir| {
                    heir.adopt(1, u64::MAX);
                })
            });
            let mut second = consumer(&memory, 3);
            let following = spawn(move || {
                second.sweep(1);
                second.pop_held()
            });
            let mut producer = producer(&memory, 0);
            let pushing = spawn(move || producer.push_some(1, &[11]));
            let popped = [dying, following].map(|heir| heir.join().unwrap());
            let done = (popped[0].len(), popped[1].len());
            let pushed = pushing.join().unwrap();
            let rest = finish_all(&memory, 1);
            apply_policy(
                &memory,
                &[pushed, vec![]],
                &[&popped[..], &[vec![1], rest]].concat(),
            );
            done
        });
    }
}

/// Somebody who leaves tombstones stops in the middle, and another one goes on with it, while a
/// producer pushes. Tells how many were left.
#[test]
fn who_is_killed_while_leaving_tombstones_is_followed_by_another() {
    for (stores, outcomes) in [(1, &[1, 2][..]), (2, &[0, 2])] {
        check(Extent::Preemptions(2), 30, outcomes, move || {
            let memory = Memory::of(4, WRAP_32);
            let mut dead = producer(&memory, 0);
            assert!(dead.write_first_of(2, 99));
            memory.sweep_producer(0);
            let dying = spawn({
                let memory = Arc::clone(&memory);
                move || {
                    let slots = memory.slots();
                    let _locked = memory.recovery.lock().unwrap();
                    let sweep_of = memory.sweep_of(&slots, 2);
                    killed_after(stores, || sweep_of.sweep(None, Delivery::AtLeastOnce));
                }
            });
            let following = spawn({
                let memory = Arc::clone(&memory);
                move || memory.sweep(2, Delivery::AtLeastOnce).tombstones
            });
            let mut producer = producer(&memory, 1);
            let pushing = spawn(move || producer.push_some(1, &[11]));
            dying.join().unwrap();
            let tombstones = following.join().unwrap();
            let pushed = pushing.join().unwrap();
            let rest = finish_all(&memory, 2);
            apply_policy(&memory, &[pushed], &[rest]);
            tombstones
        });
    }
}

/// A dead consumer's seat is taken in place, by one that dies of it, while a third one recovers
/// and pops. Tells what these two popped.
#[test]
fn who_takes_the_seat_of_the_dead_and_is_killed_leaves_it_as_it_was() {
    let ends = [
        (1, &[(0, 1), (0, 3)][..]),
        (2, &[(0, 3), (1, 1), (1, 2)]),
        (3, &[(0, 3), (2, 1)]),
        (4, &[(0, 3), (2, 1)]),
    ];
    for (stores, outcomes) in ends {
        check(Extent::Preemptions(3), 15, outcomes, move || {
            let memory = filled_with(Memory::of(4, WRAP_32), 3);
            let mut dead = consumer(&memory, 1);
            assert_eq!(dead.read_first_of(2), Some(1));
            memory.sweep_producer(1);
            let mut first = consumer(&memory, 1);
            let dying = spawn(move || {
                first.succeed_until_killed(stores, |heir| {
                    heir.take_seat(1, Delivery::AtLeastOnce);
                })
            });
            let mut third = consumer(&memory, 3);
            let going_on = spawn(move || {
                third.sweep(1);
                third.pop_some(1, 3)
            });
            let popped = [dying, going_on].map(|heir| heir.join().unwrap());
            let done = (popped[0].len(), popped[1].len());
            let rest = finish_all(&memory, 1);
            apply_policy(&memory, &[], &[&popped[..], &[rest]].concat());
            done
        });
    }
}

/// Of three messages of a dead one, another one has adopted the second, and popped it, while the
/// first was undecided. Who takes the seat passes over it, though its slot may be in use again.
/// Tells how much was pushed meanwhile.
#[test]
fn an_heir_passes_over_what_others_have_finished() {
    check(Extent::Preemptions(4), 15, &[1, 3], || {
        let memory = filled_with(Memory::of(4, WRAP_32), 3);
        let mut dead = consumer(&memory, 1);
        assert_eq!(dead.read_first_of(3), Some(1));
        memory.sweep_producer(1);
        // Paused before the compare-and-swap that it loses.
        memory.intents[3].set(run(0, 1), &mut 0);
        let mut other = consumer(&memory, 2);
        assert_eq!(other.adopt(1, 1).adopted, Some(run(1, 1)));
        assert_eq!(other.pop_held(), [2]);
        memory.intents[3].clear();
        let mut heir = consumer(&memory, 1);
        let inheriting = spawn(move || {
            let memory = Arc::clone(&heir.memory);
            let locked = memory.recovery.lock().unwrap();
            let inheritance = heir.take_seat(1, Delivery::AtLeastOnce);
            assert_eq!(inheritance, Inheritance::Held(run(0, 3)));
            drop(locked);
            heir.pop_some(1, 2)
        });
        let mut producer = producer(&memory, 0);
        let pushing = spawn(move || producer.push_some(1, &[11, 12, 13]));
        let popped = inheriting.join().unwrap();
        assert_eq!(popped, [1, 3]);
        let pushed = pushing.join().unwrap();
        let rest = finish_all(&memory, 1);
        apply_policy(&memory, &[pushed.clone()], &[popped, vec![2], rest]);
        pushed.len()
    });
}

/// A dead one had two messages, and each of two others wants one. Each gets one, whoever comes first.
#[test]
fn what_an_adopter_does_not_want_is_left_to_others() {
    check(Extent::Preemptions(3), 30, &[(1, 1)], || {
        let memory = filled_with(Memory::at(WRAP_32), 2);
        let mut dead = consumer(&memory, 1);
        assert_eq!(dead.read_first_of(2), Some(1));
        memory.sweep_producer(1);
        let adopting = [2, 3].map(|seat| {
            let mut heir = consumer(&memory, seat);
            spawn(move || {
                let memory = Arc::clone(&heir.memory);
                let locked = memory.recovery.lock().unwrap();
                let stats = heir.adopt(1, 1);
                drop(locked);
                assert_eq!(stats.redelivered, u64::from(stats.adopted.is_some()));
                heir.pop_held()
            })
        });
        let popped = adopting.map(|heir| heir.join().unwrap());
        let rest = finish_all(&memory, 1);
        apply_policy(&memory, &[], &[&popped[..], &[rest]].concat());
        (popped[0].len(), popped[1].len())
    });
}

/// Who has adopted one message claims two after it, and says so: it dies of that, after the first
/// of them.
#[test]
fn what_an_heir_claims_next_is_said_anew() {
    check(Extent::Preemptions(3), 15, &[0, 1], || {
        let memory = filled_with(Memory::of(4, WRAP_32), 3);
        assert_eq!(consumer(&memory, 1).read(), Some(1));
        memory.sweep_producer(1);
        let mut heir = consumer(&memory, 2);
        assert_eq!(heir.sweep(1).adopted, Some(run(0, 1)));
        let dying = spawn(move || {
            let mut popped = heir.pop_held();
            popped.extend(heir.read_first_of(2));
            heir.release();
            heir.memory.sweep_producer(2);
            popped
        });
        let mut other = consumer(&memory, 3);
        let going_on = spawn(move || {
            other.sweep(1);
            other.pop_held()
        });
        let popped = [dying, going_on].map(|heir| heir.join().unwrap());
        let rest = finish_all(&memory, 1);
        apply_policy(&memory, &[], &[&popped[..], &[rest]].concat());
        popped[1].len()
    });
}

/// Who takes a seat gets nothing that one of the living may have, and does not get the seat as
/// long as that is so. The living one goes on.
#[test]
fn a_seat_is_not_taken_while_the_living_may_have_what_it_held() {
    check(Extent::Preemptions(3), 30, &[None, Some(1)], || {
        let memory = filled_with(Memory::at(WRAP_32), 2);
        let mut dead = consumer(&memory, 1);
        assert_eq!(dead.read(), Some(1));
        memory.sweep_producer(1);
        // Paused before the compare-and-swap that it loses.
        memory.intents[2].set(run(0, 1), &mut 0);
        let mut paused = consumer(&memory, 2);
        let popping = spawn(move || paused.pop_some(1, 1));
        let mut heir = consumer(&memory, 1);
        let inheriting = spawn(move || {
            let memory = Arc::clone(&heir.memory);
            let locked = memory.recovery.lock().unwrap();
            let inheritance = heir.take_seat(1, Delivery::AtLeastOnce);
            if inheritance == Inheritance::Undecided {
                memory.sweep_producer(1);
                return None;
            }
            drop(locked);
            Some(heir.pop_held())
        });
        let mut popped = vec![popping.join().unwrap()];
        let inherited = inheriting.join().unwrap();
        popped.extend(inherited.clone());
        popped.push(finish_all(&memory, 1));
        apply_policy(&memory, &[], &popped);
        inherited.map(|popped| popped.len())
    });
}

/// At most once: the seat is free of what its holder had.
#[test]
fn a_seat_is_taken_without_what_is_dropped() {
    check(Extent::Preemptions(3), 8, &[0, 1], || {
        let memory = filled_with(Memory::at(WRAP_32), 2);
        let mut dead = consumer(&memory, 1);
        assert_eq!(dead.read(), Some(1));
        memory.sweep_producer(1);
        let mut producer = producer(&memory, 0);
        let pushing = spawn(move || producer.push_some(1, &[11]));
        let mut heir = consumer(&memory, 1);
        let inheriting = spawn(move || {
            let memory = Arc::clone(&heir.memory);
            let locked = memory.recovery.lock().unwrap();
            let inheritance = heir.take_seat(1, Delivery::AtMostOnce);
            assert_eq!(inheritance, Inheritance::Nothing);
            drop(locked);
            heir.pop_some(1, 1)
        });
        let pushed = pushing.join().unwrap();
        let popped = inheriting.join().unwrap();
        assert_eq!(popped, [2]);
        apply_policy(&memory, &[pushed.clone()], &[popped, vec![1]]);
        pushed.len()
    });
}

/// What the dead had is adopted in runs, one at a time: two of them had a message each, and a
/// third one says that it may have had both and the one between.
#[test]
fn one_run_is_adopted_at_a_time() {
    let outcomes = [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2), (2, 0)];
    check(Extent::Preemptions(2), 50, &outcomes, || {
        let memory = filled_with(Memory::of(4, WRAP_32), 3);
        let mut dead = [1, 3].map(|seat| consumer(&memory, seat));
        let mut heir = consumer(&memory, 2);
        assert_eq!(dead[0].read(), Some(1));
        assert_eq!(heir.pop_some(1, 1), [2]);
        assert_eq!(dead[1].read(), Some(3));
        memory.sweep_producer(1);
        memory.sweep_producer(3);
        dead_who_said(&memory, 0, run(0, 3));
        let adopting = spawn(move || {
            let stats = heir.sweep(0);
            assert_eq!(stats.adopted, Some(run(0, 1)));
            let first = heir.pop_held();
            assert_eq!(heir.sweep(0).adopted, Some(run(2, 1)));
            let last = heir.pop_held();
            assert_eq!(heir.sweep(0).adopted, None);
            [first, last].concat()
        });
        let looking = spawn({
            let memory = Arc::clone(&memory);
            move || memory.sweep(0, Delivery::AtLeastOnce)
        });
        let stats = looking.join().unwrap();
        let popped = adopting.join().unwrap();
        assert_eq!(popped, [1, 3]);
        apply_policy(&memory, &[], &[popped, vec![2]]);
        (stats.waiting, stats.undecided)
    });
}

/// Two of the dead had a message each: who adopts the first one's can't say that it has the
/// second one's as well.
#[test]
fn one_of_the_dead_is_adopted_from_at_a_time() {
    check(Extent::Preemptions(3), 8, &[(1, 1)], || {
        let memory = filled_with(Memory::at(WRAP_32), 2);
        for seat in [1, 2] {
            assert!(consumer(&memory, seat).read().is_some());
            memory.sweep_producer(seat);
        }
        let mut heir = consumer(&memory, 3);
        let adopting = spawn(move || {
            let stats = heir.sweep(1);
            (stats, heir.pop_held())
        });
        let mut producer = producer(&memory, 0);
        let pushing = spawn(move || producer.push_some(1, &[11]));
        let (stats, popped) = adopting.join().unwrap();
        let pushed = pushing.join().unwrap();
        let rest = finish_all(&memory, 1);
        apply_policy(&memory, &[pushed], &[popped.clone(), rest]);
        (stats.waiting, popped.len())
    });
}
