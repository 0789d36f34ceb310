//! Memory that processes share outside of the library's rings, and the removal of its names.

use crate::Result;
use nix::fcntl::{OFlag, open};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, mmap_anonymous, shm_unlink};
use nix::sys::stat::Mode;
use nix::time::{ClockId, clock_gettime};
use nix::unistd::ftruncate;
use std::num::NonZeroUsize;

/// Names in `/dev/shm` that are unlinked when the value is dropped, also in a panic.
#[derive(Default)]
pub struct Names(Vec<String>);

impl Names {
    pub fn keep(&mut self, name: String) -> String {
        self.0.push(name.clone());
        name
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        for name in &self.0 {
            // The object does not exist if its creation failed.
            let _ = shm_unlink(name.as_str());
        }
    }
}

/// The prefix of all names of one run.
pub fn prefix(part: &str) -> String {
    format!("/slipring-{part}-{}", std::process::id())
}

/// # Safety
///
/// All zero bytes are a valid value, and every changing part is atomic or in a cell.
pub unsafe trait Shared: Sync + Sized + 'static {}

/// Maps the object of a name until the process ends. A new object is all zeroes.
pub fn share<T: Shared>(name: &str) -> Result<&'static T> {
    let path = format!("/dev/shm{name}");
    let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_CLOEXEC;
    let file = open(&*path, flags, Mode::S_IRUSR | Mode::S_IWUSR)?;
    ftruncate(&file, size_of::<T>() as i64)?;
    let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    let len = NonZeroUsize::new(size_of::<T>()).ok_or("nothing to share")?;
    // Populated at once, so that no page fault occurs during a measurement.
    let flags = MapFlags::MAP_SHARED | MapFlags::MAP_POPULATE;
    // SAFETY: a new mapping, at an address that the kernel chooses.
    let base = unsafe { mmap(None, len, access, flags, &file, 0)? };
    // SAFETY: mapped until the process ends, as large as a `T`, and aligned to a page. The bytes
    // are zero or written by other processes, which `Shared` allows.
    Ok(unsafe { base.cast::<T>().as_ref() })
}

/// The same without a name, for this process and its forked children.
pub fn share_with_forks<T: Shared>() -> Result<&'static T> {
    let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    let len = NonZeroUsize::new(size_of::<T>()).ok_or("nothing to share")?;
    let flags = MapFlags::MAP_SHARED | MapFlags::MAP_POPULATE;
    // SAFETY: a new mapping, at an address that the kernel chooses.
    let base = unsafe { mmap_anonymous(None, len, access, flags)? };
    // SAFETY: as above.
    Ok(unsafe { base.cast::<T>().as_ref() })
}

/// Nanoseconds of the clock that all processes share.
pub fn now() -> u64 {
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, |time| {
        time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64
    })
}
