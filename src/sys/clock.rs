//! Points in time on `CLOCK_MONOTONIC`, in nanoseconds.
//!
//! A time-out becomes a deadline once, when the operation begins, so a retry does not restart it.

use core::time::Duration;
use nix::libc::timespec;
use nix::time::{ClockId, clock_gettime};

/// A point in time. The range is several centuries; a later one becomes [`Instant::NEVER`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Instant(u64);

const NANOS_PER_SECOND: u64 = 1_000_000_000;

impl Instant {
    pub(crate) const NEVER: Self = Self(u64::MAX);

    pub(crate) fn now() -> Self {
        Self::read(ClockId::CLOCK_MONOTONIC)
    }

    /// Up to a few milliseconds behind [`Instant::now`], at a fifth of its cost.
    pub(crate) fn now_coarse() -> Self {
        Self::read(ClockId::CLOCK_MONOTONIC_COARSE)
    }

    pub(crate) fn after(self, time: Duration) -> Self {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanos))
    }

    /// A clock that can't be read yields the same time at every call. Sleeps stay bounded by the
    /// kernel's own clock, and no time-out appears to have passed.
    fn read(clock: ClockId) -> Self {
        clock_gettime(clock).map_or(Self(0), |time| {
            let seconds = u64::try_from(time.tv_sec()).unwrap_or(0);
            let nanos = u64::try_from(time.tv_nsec()).unwrap_or(0);
            Self(seconds * NANOS_PER_SECOND + nanos)
        })
    }

    pub(crate) fn to_timespec(self) -> timespec {
        timespec {
            tv_sec: i64::try_from(self.0 / NANOS_PER_SECOND).unwrap_or(i64::MAX),
            tv_nsec: (self.0 % NANOS_PER_SECOND) as i64,
        }
    }
}
