//! Memfds: objects without a name, sealed so that no process can change their size.
//!
//! The seals do not keep a peer from punching holes: only a seal against writing does, and peers
//! write. The next access to a hole allocates its page, and raises SIGBUS if the kernel has none.
//! Of huge pages, which are few, any other process can take the last.

use super::allocate::{allocate, check_limit};
use super::descriptor::{Descriptor, flags};
use super::mapping::PAGE;
use super::{Access, BackingName, CreateParams, path, syscall_error};
use crate::error::{CreateError, OpenError};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl, open};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, stat};
use std::os::fd::{AsFd, RawFd};

/// The seals that fix the size permanently.
const SEALS: SealFlag = SealFlag::F_SEAL_SHRINK
    .union(SealFlag::F_SEAL_GROW)
    .union(SealFlag::F_SEAL_SEAL);

/// The seal against execution, which a system may put on every memfd.
const F_SEAL_EXEC: i32 = 0x20;

/// Creates a memfd, every page of it allocated and zero, and seals it.
pub(super) fn create(size: u64, params: &CreateParams) -> Result<Descriptor, CreateError> {
    let backing = BackingName::Memfd;
    check_limit(size)?;
    let is_huge = params.policy.reserves_huge_pages();
    let mut flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    if is_huge {
        flags |= MFdFlags::MFD_HUGETLB;
    }
    let file = memfd_create("slipring", flags).map_err(|refused| match refused {
        // The kernel has no huge pages, or the process may not use them.
        Errno::EINVAL | Errno::ENOENT | Errno::EPERM | Errno::ENODEV if is_huge => {
            CreateError::NotHuge {
                name: backing.to_string(),
            }
        }
        refused => syscall_error("memfd_create", refused).into(),
    })?;
    let page = if is_huge {
        let stat = fstat(&file).map_err(|refused| syscall_error("fstat", refused))?;
        usize::try_from(stat.st_blksize).unwrap_or(PAGE)
    } else {
        PAGE
    };
    let stat = allocate(&file, &backing, size, page, params)?;
    fcntl(&file, FcntlArg::F_ADD_SEALS(SEALS))
        .map_err(|refused| syscall_error("fcntl", refused))?;
    Ok(Descriptor::new(file, &stat, page, None))
}

/// Opens the memfd behind a descriptor of this process once more. A received descriptor itself
/// shares its description, and with it its locks, with the sender.
pub(super) fn find(number: RawFd, access: Access) -> Result<(Descriptor, FileStat), OpenError> {
    let backing = BackingName::Descriptor(number);
    let name = || backing.to_string();
    let through_proc = format!("/proc/self/fd/{number}");
    let to_error = |call| {
        move |refused| match refused {
            Errno::ENOENT => OpenError::NotFound { name: name() },
            Errno::EACCES | Errno::EPERM => OpenError::Permission { name: name() },
            Errno::EROFS => OpenError::ReadOnly { name: name() },
            Errno::ELOOP | Errno::EISDIR | Errno::ENXIO => OpenError::NotARing { name: name() },
            other => syscall_error(call, other).into(),
        }
    };
    // Opening a terminal or another device could affect the device, or this process.
    let stat = stat(&*through_proc).map_err(to_error("stat"))?;
    if SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT != SFlag::S_IFREG {
        return Err(OpenError::NotARing { name: name() });
    }
    let file = open(&*through_proc, flags(access), Mode::empty()).map_err(to_error("open"))?;
    let (descriptor, stat) = path::identify(file, &backing, None)?;
    check_seals(&descriptor, &backing)?;
    Ok((descriptor, stat))
}

fn check_seals(descriptor: impl AsFd, backing: &BackingName) -> Result<(), OpenError> {
    let found = match fcntl(descriptor, FcntlArg::F_GET_SEALS) {
        Ok(found) => found & !F_SEAL_EXEC,
        // The file system does not support seals.
        Err(Errno::EINVAL) => 0,
        Err(refused) => return Err(syscall_error("fcntl", refused).into()),
    };
    if found == SEALS.bits() {
        Ok(())
    } else {
        Err(OpenError::Seals {
            name: backing.to_string(),
            expected: SEALS.bits() as u32,
            found: found as u32,
        })
    }
}
