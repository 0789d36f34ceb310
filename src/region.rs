//! Where the bytes live: a POSIX shared memory object, made whole before it has a name.

use crate::error::{CreateError, InvalidName, OpenError, SystemError, UnlinkError};
use crate::sys::fork::{self, Generation};
use core::ptr::NonNull;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, FallocateFlags, OFlag, fallocate, open};
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap, munmap};
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::stat::{FileStat, Mode, SFlag, fchmod, fstat, lstat};
use nix::sys::statfs::{FsType, fstatfs};
use nix::sys::uio::pread;
use nix::unistd::linkat;
use std::ffi::CStr;
use std::io::Write;
use std::mem::ManuallyDrop;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Where glibc and musl keep POSIX shared memory objects.
const DIRECTORY: &str = "/dev/shm";

/// The name of a shared memory object: `/` and then at most 255 bytes without another.
#[derive(Clone, Debug)]
pub(crate) struct Name(String);

impl Name {
    pub(crate) fn new(name: &str) -> Result<Self, InvalidName> {
        const LONGEST: usize = 255;
        let reason = match name.strip_prefix('/') {
            None => "it does not start with a slash",
            Some("") => "there is nothing after the slash",
            Some("." | "..") => "it is a directory",
            Some(rest) if rest.contains('/') => "there is a second slash",
            Some(rest) if rest.contains('\0') => "there is a zero byte",
            Some(rest) if rest.len() > LONGEST => "it is longer than 255 bytes",
            Some(_) => return Ok(Self(name.into())),
        };
        Err(InvalidName {
            name: name.into(),
            reason,
        })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    fn path(&self) -> PathBuf {
        Path::new(DIRECTORY).join(&self.0[1..])
    }

    fn unlink(&self) -> Result<(), UnlinkError> {
        nix::unistd::unlink(&self.path()).map_err(|refused| match refused {
            Errno::ENOENT => UnlinkError::NotFound {
                name: self.0.clone(),
            },
            Errno::EACCES | Errno::EPERM | Errno::EROFS => UnlinkError::Permission {
                name: self.0.clone(),
            },
            other => system("unlink", other).into(),
        })
    }
}

/// Removes a ring's name, whatever it names. Processes that have the ring open keep it, and
/// its memory goes with the last of them.
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
pub fn unlink(name: &str) -> Result<(), UnlinkError> {
    Name::new(name)?.unlink()
}

/// A descriptor of a ring's object, through which nothing is ever locked.
///
/// Programs close descriptors that are not theirs (`closefrom`, daemons), and the number is
/// used again. So the object's identity is kept, and checked where being wrong would matter.
#[derive(Debug)]
pub(crate) struct Object {
    file: ManuallyDrop<OwnedFd>,
    path: PathBuf,
    device: u64,
    inode: u64,
    opened_in: Generation,
}

impl Object {
    fn new(file: OwnedFd, stat: &FileStat, name: &Name) -> Self {
        Self {
            file: ManuallyDrop::new(file),
            path: name.path(),
            device: stat.st_dev,
            inode: stat.st_ino,
            opened_in: Generation::current(),
        }
    }

    /// Whether the descriptor still is the object's.
    pub(crate) fn is_genuine(&self) -> bool {
        fstat(&*self.file).is_ok_and(|stat| self.is(&stat))
    }

    fn is(&self, stat: &FileStat) -> bool {
        stat.st_dev == self.device && stat.st_ino == self.inode
    }

    /// Opens the object once more: another description, with locks of its own. Through /proc,
    /// which works without a name; where there is no /proc, by the name.
    pub(crate) fn reopen(&self) -> Result<OwnedFd, SystemError> {
        let refuse = |refused| system("open", refused);
        // Without a String: recovery comes by here, and allocates nothing.
        let mut through_proc = [0; 32];
        let number = self.file.as_raw_fd();
        write!(&mut through_proc[..], "/proc/self/fd/{number}\0")
            .map_err(|_| refuse(Errno::ENAMETOOLONG))?;
        let through_proc =
            CStr::from_bytes_until_nul(&through_proc).map_err(|_| refuse(Errno::ENAMETOOLONG))?;
        let flags = OFlag::O_RDWR | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        let file = match open(through_proc, flags, Mode::empty()) {
            Err(Errno::ENOENT) => open(&self.path, flags | OFlag::O_NOFOLLOW, Mode::empty()),
            opened => opened,
        }
        .map_err(refuse)?;
        let stat = fstat(&file).map_err(|refused| system("fstat", refused))?;
        if self.is(&stat) {
            Ok(file)
        } else {
            Err(system("open", Errno::EBADF))
        }
    }
}

impl AsFd for Object {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        if !self.opened_in.is_past() && self.is_genuine() {
            // SAFETY: dropped once, here, and not used again.
            unsafe { ManuallyDrop::drop(&mut self.file) }
        }
    }
}

/// An object found under a name, not yet believed to be a ring.
#[derive(Debug)]
pub(crate) struct Found {
    object: Object,
    pub(crate) size: u64,
    pub(crate) mode: u32,
}

impl Found {
    pub(crate) fn open(name: &Name) -> Result<Self, OpenError> {
        fork::watch();
        let flags = OFlag::O_RDWR | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
        let not_a_ring = || OpenError::NotARing {
            name: name.0.clone(),
        };
        let file = open(&name.path(), flags, Mode::empty()).map_err(|refused| match refused {
            Errno::ENOENT => OpenError::NotFound {
                name: name.0.clone(),
            },
            Errno::EACCES | Errno::EPERM | Errno::EROFS => OpenError::Permission {
                name: name.0.clone(),
            },
            Errno::ELOOP | Errno::EISDIR | Errno::ENXIO => not_a_ring(),
            other => system("open", other).into(),
        })?;
        let stat = fstat(&file).map_err(|refused| system("fstat", refused))?;
        if SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT != SFlag::S_IFREG {
            return Err(not_a_ring());
        }
        if let Some(found) = unfit(&file)? {
            return Err(OpenError::FileSystem {
                name: name.0.clone(),
                found,
            });
        }
        Ok(Self {
            size: u64::try_from(stat.st_size).unwrap_or(0),
            mode: stat.st_mode & 0o7777,
            object: Object::new(file, &stat, name),
        })
    }

    /// The first bytes, with zeroes for what is not there. Read, not mapped: an object that is
    /// being cut short is then no SIGBUS.
    pub(crate) fn head<const LEN: usize>(&self) -> Result<[u8; LEN], SystemError> {
        let mut head = [0; LEN];
        let mut filled = 0;
        while filled < LEN {
            match pread(&self.object, &mut head[filled..], filled as i64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(Errno::EINTR) => {}
                Err(refused) => return Err(system("pread", refused)),
            }
        }
        Ok(head)
    }

    /// Maps the object, whole.
    pub(crate) fn map(self, prefault: bool) -> Result<Region, SystemError> {
        Region::map(self.object, self.size, prefault)
    }
}

/// The whole of a ring's object, mapped readable and writable.
#[derive(Debug)]
pub(crate) struct Region {
    mapping: Mapping,
    object: Object,
}

impl Region {
    /// Makes an object that has no name yet, every page of it allocated and zero.
    pub(crate) fn create(
        name: &Name,
        size: u64,
        mode: u32,
        prefault: bool,
    ) -> Result<Self, CreateError> {
        fork::watch();
        let limit = getrlimit(Resource::RLIMIT_FSIZE).map_or(u64::MAX, |(soft, _)| soft);
        if size > limit {
            // Going on would be answered with SIGXFSZ.
            return Err(CreateError::FileSizeLimit {
                needed: size,
                limit,
            });
        }
        if lstat(&name.path()).is_ok() {
            // `link` decides; but to allocate first would say that there is no space.
            return Err(CreateError::Exists {
                name: name.0.clone(),
            });
        }
        let flags = OFlag::O_RDWR | OFlag::O_CLOEXEC | OFlag::O_TMPFILE;
        let file =
            open(DIRECTORY, flags, Mode::S_IRUSR | Mode::S_IWUSR).map_err(
                |refused| match refused {
                    Errno::EACCES | Errno::EPERM | Errno::EROFS => CreateError::Permission {
                        name: name.0.clone(),
                    },
                    Errno::ENOSPC => no_space(name, size, 0),
                    Errno::ENOENT | Errno::ENOTDIR | Errno::EISDIR | Errno::EOPNOTSUPP => {
                        CreateError::FileSystem {
                            name: name.0.clone(),
                            found: 0,
                        }
                    }
                    other => system("open", other).into(),
                },
            )?;
        if let Some(found) = unfit(&file)? {
            return Err(CreateError::FileSystem {
                name: name.0.clone(),
                found,
            });
        }
        allocate(&file, name, size)?;
        fchmod(&file, Mode::from_bits_truncate(mode))
            .map_err(|refused| system("fchmod", refused))?;
        let stat = fstat(&file).map_err(|refused| system("fstat", refused))?;
        Ok(Self::map(Object::new(file, &stat, name), size, prefault)?)
    }

    /// Gives the object its name: from here on others find it, whole.
    pub(crate) fn link(&self, name: &Name) -> Result<(), CreateError> {
        let file = self.object.as_fd();
        let by_path = format!("/proc/self/fd/{}", file.as_raw_fd());
        let target = name.path();
        let linked = match linkat(
            AT_FDCWD,
            &*by_path,
            AT_FDCWD,
            &target,
            AtFlags::AT_SYMLINK_FOLLOW,
        ) {
            // Without /proc. Old kernels ask for a capability here.
            Err(Errno::ENOENT) => linkat(file, "", AT_FDCWD, &target, AtFlags::AT_EMPTY_PATH),
            linked => linked,
        };
        linked.map_err(|refused| match refused {
            Errno::EEXIST => CreateError::Exists {
                name: name.0.clone(),
            },
            Errno::EACCES | Errno::EPERM | Errno::EROFS => CreateError::Permission {
                name: name.0.clone(),
            },
            Errno::ENOSPC => no_space(name, self.mapping.len as u64, 0),
            other => system("linkat", other).into(),
        })
    }

    fn map(object: Object, size: u64, prefault: bool) -> Result<Self, SystemError> {
        let len = usize::try_from(size).map_err(|_| system("mmap", Errno::ENOMEM))?;
        let flags = if prefault {
            MapFlags::MAP_POPULATE
        } else {
            MapFlags::empty()
        };
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        let mapping = Mapping::new(&object, len, access, flags)?;
        Ok(Self { mapping, object })
    }

    pub(crate) fn object(&self) -> &Object {
        &self.object
    }

    pub(crate) fn base(&self) -> NonNull<u8> {
        self.mapping.base
    }
}

/// A shared mapping of the start of a file, which no forked child gets.
#[derive(Debug)]
pub(crate) struct Mapping {
    base: NonNull<u8>,
    len: usize,
    mapped_in: Generation,
}

// SAFETY: a mapping belongs to the process; only its owner unmaps it.
unsafe impl Send for Mapping {}
// SAFETY: shared references give nothing but the address.
unsafe impl Sync for Mapping {}

impl Mapping {
    pub(crate) fn new(
        file: impl AsFd,
        len: usize,
        access: ProtFlags,
        flags: MapFlags,
    ) -> Result<Self, SystemError> {
        let refuse = |refused| system("mmap", refused);
        let size = NonZeroUsize::new(len).ok_or(refuse(Errno::EINVAL))?;
        let flags = flags | MapFlags::MAP_SHARED;
        // SAFETY: a new mapping, at an address that the kernel chooses.
        let base = unsafe { mmap(None, size, access, flags, file, 0) }.map_err(refuse)?;
        let mapping = Self {
            base: base.cast(),
            len,
            mapped_in: Generation::current(),
        };
        // SAFETY: the advice changes nothing for this process; in forked children, where the
        // mapping will be missing, nothing is reached through it.
        unsafe { madvise(base, len, MmapAdvise::MADV_DONTFORK) }
            .map_err(|refused| system("madvise", refused))?;
        Ok(mapping)
    }

    /// Leaves the mapping out of core dumps.
    pub(crate) fn keep_out_of_dumps(&self) -> Result<(), SystemError> {
        // SAFETY: the advice changes nothing but core dumps.
        unsafe { madvise(self.base.cast(), self.len, MmapAdvise::MADV_DONTDUMP) }
            .map_err(|refused| system("madvise", refused))
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // In a forked child something else may be mapped there.
        if !self.mapped_in.is_past() {
            // SAFETY: the whole mapping and nothing else; its owner is being dropped.
            let unmapped = unsafe { munmap(self.base.cast(), self.len) };
            debug_assert_eq!(unmapped, Ok(()));
        }
    }
}

/// Allocates every page now: what tmpfs can't give later is a SIGBUS.
fn allocate(file: &OwnedFd, name: &Name, size: u64) -> Result<(), CreateError> {
    /// Small enough to be done between two signals of a profiler, by which kernels undo what
    /// they began.
    const STEP: u64 = 16 << 20;
    let fs = fstatfs(file).map_err(|refused| system("fstatfs", refused))?;
    let block = u64::try_from(fs.block_size()).unwrap_or(0);
    let available = fs.blocks_available().saturating_mul(block);
    // A file system without a limit has no blocks to count. Asking first keeps two creators
    // from failing both, each for what the other has allocated so far.
    if fs.blocks() > 0 && available < size {
        return Err(no_space(name, size, available));
    }
    let mut done = 0;
    while done < size {
        let step = STEP.min(size - done);
        match fallocate(file, FallocateFlags::empty(), done as i64, step as i64) {
            Ok(()) => done += step,
            Err(Errno::EINTR) => {}
            Err(Errno::ENOSPC | Errno::ENOMEM | Errno::EFBIG | Errno::EDQUOT) => {
                return Err(no_space(name, size, available));
            }
            Err(refused) => return Err(system("fallocate", refused).into()),
        }
    }
    Ok(())
}

fn no_space(name: &Name, needed: u64, available: u64) -> CreateError {
    CreateError::NoSpace {
        name: name.0.clone(),
        needed,
        available,
    }
}

/// The type of a file system that does not keep locks and mappings of one object together:
/// network file systems, overlays, FUSE.
fn unfit(file: &OwnedFd) -> Result<Option<u64>, SystemError> {
    const NFS: u32 = 0x6969;
    const OVERLAY: u32 = 0x794c_7630;
    const FUSE: u32 = 0x6573_5546;
    const SMB: u32 = 0xff53_4d42;
    const SMB2: u32 = 0xfe53_4d42;
    const NINE_P: u32 = 0x0102_1997;
    const CEPH: u32 = 0x00c3_6400;
    let FsType(kind) = fstatfs(file)
        .map_err(|refused| system("fstatfs", refused))?
        .filesystem_type();
    let kind = kind as u32;
    let unfit = [NFS, OVERLAY, FUSE, SMB, SMB2, NINE_P, CEPH].contains(&kind);
    Ok(unfit.then_some(u64::from(kind)))
}

pub(crate) fn system(call: &'static str, refused: Errno) -> SystemError {
    SystemError {
        call,
        source: refused.into(),
    }
}
