//! One end of a ring: its seat, and how it waits for the other side.

mod hearing;

use self::hearing::Heard;
use super::Attachment;
use super::attach::{Attached, attach};
use crate::error::{AttachError, Broken, Corrupt, Disconnected, Forked, Refused};
use crate::layout::{Entry, Place, View};
use crate::options::WaitStrategy;
use crate::ring::Words;
use crate::ring::intent::Run;
use crate::seat::{self, Hold};
use crate::sync::Relaxed;
use crate::sys::clock::Instant;
use crate::sys::fork::Generation;
use crate::terms::{Fences, Kind, Peer, Role};
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

/// What an end works on, without the end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Station {
    view: View,
    place: Place,
}

impl Station {
    #[inline(always)]
    pub(crate) fn view(&self) -> &View {
        &self.view
    }

    fn entry(&self) -> &Entry {
        self.place.entry()
    }

    #[inline(always)]
    pub(crate) fn for_pushing(&self) -> Words<'_> {
        Words {
            slots: self.view.slots(),
            index: &self.view.header().tail.0,
            intent: self.place.entry().intent(),
        }
    }

    #[inline(always)]
    pub(crate) fn for_popping(&self) -> Words<'_> {
        Words {
            index: &self.view.header().head.0,
            ..self.for_pushing()
        }
    }
}

/// The part of a handle that is the same for producers and consumers.
#[derive(Debug)]
pub(crate) struct End {
    /// Where the handle works; [`Generation::NONE`] once the ring was found corrupt.
    works_in: Generation,
    fences: Fences,
    station: Station,
    role: Role,
    heard: Heard,
    /// What a dead consumer held, and this one has to go on with.
    inherited: Option<Run>,
    seat: u32,
    hold: Option<Hold>,
    attachment: Arc<Attachment>,
}

impl End {
    /// Takes an end of a ring.
    pub(crate) fn take(attachment: &Arc<Attachment>, role: Role) -> Result<Self, AttachError> {
        let view = *attachment.view().ok_or(Forked)?;
        let Attached {
            seat,
            hold,
            inherited,
        } = attach(attachment, &view, role)?;
        // The last holder may have died between what it did and telling of it.
        event_of(&view, role.other()).notify_all();
        Ok(Self {
            works_in: attachment.opened_in,
            fences: attachment.geometry.fences,
            station: Station {
                view,
                place: view.place(seat),
            },
            role,
            heard: Heard::nothing(),
            inherited,
            seat,
            hold: Some(hold),
            attachment: Arc::clone(attachment),
        })
    }

    #[inline(always)]
    pub(crate) fn station(&self) -> &Station {
        &self.station
    }

    #[inline(always)]
    pub(crate) fn view(&self) -> &View {
        &self.station.view
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
        self.view().header().status.0.closed.is_set()
    }

    /// Asks the kernel about the other side.
    pub(crate) fn peer(&self) -> Result<Peer, Forked> {
        self.attachment.view().ok_or(Forked)?;
        if self.is_closed() {
            return Ok(Peer::Closed);
        }
        Ok(self.ask().peer)
    }

    #[inline(always)]
    pub(crate) fn fences(&self) -> Fences {
        self.fences
    }

    /// What was a dead consumer's and is this end's now; the caller goes on with it.
    pub(crate) fn take_inherited(&mut self) -> Option<Run> {
        self.inherited.take()
    }

    /// Passes a wake-up on to another sleeper of this role.
    pub(crate) fn pass_on(&self) {
        event_of(self.view(), self.role).notify(self.fences);
    }

    /// Lets others know of positions that were left without a message.
    #[cold]
    pub(crate) fn tell_of_tombstones(&self, tombstones: u64) {
        let header = self.view().header();
        // Relaxed: a count to look at.
        header.status.0.tombstones.fetch_add(tombstones, Relaxed);
        header.not_empty.0.notify_all();
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

    /// Waits until `is_due` says that there is something to do, or something was inherited, up to
    /// `most`; or not at all. Says whether it slept.
    pub(crate) fn wait(
        &mut self,
        deadline: Option<Instant>,
        most: usize,
        is_due: impl Fn() -> bool,
    ) -> Result<bool, Refused> {
        let Some(deadline) = deadline else {
            let gone = self.hear(Instant::lately(), most);
            return self.conclude(gone, is_due, false);
        };
        let mut steps = Steps::after_first_burst(self.attachment.wait);
        let mut has_slept = false;
        loop {
            let now = Instant::now();
            let gone = self.hear(now, most);
            if gone.is_some() || self.inherited.is_some() || now >= deadline {
                return self.conclude(gone, is_due, has_slept);
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
                    let until = deadline.min(self.heard.again);
                    event_of(self.view(), self.role).wait(self.fences, until, is_over);
                    has_slept = true;
                }
            }
            if is_due() {
                return Ok(has_slept);
            }
        }
    }

    /// The end of a wait: what was due before the peer went, or before time was up, is done
    /// first.
    fn conclude(
        &self,
        gone: Option<Disconnected>,
        is_due: impl Fn() -> bool,
        has_slept: bool,
    ) -> Result<bool, Refused> {
        match gone {
            _ if self.inherited.is_some() || is_due() => Ok(has_slept),
            Some(gone) => Err(gone.into()),
            None => Err(Refused::NotNow),
        }
    }
}

impl Drop for End {
    fn drop(&mut self) {
        if self.attachment.view().is_none() {
            return;
        }
        let entry = self.station.entry();
        let capacity = self.attachment.geometry.capacity;
        let is_mpmc = self.attachment.geometry.kind == Kind::Mpmc;
        let left_something = is_mpmc && entry.intent().read(capacity).is_some();
        seat::leave(entry, self.view().header().status.0.roll(self.role));
        // The others ask the lock, so it should be free before they are told; who finds it
        // held all the same asks again.
        self.hold = None;
        if left_something {
            // If it can't be done now, somebody does it at the end of an interval.
            if let Ok(Ok(watch)) = self.attachment.scene(self.view(), None).watch() {
                watch.recover(None);
            }
        }
        self.attachment.unlink_when_left(self.view());
        event_of(self.view(), self.role.other()).notify_all();
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
