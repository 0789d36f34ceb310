//! Rings and their handles, whatever the kind: what differs between the kinds is their
//! [`Protocol`].

mod batch;
mod claim;
mod consumer;
mod guard;
mod iter;
mod places;
mod producer;
mod receiving;
mod ring;
mod sending;

pub use self::claim::Claim;
pub use self::consumer::Consumer;
pub use self::guard::ReadGuard;
pub use self::iter::{Iter, TryIter};
pub use self::producer::Producer;
pub use self::ring::Ring;

use crate::error::{Broken, Refused};
use crate::ring::{PopSide, PushSide, mpmc, spsc};
use crate::terms::Kind;

/// The kind of a ring, as a type: [`Spsc`] or [`Mpmc`]. The trait is sealed.
///
/// ```
/// use slipring::{Producer, Protocol, mpmc, spsc};
///
/// fn count<P: Protocol>(producer: &mut Producer<u64, P>) -> Result<(), slipring::error::PushError> {
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

/// What a handle must know of its ring's kind, out of users' reach.
pub trait Rules: 'static {
    /// The state of a producer.
    type Writer: PushSide + Send;
    /// The state of a consumer.
    type Reader: PopSide + Send;
    /// As it stands in the header.
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

/// Does what who waits for ever does when its time is up: begin again.
#[inline(always)]
fn patiently<R>(mut attempt: impl FnMut() -> Result<R, Refused>) -> Result<R, Broken> {
    loop {
        match attempt() {
            Ok(done) => return Ok(done),
            Err(Refused::NotNow) => {}
            Err(Refused::Broken(broken)) => return Err(broken),
        }
    }
}
