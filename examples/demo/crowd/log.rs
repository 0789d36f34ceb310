//! What everybody notes, in memory that outlives whoever is killed.

use crate::Result;
use nix::fcntl::{OFlag, open};
use nix::sys::mman::{MapFlags, ProtFlags, mmap};
use nix::sys::stat::Mode;
use nix::unistd::ftruncate;
use std::num::NonZeroUsize;
use std::slice;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::sync::atomic::{AtomicU8, AtomicU64};

/// Times that a message was taken for the first time, as far as the consumer was told.
const TAKEN: u8 = 1;
/// Its producer was killed while it pushed it: it was pushed whole, or not at all.
const IN_DOUBT: u8 = 0x40;

/// Mapped for good.
pub(crate) struct Log {
    totals: &'static [AtomicU64; 5],
    producers: &'static [Progress],
    messages: &'static [AtomicU8],
}

/// How far a producer, and those who had its part before, have come.
#[repr(C)]
struct Progress {
    begun: AtomicU64,
    done: AtomicU64,
}

#[derive(Clone, Copy)]
pub(crate) enum Total {
    /// Not 0: every producer has done its part.
    Over,
    /// Messages that were taken again after they had been noted.
    Redelivered,
    Duplicated,
    Disordered,
    Damaged,
}

impl Log {
    pub(crate) fn open(name: &str, producers: u64, messages: u64) -> Result<Self> {
        let producers = producers as usize;
        let head = size_of::<[AtomicU64; 5]>() + producers * size_of::<Progress>();
        let len = head + messages as usize;
        let path = format!("/dev/shm{name}");
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_CLOEXEC;
        let file = open(&*path, flags, Mode::S_IRUSR | Mode::S_IWUSR)?;
        ftruncate(&file, len as i64)?;
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        let len = NonZeroUsize::new(len).ok_or("no log")?;
        // SAFETY: a new mapping, at an address that the kernel chooses.
        let base = unsafe { mmap(None, len, access, MapFlags::MAP_SHARED, &file, 0)? };
        let totals = base.cast::<[AtomicU64; 5]>();
        // SAFETY: the rest of the head follows.
        let progress = unsafe { totals.add(1) }.cast::<Progress>();
        // SAFETY: a byte for each message follows the head.
        let bytes = unsafe { progress.add(producers) }.cast::<AtomicU8>();
        Ok(Self {
            // SAFETY: mapped for good, aligned to a page, and an atomic may have any value.
            totals: unsafe { totals.as_ref() },
            // SAFETY: as above.
            producers: unsafe { slice::from_raw_parts(progress.as_ptr(), producers) },
            // SAFETY: as above.
            messages: unsafe { slice::from_raw_parts(bytes.as_ptr(), messages as usize) },
        })
    }

    pub(crate) fn total(&self, total: Total) -> &AtomicU64 {
        &self.totals[total as usize]
    }

    /// How many messages of its part a producer need not push any more. If the last one who had
    /// the part was killed in a push, that message is not pushed again.
    pub(crate) fn resume(&self, producer: u64, first: u64) -> u64 {
        let progress = &self.producers[producer as usize];
        let (begun, done) = (progress.begun.load(Acquire), progress.done.load(Acquire));
        if begun > done {
            self.messages[(first + done) as usize].fetch_or(IN_DOUBT, Release);
            progress.done.store(begun, Release);
        }
        begun
    }

    /// Notes that a producer begins with one more message.
    pub(crate) fn begin(&self, producer: u64) {
        self.producers[producer as usize]
            .begun
            .fetch_add(1, Release);
    }

    /// Notes that it has pushed it.
    pub(crate) fn done(&self, producer: u64) {
        self.producers[producer as usize].done.fetch_add(1, Release);
    }

    /// Messages that were pushed, or are in doubt.
    pub(crate) fn pushed(&self) -> u64 {
        let done = |progress: &Progress| progress.done.load(Acquire);
        self.producers.iter().map(done).sum()
    }

    /// Notes a message before it is given back.
    pub(crate) fn take(&self, number: u64, is_redelivered: bool) {
        let Some(message) = self.messages.get(number as usize) else {
            self.total(Total::Damaged).fetch_add(1, Release);
            return;
        };
        if message.fetch_or(TAKEN, Release) & TAKEN != 0 {
            let total = if is_redelivered {
                Total::Redelivered
            } else {
                Total::Duplicated
            };
            self.total(total).fetch_add(1, Release);
        }
    }

    /// Messages that were pushed and never taken, and messages that nobody pushed as their
    /// producer was killed.
    pub(crate) fn missing(&self) -> (u64, u64) {
        let (mut lost, mut never_pushed) = (0, 0);
        for message in self.messages {
            match message.load(Acquire) {
                0 => lost += 1,
                IN_DOUBT => never_pushed += 1,
                _ => {}
            }
        }
        (lost, never_pushed)
    }
}
