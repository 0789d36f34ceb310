//! The two roles of a participant, and what one role knows of the other.

use core::fmt;

/// An end of a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The end that pushes.
    Producer,
    /// The end that pops.
    Consumer,
}

impl Role {
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Producer => Self::Consumer,
            Self::Consumer => Self::Producer,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Producer => "producer",
            Self::Consumer => "consumer",
        })
    }
}

/// What is known of the other end of a ring; of an MPMC ring, of one of those who are there or of
/// those who were there last. True of the moment of asking; the next holder may be on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Peer {
    /// Nobody has held that end yet.
    NeverCame,
    /// A live process holds it; perhaps stopped, but not dead.
    Present {
        /// What it recorded as its pid, in its own pid namespace. Unverified.
        pid: u32,
    },
    /// The last holder dropped its handle.
    Left,
    /// The last holder died, and the kernel says so.
    Died {
        /// What it recorded as its pid, in its own pid namespace. Unverified.
        pid: u32,
    },
    /// Somebody closed the ring, for good.
    Closed,
}
