//! The rings of these benchmarks, and their endpoints.

use crate::Result;
use bench_support::{Body, CAPACITY, SlipringSink, SlipringSource, SpinWait};
use slipring::{Mpmc, Options, WaitStrategy, mpmc};
use std::time::Duration;

/// Endpoints that never sleep, so that the kernel's wake-ups are not measured.
fn sleepless() -> Options {
    Options::new().wait(WaitStrategy::Sleep {
        spins: SpinWait::SPINS,
        yields: u32::MAX,
    })
}

/// Creates a ring with a liveness interval.
pub(crate) fn create<B: Body>(name: &str, interval: Duration) -> Result<mpmc::Ring<B>> {
    let options = sleepless().capacity(CAPACITY).liveness_interval(interval);
    Ok(mpmc::Ring::create_with(name, &options)?)
}

pub(crate) fn sink<B: Body>(name: &str) -> Result<SlipringSink<B, Mpmc>> {
    SlipringSink::open(name, &sleepless().prefault(true))
}

pub(crate) fn source<B: Body>(name: &str) -> Result<SlipringSource<B, Mpmc>> {
    SlipringSource::open(name, &sleepless().prefault(true))
}
