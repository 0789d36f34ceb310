//! Messages from many processes to many, producers on one processor and consumers on another.

mod ends;
mod peers;

use common::Method;
use criterion::{Criterion, Throughput};
use peers::{Point, Way, measure};
use std::process::ExitCode;

fn main() -> ExitCode {
    peers::run(mpmc)
}

fn mpmc(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mpmc");
    group.throughput(Throughput::Elements(1));
    for (method, called) in [(Method::Single, "single"), (Method::Batch, "batches of 32")] {
        for bytes in [8, 56] {
            for each in [1, 2, 4] {
                let point = Point {
                    each,
                    ..Point::new(Way::Many, method, bytes)
                };
                measure(
                    &mut group,
                    &format!("{called}/{bytes}/{each} to {each}"),
                    point,
                );
            }
        }
    }
    group.finish();
}
