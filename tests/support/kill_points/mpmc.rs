//! The state that a killed participant of an MPMC ring leaves.

use super::dead::{DeadParticipant, RecordedDeath};
use super::memory::{Memory, Slot};
use super::messages::{INTERVAL, Message, NAP, SOON, message, read, soon};
use super::operations::{self, Operation};
use super::ways::{self, Way};
use super::{Death, Scene};
use crate::support::ASLEEP_AT_ONCE;
use crate::support::Name;
use slipring::error::{AttachError, TryPopError, TryPushError};
use slipring::mpmc::{Consumer, Producer, ReadGuard, Ring};
use slipring::{Counters, Delivery, Options, Recovery};

/// The operation of the child, and the dead participants that it finds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) operation: Operation,
    pub(crate) dead: &'static [DeadParticipant],
    pub(crate) delivery: Delivery,
    pub(crate) consumers: u32,
}

pub(super) const CAPACITY: usize = 4;
pub(super) const PRODUCERS: u32 = 3;

/// The survivors, and the account of their ring. The number of a message is its position.
pub(crate) struct Crowd {
    pub(super) name: Name,
    pub(super) memory: Memory,
    pub(super) plan: Plan,
    ring: Ring<Message>,
    producer: Producer<Message>,
    /// `None` if there is only one seat.
    consumer: Option<Consumer<Message>>,
    /// The first position that is not accounted for.
    base: u64,
    /// The messages that were pushed and not popped, by the calls that have returned.
    owed: Vec<u64>,
    counted: Counters,
    pub(super) recorded: Option<RecordedDeath>,
}

/// The state of the positions that were not accounted for when the child was killed.
#[derive(Debug, Default)]
struct Left {
    /// Messages that must be popped in order.
    plain: Vec<u64>,
    /// Messages that were claimed by a consumer and not released.
    orphans: Vec<u64>,
    /// Positions that were claimed by a producer and not published.
    holes: u64,
    tombstones: u64,
    released: u64,
}

impl Crowd {
    pub(crate) fn new(plan: Plan) -> Self {
        let name = Name::new("step");
        let interval = match plan.operation.sleeps() {
            true => NAP,
            false => INTERVAL,
        };
        let options = Options::new()
            .capacity(CAPACITY)
            .producers(PRODUCERS)
            .consumers(plan.consumers)
            .delivery(plan.delivery)
            .first_position((1 << 32) - 50)
            .liveness_interval(interval)
            .wait(ASLEEP_AT_ONCE);
        let ring = Ring::create_with(&name, &options).unwrap();
        let memory = Memory::of(&name);
        Self {
            producer: ring.producer().unwrap(),
            consumer: (plan.consumers > 1).then(|| ring.consumer().unwrap()),
            base: memory.tail(),
            owed: Vec::new(),
            counted: ring.counters(),
            recorded: None,
            plan,
            memory,
            ring,
            name,
        }
    }

    /// Opens the ring in a child.
    pub(super) fn open(&self) -> Ring<Message> {
        Ring::open_with(&self.name, &Options::new().wait(ASLEEP_AT_ONCE)).unwrap()
    }

    /// Pushes a message from a survivor. There must be a free slot.
    fn push(&mut self) -> u64 {
        let number = self.memory.tail();
        self.producer.try_push(&message(number)).unwrap();
        self.owed.push(number);
        number
    }

    /// The number of messages in the ring before the operation.
    pub(super) fn before(&self) -> usize {
        match self.plan.operation {
            Operation::Push(Way::Blocked) | Operation::PushToFull => CAPACITY,
            Operation::Pop(Way::Blocked) => 0,
            Operation::Adopt if self.plan.dead == [DeadParticipant::Claim] => 0,
            Operation::Push(_) => 1,
            Operation::Adopt | Operation::AttachAndPop
                if self.plan.dead == [DeadParticipant::Guard] =>
            {
                1
            }
            Operation::Recover if self.plan.dead == [DeadParticipant::Batch] => 1,
            Operation::Pop(_) | Operation::Recover | Operation::Adopt | Operation::AttachAndPop => {
                2
            }
        }
    }

    /// 1 if the first message in the ring is not the one that a child pops first, otherwise 0.
    fn is_first_gone(&self) -> u64 {
        let first = self.plan.dead.first();
        u64::from(matches!(
            first,
            Some(DeadParticipant::Claim | DeadParticipant::Rest)
        ))
    }

    /// The number of messages that the operation pushes, and that it pops.
    fn moves(&self) -> (u64, u64) {
        match self.plan.operation {
            Operation::Push(way) => (way.moves(), 0),
            Operation::Pop(way) => (0, way.moves()),
            Operation::Recover | Operation::PushToFull => (0, 0),
            Operation::Adopt | Operation::AttachAndPop => (0, 1),
        }
    }

    fn look(&self) -> Left {
        let mut left = Left::default();
        let head = self.memory.head();
        for position in self.base..self.memory.tail() {
            match self.memory.slot(position) {
                Slot::Full if position >= head => left.plain.push(position),
                Slot::Full => left.orphans.push(position),
                Slot::Free => left.holes += 1,
                Slot::Tombstone => left.tombstones += 1,
                Slot::Released => left.released += 1,
                Slot::Other(ahead) if ahead == CAPACITY as u32 + 1 => left.released += 1,
                Slot::Other(ahead) => panic!("position {position} is {ahead} ahead"),
            }
        }
        left
    }

    /// Asserts that every message of a push that returned is in the ring, or was popped by a dead
    /// process.
    fn compare(&self, left: &Left, death: Death) {
        let (pushes, pops) = self.moves();
        let is_there = |number: &u64| {
            left.plain.contains(number)
                || left.orphans.contains(number) && self.plan.delivery == Delivery::AtLeastOnce
        };
        let missing = self.owed.iter().filter(|number| !is_there(number)).count() as u64;
        assert!(missing <= pops, "{missing} of {:?} in {left:?}", self.owed);
        if death.has_returned {
            assert_eq!(missing, pops, "of {:?} in {left:?}", self.owed);
            let new = left.plain.iter().filter(|new| !self.owed.contains(new));
            let of_doomed = match self.plan.dead {
                [DeadParticipant::Batch, ..] => 1,
                _ => 0,
            };
            assert_eq!(new.count() as u64, pushes + of_doomed, "{left:?}");
        }
    }

    /// Pops the remaining messages, by one of the survivors' means.
    fn drain(&mut self, left: &Left, means: usize) {
        let mut plain = left.plain.clone();
        let mut orphans = match self.plan.delivery {
            Delivery::AtLeastOnce => left.orphans.clone(),
            Delivery::AtMostOnce => Vec::new(),
        };
        if means % 2 == 1 {
            // Fill the ring first.
            while self.memory.slot(self.memory.tail()) == Slot::Free {
                plain.push(self.push());
            }
        }
        if means % 4 == 3 {
            self.ring.recover().unwrap();
        }
        if means % 4 == 2 {
            // New participants find every seat free, whatever its last holder left.
            let newcomers = (1..PRODUCERS).map(|_| self.ring.producer().unwrap());
            drop(newcomers.collect::<Vec<_>>());
        }
        let mut fresh = None;
        if means % 4 == 2 || self.consumer.is_none() {
            fresh = Some(self.ring.consumer().unwrap());
        }
        let consumer = fresh.as_mut().or(self.consumer.as_mut()).unwrap();
        let mut in_order = plain.iter();
        for _ in 0..plain.len() + orphans.len() {
            let (number, is_redelivered) = take(consumer, means % 4 == 0);
            let is_orphan = orphans.iter().position(|orphan| *orphan == number);
            assert_eq!(is_redelivered, is_orphan.is_some(), "{number}");
            match is_orphan {
                Some(index) => drop(orphans.remove(index)),
                None => assert_eq!(in_order.next(), Some(&number), "of {plain:?}"),
            }
        }
        assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
    }

    /// Asserts that all slots work: two full laps of messages are pushed and popped.
    fn laps(&mut self) {
        let mut fresh = None;
        if self.consumer.is_none() {
            fresh = Some(self.ring.consumer().unwrap());
        }
        for _ in 0..2 {
            let first = self.memory.tail();
            for _ in 0..CAPACITY {
                self.push();
            }
            let full = self.producer.try_push(&message(0));
            assert_eq!(full, Err(TryPushError::Full));
            let consumer = fresh.as_mut().or(self.consumer.as_mut()).unwrap();
            for number in first..first + CAPACITY as u64 {
                assert_eq!(consumer.try_pop().map(read), Ok(number));
            }
            assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
        }
    }

    /// Asserts that the counters include every recovery, except those that a dead process had made.
    fn check_counters(&self, left: &Left) {
        let now = self.ring.counters();
        let (orphans, dropped) = match self.plan.delivery {
            Delivery::AtLeastOnce => (left.orphans.len() as u64, 0),
            Delivery::AtMostOnce => (0, left.orphans.len() as u64),
        };
        let dead = 2 * self.plan.dead.len() as u64;
        // The tombstone of a claim may have been skipped by a process that is dead now.
        let popped = u64::from(self.plan.dead == [DeadParticipant::Claim]);
        let holes = left.holes..=left.holes + left.tombstones.max(popped);
        let counted = now.tombstones - self.counted.tombstones;
        assert!(holes.contains(&counted), "{counted} of {left:?}");
        let counted = now.redelivered - self.counted.redelivered;
        let range = orphans..=orphans + dead;
        assert!(range.contains(&counted), "{counted} of {left:?}");
        let counted = now.dropped - self.counted.dropped;
        let range = dropped..=dropped + dead;
        assert!(range.contains(&counted), "{counted} of {left:?}");
    }
}

impl Scene for Crowd {
    fn prepare(&mut self) {
        assert_eq!(self.memory.tail(), self.memory.head());
        assert_eq!(self.memory.intents().next(), None);
        self.base = self.memory.tail();
        self.owed.clear();
        self.counted = self.ring.counters();
        for _ in 0..self.before() {
            self.push();
        }
    }

    fn act(&self) {
        let ring = self.open();
        match self.plan.operation {
            Operation::Push(way) => {
                let first = self.memory.tail();
                ways::push(&ring, way, &[], &[message(first), message(first + 1)]);
            }
            Operation::Pop(way) => ways::pop(&ring, way, self.base),
            Operation::Recover => operations::recover(&ring),
            Operation::PushToFull => operations::push_to_full(&ring),
            Operation::Adopt => operations::adopt(&ring, self.base + self.is_first_gone()),
            Operation::AttachAndPop => {
                operations::attach_and_pop(&ring, self.base + self.is_first_gone())
            }
        }
    }

    fn meanwhile(&mut self) {
        for dead in self.plan.dead {
            dead.die(self);
            self.owed.drain(..dead.takes(self.plan.delivery));
            if dead.leaves_a_hole() {
                self.push();
            }
        }
    }

    fn sleeps(&self) -> bool {
        self.plan.operation.sleeps()
    }

    fn wake(&mut self) {
        if let Operation::Pop(_) = self.plan.operation {
            self.push();
        } else {
            let consumer = self.consumer.as_mut().unwrap();
            assert_eq!(consumer.try_pop().map(read), Ok(self.base));
            self.owed.remove(0);
        }
    }

    fn memory(&self) -> &Memory {
        &self.memory
    }

    fn settle(&mut self, death: Death, means: usize) {
        // The interval is longer than any wait. Only the means that recover immediately can be
        // used.
        let means = match self.plan.operation.sleeps() {
            true => 2 + means % 2,
            false => means,
        };
        let left = self.look();
        self.compare(&left, death);
        self.drain(&left, means);
        self.laps();
        let own_consumers = usize::from(self.consumer.is_some());
        let free = self.plan.consumers as usize - own_consumers;
        fill_seats(&self.ring, PRODUCERS as usize - 1, free);
        self.check_counters(&left);
    }
}

/// Pops the next message. Returns its number, and whether it is redelivered.
fn take(consumer: &mut Consumer<Message>, can_block: bool) -> (u64, bool) {
    let look = |guard: &ReadGuard<'_, Message>| (read(guard.get()), guard.is_redelivered());
    match can_block {
        true => look(&consumer.read_timeout(SOON).unwrap()),
        false => soon("a message", || Some(look(&consumer.try_read().ok()?))),
    }
}

/// Asserts that every seat that the survivors do not hold can be claimed, and that nothing is left
/// to recover.
pub(super) fn fill_seats(ring: &Ring<Message>, producers: usize, consumers: usize) {
    fn is_full(refused: Option<AttachError>) -> bool {
        matches!(refused, Some(AttachError::NoSeat { .. }))
    }
    let taken: Vec<_> = (0..producers).map(|_| ring.producer().unwrap()).collect();
    assert!(is_full(ring.producer().err()));
    drop(taken);
    let taken: Vec<_> = (0..consumers).map(|_| ring.consumer().unwrap()).collect();
    assert!(is_full(ring.consumer().err()));
    drop(taken);
    assert_eq!(ring.recover().unwrap(), Recovery::default());
}
