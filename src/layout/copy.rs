//! A private copy of a ring's header and entries. It does not change while it is read, and nothing
//! of the ring needs to be mapped.

use super::header::{Entry, Header, Status};
use super::{Geometry, HEADER_SIZE, ProcessIdentity, SETTINGS_AT, Settings};
use crate::ring::closing::Closing;
use crate::ring::intent::{Intent, Run};
use crate::ring::participants::{OrphanHint, SeatSnapshot};
use crate::role::Role;
use crate::wait;
use core::mem::offset_of;

const STATUS_AT: usize = offset_of!(Header, status);

/// A copy of the first bytes of a segment.
#[derive(Debug)]
pub(crate) struct HeaderCopy {
    bytes: Vec<u8>,
}

/// A copy of the entry of a seat.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EntryCopy {
    pub(crate) seat_state: SeatSnapshot,
    pub(crate) identity: ProcessIdentity,
    pub(crate) intent: Option<Run>,
    /// The offset of the segment that the holder works on, or of an earlier one.
    pub(crate) oldest_segment: u64,
}

impl HeaderCopy {
    /// The offset in a segment of the word [`head`](Self::head).
    pub(crate) const HEAD_AT: u64 = offset_of!(Header, head) as u64;
    /// The offset in a segment of the word [`next_segment`](Self::next_segment).
    pub(crate) const NEXT_SEGMENT_AT: u64 =
        (SETTINGS_AT + offset_of!(Settings, next_segment)) as u64;
    /// The offset in the first segment of the word [`oldest_active`](Self::oldest_active).
    pub(crate) const OLDEST_AT: u64 = (STATUS_AT + offset_of!(Status, oldest_active)) as u64;

    /// A zeroed copy, to be filled with the segment's first bytes.
    pub(crate) fn blank(geometry: &Geometry) -> Self {
        let entries = geometry.participants() as usize * size_of::<Entry>();
        Self {
            bytes: vec![0; HEADER_SIZE + entries],
        }
    }

    /// As [`blank`](Self::blank), without entries.
    pub(crate) fn blank_header() -> Self {
        Self {
            bytes: vec![0; HEADER_SIZE],
        }
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    pub(crate) fn tail(&self) -> u64 {
        self.long(offset_of!(Header, tail))
    }

    pub(crate) fn head(&self) -> u64 {
        self.long(offset_of!(Header, head))
    }

    /// Whether a participant of a role may be asleep, and how often that role was notified, modulo
    /// 2^31.
    pub(crate) fn event(&self, role: Role) -> (bool, u32) {
        wait::decode(self.word(match role {
            Role::Producer => offset_of!(Header, not_full),
            Role::Consumer => offset_of!(Header, not_empty),
        }))
    }

    pub(crate) fn is_closed(&self) -> bool {
        Closing::is_closed_in(self.word(STATUS_AT + offset_of!(Status, closing)))
    }

    /// Whether messages of dead consumers wait for a live one.
    pub(crate) fn has_orphans(&self) -> bool {
        OrphanHint::is_waiting(self.word(STATUS_AT + offset_of!(Status, orphans)))
    }

    pub(crate) fn recoveries(&self) -> u64 {
        self.long(STATUS_AT + offset_of!(Status, recoveries))
    }

    pub(crate) fn tombstones(&self) -> u64 {
        self.long(STATUS_AT + offset_of!(Status, tombstones))
    }

    pub(crate) fn redelivered(&self) -> u64 {
        self.long(STATUS_AT + offset_of!(Status, redelivered))
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.long(STATUS_AT + offset_of!(Status, dropped))
    }

    /// The offset of the next segment, or 0.
    pub(crate) fn next_segment(&self) -> u64 {
        self.long(Self::NEXT_SEGMENT_AT as usize)
    }

    /// The offset of the oldest segment that is not retired.
    pub(crate) fn oldest_active(&self) -> u64 {
        self.long(Self::OLDEST_AT as usize)
    }

    /// The offset of the oldest segment that still has its memory.
    pub(crate) fn oldest_allocated(&self) -> u64 {
        self.long(STATUS_AT + offset_of!(Status, oldest_allocated))
    }

    /// In nanoseconds since 1970.
    pub(crate) fn created_at(&self) -> u64 {
        self.long(SETTINGS_AT + offset_of!(Settings, created_at))
    }

    /// The entry of a seat. For a copy with entries, and a seat that the ring has.
    pub(crate) fn entry(&self, seat: u32, geometry: &Geometry) -> EntryCopy {
        let entry = HEADER_SIZE + seat as usize * size_of::<Entry>();
        let intent = entry + offset_of!(Entry, intent);
        let words = [0, 4, 8].map(|offset| self.word(intent + offset));
        EntryCopy {
            seat_state: SeatSnapshot::from_word(self.word(entry + offset_of!(Entry, seat_state))),
            identity: ProcessIdentity {
                pid: self.word(entry + offset_of!(Entry, pid)),
                start_time: self.long(entry + offset_of!(Entry, start_time)),
                pid_namespace: self.long(entry + offset_of!(Entry, pid_namespace)),
            },
            intent: Intent::from_words(words, geometry.capacity),
            oldest_segment: self.long(entry + offset_of!(Entry, oldest_segment)),
        }
    }

    fn word(&self, offset: usize) -> u32 {
        bytemuck::pod_read_unaligned(&self.bytes[offset..][..4])
    }

    fn long(&self, offset: usize) -> u64 {
        bytemuck::pod_read_unaligned(&self.bytes[offset..][..8])
    }
}
