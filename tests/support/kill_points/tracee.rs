//! A forked child that is traced with ptrace, one instruction at a time.

use crate::support::{TIME_LIMIT, fork_child, is_asleep};
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

/// `int3`, which stops a traced process and kills any other.
const MARK: u8 = 0xcc;

/// Stops the traced child.
#[inline(always)]
pub(crate) fn mark() {
    // SAFETY: a trap changes no register and no memory.
    unsafe { asm!("int3", options(nostack, preserves_flags)) }
}

/// A traced child. It runs only when its tracer, the thread that forked it, resumes it. It is
/// killed when the value is dropped.
pub(crate) struct Tracee {
    pid: Pid,
    is_reaped: bool,
}

/// The state of a child after it was resumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moved {
    /// It has executed its instruction, or reached a mark, and is stopped.
    Stands,
    /// It sleeps on a shared futex, in the middle of an instruction.
    Sleeps,
    /// It has exited.
    Ended,
}

/// The next instruction of a stopped child.
pub(crate) struct Next {
    pub(crate) at: u64,
    pub(crate) is_mark: bool,
    /// If it fills a range of the stack, the address of the instruction after it.
    pub(crate) past: Option<u64>,
}

/// A function that is called while the child sleeps.
pub(crate) type Asleep<'w> = &'w mut dyn FnMut();

/// Whether this process may trace a child.
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
        assert_eq!(
            moved,
            Moved::Stands,
            "the child did not reach its first mark"
        );
        ptrace::setoptions(tracee.pid, Options::PTRACE_O_EXITKILL).unwrap();
        tracee
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid.as_raw() as u32
    }

    /// The address of its next instruction.
    pub(crate) fn at(&self) -> u64 {
        ptrace::getregs(self.pid).unwrap().rip
    }

    /// Its next instruction. The code is read only if the address is not in `known`.
    pub(crate) fn next(&self, known: &mut HashMap<u64, u32>) -> Next {
        /// The range above the stack pointer that counts as stack.
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

    /// Executes one instruction. If the child may sleep there, `asleep` is called once it does.
    pub(crate) fn step(&mut self, asleep: Option<Asleep<'_>>) -> Moved {
        ptrace::step(self.pid, None).unwrap();
        self.watch(asleep)
    }

    /// Executes one instruction, in which the child should fall asleep, and leaves it asleep.
    pub(crate) fn step_into_sleep(&mut self) -> Moved {
        ptrace::step(self.pid, None).unwrap();
        self.wait(Some(WaitPidFlag::WNOHANG))
    }

    /// Runs the child until it reaches an address, or stops for another reason.
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

    /// Runs the child past its marks to its exit, which must be successful.
    pub(crate) fn finish(mut self) {
        while !self.is_reaped {
            ptrace::cont(self.pid, None).unwrap();
            self.watch(None);
        }
    }

    fn watch(&mut self, asleep: Option<Asleep<'_>>) -> Moved {
        let how = asleep.is_some().then_some(WaitPidFlag::WNOHANG);
        match (self.wait(how), asleep) {
            (Moved::Sleeps, Some(asleep)) => {
                asleep();
                self.wait(None)
            }
            (moved, _) => moved,
        }
    }

    /// Waits until the child has stopped or exited or, with `WNOHANG`, until it sleeps.
    fn wait(&mut self, how: Option<WaitPidFlag>) -> Moved {
        /// The number of polls before the first one that reads `/proc`.
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
                start.elapsed() < TIME_LIMIT / 4,
                "the child neither stops nor sleeps"
            );
        }
    }

    /// Kills the child. When this returns, the kernel has released its locks.
    pub(crate) fn kill(self) {}

    fn word(&self, address: u64) -> i64 {
        ptrace::read(self.pid, address as AddressType).unwrap()
    }

    /// Changes a word of the child's private copy of the code.
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
