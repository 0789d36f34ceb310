//! Words that processes share outside of any ring.

use super::Name;
use nix::sys::mman::{MapFlags, ProtFlags, mmap};
use std::fs::{File, OpenOptions};
use std::num::NonZeroUsize;
use std::ops::Deref;
use std::slice;
use std::sync::atomic::{AtomicU32, AtomicU64};

/// Words in which processes note how far they came, so that it is known after they were
/// killed. Mapped until the process ends.
pub(crate) struct Board {
    words: &'static [AtomicU64],
}

impl Board {
    /// Under a name of its own.
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
        // SAFETY: mapped for as long as the process lives, aligned to a page, accessed only
        // as atomics.
        let words = unsafe { slice::from_raw_parts(base.cast::<AtomicU64>(), len / 8) };
        Self { words }
    }
}

impl Deref for Board {
    type Target = [AtomicU64];

    fn deref(&self) -> &[AtomicU64] {
        self.words
    }
}

/// The first page of a ring, looked at from outside of the library.
pub(crate) struct Page {
    words: &'static [AtomicU32],
}

impl Page {
    pub(crate) fn of(name: &str) -> Self {
        const PAGE: usize = 4096;
        let path = super::backings::path(name);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .unwrap();
        let base = map(&file, PAGE);
        // SAFETY: as for a board; the ring's own header is made of atomics as well.
        let words = unsafe { slice::from_raw_parts(base.cast::<AtomicU32>(), PAGE / 4) };
        Self { words }
    }

    /// What consumers sleep on.
    pub(crate) fn not_empty(&self) -> &'static AtomicU32 {
        &self.words[0x180 / 4]
    }

    /// What producers sleep on.
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
