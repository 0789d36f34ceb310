//! The records of member processes, which survive a kill, and the checks that they permit.

use crate::support::{Name, SharedWords};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;

/// Orders to the members to leave.
#[derive(Clone, Copy, Debug)]
pub(super) enum Orders {
    ProducersLeave = 1,
    AllLeave = 2,
}

const ORDERS: usize = 0;
/// The message that was received last, and the one that was released last.
const LATEST: usize = 1;
const RELEASED: usize = 2;
const REPEATED: usize = 3;
const ATTEMPTS: usize = 4;
const GROWTHS: usize = 5;
/// For each generation: pushes that had begun, pushes that had returned, and
/// messages that were received.
const GENERATIONS: usize = 6;
const BEGUN: usize = 0;
const DONE: usize = 1;
const RECEIVED: usize = 2;
const WORDS_PER_GENERATION: usize = 3;

/// The lowest bit of the generation in the word that identifies a message.
const GENERATION_SHIFT: u32 = 40;

/// Words that forked children share.
pub(super) struct Notes {
    shared: SharedWords,
    _name: Name,
}

impl Notes {
    pub(super) fn new(generations: u64) -> Self {
        let name = Name::in_memory("words");
        let shared = SharedWords::create(
            &name,
            GENERATIONS + WORDS_PER_GENERATION * generations as usize,
        );
        Self {
            shared,
            _name: name,
        }
    }

    fn of(&self, generation: u64, what: usize) -> &AtomicU64 {
        &self.shared[GENERATIONS + WORDS_PER_GENERATION * generation as usize + what]
    }

    fn get(&self, at: usize) -> u64 {
        self.shared[at].load(SeqCst)
    }

    pub(super) fn order(&self, orders: Orders) {
        self.shared[ORDERS].store(orders as u64, SeqCst);
    }

    pub(super) fn is_ordered(&self, orders: Orders) -> bool {
        self.get(ORDERS) >= orders as u64
    }

    pub(super) fn begun(&self, generation: u64) -> u64 {
        self.of(generation, BEGUN).load(SeqCst)
    }

    pub(super) fn set_begun(&self, generation: u64, messages: u64) {
        self.of(generation, BEGUN).store(messages, SeqCst);
    }

    pub(super) fn set_done(&self, generation: u64, messages: u64) {
        self.of(generation, DONE).store(messages, SeqCst);
    }

    pub(super) fn latest(&self) -> u64 {
        self.get(LATEST)
    }

    /// Records a message that was received and not released. It must be the next one; the first
    /// message of a consumer may be the one that the last consumer held. Returns the word that
    /// identifies the message.
    pub(super) fn record(&self, (generation, number): (u64, u64), is_first: bool) -> u64 {
        let id = (generation << GENERATION_SHIFT) + number + 1;
        let latest = self.latest();
        if id == latest {
            let is_released = self.get(RELEASED) == id;
            assert!(
                is_first && !is_released,
                "{number} of {generation} is received twice"
            );
            self.shared[REPEATED].fetch_add(1, SeqCst);
            return id;
        }
        let latest_generation = latest >> GENERATION_SHIFT;
        let is_next = id == latest + 1 || number == 0 && generation > latest_generation;
        assert!(is_next, "{number} of {generation} follows {latest:#x}");
        self.of(generation, RECEIVED).store(number + 1, SeqCst);
        self.shared[LATEST].store(id, SeqCst);
        id
    }

    pub(super) fn set_released(&self, id: u64) {
        self.shared[RELEASED].store(id, SeqCst);
    }

    pub(super) fn repeated(&self) -> u64 {
        self.get(REPEATED)
    }

    pub(super) fn attempt(&self) {
        self.shared[ATTEMPTS].fetch_add(1, SeqCst);
    }

    pub(super) fn attempts(&self) -> u64 {
        self.get(ATTEMPTS)
    }

    pub(super) fn grew(&self) {
        self.shared[GROWTHS].fetch_add(1, SeqCst);
    }

    pub(super) fn growths(&self) -> u64 {
        self.get(GROWTHS)
    }

    /// The number of messages of one generation that were received. Checks that every
    /// push that had returned is among them, and none that had not begun.
    pub(super) fn check_received(&self, generation: u64) -> u64 {
        let [begun, done, received] =
            [BEGUN, DONE, RECEIVED].map(|what| self.of(generation, what).load(SeqCst));
        assert!(
            (done..=begun).contains(&received),
            "{generation} pushed {done}, began {begun}, {received} arrived"
        );
        received
    }
}
