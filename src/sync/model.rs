//! Runs a model under the checker that the build selects.

pub(crate) use super::checker::sync::Mutex;
pub(crate) use super::checker::thread::{JoinHandle, spawn, yield_now};
use super::modelled::has_rmw_loads;

use core::fmt::Debug;
use std::collections::BTreeMap;
use std::sync::{self, Arc};
use std::thread;

/// How far a model is explored.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Extent {
    /// Every interleaving.
    Exhaustive,
    /// For models that are too large for that, or that spin. Under loom, at most so many
    /// preemptions. Under shuttle, random schedules: its exhaustive scheduler never leaves a loop.
    Preemptions(usize),
}

/// Runs `model` in every interleaving that the checker can find within `extent`.
///
/// `model` returns the outcome of an execution. The set of outcomes must equal `outcomes`. Some may
/// be missing in two cases: loom with plain loads skips interleavings, and `native` threads run
/// only the schedules that the machine happens to choose. There must be at least `executions`
/// executions, to detect a model that explores next to nothing.
///
/// The model's closure only spawns and joins, because loom skips interleavings of its first thread.
pub(crate) fn check<O, F>(extent: Extent, executions: u64, outcomes: &[O], model: F)
where
    O: Ord + Clone + Debug + Send + 'static,
    F: Fn() -> O + Send + Sync + 'static,
{
    let seen = Arc::new(sync::Mutex::new(BTreeMap::new()));
    explore(extent, {
        let seen = Arc::clone(&seen);
        move || {
            let outcome = model();
            *seen.lock().unwrap().entry(outcome).or_insert(0_u64) += 1;
        }
    });
    let seen = seen.lock().unwrap();
    let total = seen.values().sum::<u64>();
    let name = thread::current().name().unwrap_or_default().to_owned();
    println!("{total:>8} executions of {name}, by outcome {seen:?}");
    if std::env::var("SURVEY").is_ok() {
        return;
    }
    assert!(
        total >= executions || cfg!(native),
        "only {total} executions"
    );
    let reached = if cfg!(native) || cfg!(loom) && !has_rmw_loads() {
        seen.keys().all(|outcome| outcomes.contains(outcome))
    } else {
        seen.keys().eq(outcomes)
    };
    assert!(reached, "these outcomes were expected: {outcomes:?}");
}

#[cfg(loom)]
fn explore(extent: Extent, model: impl Fn() + Send + Sync + 'static) {
    let mut explorer = loom::model::Builder::new();
    explorer.preemption_bound = match extent {
        Extent::Exhaustive => None,
        Extent::Preemptions(max) => Some(max),
    };
    explorer.check(model);
}

#[cfg(all(shuttle, not(native)))]
fn explore(extent: Extent, model: impl Fn() + Send + Sync + 'static) {
    const RANDOM: usize = 10_000;
    const GUIDED: usize = 10_000;
    match extent {
        Extent::Exhaustive => shuttle::check_dfs(model, None),
        Extent::Preemptions(max) => {
            let model = Arc::new(model);
            let again = Arc::clone(&model);
            shuttle::check_random(move || model(), RANDOM);
            shuttle::check_pct(move || again(), GUIDED, max + 1);
        }
    }
}

#[cfg(native)]
fn explore(_: Extent, model: impl Fn() + Send + Sync + 'static) {
    // Miri runs all of it once for each of its seeds.
    let runs = if cfg!(miri) { 1 } else { 200 };
    (0..runs).for_each(|_| model());
}
