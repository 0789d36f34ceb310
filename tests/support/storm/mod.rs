//! A storm of kills over an MPMC ring, and the account of it.

mod bytes;
mod crew;
pub(crate) mod growers;
mod killer;
mod log;
mod restless;
mod rivals;
mod verdict;

use slipring::{Fences, Options, WaitStrategy};
use std::time::Duration;

pub(crate) use self::killer::Storm;
pub(crate) use self::verdict::Report;

/// How consumers take messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taking {
    /// In place; noted before the slot is given back.
    Guards,
    /// Copied out; noted after the slot was given back.
    Pops,
}

/// One kind of ring, of load and of violence.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Round {
    pub(crate) label: &'static str,
    pub(crate) seed: u64,
    pub(crate) taking: Taking,
    /// Words of a message.
    pub(crate) words: usize,
    pub(crate) capacity: usize,
    pub(crate) wait: WaitStrategy,
    pub(crate) fences: Fences,
    pub(crate) interval: Duration,
    /// Of each role.
    pub(crate) seats: u32,
    pub(crate) first_position: u64,
    /// Whether participants are stopped now and then.
    pub(crate) stops: bool,
    /// Whether participants leave and come back, fork, and execute other programs.
    pub(crate) is_restless: bool,
    /// Whether the ring grows and shrinks all the time.
    pub(crate) grows: bool,
}

pub(crate) const ASLEEP_AT_ONCE: WaitStrategy = WaitStrategy::Sleep {
    spins: 0,
    yields: 0,
};

impl Round {
    pub(crate) const PLAIN: Self = Self {
        label: "plain",
        seed: 1,
        taking: Taking::Guards,
        words: 8,
        capacity: 16,
        wait: ASLEEP_AT_ONCE,
        fences: Fences::Membarrier,
        interval: Duration::from_millis(3),
        seats: 16,
        first_position: 0,
        stops: false,
        is_restless: false,
        grows: false,
    };

    pub(crate) fn options(&self) -> Options {
        Options::new()
            .capacity(self.capacity)
            .wait(self.wait)
            .fences(self.fences)
            .liveness_interval(self.interval)
            .producers(self.seats)
            .consumers(self.seats)
            .first_position(self.first_position)
    }
}

/// Kills `kills` participants of a ring of its own, and says how it went.
pub(crate) fn storm(round: &Round, ring: &str, kills: u64, calm: Duration) -> Report {
    match round.words {
        1 => Storm::<1>::run(round, ring, kills, calm),
        8 => Storm::<8>::run(round, ring, kills, calm),
        512 => Storm::<512>::run(round, ring, kills, calm),
        other => panic!("no messages of {other} words"),
    }
}
