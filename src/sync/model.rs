//! Running a model under whichever checker the build is for.

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
    /// Where that is too much, or where threads spin: at most so many preemptions under loom,
    /// and random schedules under shuttle, whose exhaustive scheduler never leaves a loop.
    Preemptions(usize),
}

/// Runs `model` in every interleaving that the checker can find within `extent`. It returns
/// what came of the execution: all together, these must be exactly the `outcomes`. Only loom
/// with plain loads may miss some of them, as it skips interleavings, and threads of the machine's,
/// which meet as they happen to.
///
/// The model's closure only spawns and joins, because loom skips interleavings of the thread
/// that it started with. So that a model which explores next to nothing is noticed, there must
/// be at least `executions`.
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
