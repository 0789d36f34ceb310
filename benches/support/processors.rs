//! Processor affinity.

use crate::Result;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// The processors that this thread may run on.
pub fn processors() -> Result<Vec<usize>> {
    let allowed = sched_getaffinity(Pid::from_raw(0))?;
    Ok((0..CpuSet::count())
        .filter(|&cpu| allowed.is_set(cpu) == Ok(true))
        .collect())
}

/// Restricts this thread to one processor.
pub fn run_on(processor: usize) -> Result<()> {
    run_on_any(&[processor])
}

/// Restricts this thread to some processors.
pub fn run_on_any(processors: &[usize]) -> Result<()> {
    let mut only = CpuSet::new();
    for &processor in processors {
        only.set(processor)?;
    }
    Ok(sched_setaffinity(Pid::from_raw(0), &only)?)
}
