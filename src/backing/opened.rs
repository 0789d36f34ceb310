//! An object that was opened, before its bytes are validated.

use super::descriptor::Descriptor;
use super::mapping::{Mapping, PAGE};
use super::object::{Object, ObjectKind, ObjectStat};
use super::sysv::SysvSegment;
use super::{Access, BackingName, MemoryPolicy, Region, memfd, path, syscall_error};
use crate::error::{MapError, OpenError, SystemError};
use crate::sys::fork;
use crate::sys::ipc::SegmentStat;
use core::time::Duration;
use nix::errno::Errno;
use nix::sys::stat::FileStat;
use nix::sys::uio::pread;

/// An object that exists, and that may not be a ring.
#[derive(Debug)]
pub(crate) struct OpenedObject {
    /// Of a segment, which can't be read otherwise. Dropped before the object, as in a [`Region`].
    mapping: Option<Mapping>,
    object: Object,
    pub(crate) stat: ObjectStat,
}

impl OpenedObject {
    /// Opens the object that has a name. Waits up to `patience` for another process to create it.
    pub(crate) fn open(
        backing: &BackingName,
        policy: &MemoryPolicy,
        access: Access,
        patience: Duration,
    ) -> Result<Self, OpenError> {
        fork::install_handlers();
        match (backing, backing.path()) {
            (_, Some(path)) => path::find(backing, path, access).map(Self::by_descriptor),
            (&BackingName::Descriptor(number), _) => {
                memfd::find(number, access).map(Self::by_descriptor)
            }
            (BackingName::Memfd, _) => Err(OpenError::NotFound {
                name: backing.to_string(),
            }),
            _ => SysvSegment::find(backing, policy, access, patience).map(Self::by_segment),
        }
    }

    /// Opens the object that another ring of this process or its parent has open, whatever its name
    /// leads to by then.
    pub(crate) fn reopen(object: &Object, policy: &MemoryPolicy) -> Result<Self, OpenError> {
        fork::install_handlers();
        match &object.0 {
            ObjectKind::Descriptor(descriptor) => {
                let backing = BackingName::Descriptor(descriptor.number());
                let path = descriptor.path().cloned();
                path::identify(descriptor.reopen()?, &backing, path).map(Self::by_descriptor)
            }
            ObjectKind::Sysv(segment) => Ok(Self::by_segment(segment.reopen(policy)?)),
        }
    }

    fn by_descriptor((descriptor, stat): (Descriptor, FileStat)) -> Self {
        Self {
            object: Object(ObjectKind::Descriptor(descriptor)),
            mapping: None,
            stat: stat.into(),
        }
    }

    fn by_segment((segment, mapping, stat): (SysvSegment, Mapping, SegmentStat)) -> Self {
        Self {
            object: Object(ObjectKind::Sysv(segment)),
            mapping: Some(mapping),
            stat: stat.into(),
        }
    }

    /// The first bytes. Bytes beyond the end of the object are zero.
    pub(crate) fn header<const LEN: usize>(&self) -> Result<[u8; LEN], SystemError> {
        let mut head = [0; LEN];
        self.read(0, &mut head)?;
        Ok(head)
    }

    /// Copies bytes from a word on, as far as the object goes. Returns how many.
    ///
    /// Bytes of a file are read, not mapped, so an object that is truncated meanwhile raises no
    /// SIGBUS.
    pub(crate) fn read(&self, offset: u64, bytes: &mut [u8]) -> Result<usize, SystemError> {
        let mut filled = 0;
        match (&self.object.0, &self.mapping) {
            (ObjectKind::Descriptor(descriptor), _) => {
                while filled < bytes.len() {
                    let at = i64::try_from(offset + filled as u64).unwrap_or(i64::MAX);
                    match pread(descriptor, &mut bytes[filled..], at) {
                        Ok(0) => break,
                        Ok(read) => filled += read,
                        Err(Errno::EINTR) => {}
                        Err(refused) => return Err(syscall_error("pread", refused)),
                    }
                }
            }
            (_, Some(mapping)) => filled = mapping.read(offset, bytes),
            _ => {}
        }
        Ok(filled)
    }

    pub(crate) fn object(&self) -> &Object {
        &self.object
    }

    /// Whether the object is made of huge pages.
    pub(crate) fn is_huge(&self) -> bool {
        self.page() > PAGE as u64
    }

    /// The size of the object's pages.
    pub(crate) fn page(&self) -> u64 {
        match (&self.object.0, &self.mapping) {
            (ObjectKind::Descriptor(descriptor), _) => descriptor.page() as u64,
            (_, mapping) => mapping.as_ref().map_or(PAGE, Mapping::page) as u64,
        }
    }

    /// Maps the first `size` bytes of the object.
    pub(crate) fn map(self, size: u64, policy: &MemoryPolicy) -> Result<Region, MapError> {
        let Self {
            object, mapping, ..
        } = self;
        let mapping = match (&object.0, mapping) {
            (ObjectKind::Descriptor(descriptor), _) => {
                Mapping::of_file(descriptor, 0, size, descriptor.page(), policy)?
            }
            (_, Some(mapping)) => {
                if policy.prefault {
                    let done = mapping.populate();
                    done.map_err(|refused| syscall_error("madvise", refused))?;
                }
                mapping.apply_policy(policy)?;
                mapping
            }
            _ => return Err(syscall_error("mmap", Errno::EINVAL).into()),
        };
        Ok(Region { mapping, object })
    }
}
