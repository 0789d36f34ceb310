//! A log in shared memory, which survives the death of the processes that write it.

use crate::Result;
use nix::fcntl::{OFlag, open};
use nix::sys::mman::{MapFlags, ProtFlags, mmap};
use nix::sys::stat::Mode;
use nix::unistd::ftruncate;
use std::num::NonZeroUsize;
use std::slice;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::sync::atomic::{AtomicU8, AtomicU64};

/// A consumer has received the message.
const RECEIVED: u8 = 1;
/// The producer was killed during the push: the message is in the ring entirely, or not at all.
const IN_DOUBT: u8 = 0x40;

/// Mapped until the process exits.
pub(crate) struct Log {
    totals: &'static [AtomicU64; 5],
    producers: &'static [Progress],
    messages: &'static [AtomicU8],
}

/// The progress of a producer and its predecessors.
#[repr(C)]
struct Progress {
    begun: AtomicU64,
    done: AtomicU64,
}

#[derive(Clone, Copy)]
pub(crate) enum Total {
    /// Not 0 when every producer has finished.
    Over,
    /// Redelivered messages that had already been received.
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
        // SAFETY: the rest of the header follows.
        let progress = unsafe { totals.add(1) }.cast::<Progress>();
        // SAFETY: a byte for each message follows the header.
        let bytes = unsafe { progress.add(producers) }.cast::<AtomicU8>();
        Ok(Self {
            // SAFETY: mapped until exit, page-aligned, and any value of an atomic is valid.
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

    /// Returns how many messages of a producer are done. If its predecessor was killed in a push,
    /// that message is not pushed again.
    pub(crate) fn resume(&self, producer: u64, first: u64) -> u64 {
        let progress = &self.producers[producer as usize];
        let (begun, done) = (progress.begun.load(Acquire), progress.done.load(Acquire));
        if begun > done {
            self.messages[(first + done) as usize].fetch_or(IN_DOUBT, Release);
            progress.done.store(begun, Release);
        }
        begun
    }

    /// Records that a producer begins the next push.
    pub(crate) fn begin(&self, producer: u64) {
        self.producers[producer as usize]
            .begun
            .fetch_add(1, Release);
    }

    /// Records that a producer has finished a push.
    pub(crate) fn done(&self, producer: u64) {
        self.producers[producer as usize].done.fetch_add(1, Release);
    }

    /// The number of messages that are pushed or in doubt.
    pub(crate) fn pushed(&self) -> u64 {
        let done = |progress: &Progress| progress.done.load(Acquire);
        self.producers.iter().map(done).sum()
    }

    /// Records a received message, before its slot is released.
    pub(crate) fn receive(&self, number: u64, is_redelivered: bool) {
        let Some(message) = self.messages.get(number as usize) else {
            self.total(Total::Damaged).fetch_add(1, Release);
            return;
        };
        if message.fetch_or(RECEIVED, Release) & RECEIVED != 0 {
            let total = if is_redelivered {
                Total::Redelivered
            } else {
                Total::Duplicated
            };
            self.total(total).fetch_add(1, Release);
        }
    }

    /// Counts the messages that were pushed and never received, and those that were never pushed
    /// because their producer was killed.
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
