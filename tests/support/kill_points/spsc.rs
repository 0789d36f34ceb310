//! The state that a killed producer or consumer of an SPSC ring leaves.

use super::memory::{Memory, Slot};
use super::messages::{INTERVAL, Message, NAP, SOON, message, read, soon};
use super::ways::{self, Way};
use super::{Death, Drill, Scene};
use crate::support::ASLEEP_AT_ONCE;
use crate::support::Name;
use slipring::Options;
use slipring::error::{AttachError, PopTimeoutError, PushTimeoutError, TryPopError, TryPushError};
use slipring::spsc::{Consumer, Producer, Ring};

macro_rules! drill {
    ($name:literal, $scene:ident $way:ident) => {
        Drill {
            name: concat!("spsc ", $name),
            set_up: || Box::new($scene::new(Way::$way)),
        }
    };
}

pub(crate) const PUSHING: &[Drill] = &[
    drill!("producer()", PusherDies Attach),
    drill!("try_push", PusherDies One),
    drill!("try_push_slice", PusherDies Batch),
    drill!("claim, commit", PusherDies InPlace),
    drill!("claim, dropped", PusherDies Dropped),
    drill!("push that sleeps", PusherDies Blocked),
    drill!("drop of a producer", PusherDies Detach),
];

pub(crate) const POPPING: &[Drill] = &[
    drill!("consumer()", PopperDies Attach),
    drill!("try_pop", PopperDies One),
    drill!("try_pop_slice", PopperDies Batch),
    drill!("read, dropped", PopperDies InPlace),
    drill!("read, put back", PopperDies Dropped),
    drill!("pop that sleeps", PopperDies Blocked),
    drill!("drop of a consumer", PopperDies Detach),
];

const CAPACITY: usize = 4;
/// The number of messages in the ring before the operation. A batch can be popped, and another one
/// fits.
const BEFORE: u64 = 2;

/// The ring, and the account of its messages.
struct Ground {
    name: Name,
    way: Way,
    ring: Ring<Message>,
    memory: Memory,
    /// The position of the next message, which is its number.
    next: u64,
}

impl Ground {
    fn new(way: Way) -> Self {
        let name = Name::new("step");
        let interval = match way {
            Way::Blocked => NAP,
            _ => INTERVAL,
        };
        let options = Options::new()
            .capacity(CAPACITY)
            .first_position((1 << 32) - 50)
            .liveness_interval(interval)
            .wait(ASLEEP_AT_ONCE);
        let ring = Ring::create_with(&name, &options).unwrap();
        let memory = Memory::of(&name);
        Self {
            ring,
            way,
            next: memory.tail(),
            memory,
            name,
        }
    }

    /// Opens the ring in the child.
    fn open(&self) -> Ring<Message> {
        Ring::open_with(&self.name, &Options::new().wait(ASLEEP_AT_ONCE)).unwrap()
    }

    /// Whether the survivor must detect the death in time. It need not if the child may have no
    /// seat yet, or blocks, as the liveness interval is long then.
    fn must_detect_death(&self) -> bool {
        !matches!(self.way, Way::Attach | Way::Blocked)
    }

    /// The positions in a range that hold a message.
    fn full(&self, first: u64, count: u64) -> Vec<u64> {
        let positions = first..first + count;
        positions
            .filter(|&position| self.memory.slot(position) == Slot::Full)
            .collect()
    }

    fn producer(&self) -> Producer<Message> {
        soon("the seat of the dead producer", || {
            free(self.ring.producer())
        })
    }

    fn consumer(&self) -> Consumer<Message> {
        soon("the seat of the dead consumer", || {
            free(self.ring.consumer())
        })
    }

    /// Asserts that all slots work: two full laps of messages are pushed and popped.
    fn laps(&mut self, producer: &mut Producer<Message>, consumer: &mut Consumer<Message>) {
        for _ in 0..2 {
            let first = self.next;
            for _ in 0..CAPACITY {
                producer.try_push(&message(self.next)).unwrap();
                self.next += 1;
            }
            assert_eq!(producer.try_push(&message(0)), Err(TryPushError::Full));
            for number in first..self.next {
                assert_eq!(consumer.try_pop().map(read), Ok(number));
            }
            assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
        }
    }
}

fn free<H>(taken: Result<H, AttachError>) -> Option<H> {
    match taken {
        Ok(handle) => Some(handle),
        Err(AttachError::Taken { .. }) => None,
        Err(error) => panic!("{error}"),
    }
}

/// The child is the producer. The consumer survives.
struct PusherDies {
    ground: Ground,
    consumer: Consumer<Message>,
    popped: u64,
}

impl PusherDies {
    fn new(way: Way) -> Self {
        let ground = Ground::new(way);
        let consumer = ground.ring.consumer().unwrap();
        Self {
            ground,
            consumer,
            popped: 0,
        }
    }

    /// The number of messages that the child pushes before the operation, and in it.
    fn planned(&self) -> (u64, u64) {
        let before = match self.ground.way {
            Way::Attach => 0,
            Way::Blocked => CAPACITY as u64,
            _ => BEFORE,
        };
        (before, self.ground.way.moves())
    }

    fn pop(&mut self, can_block: bool) -> u64 {
        read(match can_block {
            true => self.consumer.pop_timeout(SOON).unwrap(),
            false => soon("a message", || self.consumer.try_pop().ok()),
        })
    }
}

impl Scene for PusherDies {
    fn prepare(&mut self) {
        self.popped = 0;
    }

    fn act(&self) {
        let ring = self.ground.open();
        let (before, _) = self.planned();
        let first = self.ground.next;
        let before: Vec<_> = (first..first + before).map(message).collect();
        let first = first + before.len() as u64;
        let new = [message(first), message(first + 1)];
        ways::push(&ring, self.ground.way, &before, &new);
    }

    fn sleeps(&self) -> bool {
        self.ground.way == Way::Blocked
    }

    fn wake(&mut self) {
        assert_eq!(self.consumer.try_pop().map(read), Ok(self.ground.next));
        self.popped += 1;
    }

    fn memory(&self) -> &Memory {
        &self.ground.memory
    }

    fn settle(&mut self, death: Death, means: usize) {
        let can_block = means % 2 == 0;
        let first = self.ground.next;
        let (before, new) = self.planned();
        let owed = self.ground.full(first, before + new);
        let promised = match death.has_returned {
            true => before + new,
            false => before,
        };
        let expected: Vec<_> = (first + self.popped..first + promised).collect();
        assert!(owed.starts_with(&expected), "{owed:?} of {expected:?}");
        for &number in &owed {
            assert_eq!(self.pop(can_block), number);
        }
        self.ground.next = owed.last().map_or(first + self.popped, |last| last + 1);
        if can_block && self.ground.must_detect_death() {
            let end = self.consumer.pop_timeout(SOON);
            assert!(
                matches!(end, Err(PopTimeoutError::Disconnected(_))),
                "{end:?}"
            );
        }
        let mut producer = self.ground.producer();
        self.ground.laps(&mut producer, &mut self.consumer);
    }
}

/// The child is the consumer. The producer survives.
struct PopperDies {
    ground: Ground,
    producer: Producer<Message>,
    /// The number of the first message that the child finds.
    first: u64,
}

impl PopperDies {
    fn new(way: Way) -> Self {
        let ground = Ground::new(way);
        let producer = ground.ring.producer().unwrap();
        Self {
            first: ground.next,
            ground,
            producer,
        }
    }

    fn push(&mut self) {
        self.producer.try_push(&message(self.ground.next)).unwrap();
        self.ground.next += 1;
    }
}

impl Scene for PopperDies {
    fn prepare(&mut self) {
        self.first = self.ground.next;
        let before = match self.ground.way {
            Way::Blocked => 0,
            _ => BEFORE,
        };
        (0..before).for_each(|_| self.push());
    }

    fn act(&self) {
        let ring = self.ground.open();
        ways::pop(&ring, self.ground.way, self.first);
    }

    fn sleeps(&self) -> bool {
        self.ground.way == Way::Blocked
    }

    fn wake(&mut self) {
        self.push();
    }

    fn memory(&self) -> &Memory {
        &self.ground.memory
    }

    fn settle(&mut self, death: Death, means: usize) {
        let can_block = means % 2 == 0;
        let pushed = self.ground.next - self.first;
        let owed = self.ground.full(self.first, pushed);
        let taken = pushed - owed.len() as u64;
        let most = self.ground.way.moves();
        assert!(taken <= most, "{taken} taken");
        assert!(!death.has_returned || taken == most, "{taken} taken");
        let rest = self.first + taken..self.ground.next;
        assert!(
            owed.iter().copied().eq(rest.clone()),
            "{owed:?} of {rest:?}"
        );
        if can_block && self.ground.must_detect_death() {
            for _ in owed.len()..CAPACITY {
                self.push();
            }
            let end = self.producer.push_timeout(&message(0), SOON);
            assert!(
                matches!(end, Err(PushTimeoutError::Disconnected(_))),
                "{end:?}"
            );
        }
        let mut consumer = self.ground.consumer();
        for number in rest.start..self.ground.next {
            assert_eq!(consumer.try_pop().map(read), Ok(number));
        }
        self.ground.laps(&mut self.producer, &mut consumer);
    }
}
