//! Starting this program again, and hearing from it.

use crate::{Options, Part, Result};
use bytemuck::{Pod, Zeroable};
use clap::ValueEnum;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use slipring::error::PopTimeoutError;
use slipring::spsc::{Consumer, Producer, Ring};
use std::env;
use std::process::{Child, Command};
use std::time::Duration;

/// Rings whose names go when the value does, also in a panic.
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
            // Gone already, if it is a file of ours that was removed earlier.
            let _ = slipring::unlink(name);
        }
    }
}

pub(crate) fn prefix(suffix: &str) -> String {
    format!("/slipring-demo-{}{suffix}", std::process::id())
}

/// What one of the two others tells this process.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct Report {
    pub(crate) numbers: [u64; 6],
}

/// One of the two others.
pub(crate) struct Partner {
    child: Child,
    reports: Consumer<Report>,
}

impl Partner {
    pub(crate) fn start(
        options: &Options,
        part: Part,
        prefix: &str,
        names: &mut Names,
    ) -> Result<Self> {
        let name = names.keep(report_name(part, prefix));
        let reports = Ring::<Report>::create(&name, 16)?.consumer()?;
        let mut command = Command::new(env::current_exe()?);
        command
            .args([
                "--role",
                part.to_possible_value().ok_or("no name")?.get_name(),
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

    /// The next report; `None` when there will be no more.
    pub(crate) fn report(&mut self) -> Result<Option<Report>> {
        loop {
            match self.reports.pop_timeout(Duration::from_millis(200)) {
                Ok(report) => return Ok(Some(report)),
                Err(PopTimeoutError::Disconnected(_)) => return Ok(None),
                Err(PopTimeoutError::TimedOut) => {
                    // It may have ended before it could open the ring.
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
            Err(format!("a process ended with {status}").into())
        }
    }
}

impl Drop for Partner {
    fn drop(&mut self) {
        // If all went well it has ended, and there is nothing left to kill or to wait for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where one of the two others reports.
pub(crate) fn reporter(part: Part, prefix: &str) -> Result<Producer<Report>> {
    Ok(Ring::open(&report_name(part, prefix))?.producer()?)
}

fn report_name(part: Part, prefix: &str) -> String {
    match part {
        Part::Sender => format!("{prefix}-from-sender"),
        Part::Receiver => format!("{prefix}-from-receiver"),
    }
}

/// Gives each of the two a processor of its own, where there are as many.
pub(crate) fn pin(part: Part) -> Result<()> {
    let allowed = sched_getaffinity(Pid::from_raw(0))?;
    let mut processors = (0..CpuSet::count()).filter(|&cpu| allowed.is_set(cpu) == Ok(true));
    let (first, second) = (processors.next(), processors.next());
    let chosen = match part {
        Part::Sender => first,
        Part::Receiver => second,
    };
    if let (Some(chosen), Some(_)) = (chosen, second) {
        let mut only = CpuSet::new();
        only.set(chosen)?;
        sched_setaffinity(Pid::from_raw(0), &only)?;
    }
    Ok(())
}
