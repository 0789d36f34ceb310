//! Objects that have a path: POSIX shared memory objects and files.

use super::allocate::{allocate, check_limit};
use super::descriptor::{Descriptor, flags};
use super::mapping::PAGE;
use super::{Access, BackingName, CreateParams, syscall_error};
use crate::error::{CreateError, OpenError, SystemError, UnlinkError};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, open};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, lstat};
use nix::sys::statfs::{HUGETLBFS_MAGIC, fstatfs};
use nix::unistd::{fsync, linkat, unlink};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// Creates an object without a name, every page of it allocated and zero.
pub(super) fn create(
    backing: &BackingName,
    path: PathBuf,
    size: u64,
    params: &CreateParams,
) -> Result<Descriptor, CreateError> {
    let name = || backing.to_string();
    check_limit(size)?;
    if lstat(&path).is_ok() {
        // `link` decides. Without this check, allocation could fail first, for lack of space.
        return Err(CreateError::Exists { name: name() });
    }
    let directory = path.parent().unwrap_or(Path::new("/"));
    let flags = OFlag::O_RDWR | OFlag::O_CLOEXEC | OFlag::O_TMPFILE;
    let file = open(directory, flags, Mode::S_IRUSR | Mode::S_IWUSR).map_err(|refused| {
        match (refused, backing) {
            (Errno::EACCES | Errno::EPERM, _) => CreateError::Permission { name: name() },
            (Errno::EROFS, _) => CreateError::ReadOnly { name: name() },
            (Errno::ENOSPC | Errno::EDQUOT, _) => CreateError::NoSpace {
                name: name(),
                needed: size,
                available: 0,
            },
            (Errno::ENOENT | Errno::ENOTDIR, BackingName::File(_)) => {
                CreateError::NoDirectory { name: name() }
            }
            (Errno::ENOENT | Errno::ENOTDIR | Errno::EISDIR | Errno::EOPNOTSUPP, _) => {
                CreateError::FileSystem {
                    name: name(),
                    found: 0,
                }
            }
            (other, _) => syscall_error("open", other).into(),
        }
    })?;
    if let Some(found) = unsupported_type(&file)? {
        return Err(CreateError::FileSystem {
            name: name(),
            found,
        });
    }
    let page = page_of(
        &file,
        &fstat(&file).map_err(|refused| syscall_error("fstat", refused))?,
    )?;
    if params.policy.reserves_huge_pages() && page == PAGE {
        return Err(CreateError::NotHuge { name: name() });
    }
    let stat = allocate(&file, backing, size, page, params)?;
    Ok(Descriptor::new(file, &stat, page, Some(path)))
}

/// Gives a complete object its name, by which other processes can open it.
pub(super) fn link(
    descriptor: &Descriptor,
    backing: &BackingName,
    size: u64,
) -> Result<(), CreateError> {
    let Some(path) = descriptor.path() else {
        return Ok(());
    };
    let by_path = format!("/proc/self/fd/{}", descriptor.number());
    let linked = match linkat(
        AT_FDCWD,
        &*by_path,
        AT_FDCWD,
        path,
        AtFlags::AT_SYMLINK_FOLLOW,
    ) {
        // /proc is missing. Old kernels require a capability for this.
        Err(Errno::ENOENT) => linkat(descriptor, "", AT_FDCWD, path, AtFlags::AT_EMPTY_PATH),
        linked => linked,
    };
    let name = || backing.to_string();
    linked.map_err(|refused| match refused {
        Errno::EEXIST => CreateError::Exists { name: name() },
        Errno::EACCES | Errno::EPERM => CreateError::Permission { name: name() },
        Errno::EROFS => CreateError::ReadOnly { name: name() },
        Errno::ENOSPC | Errno::EDQUOT => CreateError::NoSpace {
            name: name(),
            needed: size,
            available: 0,
        },
        other => syscall_error("linkat", other).into(),
    })
}

/// Opens the object that a path leads to.
pub(super) fn find(
    backing: &BackingName,
    path: PathBuf,
    access: Access,
) -> Result<(Descriptor, FileStat), OpenError> {
    let name = || backing.to_string();
    let flags = flags(access) | OFlag::O_NOFOLLOW;
    let file = open(&path, flags, Mode::empty()).map_err(|refused| match refused {
        Errno::ENOENT | Errno::ENOTDIR => OpenError::NotFound { name: name() },
        Errno::EACCES | Errno::EPERM => OpenError::Permission { name: name() },
        Errno::EROFS => OpenError::ReadOnly { name: name() },
        Errno::ELOOP | Errno::EISDIR | Errno::ENXIO => OpenError::NotARing { name: name() },
        other => syscall_error("open", other).into(),
    })?;
    identify(file, backing, Some(path))
}

/// Checks the type of an object that was opened.
pub(super) fn identify(
    file: OwnedFd,
    backing: &BackingName,
    path: Option<PathBuf>,
) -> Result<(Descriptor, FileStat), OpenError> {
    let name = || backing.to_string();
    let stat = fstat(&file).map_err(|refused| syscall_error("fstat", refused))?;
    if SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT != SFlag::S_IFREG {
        return Err(OpenError::NotARing { name: name() });
    }
    if let Some(found) = unsupported_type(&file)? {
        return Err(OpenError::FileSystem {
            name: name(),
            found,
        });
    }
    let page = page_of(&file, &stat)?;
    Ok((Descriptor::new(file, &stat, page, path), stat))
}

/// Removes a name, whatever object it leads to.
pub(super) fn remove(backing: &BackingName, path: &Path) -> Result<(), UnlinkError> {
    let name = || backing.to_string();
    unlink(path).map_err(|refused| match refused {
        Errno::ENOENT | Errno::ENOTDIR => UnlinkError::NotFound { name: name() },
        Errno::EACCES | Errno::EPERM => UnlinkError::Permission { name: name() },
        Errno::EROFS => UnlinkError::ReadOnly { name: name() },
        other => syscall_error("unlink", other).into(),
    })
}

/// Whether a path leads to an object.
pub(super) fn is_name_of(path: &Path, descriptor: &Descriptor) -> bool {
    lstat(path).is_ok_and(|stat| descriptor.is(&stat))
}

/// Removes the object's name, if it still leads to this object.
pub(super) fn remove_own(descriptor: &Descriptor) {
    if let Some(path) = descriptor.path() {
        if is_name_of(path, descriptor) {
            // Without the permission, the name stays.
            let _ = unlink(path);
        }
    }
}

/// Writes the name to the disk, and waits for that.
pub(super) fn sync_name(path: &Path) -> Result<(), SystemError> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let directory =
        open(directory, flags, Mode::empty()).map_err(|refused| syscall_error("open", refused))?;
    fsync(&directory).map_err(|refused| syscall_error("fsync", refused))
}

/// The size of a file's pages.
fn page_of(file: &OwnedFd, stat: &FileStat) -> Result<usize, SystemError> {
    let fs = fstatfs(file).map_err(|refused| syscall_error("fstatfs", refused))?;
    Ok(if fs.filesystem_type() == HUGETLBFS_MAGIC {
        usize::try_from(stat.st_blksize).map_or(PAGE, |page| page.max(PAGE))
    } else {
        PAGE
    })
}

/// The type of a file's file system, if it does not keep the locks and mappings of one object
/// together: network file systems, overlays, FUSE.
fn unsupported_type(file: &OwnedFd) -> Result<Option<u64>, SystemError> {
    const NFS: u32 = 0x6969;
    const OVERLAY: u32 = 0x794c_7630;
    const FUSE: u32 = 0x6573_5546;
    const SMB: u32 = 0xff53_4d42;
    const SMB2: u32 = 0xfe53_4d42;
    const NINE_P: u32 = 0x0102_1997;
    const CEPH: u32 = 0x00c3_6400;
    let kind = fstatfs(file)
        .map_err(|refused| syscall_error("fstatfs", refused))?
        .filesystem_type();
    let kind = kind.0 as u32;
    let unsupported_type = [NFS, OVERLAY, FUSE, SMB, SMB2, NINE_P, CEPH].contains(&kind);
    Ok(unsupported_type.then_some(u64::from(kind)))
}
