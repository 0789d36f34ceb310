//! `slipring bench`: measurements of a ring between two processes.

mod measure;
mod peer;
mod processors;
mod times;

use self::processors::{Processors, Side};
use self::times::{Percentiles, Times};
use super::args::Bench;
use super::failure::Failure;
use super::{json, output, table};
use serde::Serialize;
use std::error::Error;
use std::time::Duration;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// The duration of each measurement.
const TIME: Duration = Duration::from_millis(500);

struct Results {
    floor: Times,
    round_trip: Times,
    one_way: Times,
    wake: Times,
}

pub(crate) fn run(args: &Bench) -> Result<(), Failure> {
    let results = measure_all().map_err(|error| Failure::new(error.to_string()))?;
    match args.json {
        true => json::print(&Report::new(&results)),
        false => output::print(&to_text(&results)),
    }
}

fn measure_all() -> Outcome<Results> {
    let processors = Processors::find()?;
    processors.pin(Side::Here);
    Ok(Results {
        floor: measure::floor(&processors)?,
        round_trip: measure::round_trips(&processors)?,
        one_way: measure::streams(&processors)?,
        wake: measure::wakes(&processors)?,
    })
}

#[derive(Serialize)]
struct Report {
    floor: Percentiles,
    round_trip: Percentiles,
    one_way: Percentiles,
    wake: Percentiles,
}

impl Report {
    fn new(results: &Results) -> Self {
        Self {
            floor: results.floor.percentiles(),
            round_trip: results.round_trip.percentiles(),
            one_way: results.one_way.percentiles(),
            wake: results.wake.percentiles(),
        }
    }
}

fn to_text(results: &Results) -> String {
    let rows = [
        ("floor", "exchange of two cache lines", &results.floor),
        ("round trip", "8 bytes there and back", &results.round_trip),
        (
            "one way",
            "8 bytes in a stream, per message",
            &results.one_way,
        ),
        ("wake", "8 bytes to a sleeping consumer", &results.wake),
    ];
    let rows = rows.map(|(name, description, times)| {
        let at = times.percentiles();
        let [median, p99, worst] =
            [at.median_ns, at.p99_ns, at.worst_ns].map(|time| format!("{time:.0}"));
        [name.into(), description.into(), median, p99, worst]
    });
    let heading = ["NAME", "OPERATION", "MEDIAN ns", "99 % ns", "WORST ns"];
    let table = table::render(heading, &heading[2..], &rows);
    format!("{table}\nround trips\n{}", results.round_trip.histogram())
}
