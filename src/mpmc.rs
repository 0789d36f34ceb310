//! Rings with many producers and many consumers, each in any process. A participant that dies never
//! blocks the others.
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
//! // In any number of other processes:
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
//! Each message goes to one consumer. Consumers claim messages in the order in which producers
//! claimed positions for them; so the messages of one producer keep the order of its pushes.
//!
//! If two producers push concurrently, the later position may be published first. Consumers see its
//! message only after the earlier position is published too. So
//! [`Empty`](crate::error::TryPopError::Empty) means that the *next* message is not published yet,
//! and [`Full`](crate::error::TryPushError::Full) that the next slot is not free yet. A slow
//! consumer that has not released its slot holds producers up one lap later, and no sooner.
//!
//! # Crashes
//!
//! Each handle has a seat: 64 for producers and 64 for consumers, unless the
//! [options](crate::Options::producers) set other numbers. The kernel releases the seat's lock when
//! the process is dead. A participant records in its seat which positions it is about to claim. So
//! others can finish the operations of a dead participant:
//!
//! * If a **producer** is killed in a push, its position is skipped, unless the message was
//!   published: then it is delivered.
//! * If a **consumer** is killed, another one receives the messages that it had claimed and not
//!   released: later than in order, and [marked](crate::ReadGuard::is_redelivered). In an
//!   [at-most-once](crate::Delivery) ring they are dropped. A [pop](Consumer::pop) releases its
//!   slot before it returns; a consumer that [reads in place](Consumer::read) releases the slot
//!   when it drops the guard.
//!
//! Any participant that finds the ring full or empty does this, at most one [liveness
//! interval](crate::Options::liveness_interval) after the kernel has torn down the dead process. No
//! other process is needed. A stopped process (SIGSTOP, a debugger) is not dead. Consumers that
//! reach a position that it has claimed wait for it, and producers use the slots that are left.
//!
//! # Disconnecting
//!
//! When the other role has no participant and nothing is left to do, operations return
//! [`Disconnected`](crate::error::Disconnected). A consumer waits as long as another consumer holds
//! a message, which it would receive if that consumer died. It notices the release of that message
//! at the end of an interval.
//!
//! A handle belongs to the process that created it, as [in SPSC
//! rings](crate::spsc#forked-children).
//!
//! # Source
//!
//! The slots are those of Dmitry Vyukov's bounded MPMC queue (1024cores.net). The rest was designed
//! for this crate: `docs/design.md` has the protocol, `docs/models` its models, and
//! `docs/correctness.md` the effect of a kill at each point.

use crate::api;
use crate::error::RecoverError;
use crate::message::Message;
use crate::protocol::Mpmc;
use crate::recovery::{Counters, Recovery};

/// A ring with any number of producers and consumers.
pub type Ring<M> = api::Ring<M, Mpmc>;

/// A handle that pushes.
pub type Producer<M> = api::Producer<M, Mpmc>;

/// A handle that pops.
pub type Consumer<M> = api::Consumer<M, Mpmc>;

/// A claimed slot, to be written in place.
pub type Claim<'p, M> = api::Claim<'p, M, Mpmc>;

/// Several slots that are written in place.
pub type ClaimChunk<'p, T> = api::ClaimChunk<'p, T, Mpmc>;

/// A message that is read in place.
pub type ReadGuard<'c, M> = api::ReadGuard<'c, M, Mpmc>;

/// Several messages that are read in place.
pub type ReadChunk<'c, T> = api::ReadChunk<'c, T, Mpmc>;

/// A blocking iterator over messages.
pub type Iter<'c, M> = api::Iter<'c, M, Mpmc>;

/// A non-blocking iterator over messages.
pub type TryIter<'c, M> = api::TryIter<'c, M, Mpmc>;

impl<M: Message + ?Sized> Ring<M> {
    /// Finishes the operations of dead participants, and returns what was recovered.
    ///
    /// No program needs to call it: participants that attach, or find the ring full or empty,
    /// recover it too. Waits for another process that recovers the ring, at most for a liveness
    /// interval or a second, whichever is more. If a recovering process is killed, the next one
    /// continues.
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

    /// Returns the totals of all recoveries by any process since the ring was created; zeroes in a
    /// forked child. Does not block.
    pub fn counters(&self) -> Counters {
        self.open_ring().counters()
    }
}
