//! One message there and one back, beside the bare exchange of two cache lines.
//!
//! How far apart two cores are changes while a program runs, on virtual machines most of all.
//! So the subjects take turns in short slices, each slice is set against the floor slices
//! before and after it, and the median of these ratios is shown.

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
    Floor::open(&names.keep(floor(&prefix)))?;
    let receiver = Partner::start(options, Part::Receiver, &prefix, &mut names)?;
    let mut sender = Partner::start(options, Part::Sender, &prefix, &mut names)?;
    while let Some(Report {
        numbers: [bytes, nanos, percent, p50, p99, p999],
    }) = sender.report()?
    {
        if bytes == 0 {
            println!("two-line exchange: {:.1} ns", nanos as f64 / 10.0);
        } else {
            println!(
                "round trip of {bytes} bytes: {:.1} ns, {:.3} of a two-line exchange; one by one: \
                 p50 {p50} ns, p99 {p99} ns, p99.9 {p999} ns",
                nanos as f64 / 10.0,
                percent as f64 / 1000.0,
            );
        }
    }
    sender.finish()?;
    receiver.finish()?;
    Ok(true)
}

pub(crate) fn play(part: Part, prefix: &str) -> Result<()> {
    pin(part)?;
    let floor = Floor::open(&floor(prefix))?;
    let small = Pair::<Small>::open(part, prefix)?;
    let line = Pair::<Line>::open(part, prefix)?;
    match part {
        Part::Sender => serve(floor, small, line, prefix),
        Part::Receiver => echo(floor, small, line),
    }
}

/// A slice of each in turn; the first rounds warm up.
fn serve(floor: Floor, mut small: Pair<Small>, mut line: Pair<Line>, prefix: &str) -> Result<()> {
    let mut reports = reporter(Part::Sender, prefix)?;
    let mut next = 0;
    let mut exchange = || {
        let start = Instant::now();
        for _ in 0..TRIPS {
            next += 1;
            floor.ping(next);
        }
        per_trip(start)
    };
    let mut floors = vec![exchange()];
    let (mut smalls, mut lines) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        smalls.push(small.slice([7])?);
        floors.push(exchange());
        lines.push(line.slice([7; 7])?);
        floors.push(exchange());
    }
    let around = |slice: usize| (floors[slice] + floors[slice + 1]) / 2.0;
    let ratios = |slices: &[f64], offset: usize| {
        median(
            slices
                .iter()
                .enumerate()
                .map(|(i, nanos)| nanos / around(2 * i + offset))
                .collect(),
        )
    };
    let exchange = (median(floors.clone()) * 10.0) as u64;
    let results = [
        (
            8,
            median(smalls.clone()),
            ratios(&smalls, 0),
            small.one_by_one([7])?,
        ),
        (
            56,
            median(lines.clone()),
            ratios(&lines, 1),
            line.one_by_one([7; 7])?,
        ),
    ];
    reports.push(&Report {
        numbers: [0, exchange, 0, 0, 0, 0],
    })?;
    for (bytes, nanos, ratio, trips) in results {
        let at = |quantile| trips.value_at_quantile(quantile);
        let (nanos, ratio) = ((nanos * 10.0) as u64, (ratio * 1000.0) as u64);
        reports.push(&Report {
            numbers: [bytes, nanos, ratio, at(0.5), at(0.99), at(0.999)],
        })?;
    }
    Ok(())
}

fn echo(floor: Floor, mut small: Pair<Small>, mut line: Pair<Line>) -> Result<()> {
    let mut next = 0;
    let mut exchange = || {
        for _ in 0..TRIPS {
            next += 1;
            floor.pong(next);
        }
    };
    exchange();
    for _ in 0..ROUNDS {
        small.echo()?;
        exchange();
        line.echo()?;
        exchange();
    }
    for _ in 0..SINGLE_SLICES {
        small.echo()?;
    }
    for _ in 0..SINGLE_SLICES {
        line.echo()?;
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

fn floor(prefix: &str) -> String {
    format!("{prefix}-floor")
}
