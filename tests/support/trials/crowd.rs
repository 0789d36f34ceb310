//! Several producers and consumers of an MPMC ring, which attach, detach and die, against a model.

use super::choices::Choices;
use super::deaths::{Pin, pinned};
use super::within_steps;
use crate::support::names::Name;
use crate::support::ring_layout;
use core::mem;
use core::time::Duration;
use slipring::error::{AttachError, TryPopError, TryPushError};
use slipring::mpmc::{Consumer, Producer, Ring};
use slipring::{Delivery, Options, Role};
use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::panic::{self, AssertUnwindSafe};

/// Handles of each role that attach and detach. One more of each role stays attached.
const HANDLES: usize = 3;
/// One more seat of each role. With so few, a handle soon gets the seat of a dead participant that
/// had a claim or guard.
const SEATS: u32 = HANDLES as u32 + 2;

const TAIL: u64 = 0x080;
const HEAD: u64 = 0x100;
const ORPHANS: u64 = 0x28c;
const ENTRIES: u64 = 0x400;
const SLOTS: u64 = 0x1000;
const STRIDE: u64 = 16;

/// A bound above the steps of every operation on so small a ring.
const STEPS: u64 = 5000;

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

/// The point of an operation at which a participant is killed.
#[derive(Clone, Copy, Debug)]
enum Death {
    /// Between operations, or with a claim or a guard open.
    Now,
    /// After the intent for a number of positions was set, and before they were claimed.
    Before(u64),
    /// After the operation was complete, and before the intent was cleared.
    After,
    /// After a number of positions were claimed, and some of them completed.
    Within(u64, u64),
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Push(usize),
    PushSlice(usize, usize),
    Claim(usize, ClaimEnd),
    Pop(usize),
    PopVec(usize, usize),
    Read(usize, GuardEnd),
    /// Attaches, possibly as a participant that may die, or detaches.
    Producer(usize, bool),
    Consumer(usize, bool),
    ProducerDies(usize, Death),
    ConsumerDies(usize, Death),
    Recover,
}

impl Death {
    fn chosen(choices: &mut Choices<'_>) -> Self {
        match choices.below(4) {
            0 => Self::Now,
            1 => Self::Before(1 + choices.below(3) as u64),
            2 => Self::After,
            _ => Self::Within(1 + choices.below(4) as u64, choices.below(4) as u64),
        }
    }
}

impl Step {
    fn chosen(choices: &mut Choices<'_>) -> Self {
        let kind = choices.below(32);
        let handle = choices.below(HANDLES);
        match kind {
            0..=4 => Self::Push(handle),
            5 | 6 => Self::PushSlice(handle, choices.below(12)),
            7..=9 => {
                let ends = [ClaimEnd::Commit, ClaimEnd::Drop, ClaimEnd::Forget];
                Self::Claim(handle, choices.one_of(&ends))
            }
            10..=14 => Self::Pop(handle),
            15 | 16 => Self::PopVec(handle, choices.below(12)),
            17..=20 => {
                let ends = [
                    GuardEnd::Drop,
                    GuardEnd::PutBack,
                    GuardEnd::Forget,
                    GuardEnd::Panic,
                ];
                Self::Read(handle, choices.one_of(&ends))
            }
            21..=23 => Self::Producer(handle, choices.below(2) == 1),
            24..=26 => Self::Consumer(handle, choices.below(2) == 1),
            27 | 28 => Self::ProducerDies(handle, Death::chosen(choices)),
            29 | 30 => Self::ConsumerDies(handle, Death::chosen(choices)),
            _ => Self::Recover,
        }
    }
}

pub(super) fn they_agree(choices: &mut Choices<'_>) {
    let capacity = choices.one_of(&[2, 4, 8]);
    let first = choices.one_of(&[0, (1 << 32) - 20, (1 << 62) - 3]);
    let delivery = choices.one_of(&[Delivery::AtLeastOnce, Delivery::AtMostOnce]);
    let mut both = Both::new(capacity, first, delivery);
    while !choices.are_over() {
        let step = Step::chosen(choices);
        within_steps(STEPS, "a step", || both.step(step));
        both.agree();
    }
}

/// The content of a position.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Content {
    Claimed,
    Message(u64),
    Tombstone,
}

/// The expected state of the ring. Positions are counted from 0.
#[derive(Default)]
struct Model {
    capacity: u64,
    /// The positions from the head on.
    line: VecDeque<Content>,
    head: u64,
    /// The positions that consumers claimed and did not release: the message, and whether it is
    /// marked as redelivered.
    taken: BTreeMap<u64, (u64, bool)>,
    /// The one that each consumer holds, and those that no consumer holds.
    held: [Option<u64>; HANDLES],
    orphans: Vec<u64>,
    /// The number of orphans that each consumer adopted together with a dead consumer's seat.
    adopted: [usize; HANDLES],
    claimed: [Option<u64>; HANDLES],
    /// The positions that dead producers had claimed, and those that dead consumers of an
    /// at-most-once ring had claimed, until the next recovery.
    unsettled: (Vec<u64>, Vec<u64>),
    next: u64,
    tombstones: u64,
    redelivered: u64,
    dropped: u64,
}

impl Model {
    fn tail(&self) -> u64 {
        self.head + self.line.len() as u64
    }

    /// The number of free slots from the tail on.
    fn room(&self) -> u64 {
        let is_free = |position: &u64| match position.checked_sub(self.capacity) {
            Some(before) => before < self.head && !self.taken.contains_key(&before),
            None => true,
        };
        (self.tail()..).take_while(is_free).count() as u64
    }

    fn content(&mut self, position: u64) -> &mut Content {
        &mut self.line[(position - self.head) as usize]
    }

    /// The position that a producer fills next, if its slot is free.
    fn claim(&mut self, producer: usize) -> Option<u64> {
        if self.claimed[producer].is_none() && self.room() > 0 {
            self.claimed[producer] = Some(self.tail());
            self.line.push_back(Content::Claimed);
        }
        self.claimed[producer]
    }

    fn push(&mut self, producer: usize) -> bool {
        let position = self.claim(producer);
        if let Some(position) = position {
            *self.content(position) = Content::Message(self.next);
            self.next += 1;
            self.claimed[producer] = None;
        }
        position.is_some()
    }

    fn abandon(&mut self, producer: usize) {
        if let Some(position) = self.claimed[producer].take() {
            self.add_tombstone(position);
        }
    }

    fn add_tombstone(&mut self, position: u64) {
        *self.content(position) = Content::Tombstone;
        self.tombstones += 1;
    }

    /// Claims the next message, past tombstones.
    fn take(&mut self, consumer: usize) -> Option<(u64, bool)> {
        while self.held[consumer].is_none() {
            match *self.line.front()? {
                Content::Claimed => return None,
                Content::Tombstone => {}
                Content::Message(number) => {
                    self.taken.insert(self.head, (number, false));
                    self.held[consumer] = Some(self.head);
                }
            }
            self.line.pop_front();
            self.head += 1;
        }
        self.held[consumer].map(|position| self.taken[&position])
    }

    /// Skips tombstones at the head, unless the consumer holds a message or has adopted one.
    fn pass_over(&mut self, consumer: usize) {
        if self.held[consumer].is_none() && self.adopted[consumer] == 0 {
            while self.line.front() == Some(&Content::Tombstone) {
                self.line.pop_front();
                self.head += 1;
            }
        }
    }

    /// The message that a consumer popped: the one that it holds, an orphan, or the next one.
    fn get(&mut self, consumer: usize, number: u64) -> (u64, bool) {
        let mut orphans = self.orphans.iter().copied();
        let orphan = orphans.find(|position| self.taken[position].0 == number);
        match (self.held[consumer], orphan) {
            (None, Some(position)) => {
                self.orphans.retain(|&orphan| orphan != position);
                self.taken.insert(position, (number, true));
                self.held[consumer] = Some(position);
                match &mut self.adopted[consumer] {
                    0 => self.redelivered += 1,
                    some => *some -= 1,
                }
                (number, true)
            }
            _ => self.take(consumer).expect("no message for the consumer"),
        }
    }

    fn give_back(&mut self, consumer: usize) {
        let position = self.held[consumer].take().unwrap();
        self.taken.remove(&position);
    }

    fn leave(&mut self, consumer: usize, delivery: Delivery) {
        self.adopted[consumer] = 0;
        if let Some(position) = self.held[consumer].take() {
            match delivery {
                Delivery::AtLeastOnce => self.orphans.push(position),
                Delivery::AtMostOnce => self.drop_taken(position),
            }
        }
    }

    fn drop_taken(&mut self, position: u64) {
        self.taken.remove(&position);
        self.dropped += 1;
    }

    /// Recovers the participants that died since the last recovery.
    fn settle(&mut self) {
        let (claimed, taken) = mem::take(&mut self.unsettled);
        claimed
            .into_iter()
            .for_each(|position| self.add_tombstone(position));
        taken
            .into_iter()
            .for_each(|position| self.drop_taken(position));
    }
}

/// A handle, its seat, and the page that holds the seat lock if the handle may die.
struct Seated<H> {
    handle: H,
    seat: u64,
    pin: Option<Pin>,
    /// The last position that it completed.
    last: Option<u64>,
}

struct Both {
    ring: Ring<u64>,
    file: File,
    first: u64,
    delivery: Delivery,
    producers: [Option<Seated<Producer<u64>>>; HANDLES],
    consumers: [Option<Seated<Consumer<u64>>>; HANDLES],
    model: Model,
    /// Whether a participant has died since the last recovery, and whether no seat is free until a
    /// participant releases what it holds. An attempt to claim a seat then takes a second.
    has_died: bool,
    is_crowded: bool,
    /// Handles of dead participants. Their destructors must not run before the end of the trial.
    dead: (Vec<Producer<u64>>, Vec<Consumer<u64>>),
    _others: (Producer<u64>, Consumer<u64>),
    name: Name,
}

impl Both {
    fn new(capacity: usize, first: u64, delivery: Delivery) -> Self {
        let name = Name::new();
        let options = Options::new().capacity(capacity).first_position(first);
        let options = options.producers(SEATS).consumers(SEATS);
        // No liveness interval ends during the trial.
        let options = options.liveness_interval(Duration::MAX).delivery(delivery);
        let ring = Ring::create_with(&name, &options).unwrap();
        Self {
            file: name.file(),
            first,
            delivery,
            producers: [const { None }; HANDLES],
            consumers: [const { None }; HANDLES],
            model: Model {
                capacity: capacity as u64,
                ..Model::default()
            },
            has_died: false,
            is_crowded: false,
            dead: (Vec::new(), Vec::new()),
            _others: (ring.producer().unwrap(), ring.consumer().unwrap()),
            ring,
            name,
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Push(handle) | Step::PushSlice(handle, _) | Step::Claim(handle, _) => {
                if let Some(mut producer) = self.producers[handle].take() {
                    self.push(handle, &mut producer.handle, step);
                    producer.last = self.model.tail().checked_sub(1);
                    self.producers[handle] = Some(producer);
                }
            }
            Step::Pop(handle) | Step::PopVec(handle, _) | Step::Read(handle, _) => {
                if let Some(mut consumer) = self.consumers[handle].take() {
                    self.pop(handle, &mut consumer.handle, step);
                    consumer.last = self.model.head.checked_sub(1);
                    self.consumers[handle] = Some(consumer);
                }
            }
            Step::Producer(handle, is_mortal) => match self.producers[handle].take() {
                Some(producer) => {
                    drop(producer.handle);
                    let own = usize::from(self.model.claimed[handle].is_some());
                    self.settle(own, 0);
                    self.model.abandon(handle);
                }
                None => {
                    let attached = self.attach(Role::Producer, is_mortal, |ring| ring.producer());
                    self.producers[handle] = attached;
                }
            },
            Step::Consumer(handle, is_mortal) => match self.consumers[handle].take() {
                Some(consumer) => {
                    drop(consumer.handle);
                    let is_dropped = self.delivery == Delivery::AtMostOnce;
                    let own = is_dropped && self.model.held[handle].is_some();
                    self.settle(0, usize::from(own));
                    self.model.leave(handle, self.delivery);
                }
                None => {
                    let before = self.ring.counters().redelivered;
                    let attached = self.attach(Role::Consumer, is_mortal, |ring| ring.consumer());
                    self.consumers[handle] = attached;
                    let adopted = self.ring.counters().redelivered - before;
                    self.model.redelivered += adopted;
                    self.model.adopted[handle] = adopted as usize;
                }
            },
            Step::ProducerDies(handle, death) => self.producer_dies(handle, death),
            Step::ConsumerDies(handle, death) => self.consumer_dies(handle, death),
            Step::Recover => {
                let recovery = self.ring.recover().unwrap();
                let (tombstones, dropped) = &self.model.unsettled;
                let expected = (tombstones.len() as u64, dropped.len() as u64);
                assert_eq!((recovery.tombstones, recovery.dropped), expected);
                self.model.settle();
                assert_eq!(recovery.waiting, self.waiting());
                assert!(self.has_died || recovery.undecided == 0);
                assert_eq!(self.is_told_of_orphans(), recovery.waiting > 0);
            }
        }
    }

    /// Orphans that no consumer has adopted yet.
    fn waiting(&self) -> u64 {
        let adopted: usize = self.model.adopted.iter().sum();
        (self.model.orphans.len() - adopted) as u64
    }

    fn is_told_of_orphans(&self) -> bool {
        self.long(ORPHANS & !7) >> 32 & 1 == 1
    }

    /// Finds out from the counters whether an operation, which itself left `tombstones` and dropped
    /// `dropped` messages, has recovered the dead participants: all of them or none.
    fn settle(&mut self, tombstones: usize, dropped: usize) {
        let counters = self.ring.counters();
        let model = &mut self.model;
        let buried = counters.tombstones - model.tombstones - tombstones as u64;
        let let_go = counters.dropped - model.dropped - dropped as u64;
        if buried + let_go > 0 {
            let unsettled = (model.unsettled.0.len(), model.unsettled.1.len());
            assert_eq!((buried as usize, let_go as usize), unsettled);
            model.settle();
        }
    }

    fn attach<H>(
        &mut self,
        role: Role,
        is_mortal: bool,
        take: impl Fn(&Ring<u64>) -> Result<H, AttachError>,
    ) -> Option<Seated<H>> {
        if self.is_crowded {
            return None;
        }
        let before = self.seat_states();
        let (attached, pin) = match is_mortal {
            // Without a free seat, only the attempt itself shows whether it is refused.
            true => match self.is_seat_free(role) {
                true => {
                    let (attached, pin) = pinned(&self.name, || take(&self.ring));
                    (attached, Some(pin))
                }
                false => (take(&self.ring), None),
            },
            false => (take(&self.ring), None),
        };
        self.settle(0, 0);
        match attached {
            Ok(handle) => {
                let after = self.seat_states();
                let seat = before.iter().zip(&after).position(|(a, b)| a != b);
                Some(Seated {
                    handle,
                    seat: seat.expect("no seat has become active") as u64,
                    pin,
                    last: None,
                })
            }
            Err(AttachError::Undecided { .. }) => {
                assert!(self.has_died);
                self.is_crowded = true;
                None
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// Whether a free seat has no intent set, neither of a live participant nor of a dead one.
    fn is_seat_free(&self, role: Role) -> bool {
        let seats = match role {
            Role::Producer => 0..u64::from(SEATS),
            Role::Consumer => u64::from(SEATS)..2 * u64::from(SEATS),
        };
        let live = |seat| {
            let producers = self.producers.iter().flatten().map(|it| it.seat);
            let consumers = self.consumers.iter().flatten().map(|it| it.seat);
            let others = [0, u64::from(SEATS)];
            producers
                .chain(consumers)
                .chain(others)
                .any(|it| it == seat)
        };
        seats
            .into_iter()
            .any(|seat| !live(seat) && self.long(ring_layout::intent(seat).0) == 0)
    }

    fn seat_states(&self) -> Vec<u32> {
        let entry = |seat| self.long(ENTRIES + 0x80 * u64::from(seat)) as u32;
        (0..2 * SEATS).map(entry).collect()
    }

    fn long(&self, at: u64) -> u64 {
        let mut long = [0; 8];
        self.file.read_exact_at(&mut long, at).unwrap();
        u64::from_le_bytes(long)
    }

    fn store(&self, at: u64, long: u64) {
        self.file.write_all_at(&long.to_le_bytes(), at).unwrap();
    }

    fn intend(&self, seat: u64, position: u64, count: u64) {
        let (position_at, count_at) = ring_layout::intent(seat);
        let count = count as u32;
        self.file
            .write_all_at(&count.to_le_bytes(), count_at)
            .unwrap();
        self.store(position_at, (self.first + position).wrapping_add(1));
    }

    fn slot(&self, position: u64) -> u64 {
        SLOTS + (self.first + position) % self.model.capacity * STRIDE
    }

    fn stamp(&self, position: u64, ahead: u64, len: u64) {
        let stamp = (self.first + position).wrapping_add(ahead) as u32;
        self.store(self.slot(position), len << 32 | u64::from(stamp));
    }

    fn producer_dies(&mut self, handle: usize, death: Death) {
        let Some(mut producer) = self.producers[handle].take_if(|it| it.pin.is_some()) else {
            return;
        };
        let (tail, room) = (self.model.tail(), self.model.room());
        match (death, self.model.claimed[handle].take()) {
            (_, Some(open)) => self.model.unsettled.0.push(open),
            (Death::Before(count), None) => {
                self.intend(producer.seat, tail, count.min(self.model.capacity));
            }
            (Death::After, None) => {
                if let Some(last) = producer.last {
                    self.intend(producer.seat, last, 1);
                }
            }
            (Death::Within(count, done), None) if room > 0 => {
                let count = count.min(room);
                self.intend(producer.seat, tail, count);
                self.store(TAIL, self.first + tail + count);
                for position in tail..tail + count {
                    if position < tail + done {
                        self.store(self.slot(position) + 8, self.model.next);
                        self.stamp(position, 1, 8);
                        self.model.line.push_back(Content::Message(self.model.next));
                        self.model.next += 1;
                    } else {
                        self.model.line.push_back(Content::Claimed);
                        self.model.unsettled.0.push(position);
                    }
                }
            }
            _ => {}
        }
        producer.pin.take().unwrap().tear_out();
        self.dead.0.push(producer.handle);
        self.has_died = true;
    }

    fn consumer_dies(&mut self, handle: usize, death: Death) {
        let Some(mut consumer) = self.consumers[handle].take_if(|it| it.pin.is_some()) else {
            return;
        };
        let (head, seat) = (self.model.head, consumer.seat);
        let place = |it: &Content| match *it {
            Content::Message(number) => Some(number),
            _ => None,
        };
        let ready: Vec<u64> = self.model.line.iter().map_while(place).collect();
        let mut left = Vec::new();
        let is_holding = self.model.adopted[handle] > 0;
        match (death, self.model.held[handle].take()) {
            (_, Some(held)) => left.push(held),
            _ if is_holding => {}
            (Death::Before(count), None) => {
                self.intend(seat, head, count.min(self.model.capacity));
            }
            (Death::After, None) => {
                if let Some(last) = consumer.last {
                    self.intend(seat, last, 1);
                }
            }
            (Death::Within(count, done), None) if !ready.is_empty() => {
                let count = count.min(ready.len() as u64);
                self.intend(seat, head, count);
                self.store(HEAD, self.first + head + count);
                for (position, number) in (head..head + count).zip(ready) {
                    self.model.line.pop_front();
                    self.model.head += 1;
                    if position < head + done {
                        self.stamp(position, self.model.capacity, 0);
                    } else {
                        self.model.taken.insert(position, (number, false));
                        left.push(position);
                    }
                }
            }
            _ => {}
        }
        self.model.adopted[handle] = 0;
        match self.delivery {
            Delivery::AtLeastOnce => self.model.orphans.extend(left),
            Delivery::AtMostOnce => self.model.unsettled.1.extend(left),
        }
        consumer.pin.take().unwrap().tear_out();
        self.dead.1.push(consumer.handle);
        self.has_died = true;
    }

    fn push(&mut self, handle: usize, producer: &mut Producer<u64>, step: Step) {
        match step {
            Step::Push(_) => {
                let pushed = producer.try_push(&self.model.next);
                self.settle(0, 0);
                let expected = self.model.push(handle).then_some(());
                assert_eq!(pushed, expected.ok_or(TryPushError::Full));
            }
            Step::PushSlice(_, many) => {
                let messages: Vec<u64> = (self.model.next..).take(many).collect();
                let pushed = producer.try_push_slice(&messages);
                self.settle(0, 0);
                let most = many.min(self.model.capacity as usize);
                let fitting = (0..most).take_while(|_| self.model.push(handle)).count();
                let refused = many > 0 && fitting == 0;
                let expected = if refused {
                    Err(TryPushError::Full)
                } else {
                    Ok(fitting)
                };
                assert_eq!(pushed, expected);
            }
            Step::Claim(_, end) => {
                let claim = producer.try_claim();
                self.settle(0, 0);
                assert_eq!(claim.is_ok(), self.model.claim(handle).is_some());
                let Ok(mut claim) = claim else { return };
                claim.write(&self.model.next);
                match end {
                    ClaimEnd::Commit => {
                        claim.commit();
                        assert!(self.model.push(handle));
                    }
                    ClaimEnd::Drop => {
                        drop(claim);
                        self.model.abandon(handle);
                    }
                    ClaimEnd::Forget => mem::forget(claim),
                }
            }
            other => unreachable!("{other:?}"),
        }
    }

    fn pop(&mut self, handle: usize, consumer: &mut Consumer<u64>, step: Step) {
        match step {
            Step::Pop(_) | Step::Read(..) => {
                let end = match step {
                    Step::Read(_, end) => end,
                    _ => GuardEnd::Drop,
                };
                let guard = consumer.try_read();
                self.model.pass_over(handle);
                self.settle(0, 0);
                let Ok(guard) = guard else {
                    assert_eq!(guard.unwrap_err(), TryPopError::Empty);
                    return self.must_be_empty(handle);
                };
                let expected = self.model.get(handle, guard.get());
                assert_eq!((guard.get(), guard.is_redelivered()), expected);
                match end {
                    GuardEnd::Drop => {
                        drop(guard);
                        self.model.give_back(handle);
                    }
                    GuardEnd::PutBack => guard.put_back(),
                    GuardEnd::Forget => mem::forget(guard),
                    GuardEnd::Panic => {
                        let unwinding = move || {
                            let _guard = guard;
                            // Unlike `panic!`, this prints no message.
                            panic::resume_unwind(Box::new("on purpose"))
                        };
                        panic::catch_unwind(AssertUnwindSafe(unwinding)).unwrap_err();
                    }
                }
            }
            Step::PopVec(_, most) => {
                let mut popped = Vec::new();
                let result = consumer.try_pop_append(&mut popped, most);
                if most > 0 {
                    self.model.pass_over(handle);
                }
                self.settle(0, 0);
                for &number in &popped {
                    assert_eq!(self.model.get(handle, number).0, number);
                    self.model.give_back(handle);
                }
                match result {
                    Ok(count) => assert_eq!(count, popped.len()),
                    Err(error) => {
                        assert_eq!(error, TryPopError::Empty);
                        assert!(popped.is_empty() && most > 0);
                        self.must_be_empty(handle);
                    }
                }
                if popped.len() < most.min(consumer.capacity()) {
                    assert_eq!(self.model.take(handle), None);
                }
            }
            other => unreachable!("{other:?}"),
        }
    }

    /// Asserts that a consumer finds no message, or none that has been announced to it.
    fn must_be_empty(&mut self, handle: usize) {
        assert_eq!(self.model.take(handle), None);
        assert_eq!(self.model.adopted[handle], 0);
        assert!(self.waiting() == 0 || !self.is_told_of_orphans());
    }

    fn agree(&mut self) {
        let model = &self.model;
        let (len, full) = (model.line.len(), model.room() == 0);
        assert_eq!(self.ring.len(), len);
        for producer in self.producers.iter().flatten().map(|it| &it.handle) {
            assert_eq!((producer.len(), producer.is_full()), (len, full));
        }
        let is_ready = model
            .line
            .front()
            .is_some_and(|&place| place != Content::Claimed);
        for (handle, consumer) in self.consumers.iter().enumerate() {
            let is_holding = model.held[handle].is_some() || model.adopted[handle] > 0;
            let is_empty = !is_holding && !is_ready;
            let seen = consumer.as_ref().map(|it| &it.handle);
            let seen = seen.map(|it| (it.len(), it.is_empty()));
            assert_eq!(seen.unwrap_or((len, is_empty)), (len, is_empty));
        }
        let counters = self.ring.counters();
        let counted = (counters.tombstones, counters.redelivered, counters.dropped);
        let expected = (model.tombstones, model.redelivered, model.dropped);
        assert_eq!(counted, expected);
    }
}
