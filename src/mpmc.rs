//! Many producers and many consumers, each in any process, and none of them ever in the way of the
//! others by dying.
//!
//! ```
//! use slipring::mpmc;
//!
//! # let name = &format!("/slipring-doc-mpmc-{}", std::process::id());
//! // In one process:
//! let ring = mpmc::Ring::<u64>::create(name, 1024)?;
//! let mut producer = ring.producer()?;
//! producer.push(&7)?;
//!
//! // In any number of others:
//! let ring = mpmc::Ring::<u64>::open(name)?;
//! let mut consumer = ring.consumer()?;
//! # drop(producer);
//! while let Ok(job) = consumer.pop() {
//!     println!("{job}");
//! }
//! # slipring::unlink(name)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Order
//!
//! Each message goes to one consumer. Messages are taken in the order in which their producers
//! claimed places for them: those of one producer in the order of its pushes. A message that was
//! pushed after another by somebody else may be published first; it is not seen before the other is.
//! So [`Empty`](crate::error::TryPopError::Empty) says that the *next* message is not there yet,
//! and [`Full`](crate::error::TryPushError::Full) that the next slot is not free yet: one slow
//! consumer that has not given its slot back is passed a lap later, and no sooner.
//!
//! # Being killed
//!
//! Each handle has a seat in the ring (64 for producers and 64 for consumers, unless
//! [options](crate::Options::producers) say otherwise), whose lock the kernel frees when the process
//! is dead, and in it says which places it is about to claim. So the others can finish what a dead
//! one had begun:
//!
//! * The place of a **producer** that was killed in a push is skipped, unless the message was whole:
//!   then it is delivered.
//! * The messages that a killed **consumer** had taken and not given back are delivered to
//!   another one, later than their turn and [marked](crate::ReadGuard::is_redelivered); or
//!   dropped, if the ring is [at-most-once](crate::Delivery). A consumer that
//!   [pops](Consumer::pop) gives the slot back before the call returns; one that
//!   [reads in place](Consumer::read) does when it drops the guard.
//!
//! Whoever is refused finds out, at most one [liveness
//! interval](crate::Options::liveness_interval) after the kernel has torn the dead process down;
//! nobody else has to be there for it. A process that is stopped (SIGSTOP, a debugger) is not dead:
//! consumers that come to the place it has claimed wait for it, producers fill what room is left.
//!
//! # Coming and going
//!
//! When nobody is there on the other side any more, and nothing is left to do, operations return
//! [`Disconnected`](crate::error::Disconnected). For a consumer something is left as long as another
//! consumer holds a message: it would come to this one if that one died; that it was given back is
//! noticed at the end of an interval. A handle belongs to the
//! process that made it, as [in SPSC rings](crate::spsc#forked-children).
//!
//! # Source
//!
//! The slots are those of Dmitry Vyukov's bounded MPMC queue (1024cores.net). The rest is this
//! crate's own: `docs/design.md` has the protocol, `docs/models` its models, and
//! `docs/correctness.md` says what a kill at each point means.

use crate::api;
use crate::error::RecoverError;
use crate::message::Message;
use crate::protocol::Mpmc;
use crate::recovery::{Counters, Recovery};

/// A ring with any number of producers and consumers.
pub type Ring<M> = api::Ring<M, Mpmc>;

/// An end that pushes.
pub type Producer<M> = api::Producer<M, Mpmc>;

/// An end that pops.
pub type Consumer<M> = api::Consumer<M, Mpmc>;

/// A slot being written in place.
pub type Claim<'p, M> = api::Claim<'p, M, Mpmc>;

/// Several slots being written in place.
pub type ClaimChunk<'p, T> = api::ClaimChunk<'p, T, Mpmc>;

/// A message being read in place.
pub type ReadGuard<'c, M> = api::ReadGuard<'c, M, Mpmc>;

/// Several messages being read in place.
pub type ReadChunk<'c, T> = api::ReadChunk<'c, T, Mpmc>;

/// Messages as they come.
pub type Iter<'c, M> = api::Iter<'c, M, Mpmc>;

/// The messages that are there.
pub type TryIter<'c, M> = api::TryIter<'c, M, Mpmc>;

impl<M: Message + ?Sized> Ring<M> {
    /// Finishes what dead participants had begun, and says what that was. There is no need to: who
    /// is refused does it, and who attaches. Waits for another process that does it at the same
    /// time, for a liveness interval or a second, whichever is more. If that one is killed, the next
    /// one goes on.
    ///
    /// ```
    /// # let name = &format!("/slipring-doc-recover-{}", std::process::id());
    /// # let ring = slipring::mpmc::Ring::<u64>::create(name, 4)?;
    /// # slipring::unlink(name)?;
    /// let recovery = ring.recover()?;
    /// assert_eq!(recovery.tombstones, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// See [`RecoverError`].
    pub fn recover(&self) -> Result<Recovery, RecoverError> {
        self.open_ring().recover()
    }

    /// What was recovered since the ring was made, by whomever; zeroes in a forked child.
    pub fn counters(&self) -> Counters {
        self.open_ring().counters()
    }
}
