//! Locking a ring that no participant uses, to remove it safely.

use super::open_ring::OpenRing;
use crate::backing::{BackingName, MemoryPolicy, OpenedObject};
use crate::error::{ExclusiveError, OpenError, Recovering, UnlinkError};
use crate::growth::{Chain, pause_before};
use crate::layout::HeaderCopy;
use crate::properties::Kind;
use crate::seat::{self, OwnedLock};
use crate::sync::Relaxed;
use crate::sys::process;
use core::time::Duration;
use std::time::SystemTime;

/// Exclusive possession of a ring: no participant holds a seat, and none can claim one.
///
/// The value holds the ring's locks until it is dropped. A process that tries to attach meanwhile
/// waits, as it does for a recovery, and is then refused. The kernel releases the locks when the
/// process dies. In a forked child the value does nothing.
///
/// [`unlink`](crate::unlink) removes the ring that has a name at that moment. Between a check that
/// the ring is unused and the removal, a process may attach, or another ring may take the name.
/// [`ExclusiveRing::unlink`] excludes both.
///
/// ```
/// use slipring::{ExclusiveRing, spsc};
///
/// # let name = &format!("/slipring-doc-exclusive-{}", std::process::id());
/// let ring = spsc::Ring::<u64>::create(name, 16)?;
/// let producer = ring.producer()?;
/// assert!(ExclusiveRing::lock(name).is_err());
///
/// drop(producer);
/// let exclusive = ExclusiveRing::lock(name)?;
/// if exclusive.is_empty() {
///     exclusive.unlink()?;
/// }
/// assert!(ring.is_closed());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "the ring is locked while the value lives: `ExclusiveRing::lock(n)?;` releases at once"]
pub struct ExclusiveRing {
    // Dropped first: what happens to the object may depend on the locks that are still held.
    _locks: Vec<OwnedLock>,
    open_ring: OpenRing,
    backing: BackingName,
    created_at: Duration,
}

impl ExclusiveRing {
    /// Locks a ring that no participant uses. `name` is one that [`Backing`](crate::Backing)
    /// describes, except for a new memfd.
    ///
    /// Waits for a process that recovers the ring or attaches to it, for a liveness interval or a
    /// second, whichever is more.
    ///
    /// # Errors
    ///
    /// If there is no such ring, a participant holds a seat, or this process may not read and write
    /// the ring; see [`ExclusiveError`].
    pub fn lock(name: impl AsRef<str>) -> Result<Self, ExclusiveError> {
        let name = name.as_ref();
        let backing = BackingName::new(name).map_err(OpenError::from)?;
        let open_ring = OpenRing::open_any(name)?;
        let deadline = open_ring.chain().lock_deadline();
        let locks = loop {
            match lock_exclusively(open_ring.chain()) {
                Ok(locks) => break locks,
                Err(ExclusiveError::Recovering(_)) if pause_before(deadline) => {}
                Err(error) => return Err(error),
            }
        };
        let opened = OpenedObject::reopen(open_ring.object(), &MemoryPolicy::default());
        let mut copy = HeaderCopy::blank(open_ring.geometry());
        opened?.read(0, copy.bytes_mut())?;
        Ok(Self {
            created_at: Duration::from_nanos(copy.created_at()),
            _locks: locks,
            open_ring,
            backing,
        })
    }

    /// The number of messages in the ring; 0 in a forked child.
    pub fn len(&self) -> usize {
        self.open_ring.len()
    }

    /// Whether no message is in the ring.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The time at which the ring was created, by its creator's clock.
    pub fn created_at(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + self.created_at
    }

    /// Removes the ring, and [closes](crate::Ring::close) it for processes that have it open
    /// without a seat.
    ///
    /// If this process is killed between the removal and the closing, the ring is removed and not
    /// closed.
    ///
    /// # Errors
    ///
    /// If the name belongs to another ring by now, the process may not remove it, or the process is
    /// a forked child. The ring is unchanged then. See [`UnlinkError`].
    #[doc(alias = "shm_unlink")]
    pub fn unlink(self) -> Result<(), UnlinkError> {
        // The locks belong to the parent, which may have released them since.
        self.open_ring.chain().check_process()?;
        self.open_ring.object().unlink(&self.backing)?;
        self.open_ring.close();
        Ok(())
    }
}

/// Acquires the locks without which no participant can claim a seat.
fn lock_exclusively(chain: &Chain) -> Result<Vec<OwnedLock>, ExclusiveError> {
    let recoverer = &chain.view().header().status.0.recoverer;
    let Some(recovery) = OwnedLock::recovery(chain.object())? else {
        let pid = recoverer.load(Relaxed);
        return Err(Recovering { pid }.into());
    };
    recoverer.store(process::pid(), Relaxed);
    let in_use = |seat| ExclusiveError::InUse {
        pid: chain.view().entry(seat).pid(),
    };
    let seats = 0..chain.geometry().participants();
    let mut locks = vec![recovery];
    if chain.geometry().kind == Kind::Spsc {
        // SPSC seats are claimed without the recovery lock.
        for seat in seats.clone() {
            let lock = OwnedLock::seat(chain.object(), seat)?;
            locks.push(lock.ok_or_else(|| in_use(seat))?);
        }
    } else if let Some(seat) = seat::find_held(chain.object(), &seats, None) {
        return Err(in_use(seat));
    }
    Ok(locks)
}
