//! The workloads.

use bench_support::{BATCH, CAPACITY, Method};
use clap::ValueEnum;
use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Workload {
    /// Round trips between two sides that spin.
    RoundTrip,
    /// Messages one way, one by one.
    OneWay,
    /// Messages one way, 32 at a time.
    Batch,
    /// Messages one way, written and read in their slots.
    InPlace,
    /// Messages from many producers to many consumers, one by one.
    Mpmc,
    /// Messages from many producers to many consumers, 32 at a time.
    MpmcBatch,
    /// Round trips between two sides that block until a message arrives.
    Wake,
}

/// The most processes per side that are pinned. The kernel places larger crews.
const MOST_PLACED: u64 = 4;

impl Workload {
    pub(crate) const ALL: &[Self] = &[
        Self::RoundTrip,
        Self::OneWay,
        Self::Batch,
        Self::InPlace,
        Self::Mpmc,
        Self::MpmcBatch,
        Self::Wake,
    ];

    pub(crate) fn method(self) -> Method {
        match self {
            Self::Batch | Self::MpmcBatch => Method::Batch,
            Self::InPlace => Method::InPlace,
            _ => Method::Single,
        }
    }

    pub(crate) fn is_round_trip(self) -> bool {
        matches!(self, Self::RoundTrip | Self::Wake)
    }

    fn sizes(self) -> &'static [u64] {
        match self {
            Self::RoundTrip => &[8, 56, 256, 1024, 4096],
            Self::OneWay => &[8, 56, 256, 1024, 4096, 65536],
            Self::Batch => &[8, 56, 256, 1024],
            Self::InPlace => &[1024, 4096, 65536],
            Self::Mpmc | Self::MpmcBatch => &[8, 56],
            Self::Wake => &[8],
        }
    }

    fn crowds(self) -> &'static [u64] {
        match self {
            Self::Mpmc => &[1, 2, 4, 8],
            Self::MpmcBatch => &[1, 2, 4],
            _ => &[1],
        }
    }

    pub(crate) fn experiments(self) -> impl Iterator<Item = Experiment> {
        self.crowds().iter().flat_map(move |&each| {
            let sizes = self.sizes().iter();
            sizes.map(move |&bytes| Experiment::new(self, bytes, each))
        })
    }
}

/// The number of messages that stay in the ring during a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fill {
    Empty,
    Half,
    AllButFull,
}

impl Fill {
    pub(crate) const ALL: [Self; 3] = [Self::Empty, Self::Half, Self::AllButFull];
}

impl fmt::Display for Fill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Empty => "empty",
            Self::Half => "half full",
            Self::AllButFull => "all but full",
        })
    }
}

/// One workload with messages of one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Experiment {
    pub(crate) workload: Workload,
    pub(crate) bytes: u64,
    /// The number of producers, and also of consumers.
    pub(crate) each: u64,
    /// The capacity of the ring, for subjects that have this setting.
    pub(crate) capacity: usize,
    /// The seats per role, or the subject's default.
    pub(crate) seats: Option<u32>,
    /// The fill that the stream keeps, or none in particular.
    pub(crate) fill: Option<Fill>,
}

impl Experiment {
    pub(crate) fn new(workload: Workload, bytes: u64, each: u64) -> Self {
        Self {
            workload,
            bytes,
            each,
            capacity: CAPACITY,
            seats: None,
            fill: None,
        }
    }

    /// Whether the kernel places the processes.
    pub(crate) fn is_unplaced(&self) -> bool {
        self.each > MOST_PLACED
    }

    /// Whether several processes share a processor.
    pub(crate) fn is_crowded(&self) -> bool {
        self.each > 1
    }

    /// Whether the experiment uses MPMC rings, also with one producer and one consumer.
    pub(crate) fn is_for_many(&self) -> bool {
        matches!(self.workload, Workload::Mpmc | Workload::MpmcBatch)
    }

    /// The number of messages is a multiple of this: of a batch, and for one to one of the stride
    /// of the bare copy.
    pub(crate) fn grain(&self) -> u64 {
        match self.is_crowded() {
            true => BATCH as u64,
            false => 256,
        }
    }
}

/// The name of the experiment in the results.
impl fmt::Display for Experiment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bytes, each, .. } = self;
        let name = match self.workload {
            Workload::RoundTrip => format!("round trip, {bytes} B"),
            Workload::OneWay => format!("one way, {bytes} B"),
            Workload::Batch => format!("one way in batches of 32, {bytes} B"),
            Workload::InPlace => format!("one way in place, {bytes} B"),
            Workload::Mpmc => format!("{each} to {each}, {bytes} B"),
            Workload::MpmcBatch => format!("{each} to {each} in batches of 32, {bytes} B"),
            Workload::Wake => format!("round trip with wake-ups, {bytes} B"),
        };
        let name = match (self.capacity, self.seats) {
            (CAPACITY, None) => name,
            (capacity, None) => format!("{name}, capacity {capacity}"),
            (_, Some(seats)) => format!("{name}, {seats} seats per role"),
        };
        match self.fill {
            Some(fill) => f.pad(&format!("{name}, {fill}")),
            None => f.pad(&name),
        }
    }
}
