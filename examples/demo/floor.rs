//! The floor: two processes that only exchange cache lines.

use crate::Result;
use nix::fcntl::{OFlag, open};
use nix::sys::mman::{MapFlags, ProtFlags, mmap};
use nix::sys::stat::Mode;
use nix::unistd::ftruncate;
use std::hint::spin_loop;
use std::num::NonZeroUsize;
use std::slice;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Release};

/// One cache line, as large as the slot of a message of 56 bytes. `CachePadded` would take two.
#[repr(C, align(64))]
struct Line(AtomicU64);

/// Lines in memory that both processes map until they exit. Each exchange writes the next line of
/// each direction, and wraps around after the last.
pub(crate) struct Floor {
    there: &'static [Line],
    back: &'static [Line],
}

impl Floor {
    /// Rounds `lines` up to a power of two, as for a ring's capacity.
    pub(crate) fn open(name: &str, lines: usize) -> Result<Self> {
        let lines = lines.next_power_of_two();
        // At least two lines apart, because processors fetch lines in pairs.
        let distance = lines.max(2);
        let len = 2 * distance * size_of::<Line>();
        let path = format!("/dev/shm{name}");
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_CLOEXEC;
        let file = open(&*path, flags, Mode::S_IRUSR | Mode::S_IWUSR)?;
        ftruncate(&file, len as i64)?;
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        let len = NonZeroUsize::new(len).ok_or("no lines")?;
        // SAFETY: a new mapping, at an address that the kernel chooses.
        let base = unsafe { mmap(None, len, access, MapFlags::MAP_SHARED, &file, 0)? };
        let there = base.cast::<Line>();
        // SAFETY: twice as many lines were mapped.
        let back = unsafe { there.add(distance) };
        Ok(Self {
            // SAFETY: mapped until the process exits, and any value of an atomic is valid.
            there: unsafe { slice::from_raw_parts(there.as_ptr(), lines) },
            // SAFETY: as above.
            back: unsafe { slice::from_raw_parts(back.as_ptr(), lines) },
        })
    }

    pub(crate) fn ping(&self, number: u64) {
        let (there, back) = (next(self.there, number), next(self.back, number));
        there.0.store(number, Release);
        while back.0.load(Acquire) != number {
            spin_loop();
        }
    }

    pub(crate) fn pong(&self, number: u64) {
        let (there, back) = (next(self.there, number), next(self.back, number));
        while there.0.load(Acquire) != number {
            spin_loop();
        }
        back.0.store(number, Release);
    }
}

fn next(lines: &[Line], number: u64) -> &Line {
    match lines {
        [only] => only,
        several => &several[number as usize & (several.len() - 1)],
    }
}
