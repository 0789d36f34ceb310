//! Streams from many producers to many consumers, and optionally kills them meanwhile.

mod log;
mod member;

pub(crate) use self::member::{consume, produce};

use self::log::{Log, Total};
use crate::processes::{Names, prefix};
use crate::{Options, Result, Role};
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use slipring::Options as RingOptions;
use slipring::mpmc::Ring;
use std::collections::hash_map::RandomState;
use std::env;
use std::hash::{BuildHasher, Hasher};
use std::process::{Child, Command};
use std::sync::atomic::Ordering::{Acquire, Release};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) const SUFFIX: &str = "-many";

/// The interval between checks of the processes, and the minimum between kills.
const PAUSE: Duration = Duration::from_millis(2);
/// A short liveness interval, because processes die often.
const INTERVAL: Duration = Duration::from_millis(5);

pub(crate) fn run(options: &Options) -> Result<bool> {
    let mut names = Names::default();
    let prefix = prefix(SUFFIX);
    let mut ring_options = RingOptions::new()
        .capacity(options.capacity)
        .message_size(options.bytes as usize);
    if options.kill {
        ring_options = ring_options.liveness_interval(INTERVAL);
    }
    let ring = Ring::<[u8]>::create_with(names.keep(ring_name(&prefix)), &ring_options)?;
    let log = names.keep(log_name(&prefix));
    let log = Log::open(&log, options.producers, options.messages)?;

    let start = Instant::now();
    let mut processes = Processes::start(options, &prefix)?;
    let style = "{bar:40} {human_pos} of {human_len} messages, {per_sec}, {eta} left";
    let bar = ProgressBar::new(options.messages).with_style(ProgressStyle::with_template(style)?);
    while !processes.are_over(Role::Sender)? {
        bar.set_position(log.pushed());
        thread::sleep(PAUSE);
        if options.kill {
            processes.kill_one(options, &prefix)?;
        }
    }
    log.total(Total::Over).store(1, Release);
    while !processes.are_over(Role::Receiver)? {
        thread::sleep(PAUSE);
    }
    bar.finish_and_clear();
    let seconds = start.elapsed().as_secs_f64();

    let (lost, never_pushed) = log.missing();
    let total = |total| log.total(total).load(Acquire);
    let faults = [
        lost,
        total(Total::Duplicated),
        total(Total::Disordered),
        total(Total::Damaged),
    ];
    println!(
        "{} messages of {} bytes from {} producers to {} consumers in {seconds:.2} s: \
         {:.2} million messages a second",
        options.messages,
        options.bytes,
        options.producers,
        options.consumers,
        options.messages as f64 / seconds / 1e6,
    );
    println!(
        "lost {lost}, duplicated {}, out of order {}",
        faults[1], faults[2]
    );
    if faults[3] > 0 {
        println!("damaged {}", faults[3]);
    }
    if options.kill {
        println!(
            "{} processes killed: {} messages redelivered, {never_pushed} never pushed because \
             their producers were killed during the push; {:?}",
            processes.kills,
            total(Total::Redelivered),
            ring.counters(),
        );
    }
    Ok(faults == [0; 4] && ring.is_empty())
}

/// The producers and consumers.
struct Processes {
    members: Vec<Member>,
    dice: RandomState,
    kills: u64,
}

struct Member {
    role: Role,
    index: u64,
    child: Child,
    is_over: bool,
}

impl Processes {
    fn start(options: &Options, prefix: &str) -> Result<Self> {
        let mut processes = Self {
            members: Vec::new(),
            dice: RandomState::new(),
            kills: 0,
        };
        for (role, count) in [
            (Role::Receiver, options.consumers),
            (Role::Sender, options.producers),
        ] {
            for index in 0..count {
                processes.members.push(Member {
                    role,
                    index,
                    child: spawn(options, role, index, prefix)?,
                    is_over: false,
                });
            }
        }
        Ok(processes)
    }

    /// Whether all processes of a role have exited. Returns an error if any has failed.
    fn are_over(&mut self, role: Role) -> Result<bool> {
        let mut are_over = true;
        for member in self.members.iter_mut().filter(|member| !member.is_over) {
            match member.child.try_wait()? {
                Some(status) if !status.success() => {
                    return Err(format!("a process exited with {status}").into());
                }
                Some(_) => member.is_over = true,
                None => are_over &= member.role != role,
            }
        }
        Ok(are_over)
    }

    /// Kills a process at a random moment, and starts another in its place.
    fn kill_one(&mut self, options: &Options, prefix: &str) -> Result<()> {
        let mut dice = self.dice.build_hasher();
        dice.write_u64(self.kills);
        let dice = dice.finish();
        thread::sleep(Duration::from_micros(dice % 1000));
        let victim = (dice >> 16) as usize % self.members.len();
        let member = &mut self.members[victim];
        if member.is_over || member.child.try_wait()?.is_some() {
            return Ok(());
        }
        member.child.kill()?;
        member.child.wait()?;
        member.child = spawn(options, member.role, member.index, prefix)?;
        self.kills += 1;
        Ok(())
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        for member in self.members.iter_mut().filter(|member| !member.is_over) {
            // The process may already have exited.
            let _ = member.child.kill();
            let _ = member.child.wait();
        }
    }
}

fn spawn(options: &Options, role: Role, index: u64, prefix: &str) -> Result<Child> {
    let role = role.to_possible_value().ok_or("no name")?;
    let mut command = Command::new(env::current_exe()?);
    command
        .args(["--role", role.get_name()])
        .args(["--prefix", prefix])
        .args(["--index", &index.to_string()])
        .args(["--messages", &options.messages.to_string()])
        .args(["--bytes", &options.bytes.to_string()])
        .args(["--capacity", &options.capacity.to_string()])
        .args(["--producers", &options.producers.to_string()])
        .args(["--consumers", &options.consumers.to_string()]);
    Ok(command.spawn()?)
}

fn ring_name(prefix: &str) -> String {
    format!("{prefix}-ring")
}

fn log_name(prefix: &str) -> String {
    format!("{prefix}-log")
}
