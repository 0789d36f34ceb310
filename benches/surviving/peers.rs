//! Starting this program again, each process on a processor of its side.

use crate::{Result, dead, price, survivors};
use clap::{Args, ValueEnum};
use common::{processors, run_on};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::alarm;
use std::env;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

/// What a process is there for.
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

/// Which of its kind a process is, and what the crew is like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Args)]
pub(crate) struct Shape {
    #[arg(long, hide = true, default_value_t = 0)]
    pub(crate) index: u64,
    /// How many producers there are, and as many consumers.
    #[arg(long, hide = true, default_value_t = 1)]
    pub(crate) each: u64,
    /// Whether both processors have producers and consumers, and not one the ones and the other
    /// the others.
    #[arg(long, hide = true)]
    pub(crate) is_mixed: bool,
    #[arg(long, hide = true, default_value_t = 1)]
    pub(crate) rounds: u64,
    /// Bytes of a message.
    #[arg(long, hide = true, default_value_t = 8)]
    pub(crate) bytes: u64,
}

/// No process lasts longer, whatever happened.
const WATCHDOG: u32 = 200;

/// Does what the process was started for.
pub(crate) fn take_part(role: Role, prefix: &str, shape: &Shape) -> Result<()> {
    set_pdeathsig(Signal::SIGKILL)?;
    alarm::set(WATCHDOG);
    match role {
        Role::Producer | Role::Consumer => {
            pin(role == Role::Consumer, shape)?;
            price::take_part(role, prefix, shape)
        }
        Role::DeadProducer | Role::DeadConsumer => {
            pin(role == Role::DeadConsumer, shape)?;
            dead::take_part(role, prefix, shape)
        }
        Role::DeadVictim => dead::be_killed(prefix, shape),
        Role::StallProducer => {
            pin(false, shape)?;
            survivors::push(prefix)
        }
        Role::StallConsumer => {
            pin(true, shape)?;
            survivors::pop(prefix)
        }
        Role::StallClaimant => survivors::claim(prefix),
        Role::StallReader => survivors::read(prefix),
    }
}

/// Gives each side a processor, or each half of both, where there are two. So the first producer
/// and the first consumer are always apart.
fn pin(is_consumer: bool, shape: &Shape) -> Result<()> {
    let half = if shape.is_mixed { shape.index } else { 0 };
    if let [first, second, ..] = processors()?[..] {
        let is_second = (half + u64::from(is_consumer)) % 2 == 1;
        run_on(if is_second { second } else { first })?;
    }
    Ok(())
}

/// Processes that are killed when the value goes.
#[derive(Default)]
pub(crate) struct Crew(Vec<(Role, Child)>);

impl Crew {
    pub(crate) fn start(&mut self, role: Role, prefix: &str, shape: &Shape) -> Result<()> {
        self.0.push((role, start(role, prefix, shape)?));
        Ok(())
    }

    /// Waits until all have ended well, or one has not.
    pub(crate) fn finish(mut self) -> Result<()> {
        while self.are_working()? {
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Whether any of them is still at it; none has failed.
    pub(crate) fn are_working(&mut self) -> Result<bool> {
        let mut are_working = false;
        for (role, child) in &mut self.0 {
            match child.try_wait()? {
                None => are_working = true,
                Some(status) if status.success() => {}
                Some(status) => return Err(format!("a {role:?} ended with {status}").into()),
            }
        }
        Ok(are_working)
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        for (_, child) in &mut self.0 {
            bury(child);
        }
    }
}

/// A process that is killed when the value goes, if not before.
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

    /// Whether it has not ended by itself.
    pub(crate) fn check(&mut self) -> Result<()> {
        match self.0.try_wait()? {
            None => Ok(()),
            Some(status) => Err(format!("a victim ended with {status}").into()),
        }
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        bury(&mut self.0);
    }
}

/// It may have ended before, and then there is nothing to kill or to wait for.
fn bury(child: &mut Child) {
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
