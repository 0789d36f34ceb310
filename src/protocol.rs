//! The kinds of ring, as types.

use crate::properties::Kind;
use crate::ring::{PopSide, PushSide, mpmc, spsc};

/// The kind of a ring, as a type: [`Spsc`] or [`Mpmc`]. The trait is sealed.
///
/// ```
/// use slipring::{Producer, Protocol, error::PushError, mpmc, spsc};
///
/// fn count<P: Protocol>(producer: &mut Producer<u64, P>) -> Result<(), PushError> {
///     (1..=3).try_for_each(|number| producer.push(&number))
/// }
///
/// # let name = &format!("/slipring-doc-protocol-{}", std::process::id());
/// # let ring = spsc::Ring::<u64>::create(name, 4)?;
/// # slipring::unlink(name)?;
/// count(&mut ring.producer()?)?;
/// # let ring = mpmc::Ring::<u64>::create(name, 4)?;
/// # slipring::unlink(name)?;
/// count(&mut ring.producer()?)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Protocol: Rules {}

/// One producer, one consumer: see [`spsc`](crate::spsc).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spsc {}

/// Many producers, many consumers: see [`mpmc`](crate::mpmc).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mpmc {}

impl Protocol for Spsc {}

impl Protocol for Mpmc {}

/// The types and the constant that the crate needs for a protocol. The trait cannot be named
/// outside the crate.
pub trait Rules: 'static {
    /// The private state of a producer.
    type Writer: PushSide + Send;
    /// The private state of a consumer.
    type Reader: PopSide + Send;
    /// The kind, as the header records it.
    const KIND: Kind;
}

impl Rules for Spsc {
    type Writer = spsc::Writer;
    type Reader = spsc::Reader;
    const KIND: Kind = Kind::Spsc;
}

impl Rules for Mpmc {
    type Writer = mpmc::Writer;
    type Reader = mpmc::Reader;
    const KIND: Kind = Kind::Mpmc;
}
