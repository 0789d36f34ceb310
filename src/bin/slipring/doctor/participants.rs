//! Participants that died or are stopped, and what they claimed.

use super::super::{holder, output};
use super::{Diagnosis, note, problem};
use slipring::{Backing, Kind, Observer, Occupancy, Peek, Role, Seat, Snapshot};

/// The effect of a seat's holder, or of its death, on the other participants.
pub(super) fn holder(ring: &Backing, snapshot: &Snapshot, seat: &Seat) -> Option<Diagnosis> {
    match seat.occupancy {
        Occupancy::Dead => Some(dead(ring, snapshot, seat)),
        Occupancy::Alive => stopped(snapshot, seat),
        _ => None,
    }
}

fn dead(ring: &Backing, snapshot: &Snapshot, seat: &Seat) -> Diagnosis {
    let (role, pid) = (seat.role, seat.pid);
    if let Some(claimed) = claimed(seat) {
        return problem(
            format!("a dead {role}, process {pid}, may have claimed {claimed}"),
            format!(
                "the next participant that finds the ring full or empty completes recovery; \
                 to do it now: slipring doctor --repair {}",
                output::shell_word(ring)
            ),
        );
    }
    note(
        format!(
            "the last {role} of seat {}, process {pid}, died",
            seat.number
        ),
        match snapshot.kind {
            Kind::Spsc => "the next holder of the seat continues at its position",
            _ => "it left no unfinished operation",
        },
    )
}

fn stopped(snapshot: &Snapshot, seat: &Seat) -> Option<Diagnosis> {
    let (role, pid) = (seat.role, seat.pid);
    let process = holder::find(snapshot, seat).filter(|process| process.is_stopped)?;
    let text = format!("a {role}, process {pid} ({}), is stopped", process.command);
    Some(match claimed(seat) {
        Some(claimed) => problem(
            format!("{text}, and may have claimed {claimed}"),
            format!("other participants wait for it: kill -CONT {pid}, or kill -KILL {pid}"),
        ),
        None => note(text, format!("to continue it: kill -CONT {pid}")),
    })
}

/// The positions of the seat's intent.
fn claimed(seat: &Seat) -> Option<String> {
    let intent = seat.intent.as_ref()?;
    Some(match intent.end - intent.start {
        0 | 1 => format!("position {}", intent.start),
        _ => format!("positions {} to {}", intent.start, intent.end - 1),
    })
}

/// The head position, if a producer has claimed it and has not published it.
pub(super) fn unpublished(observer: &Observer, snapshot: &Snapshot) -> Option<Diagnosis> {
    let head = snapshot.head;
    let is_claimed = snapshot.kind == Kind::Mpmc && !snapshot.is_empty();
    if !is_claimed || observer.peek(head, &mut Vec::new()).ok()? != Peek::NotYet {
        return None;
    }
    let covers_head = |seat: &&Seat| {
        let intent = seat.intent.as_ref();
        intent.is_some_and(|intent| intent.contains(&head))
    };
    let claimants = snapshot.seats_of(Role::Producer).filter(covers_head);
    let pids: Vec<_> = claimants.map(|seat| seat.pid.to_string()).collect();
    let text = format!("position {head}, the next one, is claimed and not published");
    Some(match &*pids {
        [] => note(text, "a producer is publishing it"),
        pids => note(text, format!("claimed by process {}", pids.join(" or "))),
    })
}
