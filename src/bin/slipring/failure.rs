//! Why something could not be done, in one line and a number.

use super::output;
use slipring::Backing;
use slipring::error::{ExclusiveError, GrowError, OpenError, UnlinkError};
use std::fmt::{self, Display};
use std::io;

const FAILED: u8 = 1;
/// The other side died, or left work behind.
const FORSAKEN: u8 = 3;
/// As of `timeout(1)`.
const TIMED_OUT: u8 = 124;

#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) status: u8,
    text: String,
}

impl Failure {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self {
            status: FAILED,
            text: text.into(),
        }
    }

    /// What went wrong with a ring.
    pub(crate) fn of(ring: &Backing, reason: impl Display) -> Self {
        Self::new(format!("{ring}: {reason}"))
    }

    pub(crate) fn forsaken(ring: &Backing, reason: impl Display) -> Self {
        Self {
            status: FORSAKEN,
            ..Self::of(ring, reason)
        }
    }

    pub(crate) fn timed_out(ring: &Backing, reason: impl Display) -> Self {
        Self {
            status: TIMED_OUT,
            ..Self::of(ring, format_args!("timed out: {reason}"))
        }
    }

    pub(crate) fn open(ring: &Backing, error: &OpenError) -> Self {
        match error {
            OpenError::NotFound { .. } => Self::of(ring, "no such ring"),
            OpenError::Permission { .. } => Self::of(ring, "no permission to open it"),
            OpenError::NotARing { .. } => Self::of(ring, "not a ring"),
            other => Self::of(ring, other),
        }
    }

    pub(crate) fn vacancy(ring: &Backing, error: &ExclusiveError) -> Self {
        match error {
            ExclusiveError::Open(error) => Self::open(ring, error),
            other => Self::of(ring, other),
        }
    }

    pub(crate) fn grow(ring: &Backing, error: &GrowError) -> Self {
        match error {
            GrowError::Open(error) => Self::open(ring, error),
            other => Self::of(ring, other),
        }
    }

    pub(crate) fn unlink(ring: &Backing, error: &UnlinkError) -> Self {
        match error {
            UnlinkError::NotFound { .. } => Self::of(ring, "no such ring"),
            UnlinkError::Permission { .. } => Self::of(ring, "no permission to remove it"),
            other => Self::of(ring, other),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::new(format!("standard output: {error}"))
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&output::plain(&self.text))
    }
}
