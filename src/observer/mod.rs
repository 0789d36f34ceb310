//! Looking at a ring without taking part in it.

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

/// A ring that is looked at, whatever its kind and its messages, by somebody who takes no part in it.
///
/// An observer takes no seat, stores nothing into the ring and wakes nobody: those who take part can't tell
/// whether it is there. It needs permission to read, not to write. What it tells is a copy of what stood
/// in the ring; nothing of it is bounded any further than it can be checked, so it is safe to look at
/// any ring, also one that is broken or being cut short.
///
/// Of a ring that [has grown](crate::Ring::grow) it tells what is in all the rings that follow each other. Positions
/// count on from one to the next, so that they are those of the messages since the ring was made.
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
    found: OpenedObject,
    /// Of the first ring.
    geometry: Geometry,
    opened_in: Generation,
    known: Mutex<SegmentCache>,
}

/// What an [`Observer`] finds at a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peek {
    /// The message, which was copied whole.
    Message,
    /// No message: whoever claimed the position gave it up, or died.
    Tombstone,
    /// It has not been pushed yet.
    NotYet,
    /// Its slot has been given back, or used again.
    Gone,
}

impl Observer {
    /// Opens a ring to be looked at. It takes what [`Backing`](crate::Backing) describes.
    ///
    /// # Errors
    ///
    /// If there is no ring, none that may be read, or one whose header is broken, which the error names; see
    /// [`OpenError`].
    pub fn open(name: impl AsRef<str>) -> Result<Self, OpenError> {
        let name = name.as_ref();
        let backing = BackingName::new(name)?;
        let found = OpenedObject::open(
            &backing,
            &MemoryPolicy::default(),
            Access::ReadOnly,
            Duration::ZERO,
        )?;
        let geometry = Geometry::validate(&found.header()?, found.stat.size, name)?;
        Ok(Self {
            found,
            geometry,
            opened_in: Generation::current(),
            known: Mutex::new(SegmentCache::new(geometry)),
        })
    }

    /// What the ring is, what is in it, and who has it. The parts are read one after the other, and the ring
    /// goes on meanwhile.
    ///
    /// # Errors
    ///
    /// See [`ObserveError`].
    pub fn snapshot(&self) -> Result<Snapshot, ObserveError> {
        // A System V segment is not mapped in a forked child.
        if self.opened_in.is_past() {
            return Err(Forked.into());
        }
        let properties = self.found.object().stat()?;
        // Who leaves says so before the lock is free, and who comes has the lock before: so a seat_state that stood
        // before and after its lock was found free has ended by death.
        let before = self.copy()?;
        let held = self.held_seats();
        let after = self.copy()?;
        let mut known = self.known();
        let rings = self.walk(&mut known, true)?;
        let seats = snapshot::seats(&self.geometry, &before, &held, &after, &rings);
        Ok(Snapshot::new(
            &self.geometry,
            &properties,
            &after,
            &known,
            &rings,
            seats,
        ))
    }

    /// The next positions to be popped from and to be pushed to, [`head`](Snapshot::head) and
    /// [`tail`](Snapshot::tail): for less than a [snapshot](Self::snapshot) costs.
    ///
    /// # Errors
    ///
    /// See [`ObserveError`].
    pub fn positions(&self) -> Result<(u64, u64), ObserveError> {
        if self.opened_in.is_past() {
            return Err(Forked.into());
        }
        let rings = self.walk(&mut self.known(), false)?;
        Ok(chain::ends(&rings))
    }

    fn known(&self) -> MutexGuard<'_, SegmentCache> {
        // What a panic has left is as good as what anybody else has.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first ring's header, and its entries, which are the ones that say who has a seat.
    fn copy(&self) -> Result<HeaderCopy, ObserveError> {
        let mut copy = HeaderCopy::blank(&self.geometry);
        self.fill(0, copy.bytes_mut(), self.geometry.total_len())?;
        Ok(copy)
    }

    /// Of each seat, whether its lock is held.
    fn held_seats(&self) -> Vec<bool> {
        let object = self.found.object();
        let of_role = |role| {
            let seats = self.geometry.seats(role);
            // To ask once for all is enough if nobody is there.
            let is_any_held = seat::find_held(object, &seats, None).is_some();
            seats.map(move |seat| {
                is_any_held && seat::find_held(object, &(seat..seat + 1), None).is_some()
            })
        };
        let producers = of_role(Role::Producer);
        producers.chain(of_role(Role::Consumer)).collect()
    }

    /// Copies the message of a position over `message`, if it is in the ring and holders there meanwhile. Unless the
    /// answer is [`Message`](Peek::Message), `message` holds nothing of use.
    ///
    /// Positions count from [`first_position`](Snapshot::first_position) on; those from
    /// [`head`](Snapshot::head) to [`tail`](Snapshot::tail) are in the ring. Of a ring that has grown the next ring is
    /// looked at from where the last one has ended.
    ///
    /// # Errors
    ///
    /// See [`ObserveError`].
    pub fn peek(&self, position: u64, message: &mut Vec<u8>) -> Result<Peek, ObserveError> {
        if self.opened_in.is_past() {
            return Err(Forked.into());
        }
        let Some(mut link) = self.known().find(position) else {
            return Ok(Peek::Gone);
        };
        for _ in 0..MAX_ACTIVE {
            let peeked = self.peek_in(&link, link.own(position), message)?;
            // Where the memory was given back there are zeroes, which may look like anything but bytes of a message.
            let may_be_blank = peeked != Peek::Message || message.is_empty();
            let has_next_segment = link.has_next_segment
                || may_be_blank && self.word(link.offset + HeaderCopy::NEXT_SEGMENT_AT)? != 0;
            if !has_next_segment {
                return Ok(peeked);
            }
            let mut known = self.known();
            self.walk(&mut known, false)?;
            match known.find(position) {
                Some(now) if now.offset == link.offset => return Ok(peeked),
                Some(next) => link = next,
                None => return Ok(Peek::Gone),
            }
        }
        Ok(Peek::NotYet)
    }

    /// What is at a position of one of the rings, as it counts itself.
    fn peek_in(
        &self,
        link: &SegmentInfo,
        position: u64,
        message: &mut Vec<u8>,
    ) -> Result<Peek, ObserveError> {
        let (slot, payload) = link.places(position);
        let stamp = || {
            let word = self.word_until(slot, link.until());
            word.map(Stamp::from_word)
        };
        let before = stamp()?;
        match before.ahead_of(position) {
            1 => {}
            // Free for it, or still a lap behind.
            ahead if ahead <= 0 => return Ok(Peek::NotYet),
            _ => return Ok(Peek::Gone),
        }
        match before.len() {
            TOMBSTONE => return Ok(Peek::Tombstone),
            // The message of the position is the first one of the ring that follows.
            SEGMENT_END => return Ok(Peek::NotYet),
            forged if forged > self.geometry.shape.size => return Ok(Peek::Gone),
            len => message.resize(len as usize, 0),
        }
        self.fill(payload, message, link.until())?;
        // The slot is given back before it is used again: a word that is still the same has stood all
        // the while.
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

    /// Copies bytes of a ring, which an object that was cut short since has no more: it should go on `until` there.
    fn fill(&self, offset: u64, bytes: &mut [u8], until: u64) -> Result<(), ObserveError> {
        let found = self.found.read(offset, bytes)?;
        if found < bytes.len() {
            return Err(ObserveError::Truncated {
                expected: until,
                found: self.found.object().stat()?.size.min(offset + found as u64),
            });
        }
        Ok(())
    }
}
