//! What those who may be killed note, and what follows from it.

use crate::support::{Board, Name};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;

/// Until when the members go on.
#[derive(Clone, Copy, Debug)]
pub(super) enum Orders {
    ProducersLeave = 1,
    AllLeave = 2,
}

const ORDERS: usize = 0;
/// The message that was seen last, and the one that was given back last.
const LATEST: usize = 1;
const RELEASED: usize = 2;
const AGAIN: usize = 3;
const ATTEMPTS: usize = 4;
const GROWTHS: usize = 5;
/// Of each life: messages of which the push had begun, of which it had returned, and that came.
const LIVES: usize = 6;
const BEGUN: usize = 0;
const DONE: usize = 1;
const CAME: usize = 2;
const LIFE: usize = 3;

/// Where the number of a life begins in the word that stands for a message.
const OWNER: u32 = 40;

/// Words that forked children share.
pub(super) struct Notes {
    board: Board,
    _name: Name,
}

impl Notes {
    pub(super) fn new(lives: u64) -> Self {
        let name = Name::in_memory("board");
        let board = Board::create(&name, LIVES + LIFE * lives as usize);
        Self { board, _name: name }
    }

    fn of(&self, life: u64, what: usize) -> &AtomicU64 {
        &self.board[LIVES + LIFE * life as usize + what]
    }

    fn get(&self, at: usize) -> u64 {
        self.board[at].load(SeqCst)
    }

    pub(super) fn order(&self, orders: Orders) {
        self.board[ORDERS].store(orders as u64, SeqCst);
    }

    pub(super) fn is_ordered(&self, orders: Orders) -> bool {
        self.get(ORDERS) >= orders as u64
    }

    pub(super) fn begun(&self, life: u64) -> u64 {
        self.of(life, BEGUN).load(SeqCst)
    }

    pub(super) fn set_begun(&self, life: u64, messages: u64) {
        self.of(life, BEGUN).store(messages, SeqCst);
    }

    pub(super) fn set_done(&self, life: u64, messages: u64) {
        self.of(life, DONE).store(messages, SeqCst);
    }

    pub(super) fn latest(&self) -> u64 {
        self.get(LATEST)
    }

    /// Notes a message that nobody has given back, which is the next one; or, for a consumer's first, the one that the last
    /// consumer had. Returns what stands for it.
    pub(super) fn take(&self, (life, number): (u64, u64), is_first: bool) -> u64 {
        let id = (life << OWNER) + number + 1;
        let latest = self.latest();
        if id == latest {
            let is_released = self.get(RELEASED) == id;
            assert!(is_first && !is_released, "{number} of {life} comes twice");
            self.board[AGAIN].fetch_add(1, SeqCst);
            return id;
        }
        let latest_life = latest >> OWNER;
        let is_next = id == latest + 1 || number == 0 && life > latest_life;
        assert!(is_next, "{number} of {life} comes after {latest:#x}");
        self.of(life, CAME).store(number + 1, SeqCst);
        self.board[LATEST].store(id, SeqCst);
        id
    }

    pub(super) fn set_released(&self, id: u64) {
        self.board[RELEASED].store(id, SeqCst);
    }

    pub(super) fn again(&self) -> u64 {
        self.get(AGAIN)
    }

    pub(super) fn attempt(&self) {
        self.board[ATTEMPTS].fetch_add(1, SeqCst);
    }

    pub(super) fn attempts(&self) -> u64 {
        self.get(ATTEMPTS)
    }

    pub(super) fn grew(&self) {
        self.board[GROWTHS].fetch_add(1, SeqCst);
    }

    pub(super) fn growths(&self) -> u64 {
        self.get(GROWTHS)
    }

    /// How many messages came of one life; all whose push had returned, and none that was not pushed.
    pub(super) fn settle(&self, life: u64) -> u64 {
        let [begun, done, came] = [BEGUN, DONE, CAME].map(|what| self.of(life, what).load(SeqCst));
        assert!(
            (done..=begun).contains(&came),
            "{life} pushed {done}, began {begun}, {came} came"
        );
        came
    }
}
