//! The rings of an object: the first one, and those that follow because it was to be larger or
//! smaller. Each has slots, positions and intents of its own. Seats, their locks, and all that is counted are the object's,
//! and are found with the first one.
//!
//! # Ordering
//!
//! | edge | store                               | load                                | carries                     |
//! |------|-------------------------------------|-------------------------------------|-----------------------------|
//! | G    | `successor`, Release, `is_followed_by` | `successor`, Acquire, `successor` | the successor, whole        |
//! | O    | `oldest`, Release, `retire`         | `oldest`, Acquire, `live`           | the rings that lead there   |
//! | W    | `works_at`, Release, `work_at`      | `works_at`, Acquire, `works_at`     | what was done to older ones |

use crate::error::{Corrupt, MapError, SystemError};
use crate::layout::{Geometry, View};
use crate::region::{Mapping, Region, Residence};
use crate::ring::ending::{is_over, is_sealed, position, seal};
use crate::ring::intent::Run;
use crate::ring::spsc::is_marked;
use crate::ring::within;
use crate::sync::{Acquire, Relaxed, Release};
use crate::terms::Kind;
use core::iter;
use std::sync::Arc;

/// The most rings of an object that are not retired.
pub(crate) const MAX_LIVE: usize = 64;

/// One of the rings of an object, mapped.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) view: View,
    pub(crate) geometry: Geometry,
    /// Bytes from the start of the object.
    pub(crate) offset: u64,
    /// `None` of the first, which is mapped with the object.
    mapping: Option<Mapping>,
}

impl Stage {
    /// The first ring of an object.
    ///
    /// # Safety
    ///
    /// While the value or a copy of its view is in use, the region is mapped, and as large as the geometry
    /// says.
    pub(crate) unsafe fn first(region: &Region, geometry: Geometry) -> Self {
        Self {
            // SAFETY: as the caller promises.
            view: unsafe { View::new(region.base(), &geometry) },
            geometry,
            offset: 0,
            mapping: None,
        }
    }

    /// Maps another ring of an object, which is as long as the geometry and the offset say.
    pub(crate) fn map(
        region: &Region,
        offset: u64,
        geometry: Geometry,
        residence: &Residence,
    ) -> Result<Self, MapError> {
        let mapping = region.map_part(offset..offset + geometry.total_len(), residence)?;
        Ok(Self {
            // SAFETY: the mapping is as large as the geometry says, and goes with the value, which whoever copies
            // the view keeps.
            view: unsafe { View::new(mapping.base(), &geometry) },
            geometry,
            offset,
            mapping: Some(mapping),
        })
    }

    /// Where a ring would lie that followed this one.
    pub(crate) fn end(&self, page: u64) -> u64 {
        (self.offset + self.geometry.total_len()).next_multiple_of(page)
    }

    /// Where the ring lies that follows, if one does. The rings of an object lie one after the other.
    pub(crate) fn successor(&self) -> Result<Option<u64>, Corrupt> {
        match self.view.successor().load(Acquire) {
            // G
            0 => Ok(None),
            next if next >= self.offset + self.geometry.total_len() => Ok(Some(next)),
            _ => Err(Corrupt),
        }
    }

    /// Records the ring that follows. From here on it can't be taken back: who is killed before the ring is
    /// [ended](Self::end_before) is followed by somebody who does that. Under the recovery lock.
    pub(crate) fn is_followed_by(&self, next: &Self) {
        self.view.successor().store(next.offset, Release); // G
        self.end_before(next);
    }

    /// Ends the ring, for one that is recorded as following, as far as that was not done. Under the recovery lock.
    pub(crate) fn end_before(&self, next: &Self) {
        let header = self.view.header();
        let ending = &header.status.0.ending;
        let mut is_news = !ending.is_ending();
        if is_news {
            ending.end();
        }
        // Before anybody gets there, or who closes the rings would be done while a push there still succeeds.
        if ending.is_closed() && !next.is_closed() {
            next.close();
        }
        // Relaxed: only those who have the lock seal it.
        if self.geometry.kind == Kind::Mpmc && !is_sealed(header.tail.0.load(Relaxed)) {
            seal(&header.tail.0);
            is_news = true;
        }
        if is_news {
            self.wake();
        }
    }

    /// Closes the ring. Says whether another one follows, which is to be closed too.
    pub(crate) fn close(&self) -> bool {
        let is_followed = self.view.header().status.0.ending.close();
        self.wake();
        is_followed
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.view.header().status.0.ending.is_closed()
    }

    /// Wakes everybody who sleeps at this ring.
    pub(crate) fn wake(&self) {
        let header = self.view.header();
        header.not_empty.0.notify_all();
        header.not_full.0.notify_all();
    }

    /// How many messages are in the ring by its hints, which lag behind.
    pub(crate) fn len(&self) -> usize {
        let header = self.view.header();
        // Relaxed: a count to look at, by which nothing is reached.
        let head = header.head.0.load(Relaxed);
        let tail = header.tail.0.load(Relaxed);
        within(
            self.place_of(tail).wrapping_sub(head),
            self.geometry.capacity,
        )
    }

    /// Up to where messages were pushed, as the word says in which a tail is kept.
    fn place_of(&self, tail: u64) -> u64 {
        match self.geometry.kind {
            Kind::Mpmc => position(tail),
            Kind::Spsc if is_marked(self.view.slots(), tail.wrapping_sub(1)) => {
                tail.wrapping_sub(1)
            }
            Kind::Spsc => tail,
        }
    }

    /// Has the ring written to where it is kept; the first one goes with the object.
    pub(crate) fn sync(&self) -> Result<(), SystemError> {
        self.mapping.as_ref().map_or(Ok(()), Mapping::sync)
    }

    /// Whether nothing is left to be done in a ring that has ended, for anybody, dead or alive: all was taken, and
    /// nobody says that he may have taken something and not given it back. Of MPMC rings; under the recovery lock.
    pub(crate) fn is_drained(&self) -> bool {
        let header = self.view.header();
        let mut seats = 0..self.geometry.participants();
        is_over(&header.tail.0, &header.head.0) && seats.all(|seat| self.intent(seat).is_none())
    }

    /// What a participant may have claimed here.
    pub(crate) fn intent(&self, seat: u32) -> Option<Run> {
        self.view.entry(seat).intent().read(self.geometry.capacity)
    }
}

/// The rings of an object that are not retired, as they were found.
#[derive(Debug)]
pub(crate) struct Live {
    oldest: Arc<Stage>,
    // Apart, so that for a ring that has never grown nothing is allocated.
    later: Vec<Arc<Stage>>,
}

impl Live {
    pub(crate) fn from(oldest: Arc<Stage>) -> Self {
        Self {
            oldest,
            later: Vec::new(),
        }
    }

    pub(crate) fn push(&mut self, next: Arc<Stage>) {
        self.later.push(next);
    }

    pub(crate) fn len(&self) -> usize {
        1 + self.later.len()
    }

    pub(crate) fn oldest(&self) -> &Arc<Stage> {
        &self.oldest
    }

    pub(crate) fn newest(&self) -> &Arc<Stage> {
        self.later.last().unwrap_or(&self.oldest)
    }

    /// Oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Stage>> {
        iter::once(&self.oldest).chain(&self.later)
    }

    /// Each with the one that follows it.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&Arc<Stage>, &Arc<Stage>)> {
        self.iter().zip(&self.later)
    }
}
