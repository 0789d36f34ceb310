//! The object of a ring, open and mapped, and made longer while it is in use.

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

/// A ring's object, its first ring mapped readable and writable.
#[derive(Debug)]
pub(crate) struct Region {
    // Unmapped first: what becomes of an object may depend on who still has it.
    pub(super) mapping: Mapping,
    pub(super) object: Object,
}

impl Region {
    /// Makes an object of which nobody else believes yet that it is a ring, every page of it allocated
    /// and zero.
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
                return Err(backing.invalid("it is of something that exists").into());
            }
        };
        let mapping = Mapping::of_file(&descriptor, 0, size, descriptor.page(), &params.policy)?;
        Ok(Self {
            mapping,
            object: Object(ObjectKind::Descriptor(descriptor)),
        })
    }

    /// Has others find the object, whole.
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

    /// Has all that was stored, and the name, written to where they are oldest_allocated.
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

    /// The size of the pages that the object is made of.
    pub(crate) fn page(&self) -> u64 {
        self.mapping.page() as u64
    }

    /// Allocates a part of the object, all of it zero, up to where the object ends from then on. Nobody may have any of
    /// that part.
    pub(crate) fn lengthen(&self, bytes: Range<u64>) -> Result<(), GrowError> {
        let limit = getrlimit(Resource::RLIMIT_FSIZE).map_or(u64::MAX, |(soft, _)| soft);
        if bytes.end > limit {
            return Err(GrowError::FileSizeLimit {
                needed: bytes.end,
                limit,
            });
        }
        let file = self.own_description()?;
        // What somebody left there who was killed here goes first.
        cut(&file, bytes.start)?;
        let page = self.mapping.page();
        allocate_pages(&file, bytes.clone(), page).map_err(|shortage| {
            // The space is of more use to others. If it can't be given back now, who comes next does it.
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

    /// Ends the object there, behind which nobody has anything.
    pub(crate) fn shorten(&self, end: u64) -> Result<(), SystemError> {
        cut(&self.own_description()?, end)
    }

    /// Maps a part of the object that begins with a page.
    pub(crate) fn map_part(
        &self,
        bytes: Range<u64>,
        policy: &MemoryPolicy,
    ) -> Result<Mapping, MapError> {
        let file = self.own_description()?;
        let len = bytes.end - bytes.start;
        Mapping::of_file(&file, bytes.start, len, self.mapping.page(), policy)
    }

    /// Copies bytes of the object, as far as there are any; says how many.
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

    /// Gives the memory of whole pages of the object back, at which nobody looks any more.
    pub(crate) fn punch_out(&self, bytes: Range<u64>) -> Result<(), SystemError> {
        let flags = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        let (start, len) = (bytes.start as i64, (bytes.end - bytes.start) as i64);
        match fallocate(self.own_description()?, flags, start, len) {
            // Where a file can't have holes it holders as large as it is.
            Ok(()) | Err(Errno::EOPNOTSUPP) => Ok(()),
            Err(refused) => Err(syscall_error("fallocate", refused)),
        }
    }

    /// A description of the object that is certainly its own, whatever became of the number of the one that is oldest_allocated.
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
