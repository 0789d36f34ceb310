//! What the child of an MPMC ring does that no child of an SPSC ring does.

use super::account::{Message, message, read};
use super::tracee::mark;
use super::ways::Way;
use slipring::error::TryPushError;
use slipring::mpmc::Ring;

/// What the child does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    Push(Way),
    Pop(Way),
    Recover,
    PushInVain,
    Adopt,
    ComeAndPop,
}

impl Deed {
    pub(super) fn sleeps(self) -> bool {
        matches!(self, Self::Push(Way::Blocked) | Self::Pop(Way::Blocked))
    }
}

/// Recovers by hand.
pub(super) fn recover(ring: &Ring<Message>) {
    mark();
    let recovered = ring.recover();
    mark();
    recovered.unwrap();
}

/// Finds the ring full, and what the dead have left.
pub(super) fn push_in_vain(ring: &Ring<Message>) {
    let mut producer = ring.producer().unwrap();
    mark();
    let refused = producer.try_push(&message(0));
    mark();
    assert_eq!(refused, Err(TryPushError::Full));
}

/// Pops what a dead consumer had taken, or what lies behind a dead producer's claim.
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

/// Comes, pops and stays.
pub(super) fn come_and_pop(ring: &Ring<Message>, first: u64) {
    mark();
    let mut consumer = ring.consumer().unwrap();
    let popped = consumer.try_pop();
    mark();
    assert_eq!(popped.map(read), Ok(first));
}
