//! Forked children that hold something of an MPMC ring until they may let go of it.

use crate::support::{Board, Forked, Name, fork_child, until};
use slipring::mpmc::Ring;
use std::sync::atomic::Ordering::SeqCst;

/// Several of them, who let go all at once.
pub(crate) struct Holders {
    board: Board,
    _name: Name,
    started: u64,
}

/// How many hold something, and whether they may let go.
const HOLD: usize = 0;
const LET_GO: usize = 1;

impl Holders {
    pub(crate) fn new() -> Self {
        let name = Name::in_memory("holders");
        Self {
            board: Board::create(&name, 2),
            _name: name,
            started: 0,
        }
    }

    /// A child that has claimed the next slot, and commits a message when it may let go.
    pub(crate) fn claimant(&mut self, ring: &str, number: u64) -> Forked {
        let child = fork_child(|| self.claim(ring, number));
        self.await_hold();
        child
    }

    /// A child that has the next message in a guard until it may let go.
    pub(crate) fn guardian(&mut self, ring: &str, number: u64) -> Forked {
        let child = fork_child(|| self.guard(ring, number));
        self.await_hold();
        child
    }

    pub(crate) fn await_hold(&mut self) {
        self.started += 1;
        until("it holds something", || {
            self.board[HOLD].load(SeqCst) == self.started
        });
    }

    /// What a claimant does.
    pub(crate) fn claim(&self, ring: &str, number: u64) {
        let mut producer = Ring::<[u64; 1]>::open(ring).unwrap().producer().unwrap();
        let mut claim = producer.claim().unwrap();
        self.hold();
        claim.write(&[number]);
        claim.commit();
    }

    /// What a guardian does.
    pub(crate) fn guard(&self, ring: &str, number: u64) {
        let mut consumer = Ring::<[u64; 1]>::open(ring).unwrap().consumer().unwrap();
        let guard = consumer.read().unwrap();
        assert_eq!(guard.get(), [number]);
        self.hold();
        assert_eq!(guard.get(), [number], "nobody else has written there");
    }

    fn hold(&self) {
        self.board[HOLD].fetch_add(1, SeqCst);
        until("it may let go", || self.board[LET_GO].load(SeqCst) == 1);
    }

    pub(crate) fn let_go(&self) {
        self.board[LET_GO].store(1, SeqCst);
    }
}
