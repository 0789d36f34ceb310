//! Trials with steps that are decoded from bytes. A fuzzer and the random inputs of `cargo test` run
//! the same functions.

#![allow(dead_code, reason = "each test program runs some of the trials")]

pub(crate) mod choices;
mod crowd;
mod deaths;
pub(crate) mod hostile;
pub(crate) mod open;
mod pair;
pub(crate) mod seeds;
pub(crate) mod stream;

/// Operations, attaching, detaching and deaths, on a ring and on a model, which must agree after
/// every step.
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

/// Runs `body`, which may read slots and intents at most `most` times. Only a fuzzer's build counts
/// these steps.
pub(crate) fn within_steps<R>(most: u64, what: &str, body: impl FnOnce() -> R) -> R {
    let before = steps();
    let result = body();
    let taken = steps() - before;
    assert!(
        taken <= most,
        "{what}: found {taken} steps, expected at most {most}"
    );
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
