//! A process that writes random words anywhere while other processes use the ring: no process
//! crashes, and none is blocked forever.

use crate::support::kinds::is_mpmc;
use crate::support::ring_layout;
use crate::support::ring_layout::{SEATS, SLOTS, intent, options, slot, word};
use crate::support::{Forked, Name, Random, fork_child};
use core::sync::atomic::Ordering::{Relaxed, Release};
use core::sync::atomic::{AtomicBool, AtomicU64};
use core::time::Duration;
use nix::sys::mman::{MapFlags, ProtFlags, mmap};
use slipring::error::{OpenError, RecoverError, TryPopError};
use slipring::{Protocol, Ring, Spsc};
use std::fs::{File, OpenOptions};
use std::num::NonZeroUsize;
use std::os::unix::fs::FileExt;
use std::thread;

const TAIL: u64 = 0x080;
const HEAD: u64 = 0x100;
const NOT_EMPTY: u64 = 0x180;
const NOT_FULL: u64 = 0x200;
const STATUS: u64 = 0x280;
/// The arrivals and departures of both roles, and the orphan hint.
const ARRIVALS: u64 = 0x284;
const ENTRIES: u64 = 0x400;
const SOON: Duration = Duration::from_millis(1);
const CAPACITY: usize = ring_layout::CAPACITY as usize;

for_each_kind! {
    memory_and_files:
        random_writes_during_calls_block_no_process_forever
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
        let _ = producer.try_claim_chunk(3).map(|mut chunk| {
            chunk.write(0, &3);
            chunk.commit(1);
        });
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
        let _ = consumer.try_read_chunk(3).map(|chunk| {
            chunk.get(0);
            chunk.release(1);
        });
    }
    let _ = consumer.pop_timeout(SOON);
    assert!(consumer.len() <= CAPACITY);
    assert!(consumer.peer().is_ok());
}

/// Forks two processes of each role, or one if there is only one seat. Each process ends without
/// outside help.
fn fork_participants<P: Protocol>(name: &Name) -> Vec<Forked> {
    let per_role = if is_mpmc::<P>() { 2 } else { 1 };
    let participant = |body: fn(&Ring<u64, P>)| {
        fork_child(|| {
            let ring = Ring::<u64, P>::open(name).unwrap();
            (0..5).for_each(|_| body(&ring));
        })
    };
    let producers = (0..per_role).map(|_| participant(produce));
    let consumers = (0..per_role).map(|_| participant(consume));
    producers.chain(consumers).collect()
}

/// Writes random words to a range of a ring's object until it is killed.
fn write_randomly(file: &File, at: u64, len: u64) -> ! {
    let mut random = Random::new(at);
    loop {
        let any = random.below(1 << 32) << 32 | random.below(1 << 32);
        let near = random.below(2) == 0;
        // Slots change between free and full, positions are often near, and other words are random.
        let word = match at {
            SLOTS => word(0, random.below(2) as i64, 8),
            TAIL | HEAD if near => random.below(16).to_le_bytes(),
            ENTRIES.. if near => random.below(32).to_le_bytes(),
            _ => any.to_le_bytes(),
        };
        let words = len / 4;
        let chosen = random.below(words);
        for index in 0..words {
            // In a short range every word changes, and in a long one a single word.
            if words <= 8 || index == chosen {
                file.write_all_at(&word[..4], at + index * 4).unwrap();
            }
        }
    }
}

fn assert_recovery_ends(name: &Name) {
    match slipring::recover(name) {
        Ok(_) | Err(RecoverError::Corrupt(_)) => {}
        // The header of a ring that has never grown claims a next segment.
        Err(RecoverError::Open(OpenError::Inconsistent {
            field: "next_segment",
            ..
        })) => {}
        Err(error) => panic!("{error}"),
    }
}

fn random_writes_during_calls_block_no_process_forever<P: Protocol>() {
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
        (ARRIVALS, 12),
        (ENTRIES, 0x20),
        (ENTRIES + 0x80 * consumer, 0x20),
        (intent(0).0, 16),
        (intent(1).0, 16),
        (intent(consumer).0, 16),
        (slot(0), 8),
        // One word at a time of all that changes in the header, the entries and the slots.
        (TAIL, STATUS - TAIL + 0x80),
        (ENTRIES, 0x80 * 2 * u64::from(SEATS)),
        (slot(0), 0x40),
    ] {
        let name = Name::new("scribbled");
        let options = options::<P>(0).liveness_interval(Duration::from_micros(200));
        let ring = Ring::<u64, P>::create_with(&name, &options).unwrap();
        let file = OpenOptions::new().write(true).open(name.path()).unwrap();
        let writer = fork_child(|| write_randomly(&file, at, len));
        fork_participants::<P>(&name)
            .into_iter()
            .for_each(Forked::finish);
        // Recovery ends while the writer runs, and after it is killed, with any forged words.
        assert_recovery_ends(&name);
        drop(writer);
        assert_recovery_ends(&name);
        assert!(ring.len() <= CAPACITY);
    }
}

/// A slot's stamp alternates between free and full. A chunk that was claimed while it was full has
/// one message, whatever the stamp is afterwards.
#[test]
fn read_chunk_of_changing_slot_has_a_message() {
    let name = Name::new("changing");
    let ring = Ring::<u64, Spsc>::create_with(&name, &options::<Spsc>(0)).unwrap();
    let mut consumer = ring.consumer().unwrap();
    let (file, stop) = (name.file(), AtomicBool::new(false));
    let length = NonZeroUsize::new(2 * SLOTS as usize).unwrap();
    let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: a new mapping, at an address that the kernel chooses.
    let base = unsafe { mmap(None, length, access, MapFlags::MAP_SHARED, &file, 0) }.unwrap();
    // SAFETY: the slot lies in the mapping.
    let stamp = unsafe { base.as_ptr().byte_add(slot(0) as usize) };
    // SAFETY: a slot begins with an aligned word, and the mapping stays.
    let stamp = unsafe { AtomicU64::from_ptr(stamp.cast()) };
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Relaxed) {
                stamp.store(u64::from_le_bytes(word(0, 0, 0)), Release);
                stamp.store(u64::from_le_bytes(word(0, 1, 8)), Release);
            }
        });
        let mut shortest = usize::MAX;
        let mut chunks = 0;
        while chunks < 500_000 && shortest > 0 {
            let length = consumer.try_read_chunk(4).map(|chunk| {
                let length = chunk.len();
                chunk.release(0);
                length
            });
            match length {
                Ok(length) => {
                    chunks += 1;
                    shortest = shortest.min(length);
                }
                // The stamp was full and then free, which a producer never does.
                Err(TryPopError::Corrupt(_)) => {
                    drop(consumer);
                    consumer = ring.consumer().unwrap();
                }
                Err(_) => {}
            }
        }
        stop.store(true, Relaxed);
        assert_eq!(shortest, 1);
    });
}
