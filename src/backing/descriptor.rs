//! Objects that have descriptors: their identity, separate descriptions, and locks of bytes.

#![allow(unsafe_code)]

use super::mapping::{Mapping, PAGE};
use super::{Access, LockId, syscall_error};
use crate::error::SystemError;
use crate::sys::fork::{self, Generation};
use crate::sys::lock;
use core::ops::Range;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{FileStat, Mode, fstat};
use std::ffi::CStr;
use std::io::Write;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::PathBuf;

/// The byte of the first lock. Those of the other locks follow.
const LOCKS_AT: i64 = 0x3ff;
/// The byte of the growth lock.
const GROWTH_AT: i64 = LOCKS_AT - 1;

/// The flags with which an object is opened for an access.
pub(super) fn flags(access: Access) -> OFlag {
    let access = match access {
        Access::ReadWrite => OFlag::O_RDWR,
        Access::ReadOnly => OFlag::O_RDONLY,
    };
    access | OFlag::O_CLOEXEC | OFlag::O_NOCTTY | OFlag::O_NONBLOCK
}

/// A descriptor of a ring's object. No lock is ever held through it.
///
/// Other code may close descriptors that it does not own (`closefrom`, daemons), and the kernel
/// reuses the number. So the identity of the object is kept, and checked where a wrong object would
/// do harm.
#[derive(Debug)]
pub(super) struct Descriptor {
    file: ManuallyDrop<OwnedFd>,
    /// The path of the object's name, if it has one.
    path: Option<PathBuf>,
    device: u64,
    inode: u64,
    /// The size of its pages.
    page: usize,
    opened_in: Generation,
}

impl Descriptor {
    pub(super) fn new(file: OwnedFd, stat: &FileStat, page: usize, path: Option<PathBuf>) -> Self {
        Self {
            file: ManuallyDrop::new(file),
            path,
            device: stat.st_dev,
            inode: stat.st_ino,
            page,
            opened_in: Generation::current(),
        }
    }

    pub(super) fn number(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    pub(super) fn page(&self) -> usize {
        self.page
    }

    pub(super) fn path(&self) -> Option<&PathBuf> {
        self.path.as_ref()
    }

    /// Whether the descriptor is still that of the object.
    pub(super) fn is_genuine(&self) -> bool {
        fstat(&*self.file).is_ok_and(|stat| self.is(&stat))
    }

    pub(super) fn is(&self, stat: &FileStat) -> bool {
        stat.st_dev == self.device && stat.st_ino == self.inode
    }

    /// Opens the object once more, as another description with locks of its own.
    ///
    /// It does so through /proc, which works without a name; without /proc, by the name.
    pub(super) fn reopen(&self) -> Result<OwnedFd, SystemError> {
        let to_error = |refused| syscall_error("open", refused);
        // Not a String: recovery runs this code, and must not allocate.
        let mut through_proc = [0; 32];
        let number = self.number();
        write!(&mut through_proc[..], "/proc/self/fd/{number}\0")
            .map_err(|_| to_error(Errno::ENAMETOOLONG))?;
        let through_proc =
            CStr::from_bytes_until_nul(&through_proc).map_err(|_| to_error(Errno::ENAMETOOLONG))?;
        let flags = flags(Access::ReadWrite);
        let file = match (open(through_proc, flags, Mode::empty()), &self.path) {
            (Err(Errno::ENOENT), Some(path)) => {
                open(path, flags | OFlag::O_NOFOLLOW, Mode::empty())
            }
            (opened, _) => opened,
        }
        .map_err(to_error)?;
        let stat = fstat(&file).map_err(|refused| syscall_error("fstat", refused))?;
        if self.is(&stat) {
            Ok(file)
        } else {
            Err(syscall_error("open", Errno::EBADF))
        }
    }

    /// Acquires a lock, unless it is held.
    pub(super) fn take(&self, lock: LockId) -> Result<Option<Mapping>, SystemError> {
        self.take_byte(byte(lock))
    }

    pub(super) fn lock_growth(&self) -> Result<Option<Mapping>, SystemError> {
        self.take_byte(GROWTH_AT)
    }

    fn take_byte(&self, byte: i64) -> Result<Option<Mapping>, SystemError> {
        // A query is cheaper than a description for an attempt that fails.
        if let Ok(Some(_)) = lock::locked(self, byte, 1) {
            return Ok(None);
        }
        // Each lock has a description of its own: through a shared one, two threads would both
        // acquire the lock.
        fork::without_forks(|| {
            let description = self.reopen()?;
            let pin = Mapping::pin(&description, self.page.max(PAGE))?;
            let taken = lock::try_lock(&description, byte)
                .map_err(|refused| syscall_error("fcntl", refused))?;
            Ok(taken.then_some(pin))
        })
    }

    pub(super) fn is_held(&self, lock: LockId) -> Result<bool, Errno> {
        Ok(lock::locked(self, byte(lock), 1)?.is_some())
    }

    /// One of the seats that are held.
    pub(super) fn held_seat(&self, seats: &Range<u32>) -> Result<Option<u32>, Errno> {
        let first = byte(LockId::Seat(seats.start));
        let found = lock::locked(self, first, i64::from(seats.end - seats.start))?;
        Ok(found.map(|found| (found - first) as u32 + seats.start))
    }
}

fn byte(lock: LockId) -> i64 {
    LOCKS_AT + i64::from(lock.index())
}

impl AsFd for Descriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        if !self.opened_in.is_past() && self.is_genuine() {
            // SAFETY: `self` is being dropped, so the file is neither used nor dropped again.
            unsafe { ManuallyDrop::drop(&mut self.file) }
        }
    }
}
