//! Operations of a child that exist for MPMC rings only.

use super::messages::{Message, message, read};
use super::tracee::mark;
use super::ways::Way;
use slipring::error::TryPushError;
use slipring::mpmc::Ring;

/// The operation of the child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Push(Way),
    Pop(Way),
    Recover,
    PushToFull,
    Adopt,
    AttachAndPop,
}

impl Operation {
    pub(super) fn sleeps(self) -> bool {
        matches!(self, Self::Push(Way::Blocked) | Self::Pop(Way::Blocked))
    }
}

/// Recovers explicitly.
pub(super) fn recover(ring: &Ring<Message>) {
    mark();
    let recovered = ring.recover();
    mark();
    recovered.unwrap();
}

/// Finds the ring full, and recovers what dead participants have left.
pub(super) fn push_to_full(ring: &Ring<Message>) {
    let mut producer = ring.producer().unwrap();
    mark();
    let refused = producer.try_push(&message(0));
    mark();
    assert_eq!(refused, Err(TryPushError::Full));
}

/// Pops a message that a dead consumer had claimed, or the message after a dead producer's claim.
pub(super) fn adopt(ring: &Ring<Message>, first: u64) {
    let mut consumer = ring.consumer().unwrap();
    mark();
    let popped = loop {
        if let Ok(popped) = consumer.try_pop() {
            break popped;
        }
    };
    mark();
    assert_eq!(read(popped), first);
}

/// Attaches and pops, without detaching.
pub(super) fn attach_and_pop(ring: &Ring<Message>, first: u64) {
    mark();
    let mut consumer = ring.consumer().unwrap();
    let popped = consumer.try_pop();
    mark();
    assert_eq!(popped.map(read), Ok(first));
}
