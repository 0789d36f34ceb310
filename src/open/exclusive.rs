//! Removing a ring for certain that nobody has.

use super::OpenRing;
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

/// A ring of which nobody has a seat, and nobody can take one for as long as the value lives. Who tries waits for a
/// moment, and is then refused.
///
/// [`unlink`](crate::unlink) removes whatever has a name. To look first who has it, and then to remove it, may remove
/// what somebody has just begun to use, or another ring that has the name by then; this doesn't.
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
pub struct ExclusiveRing {
    // Given back first: what becomes of the object may depend on who still holds a lock of it.
    _locks: Vec<OwnedLock>,
    open_ring: OpenRing,
    backing: BackingName,
    created_at: Duration,
}

impl ExclusiveRing {
    /// Keeps everybody from a ring that nobody has. It takes what [`Backing`](crate::Backing) describes, a new memfd
    /// excepted.
    ///
    /// # Errors
    ///
    /// If there is no ring, somebody has a seat of it, or this process may not take part in it; see
    /// [`ExclusiveError`].
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

    /// How many messages are in the ring.
    pub fn len(&self) -> usize {
        self.open_ring.len()
    }

    /// Whether no message is in the ring.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// When the ring was made, by its maker's clock.
    pub fn created_at(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + self.created_at
    }

    /// Removes the ring. For those who have it open without a seat it is [closed](crate::Ring::close).
    ///
    /// # Errors
    ///
    /// If the name is another ring's by now, or there is no permission to remove it.
    pub fn unlink(self) -> Result<(), UnlinkError> {
        let removed = self.open_ring.object().unlink(&self.backing);
        if removed.is_ok() {
            self.open_ring.close();
        }
        removed
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
