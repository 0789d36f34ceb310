//! The properties of a ring that its header records and its participants share.

use core::fmt;

/// Which protocol a ring follows.
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

/// How messages lie in their slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Encoding {
    /// Values of one type.
    Values,
    /// Byte strings up to a length.
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

/// What becomes of a message that a consumer had taken and not given back when it died. A property
/// of an MPMC ring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// Another consumer gets it.
    #[default]
    AtLeastOnce,
    /// Nobody does.
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

/// How both sides of a ring keep a store before a later load, so that no wake-up is lost. A
/// property of the ring, since both sides must agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fences {
    /// Nothing for who publishes; a `membarrier(2)` call for who is about to sleep, which
    /// interrupts registered processes on other cores. For streams of messages.
    Membarrier,
    /// A full fence for who publishes, another for who is about to sleep. For rings that
    /// sleep at almost every message, and for sandboxes that forbid `membarrier(2)`.
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
