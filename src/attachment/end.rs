//! One end of a ring: its seat, and how it waits for the other side.

mod hearing;

use self::hearing::Heard;
use super::attach::{Attached, attach};
use super::{A_MOMENT, Attachment};
use crate::error::{AttachError, Broken, Corrupt, Disconnected, Forked, Lost, Refused};
use crate::layout::{Entry, Place, View};
use crate::options::WaitStrategy;
use crate::recovery::Inherited;
use crate::ring::Words;
use crate::ring::intent::Run;
use crate::seat::{self, Hold};
use crate::stage::Stage;
use crate::sync::{Acquire, Relaxed};
use crate::sys::clock::Instant;
use crate::sys::fork::Generation;
use crate::terms::{Fences, Kind, Peer, Role};
use crate::wait::Event;
use core::hint::spin_loop;
use core::mem;
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
    fn at(stage: &Stage, seat: u32) -> Self {
        Self {
            view: stage.view,
            place: stage.view.place(seat),
        }
    }

    #[inline(always)]
    pub(crate) fn view(&self) -> &View {
        &self.view
    }

    #[inline(always)]
    pub(crate) fn for_pushing(&self) -> Words<'_> {
        Words {
            slots: self.view.slots(),
            index: &self.view.header().tail.0,
            tail: &self.view.header().tail.0,
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
    inherited: Option<Inherited>,
    seat: u32,
    hold: Option<Hold>,
    /// The ring that it works on. Unmapped before the object is let go.
    stage: Arc<Stage>,
    attachment: Arc<Attachment>,
}

impl End {
    /// Takes an end of a ring.
    pub(crate) fn take(attachment: &Arc<Attachment>, role: Role) -> Result<Self, AttachError> {
        attachment.view().ok_or(Forked)?;
        let Attached {
            seat,
            hold,
            stage,
            inherited,
        } = attach(attachment, role)?;
        // The last holder may have died between what it did and telling of it.
        attachment.wake(role.other());
        Ok(Self {
            works_in: attachment.opened_in,
            fences: attachment.geometry.fences,
            station: Station::at(&stage, seat),
            role,
            heard: Heard::nothing(),
            inherited,
            seat,
            hold: Some(hold),
            stage,
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

    /// How many messages the ring holds that it works on.
    #[inline(always)]
    pub(crate) fn capacity(&self) -> usize {
        self.stage.geometry.capacity as usize
    }

    /// Whether nothing is known of an end of the ring that it works on: it is not closed, and no other one follows.
    #[inline(always)]
    pub(crate) fn is_open(&self) -> bool {
        self.view().header().status.0.ending.is_open()
    }

    /// Whether the ring was closed.
    pub(crate) fn is_closed(&self) -> bool {
        self.view().header().status.0.ending.is_closed()
    }

    /// Whether another ring follows the one that it works on.
    #[inline(always)]
    pub(crate) fn is_followed(&self) -> bool {
        self.view().successor().load(Acquire) != 0 // G
    }

    /// Goes on to the ring that follows, from one that has ended for this end. Nothing may be claimed. `false` if that
    /// ring could not be had, and there is time left to try again.
    #[cold]
    pub(crate) fn move_on(&mut self, deadline: Option<Instant>) -> Result<bool, Refused> {
        let passed = match self.attachment.successor(&self.stage) {
            Ok(Some(next)) => self.stage_at(next),
            // It ends in nothing.
            Ok(None) => return Err(self.distrust(Corrupt).into()),
            Err(Lost::Corrupt(corrupt)) => return Err(self.distrust(corrupt).into()),
            // For want of memory or descriptors, which may come back.
            Err(Lost::Map(_)) => {
                if deadline.is_none_or(|deadline| Instant::now() >= deadline) {
                    return Err(Refused::NotNow);
                }
                thread::sleep(A_MOMENT);
                return Ok(false);
            }
        };
        if passed.is_closed() {
            self.stage.close();
        }
        // Others may be asleep who can go on too.
        event_of(&passed.view, self.role).notify_all();
        self.clear_up();
        Ok(true)
    }

    /// Works on another ring from here on. Returns the one before.
    fn stage_at(&mut self, stage: Arc<Stage>) -> Arc<Stage> {
        self.station = Station::at(&stage, self.seat);
        let before = mem::replace(&mut self.stage, stage);
        self.root().work_at(self.stage.offset);
        self.heard = Heard::nothing();
        before
    }

    /// The entry that says who has the seat.
    fn root(&self) -> &Entry {
        self.attachment.view.entry(self.seat)
    }

    /// Retires rings, if that can be done now.
    fn clear_up(&self) {
        if let Ok(Ok(watch)) = self.attachment.scene(self.hold.as_ref()).watch() {
            if let Ok(live) = self.attachment.live() {
                self.attachment.tidy(&watch, &live, self.worked_at());
            }
        }
    }

    /// Up to where the rings are that a consumer has come to the end of, of whom there is only one.
    fn worked_at(&self) -> Option<u64> {
        (self.role == Role::Consumer).then_some(self.stage.offset)
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

    /// What was a dead consumer's and is this end's now, which works from here on where that lies; the caller goes on
    /// with it.
    pub(crate) fn take_inherited(&mut self) -> Option<Run> {
        let Inherited { stage, run } = self.inherited.take()?;
        self.stage_at(stage);
        Some(run)
    }

    /// Passes a wake-up on to another sleeper of this role.
    pub(crate) fn pass_on(&self) {
        event_of(self.view(), self.role).notify(self.fences);
    }

    /// Lets others know of positions that were left without a message.
    #[cold]
    pub(crate) fn tell_of_tombstones(&self, tombstones: u64) {
        let status = &self.attachment.view.header().status.0;
        // Relaxed: a count to look at.
        status.tombstones.fetch_add(tombstones, Relaxed);
        self.view().header().not_empty.0.notify_all();
    }

    /// How often to look again before [`End::wait`]. One pause between two looks: none takes
    /// the line away from the side that writes it, several make the answer late.
    #[inline(always)]
    pub(crate) fn spins(&self, deadline: Option<Instant>) -> u32 {
        match (deadline, self.attachment.wait) {
            (None, _) => 0,
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
        let is_mpmc = self.attachment.geometry.kind == Kind::Mpmc;
        let stage = self.inherited.as_ref().map_or(&self.stage, |at| &at.stage);
        let left_something = is_mpmc && stage.intent(self.seat).is_some();
        let status = &self.attachment.view.header().status.0;
        seat::leave(self.root(), status.roll(self.role));
        // The others ask the lock, so it should be free before they are told; who finds it
        // held all the same asks again.
        self.hold = None;
        if left_something {
            // If it can't be done now, somebody does it at the end of an interval.
            if let Ok(Ok(watch)) = self.attachment.scene(None).watch() {
                if let Ok(live) = self.attachment.live() {
                    watch.recover(&live, None);
                }
            }
        }
        self.attachment.unlink_when_left();
        self.attachment.wake(self.role.other());
    }
}

impl Attachment {
    /// Wakes everybody of a role.
    fn wake(&self, role: Role) {
        if let Ok(live) = self.live() {
            let rings = live.iter();
            rings.for_each(|stage| event_of(&stage.view, role).notify_all());
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
