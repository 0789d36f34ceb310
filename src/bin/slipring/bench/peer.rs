//! The other side of a measurement: a process of its own.

use nix::libc;
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, getpid, getppid};
use std::num::NonZero;
use std::sync::atomic::AtomicU64;
use std::thread;

pub(super) type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// A child of this process that does not outlive it.
pub(super) struct Peer(Option<Pid>);

impl Peer {
    /// Starts one that does one thing, and ends.
    pub(super) fn start(body: impl FnOnce() -> Outcome<()>) -> Outcome<Self> {
        let parent = getpid();
        // SAFETY: no other thread runs in this program, so the child finds no lock taken for ever.
        match unsafe { fork() }? {
            ForkResult::Parent { child } => Ok(Self(Some(child))),
            ForkResult::Child => {
                let is_bound = set_pdeathsig(Signal::SIGKILL).is_ok() && getppid() == parent;
                let done = is_bound && body().is_ok();
                // SAFETY: ends the process without its parent's clean-up.
                unsafe { libc::_exit(i32::from(!done)) }
            }
        }
    }

    /// Waits until it has done what there is a sign of.
    pub(super) fn await_arrival(&mut self, is_there: impl Fn() -> bool) -> Outcome<()> {
        while !is_there() {
            let now = waitpid(self.0, Some(WaitPidFlag::WNOHANG))?;
            if now != WaitStatus::StillAlive {
                self.0 = None;
                return Err("the other process could not take part".into());
            }
            thread::yield_now();
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> Outcome<()> {
        match waitpid(self.0.take(), None)? {
            WaitStatus::Exited(_, 0) => Ok(()),
            _ => Err("the other process ended before its time".into()),
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

/// Two words, zero, each with lines of its own, that this process shares with those that it starts from here on.
pub(super) fn shared_words() -> Outcome<[&'static AtomicU64; 2]> {
    #[repr(align(128))]
    struct Line(AtomicU64);
    const LEN: NonZero<usize> = NonZero::new(size_of::<[Line; 2]>()).unwrap();
    let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: a mapping where none was.
    let lines = unsafe { mmap_anonymous(None, LEN, access, MapFlags::MAP_SHARED) }?;
    // SAFETY: as long as two lines, aligned as a page, zero, and there until the process ends.
    let [one, other] = unsafe { lines.cast::<[Line; 2]>().as_ref() };
    Ok([&one.0, &other.0])
}
