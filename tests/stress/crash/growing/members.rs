//! The member processes. Each works until it is ordered to leave, or killed.

use super::notes::{Notes, Orders};
use crate::crash::{Message, PACE, claim_seat, message, read};
use crate::support::Random;
use crate::support::storm::growers;
use slipring::error::{
    PopError, PopTimeoutError, PushError, PushSliceError, PushTimeoutError, TryPopError,
    TryPushError,
};
use slipring::spsc::{Consumer, Producer, ReadGuard, Ring};
use std::thread;
use std::time::Duration;

/// The timeout of operations that have one.
const SHORTLY: Duration = Duration::from_millis(3);
/// The largest number of messages in one operation.
const BATCH: u64 = 5;

/// The state of one member process.
pub(super) struct Member<'s> {
    pub(super) ring: Ring<Message>,
    pub(super) notes: &'s Notes,
    pub(super) generation: u64,
    pub(super) random: Random,
}

impl Member<'_> {
    pub(super) fn push_until_ordered(mut self) {
        let mut producer = claim_seat(|| self.ring.producer());
        let mut next = 0;
        while !self.notes.is_ordered(Orders::ProducersLeave) {
            let count = match self.random.below(4) {
                0 => 1 + self.random.below(BATCH),
                _ => 1,
            };
            let batch = (next..next + count).map(|number| message(self.generation, number));
            self.notes.set_begun(self.generation, next + count);
            next +=
                push_messages(&mut producer, &batch.collect::<Vec<_>>(), &mut self.random) as u64;
            self.notes.set_done(self.generation, next);
            self.notes.set_begun(self.generation, next);
        }
    }

    pub(super) fn pop_until_ordered(mut self) {
        let mut consumer = claim_seat(|| self.ring.consumer());
        let mut is_first = true;
        loop {
            match pop_in_place(&mut consumer, &mut self.random) {
                Popped::Empty => {}
                Popped::Disconnected if self.notes.is_ordered(Orders::AllLeave) => return,
                Popped::Disconnected => thread::yield_now(),
                Popped::Message(guard) if self.random.below(200) == 0 => guard.put_back(),
                Popped::Message(guard) => {
                    let id = self.notes.record(read(guard.get()), is_first);
                    is_first = false;
                    self.random.spin(PACE);
                    drop(guard);
                    self.notes.set_released(id);
                }
            }
        }
    }

    pub(super) fn grow_until_ordered(mut self) {
        let is_ordered = || self.notes.is_ordered(Orders::ProducersLeave);
        while !is_ordered() {
            self.notes.attempt();
            if growers::grow(&self.ring, &mut self.random) {
                self.notes.grew();
            }
            growers::pause(is_ordered);
        }
    }
}

/// Pushes messages with a random method. Returns the number of messages pushed, from the first on.
fn push_messages(
    producer: &mut Producer<Message>,
    messages: &[Message],
    random: &mut Random,
) -> usize {
    let [message] = messages else {
        return match producer.push_slice(messages) {
            Ok(()) => messages.len(),
            Err(PushSliceError {
                pushed,
                reason: PushError::Disconnected(_),
                ..
            }) => pushed,
            Err(error) => panic!("{error}"),
        };
    };
    match random.below(4) {
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
            Ok(mut claim) => {
                claim.write(message);
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

enum Popped<'c> {
    Message(ReadGuard<'c, Message>),
    Empty,
    Disconnected,
}

/// Pops a message in place with a random method.
fn pop_in_place<'c>(consumer: &'c mut Consumer<Message>, random: &mut Random) -> Popped<'c> {
    match random.below(3) {
        0 => match consumer.try_read() {
            Ok(guard) => Popped::Message(guard),
            Err(TryPopError::Empty) => Popped::Empty,
            Err(TryPopError::Disconnected(_)) => Popped::Disconnected,
            Err(error) => panic!("{error}"),
        },
        1 => match consumer.read_timeout(SHORTLY) {
            Ok(guard) => Popped::Message(guard),
            Err(PopTimeoutError::TimedOut) => Popped::Empty,
            Err(PopTimeoutError::Disconnected(_)) => Popped::Disconnected,
            Err(error) => panic!("{error}"),
        },
        _ => match consumer.read() {
            Ok(guard) => Popped::Message(guard),
            Err(PopError::Disconnected(_)) => Popped::Disconnected,
            Err(error) => panic!("{error}"),
        },
    }
}
