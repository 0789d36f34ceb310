//! One producer and one consumer, which attach, detach and die, against a `VecDeque`.
#![allow(
    clippy::forget_non_drop,
    clippy::drop_non_drop,
    reason = "whether a claim has a destructor is not part of the API"
)]

use super::choices::Choices;
use super::deaths::{Pin, pinned};
use super::within_steps;
use crate::support::names::Name;
use crate::support::numbers::{ChunkEnd, ClaimEnd, Numbered};
use crate::support::wait_strategies::ASLEEP_AT_ONCE;
use core::mem;
use core::time::Duration;
use slipring::error::{
    AttachError, Disconnected, PopError, PopTimeoutError, PushError, PushTimeoutError, TryPopError,
    TryPushError,
};
use slipring::spsc::{Consumer, Producer, Ring};
use slipring::{Options, Peer};
use std::borrow::Borrow;
use std::collections::VecDeque;
use std::fmt::Debug;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::panic::{self, AssertUnwindSafe};
use std::process;

const SLOTS: u64 = 0x1000;
/// A bound above the steps of every operation on so small a ring.
const STEPS: u64 = 2000;

#[derive(Clone, Copy, Debug)]
enum GuardEnd {
    Drop,
    PutBack,
    Forget,
    Panic,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    TryPush,
    Push,
    TryPushSlice(usize),
    PushSlice(usize),
    Claim(ClaimEnd),
    TryPop,
    Pop,
    TryPopSlice(usize),
    TryPopVec(usize),
    TryIter(usize),
    Read(GuardEnd),
    ClaimChunk(usize, ChunkEnd),
    ReadChunk(usize, ChunkEnd),
    /// Attaches, possibly as a participant that may die, or detaches.
    Producer(bool),
    Consumer(bool),
    /// In the middle of a batch, of which a number of messages are complete and not yet in a hint.
    ProducerDies(usize),
    ConsumerDies(usize),
    Reopen,
    Close,
}

impl Step {
    fn chosen(choices: &mut Choices<'_>) -> Self {
        let many = |choices: &mut Choices<'_>| match choices.below(5) {
            4 => choices.below(80),
            few => few,
        };
        let chunk_end = |choices: &mut Choices<'_>| match choices.below(4) {
            0 => ChunkEnd::All,
            1 => ChunkEnd::First(choices.below(5)),
            2 => ChunkEnd::Forget,
            _ => ChunkEnd::Panic,
        };
        match choices.below(36) {
            0..=3 => Self::TryPush,
            4 | 5 => Self::Push,
            6 | 7 => Self::TryPushSlice(many(choices)),
            8 => Self::PushSlice(many(choices)),
            9 | 10 => {
                Self::Claim(choices.one_of(&[ClaimEnd::Commit, ClaimEnd::Drop, ClaimEnd::Forget]))
            }
            11..=13 => Self::TryPop,
            14 | 15 => Self::Pop,
            16 => Self::TryPopSlice(many(choices)),
            17 => Self::TryPopVec(many(choices)),
            18 => Self::TryIter(many(choices)),
            19..=21 => Self::Read(choices.one_of(&[
                GuardEnd::Drop,
                GuardEnd::PutBack,
                GuardEnd::Forget,
                GuardEnd::Panic,
            ])),
            22..=24 => Self::Producer(choices.below(2) == 1),
            25..=27 => Self::Consumer(choices.below(2) == 1),
            28 => Self::ProducerDies(choices.below(6)),
            29 => Self::ConsumerDies(choices.below(6)),
            30 => Self::Reopen,
            31 if choices.below(4) == 0 => Self::Close,
            31 => Self::Reopen,
            32 | 33 => Self::ClaimChunk(many(choices).max(1), chunk_end(choices)),
            _ => Self::ReadChunk(many(choices).max(1), chunk_end(choices)),
        }
    }
}

pub(super) fn they_agree<M: Numbered + ?Sized>(choices: &mut Choices<'_>) {
    let capacity = choices.one_of(&[2, 4, 8, 64]);
    let first = choices.first_position();
    let mut both = Both::<M>::new(capacity, first);
    while !choices.are_over() {
        let step = Step::chosen(choices);
        within_steps(STEPS, "a step", || both.step(step));
        both.agree();
    }
}

/// The expected last holder of a seat.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Holder {
    NeverTaken,
    Taken,
    Left,
    Died,
}

/// A ring and its expected content.
struct Both<M: Numbered + ?Sized> {
    name: Name,
    file: File,
    options: Options,
    capacity: u64,
    first: u64,
    ring: Ring<M>,
    producer: Option<Producer<M>>,
    consumer: Option<Consumer<M>>,
    /// The pages that hold the seat locks of the two handles, if these may die.
    pins: [Option<Pin>; 2],
    /// Handles of dead participants. Their destructors must not run before the end of the trial.
    dead: (Vec<Producer<M>>, Vec<Consumer<M>>),
    model: VecDeque<u64>,
    next: u64,
    producer_holder: Holder,
    consumer_holder: Holder,
    /// The messages that the ring's hints do not include, as a participant died before it stored
    /// them.
    unhinted_pushes: u64,
    unhinted_pops: u64,
    closed: bool,
}

impl<M: Numbered + ?Sized> Both<M> {
    fn new(capacity: usize, first: u64) -> Self {
        let name = Name::new();
        let options = Options::new().capacity(capacity).message_size(M::LONGEST);
        let options = options.first_position(first).wait(ASLEEP_AT_ONCE);
        // A handle that waits for a dead peer detects the death soon.
        let options = options.liveness_interval(Duration::from_micros(50));
        let ring = Ring::create_with(&name, &options).unwrap();
        Self {
            file: name.file(),
            name,
            options,
            capacity: capacity as u64,
            first,
            ring,
            producer: None,
            consumer: None,
            pins: [None, None],
            dead: (Vec::new(), Vec::new()),
            model: VecDeque::new(),
            next: 0,
            producer_holder: Holder::NeverTaken,
            consumer_holder: Holder::NeverTaken,
            unhinted_pushes: 0,
            unhinted_pops: 0,
            closed: false,
        }
    }

    fn gone(&self, holder: Holder) -> Option<Disconnected> {
        match holder {
            _ if self.closed => Some(Disconnected::Closed),
            Holder::Left => Some(Disconnected::Left),
            Holder::Died => Some(Disconnected::Died { pid: process::id() }),
            _ => None,
        }
    }

    /// Checks the result of a non-blocking push with `fitting` free slots. A death is detected at
    /// the end of a liveness interval.
    fn check_push(&self, pushed: Result<usize, TryPushError>, fitting: usize) {
        let gone = self.gone(self.consumer_holder);
        match pushed {
            Ok(pushed) => assert_eq!(pushed, fitting),
            Err(TryPushError::Full) => {
                assert!(fitting == 0 && matches!(gone, None | Some(Disconnected::Died { .. })));
            }
            Err(error) => {
                assert_eq!(fitting, 0);
                assert_eq!(Some(error), gone.map(Into::into));
            }
        }
    }

    /// Checks the result of a non-blocking pop of up to `most` messages.
    fn check_pop(&self, popped: Result<usize, TryPopError>, most: usize) {
        let gone = self.gone(self.producer_holder);
        let is_refused = most > 0 && self.model.is_empty();
        match popped {
            Ok(popped) => {
                assert!(!is_refused);
                assert_eq!(popped, most.min(self.model.len()));
            }
            Err(TryPopError::Empty) => {
                assert!(is_refused && matches!(gone, None | Some(Disconnected::Died { .. })));
            }
            Err(error) => {
                assert!(is_refused);
                assert_eq!(Some(error), gone.map(Into::into));
            }
        }
    }

    fn attach<H>(&self, is_mortal: bool, take: impl FnOnce() -> H) -> (H, Option<Pin>) {
        match is_mortal {
            true => {
                let (handle, pin) = pinned(&self.name, take);
                (handle, Some(pin))
            }
            false => (take(), None),
        }
    }

    /// Kills the producer after it has published `many` more messages and before it stored the
    /// hint.
    fn producer_dies(&mut self, many: usize) {
        let Some(pin) = self.pins[0].take() else {
            return;
        };
        let room = match self.closed {
            true => 0,
            false => self.capacity as usize - self.model.len(),
        };
        for _ in 0..many.min(room) {
            let position = self.first.wrapping_add(self.next);
            let message = M::bytes(self.next);
            self.file
                .write_all_at(&message, self.slot(position) + 8)
                .unwrap();
            self.stamp(position, position.wrapping_add(1), message.len());
            self.model.push_back(self.next);
            self.next += 1;
            self.unhinted_pushes += 1;
        }
        pin.tear_out();
        self.dead.0.extend(self.producer.take());
        self.producer_holder = Holder::Died;
    }

    /// Kills the consumer after it has released `many` more slots and before it stored the hint.
    fn consumer_dies(&mut self, many: usize) {
        let Some(pin) = self.pins[1].take() else {
            return;
        };
        for _ in 0..many.min(self.model.len()) {
            let popped = self.next - self.model.len() as u64;
            let position = self.first.wrapping_add(popped);
            self.stamp(position, position.wrapping_add(self.capacity), 0);
            self.model.pop_front();
            self.unhinted_pops += 1;
        }
        pin.tear_out();
        self.dead.1.extend(self.consumer.take());
        self.consumer_holder = Holder::Died;
    }

    fn slot(&self, position: u64) -> u64 {
        let stride = (8 + M::LONGEST as u64).next_multiple_of(8);
        SLOTS + position % self.capacity * stride
    }

    fn stamp(&self, position: u64, stamp: u64, len: usize) {
        let word = (len as u64) << 32 | u64::from(stamp as u32);
        let slot = self.slot(position);
        self.file.write_all_at(&word.to_le_bytes(), slot).unwrap();
    }

    fn numbers(&self, many: usize) -> Vec<M::Owned> {
        (self.next..).take(many).map(M::of).collect()
    }

    fn pushed(&mut self, many: usize) {
        if many > 0 {
            self.unhinted_pushes = 0;
        }
        self.model.extend(self.next..self.next + many as u64);
        self.next += many as u64;
    }

    fn popped(&mut self, most: usize) -> Vec<M::Owned> {
        let many = most.min(self.model.len());
        if many > 0 {
            self.unhinted_pops = 0;
        }
        self.model.drain(..many).map(M::of).collect()
    }

    fn push(&mut self, step: Step) {
        let Some(mut producer) = self.producer.take() else {
            return;
        };
        let gone = self.gone(self.consumer_holder);
        let room = if self.closed {
            0
        } else {
            self.ring.capacity() - self.model.len()
        };
        let message = M::of(self.next);
        match step {
            Step::TryPush => {
                let pushed = producer.try_push(message.borrow());
                self.check_push(pushed.map(|()| 1), room.min(1));
                self.pushed(room.min(1));
            }
            Step::Push if room > 0 || gone.is_some() => {
                let gone = gone.filter(|_| room == 0).map(PushError::Disconnected);
                assert_eq!(producer.push(message.borrow()), gone.map_or(Ok(()), Err));
                self.pushed(room.min(1));
            }
            Step::Push => {
                let pushed = producer.push_timeout(message.borrow(), Duration::ZERO);
                assert_eq!(pushed, Err(PushTimeoutError::TimedOut));
            }
            Step::TryPushSlice(many) => {
                let pushed = producer.try_push_slice(&self.numbers(many));
                let fitting = many.min(room);
                match many {
                    0 => assert_eq!(pushed, Ok(0)),
                    _ => self.check_push(pushed, fitting),
                }
                self.pushed(fitting);
            }
            Step::PushSlice(many) if many <= room => {
                producer.push_slice(&self.numbers(many)).unwrap();
                self.pushed(many);
            }
            Step::PushSlice(many) => {
                if let Some(gone) = gone {
                    let error = producer.push_slice(&self.numbers(many)).unwrap_err();
                    assert_eq!(error.pushed, room);
                    assert_eq!(error.reason, PushError::Disconnected(gone));
                    self.pushed(room);
                }
            }
            Step::Claim(end) => {
                assert_eq!(M::write(&mut producer, self.next, end), room > 0);
                if let ClaimEnd::Commit = end {
                    self.pushed(room.min(1));
                }
            }
            Step::ClaimChunk(max, end) => {
                let chunk = M::write_chunk(&mut producer, self.next, max, end);
                if let Some((len, published)) = chunk {
                    match max <= room {
                        true => assert_eq!(len, max),
                        // There may be more free slots than the chunk has.
                        false => assert!(len <= room && (len > 0) == (room > 0)),
                    }
                    self.pushed(published);
                }
            }
            other => unreachable!("{other:?}"),
        }
        self.producer = Some(producer);
    }

    fn pop(&mut self, step: Step) {
        let Some(mut consumer) = self.consumer.take() else {
            return;
        };
        let gone = self.gone(self.producer_holder);
        let front = self.model.front().copied().map(M::of);
        match step {
            Step::TryPop => {
                let popped = consumer.try_pop();
                self.check_pop(popped.as_ref().map(|_| 1).map_err(|&error| error), 1);
                assert_eq!(popped.ok(), self.popped(1).pop());
            }
            Step::Pop if front.is_some() || gone.is_some() => {
                let front = self.popped(1).pop();
                assert_eq!(consumer.pop().ok(), front);
                if let (None, Some(gone)) = (front, gone) {
                    assert_eq!(consumer.pop(), Err(PopError::Disconnected(gone)));
                }
            }
            Step::Pop => {
                let popped = consumer.pop_timeout(Duration::ZERO);
                assert_eq!(popped, Err(PopTimeoutError::TimedOut));
            }
            Step::TryPopSlice(many) => {
                let mut room: Vec<M::Owned> = (0..many).map(|_| M::Owned::default()).collect();
                let popped = consumer.try_pop_slice(&mut room);
                self.check_pop(popped, many);
                let expected = self.popped(many);
                assert_eq!(room[..expected.len()], expected);
            }
            Step::TryPopVec(many) => {
                let mut room = vec![M::of(7)];
                let popped = consumer.try_pop_append(&mut room, many);
                self.check_pop(popped, many);
                let expected = self.popped(many);
                assert_eq!(room[1..], expected);
            }
            Step::TryIter(many) => {
                let popped: Vec<_> = consumer.try_iter().take(many).collect();
                assert_eq!(popped, self.popped(many));
            }
            Step::Read(end) => {
                let guard = consumer.try_read();
                assert_eq!(guard.is_ok(), front.is_some());
                if let (Ok(guard), Some(front)) = (guard, front) {
                    assert_eq!(guard.get(), front);
                    match end {
                        GuardEnd::Drop => {
                            drop(guard);
                            self.popped(1);
                        }
                        GuardEnd::PutBack => guard.put_back(),
                        GuardEnd::Forget => mem::forget(guard),
                        GuardEnd::Panic => {
                            // Unlike `panic!`, this prints no message.
                            let unwinding = move || {
                                let _guard = guard;
                                panic::resume_unwind(Box::new("on purpose"))
                            };
                            panic::catch_unwind(AssertUnwindSafe(unwinding)).unwrap_err();
                        }
                    }
                }
            }
            Step::ReadChunk(max, end) => {
                if let Some((messages, consumed)) = M::read_chunk(&mut consumer, max, end) {
                    let expected = self.model.iter().take(max).copied().map(M::of);
                    assert!(messages.iter().eq(expected.collect::<Vec<_>>().iter()));
                    self.popped(consumed);
                }
            }
            other => unreachable!("{other:?}"),
        }
        self.consumer = Some(consumer);
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Producer(is_mortal) => {
                if self.producer.take().is_some() {
                    self.pins[0] = None;
                    self.producer_holder = Holder::Left;
                    return;
                }
                let (producer, pin) = self.attach(is_mortal, || self.ring.producer().unwrap());
                self.producer = Some(producer);
                self.unhinted_pushes = 0;
                self.pins[0] = pin;
                self.producer_holder = Holder::Taken;
            }
            Step::Consumer(is_mortal) => {
                if self.consumer.take().is_some() {
                    self.pins[1] = None;
                    self.consumer_holder = Holder::Left;
                    return;
                }
                let (consumer, pin) = self.attach(is_mortal, || self.ring.consumer().unwrap());
                self.consumer = Some(consumer);
                self.unhinted_pops = 0;
                self.pins[1] = pin;
                self.consumer_holder = Holder::Taken;
            }
            Step::ProducerDies(many) => self.producer_dies(many),
            Step::ConsumerDies(many) => self.consumer_dies(many),
            Step::Reopen => {
                self.ring = Ring::open_with(&self.name, &self.options).unwrap();
                if self.producer.is_some() {
                    let refused = self.ring.producer();
                    assert!(matches!(refused, Err(AttachError::Taken { .. })));
                }
            }
            Step::Close => {
                self.ring.close();
                self.closed = true;
            }
            Step::TryPush
            | Step::Push
            | Step::TryPushSlice(_)
            | Step::PushSlice(_)
            | Step::Claim(_)
            | Step::ClaimChunk(..) => self.push(step),
            Step::TryPop
            | Step::Pop
            | Step::TryPopSlice(_)
            | Step::TryPopVec(_)
            | Step::TryIter(_)
            | Step::Read(_)
            | Step::ReadChunk(..) => self.pop(step),
        }
    }

    fn agree(&mut self) {
        let (len, capacity) = (self.model.len(), self.ring.capacity());
        let (empty, full) = (len == 0, len == capacity);
        let (all_pushes, all_pops) = (self.unhinted_pushes == 0, self.unhinted_pops == 0);
        let ring = &self.ring;
        if all_pushes && all_pops {
            assert_eq!(
                (ring.len(), ring.is_empty(), ring.is_full()),
                (len, empty, full)
            );
        }
        assert_eq!(ring.is_closed(), self.closed);
        let peer = |holder: Holder| match holder {
            _ if self.closed => Peer::Closed,
            Holder::NeverTaken => Peer::NeverCame,
            Holder::Taken => Peer::Present { pid: process::id() },
            Holder::Left => Peer::Left,
            Holder::Died => Peer::Died { pid: process::id() },
        };
        if let Some(end) = &mut self.producer {
            assert_eq!(end.is_full(), full);
            if all_pops {
                assert_eq!((end.len(), end.is_empty()), (len, empty));
            }
            assert_eq!(end.peer(), Ok(peer(self.consumer_holder)));
        }
        if let Some(end) = &mut self.consumer {
            assert_eq!(end.is_empty(), empty);
            if all_pushes {
                assert_eq!((end.len(), end.is_full()), (len, full));
            }
            assert_eq!(end.peer(), Ok(peer(self.producer_holder)));
        }
    }
}
