//! One ring of an object, mapped. A ring that grows continues in the next segment of its object.
//!
//! Each segment has slots, positions and intents of its own. Seats, their locks and all counters
//! belong to the object, and lie in the first segment.
//!
//! # Ordering
//!
//! | edge | store | load | carries |
//! |------|-------|------|---------|
//! | G | `next_segment`, Release, `append` | `next_segment`, Acquire, `next_offset` | the next segment, complete |
//! | O | `oldest_active`, Release, `retire` | `oldest_active`, Acquire, `active_segments` | the segments up to that one |
//! | W | `oldest_segment`, Release, `set_oldest_segment` | `oldest_segment`, Acquire, `oldest_segment` | the stores to older segments |

#![allow(unsafe_code)]

use crate::backing::{Mapping, MemoryPolicy, Region};
use crate::error::{Corrupt, MapError, SystemError};
use crate::layout::{Geometry, View};
use crate::properties::Kind;
use crate::ring::closing::{is_drained, is_sealed, position, seal};
use crate::ring::intent::Run;
use crate::ring::spsc::is_end_marker;
use crate::ring::within;
use crate::sync::{Acquire, Relaxed, Release};
use core::iter;
use std::sync::Arc;

/// The most segments of an object that are not retired.
pub(crate) const MAX_ACTIVE: usize = 64;

/// One of the rings of an object, mapped.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) view: View,
    pub(crate) geometry: Geometry,
    /// Bytes from the start of the object.
    pub(crate) offset: u64,
    /// `None` for the first segment, which is mapped with the object.
    mapping: Option<Mapping>,
}

impl Segment {
    /// The first segment of an object.
    ///
    /// # Safety
    ///
    /// While the value is in use, the region is mapped, and as large as the geometry says.
    pub(crate) unsafe fn first(region: &Region, geometry: Geometry) -> Self {
        Self {
            // SAFETY: this function's contract is the same.
            view: unsafe { View::new(region.base(), &geometry) },
            geometry,
            offset: 0,
            mapping: None,
        }
    }

    /// Maps another segment, which the object holds up to the end that the geometry gives.
    pub(crate) fn map(
        region: &Region,
        offset: u64,
        geometry: Geometry,
        policy: &MemoryPolicy,
    ) -> Result<Self, MapError> {
        let mapping = region.map_part(offset..offset + geometry.total_len(), policy)?;
        Ok(Self {
            // SAFETY: the mapping is as large as the geometry says, and is dropped with the view.
            view: unsafe { View::new(mapping.base(), &geometry) },
            geometry,
            offset,
            mapping: Some(mapping),
        })
    }

    /// The offset at which another segment may follow this one.
    pub(crate) fn end(&self, page: u64) -> u64 {
        (self.offset + self.geometry.total_len()).next_multiple_of(page)
    }

    /// The offset of the next segment. Segments lie in the object in ascending order.
    pub(crate) fn next_offset(&self) -> Result<Option<u64>, Corrupt> {
        match self.view.next_segment().load(Acquire) {
            // G
            0 => Ok(None),
            next if next >= self.offset + self.geometry.total_len() => Ok(Some(next)),
            _ => Err(Corrupt),
        }
    }

    /// Records the next segment, under the recovery lock. This store is the point of no return: if
    /// the caller is killed before the [handover](Self::finish_handover_to), another participant
    /// finishes it.
    pub(crate) fn append(&self, next: &Self) {
        self.view.next_segment().store(next.offset, Release); // G
        self.finish_handover_to(next);
    }

    /// Does what is left to do of the handover to a recorded next segment. Under the recovery lock.
    pub(crate) fn finish_handover_to(&self, next: &Self) {
        let header = self.view.header();
        let closing = &header.status.0.closing;
        let mut has_changed = !closing.is_superseded();
        if has_changed {
            closing.supersede();
        }
        // Before any producer reaches the next segment: else a process that closes the ring would
        // return while a push to that segment still succeeds.
        if closing.is_closed() && !next.is_closed() {
            next.close();
        }
        // Relaxed: only the holder of the recovery lock seals.
        if self.geometry.kind == Kind::Mpmc && !is_sealed(header.tail.0.load(Relaxed)) {
            seal(&header.tail.0);
            has_changed = true;
        }
        if has_changed {
            self.wake();
        }
    }

    /// Closes the segment. Returns whether another one follows, which the caller closes too.
    pub(crate) fn close(&self) -> bool {
        let is_superseded = self.view.header().status.0.closing.close();
        self.wake();
        is_superseded
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.view.header().status.0.closing.is_closed()
    }

    /// Wakes every participant that sleeps on this segment.
    pub(crate) fn wake(&self) {
        let header = self.view.header();
        header.not_empty.0.notify_all();
        header.not_full.0.notify_all();
    }

    /// The number of messages by the stored head and tail, which may lag behind.
    pub(crate) fn len(&self) -> usize {
        let header = self.view.header();
        // Relaxed: a snapshot, by which no slot is accessed.
        let head = header.head.0.load(Relaxed);
        let tail = header.tail.0.load(Relaxed);
        let end = match self.geometry.kind {
            Kind::Mpmc => position(tail),
            Kind::Spsc if is_end_marker(self.view.slots(), tail.wrapping_sub(1)) => {
                tail.wrapping_sub(1)
            }
            Kind::Spsc => tail,
        };
        within(end.wrapping_sub(head), self.geometry.capacity)
    }

    /// Writes the segment to its file. The first one is written with the object.
    pub(crate) fn sync(&self) -> Result<(), SystemError> {
        self.mapping.as_ref().map_or(Ok(()), Mapping::sync)
    }

    /// Whether nothing is left to do in a sealed MPMC segment: every message was claimed, and no
    /// intent is set, of a live or dead participant. Under the recovery lock.
    pub(crate) fn is_drained(&self) -> bool {
        let header = self.view.header();
        let mut seats = 0..self.geometry.participants();
        is_drained(&header.tail.0, &header.head.0) && seats.all(|seat| self.intent(seat).is_none())
    }

    /// The positions that the holder of a seat may have claimed in this segment.
    pub(crate) fn intent(&self, seat: u32) -> Option<Run> {
        self.view.entry(seat).intent().read(self.geometry.capacity)
    }
}

/// The segments of an object that are not retired, oldest first.
#[derive(Debug)]
pub(crate) struct ActiveSegments {
    oldest: Arc<Segment>,
    // Apart from the oldest, so that a ring that never grew allocates nothing.
    later: Vec<Arc<Segment>>,
}

impl ActiveSegments {
    pub(crate) fn from(oldest: Arc<Segment>) -> Self {
        Self {
            oldest,
            later: Vec::new(),
        }
    }

    pub(crate) fn push(&mut self, next: Arc<Segment>) {
        self.later.push(next);
    }

    pub(crate) fn len(&self) -> usize {
        1 + self.later.len()
    }

    pub(crate) fn oldest(&self) -> &Arc<Segment> {
        &self.oldest
    }

    pub(crate) fn newest(&self) -> &Arc<Segment> {
        self.later.last().unwrap_or(&self.oldest)
    }

    /// Oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Segment>> {
        iter::once(&self.oldest).chain(&self.later)
    }

    /// Each segment but the newest, with the one that follows it.
    pub(crate) fn with_next(&self) -> impl Iterator<Item = (&Arc<Segment>, &Arc<Segment>)> {
        self.iter().zip(&self.later)
    }

    /// Finishes every handover that a dead process began. Under the recovery lock.
    pub(crate) fn finish_handovers(&self) {
        for (segment, next) in self.with_next() {
            segment.finish_handover_to(next);
        }
    }
}
