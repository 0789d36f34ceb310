//! How long an operation may wait, and in which steps it does.

use crate::error::{EndpointError, Refusal};
use crate::options::WaitStrategy;
use crate::sys::clock::Instant;
use core::time::Duration;
use std::time;

/// How long an operation may wait. Small enough to be passed in registers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum WaitLimit {
    None,
    For(Duration),
    Forever,
}

impl WaitLimit {
    /// Until a deadline of the standard library's clock.
    pub(crate) fn until(deadline: time::Instant) -> Self {
        Self::For(deadline.saturating_duration_since(time::Instant::now()))
    }

    /// The deadline, counted from now; `None` if the operation may not wait.
    pub(crate) fn deadline(self) -> Option<Instant> {
        match self {
            Self::None => None,
            Self::For(time) => Some(Instant::now().after(time)),
            Self::Forever => Some(Instant::NEVER),
        }
    }
}

/// Attempts between two reads of the clock: some microseconds, which make its price small.
pub(super) const SPINS_PER_CLOCK_READ: u32 = 1000;

/// What a waiting operation does between two reads of the clock.
pub(super) enum WaitStep {
    Spin,
    Yield,
    Sleep,
}

/// The steps of a strategy that are left.
pub(super) struct WaitSteps(WaitStrategy);

impl WaitSteps {
    pub(super) fn after_first_spins(mut strategy: WaitStrategy) -> Self {
        if let WaitStrategy::Sleep { spins, .. } = &mut strategy {
            *spins = spins.saturating_sub(SPINS_PER_CLOCK_READ);
        }
        Self(strategy)
    }

    pub(super) fn next(&mut self) -> WaitStep {
        match &mut self.0 {
            WaitStrategy::Spin => WaitStep::Spin,
            WaitStrategy::Sleep {
                spins: 0,
                yields: 0,
            } => WaitStep::Sleep,
            WaitStrategy::Sleep { spins: 0, yields } => {
                *yields -= 1;
                WaitStep::Yield
            }
            WaitStrategy::Sleep { spins, .. } => {
                *spins = spins.saturating_sub(SPINS_PER_CLOCK_READ);
                WaitStep::Spin
            }
        }
    }
}

/// Repeats an attempt without a time limit until it succeeds or fails for good.
#[inline(always)]
pub(crate) fn retry_until_done<R>(
    mut attempt: impl FnMut() -> Result<R, Refusal>,
) -> Result<R, EndpointError> {
    loop {
        match attempt() {
            Ok(done) => return Ok(done),
            Err(Refusal::NotReady) => {}
            Err(Refusal::Failed(error)) => return Err(error),
        }
    }
}
