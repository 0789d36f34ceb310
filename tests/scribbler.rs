//! A peer that writes anything anywhere, between operations and during them: no panic, no
//! endless loop, no answer that is not documented.

mod naming;
mod tampering;

use core::time::Duration;
use naming::Name;
use proptest::prelude::*;
use proptest::sample::select;
use slipring::error::{OpenError, PopTimeoutError, PushTimeoutError, TryPopError, TryPushError};
use slipring::spsc::{Consumer, Producer, Ring};
use slipring::{Options, Peer};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::{process, thread};
use tampering::{CAPACITY, SLOTS, slot, values, word};

const TAIL: u64 = 0x080;
const HEAD: u64 = 0x100;
const NOT_EMPTY: u64 = 0x180;
const NOT_FULL: u64 = 0x200;
const STATUS: u64 = 0x280;
const ENTRIES: u64 = 0x400;
const SOON: Duration = Duration::from_millis(1);

/// Runs `body`, and ends the process if it runs for minutes.
fn bounded<R>(body: impl FnOnce() -> R) -> R {
    let (done, waiting) = mpsc::channel::<()>();
    let watchdog = thread::spawn(move || {
        if waiting.recv_timeout(Duration::from_secs(120)) == Err(RecvTimeoutError::Timeout) {
            eprintln!("an operation does not end");
            process::abort();
        }
    });
    let result = body();
    drop(done);
    watchdog.join().unwrap();
    result
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Write { at: u64, word: u64 },
    Stamp { slot: u64, ahead: i64, len: u32 },
    TryPush,
    PushTimeout,
    PushSlice,
    Claim,
    TryPop,
    PopTimeout,
    PopVec,
    TryIter,
    Read,
    Peer,
    Producer,
    Consumer,
}

fn words() -> impl Strategy<Value = u64> {
    prop_oneof![
        0..20_u64,
        any::<u64>(),
        any::<u64>().prop_map(|word| 1 << (word % 64)),
        (0..20_u64).prop_map(|below| u64::MAX - below),
    ]
}

/// Live words: hints, events, status, entries, slots.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    let header =
        (0..0x500_u64 / 8, words()).prop_map(|(at, word)| Step::Write { at: at * 8, word });
    let live = vec![
        TAIL,
        HEAD,
        NOT_EMPTY,
        NOT_FULL,
        STATUS,
        ENTRIES,
        ENTRIES + 8,
        ENTRIES + 0x80,
    ];
    let live = (select(live), words()).prop_map(|(at, word)| Step::Write { at, word });
    let slots = (0..CAPACITY * 2, words()).prop_map(|(at, word)| Step::Write {
        at: SLOTS + at * 8,
        word,
    });
    let stamps = (0..CAPACITY, -5..6_i64, select(vec![0, 3, 8, 9, u32::MAX]))
        .prop_map(|(slot, ahead, len)| Step::Stamp { slot, ahead, len });
    let operations = vec![
        Step::TryPush,
        Step::TryPush,
        Step::PushTimeout,
        Step::PushSlice,
        Step::Claim,
        Step::TryPop,
        Step::TryPop,
        Step::PopTimeout,
        Step::PopVec,
        Step::TryIter,
        Step::Read,
        Step::Peer,
        Step::Producer,
        Step::Consumer,
        Step::Producer,
        Step::Consumer,
    ];
    let step = prop_oneof![
        1 => header, 3 => live, 1 => slots, 3 => stamps, 20 => select(operations)
    ];
    prop::collection::vec(step, 1..120)
}

/// Both ends of one ring, and what they have found out.
struct Victims {
    ring: Ring<[u8]>,
    file: File,
    producer: Option<Producer<[u8]>>,
    consumer: Option<Consumer<[u8]>>,
    producer_gave_up: bool,
    consumer_gave_up: bool,
}

/// Notes whether a result says corrupt; once one did, all must.
fn note(gave_up: &mut bool, corrupt: bool) {
    assert!(corrupt || !*gave_up, "a corrupt ring is used again");
    *gave_up |= corrupt;
}

impl Victims {
    fn step(&mut self, step: Step) {
        match step {
            Step::Write { at, word } => self.file.write_all_at(&word.to_le_bytes(), at).unwrap(),
            Step::Stamp {
                slot: index,
                ahead,
                len,
            } => {
                let mut tail = [0; 8];
                self.file.read_exact_at(&mut tail, TAIL).unwrap();
                let position = u64::from_le_bytes(tail) / CAPACITY * CAPACITY + index;
                self.file
                    .write_all_at(&word(position, ahead, len), slot(index))
                    .unwrap();
            }
            Step::Producer => {
                self.producer_gave_up = false;
                self.producer = match self.producer.take() {
                    Some(_) => None,
                    None => self.ring.producer().ok(),
                };
            }
            Step::Consumer => {
                self.consumer_gave_up = false;
                self.consumer = match self.consumer.take() {
                    Some(_) => None,
                    None => self.ring.consumer().ok(),
                };
            }
            Step::Peer => {
                let asked = self.producer.as_ref().map(Producer::peer);
                let asked = asked.or(self.consumer.as_ref().map(Consumer::peer));
                assert!(matches!(asked, None | Some(Ok(_))));
            }
            _ => {
                self.push(step);
                self.pop(step);
            }
        }
    }

    fn push(&mut self, step: Step) {
        let Some(producer) = &mut self.producer else {
            return;
        };
        let corrupt = match step {
            Step::TryPush => matches!(producer.try_push(b"abc"), Err(TryPushError::Corrupt(_))),
            Step::PushTimeout => {
                let pushed = producer.push_timeout(b"", Duration::from_micros(50));
                matches!(pushed, Err(PushTimeoutError::Corrupt(_)))
            }
            Step::PushSlice => {
                let pushed = producer.try_push_slice(&[*b"12345678"; 6]);
                assert!(pushed.is_err() || pushed.is_ok_and(|pushed| pushed <= 4));
                matches!(pushed, Err(TryPushError::Corrupt(_)))
            }
            Step::Claim => match producer.try_claim() {
                Ok(claim) => {
                    claim.commit();
                    false
                }
                Err(error) => matches!(error, TryPushError::Corrupt(_)),
            },
            _ => return,
        };
        note(&mut self.producer_gave_up, corrupt);
    }

    fn pop(&mut self, step: Step) {
        let Some(consumer) = &mut self.consumer else {
            return;
        };
        let corrupt = match step {
            Step::TryPop => match consumer.try_pop() {
                Ok(message) => {
                    assert!(message.len() <= 8);
                    false
                }
                Err(error) => matches!(error, TryPopError::Corrupt(_)),
            },
            Step::PopTimeout => {
                let popped = consumer.pop_timeout(Duration::from_micros(50));
                matches!(popped, Err(PopTimeoutError::Corrupt(_)))
            }
            Step::PopVec => {
                let mut popped = Vec::new();
                let count = consumer.try_pop_vec(&mut popped, 9);
                assert!(popped.len() <= 4 && popped.iter().all(|message| message.len() <= 8));
                matches!(count, Err(TryPopError::Corrupt(_)))
            }
            Step::TryIter => {
                assert!(consumer.try_iter().take(5).count() <= 4);
                return;
            }
            Step::Read => match consumer.try_read() {
                Ok(guard) => {
                    assert!(guard.get().len() <= 8);
                    false
                }
                Err(error) => matches!(error, TryPopError::Corrupt(_)),
            },
            _ => return,
        };
        note(&mut self.consumer_gave_up, corrupt);
    }

    fn check(&self) {
        let lens = [
            Some(self.ring.len()),
            self.producer.as_ref().map(Producer::len),
            self.consumer.as_ref().map(Consumer::len),
        ];
        assert!(lens.iter().flatten().all(|&len| len <= 4), "{lens:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 500,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_scribbler_between_operations_gets_no_more_than_documented_errors(
        first in words(), steps in steps(),
    ) {
        let name = Name::new();
        let options = Options::new().capacity(4).message_size(8).first_position(first);
        let ring = Ring::<[u8]>::create_with(&name, &options).unwrap();
        let mut victims = Victims {
            file: name.file(),
            producer: ring.producer().ok(),
            consumer: ring.consumer().ok(),
            ring,
            producer_gave_up: false,
            consumer_gave_up: false,
        };
        bounded(|| for &step in &steps {
            victims.step(step);
            victims.check();
        });
    }

    #[test]
    fn a_header_of_any_bytes_is_opened_or_refused(
        writes in prop::collection::vec((0..0x480_u64, any::<u8>()), 1..6),
        words in prop::collection::vec((0..0x480_u64 / 4, words()), 0..3),
    ) {
        let (name, file, ring) = values(3);
        ring.producer().unwrap().push_slice(&[1, 2]).unwrap();
        drop(ring);
        for (at, byte) in writes {
            file.write_all_at(&[byte], at).unwrap();
        }
        for (at, word) in words {
            file.write_all_at(&(word as u32).to_le_bytes(), at * 4).unwrap();
        }
        bounded(|| match Ring::<u64>::open(&name) {
            Ok(ring) => {
                prop_assert!(ring.len() <= ring.capacity());
                if let Ok(mut producer) = ring.producer() {
                    let _ = producer.try_push(&1);
                }
                if let Ok(mut consumer) = ring.consumer() {
                    prop_assert!(consumer.try_iter().take(5).count() <= 4);
                }
                Ok(())
            }
            Err(OpenError::System(error)) => panic!("{error}"),
            Err(_) => Ok(()),
        })?;
    }

    #[test]
    fn a_file_of_any_size_is_opened_or_refused(size in 0..0x4000_u64) {
        let (name, file, ring) = values(0);
        drop(ring);
        file.set_len(size).unwrap();
        prop_assert_eq!(Ring::<u64>::open(&name).is_ok(), size == 0x2000);
    }
}

/// Tells a thread to stop, also if the one that waits for it panics.
struct StopsAtTheEnd<'a>(&'a AtomicBool);

impl Drop for StopsAtTheEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_scribbler_during_operations_stops_nobody_for_good() {
    for (at, len) in [
        (TAIL, 8),
        (HEAD, 8),
        (NOT_EMPTY, 4),
        (NOT_FULL, 4),
        (ENTRIES, 0x100),
        (slot(0), 8),
    ] {
        let name = Name::new();
        let interval = Duration::from_micros(200);
        let options = Options::new().capacity(4).liveness_interval(interval);
        let ring = Ring::<u64>::create_with(&name, &options).unwrap();
        let file = name.file();
        let over = AtomicBool::new(false);
        bounded(|| {
            thread::scope(|scope| {
                scope.spawn(|| {
                    let mut noise = 1_u64;
                    while !over.load(Ordering::Relaxed) {
                        noise = noise
                            .wrapping_mul(6_364_136_223_846_793_005)
                            .wrapping_add(1);
                        // Slots flip between free and full, the rest takes any value.
                        let word = match at {
                            SLOTS => word(0, (noise >> 60) as i64 & 1, 8),
                            _ => (noise >> 20).to_le_bytes(),
                        };
                        for at in (at..at + len).step_by(8) {
                            file.write_all_at(&word[..8.min(len as usize)], at).unwrap();
                        }
                    }
                });
                let _stops = StopsAtTheEnd(&over);
                for _ in 0..30 {
                    let (producer, consumer) = (ring.producer(), ring.consumer());
                    if let Ok(mut producer) = producer {
                        for _ in 0..50 {
                            let _ = producer.try_push(&1);
                        }
                        let _ = producer.push_timeout(&1, SOON);
                        assert!(producer.len() <= 4 && ring.len() <= 4);
                        assert!(producer.peer().is_ok_and(|peer| peer != Peer::Closed));
                    }
                    if let Ok(mut consumer) = consumer {
                        for _ in 0..50 {
                            let _ = consumer.try_pop();
                        }
                        let _ = consumer.pop_timeout(SOON);
                        assert!(consumer.len() <= 4);
                    }
                }
            })
        });
    }
}
