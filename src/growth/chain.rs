//! The segments of an object, as this process has mapped them.

#![allow(unsafe_code)]

use crate::backing::{MemoryPolicy, Object, Region};
use crate::error::{Corrupt, Forked, SegmentError};
use crate::layout::{Geometry, HEADER_SIZE, HeaderConstants, View};
use crate::recovery::RecoveryContext;
use crate::role::Role;
use crate::seat::OwnedLock;
use crate::segment::{ActiveSegments, MAX_ACTIVE, Segment};
use crate::sync::Acquire;
use crate::sys::clock::Instant;
use crate::sys::fork::Generation;
use core::time::Duration;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// The pause between two attempts to take a lock that its holder keeps for microseconds, unless the
/// holder is stopped or killed at that point.
pub(crate) const RETRY_PAUSE: Duration = Duration::from_millis(1);
/// The shortest wait for such a holder: a busy machine may delay it for this long.
const MIN_LOCK_WAIT: Duration = Duration::from_secs(1);
/// The longest wait for such a holder, whatever the liveness interval is.
const MAX_LOCK_WAIT: Duration = Duration::from_secs(10);

/// How long to wait for the holder of an object's lock, given the liveness interval.
pub(crate) fn lock_wait(interval: Duration) -> Duration {
    interval.clamp(MIN_LOCK_WAIT, MAX_LOCK_WAIT)
}

/// The object of a ring and its segments. The first segment stays mapped as long as the object is
/// open; each other one while it is in use.
#[derive(Debug)]
pub(crate) struct Chain {
    // The segments are unmapped before the region is released.
    first: Arc<Segment>,
    later: Mutex<Vec<Arc<Segment>>>,
    policy: MemoryPolicy,
    opened_in: Generation,
    region: Region,
}

impl Chain {
    /// The chain of an existing object.
    pub(crate) fn new(region: Region, geometry: Geometry, policy: MemoryPolicy) -> Self {
        // SAFETY: the region is as large as the geometry says. The chain drops it after the first
        // segment, and every clone of that segment's `Arc` is held by a value that owns the chain.
        let first = unsafe { Segment::first(&region, geometry) };
        Self::from_first(first, region, policy)
    }

    /// The chain of a new object. Its zeroed memory becomes a ring.
    pub(crate) fn create(
        region: Region,
        geometry: Geometry,
        constants: HeaderConstants,
        policy: MemoryPolicy,
    ) -> Self {
        // SAFETY: as in `new`.
        let mut first = unsafe { Segment::first(&region, geometry) };
        // SAFETY: the region is new. It has no name yet, or, in a System V segment, other processes
        // load its first word alone until that is the magic.
        unsafe { first.view.initialise(&geometry, constants) };
        Self::from_first(first, region, policy)
    }

    fn from_first(first: Segment, region: Region, policy: MemoryPolicy) -> Self {
        Self {
            first: Arc::new(first),
            later: Mutex::default(),
            policy,
            opened_in: Generation::current(),
            region,
        }
    }

    /// The geometry of the first segment. The others differ in their capacity alone.
    pub(crate) fn geometry(&self) -> &Geometry {
        &self.first.geometry
    }

    /// The first segment's bytes, which hold what all segments share: seats and counters.
    pub(crate) fn view(&self) -> &View {
        &self.first.view
    }

    /// Refuses a forked child, in which no segment is mapped.
    pub(crate) fn check_process(&self) -> Result<(), Forked> {
        if self.opened_in.is_past() {
            Err(Forked)
        } else {
            Ok(())
        }
    }

    pub(crate) fn opened_in(&self) -> Generation {
        self.opened_in
    }

    pub(crate) fn policy(&self) -> &MemoryPolicy {
        &self.policy
    }

    pub(crate) fn region(&self) -> &Region {
        &self.region
    }

    pub(crate) fn region_mut(&mut self) -> &mut Region {
        &mut self.region
    }

    pub(crate) fn object(&self) -> &Object {
        self.region.object()
    }

    pub(crate) fn first(&self) -> &Arc<Segment> {
        &self.first
    }

    /// The newest segment that this process has mapped.
    pub(crate) fn newest_mapped(&self) -> Arc<Segment> {
        let later = self.lock_later();
        Arc::clone(later.last().unwrap_or(&self.first))
    }

    /// Whether another segment follows the first one.
    pub(crate) fn has_grown(&self) -> bool {
        self.view().next_segment().load(Acquire) != 0 // G
    }

    /// The offset of the oldest segment that is not retired.
    pub(crate) fn oldest_active(&self) -> u64 {
        self.view().header().status.0.oldest_active.load(Acquire) // O
    }

    /// The segments that are not retired. Under the recovery lock none of them is retired and none
    /// is appended.
    pub(crate) fn active_segments(&self) -> Result<ActiveSegments, SegmentError> {
        let oldest = self.oldest_active();
        let mut segments = ActiveSegments::from(self.segment_at(oldest)?);
        // At most `MAX_ACTIVE`, whatever the object's bytes and size are.
        while let Some(next) = self.next_segment(segments.newest())? {
            segments.push(next);
            if segments.len() > MAX_ACTIVE {
                return Err(Corrupt.into());
            }
        }
        self.lock_later().retain(|segment| segment.offset >= oldest);
        Ok(segments)
    }

    /// The segment that follows another one.
    pub(crate) fn next_segment(
        &self,
        segment: &Segment,
    ) -> Result<Option<Arc<Segment>>, SegmentError> {
        let next = segment.next_offset()?;
        next.map(|offset| self.segment_at(offset)).transpose()
    }

    fn segment_at(&self, offset: u64) -> Result<Arc<Segment>, SegmentError> {
        if offset == 0 {
            return Ok(Arc::clone(&self.first));
        }
        let mut later = self.lock_later();
        if let Some(known) = later.iter().find(|segment| segment.offset == offset) {
            return Ok(Arc::clone(known));
        }
        let (geometry, _) = self.read_header_at(offset)?;
        let mapped = Arc::new(Segment::map(&self.region, offset, geometry, &self.policy)?);
        later.push(Arc::clone(&mapped));
        Ok(mapped)
    }

    /// The validated geometry of the segment at an offset of the object, and the offset of the
    /// segment that follows it, or 0.
    pub(crate) fn read_header_at(&self, offset: u64) -> Result<(Geometry, u64), SegmentError> {
        if !self.object().can_grow() {
            return Err(Corrupt.into());
        }
        let size = self.object().stat()?.size;
        let left = size.saturating_sub(offset);
        if left < HEADER_SIZE as u64 || offset % self.region.page() != 0 {
            return Err(Corrupt.into());
        }
        let mut header = [0; HEADER_SIZE];
        self.region.read(offset, &mut header)?;
        let found = Geometry::validate(&header, left, "").or(Err(Corrupt))?;
        let expected = Geometry {
            capacity: found.capacity,
            first_position: found.first_position,
            ..*self.geometry()
        };
        if found != expected {
            return Err(Corrupt.into());
        }
        Ok((found, Geometry::next_segment_in(&header)))
    }

    /// Closes every segment. If the caller is killed before the last one, any participant that sees
    /// a closed segment closes the others.
    pub(crate) fn close(&self) {
        self.first.close();
        let Ok(segments) = self.active_segments() else {
            return;
        };
        let mut segment = Arc::clone(segments.oldest());
        // At most `MAX_ACTIVE`. A process that appends a segment either sees that this one is
        // closed, or has announced before that another one follows.
        for _ in 0..MAX_ACTIVE {
            if !segment.close() {
                return;
            }
            match self.next_segment(&segment) {
                Ok(Some(next)) => segment = next,
                _ => return,
            }
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.first.is_closed()
    }

    /// Wakes every sleeping participant of a role, in every segment.
    pub(crate) fn wake(&self, role: Role) {
        if let Ok(segments) = self.active_segments() {
            for segment in segments.iter() {
                segment.view.event(role).notify_all();
            }
        }
    }

    /// What recovery needs of the object. `own` is the caller's seat lock, if it has a seat.
    pub(crate) fn recovery_context<'a>(
        &'a self,
        own: Option<&'a OwnedLock>,
    ) -> RecoveryContext<'a> {
        RecoveryContext {
            view: self.view(),
            geometry: self.geometry(),
            object: self.object(),
            own,
        }
    }

    /// Until when to wait for the holder of one of the object's locks.
    pub(crate) fn lock_deadline(&self) -> Instant {
        Instant::now().after(lock_wait(self.geometry().liveness_interval))
    }

    fn lock_later(&self) -> MutexGuard<'_, Vec<Arc<Segment>>> {
        self.later.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sleeps for a moment before the next attempt to take a lock; `false` if the deadline has passed.
pub(crate) fn pause_before(deadline: Instant) -> bool {
    if Instant::now() >= deadline {
        return false;
    }
    thread::sleep(RETRY_PAUSE);
    true
}
