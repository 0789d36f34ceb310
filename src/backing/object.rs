//! What a ring's bytes are in, whatever it is: its locks, its name, and what the kernel tells of it.

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

/// One of a ring's locks. The kernel lets it go when its holder is dead.
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

    /// How many locks there are for as many seats.
    pub(crate) fn count(seats: u32) -> u32 {
        1 + seats
    }
}

/// A lock that is held until the value is dropped, or the process is dead.
#[derive(Debug)]
pub(crate) struct LockGuard {
    _by: HeldResource,
}

#[derive(Debug)]
#[expect(dead_code, reason = "they are held for what their drop does")]
enum HeldResource {
    Pin(Mapping),
    Semaphore(SemaphoreGuard),
}

/// What a ring's bytes are in, and how its locks are reached.
#[derive(Debug)]
pub(crate) struct Object(pub(super) ObjectKind);

#[derive(Debug)]
pub(super) enum ObjectKind {
    Descriptor(Descriptor),
    Sysv(SysvSegment),
}

/// What is known of an object by the kernel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ObjectStat {
    pub(crate) size: u64,
    /// How much of it has memory, or room on a disk, of its own.
    pub(crate) allocated: u64,
    pub(crate) mode: u32,
    pub(crate) owner: u32,
    pub(crate) group: u32,
}

impl Object {
    /// Whether the object can become longer: not a memfd, which is sealed, and no System V segment.
    pub(crate) fn can_grow(&self) -> bool {
        matches!(&self.0, ObjectKind::Descriptor(descriptor) if descriptor.path().is_some())
    }

    /// Takes a lock, unless somebody has it. Never waits.
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

    /// Takes the lock of who makes the ring grow, unless somebody has it; `None` too of what can't grow.
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

    /// One of the seats that are held, as far as the answers are about this object.
    pub(crate) fn held_seat(&self, seats: &Range<u32>) -> Result<Option<u32>, Errno> {
        match &self.0 {
            ObjectKind::Descriptor(descriptor) => descriptor.held_seat(seats),
            ObjectKind::Sysv(segment) => segment.set().held_seat(seats),
        }
    }

    /// Whether answers about locks are about this object.
    pub(crate) fn is_genuine(&self) -> bool {
        match &self.0 {
            ObjectKind::Descriptor(descriptor) => descriptor.is_genuine(),
            // An id is not used again in the life of a process; of a set that is gone there are no
            // answers.
            ObjectKind::Sysv(_) => true,
        }
    }

    /// The descriptor, if there is one and it still is the object's.
    pub(crate) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        match &self.0 {
            ObjectKind::Descriptor(descriptor) if descriptor.is_genuine() => {
                Some(descriptor.as_fd())
            }
            _ => None,
        }
    }

    /// Whether others can't open the object but by its descriptor.
    pub(crate) fn is_nameless(&self) -> bool {
        matches!(&self.0, ObjectKind::Descriptor(descriptor) if descriptor.path().is_none())
    }

    /// Removes the name under which the object was found or made, if it still is the object's.
    pub(crate) fn remove(&self) {
        match &self.0 {
            ObjectKind::Descriptor(descriptor) => path::remove_own(descriptor),
            ObjectKind::Sysv(segment) => segment.remove_own(),
        }
    }

    /// Removes the object's name, if it still is the object's.
    pub(crate) fn unlink(&self, backing: &BackingName) -> Result<(), UnlinkError> {
        match &self.0 {
            ObjectKind::Descriptor(descriptor) => match descriptor.path() {
                Some(path) if path::is_name_of(path, descriptor) => path::remove(backing, path),
                Some(_) => Err(UnlinkError::NotFound {
                    name: backing.to_string(),
                }),
                None => Err(backing
                    .invalid("a memfd has no name that could be removed")
                    .into()),
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

/// What `st_blocks` counts in.
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
