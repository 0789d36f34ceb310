//! A message there and the same one back, between two pinned processes that look all the time.

mod ends;
mod peers;

use common::Method;
use criterion::Criterion;
use peers::{Point, Way, measure};
use std::process::ExitCode;

fn main() -> ExitCode {
    peers::run(round_trip)
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
