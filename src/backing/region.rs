//! The object of a ring, open and mapped. It can grow while it is in use.

use super::allocate::{Shortage, allocate_pages};
use super::mapping::{Mapping, Residency};
use super::object::{Object, ObjectKind};
use super::sysv::SysvSegment;
use super::{BackingName, CreateParams, MemoryPolicy, memfd, path, syscall_error};
use crate::error::{CreateError, GrowError, MapError, SystemError};
use crate::sys::fork;
use core::ops::Range;
use core::ptr::NonNull;
use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::uio::pread;
use nix::unistd::ftruncate;
use std::os::fd::OwnedFd;

/// A ring's object, with its first segment mapped for reading and writing.
#[derive(Debug)]
pub(crate) struct Region {
    // Dropped first: dropping the object may remove semaphores if no process has it mapped.
    pub(super) mapping: Mapping,
    pub(super) object: Object,
}

impl Region {
    /// Creates an object that is not a ring to other processes yet, every page of it allocated and
    /// zero.
    pub(crate) fn create(
        backing: &BackingName,
        size: u64,
        params: &CreateParams,
    ) -> Result<Self, CreateError> {
        fork::install_handlers();
        let descriptor = match (backing, backing.path()) {
            (_, Some(path)) => path::create(backing, path, size, params)?,
            (BackingName::Memfd, _) => memfd::create(size, params)?,
            (&BackingName::Key(key), _) => {
                let (segment, mapping) = SysvSegment::create(key, size, params)?;
                return Ok(Self {
                    mapping,
                    object: Object(ObjectKind::Sysv(segment)),
                });
            }
            (BackingName::Descriptor(_) | BackingName::Id(_), _) | (_, None) => {
                return Err(backing.invalid("it names an existing object").into());
            }
        };
        let mapping = Mapping::of_file(&descriptor, 0, size, descriptor.page(), &params.policy)?;
        Ok(Self {
            mapping,
            object: Object(ObjectKind::Descriptor(descriptor)),
        })
    }

    /// Makes the complete object available to other processes under its name.
    pub(crate) fn publish(&mut self, backing: &BackingName, size: u64) -> Result<(), CreateError> {
        match &mut self.object.0 {
            ObjectKind::Descriptor(descriptor) => path::link(descriptor, backing, size),
            ObjectKind::Sysv(segment) => Ok(segment.finish()?),
        }
    }

    pub(crate) fn object(&self) -> &Object {
        &self.object
    }

    pub(crate) fn base(&self) -> NonNull<u8> {
        self.mapping.base()
    }

    pub(crate) fn residency(&self) -> Residency {
        self.mapping.residency()
    }

    /// Writes modified pages and the name to the disk, and waits for that.
    pub(crate) fn sync(&self) -> Result<(), SystemError> {
        self.mapping.sync()?;
        match &self.object.0 {
            ObjectKind::Descriptor(descriptor) => match descriptor.path() {
                Some(path) => path::sync_name(path),
                None => Ok(()),
            },
            ObjectKind::Sysv(_) => Ok(()),
        }
    }

    /// The size of the object's pages.
    pub(crate) fn page(&self) -> u64 {
        self.mapping.page() as u64
    }

    /// Extends the object to the end of a part, and allocates that part, all of it zero. No process
    /// may use the part yet. The caller holds the growth lock.
    pub(crate) fn lengthen(&self, bytes: Range<u64>) -> Result<(), GrowError> {
        let limit = getrlimit(Resource::RLIMIT_FSIZE).map_or(u64::MAX, |(soft, _)| soft);
        if bytes.end > limit {
            return Err(GrowError::FileSizeLimit {
                needed: bytes.end,
                limit,
            });
        }
        let file = self.own_description()?;
        // First removes what a process left that was killed in this function.
        cut(&file, bytes.start)?;
        let page = self.mapping.page();
        allocate_pages(&file, bytes.clone(), page).map_err(|shortage| {
            // Frees the space for other files. If that fails, the next process that grows the ring
            // does it.
            let _ = cut(&file, bytes.start);
            match shortage {
                Shortage::Space { available } => GrowError::NoSpace {
                    needed: bytes.end - bytes.start,
                    available,
                },
                Shortage::System(refused) => refused.into(),
            }
        })
    }

    /// Truncates the object. No process may use the bytes beyond its new end.
    pub(crate) fn shorten(&self, end: u64) -> Result<(), SystemError> {
        cut(&self.own_description()?, end)
    }

    /// Maps a part of the object that begins at a page boundary.
    pub(crate) fn map_part(
        &self,
        bytes: Range<u64>,
        policy: &MemoryPolicy,
    ) -> Result<Mapping, MapError> {
        let file = self.own_description()?;
        let len = bytes.end - bytes.start;
        Mapping::of_file(&file, bytes.start, len, self.mapping.page(), policy)
    }

    /// Copies bytes as far as the object goes. Returns how many.
    pub(crate) fn read(&self, offset: u64, bytes: &mut [u8]) -> Result<usize, SystemError> {
        let file = self.own_description()?;
        let offset = i64::try_from(offset).unwrap_or(i64::MAX);
        loop {
            match pread(&file, bytes, offset) {
                Err(Errno::EINTR) => {}
                read => return read.map_err(|refused| syscall_error("pread", refused)),
            }
        }
    }

    /// Reclaims the memory of whole pages, which no process accesses again.
    pub(crate) fn punch_out(&self, bytes: Range<u64>) -> Result<(), SystemError> {
        let flags = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        let (start, len) = (bytes.start as i64, (bytes.end - bytes.start) as i64);
        match fallocate(self.own_description()?, flags, start, len) {
            // Where the file system has no holes, the file keeps its memory.
            Ok(()) | Err(Errno::EOPNOTSUPP) => Ok(()),
            Err(refused) => Err(syscall_error("fallocate", refused)),
        }
    }

    /// A new description that is certainly of this object, even if other code has closed the
    /// descriptor and its number was reused.
    fn own_description(&self) -> Result<OwnedFd, SystemError> {
        match &self.object.0 {
            ObjectKind::Descriptor(descriptor) => descriptor.reopen(),
            ObjectKind::Sysv(_) => Err(syscall_error("open", Errno::EOPNOTSUPP)),
        }
    }
}

fn cut(file: &OwnedFd, end: u64) -> Result<(), SystemError> {
    ftruncate(file, end as i64).map_err(|refused| syscall_error("ftruncate", refused))
}
