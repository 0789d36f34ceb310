//! A ring that is open in this process, and what it has in common with rings of all kinds.

use super::memory_stat::MemoryStat;
use super::validate::{check_owner, plan_geometry};
use crate::backing::{
    Access, BackingName, CreateParams, LockId, Object, ObjectStat, OpenedObject, Region,
};
use crate::error::{
    CreateError, GrowError, OpenError, RecoverError, Recovering, SegmentError, StatError, SyncError,
};
use crate::growth::{self, Chain, lock_wait, pause_before};
use crate::layout::{Geometry, nanos};
use crate::message::Message;
use crate::options::{Options, WaitStrategy};
use crate::properties::Kind;
use crate::recovery::{Counters, Recovery};
use crate::seat;
use crate::sync::Relaxed;
use crate::sys::process;
use std::time::SystemTime;

const DEFAULT_MODE: u32 = 0o600;

/// A ring that is open in this process: its mapped segments, and how this process waits.
#[derive(Debug)]
pub(crate) struct OpenRing {
    chain: Chain,
    wait: WaitStrategy,
}

impl OpenRing {
    pub(crate) fn create<M: Message + ?Sized>(
        name: &str,
        kind: Kind,
        options: &Options,
    ) -> Result<Self, CreateError> {
        let backing = BackingName::new(name)?;
        let geometry = plan_geometry::<M>(kind, options)?;
        let size = geometry.total_len();
        let params = CreateParams {
            mode: options.mode.unwrap_or(DEFAULT_MODE),
            owner: options.owner,
            policy: options.policy,
            locks: LockId::count(geometry.participants()),
            lock_wait: lock_wait(geometry.liveness_interval),
        };
        let region = Region::create(&backing, size, &params)?;
        let created_at = SystemTime::UNIX_EPOCH.elapsed().map_or(0, nanos);
        let constants = geometry.constants(process::boot_id(), created_at);
        let mut chain = Chain::create(region, geometry, constants, options.policy);
        chain.region_mut().publish(&backing, size)?;
        Ok(Self {
            chain,
            wait: options.wait,
        })
    }

    /// Opens the ring that has a name, if it passes `check`.
    pub(super) fn open(
        name: &str,
        options: &Options,
        check: impl FnOnce(&Geometry, &ObjectStat) -> Result<(), OpenError>,
    ) -> Result<Self, OpenError> {
        let backing = BackingName::new(name)?;
        let wait = lock_wait(options.liveness_interval.unwrap_or_default());
        let opened = OpenedObject::open(&backing, &options.policy, Access::ReadWrite, wait)?;
        Self::from_object(opened, name, options, check)
    }

    /// Opens a ring of any kind, with any messages.
    pub(super) fn open_any(name: &str) -> Result<Self, OpenError> {
        Self::open(name, &Options::default(), |_, _| Ok(()))
    }

    /// Opens the same object once more, whatever its name leads to by now; also in a forked child.
    pub(super) fn reopen(
        &self,
        check: impl FnOnce(&Geometry, &ObjectStat) -> Result<(), OpenError>,
    ) -> Result<Self, OpenError> {
        let options = Options {
            wait: self.wait,
            policy: *self.chain.policy(),
            ..Options::default()
        };
        let opened = OpenedObject::reopen(self.object(), self.chain.policy())?;
        Self::from_object(opened, "the same ring", &options, check)
    }

    /// Validates an object and maps its first segment, if it is a ring that passes `check`.
    fn from_object(
        opened: OpenedObject,
        name: &str,
        options: &Options,
        check: impl FnOnce(&Geometry, &ObjectStat) -> Result<(), OpenError>,
    ) -> Result<Self, OpenError> {
        check_owner(&opened.stat, options)?;
        let header = opened.header()?;
        // After the header: a next segment is complete before the header names it, and the object
        // may have been shorter before.
        let size = opened.object().stat()?.size;
        let geometry = Geometry::validate_first(&header, size, name)?;
        if !opened.object().can_grow() {
            geometry.check_exact_size(size, opened.page())?;
        }
        let expected = match check(&geometry, &opened.stat) {
            // It may be the capacity that the ring has grown to.
            Err(OpenError::Capacity { expected, .. })
                if Geometry::next_segment_in(&header) != 0 =>
            {
                Some(expected)
            }
            checked => checked.map(|()| None)?,
        };
        if options.policy.reserves_huge_pages() && !opened.is_huge() {
            return Err(OpenError::NotHuge);
        }
        if !geometry.fences.register() {
            return Err(OpenError::FencesUnavailable {
                found: geometry.fences,
            });
        }
        let region = opened.map(geometry.total_len(), &options.policy)?;
        let open_ring = Self {
            chain: Chain::new(region, geometry, options.policy),
            wait: options.wait,
        };
        open_ring.recover_after_boot();
        let found = open_ring.capacity() as u64;
        match expected {
            Some(expected) if expected != found => Err(OpenError::Capacity { expected, found }),
            _ => Ok(open_ring),
        }
    }

    /// Recovers the ring if the machine was started since a process had it open. The locks of that
    /// time are gone, so no participant of that time counts as live.
    fn recover_after_boot(&self) {
        let boot_id = process::boot_id();
        let view = self.chain.view();
        // Without /proc the next participant that attaches recovers.
        if boot_id == [0; 16] || view.boot_id() == boot_id {
            return;
        }
        // Another holder of the lock does the same.
        if let Ok(Ok(guard)) = self.chain.recovery_context(None).try_lock() {
            if self.geometry().kind == Kind::Mpmc {
                let Ok(segments) = self.chain.active_segments() else {
                    return;
                };
                guard.recover(&segments, None);
            }
            view.set_boot_id(boot_id);
        }
    }

    pub(crate) fn chain(&self) -> &Chain {
        &self.chain
    }

    pub(crate) fn geometry(&self) -> &Geometry {
        self.chain.geometry()
    }

    pub(crate) fn object(&self) -> &Object {
        self.chain.object()
    }

    #[inline(always)]
    pub(crate) fn wait_strategy(&self) -> WaitStrategy {
        self.wait
    }

    /// Closes the ring for good: blocked calls return, in every process. Does nothing in a forked
    /// child.
    pub(crate) fn close(&self) {
        if self.chain.check_process().is_ok() {
            self.chain.close();
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.chain.check_process().is_ok() && self.chain.is_closed()
    }

    /// The capacity of the newest segment, as far as it can be mapped.
    pub(crate) fn capacity(&self) -> usize {
        let newest = match self.chain.check_process() {
            Ok(()) => self.chain.active_segments().ok(),
            Err(_) => None,
        };
        let geometry = newest.map_or(*self.geometry(), |segments| segments.newest().geometry);
        geometry.capacity as usize
    }

    /// The capacity of the newest segment that this process has mapped; of the first one in a
    /// forked child, where another thread of the parent may have left the chain locked.
    pub(crate) fn mapped_capacity(&self) -> usize {
        let geometry = match self.chain.check_process() {
            Ok(()) => self.chain.newest_mapped().geometry,
            Err(_) => *self.geometry(),
        };
        geometry.capacity as usize
    }

    pub(crate) fn message_size(&self) -> usize {
        self.geometry().shape.size as usize
    }

    /// The number of messages by the stored heads and tails, which may lag behind.
    pub(crate) fn len(&self) -> usize {
        match self.chain.check_process() {
            Ok(()) => self.chain.active_segments().map_or(0, |segments| {
                segments.iter().map(|segment| segment.len()).sum()
            }),
            Err(_) => 0,
        }
    }

    pub(crate) fn sync(&self) -> Result<(), SyncError> {
        self.chain.check_process()?;
        let segments = self.chain.active_segments();
        let segments = segments.map_err(SegmentError::into_error::<SyncError>)?;
        segments.iter().try_for_each(|segment| segment.sync())?;
        Ok(self.chain.region().sync()?)
    }

    pub(crate) fn memory_stat(&self) -> Result<MemoryStat, StatError> {
        self.chain.check_process()?;
        let stat = self.object().stat()?;
        Ok(MemoryStat::new(&stat, &self.chain.region().residency()))
    }

    /// Removes the ring's name, if the ring asks for that and no seat is held. The ring is closed
    /// then, so that a process which opened it before does not use a ring without a name unaware.
    pub(crate) fn unlink_when_left(&self) {
        if !self.geometry().unlink_when_left || self.object().is_nameless() {
            return;
        }
        let deadline = self.chain.lock_deadline();
        loop {
            match self.chain.recovery_context(None).try_lock() {
                Ok(Ok(_guard)) => {
                    let seats = 0..self.geometry().participants();
                    if seat::find_held(self.object(), &seats, None).is_none() {
                        self.close();
                        self.object().remove();
                    }
                    return;
                }
                Ok(Err(Recovering { .. })) if pause_before(deadline) => {}
                // The name stays until the next participant leaves.
                _ => return,
            }
        }
    }

    /// Recovers the ring on behalf of no participant. An SPSC ring needs no recovery.
    pub(crate) fn recover(&self) -> Result<Recovery, RecoverError> {
        self.chain.check_process()?;
        if self.geometry().kind == Kind::Spsc {
            return Ok(Recovery::default());
        }
        let deadline = self.chain.lock_deadline();
        loop {
            match self.chain.recovery_context(None).try_lock()? {
                Ok(guard) => {
                    let segments = self.chain.active_segments();
                    let segments = segments.map_err(SegmentError::into_error::<RecoverError>)?;
                    return Ok(guard.recover(&segments, None).0);
                }
                Err(Recovering { .. }) if pause_before(deadline) => {}
                Err(busy) => return Err(busy.into()),
            }
        }
    }

    pub(crate) fn counters(&self) -> Counters {
        if self.chain.check_process().is_err() {
            return Counters::default();
        }
        let status = &self.chain.view().header().status.0;
        // Relaxed: statistics.
        Counters {
            recoveries: status.recoveries.load(Relaxed),
            tombstones: status.tombstones.load(Relaxed),
            redelivered: status.redelivered.load(Relaxed),
            dropped: status.dropped.load(Relaxed),
        }
    }
}

/// [Recovers](crate::mpmc::Ring::recover) a ring of any kind, with any messages, by its name.
///
/// For tools, which need not know the type of the messages. An SPSC ring needs no recovery: the
/// next holder of a seat continues where the last one stopped.
///
/// ```
/// # let name = &format!("/slipring-doc-recover-any-{}", std::process::id());
/// # let ring = slipring::mpmc::Ring::<[u8]>::create_bytes(name, 4, 100)?;
/// let recovery = slipring::recover(name)?;
/// # slipring::unlink(name)?;
/// assert_eq!(recovery.settled, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// See [`RecoverError`].
pub fn recover(name: impl AsRef<str>) -> Result<Recovery, RecoverError> {
    OpenRing::open_any(name.as_ref())?.recover()
}

/// [Grows](crate::Ring::grow) a ring of any kind, with any messages, by its name.
///
/// For tools, which need not know the type of the messages.
///
/// ```
/// # let name = &format!("/slipring-doc-grow-any-{}", std::process::id());
/// # let ring = slipring::mpmc::Ring::<[u8]>::create_bytes(name, 4, 100)?;
/// slipring::grow(name, 1000)?;
/// # slipring::unlink(name)?;
/// assert_eq!(ring.capacity(), 1024);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// See [`GrowError`]. The ring is unchanged then.
pub fn grow(name: impl AsRef<str>, capacity: usize) -> Result<(), GrowError> {
    growth::append(OpenRing::open_any(name.as_ref())?.chain(), capacity)
}
