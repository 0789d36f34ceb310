//! Memory that the processes share outside of any ring of the library, and names that go away.

use crate::Result;
use nix::fcntl::{OFlag, open};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, mmap_anonymous, shm_unlink};
use nix::sys::stat::Mode;
use nix::time::{ClockId, clock_gettime};
use nix::unistd::ftruncate;
use std::num::NonZeroUsize;

/// Names in `/dev/shm` that go when the value does, also in a panic.
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
            // Not there, if whoever should have made it has failed.
            let _ = shm_unlink(name.as_str());
        }
    }
}

/// What the names of one run start with.
pub fn prefix(part: &str) -> String {
    format!("/slipring-{part}-{}", std::process::id())
}

/// # Safety
///
/// All zero bytes are a value, and all that is ever changed in one is atomic or in cells.
pub unsafe trait Shared: Sync + Sized + 'static {}

/// The object of a name, made of zeroes if it is new, and mapped until the process ends.
pub fn share<T: Shared>(name: &str) -> Result<&'static T> {
    let path = format!("/dev/shm{name}");
    let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_CLOEXEC;
    let file = open(&*path, flags, Mode::S_IRUSR | Mode::S_IWUSR)?;
    ftruncate(&file, size_of::<T>() as i64)?;
    let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    let len = NonZeroUsize::new(size_of::<T>()).ok_or("nothing to share")?;
    // At once, so that no page is entered while something is measured.
    let flags = MapFlags::MAP_SHARED | MapFlags::MAP_POPULATE;
    // SAFETY: a new mapping, at an address that the kernel chooses.
    let base = unsafe { mmap(None, len, access, flags, &file, 0)? };
    // SAFETY: mapped for good, as large as a `T`, at the start of a page, and zero at first or
    // whatever other processes made of it, as `Shared` allows.
    Ok(unsafe { base.cast::<T>().as_ref() })
}

/// The same without a name, for this process and those that it forks.
pub fn share_with_forks<T: Shared>() -> Result<&'static T> {
    let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    let len = NonZeroUsize::new(size_of::<T>()).ok_or("nothing to share")?;
    let flags = MapFlags::MAP_SHARED | MapFlags::MAP_POPULATE;
    // SAFETY: a new mapping, at an address that the kernel chooses.
    let base = unsafe { mmap_anonymous(None, len, access, flags)? };
    // SAFETY: as above.
    Ok(unsafe { base.cast::<T>().as_ref() })
}

/// A value with a line to itself, and the one beside it, because processors fetch lines in pairs.
#[repr(C, align(128))]
pub struct Line<T>(pub T);

/// Nanoseconds on the clock that all processes see.
pub fn now() -> u64 {
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, |time| {
        time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64
    })
}
