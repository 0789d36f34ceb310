//! Taking a seat.

use crate::error::{AttachError, SegmentError};
use crate::growth::{Chain, pause_before};
use crate::layout::Geometry;
use crate::properties::Kind;
use crate::recovery::{Adopted, RecoveryGuard};
use crate::ring::participants::Phase;
use crate::ring::sweep::Inheritance;
use crate::role::Role;
use crate::seat::{self, OwnedLock};
use crate::segment::{ActiveSegments, Segment};
use std::sync::Arc;

/// A seat that was taken.
#[derive(Debug)]
pub(crate) struct ClaimedSeat {
    pub(crate) seat: u32,
    pub(crate) lock: OwnedLock,
    /// The ring in which the new holder begins.
    pub(crate) segment: Arc<Segment>,
    /// What the last holder had taken and not given back, and the new one goes on with.
    pub(crate) adopted: Option<Adopted>,
}

/// Takes a seat of a role and says so in its entry. Waits for others who are just coming or going,
/// or recovering.
pub(crate) fn claim_seat(chain: &Chain, role: Role) -> Result<ClaimedSeat, AttachError> {
    let deadline = chain.lock_deadline();
    loop {
        match try_claim_seat(chain, role) {
            Ok(claimed) => return Ok(claimed),
            Err(SeatRefusal::Final(error)) => return Err(error),
            Err(SeatRefusal::Transient(_)) if pause_before(deadline) => {}
            Err(SeatRefusal::Transient(error)) => return Err(error),
        }
    }
}

enum SeatRefusal {
    Final(AttachError),
    /// Unless somebody is stopped in the middle of it.
    Transient(AttachError),
}

impl<E: Into<AttachError>> From<E> for SeatRefusal {
    fn from(error: E) -> Self {
        Self::Final(error.into())
    }
}

fn try_claim_seat(chain: &Chain, role: Role) -> Result<ClaimedSeat, SeatRefusal> {
    let Geometry {
        kind,
        unlink_when_left,
        ..
    } = *chain.geometry();
    if kind == Kind::Spsc && !unlink_when_left && !chain.has_grown() {
        let claimed = find_seat(
            chain,
            &ActiveSegments::from(Arc::clone(chain.first())),
            role,
        )?;
        // Whoever had the end before has given it up: so nobody ends the first ring but who has it now.
        if !chain.has_grown() {
            return Ok(occupy(chain, claimed, role));
        }
    }
    let guard = match chain.recovery_context(None).try_lock()? {
        Ok(guard) => guard,
        Err(busy) => return Err(SeatRefusal::Transient(busy.into())),
    };
    let segments = chain
        .active_segments()
        .map_err(SegmentError::into_error::<AttachError>)?;
    // A grower may have died before it asked an SPSC producer to end the segment.
    segments.finish_handovers();
    // In an SPSC ring there is nothing to be recovered: the lock is for who leaves last, and for rings that
    // are retired.
    if kind == Kind::Mpmc {
        guard.recover(&segments, None);
        mark_dead_as_left(chain, role);
    }
    let claimed = match (find_seat(chain, &segments, role), kind, role) {
        (Err(refusal), Kind::Mpmc, Role::Consumer) => {
            inherit_seat(chain, &guard, &segments)?.ok_or(refusal)?
        }
        (found, ..) => found?,
    };
    Ok(occupy(chain, claimed, role))
}

/// Says in its entry who has taken a seat.
fn occupy(chain: &Chain, claimed: ClaimedSeat, role: Role) -> ClaimedSeat {
    let entry = chain.view().entry(claimed.seat);
    entry.set_oldest_segment(claimed.segment.offset);
    let arrivals = chain.view().header().status.0.arrivals(role);
    seat::announce_arrival(entry, arrivals, role);
    claimed
}

/// Takes a seat that nobody holds, and whose last holder left nothing to be done.
fn find_seat(
    chain: &Chain,
    segments: &ActiveSegments,
    role: Role,
) -> Result<ClaimedSeat, SeatRefusal> {
    let view = chain.view();
    let object = chain.object();
    let kind = chain.geometry().kind;
    // SPSC rings have no intents; whoever writes one there forges it.
    let leaves_nothing = |seat| {
        kind == Kind::Spsc
            || segments
                .iter()
                .all(|segment| segment.intent(seat).is_none())
    };
    let mut holders = Vec::new();
    let mut is_transient = false;
    let mut undecided = None;
    // First those that nobody seems to lock: to ask the kernel takes the longer the more are held.
    let seats = chain.geometry().seats(role);
    let is_active = |&seat: &u32| view.entry(seat).seat_state().phase() == Phase::Active;
    let (active, left): (Vec<_>, Vec<_>) = seats.partition(is_active);
    for seat in left.into_iter().chain(active) {
        if let Some(lock) = OwnedLock::seat(object, seat)? {
            if leaves_nothing(seat) {
                return Ok(ClaimedSeat {
                    seat,
                    lock,
                    segment: Arc::clone(segments.oldest()),
                    adopted: None,
                });
            }
            // To be given out it would have to be cleared, and then its claim were nobody's.
            undecided = Some(seat);
            continue;
        }
        let entry = view.entry(seat);
        // A lock whose holder has left may be held by a child that another thread is just
        // spawning: `posix_spawn` copies every descriptor, until its exec.
        is_transient |= entry.seat_state().phase() != Phase::Active;
        holders.push(entry.pid());
    }
    let is_final = !is_transient && undecided.is_none();
    let error = match (undecided, kind) {
        (Some(seat), _) => AttachError::Undecided {
            role,
            pid: find_rival(chain, segments, role, seat),
        },
        (None, Kind::Spsc) => AttachError::Taken {
            role,
            pid: holders.pop().filter(|_| is_final),
        },
        (None, Kind::Mpmc) => AttachError::NoSeat { role, holders },
    };
    Err(if is_final {
        SeatRefusal::Final(error)
    } else {
        SeatRefusal::Transient(error)
    })
}

/// A live participant that may have claimed what the dead one of a seat may have claimed.
fn find_rival(chain: &Chain, segments: &ActiveSegments, role: Role, seat: u32) -> Option<u32> {
    let view = chain.view();
    let owed = segments
        .iter()
        .find(|segment| segment.intent(seat).is_some())?;
    let contested = owed.intent(seat)?;
    let is_contesting = |&peer: &u32| {
        let said = owed.intent(peer);
        said.is_some_and(|run| run.start < contested.end() && contested.start < run.end())
            && !seat::is_gone(chain.object(), view, peer, None)
    };
    let mut peers = chain.geometry().seats(role).filter(|&peer| peer != seat);
    peers.find(is_contesting).map(|peer| view.entry(peer).pid())
}

/// When nobody of a role is there any more, the newcomer is the first of others, and how those before
/// it ended is not told of it.
fn mark_dead_as_left(chain: &Chain, role: Role) {
    let seats = chain.geometry().seats(role);
    if seat::find_held(chain.object(), &seats, None).is_some() {
        return;
    }
    for seat in seats {
        let entry = chain.view().entry(seat);
        if entry.seat_state().phase() == Phase::Active {
            entry.leave();
        }
    }
}

/// Takes the seat of a dead consumer together with what that one held, when there is no other.
/// Without that, a ring would be stuck whose consumers have all died holding something.
fn inherit_seat(
    chain: &Chain,
    guard: &RecoveryGuard<'_>,
    segments: &ActiveSegments,
) -> Result<Option<ClaimedSeat>, SeatRefusal> {
    let object = chain.object();
    for seat in chain.geometry().seats(Role::Consumer) {
        let Some(lock) = OwnedLock::seat(object, seat)? else {
            continue;
        };
        // One at most of what a participant says in several rings stands.
        let owed = segments
            .iter()
            .find(|segment| segment.intent(seat).is_some());
        let segment = Arc::clone(owed.unwrap_or(segments.oldest()));
        let adopted = match guard.inherit(&segment, seat) {
            Inheritance::Undecided => continue,
            Inheritance::Nothing => None,
            Inheritance::Held(run) => Some(run),
        };
        let adopted = adopted.map(|run| Adopted {
            segment: Arc::clone(&segment),
            run,
        });
        return Ok(Some(ClaimedSeat {
            seat,
            lock,
            segment,
            adopted,
        }));
    }
    Ok(None)
}
