//! Appending a segment of another capacity to a ring that is in use.

#![allow(unsafe_code)]

use super::chain::{Chain, pause_before};
use crate::backing::LockGuard;
use crate::error::{GrowError, Recovering, SegmentError};
use crate::layout::{Geometry, nanos};
use crate::ring::{MAX_CAPACITY, MIN_CAPACITY};
use crate::segment::{ActiveSegments, MAX_ACTIVE, Segment};
use crate::sync::Relaxed;
use crate::sys::process;
use std::time::SystemTime;

/// Appends a segment of another capacity, unless the newest segment has that capacity.
pub(crate) fn append(chain: &Chain, capacity: usize) -> Result<(), GrowError> {
    chain.check_process()?;
    let asked = capacity as u64;
    if !(MIN_CAPACITY..=MAX_CAPACITY).contains(&asked) {
        return Err(GrowError::Capacity {
            asked,
            min: MIN_CAPACITY,
            max: MAX_CAPACITY,
        });
    }
    if !chain.object().can_grow() {
        return Err(GrowError::Unsupported);
    }
    let _growth_lock = lock_growth(chain)?;
    let segments = finish_handover(chain)?;
    let last = segments.newest();
    if chain.is_closed() {
        return Err(GrowError::Closed);
    }
    let geometry = Geometry {
        capacity: asked.next_power_of_two(),
        first_position: 0,
        ..*chain.geometry()
    };
    if geometry.capacity == last.geometry.capacity {
        return Ok(());
    }
    if segments.len() == MAX_ACTIVE {
        return Err(GrowError::Undrained {
            found: segments.len(),
        });
    }
    // Before the recovery lock is taken: no participant waits while pages are allocated.
    let next = prepare(chain, last.end(chain.region().page()), geometry)?;
    let appended = with_recovery_lock(chain, || last.append(&next));
    if appended.is_err() {
        let offset = next.offset;
        drop(next);
        let _ = chain.region().shorten(offset);
    }
    appended
}

fn lock_growth(chain: &Chain) -> Result<LockGuard, GrowError> {
    let grower = &chain.view().header().status.0.grower;
    let deadline = chain.lock_deadline();
    loop {
        if let Some(guard) = chain.object().lock_growth()? {
            // Relaxed: a pid for error texts.
            grower.store(process::pid(), Relaxed);
            return Ok(guard);
        }
        if !pause_before(deadline) {
            let pid = grower.load(Relaxed);
            return Err(GrowError::Growing { pid });
        }
    }
}

/// Finishes the append of a process that died after it recorded the next segment. Returns the
/// active segments: while the caller holds the growth lock, no segment is appended to them.
fn finish_handover(chain: &Chain) -> Result<ActiveSegments, GrowError> {
    with_recovery_lock(chain, || {
        let segments = chain
            .active_segments()
            .map_err(SegmentError::into_error::<GrowError>)?;
        segments.finish_handovers();
        Ok(segments)
    })?
}

fn with_recovery_lock<R>(chain: &Chain, act: impl FnOnce() -> R) -> Result<R, GrowError> {
    let deadline = chain.lock_deadline();
    loop {
        match chain.recovery_context(None).try_lock()? {
            Ok(_guard) => return Ok(act()),
            Err(Recovering { .. }) if pause_before(deadline) => {}
            Err(busy) => return Err(busy.into()),
        }
    }
}

/// A complete segment behind the last one, which no other process has seen yet.
fn prepare(chain: &Chain, offset: u64, geometry: Geometry) -> Result<Segment, GrowError> {
    let region = chain.region();
    let end = (offset + geometry.total_len()).next_multiple_of(region.page());
    region.lengthen(offset..end)?;
    let mapped = Segment::map(region, offset, geometry, chain.policy());
    let mut next = mapped.inspect_err(|_| {
        let _ = region.shorten(offset);
    })?;
    let now = SystemTime::UNIX_EPOCH.elapsed().map_or(0, nanos);
    let constants = geometry.constants(process::boot_id(), now);
    // SAFETY: no other process maps this part of the object before it is appended: the growth lock
    // is held, and no segment refers to it.
    unsafe { next.view.initialise(&geometry, constants) };
    Ok(next)
}
