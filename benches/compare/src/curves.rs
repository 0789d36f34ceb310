//! Measures slipring over capacity, number of seats, message size and fill.

use crate::measure::{Effort, measure_all};
use crate::record::{Record, records};
use crate::subjects::ours;
use crate::table;
use crate::temp_files::TempFiles;
use crate::workload::{Experiment, Fill, Workload};
use bench_support::Result;
use clap::ValueEnum;
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
/// Seats per role.
const SEATS: [u32; 7] = [1, 4, 16, 64, 256, 1024, 2048];
const PAYLOADS: [u64; 9] = [8, 56, 256, 1024, 4096, 16384, 65536, 262_144, 1_048_576];
/// Capacities of the rings for large messages. The largest ring takes 4 GiB.
const DEPTHS: [usize; 2] = [64, 4096];

/// The horizontal axis of a chart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Axis {
    Capacity,
    Seats,
    Payload,
    Fill,
}

impl Axis {
    pub(crate) const ALL: [Self; 4] = [Self::Capacity, Self::Seats, Self::Payload, Self::Fill];

    /// The family of this axis's records.
    pub(crate) fn family(self) -> String {
        format!("{self:?}")
    }

    /// Short, because curves have many points.
    fn effort(self) -> Effort {
        Effort {
            slice: 25e6,
            time: match self {
                Self::Fill => Duration::from_millis(300),
                _ => Duration::from_millis(800),
            },
            rounds_at_least: 5,
        }
    }

    fn experiments(self) -> Vec<Experiment> {
        let one_way = |bytes, capacity, fill| Experiment {
            capacity,
            fill,
            ..Experiment::new(Workload::OneWay, bytes, 1)
        };
        let over_capacity = |fill| {
            let sizes = [8, 56].into_iter();
            sizes.flat_map(move |bytes| CAPACITIES.map(|capacity| one_way(bytes, capacity, fill)))
        };
        let among = |seats| Experiment {
            seats: Some(seats),
            ..Experiment::new(Workload::Mpmc, 8, 1)
        };
        match self {
            Self::Capacity => over_capacity(None).collect(),
            Self::Seats => SEATS.map(among).to_vec(),
            Self::Payload => DEPTHS
                .into_iter()
                .flat_map(|capacity| PAYLOADS.map(|bytes| one_way(bytes, capacity, None)))
                .collect(),
            Self::Fill => Fill::ALL
                .into_iter()
                .flat_map(|fill| over_capacity(Some(fill)))
                .collect(),
        }
    }
}

/// Measures these curves, and passes the records of each point to `keep`.
pub(crate) fn measure_curves(
    axes: &[Axis],
    processors: [usize; 2],
    mut keep: impl FnMut(Vec<Record>) -> Result<()>,
) -> Result<()> {
    let mut index = 0;
    for axis in axes {
        for experiment in axis.experiments() {
            let temp_files = TempFiles::of(index);
            index += 1;
            let subject = ours(&experiment)?;
            let effort = axis.effort();
            let outcome =
                measure_all(&experiment, effort, processors, temp_files.tag(), [subject])?;
            let mut found = records(&outcome);
            for record in &mut found {
                record.family = axis.family();
                record.capacity = Some(experiment.capacity);
                record.seats = experiment.seats;
                record.fill = experiment.fill.map(|fill| fill.to_string());
            }
            table::print(&found);
            keep(found)?;
        }
    }
    Ok(())
}

/// The sizes of the caches and the reach of the TLB, in bytes.
pub(crate) fn limits() -> Vec<(&'static str, f64)> {
    let cache = |level| {
        let directory = "/sys/devices/system/cpu/cpu0/cache";
        (0..8).find_map(|index| {
            let read = |what| fs::read_to_string(format!("{directory}/index{index}/{what}")).ok();
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
    // For example `TLB size : 2560 4K pages`.
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
