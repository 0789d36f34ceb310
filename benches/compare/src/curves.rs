//! How slipring's cost grows: over the ring's capacity, its seats, the size of a message, and how
//! full it is.

use crate::crew::undisturbed;
use crate::leftovers::Leftovers;
use crate::measure::{Effort, measure_all};
use crate::record::{Record, records};
use crate::subjects::ours;
use crate::table;
use crate::workload::{Experiment, Workload};
use common::{Body, Names, Result, Spread, now, prefix, run_on};
use slipring::{Options, Ring, Spsc};
use std::fs;
use std::time::Duration;

const CAPACITIES: [usize; 10] = [
    1 << 6,
    1 << 8,
    1 << 10,
    1 << 12,
    1 << 14,
    1 << 16,
    1 << 18,
    1 << 20,
    1 << 22,
    1 << 24,
];
/// Of a side: half of all.
const SEATS: [u32; 7] = [1, 4, 16, 64, 256, 1024, 2048];
const PAYLOADS: [u64; 9] = [8, 56, 256, 1024, 4096, 16384, 65536, 262_144, 1_048_576];
/// Of the rings that large messages go through: the largest of them takes 4 GiB.
const DEPTHS: [usize; 2] = [64, 4096];

/// One curve of a chart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Axis {
    Capacity,
    Seats,
    Payload,
    Fill,
}

impl Axis {
    pub(crate) const ALL: [Self; 4] = [Self::Capacity, Self::Seats, Self::Payload, Self::Fill];

    /// The family of its records.
    pub(crate) fn family(self) -> String {
        format!("{self:?}")
    }

    fn experiments(self) -> Vec<Experiment> {
        let one_way = |bytes, capacity| Experiment {
            capacity,
            ..Experiment::new(Workload::OneWay, bytes, 1)
        };
        let among = |seats| Experiment {
            seats: Some(seats),
            ..Experiment::new(Workload::Mpmc, 8, 1)
        };
        match self {
            Self::Capacity => [8, 56]
                .into_iter()
                .flat_map(|bytes| CAPACITIES.map(|capacity| one_way(bytes, capacity)))
                .collect(),
            Self::Seats => SEATS.map(among).to_vec(),
            Self::Payload => DEPTHS
                .into_iter()
                .flat_map(|capacity| PAYLOADS.map(|bytes| one_way(bytes, capacity)))
                .collect(),
            Self::Fill => Vec::new(),
        }
    }
}

/// Measures all curves; each record is given away as soon as it is there.
pub(crate) fn measure_curves(
    [one, other]: [usize; 2],
    effort: Effort,
    mut keep: impl FnMut(Vec<Record>) -> Result<()>,
) -> Result<()> {
    let mut place = 0;
    for axis in Axis::ALL {
        for experiment in axis.experiments() {
            let leftovers = Leftovers::of(place);
            place += 1;
            let subject = ours(&experiment)?;
            let processors = [one, other];
            let outcome = measure_all(&experiment, effort, processors, leftovers.tag(), [subject])?;
            let mut found = records(&outcome);
            for record in &mut found {
                record.family = axis.family();
                record.capacity = Some(experiment.capacity);
                record.seats = experiment.seats;
            }
            table::print(&found);
            keep(found)?;
        }
    }
    run_on(one)?;
    for capacity in CAPACITIES {
        let found = undisturbed(|| {
            let mut found = Vec::new();
            for fill in [0, capacity / 2, capacity - 1] {
                found.push(alone::<1>(capacity, fill, effort)?);
                found.push(alone::<7>(capacity, fill, effort)?);
            }
            Ok(found)
        });
        keep(found?)?;
    }
    Ok(())
}

/// A push and a pop by turns in one process, in a ring where `fill` messages stay.
fn alone<const WORDS: usize>(capacity: usize, fill: usize, effort: Effort) -> Result<Record>
where
    [u64; WORDS]: Body,
{
    let mut names = Names::default();
    let name = names.keep(prefix("fill"));
    let options = Options::new().capacity(capacity).prefault(true);
    let ring = Ring::<[u64; WORDS], Spsc>::create_with(&name, &options)?;
    let (mut producer, mut consumer) = (ring.producer()?, ring.consumer()?);
    for number in 0..fill as u64 {
        producer.try_push(&Body::numbered(number))?;
    }
    let messages = (effort.slice / 10.0) as u64;
    let mut next = fill as u64;
    let mut slice = || -> Result<f64> {
        let start = now();
        for _ in 0..messages {
            producer.try_push(&Body::numbered(next))?;
            let message = consumer.try_pop()?;
            if message.number() != next - fill as u64 {
                return Err("a message was lost".into());
            }
            next += 1;
        }
        Ok((now() - start) as f64 / messages as f64)
    };
    for _ in 0..(2 * capacity as u64).div_ceil(messages) {
        slice()?;
    }
    let slices: Vec<f64> = (0..9).map(|_| slice()).collect::<Result<_>>()?;
    let spread = Spread::of(slices);
    let bytes = 8 * WORDS as u64;
    let state = match fill {
        0 => "empty",
        _ if fill == capacity / 2 => "half full",
        _ => "all but full",
    };
    println!(
        "push and pop, {bytes} B, capacity {capacity}, {state}: {}",
        table::digits(spread.median)
    );
    Ok(Record {
        workload: format!("push and pop, {bytes} B, capacity {capacity}, {state}"),
        family: Axis::Fill.family(),
        bytes,
        producers: 1,
        subject: "slipring".to_owned(),
        standing: "ours".to_owned(),
        in_process: true,
        placement: "alone".to_owned(),
        ns: Some(spread.median),
        ns_quartiles: Some(spread.quartiles),
        slices: spread.count,
        capacity: Some(capacity),
        fill: Some(state.to_owned()),
        ..Record::default()
    })
}

/// Where the memory of a ring outgrows something, in bytes.
pub(crate) fn limits() -> Vec<(&'static str, f64)> {
    let cache = |level| {
        let place = "/sys/devices/system/cpu/cpu0/cache";
        (0..8).find_map(|index| {
            let read = |what| fs::read_to_string(format!("{place}/index{index}/{what}")).ok();
            let is_it = read("level")?.trim() == level && read("type")?.trim() != "Instruction";
            let size = read("size")?
                .trim()
                .strip_suffix('K')?
                .parse::<f64>()
                .ok()?;
            is_it.then_some(size * 1024.0)
        })
    };
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    // As `TLB size : 2560 4K pages`.
    let entries = processors.lines().find_map(|line| {
        let pages = line.strip_prefix("TLB size")?.split_once(':')?.1;
        pages
            .trim()
            .strip_suffix("4K pages")?
            .trim()
            .parse::<f64>()
            .ok()
    });
    let known = [
        ("L2", cache("2")),
        ("TLB", entries.map(|pages| pages * 4096.0)),
        ("L3", cache("3")),
    ];
    let is_known = |(name, size): (&'static str, Option<f64>)| Some((name, size?));
    known.into_iter().filter_map(is_known).collect()
}

/// As short as curves of many points allow.
pub(crate) const EFFORT: Effort = Effort {
    slice: 25e6,
    time: Duration::from_millis(800),
    rounds_at_least: 5,
};
