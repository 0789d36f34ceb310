//! Objects that are made longer while they are in use.

use super::allocate::{Shortage, allocate_pages};
use super::mapping::Mapping;
use super::object::{Kind, Object};
use super::{Region, Residence, system};
use crate::error::{GrowError, MapError, SystemError};
use core::ops::Range;
use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::uio::pread;
use nix::unistd::ftruncate;
use std::os::fd::OwnedFd;

impl Object {
    /// Whether the object can become longer: not a memfd, which is sealed, and no System V segment.
    pub(crate) fn can_grow(&self) -> bool {
        matches!(&self.0, Kind::Descriptor(descriptor) if descriptor.path().is_some())
    }
}

impl Region {
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
        residence: &Residence,
    ) -> Result<Mapping, MapError> {
        let file = self.own_description()?;
        let len = bytes.end - bytes.start;
        Mapping::of_file(&file, bytes.start, len, self.mapping.page(), residence)
    }

    /// Copies bytes of the object, as far as there are any; says how many.
    pub(crate) fn read(&self, offset: u64, bytes: &mut [u8]) -> Result<usize, SystemError> {
        let file = self.own_description()?;
        let offset = i64::try_from(offset).unwrap_or(i64::MAX);
        loop {
            match pread(&file, bytes, offset) {
                Err(Errno::EINTR) => {}
                read => return read.map_err(|refused| system("pread", refused)),
            }
        }
    }

    /// Gives the memory of whole pages of the object back, at which nobody looks any more.
    pub(crate) fn give_back(&self, bytes: Range<u64>) -> Result<(), SystemError> {
        let flags = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        let (start, len) = (bytes.start as i64, (bytes.end - bytes.start) as i64);
        match fallocate(self.own_description()?, flags, start, len) {
            // Where a file can't have holes it stays as large as it is.
            Ok(()) | Err(Errno::EOPNOTSUPP) => Ok(()),
            Err(refused) => Err(system("fallocate", refused)),
        }
    }

    /// A description of the object that is certainly its own, whatever became of the number of the one that is kept.
    fn own_description(&self) -> Result<OwnedFd, SystemError> {
        match &self.object.0 {
            Kind::Descriptor(descriptor) => descriptor.reopen(),
            Kind::Segment(_) => Err(system("open", Errno::EOPNOTSUPP)),
        }
    }
}

fn cut(file: &OwnedFd, end: u64) -> Result<(), SystemError> {
    ftruncate(file, end as i64).map_err(|refused| system("ftruncate", refused))
}
