//! A producer that is killed while a consumer sleeps. The consumer is then the first that finds the
//! ring empty.

use super::memory::Memory;
use super::messages::{INTERVAL, Message, SOON, message, read};
use super::mpmc::{CAPACITY, PRODUCERS, fill_seats};
use super::ways::{self, Way};
use super::{Death, Scene};
use crate::support::ASLEEP_AT_ONCE;
use crate::support::Name;
use slipring::Options;
use slipring::error::PopTimeoutError;
use slipring::mpmc::{Producer, Ring};
use std::sync::mpsc::{self, Receiver};
use std::thread;

/// A producer and a consumer that survive. The consumer pops, and sleeps, in a thread.
pub(crate) struct Watched {
    way: Way,
    ring: Ring<Message>,
    producer: Producer<Message>,
    popped: Receiver<u64>,
    next: u64,
    memory: Memory,
    name: Name,
}

impl Watched {
    pub(crate) fn new(way: Way) -> Self {
        let name = Name::new("step");
        let options = Options::new()
            .capacity(CAPACITY)
            .producers(PRODUCERS)
            .consumers(1)
            .liveness_interval(INTERVAL)
            .wait(ASLEEP_AT_ONCE);
        let ring = Ring::create_with(&name, &options).unwrap();
        let producer = ring.producer().unwrap();
        let mut consumer = ring.consumer().unwrap();
        let (sender, popped) = mpsc::channel();
        thread::spawn(move || {
            loop {
                match consumer.pop_timeout(SOON) {
                    Ok(seen) if sender.send(read(seen)).is_ok() => {}
                    Err(PopTimeoutError::TimedOut) => {}
                    _ => break,
                }
            }
        });
        Self {
            way,
            memory: Memory::of(&name),
            ring,
            producer,
            popped,
            next: 0,
            name,
        }
    }

    fn push(&mut self) -> u64 {
        self.next += 1;
        let pushed = self.producer.push_timeout(&message(self.next), SOON);
        pushed.unwrap();
        self.next
    }

    fn pop(&self) -> u64 {
        self.popped.recv_timeout(SOON).unwrap()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.ring.close();
    }
}

impl Scene for Watched {
    fn prepare(&mut self) {}

    fn act(&self) {
        let ring = Ring::open_with(&self.name, &Options::new().wait(ASLEEP_AT_ONCE)).unwrap();
        let new = [message(self.next + 1), message(self.next + 2)];
        ways::push(&ring, self.way, &[], &new);
    }

    fn memory(&self) -> &Memory {
        &self.memory
    }

    fn settle(&mut self, death: Death, _means: usize) {
        let of_child = self.next + 1..self.next + 1 + self.way.moves();
        self.next = of_child.end;
        let last = self.push();
        let mut seen = Vec::new();
        loop {
            let number = self.pop();
            if number == last {
                break;
            }
            seen.push(number);
        }
        let expected: Vec<_> = of_child.collect();
        assert!(expected.starts_with(&seen), "{seen:?} of {expected:?}");
        assert!(!death.has_returned || seen == expected, "{seen:?}");
        for _ in 0..2 * CAPACITY {
            let number = self.push();
            assert_eq!(self.pop(), number);
        }
        fill_seats(&self.ring, PRODUCERS as usize - 1, 0);
    }
}
