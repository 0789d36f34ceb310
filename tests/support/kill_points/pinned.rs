//! The processor of a tracer and its children.

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::sync::Mutex;

/// Pins a tracer to a processor of its own, if one is free. Tracer and tracee run alternately,
/// which is fastest on one processor.
pub(crate) struct Pinned {
    before: CpuSet,
    cpu: Option<usize>,
}

static TAKEN: Mutex<BTreeSet<usize>> = Mutex::new(BTreeSet::new());

impl Pinned {
    pub(crate) fn new() -> Self {
        let this = Pid::from_raw(0);
        let before = sched_getaffinity(this).unwrap();
        let mut taken = TAKEN.lock().unwrap();
        let mut allowed = (0..CpuSet::count()).filter(|&cpu| before.is_set(cpu).unwrap());
        let cpu = allowed.find(|cpu| !taken.contains(cpu));
        if let Some(cpu) = cpu {
            taken.insert(cpu);
            let mut one = CpuSet::new();
            one.set(cpu).unwrap();
            sched_setaffinity(this, &one).unwrap();
        }
        Self { before, cpu }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        let _ = sched_setaffinity(Pid::from_raw(0), &self.before);
        if let (Some(cpu), Ok(mut taken)) = (self.cpu, TAKEN.lock()) {
            taken.remove(&cpu);
        }
    }
}
