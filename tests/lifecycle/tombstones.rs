//! Places in the line of an MPMC ring that hold no message: skipped, counted, and in nobody's way.

use crate::support::{Board, Name, until};
use slipring::Options;
use slipring::error::TryPopError;
use slipring::mpmc::Ring;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;

const CAPACITY: u64 = 64;
const TOMBSTONE: u64 = (u32::MAX as u64) << 32;
/// Where the words of the ring lie, in a ring of so few participants that its slots begin at the
/// first page.
const TAIL: usize = 0x080 / 8;
const SLOTS: usize = 0x1000 / 8;

/// Where the consumer in a seat says what it claims, in a ring of one producer.
fn intent_of_consumer(seat: usize) -> usize {
    (0x480 + 0x80 * seat + 0x20) / 8
}

/// Gives up one place after the other, faster than any producer: it tells nobody of it.
fn flood(words: &Board, over: &AtomicBool) {
    let mut position = words[TAIL].load(SeqCst);
    while !over.load(SeqCst) {
        let slot = &words[SLOTS + 2 * (position % CAPACITY) as usize];
        if slot.load(SeqCst) as u32 == position as u32 {
            position += 1;
            words[TAIL].store(position, SeqCst);
            slot.store(TOMBSTONE | position, SeqCst);
        }
    }
}

#[test]
fn a_consumer_that_gives_up_in_a_flood_of_tombstones_holds_none_of_them() {
    let name = Name::new("flood");
    let options = Options::new()
        .capacity(CAPACITY as usize)
        .producers(1)
        .consumers(2);
    let ring = Ring::<u64>::create_with(&name, &options).unwrap();
    let words = Board::open(&name);
    let over = AtomicBool::new(false);
    let mut consumer = ring.consumer().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| flood(&words, &over));
        for _ in 0..1000 {
            until("the ring is full of them", || ring.is_full());
            let popped = consumer.try_pop();
            let stands = words[intent_of_consumer(0)].load(SeqCst) != 0;
            if stands || popped != Err(TryPopError::Empty) {
                over.store(true, SeqCst);
            }
            assert_eq!(popped, Err(TryPopError::Empty));
            assert!(!stands);
        }
        over.store(true, SeqCst);
    });
    assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
}

#[cfg(target_arch = "x86_64")]
mod led {
    use crate::support::kill_points::Pinned;
    use crate::support::kill_points::tracee::{self, Moved, Tracee};
    use crate::support::{self, Board, NEVER, Name, fork_child, kill_process};
    use slipring::error::PopTimeoutError;
    use slipring::mpmc::{Producer, Ring};
    use slipring::{Options, WaitStrategy};
    use std::collections::HashMap;
    use std::process;
    use std::sync::atomic::Ordering::SeqCst;
    use std::time::Duration;

    const CAPACITY: u64 = 4;
    const MESSAGE: u64 = 7;

    fn flood(producer: &mut Producer<u64>) {
        while producer.try_claim().is_ok() {}
    }

    fn die_with_the_next_message(ring: &Ring<u64>) {
        let mut child = fork_child(|| {
            let mut consumer = ring.reopen().unwrap().consumer().unwrap();
            let guard = consumer.read().unwrap();
            assert_eq!(guard.get(), MESSAGE);
            kill_process(process::id());
        });
        child.reap();
    }

    /// A batch is to be popped from a ring that is filled up with tombstones after each instruction.
    /// When so many of a lap more have been skipped, a message comes in between, and with it dies
    /// another consumer. Says whether it came to the one that is led.
    fn pop_in_a_flood(skipped: u64) -> bool {
        let (name, board) = (Name::new("lap"), Name::in_memory("popped"));
        let options = Options::new()
            .capacity(CAPACITY as usize)
            .producers(1)
            .consumers(2)
            .liveness_interval(NEVER);
        let ring = Ring::<u64>::create_with(&name, &options).unwrap();
        let mut producer = ring.producer().unwrap();
        let popped = Board::create(&board, 1);
        // A batch that is no whole lap, and others after it.
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
                die_with_the_next_message(&ring);
                is_dead = true;
            }
            flood(&mut producer);
        }
        tracee.kill();

        let is_popped = popped[0].load(SeqCst) == MESSAGE;
        let mut consumer = ring.consumer().unwrap();
        // Tombstones that the dead held are adopted as well, and a try ends where these do.
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
    fn a_pop_is_over_in_time_though_tombstones_come_for_ever() {
        if !tracee::is_allowed() {
            return support::skip("no tracing here");
        }
        let _pinned = Pinned::new();
        let name = Name::new("lap");
        let options = Options::new().capacity(CAPACITY as usize).producers(1);
        let ring = Ring::<u64>::create_with(&name, &options).unwrap();
        let mut producer = ring.producer().unwrap();
        let mut tracee = Tracee::lead(|| {
            let asleep_at_once = WaitStrategy::Sleep {
                spins: 0,
                yields: 0,
            };
            let options = Options::new().wait(asleep_at_once);
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
            flood(&mut producer);
            assert!(
                ring.counters().tombstones < 20 * CAPACITY,
                "it goes on and on"
            );
            moved = tracee.step(None);
        }
        assert_eq!(moved, Moved::Ended);
    }

    /// It listens with a part of a batch in its hands only if more than a lap of tombstones comes
    /// while it skips them.
    #[test]
    fn a_consumer_that_holds_tombstones_when_it_listens_adopts_nothing() {
        if !tracee::is_allowed() {
            return support::skip("no tracing here");
        }
        let _pinned = Pinned::new();
        let came = (CAPACITY..2 * CAPACITY).filter(|&skipped| pop_in_a_flood(skipped));
        assert!(came.count() > 0, "it adopted nothing at all");
    }
}
