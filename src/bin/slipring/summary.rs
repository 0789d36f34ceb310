//! Values derived from a snapshot that several commands print.

use slipring::{Encoding, Occupancy, Role, Seat, Segment, Snapshot};
use std::time::{Duration, SystemTime};

pub(crate) fn age(snapshot: &Snapshot) -> Duration {
    let since = SystemTime::now().duration_since(snapshot.created_at);
    since.unwrap_or_default()
}

/// The number of seats of a role with a given occupancy.
pub(crate) fn seat_count(snapshot: &Snapshot, role: Role, occupancy: Occupancy) -> usize {
    let seats = snapshot.seats_of(role);
    seats.filter(|seat| seat.occupancy == occupancy).count()
}

/// The capacity of the ring. While the ring grows: of its oldest and of its newest segment.
pub(crate) fn capacity(snapshot: &Snapshot) -> String {
    match &*snapshot.segments {
        [oldest, .., newest] => format!("{} → {}", oldest.capacity, newest.capacity),
        _ => snapshot.capacity.to_string(),
    }
}

/// The segments that have a next segment.
pub(crate) fn old_segments(snapshot: &Snapshot) -> &[Segment] {
    match &*snapshot.segments {
        [old @ .., _newest] => old,
        [] => &[],
    }
}

/// The number of messages in the old segments.
pub(crate) fn left(snapshot: &Snapshot) -> u64 {
    old_segments(snapshot).iter().map(Segment::len).sum()
}

/// The progress of a ring that grows.
pub(crate) fn growth(snapshot: &Snapshot) -> Option<String> {
    let segments = match old_segments(snapshot) {
        [] => return None,
        [_] => "the old segment",
        _ => "the old segments",
    };
    let (capacity, left) = (capacity(snapshot), left(snapshot));
    Some(format!("{capacity}, {left} left in {segments}"))
}

/// The payload size in bytes, or its range.
pub(crate) fn payload(snapshot: &Snapshot) -> String {
    match snapshot.encoding {
        Encoding::Bytes => format!("0..{}", snapshot.message_size),
        _ => snapshot.message_size.to_string(),
    }
}

pub(crate) fn occupancy(seat: &Seat) -> &'static str {
    match seat.occupancy {
        Occupancy::NeverTaken => "never taken",
        Occupancy::Alive => "alive",
        Occupancy::Left => "left",
        Occupancy::Dead => "dead",
        _ => "unknown",
    }
}
