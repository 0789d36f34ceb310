//! Other processes: this program executed again, and forked children.

use super::{PATIENCE, until};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, alarm, fork, getpid, getppid, gettid};
use std::any::Any;
use std::ffi::OsStr;
use std::fmt::Display;
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::panic::{self, AssertUnwindSafe, Location};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::{env, fs};

const ROLE: &str = "SLIPRING_TEST_ROLE";
const ARGUMENTS: &str = "SLIPRING_TEST_ARGUMENTS";
/// What runs programs of this build, where the kernel does not.
const RUNNER: &str = "SLIPRING_TEST_RUNNER";
/// This program's build for another processor, behind what runs it.
const FOREIGN: &str = "SLIPRING_TEST_FOREIGN";

/// The part that this process plays in somebody else's test.
pub(crate) struct Role {
    arguments: Vec<String>,
}

/// The arguments of a role function; `None` if nobody plays it now, as when a user runs all
/// ignored tests.
pub(crate) fn role(name: &str) -> Option<Role> {
    if env::var(ROLE).ok()? != name {
        return None;
    }
    alarm::set(PATIENCE.as_secs() as u32);
    let arguments = env::var(ARGUMENTS).unwrap();
    Some(Role {
        arguments: arguments.split('\n').map(Into::into).collect(),
    })
}

impl Role {
    pub(crate) fn text(&self, index: usize) -> &str {
        &self.arguments[index]
    }

    pub(crate) fn number(&self, index: usize) -> u64 {
        self.text(index).parse().unwrap()
    }

    /// Waits for the other side's [`Peer::tell`]; `false` if there will be none.
    pub(crate) fn is_told(&self) -> bool {
        matches!(io::stdin().read(&mut [0]), Ok(1))
    }
}

/// Executes this program again, as one of its role functions.
#[track_caller]
pub(crate) fn start(role: &str, arguments: &[&dyn Display]) -> Peer {
    start_under(&[], role, arguments)
}

/// A process that was started to play a role. It is killed when the value is dropped, when
/// the test's thread ends, and when the test dies.
pub(crate) struct Peer {
    child: Child,
    role: String,
}

#[track_caller]
pub(crate) fn start_under(wrapper: &[&str], role: &str, arguments: &[&dyn Display]) -> Peer {
    let runner = env::var(RUNNER).unwrap_or_default();
    let program = env::current_exe().unwrap();
    let words = wrapper.iter().copied().chain(runner.split_whitespace());
    let words = words.chain([program.to_str().unwrap()]);
    start_as(&words.collect::<Vec<_>>(), role, arguments)
}

/// As `start`, of the build for another processor if there is one.
#[track_caller]
pub(crate) fn start_foreign(role: &str, arguments: &[&dyn Display]) -> Peer {
    match env::var(FOREIGN) {
        Ok(program) => {
            let words: Vec<_> = program.split_whitespace().collect();
            start_as(&words, role, arguments)
        }
        Err(_) => start(role, arguments),
    }
}

#[track_caller]
fn start_as(words: &[&str], role: &str, arguments: &[&dyn Display]) -> Peer {
    let test = path_from(Location::caller(), role);
    let mut command = Command::new(words[0]);
    command.args(&words[1..]);
    let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
    command
        .args([&*test, "--exact", "--ignored", "--nocapture"])
        .arg("--test-threads=1")
        .env(ROLE, role)
        .env(ARGUMENTS, arguments.join("\n"))
        .stdin(Stdio::piped())
        .stdout(Stdio::null());
    let parent = getpid();
    // SAFETY: the closure makes two system calls and allocates nothing.
    unsafe {
        command.pre_exec(move || die_with(parent));
    }
    Peer {
        child: command.spawn().unwrap(),
        role: role.into(),
    }
}

/// The path by which the test program knows a function that is called `name` in the file of
/// `caller`: the file's module comes first.
pub(super) fn path_from(caller: &Location<'_>, name: &str) -> String {
    let file = Path::new(caller.file()).with_extension("");
    let names: Vec<_> = file.iter().filter_map(OsStr::to_str).collect();
    let tests = names.iter().rposition(|name| *name == "tests").unwrap();
    // Below the folder of the test program.
    let modules = names[tests..].iter().skip(2).copied();
    modules.chain([name]).collect::<Vec<_>>().join("::")
}

fn die_with(parent: Pid) -> io::Result<()> {
    set_pdeathsig(Signal::SIGKILL)?;
    if getppid() == parent {
        Ok(())
    } else {
        Err(io::ErrorKind::NotConnected.into())
    }
}

impl Peer {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Lets one [`Role::is_told`] return.
    pub(crate) fn tell(&mut self) {
        let pipe = self.child.stdin.as_mut().unwrap();
        pipe.write_all(&[1]).unwrap();
    }

    pub(crate) fn kill(&self) {
        kill_process(self.pid());
    }

    /// Stops every thread, and returns when they stand still.
    pub(crate) fn stop(&self) {
        kill(pid(self.pid()), Signal::SIGSTOP).unwrap();
        until("all threads have stopped", || {
            threads_of(self.pid()).all(|thread| state_of(self.pid(), thread) == Some('T'))
        });
    }

    pub(crate) fn resume(&self) {
        kill(pid(self.pid()), Signal::SIGCONT).unwrap();
    }

    /// Waits for the end, however it ends.
    pub(crate) fn reap(&mut self) -> ExitStatus {
        drop(self.child.stdin.take());
        self.child.wait().unwrap()
    }

    pub(crate) fn kill_and_reap(&mut self) {
        self.kill();
        self.reap();
    }

    /// Waits for the end, which must be a good one.
    pub(crate) fn finish(mut self) {
        let status = self.reap();
        assert!(status.success(), "{} ended with {status}", self.role);
    }

    /// Waits until the role's thread sleeps on a shared futex.
    pub(crate) fn falls_asleep(&self) {
        until("the peer sleeps on a futex", || {
            assert_ne!(state_of(self.pid(), self.pid()), Some('Z'), "it has ended");
            threads_of(self.pid()).any(|thread| is_asleep(self.pid(), thread))
        });
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A child that was forked without executing anything. Killed when dropped.
pub(crate) struct Forked {
    pid: Pid,
    is_reaped: bool,
}

/// Forks a child that runs `body` and ends; a panic of `body` is told on stderr and by the
/// exit status.
pub(crate) fn fork_child(body: impl FnOnce()) -> Forked {
    let parent = getpid();
    fork_and(|| {
        // First of all: whatever the locks of the other threads are like, it ends.
        die_with(parent).unwrap();
        body();
    })
}

fn fork_and(body: impl FnOnce()) -> Forked {
    // SAFETY: the child runs `body` and then ends without unwinding into this function's
    // callers; the C library keeps its allocator usable in it.
    match unsafe { fork() }.unwrap() {
        ForkResult::Parent { child } => Forked {
            pid: child,
            is_reaped: false,
        },
        ForkResult::Child => {
            let ended = panic::catch_unwind(AssertUnwindSafe(body));
            if let Err(panic) = &ended {
                tell_by_hand(panic.as_ref());
            }
            // SAFETY: ends the process without running what the parent registered to be run.
            unsafe { nix::libc::_exit(i32::from(ended.is_err())) }
        }
    }
}

/// Forks a child that lives on when this process dies.
pub(crate) fn fork_orphan(body: impl FnOnce()) -> u32 {
    let child = fork_and(|| {
        alarm::set(PATIENCE.as_secs() as u32);
        body();
    });
    // Nobody waits for it here.
    let pid = child.pid();
    std::mem::forget(child);
    pid
}

/// Writes what a panic said, past locks that other threads of the parent may have held.
fn tell_by_hand(panic: &(dyn Any + Send)) {
    let said = panic.downcast_ref::<String>().map(String::as_str);
    let said = said.or(panic.downcast_ref::<&str>().copied());
    let said = said.unwrap_or("a panic");
    let line = format!("in a forked child: {said}\n");
    let stderr = nix::libc::STDERR_FILENO;
    // SAFETY: the bytes outlive the call.
    unsafe { nix::libc::write(stderr, line.as_ptr().cast(), line.len()) };
}

impl Forked {
    pub(crate) fn pid(&self) -> u32 {
        self.pid.as_raw() as u32
    }

    /// Waits until it is dead, but leaves it a zombie.
    pub(crate) fn await_end(&self) {
        until("the child is a zombie", || {
            state_of(self.pid(), self.pid()) == Some('Z')
        });
    }

    pub(crate) fn kill_and_reap(&mut self) -> WaitStatus {
        kill_process(self.pid());
        self.reap()
    }

    /// Waits for the end, however it ends.
    pub(crate) fn reap(&mut self) -> WaitStatus {
        self.is_reaped = true;
        waitpid(self.pid, None).unwrap()
    }

    /// Whether it ended; reaps it if so.
    pub(crate) fn has_ended(&mut self) -> Option<WaitStatus> {
        match waitpid(self.pid, Some(WaitPidFlag::WNOHANG)).unwrap() {
            WaitStatus::StillAlive => None,
            ended => {
                self.is_reaped = true;
                Some(ended)
            }
        }
    }

    /// Waits for the end, which must be a good one.
    pub(crate) fn finish(mut self) {
        let ended = self.reap();
        assert!(matches!(ended, WaitStatus::Exited(_, 0)), "{ended:?}");
    }
}

impl Drop for Forked {
    fn drop(&mut self) {
        if !self.is_reaped {
            kill_process(self.pid());
            let _ = waitpid(self.pid, None);
        }
    }
}

pub(crate) fn kill_process(process: u32) {
    // A zombie can be killed too, and nobody else reaps it.
    kill(pid(process), Signal::SIGKILL).unwrap();
}

fn pid(process: u32) -> Pid {
    Pid::from_raw(process as i32)
}

/// The calling thread, for [`is_asleep`].
pub(crate) fn thread_id() -> u32 {
    gettid().as_raw() as u32
}

fn threads_of(process: u32) -> impl Iterator<Item = u32> {
    fs::read_dir(format!("/proc/{process}/task"))
        .unwrap()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// The state letter of a thread; `None` if there is no such thread.
pub(crate) fn state_of(process: u32, thread: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{process}/task/{thread}/stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(") ")?;
    after_name.chars().next()
}

/// Whether a thread is in the very system call in which the library sleeps: a wait on a futex
/// that is shared between processes.
pub(crate) fn is_asleep(process: u32, thread: u32) -> bool {
    /// As the kernel numbers it, on x86-64 and on aarch64: this program may be made for the other.
    const FUTEX: [&str; 2] = ["202", "98"];
    let path = format!("/proc/{process}/task/{thread}/syscall");
    let Ok(call) = fs::read_to_string(path) else {
        return false;
    };
    let mut words = call.split_ascii_whitespace();
    let is_futex = words.next().is_some_and(|call| FUTEX.contains(&call));
    let operation = words.nth(1);
    is_futex && operation == Some("0x9") && state_of(process, thread) == Some('S')
}
