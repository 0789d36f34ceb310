//! Starts this program again, and receives its reports.

use crate::{Options, Result, Role};
use bytemuck::{Pod, Zeroable};
use clap::ValueEnum;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use slipring::error::PopTimeoutError;
use slipring::spsc::{Consumer, Producer, Ring};
use std::env;
use std::process::{Child, Command};
use std::time::Duration;

/// Names that are unlinked when the value is dropped, also in a panic.
#[derive(Default)]
pub(crate) struct Names(Vec<String>);

impl Names {
    pub(crate) fn keep(&mut self, name: String) -> String {
        self.0.push(name.clone());
        name
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        for name in &self.0 {
            // The name may already be unlinked.
            let _ = slipring::unlink(name);
        }
    }
}

pub(crate) fn prefix(suffix: &str) -> String {
    format!("/slipring-demo-{}{suffix}", std::process::id())
}

/// A report of a subprocess to this process.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct Report {
    pub(crate) numbers: [u64; 6],
}

/// A process that reports through a ring.
pub(crate) struct Subprocess {
    child: Child,
    reports: Consumer<Report>,
}

impl Subprocess {
    pub(crate) fn start(
        options: &Options,
        role: Role,
        prefix: &str,
        names: &mut Names,
    ) -> Result<Self> {
        let name = names.keep(report_name(role, prefix));
        let reports = Ring::<Report>::create(&name, 16)?.consumer()?;
        let mut command = Command::new(env::current_exe()?);
        command
            .args([
                "--role",
                role.to_possible_value().ok_or("no name")?.get_name(),
            ])
            .args(["--prefix", prefix])
            .args(["--messages", &options.messages.to_string()])
            .args(["--bytes", &options.bytes.to_string()])
            .args(["--capacity", &options.capacity.to_string()]);
        if let (Some(input), Some(output)) = (&options.input, &options.output) {
            command
                .arg("--input")
                .arg(input)
                .arg("--output")
                .arg(output);
        }
        let child = command.spawn()?;
        Ok(Self { child, reports })
    }

    /// Waits for the next report. `None` means that no further reports follow.
    pub(crate) fn report(&mut self) -> Result<Option<Report>> {
        loop {
            match self.reports.pop_timeout(Duration::from_millis(200)) {
                Ok(report) => return Ok(Some(report)),
                Err(PopTimeoutError::Disconnected(_)) => return Ok(None),
                Err(PopTimeoutError::TimedOut) => {
                    // The process may have exited before it opened the ring.
                    if self.child.try_wait()?.is_some() && self.reports.is_empty() {
                        return Ok(None);
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    pub(crate) fn finish(mut self) -> Result<()> {
        let status = self.child.wait()?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("a process exited with {status}").into())
        }
    }
}

impl Drop for Subprocess {
    fn drop(&mut self) {
        // After a successful run the process has already exited.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Opens the ring for the reports of a process.
pub(crate) fn reporter(role: Role, prefix: &str) -> Result<Producer<Report>> {
    Ok(Ring::open(report_name(role, prefix))?.producer()?)
}

fn report_name(role: Role, prefix: &str) -> String {
    match role {
        Role::Sender => format!("{prefix}-from-sender"),
        Role::Receiver => format!("{prefix}-from-receiver"),
    }
}

/// Pins each of the two processes to a processor of its own, if two exist.
pub(crate) fn pin(role: Role) -> Result<()> {
    let allowed = sched_getaffinity(Pid::from_raw(0))?;
    let mut processors = (0..CpuSet::count()).filter(|&cpu| allowed.is_set(cpu) == Ok(true));
    let (first, second) = (processors.next(), processors.next());
    let chosen = match role {
        Role::Sender => first,
        Role::Receiver => second,
    };
    if let (Some(chosen), Some(_)) = (chosen, second) {
        let mut only = CpuSet::new();
        only.set(chosen)?;
        sched_setaffinity(Pid::from_raw(0), &only)?;
    }
    Ok(())
}
