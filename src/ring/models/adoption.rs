//! A participant that recovers or inherits may itself be killed before any of its stores. The next
//! one finishes the recovery.

use super::deaths::recover_all;
use super::mpmc::{assert_delivered_once, consumer, producer, with_messages};
use super::sweep::{run, set_dead_intent};
use super::{CAPACITY, Memory, TestConsumer, WRAP_32};
use crate::properties::Delivery;
use crate::ring::PopSide;
use crate::ring::mpmc::Reader;
use crate::ring::sweep::{Inheritance, SweepStats};
use crate::sync::kill::{killed_after, will_store};
use crate::sync::model::{Extent, check, spawn};
use crate::sync::{Acquire, Release};
use std::sync::Arc;

impl TestConsumer<Reader> {
    /// Runs `recover` under the recovery lock, releases the lock, and pops what it got. It is
    /// killed before it makes more than `stores` stores, which releases the lock too.
    fn recover_until_killed(&mut self, stores: u32, recover: impl FnOnce(&mut Self)) -> Vec<u64> {
        let memory = Arc::clone(&self.memory);
        let mut locked = Some(memory.recovery_lock.lock().unwrap());
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
        memory.mark_gone(self.seat);
        popped
    }

    /// Takes the seat of a dead consumer and inherits its claim. The seat counts as locked by this
    /// consumer from then on.
    fn inherit_seat(&mut self, producers: u32, delivery: Delivery) -> Inheritance {
        let memory = Arc::clone(&self.memory);
        memory.is_gone[self.seat].store(0, Release);
        let sweep = memory.new_sweep(&self.slots, producers);
        let inheritance = sweep.inherit(self.seat as u32, delivery, &mut SweepStats::default());
        match inheritance {
            Inheritance::Held(run) => self.reader.adopt(run),
            // The new holder starts without a claim.
            Inheritance::Nothing => assert_eq!(memory.intents[self.seat].read(CAPACITY), None),
            Inheritance::Undecided => {}
        }
        inheritance
    }
}

/// Lets the consumer in seat 1 claim the first `max` messages, and die.
fn claim_and_die(memory: &Arc<Memory>, max: u64) {
    assert_eq!(consumer(memory, 1).claim_and_read(max), Some(1));
    memory.mark_gone(1);
}

/// A dead consumer had claimed two messages and released the first. Two others recover while a
/// producer continues, and the first of them is killed. Returns how many messages each popped.
#[test]
fn adopter_killed_next_adopter_finishes() {
    let cases = [
        (1, &[(0, 1)][..]),
        (2, &[(0, 0), (0, 1)]),
        (3, &[(0, 0), (0, 1)]),
        (4, &[(0, 1), (1, 0)]),
    ];
    for (stores, outcomes) in cases {
        check(Extent::Preemptions(2), 50, outcomes, move || {
            let memory = with_messages(Memory::at(WRAP_32), 2);
            let mut dead = consumer(&memory, 1);
            assert_eq!(dead.claim_and_read(2), Some(1));
            dead.release();
            memory.mark_gone(1);
            let mut first = consumer(&memory, 2);
            let dying = spawn(move || {
                first.recover_until_killed(stores, |adopter| {
                    adopter.adopt(1, u64::MAX);
                })
            });
            let mut second = consumer(&memory, 3);
            let following = spawn(move || {
                second.recover(1);
                second.pop_claimed_rest()
            });
            let mut producer = producer(&memory, 0);
            let pushing = spawn(move || producer.push_some(1, &[11]));
            let popped = [dying, following].map(|adopter| adopter.join().unwrap());
            let popped_counts = (popped[0].len(), popped[1].len());
            let pushed = pushing.join().unwrap();
            let rest = recover_all(&memory, 1);
            assert_delivered_once(
                &memory,
                &[pushed, vec![]],
                &[&popped[..], &[vec![1], rest]].concat(),
            );
            popped_counts
        });
    }
}

/// A sweep that leaves tombstones is killed, and another one finishes it, while a producer pushes.
/// Returns how many tombstones the second sweep left.
#[test]
fn sweep_killed_between_tombstones_next_sweep_finishes() {
    for (stores, outcomes) in [(1, &[1, 2][..]), (2, &[0, 2])] {
        check(Extent::Preemptions(2), 30, outcomes, move || {
            let memory = Memory::of(4, WRAP_32);
            let mut dead = producer(&memory, 0);
            assert!(dead.claim_and_write(2, 99));
            memory.mark_gone(0);
            let dying = spawn({
                let memory = Arc::clone(&memory);
                move || {
                    let slots = memory.slots();
                    let _locked = memory.recovery_lock.lock().unwrap();
                    let sweep = memory.new_sweep(&slots, 2);
                    killed_after(stores, || sweep.sweep(None, Delivery::AtLeastOnce));
                }
            });
            let following = spawn({
                let memory = Arc::clone(&memory);
                move || memory.recover(2, Delivery::AtLeastOnce).tombstones
            });
            let mut producer = producer(&memory, 1);
            let pushing = spawn(move || producer.push_some(1, &[11]));
            dying.join().unwrap();
            let tombstones = following.join().unwrap();
            let pushed = pushing.join().unwrap();
            let rest = recover_all(&memory, 2);
            assert_delivered_once(&memory, &[pushed], &[rest]);
            tombstones
        });
    }
}

/// The successor of a dead consumer is killed, while a third consumer recovers and pops. Returns
/// how many messages each of these two popped.
#[test]
fn seat_successor_killed_leaves_claim_to_next_holder() {
    let cases = [
        (1, &[(0, 1), (0, 3)][..]),
        (2, &[(0, 3), (1, 1), (1, 2)]),
        (3, &[(0, 3), (2, 1)]),
        (4, &[(0, 3), (2, 1)]),
    ];
    for (stores, outcomes) in cases {
        check(Extent::Preemptions(3), 15, outcomes, move || {
            let memory = with_messages(Memory::of(4, WRAP_32), 3);
            claim_and_die(&memory, 2);
            let mut first = consumer(&memory, 1);
            let dying = spawn(move || {
                first.recover_until_killed(stores, |adopter| {
                    adopter.inherit_seat(1, Delivery::AtLeastOnce);
                })
            });
            let mut third = consumer(&memory, 3);
            let continuing = spawn(move || {
                third.recover(1);
                third.pop_some(1, 3)
            });
            let popped = [dying, continuing].map(|adopter| adopter.join().unwrap());
            let popped_counts = (popped[0].len(), popped[1].len());
            let rest = recover_all(&memory, 1);
            assert_delivered_once(&memory, &[], &[&popped[..], &[rest]].concat());
            popped_counts
        });
    }
}

/// A dead consumer had claimed three messages. Another one adopted and popped the second, while the
/// first was undecided. The successor skips the second, as its slot may be in use again. Returns
/// how many messages were pushed meanwhile.
#[test]
fn seat_successor_skips_positions_finished_by_others() {
    check(Extent::Preemptions(4), 15, &[1, 3], || {
        let memory = with_messages(Memory::of(4, WRAP_32), 3);
        claim_and_die(&memory, 3);
        // Paused before the compare-and-swap that it loses.
        memory.intents[3].set(run(0, 1), &mut 0);
        let mut other = consumer(&memory, 2);
        assert_eq!(other.adopt(1, 1).adopted, Some(run(1, 1)));
        assert_eq!(other.pop_claimed_rest(), [2]);
        memory.intents[3].clear();
        let mut adopter = consumer(&memory, 1);
        let inheriting = spawn(move || {
            let memory = Arc::clone(&adopter.memory);
            let locked = memory.recovery_lock.lock().unwrap();
            let inheritance = adopter.inherit_seat(1, Delivery::AtLeastOnce);
            assert_eq!(inheritance, Inheritance::Held(run(0, 3)));
            drop(locked);
            adopter.pop_some(1, 2)
        });
        let mut producer = producer(&memory, 0);
        let pushing = spawn(move || producer.push_some(1, &[11, 12, 13]));
        let popped = inheriting.join().unwrap();
        assert_eq!(popped, [1, 3]);
        let pushed = pushing.join().unwrap();
        let rest = recover_all(&memory, 1);
        assert_delivered_once(&memory, &[pushed.clone()], &[popped, vec![2], rest]);
        pushed.len()
    });
}

/// A dead consumer had claimed two messages. Each of two others adopts at most one, so each gets
/// one, in either order.
#[test]
fn orphans_beyond_max_are_left_to_other_adopters() {
    check(Extent::Preemptions(3), 30, &[(1, 1)], || {
        let memory = with_messages(Memory::at(WRAP_32), 2);
        claim_and_die(&memory, 2);
        let adopting = [2, 3].map(|seat| {
            let mut adopter = consumer(&memory, seat);
            spawn(move || {
                let memory = Arc::clone(&adopter.memory);
                let locked = memory.recovery_lock.lock().unwrap();
                let stats = adopter.adopt(1, 1);
                drop(locked);
                assert_eq!(stats.redelivered, u64::from(stats.adopted.is_some()));
                adopter.pop_claimed_rest()
            })
        });
        let popped = adopting.map(|adopter| adopter.join().unwrap());
        let rest = recover_all(&memory, 1);
        assert_delivered_once(&memory, &[], &[&popped[..], &[rest]].concat());
        (popped[0].len(), popped[1].len())
    });
}

/// A consumer that adopted one message then claims two, and is killed after the first of them. Its
/// intent must cover the new claim. Returns how many messages the third consumer popped.
#[test]
fn adopter_claiming_next_run_sets_new_intent() {
    check(Extent::Preemptions(3), 15, &[0, 1], || {
        let memory = with_messages(Memory::of(4, WRAP_32), 3);
        claim_and_die(&memory, 1);
        let mut adopter = consumer(&memory, 2);
        assert_eq!(adopter.recover(1).adopted, Some(run(0, 1)));
        let dying = spawn(move || {
            let mut popped = adopter.pop_claimed_rest();
            popped.extend(adopter.claim_and_read(2));
            adopter.release();
            adopter.memory.mark_gone(2);
            popped
        });
        let mut other = consumer(&memory, 3);
        let continuing = spawn(move || {
            other.recover(1);
            other.pop_claimed_rest()
        });
        let popped = [dying, continuing].map(|adopter| adopter.join().unwrap());
        let rest = recover_all(&memory, 1);
        assert_delivered_once(&memory, &[], &[&popped[..], &[rest]].concat());
        popped[1].len()
    });
}

/// A successor inherits nothing that a live consumer may have claimed, and does not get the seat
/// until that is decided. The live consumer continues. Returns how many messages were inherited.
#[test]
fn seat_with_undecided_claim_is_not_inherited() {
    check(Extent::Preemptions(3), 30, &[None, Some(1)], || {
        let memory = with_messages(Memory::at(WRAP_32), 2);
        claim_and_die(&memory, 1);
        // Paused before the compare-and-swap that it loses.
        memory.intents[2].set(run(0, 1), &mut 0);
        let mut paused = consumer(&memory, 2);
        let popping = spawn(move || paused.pop_some(1, 1));
        let mut adopter = consumer(&memory, 1);
        let inheriting = spawn(move || {
            let memory = Arc::clone(&adopter.memory);
            let locked = memory.recovery_lock.lock().unwrap();
            let inheritance = adopter.inherit_seat(1, Delivery::AtLeastOnce);
            if inheritance == Inheritance::Undecided {
                memory.mark_gone(1);
                return None;
            }
            drop(locked);
            Some(adopter.pop_claimed_rest())
        });
        let mut popped = vec![popping.join().unwrap()];
        let inherited = inheriting.join().unwrap();
        popped.extend(inherited.clone());
        popped.push(recover_all(&memory, 1));
        assert_delivered_once(&memory, &[], &popped);
        inherited.map(|popped| popped.len())
    });
}

/// With at-most-once delivery, the claim of the last holder is dropped.
#[test]
fn seat_inherited_at_most_once_has_no_orphans() {
    check(Extent::Preemptions(3), 8, &[0, 1], || {
        let memory = with_messages(Memory::at(WRAP_32), 2);
        claim_and_die(&memory, 1);
        let mut producer = producer(&memory, 0);
        let pushing = spawn(move || producer.push_some(1, &[11]));
        let mut adopter = consumer(&memory, 1);
        let inheriting = spawn(move || {
            let memory = Arc::clone(&adopter.memory);
            let locked = memory.recovery_lock.lock().unwrap();
            let inheritance = adopter.inherit_seat(1, Delivery::AtMostOnce);
            assert_eq!(inheritance, Inheritance::Nothing);
            drop(locked);
            adopter.pop_some(1, 1)
        });
        let pushed = pushing.join().unwrap();
        let popped = inheriting.join().unwrap();
        assert_eq!(popped, [2]);
        assert_delivered_once(&memory, &[pushed.clone()], &[popped, vec![1]]);
        pushed.len()
    });
}

/// Orphans are adopted one run at a time. Two dead consumers had claimed one message each, and the
/// intent of a third one covers both and the one between.
#[test]
fn orphans_with_gap_are_adopted_one_run_at_a_time() {
    let outcomes = [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2), (2, 0)];
    check(Extent::Preemptions(2), 50, &outcomes, || {
        let memory = with_messages(Memory::of(4, WRAP_32), 3);
        let mut dead = [1, 3].map(|seat| consumer(&memory, seat));
        let mut adopter = consumer(&memory, 2);
        assert_eq!(dead[0].read(), Some(1));
        assert_eq!(adopter.pop_some(1, 1), [2]);
        assert_eq!(dead[1].read(), Some(3));
        memory.mark_gone(1);
        memory.mark_gone(3);
        set_dead_intent(&memory, 0, run(0, 3));
        let adopting = spawn(move || {
            let stats = adopter.recover(0);
            assert_eq!(stats.adopted, Some(run(0, 1)));
            let first = adopter.pop_claimed_rest();
            assert_eq!(adopter.recover(0).adopted, Some(run(2, 1)));
            let last = adopter.pop_claimed_rest();
            assert_eq!(adopter.recover(0).adopted, None);
            [first, last].concat()
        });
        let probing = spawn({
            let memory = Arc::clone(&memory);
            move || memory.recover(0, Delivery::AtLeastOnce)
        });
        let stats = probing.join().unwrap();
        let popped = adopting.join().unwrap();
        assert_eq!(popped, [1, 3]);
        assert_delivered_once(&memory, &[], &[popped, vec![2]]);
        (stats.waiting, stats.undecided)
    });
}

/// Two dead consumers had claimed one message each. The intent of an adopter cannot cover both
/// claims, so it adopts one.
#[test]
fn orphans_of_two_seats_are_adopted_one_seat_at_a_time() {
    check(Extent::Preemptions(3), 8, &[(1, 1)], || {
        let memory = with_messages(Memory::at(WRAP_32), 2);
        for seat in [1, 2] {
            assert!(consumer(&memory, seat).read().is_some());
            memory.mark_gone(seat);
        }
        let mut adopter = consumer(&memory, 3);
        let adopting = spawn(move || {
            let stats = adopter.recover(1);
            (stats, adopter.pop_claimed_rest())
        });
        let mut producer = producer(&memory, 0);
        let pushing = spawn(move || producer.push_some(1, &[11]));
        let (stats, popped) = adopting.join().unwrap();
        let pushed = pushing.join().unwrap();
        let rest = recover_all(&memory, 1);
        assert_delivered_once(&memory, &[pushed], &[popped.clone(), rest]);
        (stats.waiting, popped.len())
    });
}
