//! Error of a command: one line of text and an exit status.

use super::output;
use slipring::Backing;
use slipring::error::{ExclusiveError, GrowError, OpenError, UnlinkError};
use std::fmt::{self, Display};
use std::io;

const FAILED: u8 = 1;
/// The other side died, or ended before the transfer was complete.
const PEER_LOST: u8 = 3;
/// The status that `timeout(1)` uses.
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

    /// An error that concerns one ring.
    pub(crate) fn of(ring: &Backing, reason: impl Display) -> Self {
        Self::new(format!("{ring}: {reason}"))
    }

    pub(crate) fn peer_lost(ring: &Backing, reason: impl Display) -> Self {
        Self {
            status: PEER_LOST,
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

    pub(crate) fn exclusive(ring: &Backing, error: &ExclusiveError) -> Self {
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

    pub(crate) fn input(error: io::Error) -> Self {
        Self::new(format!("standard input: {error}"))
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::new(format!("standard output: {error}"))
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&output::escape(&self.text))
    }
}
