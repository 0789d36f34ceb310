//! The backing of a ring: a POSIX shared memory object, a file, a memfd or a System V segment, and
//! its locks.
//!
//! An object with a descriptor is completed before it gets a name, and its locks are locks of bytes
//! (`descriptor`). A System V segment has a key from the start, so the first word of the ring is
//! stored last, and its locks are semaphores (`semaphores`).

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

/// Removes the name of a ring, whatever object has the name.
///
/// Processes that have the ring open keep it, and the kernel frees its memory when the last of them
/// closes it. The name is one that [`Backing`] describes: `/name`, `file:/path` or `sysv:0x1234`. A
/// memfd has no name to remove. The key of a System V segment can be used again once no process
/// holds a seat of the removed ring.
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
            BackingName::Memfd | BackingName::Descriptor(_) => {
                Err(backing.invalid("a memfd has no name to remove").into())
            }
            backing => sysv::remove(&backing),
        },
    }
}

/// The properties of a new object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CreateParams {
    pub(crate) mode: u32,
    pub(crate) owner: Option<u32>,
    pub(crate) policy: MemoryPolicy,
    /// The number of locks.
    pub(crate) locks: u32,
    /// How long to wait for another process that is creating an object with the same name.
    pub(crate) lock_wait: Duration,
}

/// The access that an object is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// To push and pop, which both read and write.
    ReadWrite,
    /// To observe.
    ReadOnly,
}

pub(crate) fn syscall_error(call: &'static str, refused: Errno) -> SystemError {
    SystemError {
        call,
        source: refused.into(),
    }
}
