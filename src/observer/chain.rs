//! The segments of an object, as an observer reads them: none is mapped, and each is validated.
//!
//! Each segment counts its positions from its own first one. An observer reports global positions,
//! which continue from one segment to the next. To compute them it walks from the first segment on:
//! the header of every segment stays readable. It caches where the retired segments have ended.

use super::Observer;
use crate::error::{Corrupt, ObserveError, OpenError};
use crate::layout::{Geometry, HEADER_SIZE, HeaderCopy, PAGE};
use crate::properties::Kind;
use crate::ring::closing::{is_sealed, position};
use crate::ring::slot::{SEGMENT_END, Stamp};
use crate::role::Role;
use crate::segment::MAX_ACTIVE;

/// Attempts to walk the chain while segments of it are being retired.
const MAX_WALKS: u32 = 8;

/// A validated segment of an object.
#[derive(Clone, Copy, Debug)]
pub(super) struct SegmentInfo {
    pub(super) geometry: Geometry,
    /// Bytes from the start of the object.
    pub(super) offset: u64,
    /// The global position of the segment's first position.
    base: u64,
    /// The global position at which the segment has ended, if it has.
    end: Option<u64>,
    pub(super) has_next_segment: bool,
}

impl SegmentInfo {
    fn new(geometry: Geometry, offset: u64, base: u64) -> Self {
        Self {
            geometry,
            offset,
            base,
            end: None,
            has_next_segment: false,
        }
    }

    /// The global position of one of the segment's own positions.
    pub(super) fn global_position(&self, local: u64) -> u64 {
        let count = local.wrapping_sub(self.geometry.first_position);
        self.base.wrapping_add(count)
    }

    /// The reverse of [`global_position`](Self::global_position).
    pub(super) fn local_position(&self, global: u64) -> u64 {
        let count = global.wrapping_sub(self.base);
        self.geometry.first_position.wrapping_add(count)
    }

    /// The end of the segment in the object.
    pub(super) fn until(&self) -> u64 {
        self.offset.saturating_add(self.geometry.total_len())
    }

    fn slot(&self, local: u64) -> u64 {
        self.offset + self.geometry.slot_offset(local)
    }

    /// The offsets in the object of a position's slot and of the payload in it.
    pub(super) fn slot_and_payload(&self, local: u64) -> (u64, u64) {
        let slot = self.slot(local);
        (slot, slot + self.geometry.payload_offset())
    }
}

/// A copy of a segment's header, and its positions.
#[derive(Debug)]
pub(super) struct SegmentCopy {
    pub(super) info: SegmentInfo,
    pub(super) copy: HeaderCopy,
    /// In the segment's own positions, as `tail`.
    pub(super) head: u64,
    pub(super) tail: u64,
}

impl SegmentCopy {
    pub(super) fn is_ended(&self) -> bool {
        self.info.end.is_some()
    }

    /// Whether every message that the segment will ever hold has been claimed.
    fn is_drained(&self) -> bool {
        self.is_ended() && self.head == self.tail
    }
}

/// The global positions of the next message to be popped and of the next one to be pushed.
pub(super) fn head_and_tail(segments: &[SegmentCopy]) -> (u64, u64) {
    let [.., newest] = segments else {
        return (0, 0);
    };
    let undrained = segments.iter().find(|segment| !segment.is_drained());
    let next = undrained.unwrap_or(newest);
    let head = next.info.global_position(next.head);
    (head, newest.info.global_position(newest.tail))
}

/// What an observer keeps from one walk to the next.
#[derive(Debug)]
pub(super) struct SegmentCache {
    /// The oldest segment that was not retired.
    oldest: SegmentInfo,
    /// How often the producers and the consumers of retired segments were notified.
    wakes: [u32; 2],
    /// The segments that were not retired.
    segments: Vec<SegmentInfo>,
}

impl SegmentCache {
    pub(super) fn new(geometry: Geometry) -> Self {
        let oldest = SegmentInfo::new(geometry, 0, geometry.first_position);
        Self {
            oldest,
            wakes: [0; 2],
            segments: vec![oldest],
        }
    }

    /// The segment that has a global position or will have it; `None` if that segment is retired.
    pub(super) fn find(&self, global: u64) -> Option<SegmentInfo> {
        let is_before = |edge: u64| global.wrapping_sub(edge) > u64::MAX / 2;
        if self.oldest.offset > 0 && is_before(self.oldest.base) {
            return None;
        }
        let mut segments = self.segments.iter();
        segments
            .find(|segment| segment.end.is_none_or(is_before))
            .or(self.segments.last())
            .copied()
    }

    pub(super) fn wakes(&self, role: Role) -> u32 {
        self.wakes[role as usize]
    }

    fn geometry_at(&self, offset: u64) -> Option<Geometry> {
        let mut segments = self.segments.iter();
        let cached = segments.find(|segment| segment.offset == offset);
        cached.map(|segment| segment.geometry)
    }
}

impl Observer {
    /// Copies the segments that are not retired, oldest first and at least one: with their entries,
    /// or only their headers.
    pub(super) fn walk(
        &self,
        cache: &mut SegmentCache,
        has_entries: bool,
    ) -> Result<Vec<SegmentCopy>, ObserveError> {
        let mut walks = 1;
        loop {
            let oldest = self.word(HeaderCopy::OLDEST_AT)?;
            self.pass_retired(cache, oldest)?;
            let segments = self.copy_segments(cache, has_entries)?;
            // If a segment was retired meanwhile, its slots may be reclaimed, and with them the
            // mark that ends it.
            let is_stable = segments.len() == 1 || self.word(HeaderCopy::OLDEST_AT)? == oldest;
            if is_stable || walks == MAX_WALKS {
                cache.segments = segments.iter().map(|segment| segment.info).collect();
                return Ok(segments);
            }
            walks += 1;
        }
    }

    /// Advances the cache to the oldest segment that is not retired, and adds up what the retired
    /// ones have counted.
    fn pass_retired(&self, cache: &mut SegmentCache, oldest: u64) -> Result<(), ObserveError> {
        let (mut segment, mut wakes) = match oldest < cache.oldest.offset {
            // The earlier offset was forged, or this one is.
            true => {
                let first = SegmentCache::new(self.geometry);
                (first.oldest, first.wakes)
            }
            false => (cache.oldest, cache.wakes),
        };
        while segment.offset != oldest {
            let copy = self.copy_of(&segment, false)?;
            let next = self.next_segment(&segment, &copy)?.ok_or(Corrupt)?;
            if next > oldest {
                return Err(Corrupt.into());
            }
            let end = match segment.geometry.kind {
                Kind::Mpmc => position(copy.tail()),
                // The consumer reached the mark and stored its head before the segment was retired.
                Kind::Spsc => copy.head(),
            };
            let base = segment.global_position(end);
            for role in [Role::Producer, Role::Consumer] {
                let (_, more) = copy.event(role);
                let total = &mut wakes[role as usize];
                *total = total.wrapping_add(more);
            }
            segment = SegmentInfo::new(self.geometry_at(cache, next)?, next, base);
        }
        // Only after the walk has reached the segment: a failed walk changes nothing.
        (cache.oldest, cache.wakes) = (segment, wakes);
        Ok(())
    }

    fn copy_segments(
        &self,
        cache: &SegmentCache,
        has_entries: bool,
    ) -> Result<Vec<SegmentCopy>, ObserveError> {
        let mut segments = Vec::new();
        let mut info = cache.oldest;
        loop {
            let (segment, next) = self.copy_segment(info, has_entries)?;
            let end = segment.info.global_position(segment.tail);
            segments.push(segment);
            let Some(next) = next else {
                return Ok(segments);
            };
            if segments.len() == MAX_ACTIVE {
                return Err(Corrupt.into());
            }
            info = SegmentInfo::new(self.geometry_at(cache, next)?, next, end);
        }
    }

    /// Copies a segment. Also returns the offset of the next one.
    fn copy_segment(
        &self,
        mut info: SegmentInfo,
        has_entries: bool,
    ) -> Result<(SegmentCopy, Option<u64>), ObserveError> {
        // Before the tail, so that it is not beyond it.
        let head = self.word(info.offset + HeaderCopy::HEAD_AT)?;
        let copy = self.copy_of(&info, has_entries)?;
        let next = self.next_segment(&info, &copy)?;
        info.has_next_segment = next.is_some();
        let mut tail = copy.tail();
        let is_ended = match info.geometry.kind {
            Kind::Mpmc => {
                let is_sealed = is_sealed(tail);
                tail = position(tail);
                is_sealed
            }
            Kind::Spsc => {
                let is_end_marker =
                    next.is_some() && self.is_end_marker(&info, tail.wrapping_sub(1))?;
                tail = tail.wrapping_sub(is_end_marker.into());
                is_end_marker
            }
        };
        info.end = is_ended.then(|| info.global_position(tail));
        let segment = SegmentCopy {
            info,
            copy,
            head,
            tail,
        };
        Ok((segment, next))
    }

    /// Whether an SPSC segment ended at one of its own positions.
    fn is_end_marker(&self, segment: &SegmentInfo, local: u64) -> Result<bool, ObserveError> {
        let stamp = Stamp::from_word(self.word(segment.slot(local))?);
        Ok(stamp.ahead_of(local) == 1 && stamp.len() == SEGMENT_END)
    }

    fn copy_of(
        &self,
        segment: &SegmentInfo,
        has_entries: bool,
    ) -> Result<HeaderCopy, ObserveError> {
        let mut copy = match has_entries {
            true => HeaderCopy::blank(&self.geometry),
            false => HeaderCopy::blank_header(),
        };
        self.fill(segment.offset, copy.bytes_mut(), segment.until())?;
        Ok(copy)
    }

    /// The offset of the next segment, which lies behind this one.
    fn next_segment(
        &self,
        segment: &SegmentInfo,
        copy: &HeaderCopy,
    ) -> Result<Option<u64>, Corrupt> {
        match copy.next_segment() {
            0 => Ok(None),
            next if next >= segment.until() && next % PAGE == 0 => Ok(Some(next)),
            _ => Err(Corrupt),
        }
    }

    /// The validated geometry of the segment at an offset. It differs from the first segment's in
    /// the capacity and the first position alone.
    fn geometry_at(&self, cache: &SegmentCache, offset: u64) -> Result<Geometry, ObserveError> {
        if let Some(geometry) = cache.geometry_at(offset) {
            return Ok(geometry);
        }
        let size = self.opened.object().stat()?.size;
        let truncated = |expected| ObserveError::Truncated {
            expected: offset.saturating_add(expected),
            found: size,
        };
        // The kernel refuses to read at offsets that no file can have.
        if offset > size {
            return Err(truncated(PAGE));
        }
        let mut header = [0; HEADER_SIZE];
        self.fill(offset, &mut header, offset + PAGE)?;
        let found = match Geometry::validate(&header, size - offset, "") {
            Ok(found) => found,
            Err(OpenError::Truncated { expected, .. }) => return Err(truncated(expected)),
            Err(_) => return Err(Corrupt.into()),
        };
        let expected = Geometry {
            capacity: found.capacity,
            first_position: found.first_position,
            ..self.geometry
        };
        match found == expected {
            true => Ok(found),
            false => Err(Corrupt.into()),
        }
    }
}
