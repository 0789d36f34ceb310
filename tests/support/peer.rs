//! Peer processes: re-executions of this test program, and forked children.

use super::{TIME_LIMIT, until};
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
/// The emulator that runs programs of this build, where the kernel does not run them.
const RUNNER: &str = "SLIPRING_TEST_RUNNER";
/// The command that runs this test program's build for another processor.
const FOREIGN: &str = "SLIPRING_TEST_FOREIGN";

/// A role: the part of a test that runs in a re-execution of the test program.
pub(crate) struct Role {
    arguments: Vec<String>,
}

/// The role that this process was started for, if it is called `name`. `None` if the function runs
/// for another reason, as when a user runs all ignored tests.
pub(crate) fn role(name: &str) -> Option<Role> {
    if env::var(ROLE).ok()? != name {
        return None;
    }
    alarm::set(TIME_LIMIT.as_secs() as u32);
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

    /// Waits for one [`Peer::signal`]. Returns `false` if the parent has closed the pipe.
    pub(crate) fn wait_for_signal(&self) -> bool {
        matches!(io::stdin().read(&mut [0]), Ok(1))
    }
}

/// Executes this test program again, with the role function `role` as its only test. That function
/// must be in the same file as the caller.
#[track_caller]
pub(crate) fn start(role: &str, arguments: &[&dyn Display]) -> Peer {
    start_under(&[], role, arguments)
}

/// A process that runs a role. It is killed when the value is dropped, when the test's thread ends,
/// and when the test process dies.
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

/// As [`start`], with the build for another processor if there is one.
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

/// The path that selects the test `name` in the file of `caller`: the modules of the file, then the
/// name.
pub(super) fn path_from(caller: &Location<'_>, name: &str) -> String {
    let file = Path::new(caller.file()).with_extension("");
    let names: Vec<_> = file.iter().filter_map(OsStr::to_str).collect();
    let tests = names.iter().rposition(|name| *name == "tests").unwrap();
    // Skip `tests` and the folder of the test program.
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

    /// Makes one [`Role::wait_for_signal`] return.
    pub(crate) fn signal(&mut self) {
        let pipe = self.child.stdin.as_mut().unwrap();
        pipe.write_all(&[1]).unwrap();
    }

    pub(crate) fn kill(&self) {
        kill_process(self.pid());
    }

    /// Stops every thread, and returns when all of them have stopped.
    pub(crate) fn stop(&self) {
        kill(pid(self.pid()), Signal::SIGSTOP).unwrap();
        until("all threads have stopped", || {
            threads_of(self.pid()).all(|thread| state_of(self.pid(), thread) == Some('T'))
        });
    }

    pub(crate) fn resume(&self) {
        kill(pid(self.pid()), Signal::SIGCONT).unwrap();
    }

    /// Waits for its exit, with any status.
    pub(crate) fn reap(&mut self) -> ExitStatus {
        drop(self.child.stdin.take());
        self.child.wait().unwrap()
    }

    pub(crate) fn kill_and_reap(&mut self) {
        self.kill();
        self.reap();
    }

    /// Waits for its exit, which must be successful.
    pub(crate) fn finish(mut self) {
        let status = self.reap();
        assert!(status.success(), "{} ended with {status}", self.role);
    }

    /// Waits until a thread of the peer sleeps on a shared futex.
    pub(crate) fn wait_until_asleep(&self) {
        until("the peer sleeps on a futex", || {
            assert_ne!(
                state_of(self.pid(), self.pid()),
                Some('Z'),
                "the peer has exited"
            );
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

/// A forked child that executes no other program. It is killed when the value is dropped.
pub(crate) struct Forked {
    pid: Pid,
    is_reaped: bool,
}

/// Forks a child that runs `body` and exits. If `body` panics, the child prints the panic message
/// and exits with status 1.
pub(crate) fn fork_child(body: impl FnOnce()) -> Forked {
    let parent = getpid();
    fork_and(|| {
        // This comes first: the child then dies with its parent even if it blocks on a lock that
        // another thread of the parent held.
        die_with(parent).unwrap();
        body();
    })
}

fn fork_and(body: impl FnOnce()) -> Forked {
    // SAFETY: the child runs `body` and then exits, without unwinding into this function's callers.
    // The C library keeps its allocator usable in the child.
    match unsafe { fork() }.unwrap() {
        ForkResult::Parent { child } => Forked {
            pid: child,
            is_reaped: false,
        },
        ForkResult::Child => {
            let ended = panic::catch_unwind(AssertUnwindSafe(body));
            if let Err(panic) = &ended {
                write_panic(panic.as_ref());
            }
            // SAFETY: `_exit` ends the process without running the exit handlers of the parent.
            unsafe { nix::libc::_exit(i32::from(ended.is_err())) }
        }
    }
}

/// Forks a child that survives the death of this process.
pub(crate) fn fork_orphan(body: impl FnOnce()) -> u32 {
    let child = fork_and(|| {
        alarm::set(TIME_LIMIT.as_secs() as u32);
        body();
    });
    // No value kills or reaps it.
    let pid = child.pid();
    std::mem::forget(child);
    pid
}

/// Writes a panic message without taking locks, which other threads of the parent may have held.
fn write_panic(panic: &(dyn Any + Send)) {
    let message = panic.downcast_ref::<String>().map(String::as_str);
    let message = message.or(panic.downcast_ref::<&str>().copied());
    let message = message.unwrap_or("a panic");
    let line = format!("in a forked child: {message}\n");
    let stderr = nix::libc::STDERR_FILENO;
    // SAFETY: the bytes outlive the call.
    unsafe { nix::libc::write(stderr, line.as_ptr().cast(), line.len()) };
}

impl Forked {
    pub(crate) fn pid(&self) -> u32 {
        self.pid.as_raw() as u32
    }

    /// Waits until it has exited, without reaping it: it stays a zombie.
    pub(crate) fn await_end(&self) {
        until("the child is a zombie", || {
            state_of(self.pid(), self.pid()) == Some('Z')
        });
    }

    pub(crate) fn kill_and_reap(&mut self) -> WaitStatus {
        kill_process(self.pid());
        self.reap()
    }

    /// Waits for its exit, with any status.
    pub(crate) fn reap(&mut self) -> WaitStatus {
        self.is_reaped = true;
        waitpid(self.pid, None).unwrap()
    }

    /// Its exit status if it has exited; it is reaped then.
    pub(crate) fn has_ended(&mut self) -> Option<WaitStatus> {
        match waitpid(self.pid, Some(WaitPidFlag::WNOHANG)).unwrap() {
            WaitStatus::StillAlive => None,
            ended => {
                self.is_reaped = true;
                Some(ended)
            }
        }
    }

    /// Waits for its exit, which must be successful.
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
    // This succeeds for a zombie as well, and the caller is the only process that reaps it.
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

/// Whether a thread is blocked in the system call that the library blocks in: a wait on a shared
/// futex.
pub(crate) fn is_asleep(process: u32, thread: u32) -> bool {
    /// The call's number on x86-64 and on aarch64. Under emulation the kernel's number is not
    /// that of this program's processor.
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
