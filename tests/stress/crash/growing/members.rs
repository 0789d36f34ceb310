//! What each of them does, in a process of its own, until it is told to leave or killed.

use super::notes::{Notes, Orders};
use crate::crash::{Message, PACE, attach, message, read};
use crate::support::Dice;
use crate::support::storm::growers;
use slipring::error::{
    PopError, PopTimeoutError, PushError, PushSliceError, PushTimeoutError, TryPopError,
    TryPushError,
};
use slipring::spsc::{Consumer, Producer, ReadGuard, Ring};
use std::thread;
use std::time::Duration;

/// The waits that are not for ever.
const SHORTLY: Duration = Duration::from_millis(3);
/// The most messages in one operation.
const BATCH: u64 = 5;

/// A participant, as its process sees it.
pub(super) struct Member<'s> {
    pub(super) ring: Ring<Message>,
    pub(super) notes: &'s Notes,
    pub(super) life: u64,
    pub(super) dice: Dice,
}

impl Member<'_> {
    pub(super) fn push_until_told(mut self) {
        let mut producer = attach(|| self.ring.producer());
        let mut next = 0;
        while !self.notes.is_ordered(Orders::ProducersLeave) {
            let count = match self.dice.below(4) {
                0 => 1 + self.dice.below(BATCH),
                _ => 1,
            };
            let batch = (next..next + count).map(|number| message(self.life, number));
            self.notes.set_begun(self.life, next + count);
            next += send(&mut producer, &batch.collect::<Vec<_>>(), &mut self.dice) as u64;
            self.notes.set_done(self.life, next);
            self.notes.set_begun(self.life, next);
        }
    }

    pub(super) fn take_until_told(mut self) {
        let mut consumer = attach(|| self.ring.consumer());
        let mut is_first = true;
        loop {
            match take(&mut consumer, &mut self.dice) {
                Taken::Nothing => {}
                Taken::Disconnected if self.notes.is_ordered(Orders::AllLeave) => return,
                Taken::Disconnected => thread::yield_now(),
                Taken::Message(guard) if self.dice.below(200) == 0 => guard.put_back(),
                Taken::Message(guard) => {
                    let id = self.notes.take(read(guard.get()), is_first);
                    is_first = false;
                    self.dice.spin(PACE);
                    drop(guard);
                    self.notes.set_released(id);
                }
            }
        }
    }

    pub(super) fn grow_until_told(mut self) {
        let is_told = || self.notes.is_ordered(Orders::ProducersLeave);
        while !is_told() {
            self.notes.attempt();
            if growers::grow(&self.ring, &mut self.dice) {
                self.notes.grew();
            }
            growers::pause(is_told);
        }
    }
}

/// Pushes messages in one of the ways; returns how many of them, from the first on.
fn send(producer: &mut Producer<Message>, messages: &[Message], dice: &mut Dice) -> usize {
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
    match dice.below(4) {
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

enum Taken<'c> {
    Message(ReadGuard<'c, Message>),
    Nothing,
    Disconnected,
}

/// One of the ways to take a message in place.
fn take<'c>(consumer: &'c mut Consumer<Message>, dice: &mut Dice) -> Taken<'c> {
    match dice.below(3) {
        0 => match consumer.try_read() {
            Ok(guard) => Taken::Message(guard),
            Err(TryPopError::Empty) => Taken::Nothing,
            Err(TryPopError::Disconnected(_)) => Taken::Disconnected,
            Err(error) => panic!("{error}"),
        },
        1 => match consumer.read_timeout(SHORTLY) {
            Ok(guard) => Taken::Message(guard),
            Err(PopTimeoutError::TimedOut) => Taken::Nothing,
            Err(PopTimeoutError::Disconnected(_)) => Taken::Disconnected,
            Err(error) => panic!("{error}"),
        },
        _ => match consumer.read() {
            Ok(guard) => Taken::Message(guard),
            Err(PopError::Disconnected(_)) => Taken::Disconnected,
            Err(error) => panic!("{error}"),
        },
    }
}
