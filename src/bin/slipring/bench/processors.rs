//! The processors on which the two sides run. Two sides that spin on one processor would measure
//! the scheduler.

use super::Outcome;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

#[derive(Clone, Copy)]
pub(super) struct Processors([usize; 2]);

#[derive(Clone, Copy)]
pub(super) enum Side {
    Here,
    There,
}

impl Processors {
    /// The first and the last processor on which this process may run.
    pub(super) fn find() -> Outcome<Self> {
        let allowed = sched_getaffinity(Pid::from_raw(0))?;
        let is_allowed = |&number: &usize| allowed.is_set(number).unwrap_or(false);
        let mut numbers = (0..CpuSet::count()).filter(is_allowed);
        match (numbers.next(), numbers.next_back()) {
            (Some(here), Some(there)) => Ok(Self([here, there])),
            _ => Err("processors: found 1, expected at least 2".into()),
        }
    }

    /// Pins this process to the processor of a side. If that is refused, the kernel chooses the
    /// processor.
    pub(super) fn pin(&self, side: Side) {
        let mut set = CpuSet::new();
        if set.set(self.0[side as usize]).is_ok() {
            let _ = sched_setaffinity(Pid::from_raw(0), &set);
        }
    }
}
