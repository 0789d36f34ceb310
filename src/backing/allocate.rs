//! Allocates all of an object's memory at creation. A page that the kernel could not allocate later
//! would raise SIGBUS.

use super::mapping::PAGE;
use super::{BackingName, CreateParams, syscall_error};
use crate::error::{CreateError, SystemError};
use core::ops::Range;
use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::stat::{FileStat, Mode, fchmod, fstat};
use nix::sys::statfs::fstatfs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::fchown;

/// Refuses a size for which the kernel would raise SIGXFSZ.
pub(super) fn check_limit(size: u64) -> Result<(), CreateError> {
    let limit = getrlimit(Resource::RLIMIT_FSIZE).map_or(u64::MAX, |(soft, _)| soft);
    if size > limit {
        return Err(CreateError::FileSizeLimit {
            needed: size,
            limit,
        });
    }
    Ok(())
}

/// Allocates every page of a new file, and sets its mode and owner.
pub(super) fn allocate(
    file: &OwnedFd,
    backing: &BackingName,
    size: u64,
    page: usize,
    params: &CreateParams,
) -> Result<FileStat, CreateError> {
    let size = size.next_multiple_of(page as u64);
    // Again, because rounding up to larger pages may exceed the limit.
    check_limit(size)?;
    allocate_pages(file, 0..size, page).map_err(|shortage| match shortage {
        Shortage::Space { available } if page == PAGE => CreateError::NoSpace {
            name: backing.to_string(),
            needed: size,
            available,
        },
        Shortage::Space { .. } => CreateError::NoHugePages {
            name: backing.to_string(),
            needed: size / page as u64,
            page: page as u64,
        },
        Shortage::System(refused) => refused.into(),
    })?;
    let mode = Mode::from_bits_truncate(params.mode);
    fchmod(file, mode).map_err(|refused| syscall_error("fchmod", refused))?;
    if let Some(owner) = params.owner {
        fchown(file, Some(owner), None).map_err(|refused| not_for(owner, "fchown", &refused))?;
    }
    Ok(fstat(file).map_err(|refused| syscall_error("fstat", refused))?)
}

/// Why the ring can't belong to another user.
pub(super) fn not_for(owner: u32, call: &'static str, refused: &io::Error) -> CreateError {
    match refused.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EPERM | Errno::EACCES) => CreateError::Owner { asked: owner },
        other => syscall_error(call, other.unwrap_or(Errno::EIO)).into(),
    }
}

/// Why not all of the pages were allocated.
pub(super) enum Shortage {
    Space { available: u64 },
    System(SystemError),
}

/// Allocates every page of a part of a file. The part begins and ends at page boundaries.
pub(super) fn allocate_pages(
    file: &OwnedFd,
    bytes: Range<u64>,
    page: usize,
) -> Result<(), Shortage> {
    /// Small enough to complete between two signals of a profiler: when a signal interrupts it,
    /// the kernel undoes the whole call.
    const STEP: u64 = 16 << 20;
    let fs =
        fstatfs(file).map_err(|refused| Shortage::System(syscall_error("fstatfs", refused)))?;
    let block = u64::try_from(fs.block_size()).unwrap_or(0);
    let available = fs.blocks_available().saturating_mul(block);
    // A file system without a limit counts no blocks. The check comes first, or two creators could
    // both fail, each because of the pages that the other has allocated so far.
    if fs.blocks() > 0 && page == PAGE && available < bytes.end - bytes.start {
        return Err(Shortage::Space { available });
    }
    let step = STEP.next_multiple_of(page as u64);
    let mut done = bytes.start;
    while done < bytes.end {
        let next = step.min(bytes.end - done);
        match fallocate(file, FallocateFlags::empty(), done as i64, next as i64) {
            Ok(()) => done += next,
            Err(Errno::EINTR) => {}
            Err(Errno::ENOSPC | Errno::ENOMEM | Errno::EFBIG | Errno::EDQUOT) => {
                return Err(Shortage::Space { available });
            }
            Err(refused) => return Err(Shortage::System(syscall_error("fallocate", refused))),
        }
    }
    Ok(())
}
