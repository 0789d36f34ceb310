//! Participants that are dead before the child of the test is killed.

use super::memory::{Memory, Slot};
use super::messages::message;
use super::mpmc::{Crowd, Plan};
use super::operations::Operation;
use super::path::{Path, Point};
use super::tracee::Tracee;
use super::ways::{self, BATCH, Way};
use crate::support::{fork_child, kill_process};
use slipring::Delivery;
use std::process;

/// The point at which such a participant was killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeadParticipant {
    /// In a claim.
    Claim,
    /// In a push of two messages, of which the first was published.
    Batch,
    /// In a guard.
    Guard,
    /// In a pop of two messages, of which no slot was released.
    Guards,
    /// In a pop of two messages, of which the first slot was released.
    Rest,
}

/// The recorded path to the middle of a batch, and the number of instructions up to there.
pub(super) struct RecordedDeath {
    path: Path,
    steps: usize,
}

impl DeadParticipant {
    pub(super) fn leaves_a_hole(self) -> bool {
        matches!(self, Self::Claim | Self::Batch)
    }

    /// The number of messages, from the first on, that must not be delivered again.
    pub(super) fn takes(self, delivery: Delivery) -> usize {
        match (self, delivery) {
            (Self::Claim | Self::Batch, _) => 0,
            (Self::Rest, Delivery::AtLeastOnce) => 1,
            (_, Delivery::AtLeastOnce) => 0,
            (Self::Guard, Delivery::AtMostOnce) => 1,
            (Self::Guards | Self::Rest, Delivery::AtMostOnce) => 2,
        }
    }

    /// Attaches, and is killed.
    pub(super) fn die(self, crowd: &mut Crowd) {
        match self {
            Self::Claim => {
                let mut child = fork_child(|| {
                    let ring = crowd.open();
                    let mut producer = ring.producer().unwrap();
                    let mut claim = producer.try_claim().unwrap();
                    claim.write(&message(0));
                    kill_process(process::id());
                });
                child.reap();
            }
            Self::Guard => {
                let mut child = fork_child(|| {
                    let ring = crowd.open();
                    let mut consumer = ring.consumer().unwrap();
                    let _guard = consumer.try_read().unwrap();
                    kill_process(process::id());
                });
                child.reap();
            }
            Self::Batch | Self::Guards | Self::Rest => {
                let RecordedDeath { path, steps } =
                    crowd.recorded.take().unwrap_or_else(|| self.record());
                let first = crowd.memory.tail();
                let tracee = Tracee::lead(|| self.act(crowd));
                path.kill(tracee, crowd, Point::After(steps));
                let start = match self {
                    Self::Batch => first,
                    _ => crowd.memory.head() - BATCH as u64,
                };
                assert!(self.is_amid(&crowd.memory, start), "{self:?}");
                crowd.recorded = Some(RecordedDeath { path, steps });
            }
        }
    }

    fn act(self, crowd: &Crowd) {
        let ring = crowd.open();
        let first = crowd.memory.tail();
        match self {
            Self::Batch => {
                let new = [message(first), message(first + 1)];
                ways::push(&ring, Way::Batch, &[], &new);
            }
            _ => ways::pop(&ring, Way::Batch, crowd.memory.head()),
        }
    }

    /// Whether a batch has reached the point at which it is killed.
    fn is_amid(self, memory: &Memory, start: u64) -> bool {
        let (index, slots) = match self {
            Self::Batch => (memory.tail(), [Slot::Full, Slot::Free]),
            Self::Rest => (memory.head(), [Slot::Released, Slot::Full]),
            _ => (memory.head(), [Slot::Full, Slot::Full]),
        };
        let found = [memory.slot(start), memory.slot(start + 1)];
        index == start + BATCH as u64 && found == slots
    }

    fn record(self) -> RecordedDeath {
        let mut crowd = Crowd::new(Plan {
            operation: match self {
                Self::Batch => Operation::Push(Way::Batch),
                _ => Operation::Pop(Way::Batch),
            },
            dead: &[],
            delivery: Delivery::AtLeastOnce,
            consumers: 2,
        });
        let start = match self {
            Self::Batch => crowd.memory.tail() + crowd.before() as u64,
            _ => crowd.memory.head(),
        };
        let mut steps = None;
        let (path, _) = Path::of(&mut crowd, &mut |done, memory| {
            if self.is_amid(memory, start) {
                steps.get_or_insert(done);
            }
        });
        RecordedDeath {
            path,
            steps: steps.expect("no moment in the middle of a batch"),
        }
    }
}
