//! Measures points of a benchmark with criterion.

use crate::crew::{Crew, PART, Point, take_part};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion};
use std::env;
use std::process::ExitCode;
use std::time::Duration;

/// Runs a benchmark, or the part of a member that a benchmark started.
pub fn run(benchmark: fn(&mut Criterion)) -> ExitCode {
    if let Ok(part) = env::var(PART) {
        return match take_part(&part) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{part}: {error}");
                ExitCode::FAILURE
            }
        };
    }
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(5))
        .configure_from_args();
    benchmark(&mut criterion);
    criterion.final_summary();
    ExitCode::SUCCESS
}

/// Measures a point.
pub fn measure(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, point: Point) {
    group.bench_function(name, |bencher| {
        // The closure runs only for points that the command line selects.
        let crew = Crew::start(point).and_then(|mut crew| {
            crew.pass(CHECKED)?;
            Ok(crew)
        });
        let mut crew = crew.expect("the ring delivers messages");
        bencher.iter_custom(|messages| crew.pass(messages).expect("the ring delivers messages"));
        crew.finish().expect("all members succeed");
    });
}

/// Messages sent before the measurement.
const CHECKED: u64 = 10_000;
