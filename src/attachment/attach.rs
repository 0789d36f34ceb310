//! Taking a seat.

use super::{A_MOMENT, Attachment};
use crate::error::{AttachError, Lost};
use crate::layout::Geometry;
use crate::recovery::{Inherited, Watch};
use crate::ring::recovery::Inheritance;
use crate::ring::tenancy::Phase;
use crate::seat::{self, Hold};
use crate::stage::{Live, Stage};
use crate::sys::clock::Instant;
use crate::terms::{Kind, Role};
use std::sync::Arc;
use std::thread;

/// A seat that was taken.
#[derive(Debug)]
pub(crate) struct Attached {
    pub(crate) seat: u32,
    pub(crate) hold: Hold,
    /// The ring in which the new holder begins.
    pub(crate) stage: Arc<Stage>,
    /// What the last holder had taken and not given back, and the new one goes on with.
    pub(crate) inherited: Option<Inherited>,
}

/// Takes a seat of a role and says so in its entry. Waits for others who are just coming or going,
/// or recovering.
pub(crate) fn attach(attachment: &Attachment, role: Role) -> Result<Attached, AttachError> {
    let patience = attachment.patience();
    loop {
        match try_attach(attachment, role) {
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

fn try_attach(attachment: &Attachment, role: Role) -> Result<Attached, Refusal> {
    let Geometry {
        kind,
        unlink_when_left,
        ..
    } = attachment.geometry;
    if kind == Kind::Spsc && !unlink_when_left && !attachment.has_grown() {
        let attached = find_seat(attachment, &Live::from(attachment.first()), role)?;
        // Whoever had the end before has given it up: so nobody ends the first ring but who has it now.
        if !attachment.has_grown() {
            return Ok(arrive(attachment, attached, role));
        }
    }
    let watch = match attachment.scene(None).watch()? {
        Ok(watch) => watch,
        Err(busy) => return Err(Refusal::Passing(busy.into())),
    };
    let live = attachment.live().map_err(Lost::tell::<AttachError>)?;
    // In an SPSC ring there is nothing to be recovered: the lock is for who leaves last, and for rings that
    // are retired.
    if kind == Kind::Mpmc {
        watch.recover(&live, None);
        forget_the_dead(attachment, role);
    }
    let attached = match (find_seat(attachment, &live, role), kind, role) {
        (Err(refusal), Kind::Mpmc, Role::Consumer) => {
            find_inheritance(attachment, &watch, &live)?.ok_or(refusal)?
        }
        (found, ..) => found?,
    };
    Ok(arrive(attachment, attached, role))
}

/// Says in its entry who has taken a seat.
fn arrive(attachment: &Attachment, attached: Attached, role: Role) -> Attached {
    let entry = attachment.view.entry(attached.seat);
    entry.work_at(attached.stage.offset);
    let roll = attachment.view.header().status.0.roll(role);
    seat::arrive(entry, roll, role);
    attached
}

/// Takes a seat that nobody holds, and whose last holder left nothing to be done.
fn find_seat(attachment: &Attachment, live: &Live, role: Role) -> Result<Attached, Refusal> {
    let view = &attachment.view;
    let object = attachment.region.object();
    let kind = attachment.geometry.kind;
    // SPSC rings have no intents; whoever writes one there forges it.
    let leaves_nothing =
        |seat| kind == Kind::Spsc || live.iter().all(|stage| stage.intent(seat).is_none());
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
                    stage: Arc::clone(live.oldest()),
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
            pid: find_rival(attachment, live, role, seat),
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
fn find_rival(attachment: &Attachment, live: &Live, role: Role, seat: u32) -> Option<u32> {
    let view = &attachment.view;
    let owed = live.iter().find(|stage| stage.intent(seat).is_some())?;
    let contested = owed.intent(seat)?;
    let is_contesting = |&peer: &u32| {
        let said = owed.intent(peer);
        said.is_some_and(|run| run.start < contested.end() && contested.start < run.end())
            && !seat::is_gone(attachment.region.object(), view, peer, None)
    };
    let mut peers = attachment.geometry.seats(role).filter(|&peer| peer != seat);
    peers.find(is_contesting).map(|peer| view.entry(peer).pid())
}

/// When nobody of a role is there any more, the newcomer is the first of others, and how those before
/// it ended is not told of it.
fn forget_the_dead(attachment: &Attachment, role: Role) {
    let seats = attachment.geometry.seats(role);
    if seat::held(attachment.region.object(), &seats, None).is_some() {
        return;
    }
    for seat in seats {
        let entry = attachment.view.entry(seat);
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
    live: &Live,
) -> Result<Option<Attached>, Refusal> {
    let object = attachment.region.object();
    for seat in attachment.geometry.seats(Role::Consumer) {
        let Some(hold) = Hold::seat(object, seat)? else {
            continue;
        };
        // One at most of what a participant says in several rings stands.
        let owed = live.iter().find(|stage| stage.intent(seat).is_some());
        let stage = Arc::clone(owed.unwrap_or(live.oldest()));
        let inherited = match watch.inherit(&stage, seat) {
            Inheritance::Undecided => continue,
            Inheritance::Nothing => None,
            Inheritance::Held(run) => Some(run),
        };
        let inherited = inherited.map(|run| Inherited {
            stage: Arc::clone(&stage),
            run,
        });
        return Ok(Some(Attached {
            seat,
            hold,
            stage,
            inherited,
        }));
    }
    Ok(None)
}
