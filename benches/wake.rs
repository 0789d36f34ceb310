//! A message there and the same one back, between two pinned processes each of which sleeps until
//! it is woken.

mod ends;
mod peers;

use common::Method;
use criterion::Criterion;
use peers::{Point, Way, measure};
use std::process::ExitCode;

fn main() -> ExitCode {
    peers::run(wake)
}

fn wake(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("wake");
    for bytes in [8, 1024] {
        let point = Point::new(Way::Wake, Method::Single, bytes);
        measure(&mut group, &bytes.to_string(), point);
    }
    group.finish();
}
