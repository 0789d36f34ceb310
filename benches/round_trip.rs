//! Round trips between two pinned processes that spin.

use bench_support::{Method, Point, Way, measure};
use criterion::Criterion;
use std::process::ExitCode;

fn main() -> ExitCode {
    bench_support::run(round_trip)
}

fn round_trip(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("round_trip");
    let of = |bytes| Point::new(Way::RoundTrip, Method::Single, bytes);
    for bytes in [8, 56, 256, 1024, 4096, 65536] {
        measure(&mut group, &bytes.to_string(), of(bytes));
    }
    for bytes in [8, 56] {
        for capacity in [64, 65536] {
            let name = format!("{bytes}/capacity {capacity}");
            let point = Point {
                capacity,
                ..of(bytes)
            };
            measure(&mut group, &name, point);
        }
    }
    group.finish();
}
