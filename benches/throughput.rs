//! Streams between two pinned processes that spin.

use bench_support::{Method, Point, Way, measure};
use criterion::{Criterion, Throughput};
use std::process::ExitCode;

fn main() -> ExitCode {
    bench_support::run(throughput)
}

fn throughput(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("throughput");
    for (method, label) in [
        (Method::Single, "single"),
        (Method::Batch, "batches of 32"),
        (Method::InPlace, "in place"),
    ] {
        for bytes in [8, 56, 256, 1024, 4096, 65536] {
            group.throughput(Throughput::Bytes(bytes));
            let point = Point::new(Way::Stream, method, bytes);
            measure(&mut group, &format!("{label}/{bytes}"), point);
        }
    }
    for bytes in [8, 56] {
        for capacity in [64, 65536] {
            group.throughput(Throughput::Bytes(bytes));
            let point = Point {
                capacity,
                ..Point::new(Way::Stream, Method::Single, bytes)
            };
            measure(
                &mut group,
                &format!("single/{bytes}/capacity {capacity}"),
                point,
            );
        }
    }
    group.finish();
}
