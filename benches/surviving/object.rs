//! A ring's bytes and locks, looked at past the library.

use crate::Result;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc::{F_RDLCK, F_UNLCK, SEEK_SET, flock};
use std::fs::File;
use std::os::unix::fs::FileExt;

const TAIL_AT: u64 = 0x80;
const HEAD_AT: u64 = 0x100;
const STRIDE_AT: u64 = 0x20;
const SLOTS_OFFSET_AT: u64 = 0x38;
const CAPACITY_AT: u64 = 0x18;
const PARTICIPANTS_AT: u64 = 0x2c;
const ENTRIES_AT: u64 = 0x400;
const ENTRY: u64 = 0x80;
const ROLE_AT: u64 = 0x04;
const PID_AT: u64 = 0x08;
const INTENT_AT: u64 = 0x20;
const PRODUCER: u32 = 1;

/// The object of a ring, through a description of this program's own.
pub(crate) struct Object(File);

/// What a participant's intent means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It does not stand.
    None,
    /// For a position that is not claimed, or finished: in nobody's way.
    Idle,
    /// For one that is claimed and not finished.
    Busy,
}

impl Object {
    pub(crate) fn open(name: &str) -> Result<Self> {
        Ok(Self(File::open(format!("/dev/shm{name}"))?))
    }

    fn bytes<const LEN: usize>(&self, at: u64) -> Result<[u8; LEN]> {
        let mut bytes = [0; LEN];
        self.0.read_exact_at(&mut bytes, at)?;
        Ok(bytes)
    }

    fn word(&self, at: u64) -> Result<u64> {
        Ok(u64::from_le_bytes(self.bytes(at)?))
    }

    fn half(&self, at: u64) -> Result<u32> {
        Ok(u32::from_le_bytes(self.bytes(at)?))
    }

    /// The seats whose last holder was a process.
    pub(crate) fn seats_of(&self, pid: u32) -> Result<Vec<u64>> {
        let mut seats = Vec::new();
        for seat in 0..u64::from(self.half(PARTICIPANTS_AT)?) {
            if self.half(ENTRIES_AT + seat * ENTRY + PID_AT)? == pid {
                seats.push(seat);
            }
        }
        Ok(seats)
    }

    /// Whether nobody holds the lock of a seat.
    pub(crate) fn is_free(&self, seat: u64) -> Result<bool> {
        let mut query = flock {
            l_type: F_RDLCK as i16,
            l_whence: SEEK_SET as i16,
            l_start: (ENTRIES_AT + seat) as i64,
            l_len: 1,
            l_pid: 0,
        };
        fcntl(&self.0, FcntlArg::F_OFD_GETLK(&mut query))?;
        Ok(query.l_type == F_UNLCK as i16)
    }

    /// What became of the intent of a seat; of a claim of one position, in a ring that nobody
    /// uses now.
    pub(crate) fn standing(&self, seat: u64) -> Result<Standing> {
        let entry = ENTRIES_AT + seat * ENTRY;
        let Some(position) = self.word(entry + INTENT_AT)?.checked_sub(1) else {
            return Ok(Standing::None);
        };
        let (index_at, claimed) = if self.half(entry + ROLE_AT)? == PRODUCER {
            (TAIL_AT, position)
        } else {
            (HEAD_AT, position + 1)
        };
        let place = position % self.word(CAPACITY_AT)?;
        let slot = self.word(SLOTS_OFFSET_AT)? + place * u64::from(self.half(STRIDE_AT)?);
        let is_claimed = self.word(index_at)? > position;
        let is_finished = self.half(slot)? != claimed as u32;
        Ok(if is_claimed && !is_finished {
            Standing::Busy
        } else {
            Standing::Idle
        })
    }
}
