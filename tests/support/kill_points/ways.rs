//! The operations that a child executes between its two marks.

use super::messages::{Message, read};
use super::tracee::mark;
use slipring::{Protocol, Ring};
use std::hint::black_box;

/// The ways to use a handle, from attaching to detaching.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Attach,
    One,
    Batch,
    InPlace,
    /// A claim is dropped, or a message is put back, and then the handle is dropped.
    Dropped,
    Blocked,
    Detach,
}

/// The number of messages in a batch.
pub(crate) const BATCH: usize = 2;

impl Way {
    /// The number of messages that are pushed or popped.
    pub(crate) fn moves(self) -> u64 {
        match self {
            Self::Attach | Self::Dropped | Self::Detach => 0,
            Self::One | Self::InPlace | Self::Blocked => 1,
            Self::Batch => BATCH as u64,
        }
    }
}

/// Pushes `new`, after it has pushed `before`.
pub(crate) fn push<P: Protocol>(
    ring: &Ring<Message, P>,
    way: Way,
    before: &[Message],
    new: &[Message; BATCH],
) {
    if way == Way::Attach {
        mark();
        let producer = ring.producer();
        mark();
        producer.unwrap();
        return;
    }
    let mut producer = ring.producer().unwrap();
    producer.push_slice(before).unwrap();
    match way {
        Way::Attach => {}
        Way::One => {
            mark();
            let pushed = producer.try_push(&new[0]);
            mark();
            pushed.unwrap();
        }
        Way::Batch => {
            mark();
            let pushed = producer.try_push_slice(new);
            mark();
            assert_eq!(pushed, Ok(BATCH));
        }
        Way::InPlace => {
            mark();
            if let Ok(mut claim) = producer.try_claim() {
                claim.write(&new[0]);
                claim.commit();
            }
            mark();
        }
        Way::Dropped => {
            mark();
            if let Ok(mut claim) = producer.try_claim() {
                claim.write(&new[0]);
            }
            drop(producer);
            mark();
        }
        Way::Blocked => {
            mark();
            let pushed = producer.push(&new[0]);
            mark();
            pushed.unwrap();
        }
        Way::Detach => {
            mark();
            drop(producer);
            mark();
        }
    }
}

/// Pops. The first message must be `first`.
pub(crate) fn pop<P: Protocol>(ring: &Ring<Message, P>, way: Way, first: u64) {
    if way == Way::Attach {
        mark();
        let consumer = ring.consumer();
        mark();
        consumer.unwrap();
        return;
    }
    let mut consumer = ring.consumer().unwrap();
    match way {
        Way::Attach => {}
        Way::One => {
            mark();
            let popped = consumer.try_pop();
            mark();
            assert_eq!(popped.map(read), Ok(first));
        }
        Way::Batch => {
            let mut room = black_box([[0; 3]; BATCH]);
            mark();
            let popped = consumer.try_pop_slice(&mut room);
            mark();
            assert_eq!((popped, read(room[0])), (Ok(BATCH), first));
        }
        Way::InPlace => {
            mark();
            if let Ok(guard) = consumer.try_read() {
                black_box(guard.get());
            }
            mark();
        }
        Way::Dropped => {
            mark();
            if let Ok(guard) = consumer.try_read() {
                black_box(guard.get());
                guard.put_back();
            }
            drop(consumer);
            mark();
        }
        Way::Blocked => {
            mark();
            let popped = consumer.pop();
            mark();
            assert_eq!(popped.map(read), Ok(first));
        }
        Way::Detach => {
            mark();
            drop(consumer);
            mark();
        }
    }
}
