//! Rings with one producer and one consumer, each in any process.
//!
//! ```
//! use slipring::bytemuck::{Pod, Zeroable};
//! use slipring::spsc;
//!
//! #[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
//! #[bytemuck(crate = "slipring::bytemuck")]
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
//! // In another process, which needs only the name and the type:
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
//! # Attaching and detaching
//!
//! A ring outlives the processes that use it. It exists until its [name is removed](crate::unlink)
//! and the last process has released it. Each role has one seat, which one handle holds at a time.
//! The next holder continues where the last one stopped, whether that one left or died. No message
//! is lost then. None is duplicated, except for messages that a dead consumer was
//! [reading in place](Consumer::read).
//!
//! [`Peer`](crate::Peer) describes the state of the other role. Its absence is reported as
//! [`Disconnected`](crate::error::Disconnected), once nothing is left to do without it. A stopped
//! process (SIGSTOP, a debugger) is not absent, and operations wait for it.
//!
//! # Forked children
//!
//! A handle belongs to the process that created it. In a forked child its operations return
//! [`Forked`](crate::error::Forked), and dropping it does nothing. The child opens the ring for
//! itself.

use crate::api;
use crate::protocol::Spsc;

/// A ring with one producer and one consumer.
pub type Ring<M> = api::Ring<M, Spsc>;

/// The handle that pushes.
pub type Producer<M> = api::Producer<M, Spsc>;

/// The handle that pops.
pub type Consumer<M> = api::Consumer<M, Spsc>;

/// A claimed slot, to be written in place.
pub type Claim<'p, M> = api::Claim<'p, M, Spsc>;

/// Several slots that are written in place.
pub type ClaimChunk<'p, T> = api::ClaimChunk<'p, T, Spsc>;

/// A message that is read in place.
pub type ReadGuard<'c, M> = api::ReadGuard<'c, M, Spsc>;

/// Several messages that are read in place.
pub type ReadChunk<'c, T> = api::ReadChunk<'c, T, Spsc>;

/// A blocking iterator over messages.
pub type Iter<'c, M> = api::Iter<'c, M, Spsc>;

/// A non-blocking iterator over messages.
pub type TryIter<'c, M> = api::TryIter<'c, M, Spsc>;
