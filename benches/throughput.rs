//! Messages one way between two pinned processes that look all the time.

mod ends;
mod peers;

use common::Method;
use criterion::{Criterion, Throughput};
use peers::{Point, Way, measure};
use std::process::ExitCode;

fn main() -> ExitCode {
    peers::run(throughput)
}

fn throughput(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("throughput");
    for (method, called) in [
        (Method::Single, "single"),
        (Method::Batch, "batches of 32"),
        (Method::InPlace, "in place"),
    ] {
        for bytes in [8, 56, 256, 1024, 4096, 65536] {
            group.throughput(Throughput::Bytes(bytes));
            let point = Point::new(Way::Stream, method, bytes);
            measure(&mut group, &format!("{called}/{bytes}"), point);
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
