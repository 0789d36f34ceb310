//! Recovery of dead participants, next to live participants from which it must not take anything.

use super::deaths::recover_all;
use super::mpmc::{assert_delivered_once, consumer, producer, with_messages};
use super::{Memory, TestConsumer, WRAP_32};
use crate::properties::Delivery;
use crate::ring::PopSide;
use crate::ring::intent::{Intent, Run};
use crate::ring::mpmc::Reader;
use crate::ring::participants::{Phase, SeatState};
use crate::ring::slot::Slots;
use crate::ring::sweep::{Adopter, Sweep, SweepStats};
use crate::sync::model::{Extent, check, spawn};
use crate::sync::{Acquire, Relaxed, Release};
use std::sync::Arc;

impl Memory {
    /// Marks the holder of a seat as dead, as the kernel does. A thread that sees the mark also
    /// sees the stores of the dead holder.
    pub(super) fn mark_gone(&self, seat: usize) {
        self.is_gone[seat].store(1, Release);
    }

    /// A sweep of all seats, of which the first `producers` are producers.
    pub(super) fn new_sweep<'r>(
        &'r self,
        slots: &'r Slots<'r>,
        producers: u32,
    ) -> Sweep<'r, impl Fn(u32) -> &'r Intent, impl Fn(u32) -> bool> {
        Sweep {
            slots,
            tail: &self.tail,
            head: &self.head,
            intent: |seat| &self.intents[seat as usize],
            is_gone: |seat| self.is_gone[seat as usize].load(Acquire) != 0,
            producers,
            participants: self.intents.len() as u32,
        }
    }

    /// A recovery by a process without a seat.
    pub(super) fn recover(&self, producers: u32, delivery: Delivery) -> SweepStats {
        let slots = self.slots();
        let _locked = self.recovery_lock.lock().unwrap();
        self.new_sweep(&slots, producers).sweep(None, delivery)
    }
}

impl TestConsumer<Reader> {
    /// Pops the rest of the current claim, if there is one.
    pub(super) fn pop_claimed_rest(&mut self) -> Vec<u64> {
        let mut popped = Vec::new();
        while self.reader.has_claim() {
            popped.extend(self.pop_some(1, 1));
        }
        popped
    }

    /// A recovery by a consumer that adopts up to `max` messages of one dead consumer. The caller
    /// holds the recovery lock.
    pub(super) fn adopt(&mut self, producers: u32, max: u64) -> SweepStats {
        let memory = Arc::clone(&self.memory);
        let sweep = memory.new_sweep(&self.slots, producers);
        let seat = self.seat as u32;
        let stats = sweep.sweep(Some(Adopter { seat, max }), Delivery::AtLeastOnce);
        if let Some(run) = stats.adopted {
            self.reader.adopt(run);
        }
        stats
    }

    /// As `adopt`, with any number of messages, under the recovery lock.
    pub(super) fn recover(&mut self, producers: u32) -> SweepStats {
        let memory = Arc::clone(&self.memory);
        let _locked = memory.recovery_lock.lock().unwrap();
        self.adopt(producers, u64::MAX)
    }
}

/// A run of positions, relative to the start position of these models.
pub(super) fn run(start: u64, len: u64) -> Run {
    Run {
        start: WRAP_32 + start,
        len,
    }
}

/// Sets the intent of a dead participant to positions that it did not claim.
pub(super) fn set_dead_intent(memory: &Memory, seat: usize, run: Run) {
    memory.intents[seat].set(run, &mut 0);
    memory.mark_gone(seat);
}

/// Edge I carries the winner's intent. The dead producer lost this position to a live one that may
/// still write to it. Returns how many positions were undecided.
#[test]
fn visible_claim_makes_its_intent_visible() {
    check(Extent::Preemptions(3), 50, &[0, 1], || {
        let memory = Memory::at(WRAP_32);
        set_dead_intent(&memory, 1, run(0, 1));
        let mut winner = producer(&memory, 0);
        let pushing = spawn(move || winner.push_some(1, &[11]));
        let sweeping = spawn({
            let memory = Arc::clone(&memory);
            move || memory.recover(2, Delivery::AtLeastOnce)
        });
        let pushed = pushing.join().unwrap();
        let stats = sweeping.join().unwrap();
        assert_eq!(stats.settled, 1 - stats.undecided);
        assert_eq!(stats.tombstones, 0);
        assert_eq!(memory.recover(2, Delivery::AtLeastOnce).tombstones, 0);
        assert_delivered_once(&memory, &[pushed], &[]);
        stats.undecided
    });
}

/// As above, of consumers: a message that a live consumer claimed is not an orphan.
#[test]
fn message_claimed_by_live_consumer_is_not_adopted() {
    check(Extent::Preemptions(3), 50, &[0, 1], || {
        let memory = with_messages(Memory::at(WRAP_32), 1);
        set_dead_intent(&memory, 1, run(0, 1));
        let mut winner = consumer(&memory, 2);
        let popping = spawn(move || winner.pop_some(1, 1));
        let mut adopter = consumer(&memory, 3);
        let sweeping = spawn(move || {
            let stats = adopter.recover(1);
            (stats, adopter.pop_some(1, 1))
        });
        let popped = popping.join().unwrap();
        let (stats, also_popped) = sweeping.join().unwrap();
        assert_eq!((stats.adopted, stats.waiting), (None, 0));
        memory.recover(1, Delivery::AtLeastOnce);
        assert_delivered_once(&memory, &[], &[popped, also_popped]);
        stats.undecided
    });
}

/// Edge S carries the releases of a consumer that left with a claim. Its rest is adopted although
/// its process is not dead. Returns how many messages were adopted.
#[test]
fn claim_of_departed_consumer_is_adopted_where_it_stopped() {
    check(Extent::Preemptions(4), 10, &[0, 1], || {
        let memory = with_messages(Memory::at(WRAP_32), 2);
        let state = Arc::new(SeatState::new());
        state.activate();
        let mut leaver = consumer(&memory, 2);
        let leaving = spawn({
            let state = Arc::clone(&state);
            move || {
                assert_eq!(leaver.claim_and_read(2), Some(1));
                leaver.release();
                state.leave();
            }
        });
        let mut adopter = consumer(&memory, 3);
        let sweeping = spawn(move || {
            if state.load().phase() == Phase::Left {
                adopter.memory.mark_gone(2);
            }
            adopter.recover(1);
            adopter.pop_claimed_rest()
        });
        leaving.join().unwrap();
        let popped = sweeping.join().unwrap();
        memory.mark_gone(2);
        let rest = recover_all(&memory, 1);
        assert_delivered_once(&memory, &[], &[vec![1], popped.clone(), rest]);
        popped.len()
    });
}

/// Edge A carries the slots of the claim before: they are released when the intent is cleared or
/// set for the next claim. The dead consumer lost both positions to one that claims them one by
/// one.
#[test]
fn ended_intent_makes_finished_slots_visible() {
    check(Extent::Preemptions(3), 200, &[0, 1], || {
        let memory = with_messages(Memory::at(WRAP_32), 2);
        set_dead_intent(&memory, 1, run(0, 2));
        let mut winner = consumer(&memory, 2);
        let popping = spawn(move || winner.pop_some(1, 2));
        let mut adopter = consumer(&memory, 3);
        let sweeping = spawn(move || {
            let stats = adopter.recover(1);
            (stats, adopter.pop_some(1, 1))
        });
        let popped = popping.join().unwrap();
        let (stats, also_popped) = sweeping.join().unwrap();
        assert_eq!((stats.adopted, stats.waiting), (None, 0));
        memory.recover(1, Delivery::AtLeastOnce);
        assert_delivered_once(&memory, &[], &[popped, also_popped]);
        stats.undecided
    });
}

/// Edge B carries the slots of the claim before. The smaller count of a later claim may be read
/// with the position of the earlier one, and then covers too few positions.
#[test]
fn intent_of_new_length_is_not_read_with_old_position() {
    check(Extent::Preemptions(3), 200, &[0, 1, 2], || {
        let memory = with_messages(Memory::at(WRAP_32), 2);
        set_dead_intent(&memory, 1, run(0, 2));
        let mut next = producer(&memory, 0);
        let mut winner = consumer(&memory, 2);
        let popping = spawn(move || {
            let mut popped = winner.pop_some(2, 2);
            let pushed = next.push_some(1, &[11]);
            popped.extend(winner.pop_some(1, 1));
            (pushed, popped)
        });
        let mut adopter = consumer(&memory, 3);
        let sweeping = spawn(move || adopter.recover(1));
        let (pushed, popped) = popping.join().unwrap();
        let stats = sweeping.join().unwrap();
        assert_eq!((stats.adopted, stats.waiting), (None, 0));
        memory.recover(1, Delivery::AtLeastOnce);
        assert_delivered_once(&memory, &[pushed], &[popped]);
        stats.undecided
    });
}

/// The intent of a live producer covers the position of a dead one. The claimant is decided when
/// the live producer, which lost the race, continues.
#[test]
fn position_in_live_intent_is_undecided_until_cleared() {
    check(Extent::Preemptions(3), 50, &[0, 1], || {
        let memory = Memory::at(WRAP_32);
        let mut dead = producer(&memory, 1);
        assert!(dead.write(99));
        memory.mark_gone(1);
        // Paused before the compare-and-swap that it loses.
        memory.intents[0].set(run(0, 1), &mut 0);
        assert_eq!(memory.recover(2, Delivery::AtLeastOnce).undecided, 1);
        let mut paused = producer(&memory, 0);
        let pushing = spawn(move || paused.push_some(1, &[11]));
        let sweeping = spawn({
            let memory = Arc::clone(&memory);
            move || memory.recover(2, Delivery::AtLeastOnce)
        });
        let pushed = pushing.join().unwrap();
        let stats = sweeping.join().unwrap();
        assert_eq!(stats.tombstones + stats.undecided, 1);
        memory.recover(2, Delivery::AtLeastOnce);
        assert_delivered_once(&memory, &[pushed], &[]);
        stats.undecided
    });
}

/// A producer dies within its second claim. A sweep that read the intent of its first claim reads
/// it again. Returns how much the concurrent sweep settled.
#[test]
fn last_intent_of_dead_producer_is_recovered() {
    check(Extent::Preemptions(3), 40, &[(0, 0), (1, 1)], || {
        let memory = Memory::at(WRAP_32);
        let mut dying = producer(&memory, 0);
        let pushing = spawn({
            let memory = Arc::clone(&memory);
            move || {
                let pushed = dying.push_some(1, &[11]);
                assert!(dying.write(99));
                memory.mark_gone(0);
                pushed
            }
        });
        let sweeping = spawn({
            let memory = Arc::clone(&memory);
            move || memory.recover(2, Delivery::AtLeastOnce)
        });
        let pushed = pushing.join().unwrap();
        let stats = sweeping.join().unwrap();
        let later = memory.recover(2, Delivery::AtLeastOnce);
        assert_eq!(stats.tombstones + later.tombstones, 1);
        assert_delivered_once(&memory, &[pushed], &[]);
        (stats.settled, stats.tombstones)
    });
}

/// An intent remains of a claim that was finished 2^32 positions ago. The slot's stamp has wrapped
/// to the same value.
#[test]
fn position_finished_a_stamp_wrap_ago_is_left_alone() {
    const FAR: u64 = 1 << 32;
    check(Extent::Preemptions(3), 20, &[0, 1], || {
        let memory = Memory::at(FAR);
        let far = Run { start: 0, len: 2 };
        set_dead_intent(&memory, 0, far);
        set_dead_intent(&memory, 2, far);
        let mut producer = producer(&memory, 1);
        let pushing = spawn(move || producer.push_some(1, &[11]));
        let mut adopter = consumer(&memory, 3);
        let sweeping = spawn(move || {
            let stats = adopter.recover(2);
            assert_eq!((stats.settled, stats.tombstones), (2, 0));
            assert_eq!((stats.adopted, stats.waiting), (None, 0));
            adopter.pop_some(1, 1)
        });
        let pushed = pushing.join().unwrap();
        let popped = sweeping.join().unwrap();
        assert_delivered_once(&memory, &[pushed], &[popped.clone()]);
        popped.len()
    });
}

/// As above, when the 2^32 positions pass during the sweep: a stamp is valid only if the index has
/// not advanced since. Returns whether the sweep started before that.
#[test]
fn stamp_wrapped_during_sweep_is_left_alone() {
    const FAR: u64 = 1 << 32;
    check(Extent::Preemptions(3), 10, &[false, true], || {
        let memory = Memory::at(0);
        assert_eq!(producer(&memory, 0).push_some(1, &[11]), [11]);
        set_dead_intent(&memory, 1, Run { start: 0, len: 1 });
        let continuing = spawn({
            let memory = Arc::clone(&memory);
            move || {
                let index = &memory.tail;
                assert!(index.compare_exchange(1, FAR, Release, Relaxed).is_ok());
                memory.slots().at(FAR).release(FAR, 0);
            }
        });
        let sweeping = spawn({
            let memory = Arc::clone(&memory);
            move || {
                let was_early = memory.tail.load(Relaxed) == 1;
                (memory.recover(2, Delivery::AtLeastOnce), was_early)
            }
        });
        continuing.join().unwrap();
        let (stats, was_early) = sweeping.join().unwrap();
        assert_eq!((stats.settled, stats.tombstones), (1, 0));
        was_early
    });
}
