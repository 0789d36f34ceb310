//! Starts this program again, with each process on the processor of its side.

use crate::{Result, dead, price, stall_processes};
use bench_support::{processors, run_on};
use clap::{Args, ValueEnum};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::alarm;
use std::env;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

/// The role of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    Producer,
    Consumer,
    DeadProducer,
    DeadConsumer,
    /// Pushes and pops until it is killed.
    DeadVictim,
    StallProducer,
    StallConsumer,
    /// Claims, and waits to be killed.
    StallClaimant,
    /// Reads, and waits to be killed.
    StallReader,
}

/// The index of a process among those of its role, and the shape of the crew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Args)]
pub(crate) struct Shape {
    #[arg(long, hide = true, default_value_t = 0)]
    pub(crate) index: u64,
    /// The number of producers, and also of consumers.
    #[arg(long, hide = true, default_value_t = 1)]
    pub(crate) each: u64,
    /// Whether each processor runs both producers and consumers.
    #[arg(long, hide = true)]
    pub(crate) is_mixed: bool,
    #[arg(long, hide = true, default_value_t = 1)]
    pub(crate) rounds: u64,
    /// Bytes of a message.
    #[arg(long, hide = true, default_value_t = 8)]
    pub(crate) bytes: u64,
}

/// Seconds until the kernel kills a process that still runs.
const WATCHDOG: u32 = 200;

/// Runs the part of this process.
pub(crate) fn run_part(role: Role, prefix: &str, shape: &Shape) -> Result<()> {
    set_pdeathsig(Signal::SIGKILL)?;
    alarm::set(WATCHDOG);
    match role {
        Role::Producer | Role::Consumer => {
            pin(role == Role::Consumer, shape)?;
            price::run_part(role, prefix, shape)
        }
        Role::DeadProducer | Role::DeadConsumer => {
            pin(role == Role::DeadConsumer, shape)?;
            dead::run_part(role, prefix, shape)
        }
        Role::DeadVictim => dead::run_victim(prefix, shape),
        Role::StallProducer => {
            pin(false, shape)?;
            stall_processes::push(prefix)
        }
        Role::StallConsumer => {
            pin(true, shape)?;
            stall_processes::pop(prefix)
        }
        Role::StallClaimant => stall_processes::claim(prefix),
        Role::StallReader => stall_processes::read(prefix),
    }
}

/// Pins each side to a processor, or half of each side if the crew is mixed. The first producer
/// and the first consumer always run on different processors, if two exist.
fn pin(is_consumer: bool, shape: &Shape) -> Result<()> {
    let half = if shape.is_mixed { shape.index } else { 0 };
    if let [first, second, ..] = processors()?[..] {
        let is_second = (half + u64::from(is_consumer)) % 2 == 1;
        run_on(if is_second { second } else { first })?;
    }
    Ok(())
}

/// Processes that are killed when the value is dropped.
#[derive(Default)]
pub(crate) struct Crew(Vec<(Role, Child)>);

impl Crew {
    pub(crate) fn start(&mut self, role: Role, prefix: &str, shape: &Shape) -> Result<()> {
        self.0.push((role, start(role, prefix, shape)?));
        Ok(())
    }

    /// Waits until all processes have succeeded or one has failed.
    pub(crate) fn finish(mut self) -> Result<()> {
        while self.are_working()? {
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Whether any process still runs. Returns an error if one has failed.
    pub(crate) fn are_working(&mut self) -> Result<bool> {
        let mut are_working = false;
        for (role, child) in &mut self.0 {
            match child.try_wait()? {
                None => are_working = true,
                Some(status) if status.success() => {}
                Some(status) => return Err(format!("{role:?} exited with {status}").into()),
            }
        }
        Ok(are_working)
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        for (_, child) in &mut self.0 {
            kill_and_wait(child);
        }
    }
}

/// A process that is killed when the value is dropped, if not before.
pub(crate) struct Victim(Child);

impl Victim {
    pub(crate) fn start(role: Role, prefix: &str, shape: &Shape) -> Result<Self> {
        Ok(Self(start(role, prefix, shape)?))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn kill(&mut self) -> Result<()> {
        Ok(self.0.kill()?)
    }

    /// Returns an error if the process has exited.
    pub(crate) fn check(&mut self) -> Result<()> {
        match self.0.try_wait()? {
            None => Ok(()),
            Some(status) => Err(format!("the victim exited with {status}").into()),
        }
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        kill_and_wait(&mut self.0);
    }
}

/// Errors are ignored: the process may already have been reaped.
fn kill_and_wait(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

fn start(role: Role, prefix: &str, shape: &Shape) -> Result<Child> {
    let role = role.to_possible_value().ok_or("no name")?;
    let mut command = Command::new(env::current_exe()?);
    command
        .args(["--role", role.get_name(), "--prefix", prefix])
        .args(["--index", &shape.index.to_string()])
        .args(["--each", &shape.each.to_string()])
        .args(["--rounds", &shape.rounds.to_string()])
        .args(["--bytes", &shape.bytes.to_string()])
        .stdin(Stdio::null());
    if shape.is_mixed {
        command.arg("--is-mixed");
    }
    Ok(command.spawn()?)
}
