//! The object of a ring, whatever its backing: its locks, its name, and its state in the kernel.

use super::descriptor::Descriptor;
use super::mapping::Mapping;
use super::sysv::{SemaphoreGuard, SysvSegment};
use super::{BackingName, path, syscall_error};
use crate::error::{SystemError, UnlinkError};
use crate::sys::ipc::SegmentStat;
use core::ops::Range;
use nix::errno::Errno;
use nix::sys::stat::{FileStat, fstat};
use std::os::fd::{AsFd, BorrowedFd};

/// One of a ring's locks. The kernel releases it when its holder is dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LockId {
    /// The right to recover.
    Recovery,
    /// A seat.
    Seat(u32),
}

impl LockId {
    pub(super) fn index(self) -> u32 {
        match self {
            Self::Recovery => 0,
            Self::Seat(seat) => 1 + seat,
        }
    }

    /// The number of locks of a ring with so many seats.
    pub(crate) fn count(seats: u32) -> u32 {
        1 + seats
    }
}

/// A lock that is held until the value is dropped or the process is dead.
#[derive(Debug)]
pub(crate) struct LockGuard {
    _by: HeldResource,
}

#[derive(Debug)]
#[expect(dead_code, reason = "dropping them releases the lock")]
enum HeldResource {
    Pin(Mapping),
    Semaphore(SemaphoreGuard),
}

/// The object that a ring's bytes live in, with its locks.
#[derive(Debug)]
pub(crate) struct Object(pub(super) ObjectKind);

#[derive(Debug)]
pub(super) enum ObjectKind {
    Descriptor(Descriptor),
    Sysv(SysvSegment),
}

/// The state of an object, as the kernel reports it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ObjectStat {
    pub(crate) size: u64,
    /// How many bytes have memory or disk space of their own.
    pub(crate) allocated: u64,
    pub(crate) mode: u32,
    pub(crate) owner: u32,
    pub(crate) group: u32,
}

impl Object {
    /// Whether the object can grow. A memfd, which is sealed, and a System V segment can't.
    pub(crate) fn can_grow(&self) -> bool {
        matches!(&self.0, ObjectKind::Descriptor(descriptor) if descriptor.path().is_some())
    }

    /// Acquires a lock, unless it is held. Never waits.
    pub(crate) fn take(&self, lock: LockId) -> Result<Option<LockGuard>, SystemError> {
        let by = match &self.0 {
            ObjectKind::Descriptor(descriptor) => descriptor.take(lock)?.map(HeldResource::Pin),
            ObjectKind::Sysv(segment) => {
                let held = segment.set().take(lock);
                held.map_err(|refused| syscall_error("semop", refused))?
                    .map(HeldResource::Semaphore)
            }
        };
        Ok(by.map(|by| LockGuard { _by: by }))
    }

    /// Acquires the growth lock. `None` if it is held, or if the object can't grow.
    pub(crate) fn lock_growth(&self) -> Result<Option<LockGuard>, SystemError> {
        let ObjectKind::Descriptor(descriptor) = &self.0 else {
            return Ok(None);
        };
        let pin = descriptor.lock_growth()?;
        Ok(pin.map(|pin| LockGuard {
            _by: HeldResource::Pin(pin),
        }))
    }

    pub(crate) fn is_held(&self, lock: LockId) -> Result<bool, Errno> {
        match &self.0 {
            ObjectKind::Descriptor(descriptor) => descriptor.is_held(lock),
            ObjectKind::Sysv(segment) => segment.set().is_held(lock),
        }
    }

    /// One of the seats that are held, provided that the object [is genuine](Self::is_genuine).
    pub(crate) fn held_seat(&self, seats: &Range<u32>) -> Result<Option<u32>, Errno> {
        match &self.0 {
            ObjectKind::Descriptor(descriptor) => descriptor.held_seat(seats),
            ObjectKind::Sysv(segment) => segment.set().held_seat(seats),
        }
    }

    /// Whether answers about locks are still about this object.
    pub(crate) fn is_genuine(&self) -> bool {
        match &self.0 {
            ObjectKind::Descriptor(descriptor) => descriptor.is_genuine(),
            // The segment keeps its id while it is attached here. Its set does not: another process
            // may remove it, and the kernel reuses the id.
            ObjectKind::Sysv(segment) => segment.set().check().is_ok(),
        }
    }

    /// The descriptor, if there is one and it is still that of the object.
    pub(crate) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        match &self.0 {
            ObjectKind::Descriptor(descriptor) if descriptor.is_genuine() => {
                Some(descriptor.as_fd())
            }
            _ => None,
        }
    }

    /// Whether other processes can open the object only by its descriptor.
    pub(crate) fn is_nameless(&self) -> bool {
        matches!(&self.0, ObjectKind::Descriptor(descriptor) if descriptor.path().is_none())
    }

    /// Removes the name under which the object was opened or created, if it is still the object's.
    pub(crate) fn remove(&self) {
        match &self.0 {
            ObjectKind::Descriptor(descriptor) => path::remove_own(descriptor),
            ObjectKind::Sysv(segment) => segment.remove_own(),
        }
    }

    /// The same, with a reason if it fails.
    pub(crate) fn unlink(&self, backing: &BackingName) -> Result<(), UnlinkError> {
        match &self.0 {
            ObjectKind::Descriptor(descriptor) => match descriptor.path() {
                Some(path) if path::is_name_of(path, descriptor) => path::remove(backing, path),
                Some(_) => Err(UnlinkError::NotFound {
                    name: backing.to_string(),
                }),
                None => Err(backing.invalid("a memfd has no name to remove").into()),
            },
            ObjectKind::Sysv(segment) => segment.unlink(),
        }
    }

    pub(crate) fn stat(&self) -> Result<ObjectStat, SystemError> {
        match &self.0 {
            ObjectKind::Descriptor(descriptor) => {
                let stat = fstat(descriptor).map_err(|refused| syscall_error("fstat", refused))?;
                if !descriptor.is(&stat) {
                    return Err(syscall_error("fstat", Errno::EBADF));
                }
                Ok(stat.into())
            }
            ObjectKind::Sysv(segment) => segment.stat().map(Into::into),
        }
    }
}

/// The unit of `st_blocks`.
const BLOCK: u64 = 512;

impl From<FileStat> for ObjectStat {
    fn from(stat: FileStat) -> Self {
        Self {
            size: u64::try_from(stat.st_size).unwrap_or(0),
            allocated: u64::try_from(stat.st_blocks)
                .unwrap_or(0)
                .saturating_mul(BLOCK),
            mode: stat.st_mode & 0o7777,
            owner: stat.st_uid,
            group: stat.st_gid,
        }
    }
}

impl From<SegmentStat> for ObjectStat {
    fn from(stat: SegmentStat) -> Self {
        Self {
            size: stat.size,
            allocated: stat.size,
            mode: stat.mode,
            owner: stat.owner,
            group: stat.group,
        }
    }
}
