//! Running the program.

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::ffi::OsStr;
use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The program with its arguments; it does not outlive the test.
pub(crate) fn slipring<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_slipring"));
    command.args(arguments).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    // SAFETY: the closure makes a system call and allocates nothing.
    unsafe { command.pre_exec(|| Ok(set_pdeathsig(Signal::SIGKILL)?)) };
    command
}

/// What a program that ended has left.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) output: Vec<u8>,
    pub(crate) complaint: String,
}

impl Ended {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.output).unwrap()
    }

    /// The output of one that ended well, and said nothing else.
    #[track_caller]
    pub(crate) fn well(self) -> Vec<u8> {
        assert_eq!((self.status, &*self.complaint), (Some(0), ""), "{self:?}");
        self.output
    }

    #[track_caller]
    pub(crate) fn badly(self, status: i32, complaint: &str) {
        let expected = format!("slipring: {complaint}\n");
        assert_eq!((self.status, self.complaint), (Some(status), expected));
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let status: ExitStatus = output.status;
        Self {
            status: status.code(),
            signal: status.signal(),
            output: output.stdout,
            complaint: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Runs the program to its end.
pub(crate) fn run(arguments: &[&str]) -> Ended {
    slipring(arguments).output().unwrap().into()
}

/// A program that runs, killed when the value is dropped.
pub(crate) struct Running(Option<Child>);

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        Self(Some(command.spawn().unwrap()))
    }

    /// One whose input is the test's to write.
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

    /// Writes what one that may have ended need not read.
    pub(crate) fn try_feed(&mut self, bytes: &[u8]) {
        let _ = self.child().stdin.as_mut().unwrap().write_all(bytes);
    }

    /// Waits for the end, and asks for it when the time is over.
    pub(crate) fn end_within(&mut self, time: Duration, signal: Signal) {
        const MOMENT: Duration = Duration::from_millis(1);
        let start = Instant::now();
        while self.child().try_wait().unwrap().is_none() {
            if start.elapsed() >= time {
                return self.signal(signal);
            }
            thread::sleep(MOMENT);
        }
    }

    /// The next line that it prints.
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

    /// Closes its input, and waits for the end.
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
