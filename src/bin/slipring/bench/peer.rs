//! The other side of a measurement, in a process of its own.

use super::Outcome;
use crossbeam_utils::CachePadded;
use nix::libc;
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, getpid, getppid};
use std::num::NonZero;
use std::sync::atomic::AtomicU64;
use std::thread;

/// A child process that does not outlive this one.
pub(super) struct Peer(Option<Pid>);

impl Peer {
    /// Starts a process that runs `body` and ends.
    pub(super) fn start(body: impl FnOnce() -> Outcome<()>) -> Outcome<Self> {
        let parent = getpid();
        // SAFETY: this program has a single thread, so no other thread holds a lock that the child
        // inherits.
        match unsafe { fork() }? {
            ForkResult::Parent { child } => Ok(Self(Some(child))),
            ForkResult::Child => {
                let is_bound = set_pdeathsig(Signal::SIGKILL).is_ok() && getppid() == parent;
                let done = is_bound && body().is_ok();
                // SAFETY: the call ends the process, without the exit handlers of its parent.
                unsafe { libc::_exit(i32::from(!done)) }
            }
        }
    }

    /// Waits until `is_attached` returns `true`, or the process ends.
    pub(super) fn await_attached(&mut self, is_attached: impl Fn() -> bool) -> Outcome<()> {
        while !is_attached() {
            let now = waitpid(self.0, Some(WaitPidFlag::WNOHANG))?;
            if now != WaitStatus::StillAlive {
                self.0 = None;
                return Err("the other process could not attach".into());
            }
            thread::yield_now();
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> Outcome<()> {
        match waitpid(self.0.take(), None)? {
            WaitStatus::Exited(_, 0) => Ok(()),
            _ => Err("the other process failed".into()),
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if let Some(child) = self.0.take() {
            let _ = kill(child, Signal::SIGKILL);
            let _ = waitpid(child, None);
        }
    }
}

/// Two zero words in cache lines of their own, shared with every process that this one starts
/// later.
pub(super) fn shared_words() -> Outcome<[&'static AtomicU64; 2]> {
    type Words = [CachePadded<AtomicU64>; 2];
    const LEN: NonZero<usize> = NonZero::new(size_of::<Words>()).unwrap();
    let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: the kernel chooses the address, so no other mapping changes.
    let mapping = unsafe { mmap_anonymous(None, LEN, access, MapFlags::MAP_SHARED) }?;
    // SAFETY: the mapping is long enough, page-aligned and zero, and exists until the process ends.
    let [one, other] = unsafe { mapping.cast::<Words>().as_ref() };
    Ok([one, other])
}
