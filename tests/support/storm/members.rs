//! The work of the participants, each in a process of its own, until they are ordered to leave or
//! are killed.

use super::log::{Action, Fate, Id, Life, Log, Note, NoteWriter, Orders, message};
use super::{PopMode, Round, growers};
use crate::support::{Random, TIME_LIMIT};
use slipring::error::{
    AttachError, PopError, PopTimeoutError, PushError, PushSliceError, PushTimeoutError,
    TryPopError, TryPushError,
};
use slipring::mpmc::{Consumer, Producer, ReadGuard, Ring};
use std::thread;
use std::time::{Duration, Instant};

/// The most messages in one operation.
pub(crate) const BATCH: usize = 8;
/// The times for which a slow participant keeps a claim or guard open: one is shorter than a signal
/// takes to arrive, the other longer.
const DAWDLE: Duration = Duration::from_micros(3);
const SLUMBER: Duration = Duration::from_micros(60);
/// The time-out of the operations that have one.
const SHORTLY: Duration = Duration::from_millis(3);

/// A participant, as its process sees it.
pub(crate) struct Member<'r> {
    pub(crate) round: &'r Round,
    pub(crate) ring: &'r str,
    pub(crate) log: &'r Log,
    pub(crate) life: Life<'r>,
}

/// The habits of one participant.
pub(super) struct Habits {
    pub(super) random: Random,
    in_batches: bool,
    is_slow: bool,
}

impl Habits {
    fn most(&mut self) -> u64 {
        match self.in_batches {
            true => 1 + self.random.below(BATCH as u64),
            false => 1,
        }
    }

    fn dawdle(&mut self) {
        match self.random.below(4) {
            _ if !self.is_slow => {}
            0 => thread::sleep(SLUMBER),
            _ => self.random.spin(DAWDLE),
        }
    }
}

/// Claims a seat as soon as one is free.
pub(super) fn attach<H>(take: impl Fn() -> Result<H, AttachError>) -> H {
    let start = Instant::now();
    loop {
        match take() {
            Ok(handle) => return handle,
            Err(
                AttachError::NoSeat { .. }
                | AttachError::Undecided { .. }
                | AttachError::Recovering(_),
            ) if start.elapsed() < TIME_LIMIT => thread::sleep(Duration::from_micros(100)),
            Err(error) => panic!("{error}"),
        }
    }
}

impl Member<'_> {
    pub(super) fn open<const N: usize>(&self) -> Ring<[u64; N]> {
        Ring::open_with(self.ring, &self.round.options()).unwrap()
    }

    fn habits(&self) -> Habits {
        let mut random = self.life.random(self.round.seed);
        Habits {
            in_batches: random.below(3) == 0,
            is_slow: random.below(2) == 0,
            random,
        }
    }

    pub(crate) fn push_until_ordered<const N: usize>(&self) {
        let mut producer = attach(|| self.open::<N>().producer());
        self.life.set_seated(1);
        let mut habits = self.habits();
        let id = |number| Id {
            life: self.life.index,
            number,
        };
        let mut next = 0;
        while !self.log.is_ordered(Orders::ProducersLeave) {
            let most = habits.most();
            let batch: Vec<_> = (next..next + most).map(|n| message(id(n))).collect();
            self.life.set_begun(next + most);
            next += push(&mut producer, &batch, &mut habits) as u64;
            self.life.set_done(next);
            self.life.set_begun(next);
            self.life.step();
            if self.is_restless(&mut habits.random) {
                self.life.set_begun(next + 1);
                producer = self.move_producer(producer, &message(id(next)), &mut habits.random);
                self.life.set_begun(next);
            }
        }
        drop(producer);
        self.life.end(Fate::Left);
    }

    pub(crate) fn take_until_ordered<const N: usize>(&self) {
        let mut consumer = attach(|| self.open::<N>().consumer());
        self.life.set_seated(1);
        let mut notes = NoteWriter::new(self.life);
        let mut habits = self.habits();
        while !self.log.is_ordered(Orders::AllLeave) {
            match self.round.pop_mode {
                PopMode::Guards => match guard(&mut consumer, &mut habits.random) {
                    Some(guard) if habits.random.below(5000) == 0 => {
                        // The message is redelivered, to this consumer or, if it detaches, to
                        // another.
                        guard.put_back();
                        if habits.random.below(2) == 0 {
                            break;
                        }
                    }
                    Some(guard) => {
                        notes.note(Note::new(&guard.get(), guard.is_redelivered()));
                        habits.dawdle();
                        drop(guard);
                    }
                    None => {}
                },
                PopMode::Pops => self.pop(&mut consumer, &mut notes, &mut habits),
            }
            if self.is_restless(&mut habits.random) {
                consumer = self.move_consumer(consumer, &mut notes, &mut habits.random);
            }
        }
        drop(consumer);
        self.life.end(Fate::Left);
    }

    pub(super) fn grow_until_ordered<const N: usize>(&self) {
        let ring = self.open::<N>();
        self.life.set_seated(1);
        let mut random = self.life.random(self.round.seed);
        let is_ordered = || self.log.is_ordered(Orders::ProducersLeave);
        while !is_ordered() {
            self.life.step();
            if growers::grow(&ring, &mut random) {
                self.log.count(Action::Grew);
            }
            growers::pause(is_ordered);
        }
        self.life.end(Fate::Left);
    }

    /// Pops the remaining messages, until no producer is left.
    pub(crate) fn drain<const N: usize>(&self) {
        let mut consumer = attach(|| self.open::<N>().consumer());
        self.life.set_seated(1);
        let mut notes = NoteWriter::new(self.life);
        loop {
            match consumer.read_timeout(TIME_LIMIT / 2) {
                Ok(guard) => notes.note(Note::new(&guard.get(), guard.is_redelivered())),
                Err(PopTimeoutError::Disconnected(_)) => break,
                Err(error) => panic!("{error}"),
            }
        }
        drop(consumer);
        self.life.end(Fate::Left);
    }

    fn pop<const N: usize>(
        &self,
        consumer: &mut Consumer<[u64; N]>,
        notes: &mut NoteWriter<'_>,
        habits: &mut Habits,
    ) {
        let mut batch = [[0; N]; BATCH];
        let most = habits.most() as usize;
        self.life.set_open(most as u64);
        let free = &mut batch[..most];
        let popped = match (habits.in_batches, habits.random.below(4)) {
            (true, 0) => or_none(consumer.try_pop_slice(free)),
            (true, _) => match consumer.pop_slice(free) {
                Ok(popped) => popped,
                Err(PopError::Disconnected(_)) => 0,
                Err(error) => panic!("{error}"),
            },
            (false, 0) => or_none(consumer.try_pop_into(&mut free[0]).map(|()| 1)),
            (false, 1) => match consumer.pop_timeout_into(&mut free[0], SHORTLY) {
                Ok(()) => 1,
                Err(PopTimeoutError::TimedOut | PopTimeoutError::Disconnected(_)) => 0,
                Err(error) => panic!("{error}"),
            },
            (false, _) => match consumer.pop_into(&mut free[0]) {
                Ok(()) => 1,
                Err(PopError::Disconnected(_)) => 0,
                Err(error) => panic!("{error}"),
            },
        };
        if popped > 0 {
            habits.dawdle();
        }
        for message in &batch[..popped] {
            notes.note(Note::new(message, false));
        }
        self.life.set_open(0);
    }
}

fn or_none(popped: Result<usize, TryPopError>) -> usize {
    match popped {
        Ok(popped) => popped,
        Err(TryPopError::Empty | TryPopError::Disconnected(_)) => 0,
        Err(error) => panic!("{error}"),
    }
}

/// One of the ways to take a message in place.
fn guard<'c, const N: usize>(
    consumer: &'c mut Consumer<[u64; N]>,
    random: &mut Random,
) -> Option<ReadGuard<'c, [u64; N]>> {
    match random.below(4) {
        0 => match consumer.try_read() {
            Ok(guard) => Some(guard),
            Err(TryPopError::Empty | TryPopError::Disconnected(_)) => None,
            Err(error) => panic!("{error}"),
        },
        1 => match consumer.read_timeout(SHORTLY) {
            Ok(guard) => Some(guard),
            Err(PopTimeoutError::TimedOut | PopTimeoutError::Disconnected(_)) => None,
            Err(error) => panic!("{error}"),
        },
        _ => match consumer.read() {
            Ok(guard) => Some(guard),
            Err(PopError::Disconnected(_)) => None,
            Err(error) => panic!("{error}"),
        },
    }
}

/// Pushes messages in one of the ways. Returns how many were pushed, from the first on.
fn push<const N: usize>(
    producer: &mut Producer<[u64; N]>,
    messages: &[[u64; N]],
    habits: &mut Habits,
) -> usize {
    if messages.len() > 1 {
        return push_batch(producer, messages, &mut habits.random);
    }
    let message = &messages[0];
    let way = match habits.is_slow {
        true => 2,
        false => habits.random.below(6),
    };
    match way {
        0 => match producer.try_push(message) {
            Ok(()) => 1,
            Err(TryPushError::Full | TryPushError::Disconnected(_)) => 0,
            Err(error) => panic!("{error}"),
        },
        1 => match producer.push_timeout(message, SHORTLY) {
            Ok(()) => 1,
            Err(PushTimeoutError::TimedOut | PushTimeoutError::Disconnected(_)) => 0,
            Err(error) => panic!("{error}"),
        },
        2 => match producer.claim() {
            Ok(claim) if habits.random.below(500) == 0 => {
                drop(claim);
                0
            }
            Ok(mut claim) => {
                claim.write(message);
                habits.dawdle();
                claim.commit();
                1
            }
            Err(PushError::Disconnected(_)) => 0,
            Err(error) => panic!("{error}"),
        },
        _ => match producer.push(message) {
            Ok(()) => 1,
            Err(PushError::Disconnected(_)) => 0,
            Err(error) => panic!("{error}"),
        },
    }
}

fn push_batch<const N: usize>(
    producer: &mut Producer<[u64; N]>,
    messages: &[[u64; N]],
    random: &mut Random,
) -> usize {
    if random.below(3) == 0 {
        return match producer.try_push_slice(messages) {
            Ok(pushed) => pushed,
            Err(TryPushError::Full | TryPushError::Disconnected(_)) => 0,
            Err(error) => panic!("{error}"),
        };
    }
    match producer.push_slice(messages) {
        Ok(()) => messages.len(),
        Err(PushSliceError {
            pushed,
            reason: PushError::Disconnected(_),
            ..
        }) => pushed,
        Err(error) => panic!("{error}"),
    }
}
