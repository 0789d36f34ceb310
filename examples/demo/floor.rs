//! The floor: two processes that exchange two cache lines and do nothing else.

use crate::Result;
use nix::fcntl::{OFlag, open};
use nix::sys::mman::{MapFlags, ProtFlags, mmap};
use nix::sys::stat::Mode;
use nix::unistd::ftruncate;
use std::hint::spin_loop;
use std::num::NonZeroUsize;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Release};

#[repr(C, align(128))]
struct Line(AtomicU64);

/// Two lines in memory that both processes have mapped, for as long as they live.
pub(crate) struct Floor {
    there: &'static Line,
    back: &'static Line,
}

impl Floor {
    pub(crate) fn open(name: &str) -> Result<Self> {
        let len = 2 * size_of::<Line>();
        let path = format!("/dev/shm{name}");
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_CLOEXEC;
        let file = open(&*path, flags, Mode::S_IRUSR | Mode::S_IWUSR)?;
        ftruncate(&file, len as i64)?;
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        let len = NonZeroUsize::new(len).ok_or("no lines")?;
        // SAFETY: a new mapping, at an address that the kernel chooses.
        let base = unsafe { mmap(None, len, access, MapFlags::MAP_SHARED, &file, 0)? };
        let first = base.cast::<Line>();
        // SAFETY: two lines were mapped.
        let second = unsafe { first.add(1) };
        Ok(Self {
            // SAFETY: mapped for good, and an atomic may have any value.
            there: unsafe { first.as_ref() },
            // SAFETY: as above.
            back: unsafe { second.as_ref() },
        })
    }

    pub(crate) fn ping(&self, number: u64) {
        self.there.0.store(number, Release);
        while self.back.0.load(Acquire) != number {
            spin_loop();
        }
    }

    pub(crate) fn pong(&self, number: u64) {
        while self.there.0.load(Acquire) != number {
            spin_loop();
        }
        self.back.0.store(number, Release);
    }
}
