//! Retiring segments that are drained, and reclaiming the memory of those that no participant uses.

use super::chain::Chain;
use crate::properties::Kind;
use crate::recovery::RecoveryGuard;
use crate::segment::{ActiveSegments, MAX_ACTIVE, Segment};
use crate::sync::{Acquire, Release};

/// Whether segments are still there that are retired, or could be.
pub(crate) fn needs_reclaim(chain: &Chain, segments: &ActiveSegments) -> bool {
    let status = &chain.view().header().status.0;
    segments.len() > 1
        || status.oldest_allocated.load(Acquire) != status.oldest_active.load(Acquire)
}

/// Retires the oldest segments that are drained, and reclaims the memory of those that no
/// participant uses.
///
/// In an SPSC ring only the consumer knows which segments are drained: those before
/// `drained_before`, the offset of the segment that it works on.
pub(crate) fn retire_and_reclaim(
    chain: &Chain,
    guard: &RecoveryGuard<'_>,
    segments: &ActiveSegments,
    drained_before: Option<u64>,
) {
    match chain.geometry().kind {
        Kind::Mpmc => guard.retire(segments, Segment::is_drained),
        Kind::Spsc => {
            let drained_before = drained_before.unwrap_or(0);
            guard.retire(segments, |segment| segment.offset < drained_before);
        }
    }
    punch_out(chain, chain.oldest_active().min(guard.oldest_in_use()));
}

/// Reclaims the slots of the segments before `until`. Their headers and seats stay: a process that
/// has the object open may read them, also one that has just found the ring.
fn punch_out(chain: &Chain, until: u64) {
    let oldest_allocated = &chain.view().header().status.0.oldest_allocated;
    // Bounded by private state: a longer series of retired segments is reclaimed by later calls.
    for _ in 0..MAX_ACTIVE {
        let offset = oldest_allocated.load(Acquire);
        if offset >= until {
            return;
        }
        let Ok((geometry, next)) = chain.read_header_at(offset) else {
            return;
        };
        let slots = offset + geometry.slots_offset()..offset + geometry.total_len();
        // A failure is temporary: a later call tries again.
        if next <= offset || chain.region().punch_out(slots).is_err() {
            return;
        }
        oldest_allocated.store(next, Release);
    }
}
