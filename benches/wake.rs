//! Round trips between two pinned processes, each of which blocks until it is woken.

use bench_support::{Method, Point, Way, measure};
use criterion::Criterion;
use std::process::ExitCode;

fn main() -> ExitCode {
    bench_support::run(wake)
}

fn wake(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("wake");
    for bytes in [8, 1024] {
        let point = Point::new(Way::Wake, Method::Single, bytes);
        measure(&mut group, &bytes.to_string(), point);
    }
    group.finish();
}
