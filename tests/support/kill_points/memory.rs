//! The bytes of a ring, read without the library while no process writes them.

use crate::support::Name;
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use std::fs::File;
use std::mem;
use std::num::NonZeroUsize;
use std::os::unix::fs::FileExt;
use std::ptr::NonNull;
use std::slice;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;

/// The length that marks a tombstone.
const TOMBSTONE: u32 = u32::MAX;
/// The offset, in a segment, of the offset of the next segment.
const NEXT_SEGMENT: u64 = 0x328;

/// The state of a slot with regard to a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    Free,
    Full,
    Tombstone,
    Released,
    Other(u32),
}

/// A participant's intent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Intent {
    pub(crate) index: usize,
    pub(crate) first: u64,
    pub(crate) count: u32,
}

/// The bytes of a ring.
pub(crate) struct Memory {
    file: File,
    words: NonNull<AtomicU64>,
    len: usize,
    stride: usize,
    slots: usize,
    pub(crate) capacity: u64,
    pub(crate) participants: usize,
}

impl Memory {
    pub(crate) fn of(name: &Name) -> Self {
        let file = File::open(name.path()).unwrap();
        let size = NonZeroUsize::new(file.metadata().unwrap().len() as usize).unwrap();
        let (access, flags) = (ProtFlags::PROT_READ, MapFlags::MAP_SHARED);
        // SAFETY: a new mapping, at an address that the kernel chooses.
        let base = unsafe { mmap(None, size, access, flags, &file, 0) }.unwrap();
        let mut memory = Self {
            file,
            words: base.cast(),
            len: size.get() / 8,
            stride: 0,
            slots: 0,
            capacity: 0,
            participants: 0,
        };
        memory.capacity = memory.word(0x18);
        memory.stride = memory.half(0x20) as usize;
        memory.slots = memory.word(0x38) as usize;
        memory.participants = memory.half(0x2c) as usize;
        memory
    }

    fn words(&self) -> &[AtomicU64] {
        // SAFETY: the mapping lives as long as `self`, is aligned to a page, and is accessed only
        // as atomics.
        unsafe { slice::from_raw_parts(self.words.as_ptr(), self.len) }
    }

    fn word(&self, at: usize) -> u64 {
        self.words()[at / 8].load(SeqCst)
    }

    fn half(&self, at: usize) -> u32 {
        (self.word(at) >> (at % 8 * 8)) as u32
    }

    pub(crate) fn tail(&self) -> u64 {
        self.word(0x80)
    }

    pub(crate) fn head(&self) -> u64 {
        self.word(0x100)
    }

    pub(crate) fn slot(&self, position: u64) -> Slot {
        let index = position & (self.capacity - 1);
        let word = self.word(self.slots + index as usize * self.stride);
        match (
            (word as u32).wrapping_sub(position as u32),
            (word >> 32) as u32,
        ) {
            (0, _) => Slot::Free,
            (1, TOMBSTONE) => Slot::Tombstone,
            (1, _) => Slot::Full,
            (ahead, _) if u64::from(ahead) == self.capacity => Slot::Released,
            (ahead, _) => Slot::Other(ahead),
        }
    }

    /// The intents that are set in an MPMC ring.
    pub(crate) fn intents(&self) -> impl Iterator<Item = Intent> {
        (0..self.participants).filter_map(|index| {
            let entry = 0x400 + 128 * index;
            let first = self.word(entry + 0x20).checked_sub(1)?;
            Some(Intent {
                index,
                first,
                count: self.half(entry + 0x28),
            })
        })
    }

    /// Copies the object at its present size. Returns whether it has changed since the last copy.
    pub(crate) fn note(&self, copy: &mut Vec<u8>) -> bool {
        let mut now = vec![0; self.file.metadata().unwrap().len() as usize];
        self.file.read_exact_at(&mut now, 0).unwrap();
        mem::replace(copy, now) != *copy
    }

    /// The offsets of the segments in the object.
    pub(crate) fn segments(&self) -> Vec<u64> {
        let mut segments = vec![0];
        loop {
            let mut word = [0; 8];
            let at = segments.last().unwrap() + NEXT_SEGMENT;
            self.file.read_exact_at(&mut word, at).unwrap();
            match u64::from_le_bytes(word) {
                0 => return segments,
                next => segments.push(next),
            }
        }
    }

    /// Whether all segments are closed.
    pub(crate) fn are_all_closed(&self) -> bool {
        self.segments().into_iter().all(|segment| {
            let mut word = [0; 4];
            self.file.read_exact_at(&mut word, segment + 0x280).unwrap();
            u32::from_le_bytes(word) & 1 != 0
        })
    }

    /// The offsets of the oldest segment that is not retired, and of the oldest that is not
    /// reclaimed.
    pub(crate) fn oldest_and_kept(&self) -> (u64, u64) {
        (self.word(0x2b8), self.word(0x2c0))
    }

    /// The last process that stored its pid for a recovery, and the last for growing the ring.
    pub(crate) fn recoverer_and_grower(&self) -> (u32, u32) {
        (self.half(0x290), self.half(0x294))
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: `of` mapped it, and no reference to it is left.
        unsafe { munmap(self.words.cast(), self.len * 8) }.unwrap();
    }
}
