//! One message there and one back, beside the bare exchange of two cache lines.
//!
//! How far apart two cores are changes while a program runs, on virtual machines most of all.
//! So the subjects take turns in short slices, each slice is set against the floor slices
//! before and after it, and the median of these ratios is shown.
//!
//! A ring moves on to its next slot with every message, so with slots of a line each it goes
//! through as many lines as it has slots. What that alone costs shows the second floor.

use crate::floor::Floor;
use crate::processes::{Names, Partner, Report, pin, prefix, reporter};
use crate::{Options, Part, Result};
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

pub(crate) fn conduct(options: &Options) -> Result<bool> {
    let mut names = Names::default();
    let prefix = prefix(SUFFIX);
    let rings = RingOptions::new().capacity(options.capacity.max(2));
    for name in [there::<Small>(&prefix), back::<Small>(&prefix)] {
        Ring::<Small>::create_with(&names.keep(name), &rings)?;
    }
    for name in [there::<Line>(&prefix), back::<Line>(&prefix)] {
        Ring::<Line>::create_with(&names.keep(name), &rings)?;
    }
    for lines in [1, options.capacity] {
        Floor::open(&names.keep(floor(&prefix, lines)), lines)?;
    }
    let receiver = Partner::start(options, Part::Receiver, &prefix, &mut names)?;
    let mut sender = Partner::start(options, Part::Sender, &prefix, &mut names)?;
    while let Some(Report { numbers }) = sender.report()? {
        match numbers {
            [FLOOR, lines, picos, ..] => println!(
                "exchange of two lines, of {lines} each way: {:.1} ns",
                picos as f64 / 1000.0
            ),
            [bytes, picos, ratio, p50, p99, p999] => println!(
                "round trip of {bytes} bytes: {:.1} ns, {:.3} of the two-line exchange; \
                 one by one: p50 {p50} ns, p99 {p99} ns, p99.9 {p999} ns",
                picos as f64 / 1000.0,
                ratio as f64 / 1000.0,
            ),
        }
    }
    sender.finish()?;
    receiver.finish()?;
    Ok(true)
}

/// In a report, where else the message size stands.
const FLOOR: u64 = 0;

pub(crate) fn play(options: &Options, part: Part, prefix: &str) -> Result<()> {
    pin(part)?;
    let table = Table {
        floor: Floor::open(&floor(prefix, 1), 1)?,
        moving: Floor::open(&floor(prefix, options.capacity), options.capacity)?,
        small: Pair::open(part, prefix)?,
        line: Pair::open(part, prefix)?,
    };
    match part {
        Part::Sender => serve(table, options, prefix),
        Part::Receiver => echo(table),
    }
}

/// What is played with.
struct Table {
    floor: Floor,
    moving: Floor,
    small: Pair<Small>,
    line: Pair<Line>,
}

/// A slice of each in turn.
fn serve(mut table: Table, options: &Options, prefix: &str) -> Result<()> {
    let mut reports = reporter(Part::Sender, prefix)?;
    let mut exchanges = 0;
    let mut exchange = |floor: &Floor| {
        let start = Instant::now();
        for _ in 0..TRIPS {
            exchanges += 1;
            floor.ping(exchanges);
        }
        per_trip(start)
    };
    let mut floors = vec![exchange(&table.floor)];
    let (mut smalls, mut lines, mut moving) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        smalls.push(table.small.slice([7])?);
        floors.push(exchange(&table.floor));
        lines.push(table.line.slice([7; 7])?);
        floors.push(exchange(&table.floor));
        moving.push(exchange(&table.moving));
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
        (8, median(smalls), small, table.small.one_by_one([7])?),
        (56, median(lines), line, table.line.one_by_one([7; 7])?),
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

fn echo(mut table: Table) -> Result<()> {
    let mut exchanges = 0;
    let mut exchange = |floor: &Floor| {
        for _ in 0..TRIPS {
            exchanges += 1;
            floor.pong(exchanges);
        }
    };
    exchange(&table.floor);
    for _ in 0..ROUNDS {
        table.small.echo()?;
        exchange(&table.floor);
        table.line.echo()?;
        exchange(&table.floor);
        exchange(&table.moving);
    }
    for _ in 0..SINGLE_SLICES {
        table.small.echo()?;
    }
    for _ in 0..SINGLE_SLICES {
        table.line.echo()?;
    }
    Ok(())
}

/// Slices in which every round trip is timed by itself.
const SINGLE_SLICES: u64 = 100;

struct Pair<T: Pod> {
    producer: Producer<T>,
    consumer: Consumer<T>,
}

impl<T: Pod + PartialEq + std::fmt::Debug> Pair<T> {
    fn open(part: Part, prefix: &str) -> Result<Self> {
        let options = RingOptions::new().wait(WaitStrategy::Spin);
        let there = Ring::open_with(&there::<T>(prefix), &options)?;
        let back = Ring::open_with(&back::<T>(prefix), &options)?;
        let (outward, inward) = match part {
            Part::Sender => (there, back),
            Part::Receiver => (back, there),
        };
        Ok(Self {
            producer: outward.producer()?,
            consumer: inward.consumer()?,
        })
    }

    fn slice(&mut self, ball: T) -> Result<f64> {
        let mut returned = T::zeroed();
        let start = Instant::now();
        for _ in 0..TRIPS {
            self.producer.push(&ball)?;
            self.consumer.pop_into(&mut returned)?;
            assert_eq!(returned, ball);
        }
        Ok(per_trip(start))
    }

    fn one_by_one(&mut self, ball: T) -> Result<Histogram<u64>> {
        let mut trips = Histogram::new(3)?;
        for _ in 0..TRIPS * SINGLE_SLICES {
            let start = Instant::now();
            self.producer.push(&ball)?;
            self.consumer.pop()?;
            trips.record(start.elapsed().as_nanos() as u64)?;
        }
        Ok(trips)
    }

    fn echo(&mut self) -> Result<()> {
        let mut ball = T::zeroed();
        for _ in 0..TRIPS {
            self.consumer.pop_into(&mut ball)?;
            self.producer.push(&ball)?;
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
