//! Streams from many producers on one processor to many consumers on another.

use bench_support::{Method, Point, Way, measure};
use criterion::{Criterion, Throughput};
use std::process::ExitCode;

fn main() -> ExitCode {
    bench_support::run(mpmc)
}

fn mpmc(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mpmc");
    group.throughput(Throughput::Elements(1));
    for (method, label) in [(Method::Single, "single"), (Method::Batch, "batches of 32")] {
        for bytes in [8, 56] {
            for each in [1, 2, 4] {
                let point = Point {
                    each,
                    ..Point::new(Way::Many, method, bytes)
                };
                measure(
                    &mut group,
                    &format!("{label}/{bytes}/{each} to {each}"),
                    point,
                );
            }
        }
    }
    group.finish();
}
