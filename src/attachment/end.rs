//! One end of a ring: its seat, what it has heard of the other end, and how it waits for it.

use super::Attachment;
use crate::error::{AttachError, Broken, Corrupt, Disconnected, Forked, Refused};
use crate::layout::{Entry, View};
use crate::options::WaitStrategy;
use crate::ring::tenancy::{Phase, Stay};
use crate::seat::{self, Seat};
use crate::sys::clock::Instant;
use crate::sys::fork::Generation;
use crate::terms::{Fences, Peer, Role};
use crate::wait::Event;
use core::hint::spin_loop;
use core::time::Duration;
use std::sync::Arc;
use std::thread;

/// How long an operation may wait.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Patience {
    None,
    For(Duration),
    Forever,
}

impl Patience {
    /// Until when, if at all, counted from now.
    pub(crate) fn deadline(self) -> Option<Instant> {
        match self {
            Self::None => None,
            Self::For(time) => Some(Instant::now().after(time)),
            Self::Forever => Some(Instant::NEVER),
        }
    }
}

/// The part of a handle that is the same for producers and consumers.
#[derive(Debug)]
pub(crate) struct End {
    /// Where the handle works; [`Generation::NONE`] once the ring was found corrupt.
    works_in: Generation,
    fences: Fences,
    view: View,
    role: Role,
    heard: Heard,
    peer_index: u32,
    index: u32,
    seat: Option<Seat>,
    attachment: Arc<Attachment>,
}

/// What the end knows of its peer.
#[derive(Debug)]
struct Heard {
    /// The stay that was asked about, and the answer.
    last: Option<(Stay, Peer)>,
    /// When to ask again whether a peer that was alive still is.
    again: Instant,
}

impl End {
    /// Takes an end of a ring that has one seat for it.
    pub(crate) fn take(
        attachment: &Arc<Attachment>,
        role: Role,
        index: u32,
        peer_index: u32,
    ) -> Result<Self, AttachError> {
        let view = *attachment.view().ok_or(Forked)?;
        let entry = view.entry(index);
        let patience = Instant::now().after(attachment.geometry.liveness_interval);
        let seat = loop {
            if let Some(seat) = Seat::take(attachment.region.object(), index)? {
                break seat;
            }
            // A lock whose holder has left may be held by a child that another thread is just
            // spawning: `posix_spawn` copies every descriptor, until its exec.
            let is_active = entry.stay().phase() == Phase::Active;
            if is_active || Instant::now() >= patience {
                let pid = is_active.then(|| entry.pid());
                return Err(AttachError::Taken { role, pid });
            }
            thread::sleep(BETWEEN_LOCK_AND_ENTRY);
        };
        seat::arrive(entry, role);
        // The last holder may have died between what it did and telling of it.
        event_of(&view, role.other()).notify_all();
        Ok(Self {
            works_in: attachment.opened_in,
            fences: attachment.geometry.fences,
            view,
            role,
            heard: Heard {
                last: None,
                again: Instant::now(),
            },
            peer_index,
            index,
            seat: Some(seat),
            attachment: Arc::clone(attachment),
        })
    }

    #[inline(always)]
    pub(crate) fn view(&self) -> &View {
        &self.view
    }

    pub(crate) fn attachment(&self) -> &Attachment {
        &self.attachment
    }

    /// Whether the handle can be used at all: in this process, on a ring not known to be
    /// corrupt.
    #[inline(always)]
    pub(crate) fn admit(&self) -> Result<(), Broken> {
        if self.works_in == Generation::current() {
            Ok(())
        } else {
            Err(self.inadmissible())
        }
    }

    #[cold]
    fn inadmissible(&self) -> Broken {
        if self.works_in == Generation::NONE {
            Corrupt.into()
        } else {
            Forked.into()
        }
    }

    /// Remembers that the ring is corrupt.
    #[cold]
    #[inline(never)]
    pub(crate) fn distrust(&mut self, corrupt: Corrupt) -> Broken {
        self.works_in = Generation::NONE;
        corrupt.into()
    }

    /// Whether the ring was closed.
    #[inline(always)]
    pub(crate) fn is_closed(&self) -> bool {
        self.view.header().closed.0.is_set()
    }

    /// Asks the kernel about the peer.
    pub(crate) fn peer(&mut self) -> Result<Peer, Forked> {
        self.attachment.view().ok_or(Forked)?;
        if self.is_closed() {
            return Ok(Peer::Closed);
        }
        Ok(self.ask(Instant::now()))
    }

    #[inline(always)]
    pub(crate) fn fences(&self) -> Fences {
        self.fences
    }

    /// How often to look again before [`End::wait`]. One pause between two looks: none takes
    /// the line away from the side that writes it, several make the answer late.
    #[inline(always)]
    pub(crate) fn spins(&self, patience: Patience) -> u32 {
        match (patience, self.attachment.wait) {
            (Patience::None, _) => 0,
            (_, WaitStrategy::Spin) => BURST,
            (_, WaitStrategy::Sleep { spins, .. }) => spins.min(BURST),
        }
    }

    /// Waits until `is_due` says that there is something to do, or not at all.
    pub(crate) fn wait(
        &mut self,
        deadline: Option<Instant>,
        is_due: impl Fn() -> bool,
    ) -> Result<(), Refused> {
        let Some(deadline) = deadline else {
            let gone = self.hear(Instant::lately());
            return self.conclude(gone, is_due);
        };
        let mut steps = Steps::after_first_burst(self.attachment.wait);
        loop {
            let now = Instant::now();
            let gone = self.hear(now);
            if gone.is_some() || now >= deadline {
                return self.conclude(gone, is_due);
            }
            let is_over = || is_due() || self.has_news();
            match steps.next() {
                Step::Spin => {
                    for _ in 0..BURST {
                        if is_over() {
                            break;
                        }
                        spin_loop();
                    }
                }
                Step::Yield => thread::yield_now(),
                Step::Sleep => {
                    let until = deadline.min(self.next_question(now));
                    event_of(&self.view, self.role).wait(self.fences, until, is_over);
                }
            }
            if is_due() {
                return Ok(());
            }
        }
    }

    /// The end of a wait: what was due before the peer went, or before time was up, is done
    /// first.
    fn conclude(
        &self,
        gone: Option<Disconnected>,
        is_due: impl Fn() -> bool,
    ) -> Result<(), Refused> {
        match gone {
            _ if is_due() => Ok(()),
            Some(gone) => Err(gone.into()),
            None => Err(Refused::NotNow),
        }
    }

    /// Whether the peer is gone, as far as was heard; asks if there is reason to.
    fn hear(&mut self, now: Instant) -> Option<Disconnected> {
        if self.is_closed() {
            return Some(Disconnected::Closed);
        }
        let known = match self.heard.last {
            Some((stay, peer)) if stay == self.peer_entry().stay() => Some(peer),
            _ => None,
        };
        let peer = match known {
            Some(Peer::Present { .. }) if now >= self.heard.again => self.ask(now),
            Some(peer) => peer,
            None => self.ask(now),
        };
        match peer {
            Peer::NeverCame | Peer::Present { .. } => None,
            Peer::Left => Some(Disconnected::Left),
            Peer::Died { pid } => Some(Disconnected::Died { pid }),
            Peer::Closed => Some(Disconnected::Closed),
        }
    }

    fn ask(&mut self, now: Instant) -> Peer {
        let entry = self.view.entry(self.peer_index);
        let stay = entry.stay();
        let object = self.attachment.region.object();
        let peer = seat::ask(object, entry, self.peer_index, self.seat.as_ref());
        let interval = self.attachment.geometry.liveness_interval;
        let interval = match (peer, stay.phase()) {
            // It has left but for its lock, or the next holder has arrived but for its entry.
            // Either may have told everybody already, before this end listened.
            (Peer::Present { .. }, Phase::Left) => interval.min(BETWEEN_LOCK_AND_ENTRY),
            _ => interval,
        };
        self.heard = Heard {
            last: Some((stay, peer)),
            again: now.after(interval),
        };
        peer
    }

    /// When a sleeper has to ask about its peer, who will not tell of its death.
    fn next_question(&self, now: Instant) -> Instant {
        match self.heard.last {
            Some((_, Peer::Present { .. })) => self.heard.again,
            _ => now.after(self.attachment.geometry.liveness_interval),
        }
    }

    /// Whether there is a reason to ask about the peer before the interval is over.
    fn has_news(&self) -> bool {
        let now = self.peer_entry().stay();
        self.is_closed() || self.heard.last.is_none_or(|(heard, _)| heard != now)
    }

    fn peer_entry(&self) -> &Entry {
        self.view.entry(self.peer_index)
    }
}

impl Drop for End {
    fn drop(&mut self) {
        if self.attachment.view().is_some() {
            self.view.entry(self.index).leave();
            // The peer asks the lock, so it should be free before the peer is told; a peer that
            // finds it held all the same asks again.
            self.seat = None;
            event_of(&self.view, self.role.other()).notify_all();
        }
    }
}

/// The event that an end sleeps on.
#[inline(always)]
fn event_of(view: &View, role: Role) -> &Event {
    match role {
        Role::Producer => &view.header().not_full.0,
        Role::Consumer => &view.header().not_empty.0,
    }
}

/// How soon to ask again about a seat of which lock and entry do not agree: they differ for
/// some microseconds, unless their holder is stopped or killed just there.
const BETWEEN_LOCK_AND_ENTRY: Duration = Duration::from_millis(1);

/// Looks between two looks at the clock: some microseconds, against which the clock is cheap.
const BURST: u32 = 1000;

/// What a waiter does between two looks at the clock.
enum Step {
    Spin,
    Yield,
    Sleep,
}

/// A strategy, as far as it has not been carried out.
struct Steps(WaitStrategy);

impl Steps {
    fn after_first_burst(mut strategy: WaitStrategy) -> Self {
        if let WaitStrategy::Sleep { spins, .. } = &mut strategy {
            *spins = spins.saturating_sub(BURST);
        }
        Self(strategy)
    }

    fn next(&mut self) -> Step {
        match &mut self.0 {
            WaitStrategy::Spin => Step::Spin,
            WaitStrategy::Sleep {
                spins: 0,
                yields: 0,
            } => Step::Sleep,
            WaitStrategy::Sleep { spins: 0, yields } => {
                *yields -= 1;
                Step::Yield
            }
            WaitStrategy::Sleep { spins, .. } => {
                *spins = spins.saturating_sub(BURST);
                Step::Spin
            }
        }
    }
}
