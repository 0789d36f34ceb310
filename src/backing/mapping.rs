//! Memory that is mapped here, and no forked child gets.

use super::{Access, MemoryPolicy, syscall_error};
use crate::error::{MapError, SystemError};
use crate::sync::{Acquire, AtomicU64, Relaxed};
use crate::sys::fork::{self, Generation};
use crate::sys::ipc;
use core::ptr::NonNull;
use nix::errno::Errno;
use nix::sys::mman::{
    MapFlags, MmapAdvise, MsFlags, ProtFlags, madvise, mlock, mmap, mmap_anonymous, msync, munmap,
};
use nix::sys::resource::{Resource, getrlimit};
use std::fs;
use std::num::NonZeroUsize;
use std::os::fd::AsFd;

/// The size of pages where nothing else is said.
pub(super) const PAGE: usize = 4096;

/// Where a huge page of the usual size can begin.
const HUGE: usize = 2 << 20;

/// The size of the huge pages that are reserved if nothing else is said.
pub(super) fn huge_page() -> usize {
    let info = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = info
        .lines()
        .find_map(|line| line.strip_prefix("Hugepagesize:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<usize>().ok());
    let size = kilobytes.and_then(|kilobytes| kilobytes.checked_mul(1024));
    size.filter(|size| size.is_power_of_two()).unwrap_or(HUGE)
}

/// An object or a part of it, or a page that keeps a description.
#[derive(Debug)]
pub(crate) struct Mapping {
    base: NonNull<u8>,
    len: usize,
    /// The size of the pages that it is made of.
    page: usize,
    /// With the guards around.
    whole: (NonNull<u8>, usize),
    mapped_in: Generation,
}

// SAFETY: a mapping belongs to the process; only its owner unmaps it.
unsafe impl Send for Mapping {}
// SAFETY: shared references give nothing but the address.
unsafe impl Sync for Mapping {}

/// How much of a mapping is where, in bytes, as the kernel counts it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Residency {
    pub(crate) resident: u64,
    pub(crate) locked: u64,
    pub(crate) huge: u64,
}

impl Mapping {
    /// A page of a file, for nothing but to keep its description for as long as this process has
    /// its address space.
    pub(super) fn pin(file: impl AsFd, page: usize) -> Result<Self, SystemError> {
        let to_error = |refused| syscall_error("mmap", refused);
        let len = NonZeroUsize::new(page).ok_or(to_error(Errno::EINVAL))?;
        // SAFETY: a new mapping, at an address that the kernel chooses.
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

    /// A part of a file, `len` bytes long and up to the end of a page of the file's, between guards.
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
        // A child that is forked in between would have the ring for as long as it lives.
        fork::without_forks(|| {
            // SAFETY: in place of what was reserved, which nothing refers to.
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

    /// A whole System V segment, between guards.
    pub(super) fn of_segment(
        id: i32,
        len: u64,
        page: usize,
        policy: &MemoryPolicy,
        access: Access,
    ) -> Result<Self, SystemError> {
        let mapping = Self::reserve(len, page, policy)?;
        // A child that is forked in between would be the last to have a segment that was removed, and
        // remove no semaphores.
        fork::without_forks(|| {
            // SAFETY: the segment is not larger than what was reserved, which nothing refers to.
            unsafe { ipc::attach(id, mapping.base, access == Access::ReadWrite) }
                .map_err(|refused| syscall_error("shmat", refused))?;
            mapping.exclude_from_fork()
        })?;
        Ok(mapping)
    }

    /// Address space that can't be accessed: a page, room for `len` bytes, and a page. Whoever runs
    /// over the ends is told by a signal.
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
        // SAFETY: a new mapping, at an address that the kernel chooses.
        let start = unsafe { mmap_anonymous(None, size, ProtFlags::PROT_NONE, flags) }
            .map_err(to_error)?
            .cast::<u8>();
        let mut first = (start.addr().get() + PAGE).next_multiple_of(begin);
        // Where larger pages can't begin: a segment of such, which takes more room than its size says,
        // is refused here instead of being put over what follows.
        if first % (2 * begin) == 0 {
            first += begin;
        }
        // SAFETY: at most as far as the slack allows, which leaves a guard on both sides.
        let base = unsafe { start.add(first - start.addr().get()) };
        Ok(Self {
            base,
            len,
            page,
            whole: (start, whole),
            mapped_in: Generation::current(),
        })
    }

    /// Has the pages where the options want them.
    pub(super) fn apply_policy(&self, policy: &MemoryPolicy) -> Result<(), MapError> {
        if policy.advises_huge_pages() {
            // A kernel without them has nothing to take the advice.
            match self.advise(MmapAdvise::MADV_HUGEPAGE) {
                Err(error) if error.source.raw_os_error() != Some(Errno::EINVAL as i32) => {
                    return Err(error.into());
                }
                _ => {}
            }
        }
        if policy.lock {
            // SAFETY: locking changes nothing about the bytes.
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

    /// Allocates every page that is not there yet, and enters it into the page tables.
    pub(super) fn populate(&self) -> Result<(), Errno> {
        // SAFETY: the advice changes nothing about the bytes.
        let done = unsafe { madvise(self.base.cast(), self.len, MmapAdvise::MADV_POPULATE_WRITE) };
        match done {
            // Before Linux 5.14.
            Err(Errno::EINVAL) => Ok(()),
            done => done,
        }
    }

    /// In forked children nothing of it will be mapped.
    fn exclude_from_fork(&self) -> Result<(), SystemError> {
        let (start, len) = self.whole;
        // SAFETY: the advice changes nothing for this process; in forked children, where the
        // mapping will be missing, nothing is reached through it.
        unsafe { madvise(start.cast(), len, MmapAdvise::MADV_DONTFORK) }
            .map_err(|refused| syscall_error("madvise", refused))
    }

    fn advise(&self, advice: MmapAdvise) -> Result<(), SystemError> {
        // SAFETY: only advice is given that leaves the bytes and the addresses as they are.
        unsafe { madvise(self.base.cast(), self.len, advice) }
            .map_err(|refused| syscall_error("madvise", refused))
    }

    /// Has what was stored written to where it is oldest_allocated, and waits for that.
    pub(crate) fn sync(&self) -> Result<(), SystemError> {
        // SAFETY: the mapping is whole, and its bytes are left as they are.
        unsafe { msync(self.base.cast(), self.len, MsFlags::MS_SYNC) }
            .map_err(|refused| syscall_error("msync", refused))
    }

    /// What tells that a ring is whole.
    pub(super) fn first_word(&self) -> u64 {
        // SAFETY: a mapping is at least a page, aligned as one, and others store to it as they like.
        unsafe { AtomicU64::from_ptr(self.base.cast().as_ptr()) }.load(Acquire)
    }

    /// Copies bytes that others may be storing to, from a word on, as far as there are any; says how many.
    pub(super) fn read(&self, offset: u64, bytes: &mut [u8]) -> usize {
        let words = self.base.cast::<u64>();
        let first = usize::try_from(offset / 8).unwrap_or(usize::MAX);
        let present = (self.len / 8).saturating_sub(first);
        for (index, chunk) in bytes.chunks_mut(8).take(present).enumerate() {
            // SAFETY: inside the mapping.
            let word = unsafe { words.add(first + index) };
            // SAFETY: a word of the mapping, aligned as one.
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

    /// Zeroes where /proc does not tell.
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
                // Not stored_count as resident by the kernel.
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
        // In a forked child something else may be mapped there.
        if !self.mapped_in.is_past() {
            let (start, len) = self.whole;
            // SAFETY: the whole mapping and nothing else; its owner is being dropped.
            let unmapped = unsafe { munmap(start.cast(), len) };
            debug_assert_eq!(unmapped, Ok(()));
        }
    }
}
