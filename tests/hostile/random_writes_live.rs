//! A process that writes anything anywhere while others use the ring: nobody crashes, and nobody is stopped for
//! good.

use crate::support::kinds::is_mpmc;
use crate::support::tampering;
use crate::support::tampering::{SEATS, SLOTS, intent, options, slot, word};
use crate::support::{Dice, Forked, Name, fork_child};
use core::time::Duration;
use slipring::error::{OpenError, RecoverError};
use slipring::{Protocol, Ring};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;

const TAIL: u64 = 0x080;
const HEAD: u64 = 0x100;
const NOT_EMPTY: u64 = 0x180;
const NOT_FULL: u64 = 0x200;
const STATUS: u64 = 0x280;
/// Who came and went, and whether messages wait for a consumer.
const ROLLS: u64 = 0x284;
const ENTRIES: u64 = 0x400;
const SOON: Duration = Duration::from_millis(1);
const CAPACITY: usize = tampering::CAPACITY as usize;

for_each_kind! {
    memory_and_files:
        a_scribbler_during_operations_stops_nobody_for_good
    ;
}

fn produce<P: Protocol>(ring: &Ring<u64, P>) {
    let Ok(mut producer) = ring.producer() else {
        return;
    };
    for _ in 0..25 {
        let _ = producer.try_push(&1);
        let _ = producer.try_claim().map(|mut claim| claim.write(&2));
        let _ = producer.try_push_slice(&[1; 5]);
    }
    let _ = producer.push_timeout(&1, SOON);
    assert!(producer.len() <= CAPACITY && ring.len() <= CAPACITY);
    assert!(producer.peer().is_ok());
}

fn consume<P: Protocol>(ring: &Ring<u64, P>) {
    let Ok(mut consumer) = ring.consumer() else {
        return;
    };
    for _ in 0..25 {
        let _ = consumer.try_pop();
        let _ = consumer.try_pop_slice(&mut [0; 3]);
        let _ = consumer.try_read().map(|guard| guard.put_back());
    }
    let _ = consumer.pop_timeout(SOON);
    assert!(consumer.len() <= CAPACITY);
    assert!(consumer.peer().is_ok());
}

/// Two processes of each role, or one if there are seats for no more. Each ends in good order, before the
/// test is given up.
fn use_it<P: Protocol>(name: &Name) -> Vec<Forked> {
    let many = if is_mpmc::<P>() { 2 } else { 1 };
    let user = |body: fn(&Ring<u64, P>)| {
        fork_child(|| {
            let ring = Ring::<u64, P>::open(name).unwrap();
            (0..5).for_each(|_| body(&ring));
        })
    };
    let producers = (0..many).map(|_| user(produce));
    let consumers = (0..many).map(|_| user(consume));
    producers.chain(consumers).collect()
}

/// Stores into some bytes of a ring until it is killed.
fn scribble(file: &File, at: u64, len: u64) -> ! {
    let mut dice = Dice::new(at);
    loop {
        let any = dice.below(1 << 32) << 32 | dice.below(1 << 32);
        let near = dice.below(2) == 0;
        // Slots flip between free and full, positions are near, the rest takes any value.
        let word = match at {
            SLOTS => word(0, dice.below(2) as i64, 8),
            TAIL | HEAD if near => dice.below(16).to_le_bytes(),
            ENTRIES.. if near => dice.below(32).to_le_bytes(),
            _ => any.to_le_bytes(),
        };
        let words = len / 4;
        let chosen = dice.below(words);
        for place in 0..words {
            // All of a few words, and one of many.
            if words <= 8 || place == chosen {
                file.write_all_at(&word[..4], at + place * 4).unwrap();
            }
        }
    }
}

fn comes_to_an_end(name: &Name) {
    match slipring::recover(name) {
        Ok(_) | Err(RecoverError::Corrupt(_)) => {}
        // It says of a ring that has never grown that another one follows.
        Err(RecoverError::Open(OpenError::Inconsistent {
            field: "successor", ..
        })) => {}
        Err(error) => panic!("{error}"),
    }
}

fn a_scribbler_during_operations_stops_nobody_for_good<P: Protocol>() {
    let consumer = match is_mpmc::<P>() {
        true => u64::from(SEATS),
        false => 1,
    };
    for (at, len) in [
        (TAIL, 8),
        (HEAD, 8),
        (NOT_EMPTY, 4),
        (NOT_FULL, 4),
        (STATUS, 4),
        (ROLLS, 12),
        (ENTRIES, 0x20),
        (ENTRIES + 0x80 * consumer, 0x20),
        (intent(0).0, 16),
        (intent(1).0, 16),
        (intent(consumer).0, 16),
        (slot(0), 8),
        // Whatever lives, here and there.
        (TAIL, STATUS - TAIL + 0x80),
        (ENTRIES, 0x80 * 2 * u64::from(SEATS)),
        (slot(0), 0x40),
    ] {
        let name = Name::new("scribbled");
        let options = options::<P>(0).liveness_interval(Duration::from_micros(200));
        let ring = Ring::<u64, P>::create_with(&name, &options).unwrap();
        let file = OpenOptions::new().write(true).open(name.path()).unwrap();
        let scribbler = fork_child(|| scribble(&file, at, len));
        use_it::<P>(&name).into_iter().for_each(Forked::finish);
        // While it goes on, and when it has ended: whatever was forged, recovery comes to an end.
        comes_to_an_end(&name);
        drop(scribbler);
        comes_to_an_end(&name);
        assert!(ring.len() <= CAPACITY);
    }
}
