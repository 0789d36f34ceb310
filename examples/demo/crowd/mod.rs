//! Many producers and many consumers on one ring; and, if asked, a killer among them.

mod log;
mod worker;

pub(crate) use self::worker::{consume, produce};

use self::log::{Log, Total};
use crate::processes::{Names, prefix};
use crate::{Options, Part, Result};
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

pub(crate) const SUFFIX: &str = "-crowd";

/// Between two looks at the others, and the least time between two kills.
const PAUSE: Duration = Duration::from_millis(2);
/// How long a death may go unnoticed where so many die.
const INTERVAL: Duration = Duration::from_millis(5);

pub(crate) fn conduct(options: &Options) -> Result<bool> {
    let mut names = Names::default();
    let prefix = prefix(SUFFIX);
    let mut how = RingOptions::new()
        .capacity(options.capacity)
        .message_size(options.bytes as usize);
    if options.kill {
        how = how.liveness_interval(INTERVAL);
    }
    let ring = Ring::<[u8]>::create_with(&names.keep(ring_name(&prefix)), &how)?;
    let log = names.keep(log_name(&prefix));
    let log = Log::open(&log, options.producers, options.messages)?;

    let start = Instant::now();
    let mut crowd = Crowd::start(options, &prefix)?;
    let style = "{bar:40} {human_pos} of {human_len} messages, {per_sec}, {eta} left";
    let bar = ProgressBar::new(options.messages).with_style(ProgressStyle::with_template(style)?);
    while !crowd.are_over(Part::Sender)? {
        bar.set_position(log.pushed());
        thread::sleep(PAUSE);
        if options.kill {
            crowd.kill_one(options, &prefix)?;
        }
    }
    log.total(Total::Over).store(1, Release);
    while !crowd.are_over(Part::Receiver)? {
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
            "{} processes killed: {} messages redelivered, {never_pushed} never pushed as their \
             producers were killed in the middle of it; {:?}",
            crowd.kills,
            total(Total::Redelivered),
            ring.counters(),
        );
    }
    Ok(faults == [0; 4] && ring.is_empty())
}

/// The other processes.
struct Crowd {
    members: Vec<Member>,
    dice: RandomState,
    kills: u64,
}

struct Member {
    part: Part,
    index: u64,
    child: Child,
    is_over: bool,
}

impl Crowd {
    fn start(options: &Options, prefix: &str) -> Result<Self> {
        let mut crowd = Self {
            members: Vec::new(),
            dice: RandomState::new(),
            kills: 0,
        };
        for (part, count) in [
            (Part::Receiver, options.consumers),
            (Part::Sender, options.producers),
        ] {
            for index in 0..count {
                crowd.members.push(Member {
                    part,
                    index,
                    child: spawn(options, part, index, prefix)?,
                    is_over: false,
                });
            }
        }
        Ok(crowd)
    }

    /// Whether all who have a part have ended, each of them well.
    fn are_over(&mut self, part: Part) -> Result<bool> {
        let mut are_over = true;
        for member in self.members.iter_mut().filter(|member| !member.is_over) {
            match member.child.try_wait()? {
                Some(status) if !status.success() => {
                    return Err(format!("a process ended with {status}").into());
                }
                Some(_) => member.is_over = true,
                None => are_over &= member.part != part,
            }
        }
        Ok(are_over)
    }

    /// Kills one of them at some moment, and starts another in its place.
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
        member.child = spawn(options, member.part, member.index, prefix)?;
        self.kills += 1;
        Ok(())
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        for member in self.members.iter_mut().filter(|member| !member.is_over) {
            // It may have ended by itself meanwhile.
            let _ = member.child.kill();
            let _ = member.child.wait();
        }
    }
}

fn spawn(options: &Options, part: Part, index: u64, prefix: &str) -> Result<Child> {
    let role = part.to_possible_value().ok_or("no name")?;
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
