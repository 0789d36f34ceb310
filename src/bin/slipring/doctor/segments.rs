//! The growth of a ring, and the participants that delay it.

use super::super::{output, summary};
use super::{Diagnosis, note};
use slipring::{Backing, Occupancy, Seat, Snapshot};

/// Why the oldest segment of a growing ring is not retired yet.
pub(super) fn growth(ring: &Backing, snapshot: &Snapshot) -> Option<Diagnosis> {
    let oldest = summary::old_segments(snapshot).first()?;
    let text = format!("the ring is growing: {}", summary::growth(snapshot)?);
    let has_claim = |seat: &&Seat| {
        let intent = seat.intent.as_ref();
        intent.is_some_and(|intent| intent.start < oldest.tail)
    };
    let claimants: Vec<_> = snapshot.seats.iter().filter(has_claim).collect();
    let is_dead = |seat: &&Seat| seat.occupancy != Occupancy::Alive;
    let pids: Vec<_> = claimants.iter().map(|seat| seat.pid.to_string()).collect();
    let advice = match &*pids {
        _ if !oldest.is_empty() => {
            "consumers receive these messages, and then move to the next segment".into()
        }
        [] if !oldest.is_ended => "the producer moves to the next segment when it pushes".into(),
        [] => "the next push, pop or attach retires the old segment".into(),
        _ if claimants.iter().all(is_dead) => format!(
            "recovery of dead participants retires the old segment: slipring doctor --repair {}",
            output::shell_word(ring)
        ),
        pids => format!(
            "the old segment stays, because process {} may have claimed positions in it",
            pids.join(" and ")
        ),
    };
    Some(note(text, advice))
}

/// Participants that have not moved to the newest segment.
pub(super) fn behind(snapshot: &Snapshot) -> Option<Diagnosis> {
    let behind = snapshot
        .seats
        .iter()
        .filter(|seat| snapshot.is_behind(seat));
    let processes: Vec<_> = behind
        .map(|seat| format!("process {} ({})", seat.pid, seat.role))
        .collect();
    if processes.is_empty() {
        return None;
    }
    let old_segments = summary::old_segments(snapshot);
    let old: u64 = old_segments.iter().map(|segment| segment.size).sum();
    let kept = output::bytes(snapshot.retired.saturating_add(old));
    let processes = processes.join(", ");
    Some(note(
        format!("not in the newest segment yet: {processes}; {kept} of older segments are kept"),
        "a producer moves when it pushes next, a consumer when it pops next",
    ))
}
