//! Participants that are dead already when the one dies that the test is about.

use super::account::message;
use super::deeds::Deed;
use super::memory::{Memory, Slot};
use super::mpmc::{Crowd, Plan};
use super::path::{Path, Point};
use super::tracee::Tracee;
use super::ways::{self, BATCH, Way};
use crate::support::{fork_child, kill_process};
use slipring::Delivery;
use std::process;

/// What somebody was killed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doomed {
    /// A claim.
    Claim,
    /// A batch of two, of which the first was published.
    Batch,
    /// A guard.
    Guard,
    /// A batch of two, of which none was given back.
    Guards,
    /// A batch of two, of which the first was given back.
    Rest,
}

/// A way to die in the middle of a batch, found once.
pub(super) struct Ambush {
    path: Path,
    steps: usize,
}

impl Doomed {
    pub(super) fn leaves_a_hole(self) -> bool {
        matches!(self, Self::Claim | Self::Batch)
    }

    /// How many messages, from the first on, are owed to nobody any more.
    pub(super) fn takes(self, delivery: Delivery) -> usize {
        match (self, delivery) {
            (Self::Claim | Self::Batch, _) => 0,
            (Self::Rest, Delivery::AtLeastOnce) => 1,
            (_, Delivery::AtLeastOnce) => 0,
            (Self::Guard, Delivery::AtMostOnce) => 1,
            (Self::Guards | Self::Rest, Delivery::AtMostOnce) => 2,
        }
    }

    /// Comes, and is killed.
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
                let Ambush { path, steps } =
                    crowd.ambush.take().unwrap_or_else(|| self.lie_in_wait());
                let first = crowd.memory.tail();
                let tracee = Tracee::lead(|| self.act(crowd));
                path.kill(tracee, crowd, Point::After(steps));
                let start = match self {
                    Self::Batch => first,
                    _ => crowd.memory.head() - BATCH as u64,
                };
                assert!(self.is_amid(&crowd.memory, start), "{self:?}");
                crowd.ambush = Some(Ambush { path, steps });
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

    /// Whether a batch is where it is to be killed.
    fn is_amid(self, memory: &Memory, start: u64) -> bool {
        let (index, slots) = match self {
            Self::Batch => (memory.tail(), [Slot::Full, Slot::Free]),
            Self::Rest => (memory.head(), [Slot::GivenBack, Slot::Full]),
            _ => (memory.head(), [Slot::Full, Slot::Full]),
        };
        let found = [memory.slot(start), memory.slot(start + 1)];
        index == start + BATCH as u64 && found == slots
    }

    fn lie_in_wait(self) -> Ambush {
        let mut crowd = Crowd::new(Plan {
            deed: match self {
                Self::Batch => Deed::Push(Way::Batch),
                _ => Deed::Pop(Way::Batch),
            },
            doomed: &[],
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
        Ambush {
            path,
            steps: steps.expect("no moment in the middle of a batch"),
        }
    }
}
