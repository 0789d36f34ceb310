//! What every subject is asked to do.

use clap::ValueEnum;
use bench_support::{BATCH, CAPACITY, Method};
use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Workload {
    /// A message there and the same one back, both sides looking all the time.
    RoundTrip,
    /// Messages one way, one after the other.
    OneWay,
    /// Messages one way, 32 at a time.
    Batch,
    /// Messages one way, written and read where they lie.
    InPlace,
    /// Messages from many to many, one after the other.
    Mpmc,
    /// Messages from many to many, 32 at a time.
    MpmcBatch,
    /// A message there and the same one back, each side asleep until it comes.
    Wake,
}

/// Who is asked for more processes than this a side has no processor of its own for any of them: the
/// kernel places them.
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

/// How many messages stay in a ring that others go through.
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
    /// Producers, and as many consumers.
    pub(crate) each: u64,
    /// Of a ring, where a subject can be told.
    pub(crate) capacity: usize,
    /// For as many producers, and as many consumers, if not as many as a subject has by itself.
    pub(crate) seats: Option<u32>,
    /// As full as it happens to be, if nothing is said.
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

    /// Whether the kernel decides who runs where.
    pub(crate) fn is_unplaced(&self) -> bool {
        self.each > MOST_PLACED
    }

    /// Whether several share a processor.
    pub(crate) fn is_crowded(&self) -> bool {
        self.each > 1
    }

    /// Whether it is about rings for many, also where there is but one of each.
    pub(crate) fn is_for_many(&self) -> bool {
        matches!(self.workload, Workload::Mpmc | Workload::MpmcBatch)
    }

    /// What messages come in multiples of: of batches; and for one to one of what the bare copy
    /// publishes.
    pub(crate) fn grain(&self) -> u64 {
        match self.is_crowded() {
            true => BATCH as u64,
            false => 256,
        }
    }
}

/// The name of the workload in the results.
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
            Workload::Wake => format!("round trip of sleepers, {bytes} B"),
        };
        let name = match (self.capacity, self.seats) {
            (CAPACITY, None) => name,
            (capacity, None) => format!("{name}, capacity {capacity}"),
            (_, Some(seats)) => format!("{name}, seats for {seats} a side"),
        };
        match self.fill {
            Some(fill) => f.pad(&format!("{name}, {fill}")),
            None => f.pad(&name),
        }
    }
}
