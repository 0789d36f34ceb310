//! One producer and one consumer, each in any process.
//!
//! ```
//! use slipring::spsc;
//!
//! #[derive(Clone, Copy, Debug, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
//! #[repr(C)]
//! struct Quote {
//!     instrument: u32,
//!     price: u32,
//! }
//!
//! # let name = &format!("/slipring-doc-spsc-{}", std::process::id());
//! // In one process:
//! let ring = spsc::Ring::<Quote>::create(name, 4096)?;
//! let mut producer = ring.producer()?;
//! producer.push(&Quote { instrument: 7, price: 1250 })?;
//!
//! // In another, which needs to know nothing but the name:
//! let ring = spsc::Ring::<Quote>::open(name)?;
//! let mut consumer = ring.consumer()?;
//! # drop(producer);
//! while let Ok(quote) = consumer.pop() {
//!     println!("{quote:?}");
//! }
//! # slipring::unlink(name)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Coming and going
//!
//! A ring outlives its users: it is there until its [name is removed](crate::unlink) and the last
//! process has let go of it. Each end has one holder at a time; the next holder goes on where the
//! last one stopped, in good order or by death. Nothing is lost then, and nothing comes twice but
//! a message that a dead consumer was still [reading in place](Consumer::read).
//!
//! What the other end is doing is a [`Peer`](crate::Peer); that it is gone is reported as
//! [`Disconnected`](crate::error::Disconnected), once nothing is left to do without it. A process
//! that is stopped (SIGSTOP, a debugger) is not gone, and is waited for.
//!
//! # Forked children
//!
//! A handle belongs to the process that made it. In a forked child its operations return
//! [`Forked`](crate::error::Forked), and dropping it does nothing. The child opens the ring for
//! itself.

use crate::{api, protocol::Spsc};

/// A ring with one producer and one consumer.
pub type Ring<M> = api::Ring<M, Spsc>;

/// The end that pushes.
pub type Producer<M> = api::Producer<M, Spsc>;

/// The end that pops.
pub type Consumer<M> = api::Consumer<M, Spsc>;

/// A slot being written in place.
pub type Claim<'p, M> = api::Claim<'p, M, Spsc>;

/// Several slots being written in place.
pub type ClaimChunk<'p, T> = api::ClaimChunk<'p, T, Spsc>;

/// A message being read in place.
pub type ReadGuard<'c, M> = api::ReadGuard<'c, M, Spsc>;

/// Several messages being read in place.
pub type ReadChunk<'c, T> = api::ReadChunk<'c, T, Spsc>;

/// Messages as they come.
pub type Iter<'c, M> = api::Iter<'c, M, Spsc>;

/// The messages that are there.
pub type TryIter<'c, M> = api::TryIter<'c, M, Spsc>;
