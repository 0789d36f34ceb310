//! A hostile peer that writes any word anywhere, between operations and during them. There must be
//! no panic, no endless loop, and no undocumented result.

use super::choices::Choices;
use super::within_steps;
use crate::support::kinds::is_mpmc;
use crate::support::names::Name;
use crate::support::ring_layout::{CAPACITY, SEATS, SLOTS, intent, options, slot, word};
use crate::support::wait_strategies::ASLEEP_AT_ONCE;
use core::time::Duration;
use slipring::error::{
    ObserveError, PopTimeoutError, PushTimeoutError, RecoverError, TryPopError, TryPushError,
};
use slipring::{Consumer, Mpmc, Observer, Producer, Protocol, Ring, Spsc};
use std::borrow::Borrow;
use std::cell::Cell;
use std::fs::File;
use std::os::unix::fs::FileExt;

const TAIL: u64 = 0x080;
const HEAD: u64 = 0x100;
const NOT_EMPTY: u64 = 0x180;
const NOT_FULL: u64 = 0x200;
const STATUS: u64 = 0x280;
const ENTRIES: u64 = 0x400;

/// The maximum message size of the ring.
const LONGEST: usize = 8;
/// A bound above the steps of every operation on so small a ring. More steps mean an endless loop.
const STEPS: u64 = 2000;
/// The time-out of blocking calls, which a forged word may keep from waking.
const SOON: Duration = Duration::from_micros(1);
/// The most attempts to attach that may be refused. An attempt takes a second if every free seat
/// has a forged intent.
const REFUSALS: u32 = 1;

pub(crate) fn run(bytes: &[u8]) {
    let mut choices = Choices::of(bytes);
    match choices.below(2) {
        0 => only_documented_errors::<Spsc>(&mut choices),
        _ => only_documented_errors::<Mpmc>(&mut choices),
    }
}

fn only_documented_errors<P: Recovers>(choices: &mut Choices<'_>) {
    let name = Name::new();
    // Positions of MPMC rings are below 2^63.
    let first = choices.word() >> u32::from(is_mpmc::<P>());
    let options = options::<P>(first)
        .message_size(LONGEST)
        .liveness_interval(Duration::from_micros(100))
        .wait(ASLEEP_AT_ONCE);
    let ring = Ring::<[u8], P>::create_with(&name, &options).unwrap();
    let mut victims = Victims {
        file: name.file(),
        producers: [ring.producer().ok().map(|end| (end, false)), None],
        consumers: [ring.consumer().ok().map(|end| (end, false)), None],
        observer: Observer::open(&name).unwrap(),
        ring,
        refusals: 0,
    };
    while !choices.are_over() {
        within_steps(STEPS, "a step", || victims.step(choices));
        victims.check();
    }
}

/// A store of the hostile peer.
#[derive(Clone, Copy, Debug)]
struct Store {
    at: u64,
    word: u64,
    is_half: bool,
}

impl Store {
    fn to(at: u64, word: u64) -> Self {
        Self {
            at,
            word,
            is_half: false,
        }
    }

    fn make(self, file: &File) {
        let bytes = self.word.to_le_bytes();
        let len = if self.is_half { 4 } else { 8 };
        file.write_all_at(&bytes[..len], self.at).unwrap();
    }
}

/// A message that stores a word into the ring when it is borrowed, in the middle of a batch.
struct Trap<'f> {
    store: Cell<Option<Store>>,
    file: &'f File,
}

impl Borrow<[u8]> for Trap<'_> {
    fn borrow(&self) -> &[u8] {
        if let Some(store) = self.store.take() {
            store.make(self.file);
        }
        b"12345678"
    }
}

/// Handles of one ring, two of each role if it has seats for them, and whether each has found the
/// ring corrupt. The first ones are used. They are swapped with the second ones at random.
struct Victims<P: Protocol> {
    ring: Ring<[u8], P>,
    file: File,
    observer: Observer,
    producers: [Found<Producer<[u8], P>>; 2],
    consumers: [Found<Consumer<[u8], P>>; 2],
    /// The number of times that no seat was free.
    refusals: u32,
}

/// A handle, if there is one, and whether it has found the ring corrupt.
type Found<H> = Option<(H, bool)>;

/// The recovery of a ring of either kind, if it has one.
trait Recovers: Protocol + Sized {
    fn recover(ring: &Ring<[u8], Self>);
}

impl Recovers for Spsc {
    fn recover(_: &Ring<[u8], Self>) {}
}

impl Recovers for Mpmc {
    fn recover(ring: &Ring<[u8], Self>) {
        let recovery = match ring.recover() {
            // Recovery may find that a segment is corrupt which the object claims to have.
            Err(RecoverError::Corrupt(_)) => return,
            recovered => recovered.unwrap(),
        };
        assert!(recovery.settled <= 2 * u64::from(SEATS));
        let most = CAPACITY * 2 * u64::from(SEATS);
        assert!(recovery.waiting <= most && recovery.undecided <= most);
    }
}

/// Records whether a handle returned the error that the ring is corrupt. After the first one, every
/// operation must return it.
fn note(gave_up: &mut bool, corrupt: bool) {
    assert!(
        corrupt || !*gave_up,
        "a handle uses a ring that it has found corrupt"
    );
    *gave_up |= corrupt;
}

impl<P: Recovers> Victims<P> {
    fn step(&mut self, choices: &mut Choices<'_>) {
        match choices.below(16) {
            0..=5 => self.store(choices).make(&self.file),
            6..=8 => self.push(choices),
            9..=11 => self.pop(choices),
            12 => self.come_or_go(choices),
            // A participant that finds a seat taken checks for a second whether it is being
            // released.
            13 if is_mpmc::<P>() => {
                self.producers.swap(0, 1);
                self.consumers.swap(0, 1);
            }
            14 => P::recover(&self.ring),
            _ => self.look(),
        }
    }

    /// Chooses a word, and its offset in the header, the entries or the slots.
    fn store(&self, choices: &mut Choices<'_>) -> Store {
        let seats = if is_mpmc::<P>() { u64::from(SEATS) } else { 1 };
        match choices.below(5) {
            0 => Store {
                at: choices.below(0x900 / 8) as u64 * 8,
                word: choices.word(),
                is_half: choices.below(2) == 1,
            },
            1 => {
                let at = choices.one_of(&[
                    TAIL,
                    HEAD,
                    NOT_EMPTY,
                    NOT_FULL,
                    STATUS,
                    STATUS + 8,
                    ENTRIES,
                    ENTRIES + 8,
                    ENTRIES + 0x80,
                    ENTRIES + 0x80 * seats,
                    intent(0).0,
                    intent(0).1,
                    intent(1).0,
                    intent(seats).0,
                    intent(seats).1,
                ]);
                Store::to(at, choices.word())
            }
            2 => Store::to(SLOTS + choices.below(8) as u64 * 8, choices.word()),
            3 => {
                let index = choices.below(CAPACITY as usize) as u64;
                let position = self.tail() / CAPACITY * CAPACITY + index;
                let ahead = choices.below(11) as i64 - 5;
                let len = choices.one_of(&[0, 3, 8, 9, u32::MAX]);
                let word = u64::from_le_bytes(word(position, ahead, len));
                Store::to(slot(index), word)
            }
            _ => {
                let (position_at, count_at) = intent(choices.below(2 * SEATS as usize) as u64);
                let count = choices.one_of(&[0, 1, 2, 4, 5, u32::MAX]);
                let after = choices.below(10) as i64 - 6;
                Store {
                    is_half: true,
                    ..Store::to(count_at, u64::from(count))
                }
                .make(&self.file);
                Store::to(position_at, self.tail().wrapping_add_signed(after))
            }
        }
    }

    fn tail(&self) -> u64 {
        let mut tail = [0; 8];
        self.file.read_exact_at(&mut tail, TAIL).unwrap();
        u64::from_le_bytes(tail)
    }

    fn come_or_go(&mut self, choices: &mut Choices<'_>) {
        let may_come = self.refusals < REFUSALS;
        let refusals = &mut self.refusals;
        if choices.below(2) == 0 {
            self.producers[0] = match self.producers[0].take() {
                None if may_come => {
                    let came = self.ring.producer();
                    *refusals += u32::from(came.is_err());
                    came.ok().map(|end| (end, false))
                }
                _ => None,
            };
        } else {
            self.consumers[0] = match self.consumers[0].take() {
                None if may_come => {
                    let came = self.ring.consumer();
                    *refusals += u32::from(came.is_err());
                    came.ok().map(|end| (end, false))
                }
                _ => None,
            };
        }
    }

    fn push(&mut self, choices: &mut Choices<'_>) {
        let store = self.store(choices);
        let Some((producer, gave_up)) = &mut self.producers[0] else {
            return;
        };
        let corrupt = match choices.below(5) {
            0 | 1 => matches!(producer.try_push(b"abc"), Err(TryPushError::Corrupt(_))),
            2 => {
                let pushed = producer.push_timeout(b"", SOON);
                matches!(pushed, Err(PushTimeoutError::Corrupt(_)))
            }
            3 => {
                let file = &self.file;
                let at = choices.below(6);
                let traps: [Trap<'_>; 6] = std::array::from_fn(|index| Trap {
                    store: Cell::new((index == at).then_some(store)),
                    file,
                });
                let pushed = producer.try_push_slice(&traps);
                assert!(pushed.is_err() || pushed.is_ok_and(|pushed| pushed <= 4));
                matches!(pushed, Err(TryPushError::Corrupt(_)))
            }
            _ => match producer.try_claim() {
                Ok(mut claim) => {
                    store.make(&self.file);
                    std::io::Write::write_all(&mut claim, b"in place").unwrap();
                    match choices.below(3) {
                        0 => claim.commit(),
                        1 => drop(claim),
                        _ => std::mem::forget(claim),
                    }
                    false
                }
                Err(error) => matches!(error, TryPushError::Corrupt(_)),
            },
        };
        note(gave_up, corrupt);
    }

    fn pop(&mut self, choices: &mut Choices<'_>) {
        let store = self.store(choices);
        let Some((consumer, gave_up)) = &mut self.consumers[0] else {
            return;
        };
        let corrupt = match choices.below(6) {
            0 | 1 => match consumer.try_pop() {
                Ok(message) => {
                    assert!(message.len() <= LONGEST);
                    false
                }
                Err(error) => matches!(error, TryPopError::Corrupt(_)),
            },
            2 => {
                let popped = consumer.pop_timeout(SOON);
                matches!(popped, Err(PopTimeoutError::Corrupt(_)))
            }
            3 => {
                let mut popped = Vec::new();
                let count = consumer.try_pop_append(&mut popped, 9);
                assert!(popped.len() <= 4 && popped.iter().all(|message| message.len() <= LONGEST));
                matches!(count, Err(TryPopError::Corrupt(_)))
            }
            4 => {
                let mut popped = consumer.try_iter();
                let before = popped.by_ref().take(choices.below(4)).count();
                store.make(&self.file);
                assert!(before + popped.take(9 - before).count() <= 2 * CAPACITY as usize);
                return;
            }
            _ => match consumer.try_read() {
                Ok(guard) => {
                    store.make(&self.file);
                    assert!(guard.get().len() <= LONGEST && guard.len() <= LONGEST);
                    match choices.below(3) {
                        0 => drop(guard),
                        1 => guard.put_back(),
                        _ => std::mem::forget(guard),
                    }
                    false
                }
                Err(error) => matches!(error, TryPopError::Corrupt(_)),
            },
        };
        note(gave_up, corrupt);
    }

    fn look(&self) {
        let asked = self.producers[0].as_ref().map(|(end, _)| end.peer());
        let asked = asked.or(self.consumers[0].as_ref().map(|(end, _)| end.peer()));
        assert!(matches!(asked, None | Some(Ok(_))));
        let snapshot = match self.observer.snapshot() {
            Ok(snapshot) => snapshot,
            // The words of a ring that has grown.
            Err(ObserveError::Corrupt(_) | ObserveError::Truncated { .. }) => return,
            Err(error) => panic!("{error}"),
        };
        assert!(snapshot.len() <= CAPACITY);
        let mut message = Vec::new();
        for position in [snapshot.head, snapshot.tail.wrapping_sub(1)] {
            let peeked = self.observer.peek(position, &mut message);
            let is_documented = matches!(
                peeked,
                Ok(_) | Err(ObserveError::Corrupt(_) | ObserveError::Truncated { .. })
            );
            assert!(is_documented);
            assert!(message.len() <= LONGEST);
        }
    }

    fn check(&self) {
        let producers = self.producers.iter().flatten().map(|(end, _)| end.len());
        let consumers = self.consumers.iter().flatten().map(|(end, _)| end.len());
        let own = [self.ring.len()];
        assert!(
            producers
                .chain(consumers)
                .chain(own)
                .all(|len| len <= CAPACITY as usize)
        );
    }
}
