//! A peer that writes anything anywhere, between operations and during them: no panic, no
//! endless loop, no answer that is not documented.

mod bounded;
#[macro_use]
mod kinds;
mod naming;
mod tampering;

use bounded::bounded;
use core::time::Duration;
use kinds::is_mpmc;
use naming::Name;
use proptest::prelude::*;
use proptest::sample::select;
use slipring::error::{OpenError, PopTimeoutError, PushTimeoutError, TryPopError, TryPushError};
use slipring::{Consumer, Mpmc, Producer, Protocol, Ring, Spsc};
use std::fs::File;
use std::os::unix::fs::FileExt;
use tampering::{CAPACITY, SEATS, SLOTS, intent, options, slot, values, word};

const TAIL: u64 = 0x080;
const HEAD: u64 = 0x100;
const NOT_EMPTY: u64 = 0x180;
const NOT_FULL: u64 = 0x200;
const STATUS: u64 = 0x280;
const ENTRIES: u64 = 0x400;

#[derive(Clone, Copy, Debug)]
enum Step {
    Write { at: u64, word: u64 },
    Stamp { slot: u64, ahead: i64, len: u32 },
    Intend { seat: u64, ahead: i64, count: u32 },
    Other,
    Recover,
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
        ENTRIES + 0x80 * SEATS as u64,
        intent(0).0,
        intent(1).0,
        intent(SEATS as u64).0,
    ];
    let live = (select(live), words()).prop_map(|(at, word)| Step::Write { at, word });
    let slots = (0..CAPACITY * 2, words()).prop_map(|(at, word)| Step::Write {
        at: SLOTS + at * 8,
        word,
    });
    let stamps = (0..CAPACITY, -5..6_i64, select(vec![0, 3, 8, 9, u32::MAX]))
        .prop_map(|(slot, ahead, len)| Step::Stamp { slot, ahead, len });
    let intents = (
        0..2 * u64::from(SEATS),
        -7..3_i64,
        select(vec![0, 1, 2, 4, 5, u32::MAX]),
    )
        .prop_map(|(seat, ahead, count)| Step::Intend { seat, ahead, count });
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
        Step::Other,
        Step::Other,
        Step::Recover,
    ];
    let step = prop_oneof![
        1 => header, 3 => live, 1 => slots, 3 => stamps, 3 => intents, 20 => select(operations)
    ];
    prop::collection::vec(step, 1..120)
}

/// Handles of one ring, two of each kind if it has seats for them, and what they have found out.
/// The first ones work; they change places with the second ones now and then.
struct Victims<P: Protocol> {
    ring: Ring<[u8], P>,
    file: File,
    producers: [Found<Producer<[u8], P>>; 2],
    consumers: [Found<Consumer<[u8], P>>; 2],
}

/// A handle, if there is one, and whether it found the ring corrupt.
type Found<H> = Option<(H, bool)>;

/// Rings of either kind, which recover if they can.
trait Recovers: Protocol + Sized {
    fn recover(ring: &Ring<[u8], Self>);
}

impl Recovers for Spsc {
    fn recover(_: &Ring<[u8], Self>) {}
}

impl Recovers for Mpmc {
    fn recover(ring: &Ring<[u8], Self>) {
        let recovery = ring.recover().unwrap();
        assert!(recovery.settled <= 2 * u64::from(SEATS));
        let most = CAPACITY * 2 * u64::from(SEATS);
        assert!(recovery.waiting <= most && recovery.undecided <= most);
    }
}

/// Notes whether a result says corrupt; once one did, all must.
fn note(gave_up: &mut bool, corrupt: bool) {
    assert!(corrupt || !*gave_up, "a corrupt ring is used again");
    *gave_up |= corrupt;
}

impl<P: Recovers> Victims<P> {
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
            Step::Intend { seat, ahead, count } => {
                let mut tail = [0; 8];
                self.file.read_exact_at(&mut tail, TAIL).unwrap();
                let after = u64::from_le_bytes(tail).wrapping_add_signed(ahead + 1);
                let (position_at, count_at) = intent(seat);
                self.file
                    .write_all_at(&count.to_le_bytes(), count_at)
                    .unwrap();
                self.file
                    .write_all_at(&after.to_le_bytes(), position_at)
                    .unwrap();
            }
            Step::Producer => {
                self.producers[0] = match self.producers[0].take() {
                    Some(_) => None,
                    None => self.ring.producer().ok().map(|end| (end, false)),
                };
            }
            Step::Consumer => {
                self.consumers[0] = match self.consumers[0].take() {
                    Some(_) => None,
                    None => self.ring.consumer().ok().map(|end| (end, false)),
                };
            }
            // Who finds a seat taken asks for a second whether it is being left.
            Step::Other if is_mpmc::<P>() => {
                self.producers.swap(0, 1);
                self.consumers.swap(0, 1);
            }
            Step::Other => {}
            Step::Recover => P::recover(&self.ring),
            Step::Peer => {
                let asked = self.producers[0].as_ref().map(|(end, _)| end.peer());
                let asked = asked.or(self.consumers[0].as_ref().map(|(end, _)| end.peer()));
                assert!(matches!(asked, None | Some(Ok(_))));
            }
            _ => {
                self.push(step);
                self.pop(step);
            }
        }
    }

    fn push(&mut self, step: Step) {
        let Some((producer, gave_up)) = &mut self.producers[0] else {
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
        note(gave_up, corrupt);
    }

    fn pop(&mut self, step: Step) {
        let Some((consumer, gave_up)) = &mut self.consumers[0] else {
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
        note(gave_up, corrupt);
    }

    fn check(&self) {
        let producers = self.producers.iter().flatten().map(|(end, _)| end.len());
        let consumers = self.consumers.iter().flatten().map(|(end, _)| end.len());
        let lens: Vec<_> = producers
            .chain(consumers)
            .chain([self.ring.len()])
            .collect();
        assert!(lens.iter().all(|&len| len <= 4), "{lens:?}");
    }
}

fn only_documented_errors<P: Recovers>(first: u64, steps: &[Step]) {
    let name = Name::new();
    let options = options::<P>(first).message_size(8);
    let options = options.liveness_interval(Duration::from_micros(100));
    let ring = Ring::<[u8], P>::create_with(&name, &options).unwrap();
    let mut victims = Victims {
        file: name.file(),
        producers: [ring.producer().ok().map(|end| (end, false)), None],
        consumers: [ring.consumer().ok().map(|end| (end, false)), None],
        ring,
    };
    bounded(|| {
        for &step in steps {
            victims.step(step);
            victims.check();
        }
    });
}

fn opened_or_refused<P: Protocol>(writes: &[(u64, u8)], words: &[(u64, u64)]) {
    let (name, file, ring) = values::<P>(3);
    ring.producer().unwrap().push_slice(&[1, 2]).unwrap();
    drop(ring);
    for &(at, byte) in writes {
        file.write_all_at(&[byte], at).unwrap();
    }
    for &(at, word) in words {
        file.write_all_at(&(word as u32).to_le_bytes(), at * 4)
            .unwrap();
    }
    bounded(|| match Ring::<u64, P>::open(&name) {
        Ok(ring) => {
            assert!(ring.len() <= ring.capacity());
            if let Ok(mut producer) = ring.producer() {
                let _ = producer.try_push(&1);
            }
            if let Ok(mut consumer) = ring.consumer() {
                assert!(consumer.try_iter().take(5).count() <= 4);
            }
        }
        Err(OpenError::System(error)) => panic!("{error}"),
        Err(_) => {}
    });
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 300,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_scribbler_between_operations_gets_no_more_than_documented_errors(
        first in words(), steps in steps(),
    ) {
        only_documented_errors::<Spsc>(first, &steps);
    }

    #[test]
    fn a_scribbler_between_operations_of_many_gets_no_more_than_documented_errors(
        first in words(), steps in steps(),
    ) {
        only_documented_errors::<Mpmc>(first, &steps);
    }

    #[test]
    fn a_header_of_any_bytes_is_opened_or_refused(
        writes in prop::collection::vec((0..0x880_u64, any::<u8>()), 1..6),
        words in prop::collection::vec((0..0x880_u64 / 4, words()), 0..3),
    ) {
        opened_or_refused::<Spsc>(&writes, &words);
        opened_or_refused::<Mpmc>(&writes, &words);
    }

    #[test]
    fn a_file_of_any_size_is_opened_or_refused(size in 0..0x4000_u64) {
        let (name, file, ring) = values::<Spsc>(0);
        drop(ring);
        file.set_len(size).unwrap();
        prop_assert_eq!(Ring::<u64, Spsc>::open(&name).is_ok(), size == 0x2000);
    }
}
