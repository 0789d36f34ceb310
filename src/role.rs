//! The two roles of a participant, and the state of a peer as the other role sees it.

use core::fmt;

/// The role of a participant in a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Pushes messages.
    Producer,
    /// Pops messages.
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

/// The state of the peers of a participant, as far as it is known.
///
/// In an MPMC ring it describes one of the peers that are attached, or else one of those that were
/// attached last. It is a snapshot: the next holder of a seat may already be attaching.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Peer {
    /// No process has taken a seat of that role yet.
    NeverCame,
    /// A live process holds the seat. It may be stopped, but it is not dead.
    Present {
        /// The process ID that the holder recorded, in its own PID namespace. Unverified.
        pid: u32,
    },
    /// The last holder dropped its handle.
    Left,
    /// The last holder died, as the kernel's release of its lock proves.
    Died {
        /// The process ID that the holder recorded, in its own PID namespace. Unverified.
        pid: u32,
    },
    /// The ring was closed permanently.
    Closed,
}
