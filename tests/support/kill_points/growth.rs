//! The state of a ring after a participant died, or was stopped, while the ring grew.

use super::growing::Operation;
use super::memory::Memory;
use super::messages::{INTERVAL, Message, NAP, SOON, message, read, soon};
use super::mpmc::fill_seats;
use super::tracee::mark;
use super::ways::{self, Way};
use super::{Death, Scene};
use crate::support::ASLEEP_AT_ONCE;
use crate::support::{Name, fork_child, kill_process};
use slipring::error::{
    AttachError, Disconnected, GrowError, PopTimeoutError, Recovering, TryPopError, TryPushError,
};
use slipring::{Consumer, Mpmc, Options, Producer, Protocol, Ring, Spsc};
use std::ops::Range;
use std::process;

/// The capacity of the first segment, and of those that follow.
const CAPACITY: usize = 4;
const SMALL: usize = 2;
const NEXT: usize = 8;
const LAST: usize = 16;
const SEATS: u32 = 3;

/// The differences between the kinds of ring.
pub(super) trait Kind: Protocol + Sized {
    const IS_SHARED: bool;

    /// Recovers explicitly, if rings of this kind have something to recover.
    fn recover(ring: &Ring<Message, Self>);

    /// Asserts that all seats but those of the survivors can be claimed.
    fn fill_seats(ring: &Ring<Message, Self>);
}

impl Kind for Spsc {
    const IS_SHARED: bool = false;

    fn recover(_: &Ring<Message, Self>) {}

    fn fill_seats(_: &Ring<Message, Self>) {}
}

impl Kind for Mpmc {
    const IS_SHARED: bool = true;

    fn recover(ring: &Ring<Message, Self>) {
        ring.recover().unwrap();
    }

    fn fill_seats(ring: &Ring<Message, Self>) {
        fill_seats(ring, SEATS as usize - 1, SEATS as usize - 1);
    }
}

/// The ring and the survivors. Each child gets a new ring. Messages are numbered in push order.
pub(super) struct Growth<P: Protocol> {
    name: Name,
    operation: Operation,
    ring: Ring<Message, P>,
    memory: Memory,
    producer: Option<Producer<Message, P>>,
    consumer: Option<Consumer<Message, P>>,
    /// The number of the survivors' next message.
    next: u64,
    /// The messages that the child pushes.
    of_child: Range<u64>,
    /// The messages that the survivors popped, in order.
    seen: Vec<u64>,
    was_stopped: bool,
}

impl<P: Kind> Growth<P> {
    pub(super) fn new(operation: Operation) -> Self {
        let name = Name::new("step");
        let ring = Self::create(&name, operation);
        Self {
            operation,
            memory: Memory::of(&name),
            ring,
            producer: None,
            consumer: None,
            next: 0,
            of_child: 0..0,
            seen: Vec::new(),
            was_stopped: false,
            name,
        }
    }

    fn create(name: &Name, operation: Operation) -> Ring<Message, P> {
        let interval = match operation {
            Operation::Push(Way::Blocked) | Operation::Pop(Way::Blocked) => NAP,
            _ => INTERVAL,
        };
        let options = Options::new()
            .capacity(CAPACITY)
            .first_position((1 << 32) - 1)
            .liveness_interval(interval)
            .wait(ASLEEP_AT_ONCE);
        let options = match P::IS_SHARED {
            true => options.producers(SEATS).consumers(SEATS),
            false => options,
        };
        Ring::create_with(name, &options).unwrap()
    }

    /// Opens the ring in the child.
    fn open(&self) -> Ring<Message, P> {
        Ring::open_with(&self.name, &Options::new().wait(ASLEEP_AT_ONCE)).unwrap()
    }

    fn push(&mut self, count: u64) {
        let producer = self.producer.as_mut().unwrap();
        for _ in 0..count {
            producer.try_push(&message(self.next)).unwrap();
            self.next += 1;
        }
    }

    fn pop(&mut self) -> bool {
        let popped = self.consumer.as_mut().unwrap().try_pop();
        match popped {
            Ok(popped) => self.seen.push(read(popped)),
            Err(TryPopError::Empty | TryPopError::Disconnected(_)) => {}
            Err(ref error) => panic!("{error}"),
        }
        popped.is_ok()
    }

    /// The number of the first message that the child finds.
    fn first(&self) -> u64 {
        u64::from(P::IS_SHARED && !self.sleeps() && matches!(self.operation, Operation::Pop(_)))
    }

    /// The messages that the child pops and releases.
    fn popped(&self) -> Range<u64> {
        match self.operation {
            Operation::Pop(way) | Operation::PopInOld(way) => {
                self.first()..self.first() + way.moves()
            }
            Operation::Adopt => 0..1,
            _ => 0..0,
        }
    }

    /// The messages that may be popped out of order, since a killed process had claimed them.
    fn late(&self) -> Range<u64> {
        match self.operation {
            _ if !P::IS_SHARED => 0..0,
            Operation::Pop(Way::Dropped) => self.first()..self.first() + 1,
            Operation::Recover => 0..1,
            _ => self.popped(),
        }
    }

    /// Kills a process in the old segment that has a claim and a guard there.
    fn kill_holder(&self) {
        let mut child = fork_child(|| {
            let ring = self.open();
            let mut producer = ring.producer().unwrap();
            let mut consumer = ring.consumer().unwrap();
            let _claim = producer.try_claim();
            let _guard = consumer.try_read();
            kill_process(process::id());
        });
        child.reap();
    }

    /// Claims the survivors' seats, as soon as they are free.
    fn come(&mut self) {
        let ring = &self.ring;
        self.producer
            .get_or_insert_with(|| soon("a producer's seat", || free(ring.producer())));
        self.consumer
            .get_or_insert_with(|| soon("a consumer's seat", || free(ring.consumer())));
    }

    /// Grows the ring while the child, dead or stopped, is in the old segment.
    fn grow_behind(&self) {
        if let Operation::PushInOld(_) | Operation::PopInOld(_) = self.operation {
            self.ring.grow(NEXT).unwrap();
        }
    }

    /// Pushes one more message, and pops all messages before it and those that come late.
    fn drain(&mut self, can_block: bool) {
        let last = self.next;
        self.next += 1;
        soon("room", || {
            let pushed = self.producer.as_mut()?.try_push(&message(last));
            if pushed.is_err() {
                assert_eq!(pushed, Err(TryPushError::Full));
                self.pop();
            }
            pushed.ok()
        });
        while self.seen.last() != Some(&last) {
            match can_block {
                true => {
                    let popped = self.consumer.as_mut().unwrap().pop_timeout(SOON);
                    self.seen.push(read(popped.unwrap()));
                }
                false => soon("a message", || self.pop().then_some(())),
            }
        }
        P::recover(&self.ring);
        while self.pop() {}
    }

    /// Closes the ring, and pops the remaining messages.
    fn close(&mut self) {
        self.ring.close();
        loop {
            match self.consumer.as_mut().unwrap().pop_timeout(SOON) {
                Ok(popped) => self.seen.push(read(popped)),
                Err(end) => {
                    assert_eq!(end, PopTimeoutError::Disconnected(Disconnected::Closed));
                    break;
                }
            }
        }
        P::recover(&self.ring);
        while self.pop() {}
    }

    /// Asserts that the ring is closed for every participant, including new ones.
    fn is_closed(&mut self) {
        assert!(self.ring.is_closed());
        assert!(matches!(self.ring.grow(LAST), Err(GrowError::Closed)));
        for _ in 0..2 {
            self.come();
            let closed = Disconnected::Closed;
            let pushed = self.producer.take().unwrap().try_push(&message(0));
            assert_eq!(pushed, Err(TryPushError::Disconnected(closed)));
            let popped = self.consumer.take().unwrap().try_pop();
            assert_eq!(popped, Err(TryPopError::Disconnected(closed)));
        }
    }

    /// Asserts that every message was popped once and in order, except those that the child pushed
    /// or popped.
    fn verify(&self, death: Death) {
        let Self { seen, of_child, .. } = self;
        let (popped, late) = (self.popped(), self.late());
        let is_ordered = |of: &dyn Fn(&u64) -> bool| {
            let chosen: Vec<_> = seen.iter().filter(|number| of(number)).collect();
            chosen.is_sorted_by(|one, other| one < other)
        };
        let mut once = seen.clone();
        once.sort_unstable();
        assert!(
            once.is_sorted_by(|one, other| one < other),
            "twice: {seen:?}"
        );
        let missing: Vec<_> = (0..self.next).filter(|n| !seen.contains(n)).collect();
        if self.was_stopped {
            assert!(is_ordered(&|n| of_child.contains(n)), "{seen:?}");
            assert!(is_ordered(&|n| !of_child.contains(n)), "{seen:?}");
            let most = (popped.end - popped.start) as usize;
            assert!(missing.len() <= most, "{missing:?} of {seen:?}");
            return;
        }
        assert!(is_ordered(&|n| !late.contains(n)), "{seen:?}");
        let (of_child, rest): (Vec<u64>, Vec<u64>) =
            missing.iter().partition(|n| self.of_child.contains(n));
        let (gone, lost): (Vec<u64>, Vec<u64>) = rest.into_iter().partition(|n| popped.contains(n));
        assert!(lost.is_empty(), "{lost:?} of {seen:?}");
        let last = self.of_child.clone().rev().take(of_child.len());
        assert!(of_child.iter().rev().copied().eq(last), "{of_child:?}");
        assert!(
            popped.clone().take(gone.len()).eq(gone.iter().copied()),
            "{gone:?}"
        );
        if death.has_returned {
            assert!(of_child.is_empty(), "{of_child:?} of {seen:?}");
            assert!(gone.into_iter().eq(popped), "of {seen:?}");
        }
    }

    /// Asserts that the ring can grow again, that all its slots work, and that no older segment is
    /// left.
    fn laps(&mut self) {
        self.ring.grow(LAST).unwrap();
        assert_eq!(self.ring.capacity(), LAST);
        let (producer, consumer) = (
            self.producer.as_mut().unwrap(),
            self.consumer.as_mut().unwrap(),
        );
        for _ in 0..2 {
            for number in 0..LAST as u64 {
                producer.try_push(&message(number)).unwrap();
            }
            assert_eq!(producer.try_push(&message(0)), Err(TryPushError::Full));
            for number in 0..LAST as u64 {
                assert_eq!(consumer.try_pop().map(read), Ok(number));
            }
            assert_eq!(consumer.try_pop(), Err(TryPopError::Empty));
        }
        let last = *self.memory.segments().last().unwrap();
        assert_eq!(self.memory.oldest_and_kept(), (last, last));
    }
}

fn free<H>(taken: Result<H, AttachError>) -> Option<H> {
    match taken {
        Ok(handle) => Some(handle),
        Err(AttachError::Taken { .. }) => None,
        Err(error) => panic!("{error}"),
    }
}

impl<P: Kind> Scene for Growth<P> {
    fn prepare(&mut self) {
        (self.producer, self.consumer) = (None, None);
        slipring::unlink(&self.name).unwrap();
        self.ring = Self::create(&self.name, self.operation);
        self.memory = Memory::of(&self.name);
        (self.next, self.was_stopped) = (0, false);
        self.seen.clear();
        self.come();
        match self.operation {
            Operation::Grow | Operation::GrowClosed => self.push(2),
            Operation::GrowAgain => {
                self.push(2);
                self.ring.grow(SMALL).unwrap();
                self.push(1);
            }
            Operation::Push(Way::Blocked) => self.push(CAPACITY as u64),
            Operation::Push(_)
            | Operation::PushInOld(_)
            | Operation::Recover
            | Operation::Adopt => self.push(1),
            Operation::PopInOld(_) => self.push(2),
            Operation::Pop(_) => {}
        }
        let moves = match self.operation {
            Operation::Push(way) | Operation::PushInOld(way) => way.moves(),
            _ => 0,
        };
        self.of_child = self.next..self.next + moves;
        self.next += moves;
        match self.operation {
            Operation::Push(_) | Operation::PushInOld(_) if !P::IS_SHARED => self.producer = None,
            Operation::Pop(_) | Operation::PopInOld(_) if !P::IS_SHARED => self.consumer = None,
            _ => {}
        }
    }

    fn act(&self) {
        let ring = self.open();
        match self.operation {
            Operation::Grow | Operation::GrowAgain | Operation::GrowClosed => {
                mark();
                let grown = ring.grow(NEXT);
                mark();
                match grown {
                    Err(GrowError::Closed) if self.operation == Operation::GrowClosed => {}
                    other => other.unwrap(),
                }
            }
            Operation::Push(way) | Operation::PushInOld(way) => {
                let first = self.of_child.start;
                ways::push(&ring, way, &[], &[message(first), message(first + 1)]);
            }
            Operation::Pop(way) | Operation::PopInOld(way) => ways::pop(&ring, way, self.first()),
            Operation::Recover => {
                mark();
                P::recover(&ring);
                mark();
            }
            Operation::Adopt => {
                let mut consumer = ring.consumer().unwrap();
                mark();
                while consumer.try_pop().is_err() {}
                mark();
            }
        }
    }

    fn meanwhile(&mut self) {
        match self.operation {
            Operation::Grow | Operation::GrowAgain | Operation::GrowClosed => {}
            Operation::PushInOld(_) | Operation::PopInOld(_) => {}
            _ if self.sleeps() => {}
            Operation::Push(_) => self.ring.grow(NEXT).unwrap(),
            Operation::Pop(_) => {
                self.ring.grow(NEXT).unwrap();
                self.push(3);
                assert!(self.consumer.is_none() || self.pop());
            }
            Operation::Recover | Operation::Adopt => {
                self.kill_holder();
                self.ring.grow(NEXT).unwrap();
                if self.operation == Operation::Recover {
                    self.push(1);
                }
            }
        }
    }

    fn sleeps(&self) -> bool {
        matches!(
            self.operation,
            Operation::Push(Way::Blocked) | Operation::Pop(Way::Blocked)
        )
    }

    fn wake(&mut self) {
        self.ring.grow(NEXT).unwrap();
        match self.operation {
            Operation::Pop(_) => self.push(1),
            // An SPSC ring needs a free slot for the end marker.
            _ if !P::IS_SHARED => assert!(self.pop()),
            _ => {}
        }
    }

    fn meet(&mut self, stopped: u32) {
        self.was_stopped = true;
        if self.operation == Operation::GrowClosed {
            return self.ring.close();
        }
        let stored = self.memory.recoverer_and_grower();
        // A process that has just acquired a lock may not have stored its pid yet.
        let is_named = |pid| pid == stopped || stored.0 == pid || stored.1 == pid;
        self.grow_behind();
        let is_growing = matches!(self.operation, Operation::Grow | Operation::GrowAgain);
        if self.producer.is_some() {
            self.push(1);
        }
        if self.consumer.is_some() {
            while self.pop() {}
            // Pops wait only for a slot that the child has claimed for a push.
            if self.of_child.is_empty() {
                let popped = self.popped();
                let taken = (popped.end - popped.start) as usize;
                let came = self.seen.len() + taken;
                assert!(came >= self.next as usize, "{:?}", self.seen);
            }
        }
        if is_growing {
            match self.ring.grow(LAST) {
                Ok(()) => {}
                Err(GrowError::Growing { pid } | GrowError::Recovering(Recovering { pid, .. })) => {
                    assert!(is_named(pid), "{pid} is not {stopped}")
                }
                Err(error) => panic!("{error}"),
            }
            self.consumer = None;
            match self.ring.consumer() {
                Ok(consumer) => self.consumer = Some(consumer),
                Err(AttachError::Recovering(Recovering { pid, .. })) => {
                    assert!(is_named(pid), "{pid} is not {stopped}");
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn memory(&self) -> &Memory {
        &self.memory
    }

    fn settle(&mut self, death: Death, means: usize) {
        // The interval is longer than any wait. Only the means that recover immediately can be
        // used.
        let means = match self.sleeps() {
            true => 2 + means % 2,
            false => means % 4,
        };
        if self.was_stopped && self.operation == Operation::GrowClosed {
            assert!(self.memory.are_all_closed());
            self.close();
            self.verify(death);
            return self.is_closed();
        }
        self.grow_behind();
        if means == 2 {
            (self.producer, self.consumer) = (None, None);
        }
        self.come();
        match means {
            3 => self.close(),
            _ => self.drain(means == 0),
        }
        self.verify(death);
        if means != 3 {
            self.laps();
            P::fill_seats(&self.ring);
            self.ring.close();
        }
        self.is_closed();
    }
}
