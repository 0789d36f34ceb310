//! A kill storm: participants of an MPMC ring are killed at random moments, and every message is
//! accounted for afterwards.

pub(crate) mod growers;
mod killer;
mod log;
mod members;
mod restless;
mod ring_bytes;
mod rivals;
mod verdict;

use crate::support::ASLEEP_AT_ONCE;
use slipring::{Fences, Options, WaitStrategy};
use std::time::Duration;

pub(crate) use self::killer::Storm;
pub(crate) use self::verdict::Report;

/// How consumers take messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PopMode {
    /// In place. The consumer logs the message before it releases the slot.
    Guards,
    /// By copy. The consumer logs the message after it has released the slot.
    Pops,
}

/// The parameters of a storm: the ring, the load, and what happens to the participants.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Round {
    pub(crate) label: &'static str,
    pub(crate) seed: u64,
    pub(crate) pop_mode: PopMode,
    /// The number of words in a message.
    pub(crate) words: usize,
    pub(crate) capacity: usize,
    pub(crate) wait: WaitStrategy,
    pub(crate) fences: Fences,
    pub(crate) interval: Duration,
    /// The number of seats of each role.
    pub(crate) seats: u32,
    pub(crate) first_position: u64,
    /// Whether participants are stopped at random moments.
    pub(crate) stops: bool,
    /// Whether participants detach and attach again, fork, and execute other programs.
    pub(crate) is_restless: bool,
    /// Whether the ring grows and shrinks during the storm.
    pub(crate) grows: bool,
}

impl Round {
    pub(crate) const PLAIN: Self = Self {
        label: "plain",
        seed: 1,
        pop_mode: PopMode::Guards,
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

/// Creates a ring, kills `kills` participants of it, and returns the report.
pub(crate) fn storm(round: &Round, ring: &str, kills: u64, calm: Duration) -> Report {
    match round.words {
        1 => Storm::<1>::run(round, ring, kills, calm),
        8 => Storm::<8>::run(round, ring, kills, calm),
        512 => Storm::<512>::run(round, ring, kills, calm),
        other => panic!("no messages of {other} words"),
    }
}
