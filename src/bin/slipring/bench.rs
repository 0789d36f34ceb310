//! `slipring bench`: what this machine does with a ring between two processes, in two seconds.

mod peer;

use self::peer::{Outcome, Peer};
use super::args::Bench;
use super::failure::Failure;
use super::json::Json;
use super::{output, table};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use slipring::error::Forked;
use slipring::{Options, WaitStrategy, spsc};
use std::hint::spin_loop;
use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Release};
use std::time::{Duration, Instant};
use std::{iter, thread};

/// How long each measurement takes.
const TIME: Duration = Duration::from_millis(500);
const CAPACITY: usize = 1024;
/// What ends the other side.
const END: u64 = u64::MAX;

type Ring = spsc::Ring<u64>;

pub(crate) fn run(asked: &Bench) -> Result<(), Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::new(error.to_string());
    let processors = Processors::find().map_err(|error| failed(&*error))?;
    processors.take(Side::Here);
    let floor = Samples::new(floor(&processors).map_err(|error| failed(&*error))?);
    let trips = Samples::new(round_trips(&processors).map_err(|error| failed(&*error))?);
    let streams = Samples::new(streams(&processors).map_err(|error| failed(&*error))?);
    let wakes = Samples::new(wakes(&processors).map_err(|error| failed(&*error))?);
    let measured = [
        ("floor", "an exchange of two lines", &floor),
        ("round_trip", "8 bytes there and back", &trips),
        ("one_way", "8 bytes in a stream, each", &streams),
        ("wake", "8 bytes to who sleeps", &wakes),
    ];
    if asked.json {
        let fields = measured.map(|(name, _, samples)| (name, samples.to_json()));
        return output::print(&format!("{}\n", Json::Object(fields.into())));
    }
    let rows = measured.map(|(name, what, samples)| {
        let [median, most, worst] = [0.5, 0.99, 1.0].map(|part| format!("{:.0}", samples.at(part)));
        [name.replace('_', " "), what.into(), median, most, worst]
    });
    let heading = ["MEASURED", "WHAT", "MEDIAN ns", "99 % ns", "WORST ns"];
    let table = table::lay_out(heading, &heading[2..], &rows);
    output::print(&format!("{table}\nround trips\n{}", trips.histogram()))
}

/// Where the two sides run: two that spin on one processor would measure the scheduler.
#[derive(Clone, Copy)]
struct Processors([usize; 2]);

#[derive(Clone, Copy)]
enum Side {
    Here,
    There,
}

impl Processors {
    fn find() -> Outcome<Self> {
        let allowed = sched_getaffinity(Pid::from_raw(0))?;
        let is_allowed = |&number: &usize| allowed.is_set(number).unwrap_or(false);
        let mut numbers = (0..CpuSet::count()).filter(is_allowed);
        match (numbers.next(), numbers.next_back()) {
            (Some(here), Some(there)) => Ok(Self([here, there])),
            _ => Err("two processors are needed, and there is one".into()),
        }
    }

    /// Keeps this process on its side's. Where that is refused the kernel chooses.
    fn take(&self, side: Side) {
        let mut set = CpuSet::new();
        if set.set(self.0[side as usize]).is_ok() {
            let _ = sched_setaffinity(Pid::from_raw(0), &set);
        }
    }
}

/// Two processes that hand two words to and fro, without any protocol.
fn floor(processors: &Processors) -> Outcome<Vec<f64>> {
    let [there, back] = peer::shared_words()?;
    let await_word = |word: &AtomicU64, turn: u64| {
        while word.load(Acquire) < turn {
            spin_loop();
        }
    };
    let peer = Peer::start(|| {
        processors.take(Side::There);
        for turn in 1.. {
            await_word(there, turn);
            if there.load(Acquire) == END {
                break;
            }
            back.store(turn, Release);
        }
        Ok(())
    })?;
    let mut turn = 0;
    let samples = sample(|| {
        turn += 1;
        there.store(turn, Release);
        await_word(back, turn);
    });
    there.store(END, Release);
    peer.finish()?;
    Ok(samples)
}

fn round_trips(processors: &Processors) -> Outcome<Vec<f64>> {
    let [there, back] = [ring(WaitStrategy::Spin)?, ring(WaitStrategy::Spin)?];
    let (mut to, mut from) = (there.producer()?, back.consumer()?);
    let mut peer = Peer::start(|| {
        processors.take(Side::There);
        let mut to = back.reopen()?.producer()?;
        let mut from = there.reopen()?.consumer()?;
        while let Ok(number) = from.pop() {
            to.push(&number)?;
        }
        Ok(())
    })?;
    peer.await_arrival(|| is_there(to.peer()))?;
    let samples = sample(|| {
        let _ = to.push(&1);
        let _ = from.pop();
    });
    drop(to);
    peer.finish()?;
    Ok(samples)
}

/// The price of a message in a stream, for each of many runs.
fn streams(processors: &Processors) -> Outcome<Vec<f64>> {
    const RUN: u64 = 10_000;
    let ring = ring(WaitStrategy::Spin)?;
    let mut producer = ring.producer()?;
    let mut peer = Peer::start(|| {
        processors.take(Side::There);
        let mut consumer = ring.reopen()?.consumer()?;
        while consumer.pop().is_ok() {}
        Ok(())
    })?;
    peer.await_arrival(|| is_there(producer.peer()))?;
    let mut samples = Vec::new();
    let begin = Instant::now();
    while begin.elapsed() < TIME {
        let start = Instant::now();
        for number in 0..RUN {
            producer.push(&number)?;
        }
        samples.push(start.elapsed().as_nanos() as f64 / RUN as f64);
    }
    drop(producer);
    peer.finish()?;
    Ok(samples)
}

/// From a push to the end of a pop that slept.
fn wakes(processors: &Processors) -> Outcome<Vec<f64>> {
    /// Enough to fall asleep.
    const PAUSE: Duration = Duration::from_millis(2);
    const _: () = assert!(TIME.as_millis() / PAUSE.as_millis() <= CAPACITY as u128);
    let at_once = WaitStrategy::Sleep {
        spins: 0,
        yields: 0,
    };
    let [there, back] = [ring(at_once)?, ring(at_once)?];
    let (mut to, mut from) = (there.producer()?, back.consumer()?);
    let clock = Instant::now();
    let now = || clock.elapsed().as_nanos() as u64;
    let mut peer = Peer::start(|| {
        processors.take(Side::There);
        let mut times = back.reopen()?.producer()?;
        let mut from = there.reopen()?.consumer()?;
        while let Ok(sent) = from.pop() {
            times.push(&now().saturating_sub(sent))?;
        }
        Ok(())
    })?;
    peer.await_arrival(|| is_there(to.peer()))?;
    while clock.elapsed() < TIME {
        thread::sleep(PAUSE);
        to.push(&now())?;
    }
    drop(to);
    peer.finish()?;
    Ok(iter::from_fn(|| from.pop().ok())
        .map(|time| time as f64)
        .collect())
}

fn is_there(peer: Result<slipring::Peer, Forked>) -> bool {
    matches!(peer, Ok(slipring::Peer::Present { .. }))
}

fn ring(wait: WaitStrategy) -> Outcome<Ring> {
    let options = Options::new().capacity(CAPACITY).wait(wait);
    Ok(Ring::create_with("memfd:", &options)?)
}

/// The times of something done again and again, in nanoseconds.
fn sample(mut act: impl FnMut()) -> Vec<f64> {
    const MOST: usize = 1 << 20;
    let mut samples = Vec::new();
    let begin = Instant::now();
    let mut start = begin;
    while start.duration_since(begin) < TIME && samples.len() < MOST {
        act();
        let end = Instant::now();
        samples.push(end.duration_since(start).as_nanos() as f64);
        start = end;
    }
    samples
}

/// Sorted, and at least one.
struct Samples(Vec<f64>);

impl Samples {
    fn new(mut samples: Vec<f64>) -> Self {
        samples.sort_by(f64::total_cmp);
        if samples.is_empty() {
            samples.push(f64::NAN);
        }
        Self(samples)
    }

    /// What a part of all does not exceed.
    fn at(&self, part: f64) -> f64 {
        let last = self.0.len() - 1;
        self.0[(part * last as f64).round() as usize]
    }

    fn to_json(&self) -> Json {
        Json::Object(vec![
            ("median_ns", self.at(0.5).into()),
            ("p99_ns", self.at(0.99).into()),
            ("worst_ns", self.at(1.0).into()),
            ("samples", (self.0.len() as u64).into()),
        ])
    }

    /// How many there are of each length; each bar is for times up to a quarter longer than those of the
    /// one before.
    fn histogram(&self) -> String {
        const STEP: f64 = 1.25;
        const COLUMNS: f64 = 50.0;
        let (mut bound, end) = (self.at(0.0).max(1.0) * STEP, self.at(0.999));
        let mut text = String::new();
        let mut rest = &*self.0;
        let mut bars = Vec::new();
        while !rest.is_empty() && bound < end * STEP {
            let count = rest.partition_point(|&time| time <= bound);
            bars.push((bound, count));
            rest = &rest[count..];
            bound *= STEP;
        }
        let most = bars
            .iter()
            .map(|&(_, count)| count)
            .max()
            .unwrap_or(0)
            .max(1);
        for (bound, count) in bars {
            let columns = (count as f64 / most as f64 * COLUMNS).ceil() as usize;
            let bar = "█".repeat(columns);
            text.push_str(&format!("{bound:>8.0} ns {bar}\n"));
        }
        if !rest.is_empty() {
            text.push_str(&format!("{:>11} {} more\n", "above", rest.len()));
        }
        text
    }
}
