//! A forked child that is led by ptrace, one instruction at a time.

use crate::support::{PATIENCE, fork_child, is_asleep};
use nix::errno::Errno;
use nix::sys::ptrace::{self, AddressType, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::arch::asm;
use std::collections::HashMap;
use std::mem;
use std::thread;
use std::time::Instant;

/// What stops a traced process, and kills any other: `int3`.
const MARK: u8 = 0xcc;

/// Stops the traced child for its tracer.
#[inline(always)]
pub(crate) fn mark() {
    // SAFETY: a trap changes no register and no memory.
    unsafe { asm!("int3", options(nostack, preserves_flags)) }
}

/// A child that stands still whenever its tracer, the thread that made it, does not move it.
/// Killed when dropped.
pub(crate) struct Tracee {
    pid: Pid,
    is_reaped: bool,
}

/// What became of a child that was set going.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moved {
    /// It did its instruction, or met a mark.
    Stands,
    /// It sleeps on a shared futex, in the middle of an instruction.
    Sleeps,
    /// It ran to its end.
    Ended,
}

/// An instruction that a child stands before.
pub(crate) struct Next {
    pub(crate) at: u64,
    pub(crate) is_mark: bool,
    /// If it fills a stretch of the stack, the instruction after it.
    pub(crate) past: Option<u64>,
}

/// What is to be done about a child that sleeps.
pub(crate) type Asleep<'w> = &'w mut dyn FnMut();

/// Whether a child may be traced here.
pub(crate) fn is_allowed() -> bool {
    let mut child = fork_child(|| {
        if ptrace::traceme().is_ok() {
            mark();
        }
    });
    let stops = matches!(child.reap(), WaitStatus::Stopped(..));
    if stops {
        child.kill_and_reap();
    }
    stops
}

impl Tracee {
    /// Forks a child that runs `body`, up to its first [`mark`].
    pub(crate) fn lead(body: impl FnOnce()) -> Self {
        let child = fork_child(|| {
            ptrace::traceme().unwrap();
            body();
        });
        let mut tracee = Self {
            pid: Pid::from_raw(child.pid() as i32),
            is_reaped: false,
        };
        mem::forget(child);
        let moved = tracee.watch(None);
        assert_eq!(moved, Moved::Stands, "it came to no beginning");
        ptrace::setoptions(tracee.pid, Options::PTRACE_O_EXITKILL).unwrap();
        tracee
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid.as_raw() as u32
    }

    /// Where its next instruction lies.
    pub(crate) fn at(&self) -> u64 {
        ptrace::getregs(self.pid).unwrap().rip
    }

    /// What its next instruction is. The code is looked up only if it is not `known` from before.
    pub(crate) fn next(&self, known: &mut HashMap<u64, u32>) -> Next {
        /// How far above the stack pointer the stack still is.
        const STACK: u64 = 1 << 20;
        let registers = ptrace::getregs(self.pid).unwrap();
        let at = registers.rip;
        let code = *known.entry(at).or_insert_with(|| self.word(at) as u32);
        let is_on_stack = registers.rdi.wrapping_sub(registers.rsp) < STACK;
        let past = match code {
            // `rep movsb`, `rep stosb`; `rep movsq`, `rep stosq`
            _ if matches!(code & 0xffff, 0xa4f3 | 0xaaf3) => Some(at + 2),
            _ if matches!(code & 0xff_ffff, 0xa5_48f3 | 0xab_48f3) => Some(at + 3),
            _ => None,
        };
        Next {
            at,
            is_mark: code as u8 == MARK,
            past: past.filter(|_| is_on_stack),
        }
    }

    /// Lets it do one instruction. If it may fall asleep there, `asleep` is called when it has.
    pub(crate) fn step(&mut self, asleep: Option<Asleep<'_>>) -> Moved {
        ptrace::step(self.pid, None).unwrap();
        self.watch(asleep)
    }

    /// Lets it do one instruction, in which it should fall asleep, and leaves it so.
    pub(crate) fn step_into_sleep(&mut self) -> Moved {
        ptrace::step(self.pid, None).unwrap();
        self.look(Some(WaitPidFlag::WNOHANG))
    }

    /// Lets it run until it comes to an instruction, or to any other end.
    pub(crate) fn run_to(&mut self, address: u64, asleep: Option<Asleep<'_>>) -> Moved {
        let original = self.word(address);
        self.set_word(address, original & !0xff | i64::from(MARK));
        ptrace::cont(self.pid, None).unwrap();
        let moved = self.watch(asleep);
        if moved == Moved::Stands {
            self.set_word(address, original);
            let mut registers = ptrace::getregs(self.pid).unwrap();
            if registers.rip == address + 1 {
                registers.rip = address;
                ptrace::setregs(self.pid, registers).unwrap();
            }
        }
        moved
    }

    /// Lets it run past its marks to its end, which must be a good one.
    pub(crate) fn finish(mut self) {
        while !self.is_reaped {
            ptrace::cont(self.pid, None).unwrap();
            self.watch(None);
        }
    }

    fn watch(&mut self, asleep: Option<Asleep<'_>>) -> Moved {
        let how = asleep.is_some().then_some(WaitPidFlag::WNOHANG);
        match (self.look(how), asleep) {
            (Moved::Sleeps, Some(asleep)) => {
                asleep();
                self.look(None)
            }
            (moved, _) => moved,
        }
    }

    /// Waits until it stands or has ended; or, if not to wait for that, until it sleeps.
    fn look(&mut self, how: Option<WaitPidFlag>) -> Moved {
        /// Looks before one that costs more.
        const QUICK: u32 = 5;
        let start = Instant::now();
        let mut looks = 0;
        loop {
            let status = waitpid(self.pid, how);
            self.is_reaped |= matches!(
                status,
                Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..))
            );
            match status {
                Ok(WaitStatus::Stopped(_, Signal::SIGTRAP)) => return Moved::Stands,
                Ok(WaitStatus::Exited(_, 0)) => return Moved::Ended,
                Ok(WaitStatus::StillAlive) => {
                    looks += 1;
                    if looks > QUICK && is_asleep(self.pid(), self.pid()) {
                        return Moved::Sleeps;
                    }
                    thread::yield_now();
                }
                Err(Errno::EINTR) => {}
                other => panic!("{other:?}"),
            }
            assert!(
                start.elapsed() < PATIENCE / 4,
                "it neither stands nor sleeps"
            );
        }
    }

    /// Kills it; when that returns the kernel has freed what it held.
    pub(crate) fn kill(self) {}

    fn word(&self, address: u64) -> i64 {
        ptrace::read(self.pid, address as AddressType).unwrap()
    }

    /// Changes the child's own copy of a word of its code.
    fn set_word(&self, address: u64, word: i64) {
        ptrace::write(self.pid, address as AddressType, word).unwrap();
    }
}

impl Drop for Tracee {
    fn drop(&mut self) {
        if !self.is_reaped {
            let _ = kill(self.pid, Signal::SIGKILL);
            while let Ok(WaitStatus::Stopped(..)) = waitpid(self.pid, None) {}
        }
    }
}
