//! Words that test processes share outside of any ring.

use super::Name;
use nix::sys::mman::{MapFlags, ProtFlags, mmap};
use std::fs::{File, OpenOptions};
use std::num::NonZeroUsize;
use std::ops::Deref;
use std::slice;
use std::sync::atomic::{AtomicU32, AtomicU64};

/// Shared words in which processes record their progress. They outlast the process that wrote them,
/// and stay mapped until the process exits.
pub(crate) struct SharedWords {
    words: &'static [AtomicU64],
}

impl SharedWords {
    /// Creates `words` words under a name.
    pub(crate) fn create(name: &Name, words: usize) -> Self {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(name.path())
            .unwrap();
        file.set_len(words as u64 * 8).unwrap();
        Self::map(&file)
    }

    pub(crate) fn open(name: &str) -> Self {
        let path = format!("/dev/shm{name}");
        Self::map(
            &OpenOptions::new()
                .read(true)
                .write(true)
                .open(path)
                .unwrap(),
        )
    }

    fn map(file: &File) -> Self {
        let len = file.metadata().unwrap().len() as usize;
        let base = map(file, len);
        // SAFETY: the mapping lasts as long as the process, is aligned to a page, and is accessed
        // only as atomics.
        let words = unsafe { slice::from_raw_parts(base.cast::<AtomicU64>(), len / 8) };
        Self { words }
    }
}

impl Deref for SharedWords {
    type Target = [AtomicU64];

    fn deref(&self) -> &[AtomicU64] {
        self.words
    }
}

/// The first page of a ring's object, mapped without the library.
pub(crate) struct HeaderPage {
    words: &'static [AtomicU32],
}

impl HeaderPage {
    pub(crate) fn of(name: &str) -> Self {
        const PAGE: usize = 4096;
        let path = super::backings::path(name);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .unwrap();
        let base = map(&file, PAGE);
        // SAFETY: as for `SharedWords`. The library accesses these words as atomics as well.
        let words = unsafe { slice::from_raw_parts(base.cast::<AtomicU32>(), PAGE / 4) };
        Self { words }
    }

    /// The event word that consumers sleep on.
    pub(crate) fn not_empty(&self) -> &'static AtomicU32 {
        &self.words[0x180 / 4]
    }

    /// The event word that producers sleep on.
    pub(crate) fn not_full(&self) -> &'static AtomicU32 {
        &self.words[0x200 / 4]
    }
}

fn map(file: &File, len: usize) -> *const u8 {
    let size = NonZeroUsize::new(len).unwrap();
    let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: a new mapping, at an address that the kernel chooses.
    let base = unsafe { mmap(None, size, access, MapFlags::MAP_SHARED, file, 0) };
    base.unwrap().as_ptr().cast()
}
