//! Where the bytes live: a POSIX shared memory object, a file, a memfd or a System V segment, and
//! the locks that go with it.
//!
//! What has a descriptor is made whole before it has a name, and its locks are locks of bytes
//! (`descriptor`). A System V segment has a name from the start, so a ring's first word is stored last, and its
//! locks are semaphores (`semaphores`).

mod allocate;
mod descriptor;
mod mapping;
mod memfd;
mod memory_policy;
mod name;
mod object;
mod opened;
mod path;
mod region;
mod sysv;

pub use self::memory_policy::HugePages;
pub use self::name::Backing;

pub(crate) use self::mapping::{Mapping, Residency};
pub(crate) use self::memory_policy::MemoryPolicy;
pub(crate) use self::name::BackingName;
pub(crate) use self::object::{LockGuard, LockId, Object, ObjectStat};
pub(crate) use self::opened::OpenedObject;
pub(crate) use self::region::Region;

use crate::error::{SystemError, UnlinkError};
use core::time::Duration;
use nix::errno::Errno;

/// Removes a ring, whatever it is that has the name. Processes that have the ring open keep it, and
/// its memory goes with the last of them.
///
/// It takes what [`Backing`] describes: `/name`, `file:/path` and `sysv:0x1234`. A memfd has no name
/// to be removed. The key of a System V segment is free again when nobody holds a seat of the removed
/// ring any more.
///
/// ```
/// use slipring::{error::UnlinkError, spsc};
///
/// # let name = format!("/slipring-doc-unlink-{}", std::process::id());
/// # let name = name.as_str();
/// let ring = spsc::Ring::<u64>::create(name, 2)?;
/// slipring::unlink(name)?;
/// assert!(matches!(slipring::unlink(name), Err(UnlinkError::NotFound { .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// If there is no such name, or no permission to remove it.
pub fn unlink(name: impl AsRef<str>) -> Result<(), UnlinkError> {
    let backing = BackingName::new(name.as_ref())?;
    match backing.path() {
        Some(path) => path::remove(&backing, &path),
        None => match backing {
            BackingName::Memfd | BackingName::Descriptor(_) => Err(backing
                .invalid("a memfd has no name that could be removed")
                .into()),
            backing => sysv::remove(&backing),
        },
    }
}

/// What a new object is to be like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CreateParams {
    pub(crate) mode: u32,
    pub(crate) owner: Option<u32>,
    pub(crate) policy: MemoryPolicy,
    /// How many locks there are.
    pub(crate) locks: u32,
    /// How long to wait for somebody else who makes an object of the same name.
    pub(crate) lock_wait: Duration,
}

/// What an object is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// To push and pop: to read and to write.
    ReadWrite,
    /// Only to be read.
    ReadOnly,
}

pub(crate) fn syscall_error(call: &'static str, refused: Errno) -> SystemError {
    SystemError {
        call,
        source: refused.into(),
    }
}
