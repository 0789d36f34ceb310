//! Any sequence of operations, on a ring and on a `VecDeque`: they agree after every step.
#![allow(
    clippy::forget_non_drop,
    clippy::drop_non_drop,
    reason = "that a claim has no destructor is not for users to know"
)]

mod naming;
mod numbers;

use core::mem;
use core::time::Duration;
use naming::Name;
use numbers::{ClaimEnd, Numbered};
use proptest::prelude::*;
use proptest::sample::select;
use slipring::error::{
    AttachError, Disconnected, PopError, PopTimeoutError, PushError, PushTimeoutError, TryPopError,
    TryPushError,
};
use slipring::spsc::{Consumer, Producer, Ring};
use slipring::{Options, Peer};
use std::borrow::Borrow;
use std::collections::VecDeque;
use std::fmt::Debug;
use std::panic::{self, AssertUnwindSafe};

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
    Producer,
    Consumer,
    Reopen,
    Close,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let claim_ends = select(vec![ClaimEnd::Commit, ClaimEnd::Drop, ClaimEnd::Forget]);
    let guard_ends = select(vec![
        GuardEnd::Drop,
        GuardEnd::PutBack,
        GuardEnd::Forget,
        GuardEnd::Panic,
    ]);
    let many = || prop_oneof![4 => 0..5_usize, 1 => 0..80_usize];
    let step = prop_oneof![
        30 => Just(Step::TryPush),
        15 => Just(Step::Push),
        15 => many().prop_map(Step::TryPushSlice),
        10 => many().prop_map(Step::PushSlice),
        20 => claim_ends.prop_map(Step::Claim),
        20 => Just(Step::TryPop),
        15 => Just(Step::Pop),
        10 => many().prop_map(Step::TryPopSlice),
        10 => many().prop_map(Step::TryPopVec),
        5 => many().prop_map(Step::TryIter),
        20 => guard_ends.prop_map(Step::Read),
        10 => Just(Step::Producer),
        10 => Just(Step::Consumer),
        3 => Just(Step::Reopen),
        1 => Just(Step::Close),
    ];
    prop::collection::vec(step, 1..150)
}

/// What is known of an end: `None` if nobody has had it yet, else whether somebody has it.
type Stay = Option<bool>;

/// A ring and what it ought to hold.
struct Both<M: Numbered + ?Sized> {
    name: Name,
    options: Options,
    ring: Ring<M>,
    producer: Option<Producer<M>>,
    consumer: Option<Consumer<M>>,
    model: VecDeque<u64>,
    next: u64,
    producer_stay: Stay,
    consumer_stay: Stay,
    closed: bool,
}

impl<M: Numbered + ?Sized> Both<M> {
    fn new(capacity: usize, first: u64) -> Self {
        let name = Name::new();
        let options = Options::new().capacity(capacity).message_size(M::LONGEST);
        let options = options.first_position(first);
        let ring = Ring::create_with(&name, &options).unwrap();
        Self {
            name,
            options,
            ring,
            producer: None,
            consumer: None,
            model: VecDeque::new(),
            next: 0,
            producer_stay: None,
            consumer_stay: None,
            closed: false,
        }
    }

    fn gone(&self, stay: Stay) -> Option<Disconnected> {
        match stay {
            _ if self.closed => Some(Disconnected::Closed),
            Some(false) => Some(Disconnected::Left),
            _ => None,
        }
    }

    fn numbers(&self, many: usize) -> Vec<M::Owned> {
        (self.next..).take(many).map(M::of).collect()
    }

    fn pushed(&mut self, many: usize) {
        self.model.extend(self.next..self.next + many as u64);
        self.next += many as u64;
    }

    fn popped(&mut self, most: usize) -> Vec<M::Owned> {
        let many = most.min(self.model.len());
        self.model.drain(..many).map(M::of).collect()
    }

    fn push(&mut self, step: Step) {
        let Some(mut producer) = self.producer.take() else {
            return;
        };
        let gone = self.gone(self.consumer_stay);
        let room = if self.closed {
            0
        } else {
            self.ring.capacity() - self.model.len()
        };
        let message = M::of(self.next);
        let refusal = gone.map_or(TryPushError::Full, TryPushError::Disconnected);
        match step {
            Step::TryPush => {
                let expected = if room > 0 { Ok(()) } else { Err(refusal) };
                assert_eq!(producer.try_push(message.borrow()), expected);
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
                let refused = many > 0 && room == 0;
                assert_eq!(pushed, if refused { Err(refusal) } else { Ok(fitting) });
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
            other => unreachable!("{other:?}"),
        }
        self.producer = Some(producer);
    }

    fn pop(&mut self, step: Step) {
        let Some(mut consumer) = self.consumer.take() else {
            return;
        };
        let gone = self.gone(self.producer_stay);
        let refusal = gone.map_or(TryPopError::Empty, TryPopError::Disconnected);
        let front = self.model.front().copied().map(M::of);
        match step {
            Step::TryPop => {
                assert_eq!(consumer.try_pop(), self.popped(1).pop().ok_or(refusal));
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
                let expected = self.popped(many);
                let refused = many > 0 && expected.is_empty();
                assert_eq!(
                    popped,
                    if refused {
                        Err(refusal)
                    } else {
                        Ok(expected.len())
                    }
                );
                assert_eq!(room[..expected.len()], expected);
            }
            Step::TryPopVec(many) => {
                let mut room = vec![M::of(7)];
                let popped = consumer.try_pop_vec(&mut room, many);
                let expected = self.popped(many);
                let refused = many > 0 && expected.is_empty();
                assert_eq!(
                    popped,
                    if refused {
                        Err(refusal)
                    } else {
                        Ok(expected.len())
                    }
                );
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
                            // Unlike `panic!`, this prints nothing.
                            let unwinding = move || {
                                let _guard = guard;
                                panic::resume_unwind(Box::new("on purpose"))
                            };
                            panic::catch_unwind(AssertUnwindSafe(unwinding)).unwrap_err();
                        }
                    }
                }
            }
            other => unreachable!("{other:?}"),
        }
        self.consumer = Some(consumer);
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Producer => {
                self.producer = match self.producer.take() {
                    Some(_) => None,
                    None => Some(self.ring.producer().unwrap()),
                };
                self.producer_stay = Some(self.producer.is_some());
            }
            Step::Consumer => {
                self.consumer = match self.consumer.take() {
                    Some(_) => None,
                    None => Some(self.ring.consumer().unwrap()),
                };
                self.consumer_stay = Some(self.consumer.is_some());
            }
            Step::Reopen => self.ring = Ring::open_with(&self.name, &self.options).unwrap(),
            Step::Close => {
                self.ring.close();
                self.closed = true;
            }
            Step::TryPush
            | Step::Push
            | Step::TryPushSlice(_)
            | Step::PushSlice(_)
            | Step::Claim(_) => self.push(step),
            Step::TryPop
            | Step::Pop
            | Step::TryPopSlice(_)
            | Step::TryPopVec(_)
            | Step::TryIter(_)
            | Step::Read(_) => self.pop(step),
        }
    }

    fn agree(&mut self) {
        let (len, capacity) = (self.model.len(), self.ring.capacity());
        let (empty, full) = (len == 0, len == capacity);
        let ring = &self.ring;
        assert_eq!(
            (ring.len(), ring.is_empty(), ring.is_full()),
            (len, empty, full)
        );
        assert_eq!(ring.is_closed(), self.closed);
        let peer = |stay: Stay| match stay {
            _ if self.closed => Peer::Closed,
            None => Peer::NeverCame,
            Some(true) => Peer::Present {
                pid: std::process::id(),
            },
            Some(false) => Peer::Left,
        };
        if let Some(end) = &mut self.producer {
            assert_eq!(
                (end.len(), end.is_empty(), end.is_full()),
                (len, empty, full)
            );
            assert_eq!(end.peer(), Ok(peer(self.consumer_stay)));
            assert!(matches!(ring.producer(), Err(AttachError::Taken { .. })));
        }
        if let Some(end) = &mut self.consumer {
            assert_eq!(
                (end.len(), end.is_empty(), end.is_full()),
                (len, empty, full)
            );
            assert_eq!(end.peer(), Ok(peer(self.producer_stay)));
        }
    }
}

fn they_agree<M: Numbered + ?Sized>(capacity: usize, first: u64, steps: &[Step]) {
    let mut both = Both::<M>::new(capacity, first);
    for &step in steps {
        both.step(step);
        both.agree();
    }
}

fn first_positions() -> impl Strategy<Value = u64> {
    let turns = select(vec![0, 1 << 31, 1 << 32, 1 << 63]);
    (turns, 0..70_u64).prop_map(|(turn, below)| u64::wrapping_sub(turn, below))
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_ring_of_values_is_a_queue(
        capacity in select(vec![2_usize, 4, 8, 64]), first in first_positions(), steps in steps(),
    ) {
        they_agree::<u64>(capacity, first, &steps);
    }

    #[test]
    fn a_ring_of_strings_is_a_queue(
        capacity in select(vec![2_usize, 4, 8, 64]), first in first_positions(), steps in steps(),
    ) {
        they_agree::<[u8]>(capacity, first, &steps);
    }
}
