//! Any sequence of operations by several handles of an MPMC ring, and by a `VecDeque`: they agree
//! after every step.

mod naming;

use core::mem;
use core::time::Duration;
use naming::Name;
use proptest::prelude::*;
use proptest::sample::select;
use slipring::error::{TryPopError, TryPushError};
use slipring::mpmc::{Consumer, Producer, Ring};
use slipring::{Delivery, Options};
use std::collections::{BTreeMap, VecDeque};
use std::panic::{self, AssertUnwindSafe};

/// Handles of each role that come and go. One more of each stays, and more seats are free.
const HANDLES: usize = 3;

#[derive(Clone, Copy, Debug)]
enum ClaimEnd {
    Commit,
    Drop,
    Forget,
}

#[derive(Clone, Copy, Debug)]
enum GuardEnd {
    Drop,
    PutBack,
    Forget,
    Panic,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Push(usize),
    PushSlice(usize, usize),
    Claim(usize, ClaimEnd),
    Pop(usize),
    PopVec(usize, usize),
    Read(usize, GuardEnd),
    Producer(usize),
    Consumer(usize),
    Recover,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let claim_ends = select(vec![ClaimEnd::Commit, ClaimEnd::Drop, ClaimEnd::Forget]);
    let guard_ends = select(vec![
        GuardEnd::Drop,
        GuardEnd::PutBack,
        GuardEnd::Forget,
        GuardEnd::Panic,
    ]);
    let step = prop_oneof![
        30 => (0..HANDLES).prop_map(Step::Push),
        15 => (0..HANDLES, 0..12_usize).prop_map(|(handle, many)| Step::PushSlice(handle, many)),
        20 => (0..HANDLES, claim_ends).prop_map(|(handle, end)| Step::Claim(handle, end)),
        30 => (0..HANDLES).prop_map(Step::Pop),
        15 => (0..HANDLES, 0..12_usize).prop_map(|(handle, many)| Step::PopVec(handle, many)),
        20 => (0..HANDLES, guard_ends).prop_map(|(handle, end)| Step::Read(handle, end)),
        8 => (0..HANDLES).prop_map(Step::Producer),
        8 => (0..HANDLES).prop_map(Step::Consumer),
        2 => Just(Step::Recover),
    ];
    prop::collection::vec(step, 1..150)
}

/// What a place in the line holds.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    Claimed,
    Message(u64),
    Tombstone,
}

/// What the ring ought to hold. Positions are counted from 0.
#[derive(Default)]
struct Model {
    /// What nobody has taken.
    line: VecDeque<Place>,
    head: u64,
    /// What was taken and not given back: the message, and whether it is marked.
    taken: BTreeMap<u64, (u64, bool)>,
    /// Which of them each consumer holds, and which nobody.
    held: [Option<u64>; HANDLES],
    orphans: Vec<u64>,
    claimed: [Option<u64>; HANDLES],
    next: u64,
    tombstones: u64,
    redelivered: u64,
    dropped: u64,
}

impl Model {
    fn tail(&self) -> u64 {
        self.head + self.line.len() as u64
    }

    /// Free slots from the tail on.
    fn room(&self, capacity: u64) -> u64 {
        let is_free = |position: &u64| match position.checked_sub(capacity) {
            Some(before) => before < self.head && !self.taken.contains_key(&before),
            None => true,
        };
        (self.tail()..).take_while(is_free).count() as u64
    }

    fn place(&mut self, position: u64) -> &mut Place {
        &mut self.line[(position - self.head) as usize]
    }

    /// The position that a producer fills next, if there is one.
    fn claim(&mut self, producer: usize, capacity: u64) -> Option<u64> {
        if self.claimed[producer].is_none() && self.room(capacity) > 0 {
            self.claimed[producer] = Some(self.tail());
            self.line.push_back(Place::Claimed);
        }
        self.claimed[producer]
    }

    fn push(&mut self, producer: usize, capacity: u64) -> bool {
        let position = self.claim(producer, capacity);
        if let Some(position) = position {
            *self.place(position) = Place::Message(self.next);
            self.next += 1;
            self.claimed[producer] = None;
        }
        position.is_some()
    }

    fn abandon(&mut self, producer: usize) {
        if let Some(position) = self.claimed[producer].take() {
            *self.place(position) = Place::Tombstone;
            self.tombstones += 1;
        }
    }

    /// Takes the next message of the line, past tombstones.
    fn take(&mut self, consumer: usize) -> Option<(u64, bool)> {
        while self.held[consumer].is_none() {
            match *self.line.front()? {
                Place::Claimed => return None,
                Place::Tombstone => {}
                Place::Message(number) => {
                    self.taken.insert(self.head, (number, false));
                    self.held[consumer] = Some(self.head);
                }
            }
            self.line.pop_front();
            self.head += 1;
        }
        self.held[consumer].map(|position| self.taken[&position])
    }

    fn give_back(&mut self, consumer: usize) {
        let position = self.held[consumer].take().unwrap();
        self.taken.remove(&position);
    }

    /// A consumer that found nothing has got this all the same: somebody has left it behind.
    fn adopt(&mut self, consumer: usize, number: u64) {
        let position = self.orphans.iter().copied();
        let mut position = position.filter(|position| self.taken[position].0 == number);
        let position = position
            .next()
            .expect("a message that waits for a consumer");
        self.orphans.retain(|&orphan| orphan != position);
        self.taken.insert(position, (number, true));
        self.held[consumer] = Some(position);
        self.redelivered += 1;
    }

    fn leave(&mut self, consumer: usize, delivery: Delivery) {
        if let Some(position) = self.held[consumer].take() {
            match delivery {
                Delivery::AtLeastOnce => self.orphans.push(position),
                Delivery::AtMostOnce => {
                    self.taken.remove(&position);
                    self.dropped += 1;
                }
            }
        }
    }
}

struct Both {
    ring: Ring<u64>,
    delivery: Delivery,
    producers: [Option<Producer<u64>>; HANDLES],
    consumers: [Option<Consumer<u64>>; HANDLES],
    model: Model,
    _others: (Producer<u64>, Consumer<u64>, Name),
}

impl Both {
    fn new(capacity: usize, first: u64, delivery: Delivery) -> Self {
        let name = Name::new();
        let options = Options::new().capacity(capacity).first_position(first);
        // Nothing comes about by an interval that ends.
        let options = options.liveness_interval(Duration::MAX).delivery(delivery);
        let ring = Ring::create_with(&name, &options).unwrap();
        Self {
            delivery,
            producers: [const { None }; HANDLES],
            consumers: [const { None }; HANDLES],
            model: Model::default(),
            _others: (ring.producer().unwrap(), ring.consumer().unwrap(), name),
            ring,
        }
    }

    fn step(&mut self, step: Step) {
        let capacity = self.ring.capacity() as u64;
        let model = &mut self.model;
        match step {
            Step::Push(handle) | Step::PushSlice(handle, _) | Step::Claim(handle, _) => {
                if let Some(producer) = &mut self.producers[handle] {
                    push(model, handle, producer, step);
                }
            }
            Step::Pop(handle) | Step::PopVec(handle, _) | Step::Read(handle, _) => {
                if let Some(consumer) = &mut self.consumers[handle] {
                    pop(model, handle, consumer, step);
                }
            }
            Step::Producer(handle) => match self.producers[handle].take() {
                Some(_) => model.abandon(handle),
                None => self.producers[handle] = Some(self.ring.producer().unwrap()),
            },
            Step::Consumer(handle) => match self.consumers[handle].take() {
                Some(_) => model.leave(handle, self.delivery),
                None => self.consumers[handle] = Some(self.ring.consumer().unwrap()),
            },
            Step::Recover => {
                let recovery = self.ring.recover().unwrap();
                assert_eq!(recovery.waiting, model.orphans.len() as u64);
                assert_eq!(
                    recovery.tombstones + recovery.dropped + recovery.undecided,
                    0
                );
            }
        }
        let (len, full) = (model.line.len(), model.room(capacity) == 0);
        assert_eq!(self.ring.len(), len);
        for producer in self.producers.iter().flatten() {
            assert_eq!((producer.len(), producer.is_full()), (len, full));
        }
        let is_ready = model
            .line
            .front()
            .is_some_and(|&place| place != Place::Claimed);
        for (handle, consumer) in self.consumers.iter().enumerate() {
            let is_empty = model.held[handle].is_none() && !is_ready;
            let told = consumer.as_ref().map(|it| (it.len(), it.is_empty()));
            assert_eq!(told.unwrap_or((len, is_empty)), (len, is_empty));
        }
        let counters = self.ring.counters();
        let counted = (counters.tombstones, counters.redelivered, counters.dropped);
        assert_eq!(
            counted,
            (model.tombstones, model.redelivered, model.dropped)
        );
    }
}

fn push(model: &mut Model, handle: usize, producer: &mut Producer<u64>, step: Step) {
    let capacity = producer.capacity() as u64;
    match step {
        Step::Push(_) => {
            let pushed = producer.try_push(&model.next);
            let expected = model.push(handle, capacity).then_some(());
            assert_eq!(pushed, expected.ok_or(TryPushError::Full));
        }
        Step::PushSlice(_, many) => {
            let messages: Vec<u64> = (model.next..).take(many).collect();
            let pushed = producer.try_push_slice(&messages);
            let most = many.min(capacity as usize);
            let fitting = (0..most)
                .take_while(|_| model.push(handle, capacity))
                .count();
            let refused = many > 0 && fitting == 0;
            assert_eq!(
                pushed,
                if refused {
                    Err(TryPushError::Full)
                } else {
                    Ok(fitting)
                }
            );
        }
        Step::Claim(_, end) => {
            let claim = producer.try_claim();
            assert_eq!(claim.is_ok(), model.claim(handle, capacity).is_some());
            let Ok(mut claim) = claim else { return };
            claim.write(&model.next);
            match end {
                ClaimEnd::Commit => {
                    claim.commit();
                    assert!(model.push(handle, capacity));
                }
                ClaimEnd::Drop => {
                    drop(claim);
                    model.abandon(handle);
                }
                ClaimEnd::Forget => mem::forget(claim),
            }
        }
        other => unreachable!("{other:?}"),
    }
}

fn pop(model: &mut Model, handle: usize, consumer: &mut Consumer<u64>, step: Step) {
    match step {
        Step::Pop(_) | Step::Read(..) => {
            let end = match step {
                Step::Read(_, end) => end,
                _ => GuardEnd::Drop,
            };
            let guard = consumer.try_read();
            let expected = model.take(handle);
            let Ok(guard) = guard else {
                assert_eq!(guard.unwrap_err(), TryPopError::Empty);
                assert!(expected.is_none() && model.orphans.is_empty());
                return;
            };
            if expected.is_none() {
                model.adopt(handle, guard.get());
            }
            let held = model.held[handle].unwrap();
            assert_eq!((guard.get(), guard.is_redelivered()), model.taken[&held]);
            match end {
                GuardEnd::Drop => {
                    drop(guard);
                    model.give_back(handle);
                }
                GuardEnd::PutBack => guard.put_back(),
                GuardEnd::Forget => mem::forget(guard),
                GuardEnd::Panic => {
                    let unwinding = move || {
                        let _guard = guard;
                        panic::resume_unwind(Box::new("on purpose"))
                    };
                    panic::catch_unwind(AssertUnwindSafe(unwinding)).unwrap_err();
                }
            }
        }
        Step::PopVec(_, most) => {
            let mut popped = Vec::new();
            let result = consumer.try_pop_vec(&mut popped, most);
            let mut expected = Vec::new();
            while expected.len() < most.min(consumer.capacity()) {
                let Some((number, _)) = model.take(handle) else {
                    break;
                };
                model.give_back(handle);
                expected.push(number);
            }
            if expected.is_empty() && !popped.is_empty() {
                model.adopt(handle, popped[0]);
                model.give_back(handle);
                expected.push(popped[0]);
            }
            assert_eq!(popped, expected);
            let refused = most > 0 && expected.is_empty();
            assert_eq!(
                result,
                if refused {
                    Err(TryPopError::Empty)
                } else {
                    Ok(popped.len())
                }
            );
            assert!(!refused || model.orphans.is_empty());
        }
        other => unreachable!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_ring_of_several_handles_is_a_line_in_which_places_are_taken(
        capacity in select(vec![2_usize, 4, 8]),
        first in select(vec![0, (1 << 32) - 20, (1 << 63) - 3]),
        delivery in select(vec![Delivery::AtLeastOnce, Delivery::AtMostOnce]),
        steps in steps(),
    ) {
        let mut both = Both::new(capacity, first, delivery);
        for step in steps {
            both.step(step);
        }
    }
}
