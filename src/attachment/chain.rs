//! The rings of an object that this process has mapped.

use super::Attachment;
use crate::error::{Corrupt, Lost};
use crate::layout::{Geometry, HEADER_SIZE};
use crate::stage::{Live, MAX_LIVE, Stage};
use crate::sync::Acquire;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The rings of an object: the first one is mapped for as long as the object is open, the others for as long as
/// they are in use.
#[derive(Debug)]
pub(super) struct Chain {
    first: Arc<Stage>,
    later: Mutex<Vec<Arc<Stage>>>,
}

impl Chain {
    pub(super) fn new(first: Stage) -> Self {
        Self {
            first: Arc::new(first),
            later: Mutex::default(),
        }
    }

    fn later(&self) -> MutexGuard<'_, Vec<Arc<Stage>>> {
        self.later.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attachment {
    /// The rings that are not retired. Under the recovery lock they stay so, and no other one follows.
    pub(super) fn live(&self) -> Result<Live, Lost> {
        let oldest = self.oldest();
        let mut live = Live::from(self.stage(oldest)?);
        while let Some(next) = self.successor(live.newest())? {
            live.push(next);
            if live.len() > MAX_LIVE {
                return Err(Corrupt.into());
            }
        }
        self.chain.later().retain(|stage| stage.offset >= oldest);
        Ok(live)
    }

    pub(super) fn first(&self) -> Arc<Stage> {
        Arc::clone(&self.chain.first)
    }

    /// Whether another ring follows the first one.
    pub(super) fn has_grown(&self) -> bool {
        self.view.successor().load(Acquire) != 0 // G
    }

    /// Where the oldest ring lies that is not retired.
    pub(super) fn oldest(&self) -> u64 {
        self.view.header().status.0.oldest.load(Acquire) // O
    }

    /// The ring that follows another one.
    pub(super) fn successor(&self, stage: &Stage) -> Result<Option<Arc<Stage>>, Lost> {
        let next = stage.successor()?;
        next.map(|offset| self.stage(offset)).transpose()
    }

    /// The ring that lies somewhere in the object.
    fn stage(&self, offset: u64) -> Result<Arc<Stage>, Lost> {
        if offset == 0 {
            return Ok(Arc::clone(&self.chain.first));
        }
        let mut later = self.chain.later();
        if let Some(known) = later.iter().find(|stage| stage.offset == offset) {
            return Ok(Arc::clone(known));
        }
        let (geometry, _) = self.described_at(offset)?;
        let mapped = Stage::map(&self.region, offset, geometry, &self.residence)?;
        let mapped = Arc::new(mapped);
        later.push(Arc::clone(&mapped));
        Ok(mapped)
    }

    /// What a ring says of itself that lies somewhere in the object, and where it says that the next one lies.
    pub(super) fn described_at(&self, offset: u64) -> Result<(Geometry, u64), Lost> {
        if !self.object().can_grow() {
            return Err(Corrupt.into());
        }
        let size = self.object().properties()?.size;
        let left = size.saturating_sub(offset);
        if left < HEADER_SIZE as u64 || offset % self.region.page() != 0 {
            return Err(Corrupt.into());
        }
        let mut head = [0; HEADER_SIZE];
        self.region.read(offset, &mut head)?;
        let found = Geometry::check(&head, left, "").or(Err(Corrupt))?;
        let expected = Geometry {
            capacity: found.capacity,
            first_position: found.first_position,
            ..self.geometry
        };
        if found != expected {
            return Err(Corrupt.into());
        }
        Ok((found, Geometry::successor_in(&head)))
    }

    /// Closes all the rings. If the caller is killed before the last one, those who look at the others do that.
    pub(super) fn close_all(&self) {
        self.chain.first.close();
        let Ok(live) = self.live() else { return };
        let mut stage = Arc::clone(live.oldest());
        // Who makes a ring grow sees that it is closed, or has said before that another one follows.
        while stage.close() {
            match self.successor(&stage) {
                Ok(Some(next)) => stage = next,
                _ => return,
            }
        }
    }
}
