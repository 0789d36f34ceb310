//! Tombstones, the claimed positions of an MPMC ring without a message: they are skipped and
//! counted, and delay no participant.

use crate::support::{Name, SharedWords, until};
use slipring::Options;
use slipring::error::TryPopError;
use slipring::mpmc::Ring;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;

const CAPACITY: u64 = 64;
const TOMBSTONE: u64 = (u32::MAX as u64) << 32;
/// The indices of words in a ring with so few participants that its slots begin after one page.
const TAIL: usize = 0x080 / 8;
const SLOTS: usize = 0x1000 / 8;

/// The index of the intent of the consumer in a seat, in a ring with one producer.
fn intent_of_consumer(seat: usize) -> usize {
    (0x480 + 0x80 * seat + 0x20) / 8
}

/// Writes one tombstone after the other. This is faster than any producer, as it wakes no peer.
fn write_tombstones(words: &SharedWords, is_over: &AtomicBool) {
    let mut position = words[TAIL].load(SeqCst);
    while !is_over.load(SeqCst) {
        let slot = &words[SLOTS + 2 * (position % CAPACITY) as usize];
        if slot.load(SeqCst) as u32 == position as u32 {
            position += 1;
            words[TAIL].store(position, SeqCst);
            slot.store(TOMBSTONE | position, SeqCst);
        }
    }
}

#[test]
fn try_pop_in_tombstone_flood_returns_empty_and_holds_none() {
    let name = Name::new("flood");
    let options = Options::new()
        .capacity(CAPACITY as usize)
        .producers(1)
        .consumers(2);
    let ring = Ring::<u64>::create_with(&name, &options).unwrap();
    let words = SharedWords::open(&name);
    let is_over = AtomicBool::new(false);
    let mut consumer = ring.consumer().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| write_tombstones(&words, &is_over));
        for _ in 0..1000 {
            until("the ring is full of tombstones", || ring.is_full());
            let popped = consumer.try_pop();
            let is_intent_set = words[intent_of_consumer(0)].load(SeqCst) != 0;
            if is_intent_set || popped != Err(TryPopError::Empty) {
                is_over.store(true, SeqCst);
            }
            assert_eq!(popped, Err(TryPopError::Empty));
            assert!(!is_intent_set);
        }
        is_over.store(true, SeqCst);
    });
    assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
}

#[cfg(target_arch = "x86_64")]
mod traced {
    use crate::support::kill_points::Pinned;
    use crate::support::kill_points::tracee::{self, Moved, Tracee};
    use crate::support::{
        self, ASLEEP_AT_ONCE, NEVER, Name, SharedWords, fork_child, kill_process,
    };
    use slipring::Options;
    use slipring::error::PopTimeoutError;
    use slipring::mpmc::{Producer, Ring};
    use std::collections::HashMap;
    use std::process;
    use std::sync::atomic::Ordering::SeqCst;
    use std::time::Duration;

    const CAPACITY: u64 = 4;
    const MESSAGE: u64 = 7;

    fn fill_with_tombstones(producer: &mut Producer<u64>) {
        while producer.try_claim().is_ok() {}
    }

    fn kill_consumer_with_next_message(ring: &Ring<u64>) {
        let mut child = fork_child(|| {
            let mut consumer = ring.reopen().unwrap().consumer().unwrap();
            let guard = consumer.read().unwrap();
            assert_eq!(guard.get(), MESSAGE);
            kill_process(process::id());
        });
        child.reap();
    }

    /// A traced consumer pops a batch from a ring that is filled with tombstones after each of its
    /// instructions. When a lap and `skipped` tombstones are counted, a message is pushed between
    /// them, and another consumer dies with that message. Returns whether the traced consumer
    /// popped it.
    fn pop_among_tombstones(skipped: u64) -> bool {
        let (name, shared) = (Name::new("lap"), Name::in_memory("popped"));
        let options = Options::new()
            .capacity(CAPACITY as usize)
            .producers(1)
            .consumers(2)
            .liveness_interval(NEVER);
        let ring = Ring::<u64>::create_with(&name, &options).unwrap();
        let mut producer = ring.producer().unwrap();
        let popped = SharedWords::create(&shared, 1);
        // The first batch is shorter than a lap, and more tombstones follow it.
        drop(producer.try_claim().unwrap());
        let mut tracee = Tracee::lead(|| {
            let mut consumer = ring.reopen().unwrap().consumer().unwrap();
            let mut messages = [0; CAPACITY as usize];
            tracee::mark();
            let _ = consumer.try_pop_slice(&mut messages);
            popped[0].store(messages[0], SeqCst);
            tracee::mark();
        });
        let mut is_dead = false;
        let mut known = HashMap::new();
        while !tracee.next(&mut known).is_mark {
            assert_eq!(tracee.step(None), Moved::Stands);
            if ring.counters().tombstones == 1 && !ring.is_empty() {
                continue;
            }
            if !is_dead && ring.counters().tombstones >= CAPACITY + skipped {
                if producer.try_push(&MESSAGE).is_err() {
                    continue;
                }
                kill_consumer_with_next_message(&ring);
                is_dead = true;
            }
            fill_with_tombstones(&mut producer);
        }
        tracee.kill();

        let is_popped = popped[0].load(SeqCst) == MESSAGE;
        let mut consumer = ring.consumer().unwrap();
        // Tombstones that the dead consumer held are adopted as well, and end a try.
        let tries = (0..3 * CAPACITY).map(|_| consumer.try_pop());
        let left: Vec<_> = tries.flatten().collect();
        assert_eq!(left.len(), usize::from(is_dead && !is_popped));
        for number in 0..3 * CAPACITY {
            assert_eq!(producer.try_push(&number), Ok(()), "a slot is lost");
            assert_eq!(consumer.try_pop(), Ok(number));
        }
        is_popped
    }

    #[test]
    fn pop_timeout_in_endless_tombstones_returns_timed_out() {
        if !tracee::is_allowed() {
            return support::skip("this process may not trace a child");
        }
        let _pinned = Pinned::new();
        let name = Name::new("lap");
        let options = Options::new().capacity(CAPACITY as usize).producers(1);
        let ring = Ring::<u64>::create_with(&name, &options).unwrap();
        let mut producer = ring.producer().unwrap();
        let mut tracee = Tracee::lead(|| {
            let options = Options::new().wait(ASLEEP_AT_ONCE);
            let ring = Ring::<u64>::open_with(&name, &options).unwrap();
            let mut consumer = ring.consumer().unwrap();
            tracee::mark();
            assert_eq!(
                consumer.pop_timeout(Duration::ZERO),
                Err(PopTimeoutError::TimedOut)
            );
        });
        let mut moved = Moved::Stands;
        while moved == Moved::Stands {
            fill_with_tombstones(&mut producer);
            assert!(
                ring.counters().tombstones < 20 * CAPACITY,
                "the pop does not end"
            );
            moved = tracee.step(None);
        }
        assert_eq!(moved, Moved::Ended);
    }

    /// A consumer checks its peers while it holds claimed tombstones only if more than a lap of
    /// tombstones is written while it skips them.
    #[test]
    fn liveness_check_while_holding_tombstones_adopts_nothing() {
        if !tracee::is_allowed() {
            return support::skip("this process may not trace a child");
        }
        let _pinned = Pinned::new();
        let popped = (CAPACITY..2 * CAPACITY).filter(|&skipped| pop_among_tombstones(skipped));
        assert!(popped.count() > 0, "the traced consumer never adopted");
    }
}
