//! Memory that is mapped in this process, and not in its forked children.

#![allow(unsafe_code)]

use super::{Access, MemoryPolicy, syscall_error};
use crate::error::{MapError, SystemError};
use crate::sync::{Acquire, AtomicU64, Relaxed};
use crate::sys::fork::{self, Generation};
use crate::sys::ipc::{PinnedSegment, SegmentStat};
use core::ptr::NonNull;
use nix::errno::Errno;
use nix::sys::mman::{
    MapFlags, MmapAdvise, MsFlags, ProtFlags, madvise, mlock, mmap, mmap_anonymous, msync, munmap,
};
use nix::sys::resource::{Resource, getrlimit};
use std::fs;
use std::num::NonZeroUsize;
use std::os::fd::AsFd;

/// The size of small pages.
pub(super) const PAGE: usize = 4096;

/// The usual size of huge pages, and their alignment.
const HUGE: usize = 2 << 20;

/// The default size of reserved huge pages.
pub(super) fn huge_page() -> usize {
    let info = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = info
        .lines()
        .find_map(|line| line.strip_prefix("Hugepagesize:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<usize>().ok());
    let size = kilobytes.and_then(|kilobytes| kilobytes.checked_mul(1024));
    size.filter(|size| size.is_power_of_two()).unwrap_or(HUGE)
}

/// An object or a part of it, or a page that keeps a file description open.
#[derive(Debug)]
pub(crate) struct Mapping {
    base: NonNull<u8>,
    len: usize,
    /// The size of its pages.
    page: usize,
    /// The address space with the guards on both sides.
    whole: (NonNull<u8>, usize),
    mapped_in: Generation,
}

// SAFETY: a mapping belongs to the process, not to a thread; only its owner unmaps it.
unsafe impl Send for Mapping {}
// SAFETY: through a shared reference, bytes are accessed only as atomics or by system calls.
unsafe impl Sync for Mapping {}

/// How many bytes of a mapping are in memory, locked and in huge pages, as the kernel counts them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Residency {
    pub(crate) resident: u64,
    pub(crate) locked: u64,
    pub(crate) huge: u64,
}

impl Mapping {
    /// A page of a file that is never accessed. It keeps the description open, and so its locks,
    /// for as long as this process has its address space.
    pub(super) fn pin(file: impl AsFd, page: usize) -> Result<Self, SystemError> {
        let to_error = |refused| syscall_error("mmap", refused);
        let len = NonZeroUsize::new(page).ok_or(to_error(Errno::EINVAL))?;
        // SAFETY: without MAP_FIXED, a new mapping replaces no memory.
        let base = unsafe {
            mmap(
                None,
                len,
                ProtFlags::PROT_NONE,
                MapFlags::MAP_SHARED,
                file,
                0,
            )
        }
        .map_err(to_error)?
        .cast();
        let pin = Self {
            base,
            len: page,
            page,
            whole: (base, page),
            mapped_in: Generation::current(),
        };
        pin.exclude_from_fork()?;
        pin.advise(MmapAdvise::MADV_DONTDUMP)?;
        Ok(pin)
    }

    /// A part of a file between guards: `len` bytes, rounded up to whole pages of the file.
    pub(super) fn of_file(
        file: impl AsFd,
        offset: u64,
        len: u64,
        page: usize,
        policy: &MemoryPolicy,
    ) -> Result<Self, MapError> {
        let mapping = Self::reserve(len, page, policy)?;
        let size = NonZeroUsize::new(mapping.len).ok_or(syscall_error("mmap", Errno::EINVAL))?;
        let offset = i64::try_from(offset).map_err(|_| syscall_error("mmap", Errno::EOVERFLOW))?;
        let mut flags = MapFlags::MAP_SHARED | MapFlags::MAP_FIXED;
        if policy.prefault {
            flags |= MapFlags::MAP_POPULATE;
        }
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // A child that was forked in between would keep the ring mapped as long as it lives.
        fork::without_forks(|| {
            // SAFETY: the new mapping replaces the room of the reservation, which is as large, and
            // nothing refers to that memory.
            unsafe {
                mmap(
                    Some(mapping.base.addr()),
                    size,
                    access,
                    flags,
                    &file,
                    offset,
                )
            }
            .map_err(|refused| syscall_error("mmap", refused))?;
            mapping.exclude_from_fork()
        })?;
        mapping.apply_policy(policy)?;
        Ok(mapping)
    }

    /// A whole System V segment between guards, and its state while it is attached.
    pub(super) fn of_segment(
        id: i32,
        page: usize,
        policy: &MemoryPolicy,
        access: Access,
    ) -> Result<(Self, SegmentStat), SystemError> {
        // A child that was forked in between could be the last process that has a removed segment
        // attached, and would not remove its semaphores.
        fork::without_forks(|| {
            let to_error = |refused| syscall_error("shmat", refused);
            let pinned = PinnedSegment::new(id).map_err(to_error)?;
            let stat = pinned
                .stat()
                .map_err(|refused| syscall_error("shmctl", refused))?;
            let mapping = Self::reserve(stat.size, page, policy)?;
            // SAFETY: the reservation has room for the size of the pinned segment in pages of
            // `page` bytes, larger pages can't begin at its base, and nothing refers to it.
            unsafe { pinned.attach_over(mapping.base, access == Access::ReadWrite) }
                .map_err(to_error)?;
            mapping.exclude_from_fork()?;
            Ok((mapping, stat))
        })
    }

    /// Reserves address space that can't be accessed: a guard page, room for `len` bytes, and a
    /// guard page. An access beyond either end of the room raises a signal.
    fn reserve(len: u64, page: usize, policy: &MemoryPolicy) -> Result<Self, SystemError> {
        let to_error = |refused| syscall_error("mmap", refused);
        let too_much = || to_error(Errno::ENOMEM);
        let len = usize::try_from(len)
            .ok()
            .and_then(|len| len.checked_next_multiple_of(page))
            .ok_or_else(too_much)?;
        let begin = if policy.advises_huge_pages() {
            page.max(HUGE)
        } else {
            page
        };
        let slack = 3 * begin.max(PAGE);
        let whole = len.checked_add(slack).ok_or_else(too_much)?;
        let size = NonZeroUsize::new(whole).ok_or(to_error(Errno::EINVAL))?;
        let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_NORESERVE;
        // SAFETY: without MAP_FIXED, a new mapping replaces no memory.
        let start = unsafe { mmap_anonymous(None, size, ProtFlags::PROT_NONE, flags) }
            .map_err(to_error)?
            .cast::<u8>();
        let mut first = (start.addr().get() + PAGE).next_multiple_of(begin);
        // An address at which no larger page can begin. A segment of larger pages takes more room
        // than its size says: it is refused here, and does not replace the memory that follows.
        if first % (2 * begin) == 0 {
            first += begin;
        }
        // SAFETY: `first` is inside the new mapping: the slack has room for PAGE and twice `begin`.
        let base = unsafe { start.add(first - start.addr().get()) };
        Ok(Self {
            base,
            len,
            page,
            whole: (start, whole),
            mapped_in: Generation::current(),
        })
    }

    /// Advises and locks pages as the options ask.
    pub(super) fn apply_policy(&self, policy: &MemoryPolicy) -> Result<(), MapError> {
        if policy.advises_huge_pages() {
            // A kernel without huge pages refuses the advice with EINVAL.
            match self.advise(MmapAdvise::MADV_HUGEPAGE) {
                Err(error) if error.source.raw_os_error() != Some(Errno::EINVAL as i32) => {
                    return Err(error.into());
                }
                _ => {}
            }
        }
        if policy.lock {
            // SAFETY: locking changes neither bytes nor addresses.
            let locked = unsafe { mlock(self.base.cast(), self.len) };
            return locked.map_err(|refused| match refused {
                Errno::ENOMEM | Errno::EPERM | Errno::EAGAIN => MapError::LockedMemory {
                    needed: self.len as u64,
                    limit: getrlimit(Resource::RLIMIT_MEMLOCK).map_or(0, |(soft, _)| soft),
                },
                refused => syscall_error("mlock", refused).into(),
            });
        }
        Ok(())
    }

    /// Allocates every missing page, and enters all of them into the page tables.
    pub(super) fn populate(&self) -> Result<(), Errno> {
        // SAFETY: the advice changes neither bytes nor addresses.
        let done = unsafe { madvise(self.base.cast(), self.len, MmapAdvise::MADV_POPULATE_WRITE) };
        match done {
            // Before Linux 5.14.
            Err(Errno::EINVAL) => Ok(()),
            done => done,
        }
    }

    /// Keeps the kernel from mapping it in forked children.
    fn exclude_from_fork(&self) -> Result<(), SystemError> {
        let (start, len) = self.whole;
        // SAFETY: the advice changes nothing in this process. In a forked child, where the mapping
        // is missing, every operation fails with `Forked` before it accesses the memory.
        unsafe { madvise(start.cast(), len, MmapAdvise::MADV_DONTFORK) }
            .map_err(|refused| syscall_error("madvise", refused))
    }

    fn advise(&self, advice: MmapAdvise) -> Result<(), SystemError> {
        // SAFETY: callers give only advice that changes neither bytes nor addresses.
        unsafe { madvise(self.base.cast(), self.len, advice) }
            .map_err(|refused| syscall_error("madvise", refused))
    }

    /// Writes modified pages to the file's disk, and waits for that.
    pub(crate) fn sync(&self) -> Result<(), SystemError> {
        // SAFETY: the whole range is mapped, and msync changes no bytes.
        unsafe { msync(self.base.cast(), self.len, MsFlags::MS_SYNC) }
            .map_err(|refused| syscall_error("msync", refused))
    }

    /// The word that is not zero once a ring is complete.
    pub(super) fn first_word(&self) -> u64 {
        // SAFETY: a mapping is at least a page, aligned as one, and lives as long as `self`. Other
        // processes store to the bytes, so they are accessed only as atomics.
        unsafe { AtomicU64::from_ptr(self.base.cast().as_ptr()) }.load(Acquire)
    }

    /// Copies bytes that other processes may be storing to, from a word on, as far as the mapping
    /// goes. Returns how many.
    pub(super) fn read(&self, offset: u64, bytes: &mut [u8]) -> usize {
        let words = self.base.cast::<u64>();
        let first = usize::try_from(offset / 8).unwrap_or(usize::MAX);
        let present = (self.len / 8).saturating_sub(first);
        for (index, chunk) in bytes.chunks_mut(8).take(present).enumerate() {
            // SAFETY: `index` is below the number of words from `first` to the end of the mapping.
            let word = unsafe { words.add(first + index) };
            // SAFETY: an aligned word of the mapping, which lives as long as `self`. Other
            // processes store to it, so it is accessed only as an atomic.
            let word = unsafe { AtomicU64::from_ptr(word.as_ptr()) };
            chunk.copy_from_slice(&word.load(Relaxed).to_le_bytes()[..chunk.len()]);
        }
        bytes.len().min(present.saturating_mul(8))
    }

    pub(super) fn page(&self) -> usize {
        self.page
    }

    pub(crate) fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// Zeroes where /proc is missing.
    pub(super) fn residency(&self) -> Residency {
        let maps = fs::read_to_string("/proc/self/smaps").unwrap_or_default();
        let start = format!("{:x}-", self.base.addr());
        let mut lines = maps.lines().skip_while(|line| !line.starts_with(&start));
        lines.next();
        let mut residency = Residency::default();
        for line in lines {
            let Some((field, amount)) = line.split_once(':') else {
                break;
            };
            if field == "VmFlags" {
                if amount.split(' ').any(|flag| flag == "lo") {
                    residency.locked = residency.resident;
                }
                break;
            }
            let kilobytes = amount.trim().strip_suffix(" kB");
            let bytes = kilobytes.and_then(|number| number.parse::<u64>().ok());
            let bytes = bytes.unwrap_or(0) << 10;
            match field {
                "Rss" => residency.resident += bytes,
                "ShmemPmdMapped" | "FilePmdMapped" => residency.huge += bytes,
                // The kernel does not count these as resident.
                "Shared_Hugetlb" | "Private_Hugetlb" => {
                    residency.huge += bytes;
                    residency.resident += bytes;
                }
                _ => {}
            }
        }
        residency
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // In a forked child other memory may be mapped at that address.
        if !self.mapped_in.is_past() {
            let (start, len) = self.whole;
            // SAFETY: the range is exactly that of this mapping, and its owner is being dropped.
            let unmapped = unsafe { munmap(start.cast(), len) };
            debug_assert_eq!(unmapped, Ok(()));
        }
    }
}
