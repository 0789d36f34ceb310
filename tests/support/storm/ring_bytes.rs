//! A ring's object, read without the library: participants, intents and positions.

use crate::support::backings;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc::{F_UNLCK, F_WRLCK, SEEK_SET, flock};
use std::fmt::Write;
use std::fs::{File, OpenOptions};
use std::iter;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::thread;

const ENTRIES: u64 = 0x400;
const ENTRY: u64 = 128;
const ACTIVE: u32 = 1;
const SEALED: u64 = 1 << 63;

impl Entry {
    /// The positions of its intent.
    pub(crate) fn claim(&self) -> Option<Range<u64>> {
        let start = self.intent.checked_sub(1)?;
        Some(start..start + u64::from(self.count))
    }
}

/// The bytes of a ring's object.
pub(crate) struct Bytes {
    file: File,
    participants: u32,
}

/// A participant's entry.
#[derive(Clone, Copy, Debug)]
#[allow(dead_code, reason = "some of it is only printed")]
pub(crate) struct Entry {
    seat_state: u32,
    role: u32,
    pid: u32,
    /// The first position plus 1, or 0.
    intent: u64,
    count: u32,
}

impl Bytes {
    pub(crate) fn of(ring: &str) -> Self {
        let path = backings::path(ring);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .unwrap();
        let mut bytes = Self {
            file,
            participants: 0,
        };
        bytes.participants = bytes.word(0x2c);
        bytes
    }

    fn word(&self, at: u64) -> u32 {
        let mut bytes = [0; 4];
        self.file.read_exact_at(&mut bytes, at).unwrap();
        u32::from_le_bytes(bytes)
    }

    fn long(&self, at: u64) -> u64 {
        let mut bytes = [0; 8];
        self.file.read_exact_at(&mut bytes, at).unwrap();
        u64::from_le_bytes(bytes)
    }

    fn entry(&self, seat: u32) -> Entry {
        let mut bytes = [0; ENTRY as usize];
        let at = ENTRIES + u64::from(seat) * ENTRY;
        self.file.read_exact_at(&mut bytes, at).unwrap();
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        // An intent is set in one segment at most.
        let segments = self.segments(self.long(0x2b8)).into_iter();
        let mut intents =
            segments.map(|segment| (self.long(segment + at + 0x20), segment + at + 0x28));
        let (intent, count_at) = intents
            .find(|intent| intent.0 != 0)
            .unwrap_or((0, at + 0x28));
        Entry {
            seat_state: word(0),
            role: word(4),
            pid: word(8),
            intent,
            count: self.word(count_at),
        }
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = Entry> {
        (0..self.participants).map(|seat| self.entry(seat))
    }

    /// The seat of a process, and its entry.
    pub(crate) fn entry_of(&self, pid: u32) -> Option<(u32, Entry)> {
        (0..)
            .zip(self.entries())
            .find(|(_, entry)| entry.pid == pid && entry.seat_state & 3 == ACTIVE)
    }

    /// Sets the intent in the entry of a seat.
    pub(crate) fn set_intent(&self, seat: u32, claim: &Range<u64>) {
        let at = ENTRIES + u64::from(seat) * ENTRY;
        let count = (claim.end - claim.start) as u32;
        let after = claim.start + 1;
        self.file
            .write_all_at(&count.to_le_bytes(), at + 0x28)
            .unwrap();
        self.file
            .write_all_at(&after.to_le_bytes(), at + 0x20)
            .unwrap();
    }

    /// Acquires the recovery lock. Returns `None` if another process holds it for long.
    pub(crate) fn take_recovery(&self) -> Option<RecoveryLock> {
        let path = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .unwrap();
        let lock = recovery_lock(F_WRLCK);
        let taken = (0..100).any(|_| {
            thread::yield_now();
            fcntl(&file, FcntlArg::F_OFD_SETLK(&lock)).is_ok()
        });
        taken.then(|| RecoveryLock(file))
    }

    /// The tail and the head of each segment.
    pub(crate) fn tails_and_heads(&self) -> Vec<(u64, u64)> {
        let segments = self.segments(0).into_iter();
        segments
            .map(|at| (self.long(at + 0x80) & !SEALED, self.long(at + 0x100)))
            .collect()
    }

    /// The offsets of the segments, from `first` on.
    fn segments(&self, first: u64) -> Vec<u64> {
        let next = |at: &u64| Some(self.long(at + 0x328)).filter(|&next| next != 0);
        iter::successors(Some(first), next).collect()
    }

    fn is_locked(&self, at: u64) -> bool {
        let mut query = byte(at, F_WRLCK);
        fcntl(&self.file, FcntlArg::F_OFD_GETLK(&mut query)).unwrap();
        query.l_type != F_UNLCK as i16
    }

    /// Describes a ring that is stuck.
    pub(crate) fn dump(&self) -> String {
        let mut text = String::new();
        let indices = self.tails_and_heads();
        let (tail, head) = indices[0];
        let events = (self.word(0x180), self.word(0x200));
        let status: Vec<u32> = (0..14).map(|index| self.word(0x280 + 4 * index)).collect();
        let recovering = self.is_locked(ENTRIES - 1);
        let _ = writeln!(
            text,
            "oldest {:#x}, tails and heads {indices:?}, event words {events:#x?}, status {status:x?}, \
             recovery lock taken: {recovering}",
            self.long(0x2b8)
        );
        for (seat, entry) in self.entries().enumerate() {
            let locked = self.is_locked(ENTRIES + seat as u64);
            if locked || entry.intent != 0 {
                let _ = writeln!(text, "seat {seat}: locked: {locked}, {entry:x?}");
            }
        }
        let (capacity, stride, slots) =
            (self.long(0x18), u64::from(self.word(0x20)), self.long(0x38));
        for position in head.saturating_sub(capacity.min(8))..=tail {
            let word = self.long(slots + position % capacity * stride);
            let (stamp, len) = (word as u32, (word >> 32) as u32);
            let ahead = stamp.wrapping_sub(position as u32) as i32;
            let _ = writeln!(
                text,
                "position {position}: stamp ahead by {ahead}, length {len}"
            );
            if text.len() > 20_000 {
                break;
            }
        }
        text
    }
}

/// The recovery lock, held.
pub(crate) struct RecoveryLock(File);

impl Drop for RecoveryLock {
    /// Unlocks explicitly: a child that was forked meanwhile has the same open file, so closing it
    /// here would not release the lock.
    fn drop(&mut self) {
        let unlock = recovery_lock(F_UNLCK);
        fcntl(&self.0, FcntlArg::F_OFD_SETLK(&unlock)).unwrap();
    }
}

fn recovery_lock(kind: i32) -> flock {
    byte(ENTRIES - 1, kind)
}

fn byte(at: u64, kind: i32) -> flock {
    flock {
        l_type: kind as i16,
        l_whence: SEEK_SET as i16,
        l_start: at as i64,
        l_len: 1,
        l_pid: 0,
    }
}
