//! Having another ring follow the last one, and giving back what nobody needs of the first.

use super::{A_MOMENT, Attachment};
use crate::error::{Forked, GrowError, Lost, Recovering};
use crate::layout::{Geometry, nanos};
use crate::recovery::Watch;
use crate::region::Held;
use crate::ring::{MAX_CAPACITY, MIN_CAPACITY};
use crate::stage::{Live, MAX_LIVE, Stage};
use crate::sync::{Acquire, Relaxed, Release};
use crate::sys::clock::Instant;
use crate::sys::process;
use crate::terms::Kind;
use std::thread;
use std::time::SystemTime;

impl Attachment {
    /// Has a ring of another capacity follow the last one, unless that has it already.
    pub(crate) fn grow(&self, capacity: usize) -> Result<(), GrowError> {
        self.view().ok_or(Forked)?;
        let asked = capacity as u64;
        if !(MIN_CAPACITY..=MAX_CAPACITY).contains(&asked) {
            return Err(GrowError::Capacity {
                asked,
                min: MIN_CAPACITY,
                max: MAX_CAPACITY,
            });
        }
        if !self.object().can_grow() {
            return Err(GrowError::Unsupported);
        }
        let _growing = self.alone_in_growing()?;
        let live = self.finish_growing()?;
        let last = live.newest();
        if self.is_closed() {
            return Err(GrowError::Closed);
        }
        let geometry = Geometry {
            capacity: asked.next_power_of_two(),
            first_position: 0,
            ..self.geometry
        };
        if geometry.capacity == last.geometry.capacity {
            return Ok(());
        }
        if live.len() == MAX_LIVE {
            return Err(GrowError::Undrained { found: live.len() });
        }
        // Long before anybody is kept from anything by it.
        let next = self.prepare(last.end(self.region.page()), geometry)?;
        let recorded = self.with_right_to_recover(|_| last.is_followed_by(&next));
        if recorded.is_err() {
            let offset = next.offset;
            drop(next);
            let _ = self.region.shorten(offset);
        }
        recorded
    }

    /// The lock of who makes the ring grow.
    fn alone_in_growing(&self) -> Result<Held, GrowError> {
        let grower = &self.view.header().status.0.grower;
        let patience = self.patience();
        loop {
            if let Some(held) = self.object().take_to_grow()? {
                // Relaxed: for people to read.
                grower.store(process::pid(), Relaxed);
                return Ok(held);
            }
            if !self.waits_until(patience) {
                let pid = grower.load(Relaxed);
                return Err(GrowError::Growing { pid });
            }
        }
    }

    /// Ends what somebody recorded as followed who died then. The rings that are there, and as long as the caller
    /// alone makes the ring grow no other one follows.
    fn finish_growing(&self) -> Result<Live, GrowError> {
        self.with_right_to_recover(|_| {
            let live = self.live().map_err(Lost::tell::<GrowError>)?;
            for (stage, next) in live.pairs() {
                stage.end_before(next);
            }
            Ok(live)
        })?
    }

    fn with_right_to_recover<R>(&self, act: impl FnOnce(&Watch<'_>) -> R) -> Result<R, GrowError> {
        let patience = self.patience();
        loop {
            match self.scene(None).watch()? {
                Ok(watch) => return Ok(act(&watch)),
                Err(Recovering { .. }) if self.waits_until(patience) => {}
                Err(busy) => return Err(busy.into()),
            }
        }
    }

    /// A ring that nobody else knows of, whole, where the object ended until now.
    fn prepare(&self, offset: u64, geometry: Geometry) -> Result<Stage, GrowError> {
        let end = (offset + geometry.total_len()).next_multiple_of(self.region.page());
        self.region.lengthen(offset..end)?;
        let mapped = Stage::map(&self.region, offset, geometry, &self.residence);
        let next = mapped.inspect_err(|_| {
            let _ = self.region.shorten(offset);
        })?;
        let now = SystemTime::UNIX_EPOCH.elapsed().map_or(0, nanos);
        let described = geometry.describe(process::boot_id(), now);
        next.view.initialise(&geometry, described);
        Ok(next)
    }

    /// Retires rings that nothing is left to be done in, and gives the memory back of those that nobody looks at any more.
    /// Of SPSC rings only the consumer knows of which that is true, those before where it works: `worked_at`.
    pub(super) fn tidy(&self, watch: &Watch<'_>, live: &Live, worked_at: Option<u64>) {
        match self.geometry.kind {
            Kind::Mpmc => watch.retire(live, Stage::is_drained),
            Kind::Spsc => {
                let worked_at = worked_at.unwrap_or(0);
                watch.retire(live, |stage| stage.offset < worked_at);
            }
        }
        self.give_back(self.oldest().min(watch.oldest_in_use()));
    }

    /// Gives back the slots of the rings that lie before `until`. The rest of each stays: whoever has the object open may
    /// look at that, also somebody who has just found the ring in use.
    fn give_back(&self, until: u64) {
        let kept = &self.view.header().status.0.kept;
        loop {
            let offset = kept.load(Acquire);
            if offset >= until {
                return;
            }
            let Ok((geometry, next)) = self.described_at(offset) else {
                return;
            };
            let slots = offset + geometry.slots_offset()..offset + geometry.total_len();
            // What can't be given back now is tried again.
            if next <= offset || self.region.give_back(slots).is_err() {
                return;
            }
            kept.store(next, Release);
        }
    }

    /// Whether rings that are retired, or could be, are still there.
    pub(super) fn is_untidy(&self, live: &Live) -> bool {
        let status = &self.view.header().status.0;
        live.len() > 1 || status.kept.load(Acquire) != status.oldest.load(Acquire)
    }

    /// Waits for a moment, unless it is too late for that.
    fn waits_until(&self, patience: Instant) -> bool {
        if Instant::now() >= patience {
            return false;
        }
        thread::sleep(A_MOMENT);
        true
    }
}
