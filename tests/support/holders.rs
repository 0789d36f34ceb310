//! Forked children that hold a claim or a guard of an MPMC ring until the test releases them.

use crate::support::{Forked, Name, SharedWords, fork_child, until};
use slipring::mpmc::Ring;
use std::sync::atomic::Ordering::SeqCst;

/// A group of holders, which are released together.
pub(crate) struct Holders {
    shared: SharedWords,
    _name: Name,
    started: u64,
}

/// The index of the number of children that hold a claim or guard.
const HOLD: usize = 0;
/// The index of the flag that releases them.
const LET_GO: usize = 1;

impl Holders {
    pub(crate) fn new() -> Self {
        let name = Name::in_memory("holders");
        Self {
            shared: SharedWords::create(&name, 2),
            _name: name,
            started: 0,
        }
    }

    /// Forks a child that claims the next slot, and commits a message when it is released.
    pub(crate) fn claimant(&mut self, ring: &str, number: u64) -> Forked {
        let child = fork_child(|| self.claim(ring, number));
        self.await_hold();
        child
    }

    /// Forks a child that holds the next message in a guard until it is released.
    pub(crate) fn guardian(&mut self, ring: &str, number: u64) -> Forked {
        let child = fork_child(|| self.guard(ring, number));
        self.await_hold();
        child
    }

    pub(crate) fn await_hold(&mut self) {
        self.started += 1;
        until("the child holds its claim or guard", || {
            self.shared[HOLD].load(SeqCst) == self.started
        });
    }

    /// The body of a claimant.
    pub(crate) fn claim(&self, ring: &str, number: u64) {
        let mut producer = Ring::<[u64; 1]>::open(ring).unwrap().producer().unwrap();
        let mut claim = producer.claim().unwrap();
        self.hold();
        claim.write(&[number]);
        claim.commit();
    }

    /// The body of a guardian.
    pub(crate) fn guard(&self, ring: &str, number: u64) {
        let mut consumer = Ring::<[u64; 1]>::open(ring).unwrap().consumer().unwrap();
        let guard = consumer.read().unwrap();
        assert_eq!(guard.get(), [number]);
        self.hold();
        assert_eq!(
            guard.get(),
            [number],
            "the message has changed under the guard"
        );
    }

    fn hold(&self) {
        self.shared[HOLD].fetch_add(1, SeqCst);
        until("the holders are released", || {
            self.shared[LET_GO].load(SeqCst) == 1
        });
    }

    pub(crate) fn let_go(&self) {
        self.shared[LET_GO].store(1, SeqCst);
    }
}
