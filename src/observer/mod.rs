//! A read-only view of a ring.

mod chain;
mod snapshot;

pub use self::snapshot::{Occupancy, Seat, Segment, Snapshot, Waiting};

use self::chain::{SegmentCache, SegmentInfo};
use crate::backing::{Access, BackingName, MemoryPolicy, OpenedObject};
use crate::error::{Forked, ObserveError, OpenError};
use crate::layout::{Geometry, HeaderCopy};
use crate::ring::slot::{SEGMENT_END, Stamp, TOMBSTONE};
use crate::role::Role;
use crate::seat;
use crate::segment::MAX_ACTIVE;
use crate::sync::{Acquire, fence};
use crate::sys::fork::Generation;
use core::time::Duration;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A read-only view of a ring of any kind, with any messages.
///
/// An observer claims no seat, stores nothing to the ring and wakes no participant: participants
/// can't detect it. It needs permission to read the ring, not to write it.
///
/// Everything that it returns is a copy of the ring's bytes, validated as far as possible. So it
/// may observe any ring safely, also one that is corrupt or being truncated.
///
/// For a ring that [has grown](crate::Ring::grow) it covers all segments. Positions continue from
/// one segment to the next, so they count the messages since the ring was created.
///
/// ```
/// use slipring::{Observer, Occupancy, Role, spsc};
///
/// # let name = &format!("/slipring-doc-observer-{}", std::process::id());
/// let ring = spsc::Ring::<u64>::create(name, 16)?;
/// let mut producer = ring.producer()?;
/// producer.push(&7)?;
///
/// let observer = Observer::open(name)?;
/// # slipring::unlink(name)?;
/// let snapshot = observer.snapshot()?;
/// assert_eq!((snapshot.len(), snapshot.capacity), (1, 16));
/// let seat = snapshot.seats_of(Role::Producer).next().unwrap();
/// assert_eq!(seat.occupancy, Occupancy::Alive);
/// assert_eq!(seat.pid, std::process::id());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Observer {
    opened: OpenedObject,
    /// Of the first segment.
    geometry: Geometry,
    opened_in: Generation,
    cache: Mutex<SegmentCache>,
}

/// What an [`Observer`] finds at a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Peek {
    /// A message, which was copied completely.
    Message,
    /// No message: the producer that claimed the position died, or dropped its claim.
    Tombstone,
    /// Nothing is published at the position yet.
    NotYet,
    /// The slot has been released, and perhaps reused.
    Gone,
}

impl Observer {
    /// Opens a ring to observe it. `name` is one that [`Backing`](crate::Backing) describes. Does
    /// not wait for a ring that is still being created.
    ///
    /// # Errors
    ///
    /// If there is no ring, the process may not read it, or its header is invalid; the error names
    /// the field. See [`OpenError`].
    pub fn open(name: impl AsRef<str>) -> Result<Self, OpenError> {
        let name = name.as_ref();
        let backing = BackingName::new(name)?;
        let opened = OpenedObject::open(
            &backing,
            &MemoryPolicy::default(),
            Access::ReadOnly,
            Duration::ZERO,
        )?;
        let geometry = Geometry::validate(&opened.header()?, opened.stat.size, name)?;
        Ok(Self {
            opened,
            geometry,
            opened_in: Generation::current(),
            cache: Mutex::new(SegmentCache::new(geometry)),
        })
    }

    /// Copies the state of the ring: its properties, its positions and its participants.
    ///
    /// The parts are read one after the other while the ring is in use, so they may belong to
    /// different moments. The call queries the kernel about each seat.
    ///
    /// # Errors
    ///
    /// See [`ObserveError`].
    pub fn snapshot(&self) -> Result<Snapshot, ObserveError> {
        // A System V segment is not mapped in a forked child.
        if self.opened_in.is_past() {
            return Err(Forked.into());
        }
        let stat = self.opened.object().stat()?;
        // A participant that leaves records it before its lock is free, and one that arrives has
        // acquired its lock before it is recorded. So a holder that is recorded both before and
        // after its lock was found free is dead.
        let before = self.copy()?;
        let held = self.held_seats();
        let after = self.copy()?;
        let mut cache = self.lock_cache();
        let segments = self.walk(&mut cache, true)?;
        let seats = snapshot::seats(&self.geometry, &before, &held, &after, &segments);
        Ok(Snapshot::new(
            &self.geometry,
            &stat,
            &after,
            &cache,
            &segments,
            seats,
        ))
    }

    /// Returns the next positions to be popped and pushed, [`head`](Snapshot::head) and
    /// [`tail`](Snapshot::tail). Costs less than a [snapshot](Self::snapshot).
    ///
    /// # Errors
    ///
    /// See [`ObserveError`].
    pub fn positions(&self) -> Result<(u64, u64), ObserveError> {
        if self.opened_in.is_past() {
            return Err(Forked.into());
        }
        let segments = self.walk(&mut self.lock_cache(), false)?;
        Ok(chain::head_and_tail(&segments))
    }

    fn lock_cache(&self) -> MutexGuard<'_, SegmentCache> {
        // A panic leaves the cache valid: it interrupts no update.
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first segment's header and its entries, which are those of all segments.
    fn copy(&self) -> Result<HeaderCopy, ObserveError> {
        let mut copy = HeaderCopy::blank(&self.geometry);
        self.fill(0, copy.bytes_mut(), self.geometry.total_len())?;
        Ok(copy)
    }

    /// Whether each seat's lock is held.
    fn held_seats(&self) -> Vec<bool> {
        let object = self.opened.object();
        let of_role = |role| {
            let seats = self.geometry.seats(role);
            // One query is enough if no seat of the role is held.
            let is_any_held = seat::find_held(object, &seats, None).is_some();
            seats.map(move |seat| {
                is_any_held && seat::find_held(object, &(seat..seat + 1), None).is_some()
            })
        };
        let producers = of_role(Role::Producer);
        producers.chain(of_role(Role::Consumer)).collect()
    }

    /// Copies the message at a position to `message`, if it stays in the ring meanwhile. Never
    /// blocks. Unless the result is [`Message`](Peek::Message), the content of `message` is
    /// unspecified.
    ///
    /// Positions start at 0. Those from [`head`](Snapshot::head) up to [`tail`](Snapshot::tail) are
    /// in the ring. In a ring that has grown, positions continue in the next segment where the last
    /// one ended.
    ///
    /// ```
    /// # let name = &format!("/slipring-doc-peek-{}", std::process::id());
    /// # let ring = slipring::spsc::Ring::<u64>::create(name, 4)?;
    /// # let observer = slipring::Observer::open(name)?;
    /// # slipring::unlink(name)?;
    /// use slipring::Peek;
    ///
    /// ring.producer()?.push(&7)?;
    /// let mut message = Vec::new();
    /// assert_eq!(observer.peek(0, &mut message)?, Peek::Message);
    /// assert_eq!(message, 7_u64.to_ne_bytes());
    /// assert_eq!(observer.peek(1, &mut message)?, Peek::NotYet);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// See [`ObserveError`].
    pub fn peek(&self, position: u64, message: &mut Vec<u8>) -> Result<Peek, ObserveError> {
        if self.opened_in.is_past() {
            return Err(Forked.into());
        }
        let Some(mut segment) = self.lock_cache().find(position) else {
            return Ok(Peek::Gone);
        };
        for _ in 0..MAX_ACTIVE {
            let peeked = self.peek_in(&segment, segment.local_position(position), message)?;
            // Reclaimed memory reads as zeroes. They may look like any result except a message
            // with bytes.
            let may_be_reclaimed = peeked != Peek::Message || message.is_empty();
            let has_next_segment = segment.has_next_segment
                || may_be_reclaimed
                    && self.word(segment.offset + HeaderCopy::NEXT_SEGMENT_AT)? != 0;
            if !has_next_segment {
                return Ok(peeked);
            }
            let mut cache = self.lock_cache();
            self.walk(&mut cache, false)?;
            match cache.find(position) {
                Some(same) if same.offset == segment.offset => return Ok(peeked),
                Some(next) => segment = next,
                None => return Ok(Peek::Gone),
            }
        }
        Ok(Peek::NotYet)
    }

    /// What is at one of a segment's own positions.
    fn peek_in(
        &self,
        segment: &SegmentInfo,
        position: u64,
        message: &mut Vec<u8>,
    ) -> Result<Peek, ObserveError> {
        let (slot, payload) = segment.slot_and_payload(position);
        let stamp = || {
            let word = self.word_until(slot, segment.until());
            word.map(Stamp::from_word)
        };
        let before = stamp()?;
        match before.ahead_of(position) {
            1 => {}
            // Free for the position, or still a lap behind.
            ahead if ahead <= 0 => return Ok(Peek::NotYet),
            _ => return Ok(Peek::Gone),
        }
        match before.len() {
            TOMBSTONE => return Ok(Peek::Tombstone),
            // The position's message is the first one of the next segment.
            SEGMENT_END => return Ok(Peek::NotYet),
            forged if forged > self.geometry.shape.size => return Ok(Peek::Gone),
            len => message.resize(len as usize, 0),
        }
        self.fill(payload, message, segment.until())?;
        // A slot is released before it is reused: if its stamp is the same, it did not change
        // during the copy.
        fence(Acquire);
        Ok(if stamp()? == before {
            Peek::Message
        } else {
            Peek::Gone
        })
    }

    fn word(&self, offset: u64) -> Result<u64, ObserveError> {
        self.word_until(offset, self.geometry.total_len())
    }

    fn word_until(&self, offset: u64, until: u64) -> Result<u64, ObserveError> {
        let mut word = [0; 8];
        self.fill(offset, &mut word, until)?;
        Ok(u64::from_le_bytes(word))
    }

    /// Copies bytes of a segment that ends at `until`. Fails if the object was truncated before it.
    fn fill(&self, offset: u64, bytes: &mut [u8], until: u64) -> Result<(), ObserveError> {
        let count = self.opened.read(offset, bytes)?;
        if count < bytes.len() {
            return Err(ObserveError::Truncated {
                expected: until,
                found: self.opened.object().stat()?.size.min(offset + count as u64),
            });
        }
        Ok(())
    }
}
