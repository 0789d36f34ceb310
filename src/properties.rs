//! The properties of a ring that its header records and its participants share.

use core::fmt;

/// The protocol that a ring follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// One producer, one consumer.
    Spsc,
    /// Many producers, many consumers.
    Mpmc,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Spsc => "spsc",
            Self::Mpmc => "mpmc",
        })
    }
}

/// How messages are stored in slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Encoding {
    /// Values of one type.
    Values,
    /// Byte strings up to a maximum length.
    Bytes,
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Values => "values",
            Self::Bytes => "byte strings",
        })
    }
}

/// What happens to a message that a consumer had claimed and not released when it died.
///
/// A property of an MPMC ring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// Another consumer gets the message.
    #[default]
    AtLeastOnce,
    /// The message is dropped.
    AtMostOnce,
}

impl fmt::Display for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AtLeastOnce => "at-least-once",
            Self::AtMostOnce => "at-most-once",
        })
    }
}

/// How both sides of a ring order a store before a later load, so that no wake-up is lost.
///
/// A property of the ring, because both sides must agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fences {
    /// Publishing needs no fence instruction. A participant that is about to sleep calls
    /// `membarrier(2)`, which interrupts registered processes on other cores. For streams of
    /// messages.
    Membarrier,
    /// One full fence at each publication, and another before a participant sleeps. For rings with
    /// a sleep at almost every message, and for sandboxes that forbid `membarrier(2)`.
    Symmetric,
}

impl fmt::Display for Fences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Membarrier => "membarrier",
            Self::Symmetric => "symmetric",
        })
    }
}
