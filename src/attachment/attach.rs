//! Taking a seat.

use super::{A_MOMENT, Attachment};
use crate::error::AttachError;
use crate::layout::{Geometry, View};
use crate::recovery::Watch;
use crate::ring::intent::Run;
use crate::ring::recovery::Inheritance;
use crate::ring::tenancy::Phase;
use crate::seat::{self, Hold};
use crate::sys::clock::Instant;
use crate::terms::{Kind, Role};
use std::thread;

/// A seat that was taken.
#[derive(Debug)]
pub(crate) struct Attached {
    pub(crate) seat: u32,
    pub(crate) hold: Hold,
    /// What the last holder had taken and not given back, and the new one goes on with.
    pub(crate) inherited: Option<Run>,
}

/// Takes a seat of a role and says so in its entry. Waits for others who are just coming or going,
/// or recovering.
pub(crate) fn attach(
    attachment: &Attachment,
    view: &View,
    role: Role,
) -> Result<Attached, AttachError> {
    let patience = attachment.patience();
    loop {
        match try_attach(attachment, view, role) {
            Ok(attached) => return Ok(attached),
            Err(Refusal::Final(error)) => return Err(error),
            Err(Refusal::Passing(error)) if Instant::now() >= patience => return Err(error),
            Err(Refusal::Passing(_)) => thread::sleep(A_MOMENT),
        }
    }
}

enum Refusal {
    Final(AttachError),
    /// Unless somebody is stopped in the middle of it.
    Passing(AttachError),
}

impl<E: Into<AttachError>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::Final(error.into())
    }
}

fn try_attach(attachment: &Attachment, view: &View, role: Role) -> Result<Attached, Refusal> {
    let Geometry {
        kind,
        unlink_when_left,
        ..
    } = attachment.geometry;
    let watch = match kind {
        Kind::Spsc if !unlink_when_left => None,
        _ => match attachment.scene(view, None).watch()? {
            Ok(watch) => Some(watch),
            Err(busy) => return Err(Refusal::Passing(busy.into())),
        },
    };
    // In an SPSC ring there is nothing to be recovered: the lock is only for who leaves last.
    let recovering = watch.as_ref().filter(|_| kind == Kind::Mpmc);
    if let Some(watch) = recovering {
        watch.recover(None);
        forget_the_dead(attachment, view, role);
    }
    let attached = match (find_seat(attachment, view, role), recovering, role) {
        (Err(refusal), Some(watch), Role::Consumer) => {
            find_inheritance(attachment, watch)?.ok_or(refusal)?
        }
        (found, ..) => found?,
    };
    let roll = view.header().status.0.roll(role);
    seat::arrive(view.entry(attached.seat), roll, role);
    Ok(attached)
}

/// Takes a seat that nobody holds, and whose last holder left nothing to be done.
fn find_seat(attachment: &Attachment, view: &View, role: Role) -> Result<Attached, Refusal> {
    let object = attachment.region.object();
    let Geometry { kind, capacity, .. } = attachment.geometry;
    let leaves_nothing = |seat| {
        // SPSC rings have no intents; whoever writes one there forges it.
        kind == Kind::Spsc || view.entry(seat).intent().read(capacity).is_none()
    };
    let mut holders = Vec::new();
    let mut is_passing = false;
    let mut undecided = None;
    // First those that nobody seems to hold: to ask the kernel takes the longer the more are held.
    let seats = attachment.geometry.seats(role);
    let is_active = |&seat: &u32| view.entry(seat).stay().phase() == Phase::Active;
    let (active, left): (Vec<_>, Vec<_>) = seats.partition(is_active);
    for seat in left.into_iter().chain(active) {
        if let Some(hold) = Hold::seat(object, seat)? {
            if leaves_nothing(seat) {
                return Ok(Attached {
                    seat,
                    hold,
                    inherited: None,
                });
            }
            // To be given out it would have to be cleared, and then its claim were nobody's.
            undecided = Some(seat);
            continue;
        }
        let entry = view.entry(seat);
        // A lock whose holder has left may be held by a child that another thread is just
        // spawning: `posix_spawn` copies every descriptor, until its exec.
        is_passing |= entry.stay().phase() != Phase::Active;
        holders.push(entry.pid());
    }
    let is_final = !is_passing && undecided.is_none();
    let error = match (undecided, kind) {
        (Some(seat), _) => AttachError::Undecided {
            role,
            pid: find_rival(attachment, view, role, seat),
        },
        (None, Kind::Spsc) => AttachError::Taken {
            role,
            pid: holders.pop().filter(|_| is_final),
        },
        (None, Kind::Mpmc) => AttachError::NoSeat { role, holders },
    };
    Err(if is_final {
        Refusal::Final(error)
    } else {
        Refusal::Passing(error)
    })
}

/// A live participant that may have claimed what the dead one of a seat may have claimed.
fn find_rival(attachment: &Attachment, view: &View, role: Role, seat: u32) -> Option<u32> {
    let Geometry { capacity, .. } = attachment.geometry;
    let said = |seat| view.entry(seat).intent().read(capacity);
    let contested = said(seat)?;
    let is_contesting = |&peer: &u32| {
        said(peer).is_some_and(|run| run.start < contested.end() && contested.start < run.end())
            && !seat::is_gone(attachment.region.object(), view, peer, None)
    };
    let mut peers = attachment.geometry.seats(role).filter(|&peer| peer != seat);
    peers.find(is_contesting).map(|peer| view.entry(peer).pid())
}

/// When nobody of a role is there any more, the newcomer is the first of others, and how those before
/// it ended is not told of it.
fn forget_the_dead(attachment: &Attachment, view: &View, role: Role) {
    let seats = attachment.geometry.seats(role);
    if seat::held(attachment.region.object(), &seats, None).is_some() {
        return;
    }
    for seat in seats {
        let entry = view.entry(seat);
        if entry.stay().phase() == Phase::Active {
            entry.leave();
        }
    }
}

/// Takes the seat of a dead consumer together with what that one held, when there is no other.
/// Without that, a ring would be stuck whose consumers have all died holding something.
fn find_inheritance(
    attachment: &Attachment,
    watch: &Watch<'_>,
) -> Result<Option<Attached>, Refusal> {
    let object = attachment.region.object();
    for seat in attachment.geometry.seats(Role::Consumer) {
        let Some(hold) = Hold::seat(object, seat)? else {
            continue;
        };
        let inherited = match watch.inherit(seat) {
            Inheritance::Undecided => continue,
            Inheritance::Nothing => None,
            Inheritance::Held(run) => Some(run),
        };
        return Ok(Some(Attached {
            seat,
            hold,
            inherited,
        }));
    }
    Ok(None)
}
