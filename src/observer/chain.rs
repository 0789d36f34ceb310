//! The rings of an object, as an observer finds them: one after the other, none of them mapped, and nothing of
//! them bounded that was not checked.
//!
//! Each ring counts its positions from its own first one. An observer tells them as if there were one ring: those
//! of the next ring go on where the last one ended. For that it walks from the first ring on, of which all headers
//! seat_state, and remembers how far the rings that are retired have brought it.

use super::Observer;
use crate::error::{Corrupt, ObserveError, OpenError};
use crate::layout::{Geometry, HEADER_SIZE, HeaderCopy, PAGE};
use crate::properties::Kind;
use crate::ring::closing::{is_sealed, position};
use crate::ring::slot::{SEGMENT_END, Stamp};
use crate::role::Role;
use crate::segment::MAX_ACTIVE;

/// How often to walk along rings of which some are retired meanwhile.
const TRIES: u32 = 8;

/// One of the rings of an object.
#[derive(Clone, Copy, Debug)]
pub(super) struct SegmentInfo {
    pub(super) geometry: Geometry,
    /// Bytes from the start of the object.
    pub(super) offset: u64,
    /// What the ring's first position is among those of all rings.
    base: u64,
    /// Up to where it has positions among those of all, if it has ended.
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

    /// What one of the ring's positions is among those of all rings.
    pub(super) fn among_all(&self, own: u64) -> u64 {
        let count = own.wrapping_sub(self.geometry.first_position);
        self.base.wrapping_add(count)
    }

    /// The reverse.
    pub(super) fn own(&self, among_all: u64) -> u64 {
        let count = among_all.wrapping_sub(self.base);
        self.geometry.first_position.wrapping_add(count)
    }

    /// The size of an object that has all of the ring.
    pub(super) fn until(&self) -> u64 {
        self.offset.saturating_add(self.geometry.total_len())
    }

    fn slot(&self, own: u64) -> u64 {
        self.offset + self.geometry.slot_offset(own)
    }

    /// Where the slot of a position lies in the object, and where its payload does.
    pub(super) fn places(&self, own: u64) -> (u64, u64) {
        let slot = self.slot(own);
        (slot, slot + self.geometry.payload_offset())
    }
}

/// A ring, and what was in it.
#[derive(Debug)]
pub(super) struct SegmentCopy {
    pub(super) link: SegmentInfo,
    pub(super) copy: HeaderCopy,
    /// As the ring itself counts.
    pub(super) head: u64,
    pub(super) tail: u64,
}

impl SegmentCopy {
    pub(super) fn is_ended(&self) -> bool {
        self.link.end.is_some()
    }

    /// Whether all that will ever be in the ring has been taken.
    fn is_over(&self) -> bool {
        self.is_ended() && self.head == self.tail
    }
}

/// Where the next message is popped from and the next one pushed to, of all rings.
pub(super) fn ends(rings: &[SegmentCopy]) -> (u64, u64) {
    let [.., newest] = rings else { return (0, 0) };
    let next = rings.iter().find(|ring| !ring.is_over()).unwrap_or(newest);
    let head = next.link.among_all(next.head);
    (head, newest.link.among_all(newest.tail))
}

/// What is remembered from one look to the next.
#[derive(Debug)]
pub(super) struct SegmentCache {
    /// The oldest ring that was not retired.
    oldest: SegmentInfo,
    /// How often the producers and the consumers of those before were woken.
    wakes: [u32; 2],
    /// Those that were not retired.
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

    /// The ring in which a position is or will be: `None` of one in a ring that is retired.
    pub(super) fn find(&self, among_all: u64) -> Option<SegmentInfo> {
        let is_before = |edge: u64| among_all.wrapping_sub(edge) > u64::MAX / 2;
        let mut rings = self.segments.iter();
        if self.oldest.offset > 0 && is_before(self.oldest.base) {
            return None;
        }
        rings
            .find(|ring| ring.end.is_none_or(is_before))
            .or(self.segments.last())
            .copied()
    }

    pub(super) fn wakes(&self, role: Role) -> u32 {
        self.wakes[role as usize]
    }

    fn geometry_at(&self, offset: u64) -> Option<Geometry> {
        let known = self.segments.iter().find(|ring| ring.offset == offset);
        known.map(|ring| ring.geometry)
    }
}

impl Observer {
    /// The rings that are not retired, oldest first: at least one. With their entries, or the headers alone.
    pub(super) fn walk(
        &self,
        known: &mut SegmentCache,
        has_entries: bool,
    ) -> Result<Vec<SegmentCopy>, ObserveError> {
        let mut tries = 1;
        loop {
            let oldest = self.word(HeaderCopy::OLDEST_AT)?;
            self.pass_retired(known, oldest)?;
            let rings = self.look_along(known, has_entries)?;
            // Of a ring that was retired meanwhile the slots may be gone, and with them the mark at its end.
            let is_settled = rings.len() == 1 || self.word(HeaderCopy::OLDEST_AT)? == oldest;
            if is_settled || tries == TRIES {
                known.segments = rings.iter().map(|ring| ring.link).collect();
                return Ok(rings);
            }
            tries += 1;
        }
    }

    /// Goes on to the oldest ring that is not retired, and counts what was in those before.
    fn pass_retired(&self, known: &mut SegmentCache, oldest: u64) -> Result<(), ObserveError> {
        let (mut link, mut wakes) = match oldest < known.oldest.offset {
            // What led beyond it was forged, or this is.
            true => {
                let first = SegmentCache::new(self.geometry);
                (first.oldest, first.wakes)
            }
            false => (known.oldest, known.wakes),
        };
        while link.offset != oldest {
            let copy = self.picture_of(&link, false)?;
            let next = self.next_segment(&link, &copy)?.ok_or(Corrupt)?;
            if next > oldest {
                return Err(Corrupt.into());
            }
            let end = match link.geometry.kind {
                Kind::Mpmc => position(copy.tail()),
                // The consumer came to the mark, and said so before the ring was retired.
                Kind::Spsc => copy.head(),
            };
            let base = link.among_all(end);
            for role in [Role::Producer, Role::Consumer] {
                let (_, more) = copy.event(role);
                let all = &mut wakes[role as usize];
                *all = all.wrapping_add(more);
            }
            link = SegmentInfo::new(self.geometry_at(known, next)?, next, base);
        }
        // Only what has led there is remembered.
        (known.oldest, known.wakes) = (link, wakes);
        Ok(())
    }

    fn look_along(
        &self,
        known: &SegmentCache,
        has_entries: bool,
    ) -> Result<Vec<SegmentCopy>, ObserveError> {
        let mut rings = Vec::new();
        let mut link = known.oldest;
        loop {
            let (looked, next) = self.look_at(link, has_entries)?;
            let end = looked.link.among_all(looked.tail);
            rings.push(looked);
            let Some(next) = next else {
                return Ok(rings);
            };
            if rings.len() == MAX_ACTIVE {
                return Err(Corrupt.into());
            }
            link = SegmentInfo::new(self.geometry_at(known, next)?, next, end);
        }
    }

    /// A ring as it is now, and where the next one lies.
    fn look_at(
        &self,
        mut link: SegmentInfo,
        has_entries: bool,
    ) -> Result<(SegmentCopy, Option<u64>), ObserveError> {
        // Before the tail, behind which it then is.
        let head = self.word(link.offset + HeaderCopy::HEAD_AT)?;
        let copy = self.picture_of(&link, has_entries)?;
        let next = self.next_segment(&link, &copy)?;
        link.has_next_segment = next.is_some();
        let mut tail = copy.tail();
        let is_ended = match link.geometry.kind {
            Kind::Mpmc => {
                let is_sealed = is_sealed(tail);
                tail = position(tail);
                is_sealed
            }
            Kind::Spsc => {
                let is_end_marker =
                    next.is_some() && self.is_end_marker(&link, tail.wrapping_sub(1))?;
                tail = tail.wrapping_sub(is_end_marker.into());
                is_end_marker
            }
        };
        link.end = is_ended.then(|| link.among_all(tail));
        let looked = SegmentCopy {
            link,
            copy,
            head,
            tail,
        };
        Ok((looked, next))
    }

    /// Whether an SPSC ring ended at a position.
    fn is_end_marker(&self, link: &SegmentInfo, own: u64) -> Result<bool, ObserveError> {
        let stamp = Stamp::from_word(self.word(link.slot(own))?);
        Ok(stamp.ahead_of(own) == 1 && stamp.len() == SEGMENT_END)
    }

    fn picture_of(
        &self,
        link: &SegmentInfo,
        has_entries: bool,
    ) -> Result<HeaderCopy, ObserveError> {
        let mut copy = match has_entries {
            true => HeaderCopy::blank(&self.geometry),
            false => HeaderCopy::blank_header(),
        };
        self.fill(link.offset, copy.bytes_mut(), link.until())?;
        Ok(copy)
    }

    /// Where the ring lies that follows: behind this one.
    fn next_segment(&self, link: &SegmentInfo, copy: &HeaderCopy) -> Result<Option<u64>, Corrupt> {
        match copy.next_segment() {
            0 => Ok(None),
            next if next >= link.until() && next % PAGE == 0 => Ok(Some(next)),
            _ => Err(Corrupt),
        }
    }

    /// What a ring says of itself that lies somewhere in the object: nothing else than the first one, but how many
    /// messages it holds.
    fn geometry_at(&self, known: &SegmentCache, offset: u64) -> Result<Geometry, ObserveError> {
        if let Some(geometry) = known.geometry_at(offset) {
            return Ok(geometry);
        }
        let size = self.found.object().stat()?.size;
        let truncated = |expected| ObserveError::Truncated {
            expected: offset.saturating_add(expected),
            found: size,
        };
        // The kernel refuses to look where no file goes.
        if offset > size {
            return Err(truncated(PAGE));
        }
        let mut head = [0; HEADER_SIZE];
        self.fill(offset, &mut head, offset + PAGE)?;
        let found = match Geometry::validate(&head, size - offset, "") {
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
