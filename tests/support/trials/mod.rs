//! Trials that bytes decide: what a fuzzer makes up, and what `cargo test` draws at random, go through the
//! same functions.

#![allow(dead_code, reason = "each test file makes some of the trials")]

pub(crate) mod choices;
mod crowd;
mod deaths;
pub(crate) mod hostile;
pub(crate) mod open;
mod pair;
pub(crate) mod seeds;
pub(crate) mod stream;

/// Operations, comings, goings and deaths, on a ring and on a model: they agree after every step.
pub(crate) mod ops {
    use super::choices::Choices;
    use super::{crowd, pair};

    pub(crate) fn run(bytes: &[u8]) {
        let mut choices = Choices::of(bytes);
        match choices.below(3) {
            0 => pair::they_agree::<u64>(&mut choices),
            1 => pair::they_agree::<[u8]>(&mut choices),
            _ => crowd::they_agree(&mut choices),
        }
    }
}

/// Runs `body`, which must get along with `most` looks at slots and intents. Only a fuzzer's build counts
/// them.
pub(crate) fn within_steps<R>(most: u64, what: &str, body: impl FnOnce() -> R) -> R {
    let before = steps();
    let result = body();
    let taken = steps() - before;
    assert!(taken <= most, "{what} took {taken} steps, and not {most}");
    result
}

#[cfg(fuzzing)]
fn steps() -> u64 {
    slipring::steps::taken()
}

#[cfg(not(fuzzing))]
fn steps() -> u64 {
    0
}
