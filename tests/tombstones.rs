//! Places in the line of an MPMC ring that hold no message: skipped, counted, and in nobody's way.

mod support;

use slipring::Options;
use slipring::error::TryPopError;
use slipring::mpmc::Ring;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use support::{Board, Name, until};

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
