//! An object that was opened by its name, before its bytes were validated.

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

/// An object that exists, not yet bounded to be a ring.
#[derive(Debug)]
pub(crate) struct OpenedObject {
    /// Of what can't be read without. Unmapped first, as in a [`Region`].
    mapping: Option<Mapping>,
    object: Object,
    pub(crate) stat: ObjectStat,
}

impl OpenedObject {
    /// Finds what has a name. If it is being made this waits for as long as the caller has patience.
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

    /// Opens what another ring of this process, or of its parent, has open; whatever its name names by
    /// now.
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

    /// The first bytes, with zeroes for what is not there.
    pub(crate) fn header<const LEN: usize>(&self) -> Result<[u8; LEN], SystemError> {
        let mut head = [0; LEN];
        self.read(0, &mut head)?;
        Ok(head)
    }

    /// Copies bytes from a word on, as far as there are any; says how many. They are read, not mapped, where that can
    /// be: an object that is being cut short is then no SIGBUS.
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

    /// Whether the object is made of larger pages than others.
    pub(crate) fn is_huge(&self) -> bool {
        self.page() > PAGE as u64
    }

    /// The size of the pages that the object is made of.
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
