//! Reads a ring's bytes and locks without the library.

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

/// The object of a ring, opened with a file description of its own.
pub(crate) struct Object(File);

/// The state of a participant's intent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IntentState {
    /// The intent is cleared.
    None,
    /// Its position is not claimed, or is finished. It blocks no other participant.
    Idle,
    /// Its position is claimed and not finished.
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

    /// The seats that this process held last.
    pub(crate) fn seats_of(&self, pid: u32) -> Result<Vec<u64>> {
        let mut seats = Vec::new();
        for seat in 0..u64::from(self.half(PARTICIPANTS_AT)?) {
            if self.half(ENTRIES_AT + seat * ENTRY + PID_AT)? == pid {
                seats.push(seat);
            }
        }
        Ok(seats)
    }

    /// Whether the lock of a seat is free.
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

    /// The state of a seat's intent. The intent must cover one position, and the ring must be
    /// idle.
    pub(crate) fn intent_state(&self, seat: u64) -> Result<IntentState> {
        let entry = ENTRIES_AT + seat * ENTRY;
        let Some(position) = self.word(entry + INTENT_AT)?.checked_sub(1) else {
            return Ok(IntentState::None);
        };
        let (index_at, claimed) = if self.half(entry + ROLE_AT)? == PRODUCER {
            (TAIL_AT, position)
        } else {
            (HEAD_AT, position + 1)
        };
        let index = position % self.word(CAPACITY_AT)?;
        let slot = self.word(SLOTS_OFFSET_AT)? + index * u64::from(self.half(STRIDE_AT)?);
        let is_claimed = self.word(index_at)? > position;
        let is_finished = self.half(slot)? != claimed as u32;
        Ok(if is_claimed && !is_finished {
            IntentState::Busy
        } else {
            IntentState::Idle
        })
    }
}
