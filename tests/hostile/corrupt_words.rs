//! Corrupt words in shared memory: every operation returns a documented result, and a handle that
//! has found the ring corrupt never uses it again.

use crate::support::kinds::is_mpmc;
use crate::support::names::Name;
use crate::support::ring_layout::{CAPACITY, options, slot, word};
use core::time::Duration;
use slipring::error::{AttachError, PopTimeoutError, PushTimeoutError, TryPopError, TryPushError};
use slipring::{Protocol, Ring, Spsc};
use std::fs::File;
use std::os::unix::fs::FileExt;

const TAIL: u64 = 0x080;
const HEAD: u64 = 0x100;
const SOON: Duration = Duration::from_millis(1);

/// First positions, up to the last one that a ring can have.
fn positions<P: Protocol>() -> [u64; 5] {
    let last = u64::MAX >> u32::from(is_mpmc::<P>());
    [0, 5, u32::MAX.into(), last - 1, last]
}

/// How far a stamp is ahead of a position: valid and invalid distances.
const AHEAD: [i64; 13] = [
    0,
    1,
    2,
    3,
    4,
    5,
    6,
    -1,
    -2,
    -3,
    -4,
    i32::MIN as i64,
    i32::MAX as i64,
];

for_each_kind! {
    memory_and_files:
        consumer_accepts_no_stamp_but_its_own
        producer_accepts_no_stamp_but_its_own
        message_of_impossible_length_returns_corrupt
        corrupt_word_within_batch_makes_handle_corrupt_for_good
    ;
}

/// A ring of four slots with the first position `first`, and its object.
fn ring_at<P: Protocol>(first: u64) -> (Name, File, Ring<u64, P>) {
    let name = Name::new();
    let ring = Ring::create_with(&name, &options::<P>(first)).unwrap();
    let file = name.file();
    (name, file, ring)
}

/// The stamps of a slot that holds the message of a lap ago, and of one that was free for it.
const FULL: i64 = 1 - CAPACITY as i64;
const EMPTY: i64 = -(CAPACITY as i64);

/// Whether a ring has no more positions.
fn is_the_end<P: Protocol>(position: u64) -> bool {
    is_mpmc::<P>() && position == positions::<P>()[4]
}

fn consumer_accepts_no_stamp_but_its_own<P: Protocol>() {
    for position in positions::<P>() {
        for ahead in AHEAD {
            let (_name, file, ring) = ring_at::<P>(position);
            let mut consumer = ring.consumer().unwrap();
            let honest = word(position, 0, 0);
            file.write_all_at(&word(position, ahead, 8), slot(position))
                .unwrap();
            match (ahead, consumer.try_pop()) {
                (1, Ok(0)) if !is_the_end::<P>(position) => continue,
                (0, Err(TryPopError::Empty)) => continue,
                // Another consumer may still read the message of a lap ago.
                (FULL, Err(TryPopError::Empty)) if is_mpmc::<P>() => continue,
                (1, Err(TryPopError::Corrupt(_))) if is_the_end::<P>(position) => {}
                (FULL, other) if is_mpmc::<P>() => panic!("{position:#x}: {other:?}"),
                (0 | 1, other) => panic!("{position:#x} {ahead}: {other:?}"),
                (_, result) => {
                    assert!(matches!(result, Err(TryPopError::Corrupt(_))), "{result:?}")
                }
            }
            file.write_all_at(&honest, slot(position)).unwrap();
            assert!(matches!(consumer.try_pop(), Err(TryPopError::Corrupt(_))));
            assert!(matches!(
                consumer.pop_timeout(SOON),
                Err(PopTimeoutError::Corrupt(_))
            ));
            assert!(consumer.pop().is_err() && consumer.read().is_err());
            drop(consumer);
            assert_eq!(ring.consumer().unwrap().try_pop(), Err(TryPopError::Empty));
        }
    }
}

fn producer_accepts_no_stamp_but_its_own<P: Protocol>() {
    for position in positions::<P>() {
        for ahead in AHEAD {
            let (_name, file, ring) = ring_at::<P>(position);
            let mut producer = ring.producer().unwrap();
            let honest = word(position, 0, 0);
            file.write_all_at(&word(position, ahead, 8), slot(position))
                .unwrap();
            match (ahead, producer.try_push(&7)) {
                (0, Ok(())) if !is_the_end::<P>(position) => continue,
                (0, Err(TryPushError::Corrupt(_))) if is_the_end::<P>(position) => continue,
                (FULL, Err(TryPushError::Full)) => continue,
                // Another producer may still write the message of a lap ago.
                (EMPTY, Err(TryPushError::Full)) if is_mpmc::<P>() => continue,
                (EMPTY, other) if is_mpmc::<P>() => panic!("{position:#x}: {other:?}"),
                (0 | FULL, other) => panic!("{position:#x} {ahead}: {other:?}"),
                (_, result) => assert!(
                    matches!(result, Err(TryPushError::Corrupt(_))),
                    "{result:?}"
                ),
            }
            file.write_all_at(&honest, slot(position)).unwrap();
            assert!(matches!(
                producer.try_push(&7),
                Err(TryPushError::Corrupt(_))
            ));
            assert!(matches!(
                producer.push_timeout(&7, SOON),
                Err(PushTimeoutError::Corrupt(_))
            ));
            assert!(producer.push(&7).is_err() && producer.claim().is_err());
            drop(producer);
            let pushed = ring.producer().unwrap().try_push(&7);
            assert_eq!(pushed.is_ok(), !is_the_end::<P>(position));
        }
    }
}

fn message_of_impossible_length_returns_corrupt<P: Protocol>() {
    // In an MPMC ring the last length marks a tombstone.
    let lengths = [0, 7, 9, 16, 1 << 31, u32::MAX - 1, u32::MAX];
    let lengths = &lengths[..lengths.len() - usize::from(is_mpmc::<P>())];
    for &len in lengths {
        let (_name, file, ring) = ring_at::<P>(0);
        file.write_all_at(&word(0, 1, len), slot(0)).unwrap();
        let popped = ring.consumer().unwrap().try_pop();
        assert!(matches!(popped, Err(TryPopError::Corrupt(_))), "{len}");
    }
    for len in [0, 8, 9, 15, 16, 17, 4096, u32::MAX - 2, u32::MAX] {
        let name = Name::new();
        let ring = Ring::<[u8], P>::create_with(&name, &options::<P>(0).message_size(8)).unwrap();
        name.file().write_all_at(&word(0, 1, len), slot(0)).unwrap();
        let mut consumer = ring.consumer().unwrap();
        match consumer.try_pop() {
            Ok(message) => assert!(len <= 8 && message == vec![0; len as usize]),
            Err(TryPopError::Empty) => assert!(len == u32::MAX && is_mpmc::<P>()),
            Err(error) => assert!(len > 8 && matches!(error, TryPopError::Corrupt(_)), "{len}"),
        }
    }
}

fn corrupt_word_within_batch_makes_handle_corrupt_for_good<P: Protocol>() {
    let (_name, file, ring) = ring_at::<P>(0);
    let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
    producer.push_slice(&[1, 2, 3, 4]).unwrap();
    // Every slot after the first is changed, so that a lookahead finds no valid one.
    let set_stamps = |file: &File, ahead| {
        for position in 1..CAPACITY {
            file.write_all_at(&word(position, ahead, 8), slot(position))
                .unwrap();
        }
    };
    set_stamps(&file, 7);
    assert_eq!(consumer.try_pop_append(&mut Vec::new(), 4), Ok(1));
    set_stamps(&file, 1);
    assert!(matches!(consumer.try_pop(), Err(TryPopError::Corrupt(_))));

    let (_name, file, ring) = ring_at::<P>(0);
    let mut producer = ring.producer().unwrap();
    set_stamps(&file, 7);
    assert_eq!(producer.try_push_slice(&[1, 2]), Ok(1));
    set_stamps(&file, 0);
    assert!(matches!(
        producer.try_push(&3),
        Err(TryPushError::Corrupt(_))
    ));
}

#[test]
fn forged_hint_is_walked_or_refused_and_len_within_capacity() {
    for first in positions::<Spsc>() {
        for distance in [
            0,
            1,
            3,
            4,
            5,
            6,
            1 << 31,
            1 << 32,
            1 << 63,
            u64::MAX,
            u64::MAX - 3,
        ] {
            for hint in [HEAD, TAIL] {
                let (_name, file, ring) = ring_at::<Spsc>(first);
                let forged = first.wrapping_add(distance).to_le_bytes();
                let mut producer = ring.producer().unwrap();
                let mut consumer = ring.consumer().unwrap();
                file.write_all_at(&forged, hint).unwrap();
                let lens = [ring.len(), producer.len(), consumer.len()];
                assert!(
                    lens.iter().all(|&len| len <= 4),
                    "{first:#x} {distance:#x} {lens:?}"
                );
                producer.try_push_slice(&[1, 2, 3]).unwrap();
                assert_eq!(consumer.try_pop(), Ok(1));
                drop((producer, consumer));
                file.write_all_at(&forged, hint).unwrap();
                for refused in [ring.producer().err(), ring.consumer().err()]
                    .into_iter()
                    .flatten()
                {
                    assert!(matches!(refused, AttachError::Corrupt(_)), "{refused:?}");
                }
            }
        }
    }
}

#[test]
fn hint_that_lags_up_to_a_lap_misleads_no_successor() {
    for first in positions::<Spsc>() {
        for pushed in 0..=4 {
            for popped in 0..=pushed {
                let (_name, file, ring) = ring_at::<Spsc>(first);
                let (mut producer, mut consumer) =
                    (ring.producer().unwrap(), ring.consumer().unwrap());
                let messages: Vec<u64> = (0..pushed).collect();
                producer.push_slice(&messages).unwrap();
                assert_eq!(
                    consumer.try_iter().take(popped as usize).count(),
                    popped as usize
                );
                drop((producer, consumer));
                for hint in [HEAD, TAIL] {
                    file.write_all_at(&first.to_le_bytes(), hint).unwrap();
                }
                let (mut producer, mut consumer) =
                    (ring.producer().unwrap(), ring.consumer().unwrap());
                producer.try_push_slice(&[100]).ok();
                let mut expected = messages[popped as usize..].to_vec();
                expected.extend((pushed - popped < 4).then_some(100));
                assert_eq!(consumer.try_iter().collect::<Vec<_>>(), expected);
            }
        }
    }
}

/// A holder that is killed within its first batch leaves the hint that it found. After several such
/// holders the hint must not lag by more than a lap.
#[test]
fn hint_lag_does_not_grow_with_each_holder_killed_early() {
    for first in positions::<Spsc>() {
        let (_name, file, ring) = ring_at::<Spsc>(first);
        for _ in 0..4 {
            let (mut producer, mut consumer) = (ring.producer().unwrap(), ring.consumer().unwrap());
            let found = [TAIL, HEAD].map(|hint| {
                let mut position = [0; 8];
                file.read_exact_at(&mut position, hint).unwrap();
                (hint, position)
            });
            producer.push_slice(&[1, 2, 3, 4]).unwrap();
            assert_eq!(consumer.try_iter().collect::<Vec<_>>(), [1, 2, 3, 4]);
            drop((producer, consumer));
            for (hint, position) in found {
                file.write_all_at(&position, hint).unwrap();
            }
        }
    }
}
