//! Running the program and checking its result.

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::ffi::OsStr;
use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A command that runs the program. The process dies with the test.
pub(crate) fn slipring<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_slipring"));
    command.args(arguments).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    // SAFETY: the closure makes a system call and allocates nothing.
    unsafe { command.pre_exec(|| Ok(set_pdeathsig(Signal::SIGKILL)?)) };
    command
}

/// Exit status and output of a process.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Ended {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).unwrap()
    }

    /// The standard output. Panics unless the status is 0 and standard error is empty.
    #[track_caller]
    pub(crate) fn success(self) -> Vec<u8> {
        assert_eq!((self.status, &*self.stderr), (Some(0), ""), "{self:?}");
        self.stdout
    }

    /// Panics unless the process exited with `status` and printed exactly `error`, as one line.
    #[track_caller]
    pub(crate) fn failure(self, status: i32, error: &str) {
        let expected = format!("slipring: {error}\n");
        assert_eq!((self.status, self.stderr), (Some(status), expected));
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let status: ExitStatus = output.status;
        Self {
            status: status.code(),
            signal: status.signal(),
            stdout: output.stdout,
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Runs the program until it exits.
pub(crate) fn run(arguments: &[&str]) -> Ended {
    slipring(arguments).output().unwrap().into()
}

/// A running process. It is killed when the value is dropped.
pub(crate) struct Running(Option<Child>);

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        Self(Some(command.spawn().unwrap()))
    }

    /// Starts the program with a pipe as standard input.
    pub(crate) fn with_input(arguments: &[&str]) -> Self {
        let mut command = slipring(arguments);
        command.stdin(Stdio::piped());
        Self::start(command)
    }

    fn child(&mut self) -> &mut Child {
        self.0.as_mut().unwrap()
    }

    pub(crate) fn pid(&mut self) -> u32 {
        self.child().id()
    }

    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        let input = self.child().stdin.as_mut().unwrap();
        input.write_all(bytes).unwrap();
    }

    pub(crate) fn input(&mut self) -> ChildStdin {
        self.child().stdin.take().unwrap()
    }

    pub(crate) fn output(&mut self) -> ChildStdout {
        self.child().stdout.take().unwrap()
    }

    /// Writes to the standard input of a process that may have exited.
    pub(crate) fn try_feed(&mut self, bytes: &[u8]) {
        let _ = self.child().stdin.as_mut().unwrap().write_all(bytes);
    }

    /// Waits until the process exits, and sends `signal` if it has not after `time`.
    pub(crate) fn end_within(&mut self, time: Duration, signal: Signal) {
        const PAUSE: Duration = Duration::from_millis(1);
        let start = Instant::now();
        while self.child().try_wait().unwrap().is_none() {
            if start.elapsed() >= time {
                return self.signal(signal);
            }
            thread::sleep(PAUSE);
        }
    }

    /// Reads the next line of the standard output, unbuffered.
    pub(crate) fn line(&mut self) -> String {
        let output = self.child().stdout.as_mut().unwrap();
        let mut line = Vec::new();
        let mut byte = [0];
        while output.read(&mut byte).unwrap() == 1 && byte != *b"\n" {
            line.extend(byte);
        }
        String::from_utf8(line).unwrap()
    }

    pub(crate) fn signal(&mut self, signal: Signal) {
        kill(Pid::from_raw(self.pid() as i32), signal).unwrap();
    }

    /// Closes the standard input, and waits until the process exits.
    pub(crate) fn end(mut self) -> Ended {
        let child = self.0.take().unwrap();
        child.wait_with_output().unwrap().into()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
