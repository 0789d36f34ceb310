//! Round trips of a message, compared with the exchange of two cache lines.
//!
//! The distance of two cores changes while a program runs, most of all on virtual machines.
//! Therefore the subjects take turns in short slices. Each slice is compared with the floor slices
//! before and after it, and the output shows the median of these ratios.
//!
//! A ring advances to its next slot with every message, so its messages touch as many cache lines
//! as it has slots. A second floor, over as many lines, shows the cost of that alone.

use crate::floor::Floor;
use crate::processes::{Names, Report, Subprocess, pin, prefix, reporter};
use crate::{Options, Result, Role};
use bytemuck::Pod;
use hdrhistogram::Histogram;
use slipring::spsc::{Consumer, Producer, Ring};
use slipring::{Options as RingOptions, WaitStrategy};
use std::time::Instant;

pub(crate) const SUFFIX: &str = "-ping-pong";

/// Round trips in a slice: some tenths of a millisecond.
const TRIPS: u64 = 2_000;
const ROUNDS: u64 = 400;

type Small = [u64; 1];
type Line = [u64; 7];

pub(crate) fn run(options: &Options) -> Result<bool> {
    let mut names = Names::default();
    let prefix = prefix(SUFFIX);
    let rings = RingOptions::new().capacity(options.capacity.max(2));
    for name in [there::<Small>(&prefix), back::<Small>(&prefix)] {
        Ring::<Small>::create_with(names.keep(name), &rings)?;
    }
    for name in [there::<Line>(&prefix), back::<Line>(&prefix)] {
        Ring::<Line>::create_with(names.keep(name), &rings)?;
    }
    for lines in [1, options.capacity] {
        Floor::open(&names.keep(floor(&prefix, lines)), lines)?;
    }
    let receiver = Subprocess::start(options, Role::Receiver, &prefix, &mut names)?;
    let mut sender = Subprocess::start(options, Role::Sender, &prefix, &mut names)?;
    while let Some(Report { numbers }) = sender.report()? {
        match numbers {
            [FLOOR, lines, picos, ..] => println!(
                "exchange of two lines, of {lines} each way: {:.1} ns",
                picos as f64 / 1000.0
            ),
            [bytes, picos, ratio, p50, p99, p999] => println!(
                "round trip of {bytes} bytes: {:.1} ns, {:.3} of the two-line exchange; \
                 single trips: p50 {p50} ns, p99 {p99} ns, p99.9 {p999} ns",
                picos as f64 / 1000.0,
                ratio as f64 / 1000.0,
            ),
        }
    }
    sender.finish()?;
    receiver.finish()?;
    Ok(true)
}

/// Marks a report of a floor, in place of the message size.
const FLOOR: u64 = 0;

pub(crate) fn run_role(options: &Options, role: Role, prefix: &str) -> Result<()> {
    pin(role)?;
    let subjects = Subjects {
        floor: Floor::open(&floor(prefix, 1), 1)?,
        moving: Floor::open(&floor(prefix, options.capacity), options.capacity)?,
        small: Pair::open(role, prefix)?,
        line: Pair::open(role, prefix)?,
    };
    match role {
        Role::Sender => measure(subjects, options, prefix),
        Role::Receiver => echo(subjects),
    }
}

/// The rings and floors of both processes.
struct Subjects {
    floor: Floor,
    moving: Floor,
    small: Pair<Small>,
    line: Pair<Line>,
}

/// Measures a slice of each subject in turn.
fn measure(mut subjects: Subjects, options: &Options, prefix: &str) -> Result<()> {
    let mut reports = reporter(Role::Sender, prefix)?;
    let mut exchanges = 0;
    let mut exchange = |floor: &Floor| {
        let start = Instant::now();
        for _ in 0..TRIPS {
            exchanges += 1;
            floor.ping(exchanges);
        }
        per_trip(start)
    };
    let mut floors = vec![exchange(&subjects.floor)];
    let (mut smalls, mut lines, mut moving) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        smalls.push(subjects.small.slice([7])?);
        floors.push(exchange(&subjects.floor));
        lines.push(subjects.line.slice([7; 7])?);
        floors.push(exchange(&subjects.floor));
        moving.push(exchange(&subjects.moving));
    }
    let ratios = |slices: &[f64], offset: usize| {
        let around = |slice: usize| (floors[slice] + floors[slice + 1]) / 2.0;
        let of_floor = slices
            .iter()
            .enumerate()
            .map(|(round, trip)| trip / around(2 * round + offset));
        median(of_floor.collect())
    };
    let (small, line) = (ratios(&smalls, 0), ratios(&lines, 1));
    let results = [
        (8, median(smalls), small, subjects.small.one_by_one([7])?),
        (56, median(lines), line, subjects.line.one_by_one([7; 7])?),
    ];
    let thousandths = |value: f64| (value * 1000.0) as u64;
    for (lines, nanos) in [(1, median(floors)), (options.capacity, median(moving))] {
        reports.push(&Report {
            numbers: [FLOOR, lines as u64, thousandths(nanos), 0, 0, 0],
        })?;
    }
    for (bytes, nanos, ratio, trips) in results {
        let [p50, p99, p999] = [0.5, 0.99, 0.999].map(|quantile| trips.value_at_quantile(quantile));
        reports.push(&Report {
            numbers: [
                bytes,
                thousandths(nanos),
                thousandths(ratio),
                p50,
                p99,
                p999,
            ],
        })?;
    }
    Ok(())
}

fn echo(mut subjects: Subjects) -> Result<()> {
    let mut exchanges = 0;
    let mut exchange = |floor: &Floor| {
        for _ in 0..TRIPS {
            exchanges += 1;
            floor.pong(exchanges);
        }
    };
    exchange(&subjects.floor);
    for _ in 0..ROUNDS {
        subjects.small.echo()?;
        exchange(&subjects.floor);
        subjects.line.echo()?;
        exchange(&subjects.floor);
        exchange(&subjects.moving);
    }
    for _ in 0..SINGLE_SLICES {
        subjects.small.echo()?;
    }
    for _ in 0..SINGLE_SLICES {
        subjects.line.echo()?;
    }
    Ok(())
}

/// Slices in which every round trip is timed separately.
const SINGLE_SLICES: u64 = 100;

struct Pair<T: Pod> {
    producer: Producer<T>,
    consumer: Consumer<T>,
}

impl<T: Pod + PartialEq + std::fmt::Debug> Pair<T> {
    fn open(role: Role, prefix: &str) -> Result<Self> {
        let options = RingOptions::new().wait(WaitStrategy::Spin);
        let there = Ring::open_with(there::<T>(prefix), &options)?;
        let back = Ring::open_with(back::<T>(prefix), &options)?;
        let (outward, inward) = match role {
            Role::Sender => (there, back),
            Role::Receiver => (back, there),
        };
        Ok(Self {
            producer: outward.producer()?,
            consumer: inward.consumer()?,
        })
    }

    fn slice(&mut self, message: T) -> Result<f64> {
        let mut returned = T::zeroed();
        let start = Instant::now();
        for _ in 0..TRIPS {
            self.producer.push(&message)?;
            self.consumer.pop_into(&mut returned)?;
            assert_eq!(returned, message);
        }
        Ok(per_trip(start))
    }

    fn one_by_one(&mut self, message: T) -> Result<Histogram<u64>> {
        let mut trips = Histogram::new(3)?;
        for _ in 0..TRIPS * SINGLE_SLICES {
            let start = Instant::now();
            self.producer.push(&message)?;
            self.consumer.pop()?;
            trips.record(start.elapsed().as_nanos() as u64)?;
        }
        Ok(trips)
    }

    fn echo(&mut self) -> Result<()> {
        let mut message = T::zeroed();
        for _ in 0..TRIPS {
            self.consumer.pop_into(&mut message)?;
            self.producer.push(&message)?;
        }
        Ok(())
    }
}

fn per_trip(start: Instant) -> f64 {
    start.elapsed().as_nanos() as f64 / TRIPS as f64
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn there<T>(prefix: &str) -> String {
    format!("{prefix}-there-{}", size_of::<T>())
}

fn back<T>(prefix: &str) -> String {
    format!("{prefix}-back-{}", size_of::<T>())
}

fn floor(prefix: &str, lines: usize) -> String {
    format!("{prefix}-floor-{lines}")
}
