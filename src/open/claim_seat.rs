//! Claiming a seat.

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

/// A seat that the caller has claimed.
#[derive(Debug)]
pub(crate) struct ClaimedSeat {
    pub(crate) seat: u32,
    pub(crate) lock: OwnedLock,
    /// The segment in which the new holder starts.
    pub(crate) segment: Arc<Segment>,
    /// The messages that the last holder claimed and did not release. The new holder pops them.
    pub(crate) adopted: Option<Adopted>,
}

/// Claims a seat of a role and records the new holder in its entry. Waits, up to the lock deadline,
/// for participants that are arriving, leaving or recovering.
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
    /// Another attempt may succeed, unless a process is stopped in the middle of an operation.
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
        // The last holder of the seat stores nothing more. If the ring has not grown by this
        // moment, only the new holder can end the first segment.
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
    // A process that grows the ring may have died before it asked an SPSC producer to end the
    // segment.
    segments.finish_handovers();
    // An SPSC ring needs no recovery. It needs the lock against two processes: one that removes the
    // name after the last participant left, and one that retires segments.
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

/// Records the new holder in the seat's entry.
fn occupy(chain: &Chain, claimed: ClaimedSeat, role: Role) -> ClaimedSeat {
    let entry = chain.view().entry(claimed.seat);
    entry.set_oldest_segment(claimed.segment.offset);
    let arrivals = chain.view().header().status.0.arrivals(role);
    seat::announce_arrival(entry, arrivals, role);
    claimed
}

/// Claims a free seat on which no unfinished operation is recorded.
fn find_seat(
    chain: &Chain,
    segments: &ActiveSegments,
    role: Role,
) -> Result<ClaimedSeat, SeatRefusal> {
    let view = chain.view();
    let object = chain.object();
    let kind = chain.geometry().kind;
    // SPSC participants set no intents: one that is found there is forged.
    let is_settled = |seat| {
        kind == Kind::Spsc
            || segments
                .iter()
                .all(|segment| segment.intent(seat).is_none())
    };
    let mut holders = Vec::new();
    let mut is_transient = false;
    let mut undecided = None;
    // Seats that look free first: a query takes the kernel longer the more locks are held.
    let seats = chain.geometry().seats(role);
    let is_active = |&seat: &u32| view.entry(seat).seat_state().phase() == Phase::Active;
    let (active, left): (Vec<_>, Vec<_>) = seats.partition(is_active);
    for seat in left.into_iter().chain(active) {
        if let Some(lock) = OwnedLock::seat(object, seat)? {
            if is_settled(seat) {
                return Ok(ClaimedSeat {
                    seat,
                    lock,
                    segment: Arc::clone(segments.oldest()),
                    adopted: None,
                });
            }
            // Another holder would have to clear the intent, and the claim would be lost.
            undecided = Some(seat);
            continue;
        }
        let entry = view.entry(seat);
        // The lock of a holder that has left may be held by a child that another thread is
        // spawning: `posix_spawn` copies every descriptor until exec.
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

/// The pid of a live participant with an intent that overlaps the one of a seat's dead holder.
fn find_rival(chain: &Chain, segments: &ActiveSegments, role: Role, seat: u32) -> Option<u32> {
    let view = chain.view();
    let segment = segments
        .iter()
        .find(|segment| segment.intent(seat).is_some())?;
    let contested = segment.intent(seat)?;
    let is_rival = |&peer: &u32| {
        let intent = segment.intent(peer);
        intent.is_some_and(|run| run.start < contested.end() && contested.start < run.end())
            && !seat::is_gone(chain.object(), view, peer, None)
    };
    let mut peers = chain.geometry().seats(role).filter(|&peer| peer != seat);
    peers.find(is_rival).map(|peer| view.entry(peer).pid())
}

/// Marks the dead holders of a role as left, if the role has no live participant. The caller starts
/// a new generation: after it leaves, peers must not be reported a death from before.
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

/// Claims the seat of a dead consumer together with its unfinished claim, when no other seat is
/// free. Without this, a ring would be stuck once every consumer had died with a claimed message.
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
        // A participant has set an intent in one segment at most.
        let claimed_in = segments
            .iter()
            .find(|segment| segment.intent(seat).is_some());
        let segment = Arc::clone(claimed_in.unwrap_or(segments.oldest()));
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
