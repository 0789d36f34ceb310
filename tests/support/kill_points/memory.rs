//! A ring's bytes, looked at from outside of the library while nobody stores into them.

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

/// The length that marks a slot which was given up by a dead producer.
const TOMBSTONE: u32 = u32::MAX;
/// Where a ring says where the next one lies.
const SUCCESSOR: u64 = 0x328;

/// What the word of a slot says with regard to a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    Free,
    Full,
    Tombstone,
    GivenBack,
    Other(u32),
}

/// What a participant's entry says that it is about to claim, or has claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Intent {
    pub(crate) index: usize,
    pub(crate) first: u64,
    pub(crate) count: u32,
}

/// A ring's bytes.
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
        // SAFETY: mapped as long as `self` lives, aligned to a page, accessed only as atomics.
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
            (ahead, _) if u64::from(ahead) == self.capacity => Slot::GivenBack,
            (ahead, _) => Slot::Other(ahead),
        }
    }

    /// The entries of an MPMC ring that speak of a position.
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

    /// Copies all of the object, however long it has become, and tells whether it had changed since the last time.
    pub(crate) fn note(&self, copy: &mut Vec<u8>) -> bool {
        let mut now = vec![0; self.file.metadata().unwrap().len() as usize];
        self.file.read_exact_at(&mut now, 0).unwrap();
        mem::replace(copy, now) != *copy
    }

    /// Where the rings lie that follow each other in the object.
    pub(crate) fn stages(&self) -> Vec<u64> {
        let mut stages = vec![0];
        loop {
            let mut word = [0; 8];
            let at = stages.last().unwrap() + SUCCESSOR;
            self.file.read_exact_at(&mut word, at).unwrap();
            match u64::from_le_bytes(word) {
                0 => return stages,
                next => stages.push(next),
            }
        }
    }

    /// Whether each of them says that it is closed.
    pub(crate) fn are_all_closed(&self) -> bool {
        self.stages().into_iter().all(|stage| {
            let mut word = [0; 4];
            self.file.read_exact_at(&mut word, stage + 0x280).unwrap();
            u32::from_le_bytes(word) & 1 != 0
        })
    }

    /// Where the oldest rings lie that are not retired, and whose memory was not given back.
    pub(crate) fn oldest_and_kept(&self) -> (u64, u64) {
        (self.word(0x2b8), self.word(0x2c0))
    }

    /// Who said last that it recovers, and that it makes the ring grow.
    pub(crate) fn recoverer_and_grower(&self) -> (u32, u32) {
        (self.half(0x290), self.half(0x294))
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: mapped in `of`, and nobody has kept a reference.
        unsafe { munmap(self.words.cast(), self.len * 8) }.unwrap();
    }
}
